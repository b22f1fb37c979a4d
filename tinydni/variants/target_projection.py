"""Direct random target projection: the label, by a fixed random matrix, is all a block is told."""

from typing import Any

import numpy as np

from tinydni.backend import Array
from tinydni.checks import check_context, check_positive_int
from tinydni.layer import Shape, normal
from tinydni.synthesizers import Synthesizer

__all__ = ["TargetProjection"]


class TargetProjection(Synthesizer):
    """delta_hat = -t B: a synthesizer that sees the label alone and never learns.

    t (N, K): one-hot labels, the context;   B (K, H): normal, sd sqrt(1 / K).

    Direct feedback alignment sends (p - t) B; here the label stands for the error, whose sign it
    knows (Frenkel et al. 2021, figure 1, "DRTP"). No gradient comes down and nothing waits: the
    backward and the update lock are gone. It costs one small product. What the network has learned
    already never changes what a block is told.

    Parameters
    ----------
    shape : of one h
    n_context : K
    rng : draws B
    dtype : of B
    """

    buffers = ("B",)
    sees = ("context",)
    description = "{n_context} context -> {shape}, fixed"

    def __init__(self, shape: Shape, n_context: int, rng: np.random.Generator,
                 dtype: Any = np.float32):
        self.shape = shape
        self.n_context = check_positive_int(n_context, "n_context")
        self.B = normal(rng, (n_context, int(np.prod(shape))), n_context**-0.5, dtype)

    def forward(self, h: Array, context: Array | None = None) -> Array:
        check_context(context, h, self.n_context, "TargetProjection")
        assert context is not None
        self.h, self.context = h, context
        self.delta_hat = -(context @ self.B).reshape(h.shape)
        return self.delta_hat

    def backward(self, ddelta_hat: Array) -> None:
        pass
