"""Networks as lists of blocks: what a block is, an interface can be put after."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinydni.activations import ReLU
from tinydni.batchnorm import BatchNorm
from tinydni.checks import check_functions, check_positive_int, check_sizes
from tinydni.containers import Residual, Sequential
from tinydni.convolution import Conv2D, image_shape
from tinydni.layer import Layer, Shape
from tinydni.linear import Linear
from tinydni.pooling import AvgPool, Flatten, GlobalAvgPool, MaxPool, Subsample

__all__ = ["cnn", "mlp", "resnet"]


def mlp(widths: Sequence[int], rng: np.random.Generator,
        hidden: Callable[[int], list[Layer]] | None = None, dtype: Any = np.float32) -> list[Layer]:
    """Return the fully connected network of Jaderberg et al. 2016, section 3.1, block by block.

    Each block is a Sequential of a Linear and what `hidden` says; the last is a Linear alone, whose
    outputs are logits.

    Parameters
    ----------
    widths : (D, H1, ..., K), so len(widths) - 1 layers as the papers count (weight matrices)
    rng, dtype : draws the weights; of the parameters
    hidden : function width -> layers after each hidden Linear, by default BatchNorm and ReLU

    Examples
    --------
    >>> import numpy as np
    >>> mlp((64, 32, 10), np.random.default_rng(0))[1]
    Sequential(Linear(32 -> 10))
    """
    widths = check_sizes(widths, "widths", least=2)
    check_functions(hidden=hidden)
    hidden = hidden or (lambda width: [BatchNorm(width, dtype=dtype), ReLU()])
    blocks: list[Layer] = [
        Sequential(Linear(n_in, n_out, rng, dtype=dtype), *hidden(n_out))
        for n_in, n_out in zip(widths[:-2], widths[1:-1])]
    return [*blocks, Sequential(Linear(widths[-2], widths[-1], rng, dtype=dtype))]


def cnn(input_shape: Shape, n_classes: int, n_layers: int, rng: np.random.Generator,
        channels: int = 64, kernel: int = 5, dtype: Any = np.float32) -> list[Layer]:
    """Return the convolutional network of Jaderberg et al. 2016, section 3.1, block by block.

    Each hidden layer is a convolution without bias, BatchNorm, ReLU, and pooling over 3 x 3 pixels:
    by the maximum in the first, by the mean in the others. The paper does not give the stride of
    the pooling: here 2, so that H and W halve. The last layer is Linear; its outputs are logits.

    Parameters
    ----------
    input_shape, n_classes : (H, W, C) of one image, and K
    n_layers : layers as the papers count, the Linear one included
    rng, dtype : draws the weights; of the parameters
    channels, kernel : of every hidden layer (128 channels on CIFAR-10)
    """
    n_layers = check_positive_int(n_layers, "n_layers", 2, 1000)
    *_, n_in = shape = image_shape(tuple(check_sizes(input_shape, "input_shape")), "cnn")
    blocks: list[Layer] = []
    for i in range(n_layers - 1):
        pool = MaxPool if i == 0 else AvgPool
        blocks.append(Sequential(Conv2D(n_in, channels, rng, kernel, bias=False, dtype=dtype),
                                 BatchNorm(channels, dtype=dtype), ReLU(),
                                 pool(3, stride=2, padding=1)))
        shape, n_in = blocks[-1].output_shape(shape), channels
    return [*blocks, Sequential(Flatten(), Linear(math.prod(shape), n_classes, rng, dtype=dtype))]


def resnet(depth: int, rng: np.random.Generator, widths: Sequence[int] = (16, 32, 64),
           n_channels: int = 3, n_classes: int = 10, dtype: Any = np.float32) -> list[Layer]:
    """Return the residual network for small images of He et al. 2016, section 4.2, by blocks.

    A first convolution; then for each of `widths`, numbers of channels, a stage of residual blocks,
    of which the first of every stage but the first halves the image; then the mean over the image
    and a Linear layer, whose outputs are logits. `depth` counts layers as the paper does: 20, 32,
    44, 56, 110 or another 2 + 2 · len(widths) · n.
    """
    widths = check_sizes(widths, "widths", least=1)
    n_blocks, rest = divmod(check_positive_int(depth, "depth", 2, 10_000) - 2, 2 * len(widths))
    if rest or n_blocks < 1:
        raise ValueError(f"depth must be 2 + {2 * len(widths)} n, n > 0, here; got {depth}.")
    blocks: list[Layer] = [Sequential(*convolution(n_channels, widths[0], rng, 1, dtype), ReLU())]
    for n_in, n_out in zip([widths[0], *widths], widths):
        for i in range(n_blocks):
            stride = 2 if i == 0 and len(blocks) > 1 else 1
            blocks.append(residual_block(n_in if i == 0 else n_out, n_out, rng, stride, dtype))
    return [*blocks, Sequential(GlobalAvgPool(), Linear(widths[-1], n_classes, rng, dtype=dtype))]


def residual_block(n_in: int, n_out: int, rng: np.random.Generator, stride: int = 1,
                   dtype: Any = np.float32) -> Layer:
    """y = ReLU(s(x) + f(x)), f two convolutions with BatchNorm (He et al. 2016, figure 2).

    The shortcut s is the identity, or where the shape changes a Subsample.
    """
    shortcut = None if (n_in, stride) == (n_out, 1) else Subsample(n_in, n_out, stride)
    return Sequential(Residual(*convolution(n_in, n_out, rng, stride, dtype), ReLU(),
                               *convolution(n_out, n_out, rng, 1, dtype), shortcut=shortcut),
                      ReLU())


def convolution(n_in: int, n_out: int, rng: np.random.Generator, stride: int,
                dtype: Any) -> list[Layer]:
    """Return a 3 x 3 convolution and the BatchNorm that makes its bias superfluous."""
    return [Conv2D(n_in, n_out, rng, stride=stride, bias=False, dtype=dtype),
            BatchNorm(n_out, dtype=dtype)]
