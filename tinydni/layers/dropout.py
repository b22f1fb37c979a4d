"""Dropout."""

from tinydni import backend, checks
from tinydni.layers.layer import Layer
from tinydni.random import generator_to_array, restore_generator


class Dropout(Layer):
    """Sets each input to zero with probability p in training  (Srivastava et al. 2014).

    y = x · mask,   mask = 0 with probability p, else 1 / (1 - p), so that the expectation stays;   dx = dy · mask.
    In evaluation y = x.

    x (N, M): inputs    y (N, M): outputs
    The mask is drawn on the host from `rng`, so that every backend draws the same; the generator's state is
    saved with the layer.
    """

    def __init__(self, p, rng):
        self.p = checks.in_range(p, "p", 0, 1, include_high=False)
        self.rng = checks.generator(rng)

    def forward(self, x):
        if self.training and self.p > 0:
            keep = (self.rng.random(x.shape, dtype="float32") >= self.p).astype(x.dtype)
            keep /= 1 - self.p
            self.mask = backend.asarray(self.xp, keep)
            return x * self.mask
        self.mask = None
        return x

    def backward(self, dy):
        return dy if self.mask is None else dy * self.mask

    def own_state(self):
        return {"rng": generator_to_array(self.rng)}

    def load_own_state(self, state):
        restore_generator(self.rng, backend.to_numpy(state["rng"]))

    def describe(self):
        return f"p={self.p}"
