"""Feedback alignment: the way down has fixed random weights of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinydni.algorithms import Algorithm
from tinydni.backend import Array, asarray
from tinydni.layer import Layer
from tinydni.random import stream

__all__ = ["FeedbackAlignment"]


class FeedbackAlignment(Algorithm):
    """Backpropagation with a fixed random matrix B in place of each W on the way down.

    y = x W + b,   dW = xᵀ dy,   dx = dy Bᵀ in place of dy Wᵀ   (Lillicrap et al. 2016, figure 1);
    the same with the kernels of a Conv2D. Everything else, such as BatchNorm and ReLU, passes
    gradients as ever.

    No layer need know the weights of another: that is what it removes, and no lock. It waits and
    costs as backpropagation does, plus a B as large as each W.

    Parameters
    ----------
    seed : of the matrices, normal with the standard deviation of a fresh W, which never change
    """

    def __init__(self, seed: int):
        self.seed = seed
        self.B: list[Array] = []            # one for each layer with a W; made at the first step

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        h = x
        for module in modules:
            h = module.forward(h)
        dh = modules[-1].gradient_at_output(h, context, target)
        with self.random_way_down([module.block for module in modules]):
            for module in reversed(modules):
                dh = module.backward(dh)
        for module in modules:
            module.update()

    @contextmanager
    def random_way_down(self, blocks: Sequence[Layer]) -> Iterator[None]:
        """Put B in the place of each W; the gradient of W itself does not read W."""
        layers: list[Any] = [layer for block in blocks for _, layer in block.walk()
                             if "W" in layer.parameters]
        weights = [layer.W for layer in layers]
        self.B = self.B or [self.matrix(i, layer) for i, layer in enumerate(layers)]
        for layer, B in zip(layers, self.B):
            layer.W = B
        try:
            yield
        finally:
            for layer, W in zip(layers, weights):
                layer.W = W

    def matrix(self, i: int, layer: Any) -> Array:
        """Return B of layer i: of the shape of W, sd sqrt(2 / number of inputs)."""
        W = layer.W
        std = np.sqrt(2 * W.shape[-1] / W.size)
        B = std * stream(self.seed, "feedback", i).standard_normal(W.shape)
        return asarray(layer.xp, B.astype(W.dtype))

    def to(self, xp: Any = None, dtype: Any = None) -> "FeedbackAlignment":
        self.B = []
        return self
