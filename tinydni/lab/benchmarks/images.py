"""W3: convolutional nets, a small one and ResNet-20."""

import numpy as np

from tinydni import Momentum, SoftmaxCrossEntropy, resnet
from tinydni.lab.benchmarks.workload import Workload, products_of, steps_of
from tinydni.activations import ReLU
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Sequential
from tinydni.convolution import Conv2D
from tinydni.linear import Linear
from tinydni.pooling import GlobalAvgPool
from tinydni.random import stream

CONTENDERS = {"tinydni": "ours.step", "torch-eager": "torch_dense.step",
              "torch-channels-last": "torch_dense.channels_last_step"}


def w3a(dtype=np.float32):
    """3x32x32 images: convolution to 64, another with stride 2 to 128, BatchNorm and ReLU after each, mean, Linear."""
    rng = stream(0, "weights")
    blocks = [Sequential(Conv2D(3, 64, rng, bias=False, dtype=dtype), BatchNorm(64, dtype=dtype), ReLU(),
                         Conv2D(64, 128, rng, stride=2, bias=False, dtype=dtype), BatchNorm(128, dtype=dtype), ReLU(),
                         GlobalAvgPool(), Linear(128, 10, rng, dtype=dtype))]
    return on_images("W3a small", blocks, dtype)


def w3b(dtype=np.float32):
    """ResNet-20 of He et al. 2016 on 3x32x32 images."""
    return on_images("W3b ResNet-20", resnet(20, stream(0, "weights"), dtype=dtype), dtype)


def on_images(row, blocks, dtype, batch=128):
    """Batch 128, softmax cross-entropy, SGD with momentum; the label is the colour that is brightest at the left."""
    x = stream(0, "sample").standard_normal((2, batch, 32, 32, 3)).astype(dtype)
    labels = x[:, :, :, :8].mean(axis=(2, 3)).argmax(axis=2)
    products = products_of(blocks, (batch, 32, 32, 3))
    return Workload(row, steps_of(products), CONTENDERS, products, [(*pair, None) for pair in zip(x, labels)],
                    blocks, SoftmaxCrossEntropy(), lambda lr: Momentum(lr, 0.9), lr=0.01)
