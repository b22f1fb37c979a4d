"""Forward-Forward: every module tells real images from false ones; nothing comes down."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from tinydni.activations import sigmoid
from tinydni.algorithms import Algorithm
from tinydni.backend import Array, asarray
from tinydni.checks import check_positive_int
from tinydni.dni import DNI, Network
from tinydni.layer import Layer
from tinydni.losses import Loss
from tinydni.optimizers import Optimizer
from tinydni.random import stream

__all__ = ["ForwardForward", "ForwardForwardNetwork", "Goodness", "forward_forward"]

STRENGTH = 10       # of a label in an image whose values reach 3; of a 1 a network sees too little


class Goodness(Loss):
    """loss = 1/N sum of log(1 + exp(-s (g - θ))),   g = the sum of h² over an example.

    dh = -2 s σ(-s (g - θ)) h / N.   h (N, ...);   s (N,): 1 for a real example, which shall have a
    goodness g above θ, -1 for a false one (Hinton 2022, section 2, eq. 1).

    Parameters
    ----------
    threshold : θ for each number in h; BatchNorm and ReLU begin with a mean h² of a half
    """

    def __init__(self, threshold: float = 0.5):
        self.threshold = threshold

    def forward(self, prediction: Array, target: Array) -> Array:
        self.h, self.s = prediction, target
        per_example = prediction.size // len(prediction)
        self.margin = target * (mean_square(prediction) - self.threshold) * per_example
        return self.xp.logaddexp(0, -self.margin).mean()

    def backward(self) -> Array:
        dg = -self.s * sigmoid(self.xp, -self.margin) / len(self.h)
        return 2 * dg.reshape(-1, *(1,) * (self.h.ndim - 1)) * self.h


class ForwardForward(Algorithm):
    """One step: every image with its own label and with a wrong one, through every module.

    h_0 = [x with label y, x with another label],   h_k = block(h_{k-1} / rms(h_{k-1})),
    and each module steps on its own Goodness. The division hides the goodness from the next module.

    Each module sees what comes up, and whether it is real. It waits for its input alone: the
    backward and the update lock are gone, and no message comes down. It costs two forward passes,
    and at inference one for each class. *Mono-Forward* (Gong et al. 2025, arXiv 2501.09238) has a
    classifier in the place of the goodness: that is `LocalHead`, the layer-wise loss.

    Parameters
    ----------
    n_classes : K
    seed : of the wrong labels
    """

    def __init__(self, n_classes: int, seed: int):
        self.n_classes = check_positive_int(n_classes, "n_classes", minimum=2)
        self.rng = stream(seed, "sample")

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        xp, K, N = modules[0].block.xp, self.n_classes, len(x)
        wrong = (target + asarray(xp, self.rng.integers(1, K, size=N))) % K
        h = xp.concatenate([labelled(xp, x, target, K), labelled(xp, x, wrong, K)])
        s = xp.ones(2 * N, x.dtype)
        s[N:] = -1
        for module in modules:
            _, h = module.forward_and_synthetic_update(h, None, s)

    def arrays(self) -> Iterator[tuple[str, Any]]:
        yield "rng", self.rng


class ForwardForwardModule(DNI):
    """A DNI module that evens out its input, and keeps the goodness of its output."""

    def forward(self, x: Array) -> Array:
        rms = self.block.xp.sqrt(mean_square(x) + 1e-8)
        h = self.block.forward(x / rms.reshape(-1, *(1,) * (x.ndim - 1)))
        self.goodness = mean_square(h)
        return h


class ForwardForwardNetwork(Network):
    """A network that scores every label: predict(x)[n, k] = the goodness of x[n] with label k."""

    def predict(self, x: Array, batch_size: int = 2000) -> Array:
        """Return the scores (N, K), sums over the modules, in evaluation mode."""
        xp, K = self.modules[0].block.xp, self.algorithm.n_classes    # type: ignore[attr-defined]
        parts = []
        for start in range(0, len(x), batch_size):
            part, scores = x[start:start + batch_size], []
            for k in range(K):
                super().predict(labelled(xp, part, xp.full(len(part), k), K), batch_size)
                modules: list[Any] = self.modules
                scores.append(sum(module.goodness for module in modules))
            parts.append(xp.stack(scores, axis=1))
        return xp.concatenate(parts)


def forward_forward(blocks: Sequence[Layer], lr: Callable[[], Optimizer], n_classes: int,
                    seed: int, threshold: float = 0.5) -> ForwardForwardNetwork:
    """Return the network of the hidden blocks; the last block, an output, has nothing to do.

    Parameters
    ----------
    blocks : as `build` takes them; copied
    lr : makes the optimizer of each module
    n_classes, seed : as in ForwardForward
    threshold : θ of every module
    """
    *hidden, _ = deepcopy(list(blocks))
    for block in hidden:
        block.skip_dx()                         # nobody asks a module for a gradient
    modules = [ForwardForwardModule(block, lr(), loss=Goodness(threshold)) for block in hidden]
    return ForwardForwardNetwork(modules, ForwardForward(n_classes, seed))


def mean_square(h: Array) -> Array:
    """Return the mean of h² of every example (N,)."""
    return (h * h).reshape(len(h), -1).mean(axis=1)


def labelled(xp: Any, x: Array, label: Array, n_classes: int) -> Array:
    """Return x with its first K numbers replaced by the one-hot label (N,), times STRENGTH."""
    marked = x.reshape(len(x), -1).copy()
    marked[:, :n_classes] = STRENGTH * (label[:, None] == xp.arange(n_classes))
    return marked.reshape(x.shape)
