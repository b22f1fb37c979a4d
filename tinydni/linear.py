"""The affine map, which does nearly all the arithmetic, and the table of symbols."""

from typing import Any

import numpy as np

from tinydni import checks
from tinydni.backend import Array
from tinydni.layer import Layer, Shape, batch_sum, normal, zeros

__all__ = ["Embedding", "Linear"]


class Linear(Layer):
    """Affine map: y = x W + b.

    dW = xᵀ dy,   db = sum over N of dy,   dx = dy Wᵀ.
    x (N, D), W (D, M), b (M,), y (N, M).

    Parameters
    ----------
    n_in, n_out : D and M
    rng : draws W, normal; b starts at zero
    std : standard deviation of W, by default sqrt(2 / D) (He et al. 2015, eq. 10)
    bias, dtype : whether there is a b; of the parameters

    Examples
    --------
    >>> import numpy as np
    >>> layer = Linear(3, 2, np.random.default_rng(0))
    >>> layer.forward(np.ones((4, 3), np.float32)).shape
    (4, 2)
    """

    parameters: tuple[str, ...] = ("W", "b")
    description = "{n_in} -> {n_out}"

    def __init__(self, n_in: int, n_out: int, rng: np.random.Generator, std: float | None = None,
                 bias: bool = True, dtype: Any = np.float32):
        n_in = self.n_in = checks.check_positive_int(n_in, "n_in")
        n_out = self.n_out = checks.check_positive_int(n_out, "n_out")
        self.W = normal(rng, (n_in, n_out), np.sqrt(2 / n_in) if std is None else std, dtype)
        self.b = zeros((n_out,), dtype) if checks.check_bool(bias, "bias") else None
        if not bias:
            self.parameters = ("W",)
            self.description += ", bias=False"

    def forward(self, x: Array) -> Array:
        checks.check_rows(x, self.n_in, self.W.dtype, "Linear")
        self.x = x
        y = x.dot(self.W)       # as x @ W; in small nets `@` costs half as much as the product
        if self.b is not None:
            y += self.b
        return y

    def backward(self, dy: Array) -> Array:
        checks.check_gradient(dy, (len(self.x), self.n_out), self.W.dtype, "Linear")
        self.dW = self.x.T.dot(dy)
        if self.b is not None:
            self.db = batch_sum(self.xp, dy)
        return dy.dot(self.W.T) if self.needs_dx else None

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.n_out)


class Embedding(Layer):
    """Symbols as vectors: y = E[x],   dE[k] = sum of dy over all places where x is k.

    It is Linear without bias on one-hot rows, without the rows. There is no dx.
    x (N, ...): whole numbers 0 ... K-1;   E (K, M);   y (N, ..., M).

    Parameters
    ----------
    n_symbols, n_out : K and M
    rng, std, dtype : draws E, normal; its standard deviation and dtype
    """

    parameters = ("E",)
    decayed = ("E",)
    description = "{n_symbols} symbols -> {n_out}"

    def __init__(self, n_symbols: int, n_out: int, rng: np.random.Generator, std: float = 1.0,
                 dtype: Any = np.float32):
        self.n_symbols = checks.check_positive_int(n_symbols, "n_symbols")
        self.n_out = checks.check_positive_int(n_out, "n_out")
        self.E = normal(rng, (self.n_symbols, self.n_out), std, dtype)

    def forward(self, x: Array) -> Array:
        checks.check_symbols(x, self.n_symbols, "Embedding: symbols x")
        self.x = x
        return self.E[x]

    def backward(self, dy: Array) -> None:
        checks.check_gradient(dy, (*self.x.shape, self.n_out), self.E.dtype, "Embedding")
        symbols = self.xp.arange(self.n_symbols)
        one_hot = (self.x.reshape(-1, 1) == symbols).astype(dy.dtype)
        self.dE = one_hot.T @ dy.reshape(-1, self.n_out)        # faster than adding row by row

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape, self.n_out)
