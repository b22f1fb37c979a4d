"""The linear virtual network: a gradient of the right shape, that of a softmax layer on top of h."""

from copy import deepcopy

import numpy as np

from tinydni import checks
from tinydni.kernels import batch_sum
from tinydni.layers.layer import Layer
from tinydni.layers.softmax import Softmax
from tinydni.synthesizers.synthesizer import Synthesizer


class VirtualLinear(Synthesizer, Layer):
    """delta_hat = u Vᵀ,   u = p - t,   p = output(z),   z = h V + c  (Miyato et al. 2017, eq. 6, linear v_f).

    It is the gradient of the task's loss as if z were the network's logits. Eq. 8 of the paper is minus this: it
    is printed for the log-likelihood, which one climbs; we descend the loss.

    h (N, H): output of the module    context t (N, K): one-hot labels, bits, or probabilities of either
    V (H, K): random with standard deviation sqrt(1 / H); zero would guess zero and hardly move    c (K,): zero
    output: layer from logits to p; Softmax() for classes, Sigmoid() for bits, Sequential() (nothing) for squared
    error. With the loss that belongs to it, dloss/dz = p - t in all three, per example.

    backward, with e = ddelta_hat (N, H) and the symmetric J = dp/dz: the exact gradients of <e, delta_hat>,
    du = e V,   dz = J du,   dV = eᵀ u + hᵀ dz,   dc = sum of dz;   dcontext = -du, for a context that is learned.

    Raises ValueError for an h or a context of another width, TypeError for one of another dtype.
    """

    decayed = ("V",)
    parameters = ("V", "c")
    sees = ("h", "context")

    def __init__(self, n_h, n_context, rng, output=None, dtype=np.float32):
        self.n_h = checks.positive_int(n_h, "n_h")
        self.n_context = checks.positive_int(n_context, "n_context")
        checks.generator(rng)
        self.V = (rng.standard_normal((n_h, n_context)) * np.sqrt(1 / n_h)).astype(dtype)
        self.c = np.zeros(n_context, dtype)
        self.output = Softmax() if output is None else deepcopy(output)

    def children(self):
        return [("output", self.output)]

    def forward(self, h, context=None):
        checks.features(h, self.n_h, self.V.dtype, "VirtualLinear (h)")
        checks.context(context, h, self.n_context, "VirtualLinear")
        self.h, self.context = h, context
        self.u = self.output.forward(h @ self.V + self.c) - context
        self.delta_hat = self.u @ self.V.T
        return self.delta_hat

    def backward(self, ddelta_hat):
        du = ddelta_hat @ self.V
        dz = self.output.backward(du)
        self.dV = ddelta_hat.T @ self.u + self.h.T @ dz
        self.dc = batch_sum(self.xp, dz)
        self.dcontext = -du

    def describe(self):
        return f"{self.n_h} -> {self.n_context}"
