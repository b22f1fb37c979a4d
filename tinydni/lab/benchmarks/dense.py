"""W1, W2 and W8: fully connected nets with 3 and 6 hidden layers, locked and decoupled; and how that scales."""

from dataclasses import replace
from functools import partial

import numpy as np

from tinydni import Adam, SoftmaxCrossEntropy, mlp
from tinydni.lab.benchmarks.workload import Workload, products_of, steps_of
from tinydni.random import stream

LOCKED = {"tinydni": "ours.step", "torch-eager": "torch_dense.step", "jax-jit": "jax_dense.step"}
DECOUPLED = {"tinydni": "ours.step", "torch-eager": "torch_dense.step", "tinydni-backprop": "ours.backprop_step"}


def w1(hidden, dtype=np.float32, width=256, batch=256, row=None):
    """784-256xH-10, BatchNorm and ReLU, softmax cross-entropy, Adam, batch 256, backprop."""
    rng = stream(0, "sample")
    x = rng.standard_normal((8, batch, 784)).astype(dtype)
    labels = (x @ rng.standard_normal((784, 10)).astype(dtype)).argmax(axis=2)
    blocks = mlp([784] + hidden * [width] + [10], stream(0, "weights"), dtype=dtype)
    products = products_of(blocks, (batch, 784))
    return Workload(row or f"W1 {hidden} hidden", steps_of(products), LOCKED, products,
                    list(zip(x, labels, np.eye(10, dtype=dtype)[labels])), blocks, SoftmaxCrossEntropy(), Adam, lr=1e-3)


def w2(hidden, dtype=np.float32, width=256, batch=256, row=None):
    """The net of W1 with a linear synthesizer, which sees h and the label, after every hidden layer."""
    guess_and_learn = [(batch, width, width), (width, batch, width), (batch, 10, width), (10, batch, width)]
    return decoupled(w1(hidden, dtype, width, batch), row or f"W2 {hidden} hidden", "linear", hidden * guess_and_learn)


def w8(hidden, dtype=np.float32, width=256, batch=256):
    """The net of W1 with a linear virtual network after every hidden layer."""
    guess = [(batch, width, 10), (batch, 10, width)]
    learn = [(batch, width, 10), (width, batch, 10), (width, batch, 10)]
    return decoupled(w1(hidden, dtype, width, batch), f"W8 {hidden} hidden", "virtual", hidden * (guess + learn))


def decoupled(workload, row, synthesizer, products):
    return replace(workload, row=row, contenders=DECOUPLED, products=workload.products + products,
                   synthesizer=synthesizer, synthesizer_lr=1e-3)


def along(axis, values, hidden=3):
    """The makers of W1 and W2 with other sizes: rows such as "width 64 locked" and "width 64 decoupled".

    axis: "width", "depth" (hidden layers) or "batch"
    """
    makers = []
    for value in values:
        size = {} if axis == "depth" else {axis: value}
        for make, way in ((w1, "locked"), (w2, "decoupled")):
            makers.append(partial(make, value if axis == "depth" else hidden, row=f"{axis} {value} {way}", **size))
    return makers


CURVES = {"width": (16, 64, 256, 1024), "depth": (1, 3, 6, 12), "batch": (4, 16, 64, 256, 1024)}
