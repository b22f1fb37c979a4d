"""The virtual network with one hidden layer, whose second-order gradient still fits on a page."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import numpy as np

from tinydni.activations import Softmax
from tinydni.backend import Array
from tinydni.checks import check_context, check_features, check_gradient, check_positive_int
from tinydni.containers import one_layer
from tinydni.layer import Layer, batch_sum, normal
from tinydni.synthesizers import Synthesizer

__all__ = ["VirtualMLP"]


class VirtualMLP(Synthesizer):
    """delta_hat = m Aᵀ,   m = q · f'(a),   q = u Vᵀ,   u = p - t,   p = output(z),
    z = s V + c,   s = f(a) = tanh(a),   a = h A + b   (eq. 6, v with one hidden layer).

    tanh because the synthetic gradient is a derivative, and learning it takes the derivative of
    that: f must bend smoothly. f' = 1 - s²,   f'' = -2 s f'.

    backward, e = ddelta_hat: dm = e A,   dq = dm · f',   du = dq V,   dz = J du,
    da = dm · q · f'' + (dz Vᵀ) · f',   dA = eᵀ m + hᵀ da,   db = sum of da,   dV = dqᵀ u + sᵀ dz,
    dc = sum of dz.   h (N, H), t (N, K);   A (H, M), V (M, K), b (M,), c (K,).

    Parameters
    ----------
    n_h, n_context : H and K
    rng : draws A and V, normal, sd sqrt(1 / H) and sqrt(1 / M)
    hidden : M
    output : layer from z to p
    dtype : of the parameters
    """

    decayed = ("A", "V")
    parameters = ("A", "b", "V", "c")
    description = "{n_h} -> {hidden} -> {n_context}"

    def __init__(self, n_h: int, n_context: int, rng: np.random.Generator, hidden: int = 256,
                 output: Layer | None = None, dtype: Any = np.float32):
        self.n_h = check_positive_int(n_h, "n_h")
        self.n_context = check_positive_int(n_context, "n_context")
        self.hidden = check_positive_int(hidden, "hidden")
        self.A = normal(rng, (n_h, hidden), np.sqrt(1 / n_h), dtype)
        self.b = np.zeros(hidden, dtype)
        self.V = normal(rng, (hidden, n_context), np.sqrt(1 / hidden), dtype)
        self.c = np.zeros(n_context, dtype)
        self.output = Softmax() if output is None else deepcopy(one_layer((output,)))

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("output", self.output)]

    def forward(self, h: Array, context: Array | None = None) -> Array:
        check_features(h, self.n_h, self.A.dtype, "VirtualMLP (h)")
        check_context(context, h, self.n_context, "VirtualMLP")
        self.h, self.context = h, context
        s = self.s = self.xp.tanh(h @ self.A + self.b)
        self.u = self.output.forward(s @ self.V + self.c) - context
        self.slope = 1 - s * s
        self.q = self.u @ self.V.T
        self.m = self.q * self.slope
        self.delta_hat = self.m @ self.A.T
        return self.delta_hat

    def backward(self, ddelta_hat: Array) -> None:
        check_gradient(ddelta_hat, self.h.shape, self.A.dtype, "VirtualMLP")
        s, slope = self.s, self.slope
        dm = ddelta_hat @ self.A
        dq = dm * slope
        du = dq @ self.V
        dz = self.output.backward(du)
        da = (dz @ self.V.T - 2 * dm * self.q * s) * slope
        self.dA = ddelta_hat.T @ self.m + self.h.T @ da
        self.db = batch_sum(self.xp, da)
        self.dV = dq.T @ self.u + s.T @ dz
        self.dc = batch_sum(self.xp, dz)
        self.dcontext = -du
