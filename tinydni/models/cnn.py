"""The convolutional network."""

import math

import numpy as np

from tinydni import checks
from tinydni.layers import AvgPool, BatchNorm, Conv2D, Flatten, Linear, MaxPool, ReLU, Sequential


def cnn(input_shape, n_classes, n_layers, rng, channels=64, kernel=5, dtype=np.float32):
    """The convolutional network of Jaderberg et al. 2016, section 3.1, as a list of blocks.

    Each hidden layer is a convolution that keeps height and width, BatchNorm, ReLU, and pooling over 3x3 pixels:
    by the maximum in the first layer, by the mean in the others. The last layer is Linear; its outputs are logits.
    The convolutions have no bias, since BatchNorm would take it away again.

    input_shape (H, W, C): of one image    n_layers: layers as the papers count, the Linear one included
    channels: of every hidden layer (128 on CIFAR-10)    kernel: odd
    The paper does not give the stride of the pooling: here 2, with padding 1, so that H and W halve, rounded up.
    """
    n_layers = checks.positive_int(n_layers, "n_layers", minimum=2)
    *_, n_in = shape = tuple(input_shape)
    blocks = []
    for i in range(n_layers - 1):
        pool = MaxPool if i == 0 else AvgPool
        blocks.append(Sequential(Conv2D(n_in, channels, rng, kernel, bias=False, dtype=dtype),
                                 BatchNorm(channels, dtype=dtype), ReLU(), pool(3, stride=2, padding=1)))
        shape, n_in = blocks[-1].output_shape(shape), channels
    return [*blocks, Sequential(Flatten(), Linear(math.prod(shape), n_classes, rng, dtype=dtype))]
