"""Virtual forward-backward: a synthetic gradient of the right shape, that of a network on top of h.

delta_hat = the gradient of loss(v(h), t) with respect to h, per example, where v is a small virtual
network and t the context: one-hot labels, bits, or probabilities of either (Miyato et al. 2017,
eq. 6). Eq. 8 and 9 of the paper are minus this: printed for the log-likelihood, which one climbs.
`output`, a layer from logits to p, says what the loss is: Softmax() for classes (the default),
Sigmoid() for bits, Sequential() (nothing) for squared error. dloss/dz = p - t in all three.
"""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import numpy as np

from tinydni.activations import Softmax
from tinydni.backend import Array
from tinydni.checks import check_context, check_features, check_gradient, check_positive_int
from tinydni.containers import one_layer
from tinydni.layer import Layer, batch_sum, normal, zeros
from tinydni.synthesizers import Synthesizer

__all__ = ["VirtualLinear"]


class VirtualLinear(Synthesizer):
    """delta_hat = u Vᵀ,   u = p - t,   p = output(z),   z = h V + c   (eq. 6, v linear).

    backward, e = ddelta_hat, J = dp/dz: the exact gradients of <e, delta_hat>, du = e V, dz = J du,
    dV = eᵀ u + hᵀ dz,   dc = sum of dz,   and dcontext = -du, for a context that is learned.
    h (N, H), t (N, K);   V (H, K): random, zero would guess zero and hardly move;   c (K,): zero.

    Parameters
    ----------
    n_h, n_context : H and K
    rng, dtype : draws V, normal, sd sqrt(1 / H); of the parameters
    output : layer from z to p
    """

    decayed = ("V",)
    parameters = ("V", "c")
    description = "{n_h} -> {n_context}"

    def __init__(self, n_h: int, n_context: int, rng: np.random.Generator,
                 output: Layer | None = None, dtype: Any = np.float32):
        n_h = self.n_h = check_positive_int(n_h, "n_h")
        n_context = self.n_context = check_positive_int(n_context, "n_context")
        self.V = normal(rng, (n_h, n_context), np.sqrt(1 / n_h), dtype)
        self.c = zeros((n_context,), dtype)
        self.output = Softmax() if output is None else deepcopy(one_layer((output,)))

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("output", self.output)]

    def forward(self, h: Array, context: Array | None = None) -> Array:
        check_features(h, self.n_h, self.V.dtype, "VirtualLinear (h)")
        check_context(context, h, self.n_context, "VirtualLinear")
        self.h, self.context = h, context
        self.u = self.output.forward(h @ self.V + self.c) - context
        self.delta_hat = self.u @ self.V.T
        return self.delta_hat

    def backward(self, ddelta_hat: Array) -> None:
        check_gradient(ddelta_hat, self.h.shape, self.V.dtype, "VirtualLinear")
        du = ddelta_hat @ self.V
        dz = self.output.backward(du)
        self.dV = ddelta_hat.T @ self.u + self.h.T @ dz
        self.dc = batch_sum(self.xp, dz)
        self.dcontext = -du
