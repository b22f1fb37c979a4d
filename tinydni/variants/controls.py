"""Controls: any synthesizer with one thing changed, and a loss of its own at every interface."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from tinydni import checks
from tinydni.activations import Softmax
from tinydni.backend import Array
from tinydni.containers import one_layer
from tinydni.layer import Layer
from tinydni.optimizers import Optimizer
from tinydni.synthesizers import Synthesizer

__all__ = ["Flattened", "Frozen", "LocalHead", "Scaled"]


class Wrapper(Synthesizer):
    """A synthesizer around another."""

    def __init__(self, synthesizer: Synthesizer):
        checks.check_can(synthesizer, "synthesizer", "a synthesizer", "sees", "learn")
        if isinstance(synthesizer, Frozen):
            raise TypeError(f"{type(self).__name__}: freeze a synthesizer once, and last, as in "
                            f"Frozen(Scaled(...)), or it learns; got {synthesizer!r}.")
        self.synthesizer = synthesizer
        self.sees = synthesizer.sees

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("synthesizer", self.synthesizer)]

    def forward(self, h: Array, context: Array | None = None) -> Array:
        self.h, self.context = h, context
        self.delta_hat = self.synthesizer.forward(h, context)
        return self.delta_hat

    def backward(self, ddelta_hat: Array) -> None:
        self.synthesizer.backward(ddelta_hat)

    def describe(self) -> str:
        return repr(self.synthesizer)


class Frozen(Wrapper):
    """Any synthesizer, kept as it started; `learn` measures its error and changes nothing.

    Around a virtual network it is Miyato et al. 2017, section 4, alpha_gs = 0: the module below
    then learns to be read by a fixed random network. A synthesizer that starts at zero guesses
    zero for ever.
    """

    def backward(self, ddelta_hat: Array) -> None:
        pass

    def update(self, lr: float | Optimizer) -> None:
        pass


class Flattened(Wrapper):
    """delta_hat = synthesizer(h laid end to end, context) in the shape of h.

    h, delta_hat (N, P, Q, C): images;   synthesizer: of width P Q C. Every pixel of every channel
    has its own weights, as nothing is shared between places.
    """

    def forward(self, h: Array, context: Array | None = None) -> Array:
        self.h, self.context = h, context
        guess = self.synthesizer.forward(h.reshape(len(h), -1), context)
        self.delta_hat = guess.reshape(h.shape)
        return self.delta_hat

    def backward(self, ddelta_hat: Array) -> None:
        self.synthesizer.backward(ddelta_hat.reshape(len(ddelta_hat), -1))


class Scaled(Wrapper):
    """delta_hat = scale · synthesizer(h, context);   what it learns stays the unscaled gradient.

    Least squares makes a guess that is shorter than the truth, the more so the less of it can be
    known: the norm ratio is about the cosine. A module below then learns at that fraction of its
    rate, unless the guess is scaled up again.
    """

    def __init__(self, synthesizer: Synthesizer, scale: float):
        super().__init__(synthesizer)
        self.scale = checks.check_range(scale, "scale", 0, None, include_low=False)

    def forward(self, h: Array, context: Array | None = None) -> Array:
        self.delta_hat = super().forward(h, context) * self.scale
        return self.delta_hat

    def learn(self, h: Array, context: Array | None, target: Array,
              lr: float | Optimizer) -> None:
        checks.check_floats(target, "Scaled", "target")
        super().learn(h, context, target * self.scale, lr)

    def backward(self, ddelta_hat: Array) -> None:
        super().backward(ddelta_hat / self.scale)

    def loss(self) -> Any:
        """Return the loss of the unscaled guess."""
        loss = super().loss()
        return None if loss is None else loss / self.scale**2

    def describe(self) -> str:
        return f"{self.scale:g} x {self.synthesizer!r}"


class LocalHead(Synthesizer):
    """The gradient of a classifier on h that learns the label itself: "layer-wise supervised loss".

    delta_hat = gradient of loss(net(h), t) with respect to h, per example, as in VirtualNetwork;
    but net descends that same loss, mean over the batch, and the message from above is not used:
    no module learns what another needs (Miyato et al. 2017).

    Parameters
    ----------
    net : layer from h (N, ...) to K logits, such as Linear
    n_context : K, of the context (N, K): one-hot labels, or bits
    output : Softmax by default, Sigmoid for bits
    """

    def __init__(self, net: Layer, n_context: int, output: Layer | None = None):
        self.net = one_layer((net,))
        self.n_context = checks.check_positive_int(n_context, "n_context")
        self.output = Softmax() if output is None else deepcopy(one_layer((output,)))

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("net", self.net), ("output", self.output)]

    def forward(self, h: Array, context: Array | None = None) -> Array:
        checks.check_context(context, h, self.n_context, "LocalHead")
        self.h, self.context = h, context
        z = self.net.forward(h)
        checks.check_same_shape(z, context, "the output of the local classifier", "the context")
        self.delta_hat = self.net.backward(self.output.forward(z) - context)
        return self.delta_hat

    def backward(self, ddelta_hat: Array) -> None:
        """From the summed loss of the forward pass to the mean; the argument does not matter."""
        for _, layer, name in self.net.slots():
            setattr(layer, "d" + name, getattr(layer, "d" + name) / len(self.h))

    def describe(self) -> str:
        return repr(self.net)
