"""Synthesizers: layers that guess the gradient at an interface, and learn from what comes."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.activations import ReLU
from tinydni.backend import Array
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Sequential, one_layer
from tinydni.layer import Layer, batch_sum, zeros
from tinydni.linear import Linear
from tinydni.optimizers import Optimizer, as_optimizer

__all__ = ["LinearSynthesizer", "NetworkSynthesizer", "Synthesizer", "mlp_synthesizer",
           "widths_read"]


class Synthesizer(Layer):
    """The contract: delta_hat = forward(h, context), the gradient of each example's own loss at h.

    That is N times the gradient of the batch mean, so that neither the weights of the synthesizer
    nor its step size depend on the batch size. backward(ddelta_hat) sets the gradients of its own
    parameters; no gradient flows from a synthesizer into h or into the context.
    h, delta_hat (N, H);   context (N, C): what else is known in training, such as one-hot labels.
    """

    sees: tuple[str, ...] = ("h", "context")
    h: Any                      # what the last forward pass saw
    context: Any = None
    delta_hat: Any = None
    used: Any = None            # the guess of the last `learn`: these weights no longer make it
    error: Any = None           # of the last `learn`
    later: Any = None           # what is guessed at the next boundary in time, for who foretells it

    def forward(self, h: Array, context: Array | None = None) -> Array:
        """Return delta_hat."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def learn(self, h: Array, context: Array | None, target: Array,
              lr: float | Optimizer) -> None:
        """Take one step on 1/2 ‖delta_hat - target‖², summed over features, mean over the batch.

        target (N, H): delta, as the module above reports it, however late. The forward pass is run
        again if the last one saw something else, or was learned from already. Plain gradient
        descent is stable for a learning rate below 2 / λmax(hᵀh / N).
        """
        checks.check_same_dtype(h, target, "h", "target")
        if self.delta_hat is self.used or h is not self.h or context is not self.context:
            self.forward(h, context)
        checks.check_same_shape(target, self.delta_hat, "target", f"the guess of {self!r}")
        self.error = self.delta_hat - target
        self.backward(self.error / len(h))
        self.update(as_optimizer(lr))
        self.used = self.delta_hat

    def loss(self) -> Any:
        """Return the loss of the last `learn`, before its update; None if there was none."""
        if self.error is None:
            return None
        return 0.5 * self.xp.vdot(self.error, self.error) / len(self.error)


class LinearSynthesizer(Synthesizer):
    """delta_hat = h A + context C + b (Jaderberg et al. 2016, section 3.1; with labels "cDNI").

    A (H, H), C (C, H), b (H,): zero at the start, so that the first guess is "no gradient".

    Parameters
    ----------
    n_h, n_context : H and C; with C = 0 the context is None
    reads_h, dtype : False leaves h A out, the control that sees only the context; of A, C and b

    Examples
    --------
    >>> import numpy as np
    >>> h, delta = np.ones((4, 2), np.float32), np.full((4, 2), 3, np.float32)
    >>> synthesizer = LinearSynthesizer(2)
    >>> for _ in range(50):
    ...     synthesizer.learn(h, None, delta, lr=0.3)
    >>> synthesizer.forward(h)[0]
    array([3., 3.], dtype=float32)
    """

    decayed = ("A", "C")

    def __init__(self, n_h: int, n_context: int = 0, reads_h: bool = True, dtype: Any = np.float32):
        n_h = self.n_h = checks.check_positive_int(n_h, "n_h")
        n_context = self.n_context = checks.check_positive_int(n_context, "n_context", minimum=0)
        reads_h = self.reads_h = checks.check_bool(reads_h, "reads_h")
        if not (reads_h or n_context):
            raise ValueError("a synthesizer needs something to read: h, or n_context > 0.")
        self.b = zeros((n_h,), dtype)
        if reads_h:
            self.A = zeros((n_h, n_h), dtype)
        if n_context:
            self.C = zeros((n_context, n_h), dtype)
        self.parameters = ("A",) * reads_h + ("C",) * bool(n_context) + ("b",)
        self.sees = ("h",) * reads_h + ("context",) * bool(n_context)
        self.description = widths_read(n_h * reads_h, n_context) + f" -> {n_h}"

    def forward(self, h: Array, context: Array | None = None) -> Array:
        checks.check_rows(h, self.n_h, self.b.dtype, "LinearSynthesizer (h)")
        checks.check_context(context, h, self.n_context, "LinearSynthesizer")
        self.h, self.context = h, context
        delta_hat = h.dot(self.A) if self.reads_h else 0
        if context is not None:
            delta_hat += context.dot(self.C)
        delta_hat += self.b
        self.delta_hat = delta_hat
        return delta_hat

    def backward(self, ddelta_hat: Array) -> None:
        checks.check_gradient(ddelta_hat, self.h.shape, self.b.dtype, "LinearSynthesizer")
        if self.reads_h:
            self.dA = self.h.T.dot(ddelta_hat)
        if self.n_context:
            self.dC = self.context.T.dot(ddelta_hat)
        self.db = batch_sum(self.xp, ddelta_hat)


class NetworkSynthesizer(Synthesizer):
    """delta_hat = net([h, context]): any network, whose last layer, and only that, starts at zero.

    Two zero layers in a row would have zero gradients for ever, and a random last layer sends noise
    down for the first hundreds of steps. h (N, H), or images (N, P, Q, H): there the context is the
    same at every pixel.

    Parameters
    ----------
    net : a layer from H + C features to those of delta_hat
    n_h, n_context : H and C
    description : what repr shows
    """

    def __init__(self, net: Layer, n_h: int, n_context: int = 0, description: str = ""):
        self.net = one_layer((net,))
        self.n_h = checks.check_positive_int(n_h, "n_h")
        self.n_context = checks.check_positive_int(n_context, "n_context", minimum=0)
        self.sees = ("h",) + ("context",) * bool(n_context)
        self.description = description or repr(net)
        net.skip_dx()

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("net", self.net)]

    def forward(self, h: Array, context: Array | None = None) -> Array:
        checks.check_features(h, self.n_h, None, f"{self!r} (h)")
        checks.check_context(context, h, self.n_context, "NetworkSynthesizer")
        self.h, self.context = h, context
        self.delta_hat = self.net.forward(beside(self.xp, h, context))
        return self.delta_hat

    def backward(self, ddelta_hat: Array) -> None:
        self.net.backward(ddelta_hat)


def beside(xp: Any, h: Array, context: Array | None) -> Array:
    """Return [h, context] along the last axis, the context at every pixel alike."""
    if context is None:
        return h
    maps = context.reshape(len(h), *(1,) * (h.ndim - 2), -1)
    return xp.concatenate([h, xp.broadcast_to(maps, (*h.shape[:-1], maps.shape[-1]))], axis=-1)


def mlp_synthesizer(n_h: int, rng: np.random.Generator, n_context: int = 0,
                    hidden: tuple[int, ...] = (256,),
                    dtype: Any = np.float32) -> NetworkSynthesizer:
    """Return a synthesizer with hidden layers: (Linear, BatchNorm, ReLU) for each, then Linear.

    Batch normalisation always uses the batch here. hidden: the widths (Jaderberg et al. 2016,
    appendix: two of 1024);   n_h, n_context: H and C;   rng: draws the weights.
    """
    hidden, n_h = tuple(checks.check_sizes(hidden, "hidden")), checks.check_positive_int(n_h, "n_h")
    layers: list[Layer] = []
    n_in = n_h + checks.check_positive_int(n_context, "n_context", minimum=0)
    for width in hidden:
        layers += [Linear(n_in, width, rng, dtype=dtype),
                   BatchNorm(width, momentum=0, dtype=dtype), ReLU()]
        n_in = width
    net = Sequential(*layers, Linear(n_in, n_h, rng, std=0, dtype=dtype))
    widths = " -> ".join([widths_read(n_h, n_context), *map(str, hidden), str(n_h)])
    return NetworkSynthesizer(net, n_h, n_context, widths)


def widths_read(n_h: int, n_context: int) -> str:
    """Say what a synthesizer reads, such as "256 + 10 context"."""
    return " + ".join([f"{n_h}"] * (n_h > 0) + [f"{n_context} context"] * (n_context > 0))
