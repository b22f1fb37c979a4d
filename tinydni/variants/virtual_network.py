"""Any network as a virtual network: its second-order gradient from two ordinary backward passes."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np

from tinydni.activations import Softmax
from tinydni.backend import Array
from tinydni.checks import check_context, check_positive_int, check_range, check_same_shape
from tinydni.containers import one_layer
from tinydni.layer import Layer
from tinydni.synthesizers import Synthesizer

__all__ = ["VirtualNetwork"]


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
        self.output = Softmax() if output is None else deepcopy(one_layer((output,)))

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
