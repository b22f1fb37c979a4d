"""What a row of the table computes, as plain data that every contender starts from."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from tinydni.containers import Residual
from tinydni.convolution import Conv2D
from tinydni.linear import Linear


@dataclass(frozen=True)
class Workload:
    """One row. Inputs are made on the spot; nothing is downloaded.

    row: its name, such as "W1 3 hidden"    steps: training steps in one block of the clock
    contenders: {name: function from a workload to its step, as "module.function" of this package}, "tinydni" first;
    the step is a function of its number that trains on one batch and returns the loss
    products: [(M, K, N)], the matrix products of one step, M·K·N multiply-adds each
    batches: list of (x (N, ...), target, context (N, C) or None), used in turn
    blocks: layers with the starting weights, which contenders copy; an interface after each but the last
    loss: of the top    optimizer: function of a rate    lr: of the blocks
    synthesizer: "linear" or "virtual", at every interface, or None for backpropagation    synthesizer_lr: its rate
    """

    row: str
    steps: int
    contenders: dict
    products: list
    batches: list
    blocks: list
    loss: object
    optimizer: Callable | None = None
    lr: float | None = None
    synthesizer: str | None = None
    synthesizer_lr: float | None = None


def steps_of(products, multiply_adds=2e9, most=300):
    """How many steps make a block of the clock of some 0.1 s."""
    return max(1, min(most, round(multiply_adds / sum(math.prod(shape) for shape in products))))


def products_of(blocks, shape):
    """[(M, K, N)] of one step of backpropagation. shape: of the whole input, (N, ...).

    A Linear has x W, xᵀ dy and, save in the lowest layer, dy Wᵀ, and so has a Conv2D, with as many multiply-adds.
    """
    products, N = [], shape[0]
    for layer, shape in inputs_of(blocks, shape[1:]):
        if isinstance(layer, Linear):
            M, K, O = N, layer.n_in, layer.n_out
        elif isinstance(layer, Conv2D):
            M, K, O = N * math.prod(layer.output_shape(shape)[:2]), layer.kernel**2 * layer.n_in, layer.n_out
        else:
            continue
        products += [(M, K, O), (K, M, O)] + [(M, O, K)] * bool(products)
    return products


def inputs_of(layers, shape):
    """[(layer, the shape of one of its inputs)] of all layers in a chain, those inside of others included."""
    found = []
    for layer in layers:
        inside = [layer.branch] if isinstance(layer, Residual) else [child for _, child in layer.children()]
        found += [(layer, shape), *inputs_of(inside, shape)]
        shape = layer.output_shape(shape)
    return found
