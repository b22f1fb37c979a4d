"""The workloads, each as plain data that every contender starts from, and the step of tinydni on it.

Everything is made on the spot: nothing is downloaded. The targets follow from the inputs by a rule that can be
learned, so that the losses, which must agree, mean something. Timed is float32, checked is float64.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tinydni import (SGD, Adam, LinearSynthesizer, MeanSquaredError, SoftmaxCrossEntropy, backprop, datasets, decouple,
                     mlp, update_decoupled)
from tinydni.layers import Linear, Sequential, Sigmoid
from tinydni.random import stream


@dataclass(frozen=True)
class Workload:
    """What is computed in one row of the table.

    row: its name, such as "W1 3 hidden"    steps: training steps in one block of the clock
    blocks: layers with the starting weights, which contenders copy; an interface after each but the last
    batches: list of (x (N, D), target, context (N, C) or None), used in turn
    loss: of the top    optimizer: the class, Adam or SGD    lr: of the blocks
    synthesizer_lr: of the linear synthesizers, or None for backprop
    peers: the contenders that tinydni is compared with
    """

    row: str
    steps: int
    blocks: list
    batches: list
    loss: object
    optimizer: Callable
    lr: float
    synthesizer_lr: float | None
    peers: tuple


def w1(hidden, dtype=np.float32):
    """784-256xH-10, BatchNorm and ReLU, softmax cross-entropy, Adam, batch 256, backprop."""
    rng = stream(0, "sample")
    x = rng.standard_normal((8, 256, 784)).astype(dtype)
    labels = (x @ rng.standard_normal((784, 10)).astype(dtype)).argmax(axis=2)
    return Workload(f"W1 {hidden} hidden", steps=10,
                    blocks=mlp([784] + hidden * [256] + [10], stream(0, "weights"), dtype=dtype),
                    batches=list(zip(x, labels, np.eye(10, dtype=dtype)[labels])),
                    loss=SoftmaxCrossEntropy(), optimizer=Adam, lr=1e-3, synthesizer_lr=None, peers=("torch-eager",))


def w2(hidden, dtype=np.float32):
    """The net of W1 with a linear synthesizer, which sees h and the label, after every hidden layer."""
    return replace(w1(hidden, dtype), row=f"W2 {hidden} hidden", synthesizer_lr=1e-3,
                   peers=("torch-eager", "tinydni-backprop"))


def w4(method, dtype=np.float32):
    """The tutorial's net, 24-128-64-12 sigmoid without bias: the sum of two 12-bit numbers, batch 10, plain SGD.

    The tutorial sums gradients over the batch, with a rate of 0.1; as a mean over 10 examples that is a rate of 1.
    method: "backprop", or "dni" with linear synthesizers that see h alone
    """
    data = datasets.addition(bits=12, seed=0, max_pairs=1250)
    x = data.x.reshape(100, 10, 24).astype(dtype)
    target = data.y[:, 1:].reshape(100, 10, 12).astype(dtype)           # without the last carry
    rng = stream(0, "weights")
    blocks = [Sequential(Linear(n_in, n_out, rng, std=0.2, bias=False, dtype=dtype), Sigmoid())
              for n_in, n_out in ((24, 128), (128, 64), (64, 12))]
    return Workload(f"W4 {method}", steps=300, blocks=blocks, batches=[(*batch, None) for batch in zip(x, target)],
                    loss=MeanSquaredError(), optimizer=SGD, lr=1.0,
                    synthesizer_lr={"backprop": None, "dni": 0.01}[method], peers=("torch-eager", "literal"))


WORKLOADS = {"W1": (partial(w1, 3), partial(w1, 6)),            # name: functions of the dtype
             "W2": (partial(w2, 3), partial(w2, 6)),
             "W4": (partial(w4, "backprop"), partial(w4, "dni"))}


def step(workload):
    """The contender "tinydni": a function of the step's number that trains on one batch and returns the loss."""
    batches = workload.batches
    x, _, context = batches[0]
    n_context = 0 if context is None else context.shape[1]
    options = {"schedule": backprop} if workload.synthesizer_lr is None else {
        "schedule": update_decoupled,
        "synthesizer": lambda n_h: LinearSynthesizer(n_h, n_context, dtype=x.dtype),
        "synthesizer_optimizer": lambda: workload.optimizer(workload.synthesizer_lr)}
    network = decouple(workload.blocks, workload.loss, lambda: workload.optimizer(workload.lr), **options)
    return lambda i: network.step(*batches[i % len(batches)])


def backprop_step(workload):
    """The contender "tinydni-backprop": the same blocks without interfaces."""
    return step(replace(workload, synthesizer_lr=None))


def floor(workload):
    """The contender "floor": the matrix products of one step alone. No training step can be faster than these."""
    arrays = [(a, b, np.empty((a.shape[0], b.shape[1]), a.dtype)) for a, b in products(workload)]

    def multiply(i):
        for a, b, out in arrays:
            np.matmul(a, b, out=out)

    return multiply


def products(workload):
    """The factors (a, b) of all products in one step, with made-up values.

    For every Linear x W, xᵀ dy and, save in the lowest, dy Wᵀ. For every synthesizer h A and hᵀ e, and the same
    two for the context.
    """
    x, _, context = workload.batches[0]
    rng = stream(0, "sample")

    def random(*shape):
        return rng.standard_normal(shape).astype(x.dtype)

    factors, N = [], len(x)
    for number, block in enumerate(workload.blocks):
        n_in, n_out = block.layers[0].W.shape
        inputs = [n_in]
        if workload.synthesizer_lr is not None and block is not workload.blocks[-1]:
            inputs += [n_out] if context is None else [n_out, context.shape[1]]
        for width in inputs:
            factors += [(random(N, width), random(width, n_out)), (random(N, width).T, random(N, n_out))]
        if number > 0:
            factors.append((random(N, n_out), random(n_in, n_out).T))
    return factors
