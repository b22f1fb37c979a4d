"""Rules that turn gradients into steps, in place, and schedules of the learning rate."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tinydni.backend import Array, moved
from tinydni.checks import check_can, check_move, check_positive_int, check_range, check_sizes

__all__ = ["Adam", "Constant", "CosineDecay", "LinearDecay", "Momentum", "Optimizer", "RMSProp",
           "SGD", "StepDecay", "as_optimizer"]


class Optimizer:
    """The contract of a rule: step(layer) changes every parameter in `layer` by its gradient.

    Parameters
    ----------
    lr : learning rate; a step uses lr · scale, where a schedule sets the attribute `scale`
    weight_decay : λ, adds λ W to the gradient of weights, not of biases or normalisation scales
    clip_norm : the gradients of one layer tree are scaled down together where they are longer
    """

    state_names: tuple[str, ...] = ()       # the arrays that the rule keeps for each parameter
    rule: Callable[..., None]               # rule(xp, p, dp, *state, *numbers), in place

    def __init__(self, lr: float, weight_decay: float = 0.0, clip_norm: float | None = None):
        self.lr = check_range(lr, "lr", 0, None)
        self.weight_decay = check_range(weight_decay, "weight_decay", 0, None)
        if clip_norm is not None:
            check_range(clip_norm, "clip_norm", 0, None, include_low=False)
        self.clip_norm = clip_norm
        self.scale = 1.0
        self.steps = 0
        self.states: dict[str, list[Array]] = {}
        self.layer: Any = None
        self.slots: list[tuple[str, Any, str]] = []     # of the layer, which must not hold itself

    def step(self, layer: Any) -> None:
        """Change the parameters of `layer` and of the layers inside it, in place.

        Which layers are inside it is read once, in the first step.
        """
        fresh = layer is not self.layer or layer is None
        if fresh:
            check_can(layer, "layer", "a layer, such as Linear(4, 3, rng)", "slots")
        slots = layer.slots() if fresh else self.slots
        gradients = [getattr(owner, "d" + name, None) for _, owner, name in slots]
        if missing := [path for (path, *_), dp in zip(slots, gradients) if dp is None]:
            raise RuntimeError(f"gradient of {missing[0]!r} was never set: call backward first.")
        if fresh:
            self.belong_to(layer)
        self.steps += 1
        if self.clip_norm is not None:
            gradients = clip_by_norm(layer.xp, gradients, self.clip_norm)
        numbers = self.numbers(self.steps)
        for (path, owner, name), gradient in zip(slots, gradients):
            p = getattr(owner, name)
            if self.weight_decay and name in owner.decayed:
                gradient = gradient + self.weight_decay * p
            state = self.state_of(path, layer.xp, p) if self.state_names else ()
            self.rule(layer.xp, p, gradient, *state, *numbers)

    def belong_to(self, layer: Any) -> None:
        """Keep the state of this layer from now on."""
        if self.state_names and self.layer not in (None, layer):
            raise RuntimeError(f"{self!r} is of another layer; make one optimizer for each.")
        self.layer, self.slots = layer, layer.slots()

    def state_of(self, path: str, xp: Any, p: Array) -> list[Array]:
        """Return the state of one parameter, zero at first."""
        if self.state_names and path not in self.states:
            self.states[path] = [xp.zeros_like(p) for _ in self.state_names]
        return self.states.get(path, [])

    def numbers(self, t: int) -> tuple[Any, ...]:
        """Return what changes from step to step, in step t, counted from 1."""
        return (self.lr * self.scale,)

    def arrays(self, layer: Any) -> Iterator[tuple[str, Any]]:
        """Yield (path, array or number) of all that a continued run needs, see Stateful."""
        if layer is not self.layer:
            self.belong_to(layer)
        yield "steps", (self, "steps")
        for path, owner, name in self.slots:
            state = self.state_of(path, layer.xp, getattr(owner, name))
            yield from zip((f"{path}/{each}" for each in self.state_names), state)

    def to(self, xp: Any = None, dtype: Any = None) -> "Optimizer":
        """Move the state to another backend, another dtype, or both. Return the optimizer."""
        check_move(xp, dtype)
        for arrays in self.states.values():
            arrays[:] = [moved(array, xp, dtype) for array in arrays]
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(lr={self.lr:g})"


def as_optimizer(lr: "float | Optimizer") -> Optimizer:
    """Return an optimizer; a number is the learning rate of plain gradient descent."""
    return lr if isinstance(lr, Optimizer) else SGD(lr)


def clip_by_norm(xp: Any, gradients: list[Array], limit: float) -> list[Array]:
    """Scale gradients so that their common norm is at most `limit` (Pascanu et al. 2013)."""
    if not gradients:
        return gradients
    norm = xp.sqrt(sum(xp.vdot(g, g) for g in gradients))
    scale = xp.minimum(limit / (norm + 1e-12), 1).astype(gradients[0].dtype)
    return [g * scale for g in gradients]


class SGD(Optimizer):
    """p ← p - lr · dp."""

    def rule(self, xp: Any, p: Array, dp: Array, rate: float) -> None:
        p -= rate * dp


class Momentum(Optimizer):
    """v ← mu v + dp,   p ← p - lr v   (Polyak 1964; lr stands outside v, as in PyTorch)."""

    state_names = ("v",)

    def __init__(self, lr: float, mu: float = 0.9, **options: Any):
        super().__init__(lr, **options)
        self.mu = check_range(mu, "mu", 0, 1, include_high=False)

    def rule(self, xp: Any, p: Array, dp: Array, v: Array, rate: float) -> None:
        v *= self.mu
        v += dp
        p -= rate * v


class RMSProp(Optimizer):
    """v ← rho v + (1 - rho) dp²,   p ← p - lr dp / (sqrt(v) + eps)   (Hinton 2012, lecture 6e)."""

    state_names = ("v",)

    def __init__(self, lr: float, rho: float = 0.9, eps: float = 1e-7, **options: Any):
        super().__init__(lr, **options)
        self.rho = check_range(rho, "rho", 0, 1, include_high=False)
        self.eps = check_range(eps, "eps", 0, None, include_low=False)

    def rule(self, xp: Any, p: Array, dp: Array, v: Array, rate: float) -> None:
        v *= self.rho
        v += (1 - self.rho) * (dp * dp)
        p -= rate * dp / (xp.sqrt(v) + self.eps)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1).

    m ← b1 m + (1 - b1) dp,   v ← b2 v + (1 - b2) dp²,   c_i = 1 - b_i^t,
    p ← p - lr · (m / c1) / (sqrt(v / c2) + eps).

    Kept are M = m / (1 - b1) and V = v / (1 - b2), so that the constants leave the arrays: with
    k = sqrt(c2 / (1 - b2)) the step is rate · M / (sqrt(V) + least), where
    rate = lr k (1 - b1) / c1 and least = k eps. That takes ten passes and one temporary array.
    """

    state_names = ("M", "V")

    def __init__(self, lr: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8,
                 **options: Any):
        super().__init__(lr, **options)
        self.b1 = check_range(b1, "b1", 0, 1, include_high=False)
        self.b2 = check_range(b2, "b2", 0, 1, include_high=False)
        self.eps = check_range(eps, "eps", 0, None, include_low=False)

    def numbers(self, t: int) -> tuple[Any, ...]:
        k = ((1 - self.b2**t) / (1 - self.b2))**0.5
        return self.lr * self.scale * k * (1 - self.b1) / (1 - self.b1**t), k * self.eps

    def rule(self, xp: Any, p: Array, dp: Array, M: Array, V: Array, rate: float,
             least: float) -> None:
        M *= self.b1
        M += dp
        u = dp * dp
        V *= self.b2
        V += u
        xp.sqrt(V, out=u)
        u += least
        xp.divide(M, u, out=u)
        u *= rate
        p -= u


# Schedules: from the number of the step, counted from 0, to a scale of the learning rate. The step
# is that of the run: a module that updates rarely decays with the clock of all.

class Constant:
    """scale = 1."""

    def __call__(self, step: int) -> float:
        return 1.0


class LinearDecay:
    """scale = 1 - step / n_steps, zero from step n_steps on."""

    def __init__(self, n_steps: int):
        self.n_steps = check_positive_int(n_steps, "n_steps")

    def __call__(self, step: int) -> float:
        return max(0.0, 1 - check_positive_int(step, "step", 0) / self.n_steps)


class CosineDecay:
    """scale = (1 + cos(pi · share of the way)) / 2, after a linear rise over `warm_up` steps.

    Source: Loshchilov & Hutter 2017.
    """

    def __init__(self, n_steps: int, warm_up: int = 0):
        self.n_steps = check_positive_int(n_steps, "n_steps")
        self.warm_up = check_positive_int(warm_up, "warm_up", 0, self.n_steps - 1)

    def __call__(self, step: int) -> float:
        if check_positive_int(step, "step", 0) < self.warm_up:
            return (step + 1) / self.warm_up
        share = min(1.0, (step - self.warm_up) / (self.n_steps - self.warm_up))
        return (1 + math.cos(math.pi * share)) / 2


class StepDecay:
    """scale = gamma ^ (number of boundaries passed), such as the steps (300_000, 400_000)."""

    def __init__(self, boundaries: Iterable[int], gamma: float = 0.1):
        self.boundaries = sorted(check_sizes(boundaries, "boundaries"))
        self.gamma = check_range(gamma, "gamma", 0, 1, include_low=False)

    def __call__(self, step: int) -> float:
        step = check_positive_int(step, "step", 0)
        return float(self.gamma ** sum(step >= b for b in self.boundaries))
