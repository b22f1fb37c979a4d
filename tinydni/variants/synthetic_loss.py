"""A synthetic loss: a scalar function of h whose slope is the guess."""

from typing import Any

import numpy as np

from tinydni.activations import sigmoid
from tinydni.backend import Array
from tinydni.checks import check_context, check_gradient, check_positive_int, check_rows
from tinydni.layer import batch_dot, batch_sum, normal, zeros
from tinydni.synthesizers import Synthesizer, widths_read

__all__ = ["SyntheticLoss"]


class SyntheticLoss(Synthesizer):
    """delta_hat = dl/dh,   l(h, c) = softplus(a) v,   a = h A + c C + b: one number an example.

    The slope of softplus is g = sigmoid(a), so that   delta_hat = q Aᵀ,   q = g · v.   l itself is
    never computed. It learns by its slope alone, since no loss comes down with a message: "Sobolev
    training for neural networks" (arXiv 1706.04859) without the values. Unlike a virtual network,
    it does not know what kind of loss it stands for. Unlike any other network from h to H numbers,
    it can only be a slope: its Jacobian with respect to h is symmetric, as a true gradient's is.
    softplus is smooth: to learn a slope takes the slope of that.

    backward, e = ddelta_hat: dq = e A,   dv = sum of dq · g,   da = dq · q (1 - g),
    dA = eᵀ q + hᵀ da,   dC = cᵀ da,   db = sum of da.
    h (N, H), c (N, C);   A (H, M), C (C, M), b (M,), v (M,): zero at the start, so that the first
    guess is "no gradient".

    Parameters
    ----------
    n_h : H
    rng : draws A, normal, sd sqrt(1 / H), and C, sd 1: of a one-hot row one number counts
    n_context : C; with 0 the context is None
    hidden : M
    dtype : of the parameters
    """

    decayed = ("A", "C", "v")

    def __init__(self, n_h: int, rng: np.random.Generator, n_context: int = 0, hidden: int = 256,
                 dtype: Any = np.float32):
        self.n_h = check_positive_int(n_h, "n_h")
        self.n_context = check_positive_int(n_context, "n_context", minimum=0)
        self.hidden = check_positive_int(hidden, "hidden")
        self.A = normal(rng, (n_h, hidden), np.sqrt(1 / n_h), dtype)
        if n_context:
            self.C = normal(rng, (n_context, hidden), 1, dtype)
        self.b, self.v = zeros((hidden,), dtype), zeros((hidden,), dtype)
        self.parameters = ("A", *("C",) * bool(n_context), "b", "v")
        self.sees = ("h", *("context",) * bool(n_context))
        self.description = f"{widths_read(n_h, n_context)} -> {hidden} -> 1"

    def forward(self, h: Array, context: Array | None = None) -> Array:
        check_rows(h, self.n_h, self.b.dtype, "SyntheticLoss (h)")
        check_context(context, h, self.n_context, "SyntheticLoss")
        self.h, self.context = h, context
        a = h @ self.A + self.b
        if context is not None:
            a += context @ self.C
        self.g = sigmoid(self.xp, a)
        self.q = self.g * self.v
        self.delta_hat = self.q @ self.A.T
        return self.delta_hat

    def backward(self, ddelta_hat: Array) -> None:
        check_gradient(ddelta_hat, self.h.shape, self.b.dtype, "SyntheticLoss")
        dq = ddelta_hat @ self.A
        da = dq * self.q * (1 - self.g)
        self.dA = ddelta_hat.T @ self.q + self.h.T @ da
        if self.n_context:
            self.dC = self.context.T @ da
        self.db = batch_sum(self.xp, da)
        self.dv = batch_dot(self.xp, dq, self.g)
