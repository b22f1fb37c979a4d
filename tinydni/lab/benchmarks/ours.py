"""Our own side: the contenders "tinydni" and "tinydni-backprop", and the floor that no contender can get below."""

import math
from copy import deepcopy
from dataclasses import replace

import numpy as np

from tinydni import backprop, build, LinearSynthesizer, update_decoupled, VirtualLinear
from tinydni.random import stream


def step(workload):
    """A function of the step's number that trains on one batch and returns the loss."""
    batches, options = workload.batches, {"algorithm": backprop}
    if workload.synthesizer:
        made = iter(synthesizers(workload))
        options = {"algorithm": update_decoupled, "synthesizer": lambda n_h: next(made),
                   "synthesizer_lr": lambda: workload.optimizer(workload.synthesizer_lr)}
    network = build(workload.blocks, workload.loss, lambda: workload.optimizer(workload.lr),
                       input_shape=batches[0][0].shape[1:], **options)
    return lambda i: network.step(*batches[i % len(batches)])


def synthesizers(workload):
    """One for each interface, bottom to top, with the starting weights."""
    x, _, context = workload.batches[0]
    n_context, rng = 0 if context is None else context.shape[1], stream(0, "synthesizer")
    widths = [block.layers[0].n_out for block in workload.blocks[:-1]]
    if workload.synthesizer == "virtual":
        return [VirtualLinear(n_h, n_context, rng, dtype=x.dtype) for n_h in widths]
    return [LinearSynthesizer(n_h, n_context, dtype=x.dtype) for n_h in widths]


def backprop_step(workload):
    """The same blocks without interfaces."""
    return step(replace(workload, synthesizer=None))


def sequence_step(workload):
    """One recurrent layer with the loss at its output."""
    [layer], loss, optimizer = deepcopy(workload.blocks), deepcopy(workload.loss), workload.optimizer(workload.lr)
    batches = workload.batches

    def train(i):
        x, target, _ = batches[i % len(batches)]
        y, _ = layer.forward(x)
        value = loss.forward(y, target)
        layer.backward(loss.backward())
        layer.update(optimizer)
        return value

    return train


def loss_step(workload):
    """A loss and its gradient, no network."""
    loss, batches = deepcopy(workload.loss), workload.batches

    def measure(i):
        x, target, _ = batches[i % len(batches)]
        value = loss.forward(x, target)
        loss.backward()
        return value

    return measure


SIDE = 512                  # of the products that stand for a convolution's: as fast as any


def floor(workload):
    """The matrix products of one step alone, with made-up values.

    A convolution is no single product. Its multiply-adds are counted in square ones: the best that it could be.
    """
    rng, dtype = stream(0, "sample"), workload.batches[0][0].dtype

    def product(M, K, N):
        return (rng.standard_normal((M, K)).astype(dtype), rng.standard_normal((K, N)).astype(dtype),
                np.empty((M, N), dtype))

    large = [shape for shape in workload.products if max(shape) > 16 * SIDE]
    n_square = round(sum(map(math.prod, large)) / SIDE**3)
    shapes = [shape for shape in workload.products if shape not in large]
    arrays = [product(*shape) for shape in shapes] + n_square * [product(SIDE, SIDE, SIDE)]

    def multiply(i):
        for a, b, out in arrays:
            np.matmul(a, b, out=out)

    return multiply
