"""Rules that turn gradients into steps, in place; their memory is kept per parameter path.

Every rule has a learning rate `lr`, a `factor` that a schedule sets (the step uses lr · factor), a
`weight_decay` λ (adds λW to the gradient of weights, not of biases or normalisation scales), and `clip_norm`
(scales the gradients of one layer tree down together where their common norm is larger).
"""

import numpy as np

from tinydni import backend, checks


class Optimizer:
    """step(layer) applies the rule of the subclass to every parameter of `layer` and the layers inside it."""

    memory = ()         # names of the arrays that the rule keeps for each parameter

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
        for (path, owner, name), gradient in zip(slots, gradients):
            parameter = getattr(owner, name)
            if self.memory and path not in self.memories:
                self.memories[path] = [layer.xp.zeros_like(parameter) for _ in self.memory]
            self.rule(layer.xp, parameter, gradient, *self.memories.get(path, ()))

    def gradient(self, path, layer, name):
        """The gradient of one parameter, with its weight penalty."""
        gradient = getattr(layer, "d" + name, None)
        if gradient is None:
            raise RuntimeError(f"the gradient of {path!r} was never set: call backward before update.")
        if self.weight_decay and name in layer.decayed:
            return gradient + self.weight_decay * getattr(layer, name)
        return gradient

    def rule(self, xp, p, dp, *memory):
        raise NotImplementedError(f"{type(self).__name__}.rule")

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

    def rule(self, xp, p, dp):
        p -= (self.lr * self.factor) * dp


class Momentum(Optimizer):
    """v ← mu v + dp,   p ← p - lr v  (Polyak 1964; lr stands outside v, as in PyTorch).

    mu: share of the old velocity v that is kept
    """

    memory = ("v",)

    def __init__(self, lr, mu=0.9, **options):
        super().__init__(lr, **options)
        self.mu = float(checks.in_range(mu, "mu", 0, 1, include_high=False))

    def rule(self, xp, p, dp, v):
        v *= self.mu
        v += dp
        p -= (self.lr * self.factor) * v


class RMSProp(Optimizer):
    """v ← rho v + (1 - rho) dp²,   p ← p - lr dp / (sqrt(v) + eps)  (Hinton 2012, lecture 6e)."""

    memory = ("v",)

    def __init__(self, lr, rho=0.9, eps=1e-7, **options):
        super().__init__(lr, **options)
        self.rho = float(checks.in_range(rho, "rho", 0, 1, include_high=False))
        self.eps = float(checks.in_range(eps, "eps", 0, None, include_low=False))

    def rule(self, xp, p, dp, v):
        v *= self.rho
        v += (1 - self.rho) * (dp * dp)
        p -= (self.lr * self.factor) * dp / (xp.sqrt(v) + self.eps)


class Adam(Optimizer):
    """Adam  (Kingma & Ba 2015, algorithm 1).

    m ← b1 m + (1 - b1) dp,   v ← b2 v + (1 - b2) dp²,   c_i = 1 - b_i^t,
    p ← p - lr · (m / c1) / (sqrt(v / c2) + eps).

    Kept are M = m / (1 - b1) and V = v / (1 - b2), so that the constants leave the arrays and join lr and eps:
    with k = sqrt(c2 / (1 - b2)) the step is lr · k (1 - b1) / c1 · M / (sqrt(V) + k eps), in ten passes
    without a temporary array but one.
    """

    memory = ("M", "V")

    def __init__(self, lr, b1=0.9, b2=0.999, eps=1e-8, **options):
        super().__init__(lr, **options)
        self.b1 = float(checks.in_range(b1, "b1", 0, 1, include_high=False))
        self.b2 = float(checks.in_range(b2, "b2", 0, 1, include_high=False))
        self.eps = float(checks.in_range(eps, "eps", 0, None, include_low=False))

    def rule(self, xp, p, dp, M, V):
        k = ((1 - self.b2**self.steps) / (1 - self.b2))**0.5
        M *= self.b1
        M += dp
        u = dp * dp
        V *= self.b2
        V += u
        xp.sqrt(V, out=u)
        u += k * self.eps
        xp.divide(M, u, out=u)
        u *= self.lr * self.factor * k * (1 - self.b1) / (1 - self.b1**self.steps)
        p -= u
