"""The affine map, the layer that does nearly all the arithmetic."""

import numpy as np

from tinydni import checks
from tinydni.kernels import batch_sum
from tinydni.layers.layer import Layer


class Linear(Layer):
    """Affine map  y = x W + b.

    x (N, D): inputs        W (D, M): weights        b (M,): biases        y (N, M): outputs
    dW = xᵀ dy              db = sum over N of dy    dx = dy Wᵀ

    W starts normal with standard deviation `std`, by default sqrt(2 / D) (He et al. 2015, eq. 10), b at zero.
    Raises TypeError or ValueError if sizes are not positive, or if x has another width or dtype than W.
    """

    parameters = ("W", "b")

    def __init__(self, n_in, n_out, rng, std=None, bias=True, dtype=np.float32):
        self.n_in = checks.positive_int(n_in, "n_in")
        self.n_out = checks.positive_int(n_out, "n_out")
        checks.generator(rng)
        std = np.sqrt(2 / n_in) if std is None else std
        self.W = (rng.standard_normal((n_in, n_out)) * std).astype(dtype)
        if bias:
            self.b = np.zeros(n_out, dtype)
        else:
            self.parameters = ("W",)
            self.b = None

    def forward(self, x):
        checks.rows(x, self.n_in, self.W.dtype, "Linear")
        self.x = x
        y = x.dot(self.W)               # as x @ W; in small nets `@` costs half as much again as the product
        if self.b is not None:
            y += self.b
        return y

    def backward(self, dy):
        self.dW = self.x.T.dot(dy)
        if self.b is not None:
            self.db = batch_sum(self.xp, dy)
        return dy.dot(self.W.T) if self.needs_dx else None

    def output_shape(self, shape):
        return (*shape[:-1], self.n_out)

    def describe(self):
        return f"{self.n_in} -> {self.n_out}" + ("" if self.b is not None else ", bias=False")
