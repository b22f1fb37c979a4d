"""The virtual network with one hidden layer, whose second-order gradient still fits on a page."""

from copy import deepcopy

import numpy as np

from tinydni import checks
from tinydni.kernels import batch_sum
from tinydni.layers.layer import Layer
from tinydni.layers.softmax import Softmax
from tinydni.synthesizers.synthesizer import Synthesizer


class VirtualMLP(Synthesizer, Layer):
    """delta_hat = m Aᵀ,   m = q · f'(a),   q = u Vᵀ,   u = p - t,
    p = output(z),   z = s V + c,   s = f(a) = tanh(a),   a = h A + b    (Miyato et al. 2017, eq. 6; eq. 9 is minus this).

    h (N, H): output of the module    context t (N, K): one-hot labels, bits, or probabilities of either
    A (H, M), V (M, K): random with standard deviations sqrt(1 / H) and sqrt(1 / M)    b (M,), c (K,): zero
    hidden: M    output: as in VirtualLinear

    tanh because the synthetic gradient is a derivative, and learning it takes the derivative of that: f must bend
    smoothly. f' = 1 - s²,   f'' = -2 s f'.

    backward, with e = ddelta_hat: the exact gradients of <e, delta_hat>, term by term from the formulas above,
    dm = e A,   dq = dm · f',   du = dq V,   dz = J du  (J = dp/dz),   da = dm · q · f'' + (dz Vᵀ) · f',
    dA = eᵀ m + hᵀ da,   db = sum of da,   dV = dqᵀ u + sᵀ dz,   dc = sum of dz.

    Raises ValueError for an h or a context of another width, TypeError for one of another dtype.
    """

    decayed = ("A", "V")
    parameters = ("A", "b", "V", "c")
    sees = ("h", "context")

    def __init__(self, n_h, n_context, rng, hidden=256, output=None, dtype=np.float32):
        self.n_h = checks.positive_int(n_h, "n_h")
        self.n_context = checks.positive_int(n_context, "n_context")
        self.hidden = checks.positive_int(hidden, "hidden")
        checks.generator(rng)
        self.A = (rng.standard_normal((n_h, hidden)) * np.sqrt(1 / n_h)).astype(dtype)
        self.b = np.zeros(hidden, dtype)
        self.V = (rng.standard_normal((hidden, n_context)) * np.sqrt(1 / hidden)).astype(dtype)
        self.c = np.zeros(n_context, dtype)
        self.output = Softmax() if output is None else deepcopy(output)

    def children(self):
        return [("output", self.output)]

    def forward(self, h, context=None):
        checks.features(h, self.n_h, self.A.dtype, "VirtualMLP (h)")
        checks.context(context, h, self.n_context, "VirtualMLP")
        self.h, self.context = h, context
        s = self.s = self.xp.tanh(h @ self.A + self.b)
        self.u = self.output.forward(s @ self.V + self.c) - context
        self.slope = 1 - s * s
        self.q = self.u @ self.V.T
        self.m = self.q * self.slope
        self.delta_hat = self.m @ self.A.T
        return self.delta_hat

    def backward(self, ddelta_hat):
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

    def describe(self):
        return f"{self.n_h} -> {self.hidden} -> {self.n_context}"
