"""Symbols as vectors: a table with a learned row for each."""

import numpy as np

from tinydni import checks
from tinydni.layers.layer import Layer


class Embedding(Layer):
    """y = E[x],   dE[k] = sum of dy over all places where x is k.

    x (N, ...): symbols 0 ... K-1, whole numbers    E (K, M): one row per symbol    y (N, ..., M)

    It is Linear without bias on one-hot rows, without the rows; backward makes them, since a product is faster than
    adding row by row. E starts normal with standard deviation `std`. There is no gradient for whole numbers: backward
    returns None.
    Raises TypeError or ValueError for sizes that are not positive, or symbols that are not whole or out of range.
    """

    parameters = ("E",)
    decayed = ()

    def __init__(self, n_symbols, n_out, rng, std=1.0, dtype=np.float32):
        self.n_symbols = checks.positive_int(n_symbols, "n_symbols")
        self.n_out = checks.positive_int(n_out, "n_out")
        checks.generator(rng)
        self.E = (rng.standard_normal((n_symbols, n_out)) * std).astype(dtype)

    def forward(self, x):
        if x.dtype.kind not in "iu":
            raise TypeError(f"Embedding: x must hold whole numbers, the symbols; got dtype {x.dtype}.")
        if self.xp is np and x.size:        # on a device, looking at the values would wait for it
            low, high = x.min(), x.max()
            if low < 0 or high >= self.n_symbols:
                raise ValueError(f"Embedding: symbols must lie in 0 ... {self.n_symbols - 1}; "
                                 f"got {low if low < 0 else high}.")
        self.x = x
        return self.E[x]

    def backward(self, dy):
        one_hot = (self.x.reshape(-1, 1) == self.xp.arange(self.n_symbols)).astype(dy.dtype)
        self.dE = one_hot.T @ dy.reshape(-1, self.n_out)

    def output_shape(self, shape):
        return (*shape, self.n_out)

    def describe(self):
        return f"{self.n_symbols} symbols -> {self.n_out}"
