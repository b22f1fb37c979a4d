"""Rules that turn gradients into steps, in place; their memory is kept per parameter path.

Every rule has a learning rate `lr`, a `factor` that a schedule sets (the step uses lr · factor), a
`weight_decay` λ (adds λW to the gradient of weights, not of biases or normalisation scales), and `clip_norm`
(scales the gradients of one layer tree down together where their common norm is larger).

A rule is written twice: `rule` says it with arrays, one operation after the other; `fused` is the same chain as the
body of one kernel, which a GPU runs in one launch. What changes from step to step enters both as `numbers`.
"""

import numpy as np

from tinydni import backend, checks, kernels


class Optimizer:
    """step(layer) applies the rule of the subclass to every parameter of `layer` and the layers inside it."""

    memory = ()         # names of the arrays that the rule keeps for each parameter
    constants = ()      # names of its numbers that never change
    numbers_of = ("rate",)      # names of those that change from step to step
    fused = None        # the rule as the body of a kernel, see kernels.chain, over p, dp and these names; or None
    scalars = None      # the numbers as arrays (), while a step is captured as a graph: see capture.py

    def __init__(self, lr, weight_decay=0.0, clip_norm=None):
        self.lr = float(checks.in_range(lr, "lr", 0, None))
        self.weight_decay = float(checks.in_range(weight_decay, "weight_decay", 0, None))
        if clip_norm is not None:
            checks.in_range(clip_norm, "clip_norm", 0, None, include_low=False)
        self.clip_norm = clip_norm
        self.factor = 1.0
        self.steps = 0
        self.memories = {}
        self.layer = None

    def step(self, layer):
        """One update. Raises RuntimeError where a gradient was never set, or the memory is another layer's."""
        if self.memory and self.layer not in (None, layer):
            raise RuntimeError(f"{self!r} keeps the memory of another layer; make one optimizer for each.")
        slots = layer.slots()
        gradients = [self.gradient(*slot) for slot in slots]
        self.layer = layer
        self.steps += 1
        if self.clip_norm is not None:
            gradients = clip_by_norm(layer.xp, gradients, self.clip_norm)
        numbers = self.scalars or self.numbers(self.steps)
        rule = self.rule if layer.xp is np or not (self.fused and kernels.fuses(layer.xp)) else self.in_one_launch
        for (path, owner, name), gradient in zip(slots, gradients):
            parameter = getattr(owner, name)
            if self.memory and path not in self.memories:
                self.memories[path] = [layer.xp.zeros_like(parameter) for _ in self.memory]
            rule(layer.xp, parameter, gradient, *self.memories.get(path, ()), *numbers)

    def gradient(self, path, layer, name):
        """The gradient of one parameter, with its weight penalty."""
        gradient = getattr(layer, "d" + name, None)
        if gradient is None:
            raise RuntimeError(f"the gradient of {path!r} was never set: call backward before update.")
        if self.weight_decay and name in layer.decayed:
            return gradient + self.weight_decay * getattr(layer, name)
        return gradient

    def numbers(self, t):
        """What changes from step to step, as Python floats, in step t, counted from 1."""
        return (self.lr * self.factor,)

    def rule(self, xp, p, dp, *memory_and_numbers):
        """The step of one parameter p with its gradient dp, in place. The numbers are floats or arrays ()."""
        raise NotImplementedError(f"{type(self).__name__}.rule")

    def in_one_launch(self, xp, p, dp, *memory_and_numbers):
        """The same step as one kernel."""
        memory, numbers = memory_and_numbers[:len(self.memory)], memory_and_numbers[len(self.memory):]
        inputs = ("dp", *self.constants, *self.numbers_of)
        kernel = kernels.chain(xp, type(self).__name__, inputs, ("p", *self.memory), self.fused)
        kernel(dp, *(getattr(self, name) for name in self.constants), *numbers, p, *memory)

    def state(self):
        """What a continued run needs: the number of steps and the memory of each parameter, copied to the host."""
        arrays = {f"{path}/{name}": backend.to_numpy(array).copy()
                  for path, slots in self.memories.items() for name, array in zip(self.memory, slots)}
        return {"steps": np.array(self.steps), **arrays}

    def check_state(self, state, layer):
        """Raises KeyError unless `state` is the memory of this rule for the parameters of `layer`."""
        needed = {"steps"}
        if state.get("steps"):
            needed |= {f"{path}/{name}" for path, _, _ in layer.slots() for name in self.memory}
        if state.keys() != needed:
            raise KeyError(f"the saved memory does not fit {self!r}: got {sorted(state)}, needed is {sorted(needed)}. "
                           "Go on with the rule that the run began with.")

    def load_state(self, state, layer):
        """Takes a state from `state()` as the memory of `layer`. Raises as `check_state`, and then nothing has changed."""
        self.check_state(state, layer)
        self.steps, self.layer = int(state["steps"]), layer
        paths = [path for path, _, _ in layer.slots() if self.steps]
        self.memories = {path: [backend.moved(state[f"{path}/{name}"], layer.xp) for name in self.memory] for path in paths}

    def to(self, xp=None, dtype=None):
        """Moves the memory to another backend, another dtype, or both. Returns the optimizer itself."""
        for arrays in self.memories.values():
            arrays[:] = [backend.moved(array, xp, dtype) for array in arrays]
        return self

    def __repr__(self):
        return f"{type(self).__name__}(lr={self.lr:g})"


def clip_by_norm(xp, gradients, limit):
    """Returns the gradients scaled so that their common norm is at most `limit`  (Pascanu et al. 2013, alg. 1).

    The factor stays on the device: nothing waits for its value.
    """
    if not gradients:
        return gradients
    norm = xp.sqrt(sum(xp.vdot(g, g) for g in gradients))
    scale = xp.minimum(limit / (norm + 1e-12), 1).astype(gradients[0].dtype)
    return [g * scale for g in gradients]


class SGD(Optimizer):
    """p ← p - lr · dp."""

    fused = "p -= rate * dp"

    def rule(self, xp, p, dp, rate):
        p -= rate * dp


class Momentum(Optimizer):
    """v ← mu v + dp,   p ← p - lr v  (Polyak 1964; lr stands outside v, as in PyTorch).

    mu: share of the old velocity v that is kept
    """

    memory = ("v",)
    constants = ("mu",)
    fused = "v = mu * v + dp; p -= rate * v"

    def __init__(self, lr, mu=0.9, **options):
        super().__init__(lr, **options)
        self.mu = float(checks.in_range(mu, "mu", 0, 1, include_high=False))

    def rule(self, xp, p, dp, v, rate):
        v *= self.mu
        v += dp
        p -= rate * v


class RMSProp(Optimizer):
    """v ← rho v + (1 - rho) dp²,   p ← p - lr dp / (sqrt(v) + eps)  (Hinton 2012, lecture 6e)."""

    memory = ("v",)
    constants = ("rho", "share", "eps")
    fused = "v = rho * v + share * (dp * dp); p -= rate * dp / (sqrt(v) + eps)"

    def __init__(self, lr, rho=0.9, eps=1e-7, **options):
        super().__init__(lr, **options)
        self.rho = float(checks.in_range(rho, "rho", 0, 1, include_high=False))
        self.share = 1 - self.rho
        self.eps = float(checks.in_range(eps, "eps", 0, None, include_low=False))

    def rule(self, xp, p, dp, v, rate):
        v *= self.rho
        v += self.share * (dp * dp)
        p -= rate * dp / (xp.sqrt(v) + self.eps)


class Adam(Optimizer):
    """Adam  (Kingma & Ba 2015, algorithm 1).

    m ← b1 m + (1 - b1) dp,   v ← b2 v + (1 - b2) dp²,   c_i = 1 - b_i^t,
    p ← p - lr · (m / c1) / (sqrt(v / c2) + eps).

    Kept are M = m / (1 - b1) and V = v / (1 - b2), so that the constants leave the arrays and join lr and eps:
    with k = sqrt(c2 / (1 - b2)) the step is lr · k (1 - b1) / c1 · M / (sqrt(V) + k eps), in ten passes
    without a temporary array but one. The two numbers that change are rate = lr k (1 - b1) / c1 and least = k eps.
    """

    memory = ("M", "V")
    constants = ("b1", "b2")
    numbers_of = ("rate", "least")
    fused = "M = b1 * M + dp; V = b2 * V + dp * dp; p -= rate * (M / (sqrt(V) + least))"

    def __init__(self, lr, b1=0.9, b2=0.999, eps=1e-8, **options):
        super().__init__(lr, **options)
        self.b1 = float(checks.in_range(b1, "b1", 0, 1, include_high=False))
        self.b2 = float(checks.in_range(b2, "b2", 0, 1, include_high=False))
        self.eps = float(checks.in_range(eps, "eps", 0, None, include_low=False))

    def numbers(self, t):
        k = ((1 - self.b2**t) / (1 - self.b2))**0.5
        return self.lr * self.factor * k * (1 - self.b1) / (1 - self.b1**t), k * self.eps

    def rule(self, xp, p, dp, M, V, rate, least):
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
