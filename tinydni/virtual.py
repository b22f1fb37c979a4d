"""Virtual forward-backward: a synthetic gradient of the right shape, that of a network on top of h.

delta_hat = the gradient of loss(v(h), t) with respect to h, per example, where v is a small virtual
network and t the context: one-hot labels, bits, or probabilities of either (Miyato et al. 2017,
eq. 6). Eq. 8 and 9 of the paper are minus this: printed for the log-likelihood, which one climbs.
`output`, a layer from logits to p, says what the loss is: Softmax() for classes (the default),
Sigmoid() for bits, Sequential() (nothing) for squared error. dloss/dz = p - t in all three.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np

from tinydni.activations import Softmax
from tinydni.backend import Array, batch_sum
from tinydni.checks import (check_context, check_features, check_generator, check_positive_int,
                            check_range, check_same_shape)
from tinydni.layer import Layer
from tinydni.synthesizers import Synthesizer

__all__ = ["VirtualLinear", "VirtualMLP", "VirtualNetwork"]


class VirtualLinear(Synthesizer):
    """delta_hat = u Vᵀ,   u = p - t,   p = output(z),   z = h V + c   (eq. 6, v linear).

    backward, e = ddelta_hat, J = dp/dz: the exact gradients of <e, delta_hat>, du = e V, dz = J du,
    dV = eᵀ u + hᵀ dz,   dc = sum of dz,   and dcontext = -du, for a context that is learned.
    h (N, H), t (N, K);   V (H, K): random, zero would guess zero and hardly move;   c (K,): zero.

    Parameters
    ----------
    n_h, n_context : H and K
    rng : draws V, normal, sd sqrt(1 / H)
    output : layer from z to p
    dtype : of the parameters
    """

    decayed = ("V",)
    parameters = ("V", "c")
    description = "{n_h} -> {n_context}"

    def __init__(self, n_h: int, n_context: int, rng: np.random.Generator,
                 output: Layer | None = None, dtype: Any = np.float32):
        self.n_h = check_positive_int(n_h, "n_h")
        self.n_context = check_positive_int(n_context, "n_context")
        check_generator(rng)
        self.V = (rng.standard_normal((n_h, n_context)) * np.sqrt(1 / n_h)).astype(dtype)
        self.c = np.zeros(n_context, dtype)
        self.output = Softmax() if output is None else deepcopy(output)

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
        du = ddelta_hat @ self.V
        dz = self.output.backward(du)
        self.dV = ddelta_hat.T @ self.u + self.h.T @ dz
        self.dc = batch_sum(self.xp, dz)
        self.dcontext = -du


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
        check_generator(rng)
        self.A = (rng.standard_normal((n_h, hidden)) * np.sqrt(1 / n_h)).astype(dtype)
        self.b = np.zeros(hidden, dtype)
        self.V = (rng.standard_normal((hidden, n_context)) * np.sqrt(1 / hidden)).astype(dtype)
        self.c = np.zeros(n_context, dtype)
        self.output = Softmax() if output is None else deepcopy(output)

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


class VirtualNetwork(Synthesizer):
    """delta_hat = gradient of loss(net(h), t) with respect to h, per example (eq. 6, any v).

    backward: <e, delta_hat>, e = ddelta_hat, is the slope of the summed loss as h moves along e.
    Its gradient for a weight W of net is the slope of the ordinary weight gradient dW(h), and a
    central difference of two backward passes gives it, whatever net is made of:
    (dW(h + eps e) - dW(h - eps e)) / (2 eps),   eps = step · rms(h) / rms(e).

    All passes use batch statistics. The two probes repeat the dropout masks of the forward pass and
    leave running statistics and generators as they found them.

    Parameters
    ----------
    net : layer from h to K logits; its last layer starts small and random, never at zero
    n_context : K
    output : layer from logits to p
    step : how far to look, relative to h. On a smooth net 1e-3 (in float64 1e-5) agrees with the
        exact gradient. Where there are kinks (ReLU, max pooling) a small step meets little else
        than pieces without a bend: 0.03 to 0.1 is nearest, and learns as well.
    supervised : also descend the virtual network's own loss, scaled to this many times the norm of
        the gradient above; not in the paper: 0 is
    """

    def __init__(self, net: Layer, n_context: int, output: Layer | None = None, step: float = 0.1,
                 supervised: float = 0.0):
        if not isinstance(net, Layer):
            raise TypeError(f"net must be a layer, such as Sequential(...); got {net!r}.")
        self.net = net.train()
        self.n_context = check_positive_int(n_context, "n_context")
        self.step = check_range(step, "step", 0, 1, include_low=False)
        self.supervised = check_range(supervised, "supervised", 0, None)
        self.output = Softmax() if output is None else deepcopy(output)

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("net", self.net), ("output", self.output)]

    def forward(self, h: Array, context: Array | None = None) -> Array:
        check_context(context, h, self.n_context, "VirtualNetwork")
        self.h, self.context = h, context
        self.start = snapshot(self.net)
        _, self.delta_hat = self.run(h)
        return self.delta_hat

    def run(self, h: Array) -> tuple[Array, Array]:
        """Run net forward and backward: logits z, gradient of the summed loss at h."""
        z = self.net.forward(h)
        check_same_shape(z, self.context, "the output of the virtual network", "the context")
        return z, self.net.backward(self.output.forward(z) - self.context)

    def backward(self, ddelta_hat: Array) -> None:
        # The constants keep a dead h or a vanished error from dividing by zero.
        reach = self.step * (self.rms(self.h) + 1e-3)
        size = self.rms(ddelta_hat) + 1e-12
        own = self.gradients() if self.supervised else []
        move, slope = ddelta_hat * (reach / size), size / (2 * reach)       # eps e, 1 / (2 eps)
        end = snapshot(self.net)
        z_above, above = self.probe(self.h + move)
        z_below, below = self.probe(self.h - move)
        put_back(end)
        found = [(a - b) * slope for a, b in zip(above, below)]
        if own:
            scale = self.supervised * self.norm(found) / (self.norm(own) + 1e-12)
            found = [a + scale * b for a, b in zip(found, own)]
        for (_, layer, name), dW in zip(self.net.slots(), found):
            setattr(layer, "d" + name, dW)
        self.dcontext = (z_below - z_above) * slope

    def probe(self, h: Array) -> tuple[Array, list[Array]]:
        """Return (logits, weight gradients) at another h, under the same dropout masks."""
        put_back(self.start)
        z, _ = self.run(h)
        return z, self.gradients()

    def gradients(self) -> list[Array]:
        """Copy the weight gradients that the last pass through net has left."""
        return [getattr(layer, "d" + name).copy() for _, layer, name in self.net.slots()]

    def rms(self, a: Array) -> Array:
        """Return the root of the mean square."""
        return self.xp.sqrt(self.xp.vdot(a, a) / a.size)

    def norm(self, arrays: list[Array]) -> Array:
        """Return the common norm of several arrays."""
        return self.xp.sqrt(sum(self.xp.vdot(a, a) for a in arrays))

    def describe(self) -> str:
        return repr(self.net)


def moving_parts(net: Layer) -> Iterator[Any]:
    """Yield what a forward pass in training changes: running statistics, generators."""
    for _, layer in net.walk():
        yield from (getattr(layer, name) for name in layer.buffers)


def snapshot(net: Layer) -> list[tuple[Any, Any]]:
    """Return (part, copy of it) for all that a forward pass changes."""
    return [(part, part.bit_generator.state if isinstance(part, np.random.Generator)
             else part.copy()) for part in moving_parts(net)]


def put_back(parts: list[tuple[Any, Any]]) -> None:
    """Undo what forward passes have changed since `snapshot`."""
    for part, copy in parts:
        if isinstance(part, np.random.Generator):
            part.bit_generator.state = copy
        else:
            part[...] = copy
