"""Dropout."""

import numpy as np

from tinydni.backend import Array, asarray
from tinydni.checks import check_floats, check_generator, check_gradient, check_range
from tinydni.layer import Layer

__all__ = ["Dropout"]


class Dropout(Layer):
    """Set each input to zero with probability p in training (Srivastava et al. 2014).

    y = x · mask,   mask = 0 with probability p, else 1 / (1 - p), so that the expectation stays;
    dx = dy · mask.   In evaluation y = x.

    Parameters
    ----------
    p : probability, below 1
    rng : draws the mask on the host, so that every backend draws the same; saved with the layer
    """

    buffers = ("rng",)
    description = "p={p}"

    def __init__(self, p: float, rng: np.random.Generator):
        self.p = check_range(p, "p", 0, 1, include_high=False)
        self.rng = check_generator(rng)

    def forward(self, x: Array) -> Array:
        check_floats(x, "Dropout")
        self.shape, self.dtype = x.shape, x.dtype
        if self.training and self.p > 0:
            keep = (self.rng.random(x.shape, dtype=np.float32) >= self.p).astype(x.dtype)
            keep /= 1 - self.p
            self.mask = asarray(self.xp, keep)
            return x * self.mask
        self.mask = None
        return x

    def backward(self, dy: Array) -> Array:
        check_gradient(dy, self.shape, self.dtype, "Dropout")
        return dy if self.mask is None else dy * self.mask
