"""The now-you cells: for each the right answer, typical slips, an example, and another right way.

`course.check` compares with the right answer, names the slip where one fits, and else says where
the numbers differ. The tests try every slip and every other way.
"""

from copy import deepcopy
from math import ceil, comb

import numpy as np
from course import Exercise

import tinydni as td


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def normal(rng, *shape):
    return rng.standard_normal(shape)


def of(**shapes):
    """Return a function rng -> {name: array}; a shape makes an array, anything else stays."""
    def given(rng):
        return {name: normal(rng, *shape) if isinstance(shape, tuple) else
                shape(rng) if callable(shape) and not isinstance(shape, np.ufunc) else shape
                for name, shape in shapes.items()}
    return given


def uniform(*shape):
    return lambda rng: rng.uniform(0.1, 0.9, shape)


def bits(*shape):
    return lambda rng: rng.integers(0, 2, shape).astype(float)


def one_hot(*shape):
    return lambda rng: np.eye(shape[1])[rng.integers(0, shape[1], shape[0])]


def for_each(cases, right, slips, otherwise):
    """Return the exercise whose answer has to be right in several cases [(argument, ...)]."""
    def of_all(function):
        return lambda cases: {f"for {case}": function(*case) for case in cases}
    return Exercise(right=of_all(right), slips={said: of_all(slip) for said, slip in slips.items()},
                    given=lambda rng: {"cases": cases}, otherwise=otherwise,
                    run=lambda answer, given: of_all(answer)(**given))


EXERCISES = {}

# 1. Train a network by hand

EXERCISES["1.1"] = Exercise(
    right=lambda y, t: 0.5 * ((y - t)**2).sum() / len(y),
    slips={"the factor 1/2 is missing.": lambda y, t: ((y - t)**2).sum() / len(y),
           "it is a mean over all numbers. Sum over the outputs, divide by the N examples only.":
           lambda y, t: 0.5 * ((y - t)**2).mean(),
           "it is a sum over the examples. Divide by N, the number of rows.":
           lambda y, t: 0.5 * ((y - t)**2).sum(),
           "the differences are not squared.": lambda y, t: 0.5 * (y - t).sum() / len(y)},
    given=of(y=uniform(7, 3), t=bits(7, 3)),
    otherwise=lambda y, t: np.mean([np.dot(a - b, a - b) / 2 for a, b in zip(y, t)]))


def top_of_page(h2, y, t, W3, dy=None, dz3=None, dW3=None, dh2=None):
    """Return (dy, dz3, dW3, dh2); what is given replaces the right value."""
    dy = (y - t) / len(y) if dy is None else dy
    dz3 = dy * y * (1 - y) if dz3 is None else dz3
    return (dy, dz3, h2.T @ dz3 if dW3 is None else dW3, dz3 @ W3.T if dh2 is None else dh2)


EXERCISES["1.2"] = Exercise(
    right=top_of_page,
    slips={"dy has no 1/N: the loss is a mean over the N examples.":
           lambda h2, y, t, W3: top_of_page(h2, y, t, W3, dy=y - t),
           "dy has the wrong sign: the derivative of (y - t)² / 2 is y - t.":
           lambda h2, y, t, W3: top_of_page(h2, y, t, W3, dy=(t - y) / len(y)),
           "dz3 misses the slope of the sigmoid, y (1 - y).":
           lambda h2, y, t, W3: top_of_page(h2, y, t, W3, dz3=(y - t) / len(y)),
           "dW3 is transposed: it must have the shape of W3, (j, n) times (n, k).":
           lambda h2, y, t, W3: top_of_page(
               h2, y, t, W3, dW3=((y - t) / len(y) * y * (1 - y)).T @ h2)},
    given=of(h2=uniform(9, 5), y=uniform(9, 3), t=bits(9, 3), W3=(5, 3)),
    otherwise=lambda h2, y, t, W3: (
        (y - t) / len(t), (y - t) * (y - y * y) / len(t),
        np.einsum("nj,nk->jk", h2, (y - t) * (y - y * y)) / len(t),
        (W3 @ ((y - t) * (y - y * y) / len(t)).T).T))


def rest_of_page(x, h1, h2, dh2, W2, slope=True, use=None):
    dz2 = dh2 * h2 * (1 - h2) if slope else dh2
    dh1 = dz2 @ W2.T
    dz1 = dh1 * h1 * (1 - h1) if slope else dh1
    return dz2, h1.T @ dz2, dh1, dz1, x.T @ dz1


def rest_with_other_slopes(x, h1, h2, dh2, W2):
    """The slope of the sigmoid taken at the input of the layer instead of at its output."""
    dz2 = dh2 * h2 * (1 - h2)
    dh1 = dz2 @ W2.T
    dz1 = dh1 * sigmoid(h1) * (1 - sigmoid(h1))
    return dz2, h1.T @ dz2, dh1, dz1, x.T @ dz1


EXERCISES["1.3"] = Exercise(
    right=rest_of_page,
    slips={"the slopes of the sigmoids are missing: dz = dh * h * (1 - h).":
           lambda x, h1, h2, dh2, W2: rest_of_page(x, h1, h2, dh2, W2, slope=False),
           "h is already the output of the sigmoid: its slope is h (1 - h), without one more.":
           rest_with_other_slopes,
           "dW2 is made with h2. A weight meets what goes *into* its layer: h1 for W2, x for W1.":
           lambda x, h1, h2, dh2, W2: (dh2 * h2 * (1 - h2), h2.T @ (dh2 * h2 * (1 - h2)),
                                       *rest_of_page(x, h1, h2, dh2, W2)[2:])},
    given=of(x=bits(9, 4), h1=uniform(9, 6), h2=uniform(9, 5), dh2=(9, 5), W2=(6, 5)),
    otherwise=lambda x, h1, h2, dh2, W2: (
        dh2 * (h2 - h2**2), np.dot(h1.T, dh2 * (h2 - h2**2)), np.dot(dh2 * (h2 - h2**2), W2.T),
        np.dot(dh2 * (h2 - h2**2), W2.T) * (h1 - h1**2),
        np.dot(x.T, np.dot(dh2 * (h2 - h2**2), W2.T) * (h1 - h1**2))))


def run_layer(build):
    """Return a function that runs forward and backward of the layer that build(answer) makes."""
    def run(answer, given):
        layer = build(answer, given)
        y = layer.forward(given["x"])
        dx = layer.backward(given["dy"])
        found = {"y": y, "dx": dx}
        return found | {"d" + name: getattr(layer, "d" + name, None)
                        for name in given if name in ("W", "b", "gamma", "beta")}
    return run


def sigmoid_layer(x, dy, W, db=None, slope=True, old=False):
    y = sigmoid(x @ W)
    dz = dy * y * (1 - y) if slope else dy
    return {"y": y, "dx": dz @ W.T, "dW": x.T @ dz}


class OtherSigmoidLayer:
    def __init__(self, W):
        self.W = W

    def forward(self, x):
        self.x = x
        self.y = 0.5 + 0.5 * np.tanh(x.dot(self.W) / 2)
        return self.y

    def backward(self, dy):
        dz = dy * self.y - dy * self.y**2
        self.dW = np.einsum("nj,nk->jk", self.x, dz)
        return np.einsum("nk,jk->nj", dz, self.W)


EXERCISES["1.4"] = Exercise(
    right=sigmoid_layer,
    slips={"the slope of the sigmoid, y (1 - y), is missing in dz.":
           lambda x, dy, W: sigmoid_layer(x, dy, W, slope=False),
           "backward must return dx, the dy of the layer below.":
           lambda x, dy, W: sigmoid_layer(x, dy, W) | {"dx": None},
           "backward must keep dW on self: self.dW = ...":
           lambda x, dy, W: sigmoid_layer(x, dy, W) | {"dW": None},
           "dx is made with dy. It must be made with dz.":
           lambda x, dy, W: sigmoid_layer(x, dy, W) | {"dx": dy @ W.T}},
    given=of(x=(9, 5), dy=(9, 4), W=(5, 4)), otherwise=OtherSigmoidLayer,
    run=run_layer(lambda answer, given: answer(given["W"].copy())))

# 2. Check a gradient

EXERCISES["2.1"] = Exercise(
    right=lambda f, a, step: (f(a + step) - f(a - step)) / (2 * step),
    slips={"that is the one-sided difference: look at f on both sides of a.":
           lambda f, a, step: (f(a + step) - f(a)) / step,
           "the two points are 2 steps apart, so divide by 2 * step.":
           lambda f, a, step: (f(a + step) - f(a - step)) / step,
           "check the brackets: / 2 * step multiplies by the step. Write / (2 * step).":
           lambda f, a, step: (f(a + step) - f(a - step)) / 2 * step},
    given=of(f=np.exp, a=0.7, step=0.1),
    otherwise=lambda f, a, step: 0.5 * (f(a + step) / step - f(a - step) / step))


def dense(x, dy, W, b, slope=True):
    y = sigmoid(x @ W + b)
    dz = dy * y * (1 - y) if slope else dy
    return {"y": y, "dx": dz @ W.T, "dW": x.T @ dz, "db": dz.sum(axis=0)}


def build_dense(answer, given):
    layer = answer(*given["W"].shape, np.random.default_rng(0))
    layer.W, layer.b = given["W"].copy(), given["b"].copy()
    return layer


class OtherDense:
    def __init__(self, n_in, n_out, rng):
        pass

    def forward(self, x):
        self.x = x
        self.y = 1 / (1 + np.exp(-np.dot(x, self.W) - self.b))
        return self.y

    def backward(self, dy):
        dz = dy * (self.y - self.y**2)
        self.dW, self.db = np.dot(self.x.T, dz), np.ones(len(dy)) @ dz
        return np.dot(dz, self.W.T)


def unsummed(x, dy, W, b):
    found = dense(x, dy, W, b)
    dz = dy * found["y"] * (1 - found["y"])
    return found, dz


EXERCISES["2.2"] = Exercise(
    right=dense,
    slips={"db still has one row per example. b is used for every example: sum over them.":
           lambda x, dy, W, b: dense(x, dy, W, b) | {"db": unsummed(x, dy, W, b)[1]},
           "db is a mean over the batch. The chain rule adds up, so it is a sum.":
           lambda x, dy, W, b: dense(x, dy, W, b) | {"db": unsummed(x, dy, W, b)[1].mean(axis=0)},
           "db is made with dy. b stands before the sigmoid, so it must be made with dz.":
           lambda x, dy, W, b: dense(x, dy, W, b) | {"db": dy.sum(axis=0)},
           "the slope of the sigmoid, y (1 - y), is missing in dz.":
           lambda x, dy, W, b: dense(x, dy, W, b, slope=False)},
    given=of(x=(9, 5), dy=(9, 4), W=(5, 4), b=(4,)), otherwise=OtherDense,
    run=run_layer(build_dense))

EXERCISES["2.3"] = Exercise(
    right=lambda got, measured: abs(got - measured) / max(abs(got), abs(measured)),
    slips={"that is the absolute error. Divide by the larger of the two sizes.":
           lambda got, measured: abs(got - measured),
           "divide by the larger of the two *sizes*: take abs of both first.":
           lambda got, measured: abs(got - measured) / max(got, measured),
           "divide by the larger of the two, not by their sum.":
           lambda got, measured: abs(got - measured) / (abs(got) + abs(measured)),
           "the sign of the difference is left: take abs.":
           lambda got, measured: (got - measured) / max(abs(got), abs(measured))},
    given=of(got=-3.0, measured=-2.5),
    otherwise=lambda got, measured: np.abs(np.subtract(got, measured)) / np.max(
        np.abs([got, measured])))


def softplus(x, dy, slope=None):
    return {"y": np.log1p(np.exp(x)), "dx": dy * (sigmoid(x) if slope is None else slope)}


class OtherSoftplus:
    def forward(self, x):
        self.e = np.exp(x)
        return np.log(1 + self.e)

    def backward(self, dy):
        return dy * self.e / (1 + self.e)


EXERCISES["2.4"] = Exercise(
    right=softplus,
    slips={"backward ignores dy: multiply the slope by it.":
           lambda x, dy: softplus(x, dy) | {"dx": sigmoid(x)},
           "that is the slope of the sigmoid. The slope of softplus is the sigmoid itself.":
           lambda x, dy: softplus(x, dy, slope=sigmoid(x) * (1 - sigmoid(x))),
           "the inner derivative is missing: d log(1 + e) = de / (1 + e), and de = e dx.":
           lambda x, dy: softplus(x, dy, slope=1 / (1 + np.exp(x))),
           "backward must return dx.": lambda x, dy: softplus(x, dy) | {"dx": None}},
    given=of(x=(6, 4), dy=(6, 4)), otherwise=OtherSoftplus,
    run=run_layer(lambda answer, given: answer()))

# 3. Guess the gradient

EXERCISES["3.1"] = Exercise(
    right=lambda S, h, delta, a: S - a * h.T @ (h @ S - delta) / len(h),
    slips={"S climbs: the error grows. Go against the gradient.":
           lambda S, h, delta, a: S + a * h.T @ (h @ S - delta) / len(h),
           "the mean over the N examples is missing: divide by len(h).":
           lambda S, h, delta, a: S - a * h.T @ (h @ S - delta),
           "that is the gradient alone. Return the new S, one step further.":
           lambda S, h, delta, a: h.T @ (h @ S - delta) / len(h),
           "the error is only -delta there: what is guessed now, h @ S, is part of it.":
           lambda S, h, delta, a: S + a * h.T @ delta / len(h)},
    given=of(S=(5, 4), h=(9, 5), delta=(9, 4), a=0.3),
    otherwise=lambda S, h, delta, a: (np.eye(5) - a / 9 * h.T @ h) @ S + a / 9 * h.T @ delta)

EXERCISES["3.2"] = Exercise(
    right=lambda h: 2 / np.linalg.eigvalsh(h.T @ h / len(h))[-1],
    slips={"that is the eigenvalue itself. The limit is 2 / λmax.":
           lambda h: np.linalg.eigvalsh(h.T @ h / len(h))[-1],
           "divide h.T @ h by the number of examples first: the step has 1/N in it.":
           lambda h: 2 / np.linalg.eigvalsh(h.T @ h)[-1],
           "that is the smallest eigenvalue; the largest one sets the limit.":
           lambda h: 2 / np.linalg.eigvalsh(h.T @ h / len(h))[0],
           "at 1 / λmax the error is gone in one step. The limit is twice that.":
           lambda h: 1 / np.linalg.eigvalsh(h.T @ h / len(h))[-1]},
    given=of(h=uniform(9, 4)),
    otherwise=lambda h: 2 * len(h) / np.linalg.svd(h)[1][0]**2)


def learned(A, C, b, h, context, delta_hat, dh, lr, N=None, sign=-1, mean=True, bias=True):
    """Return (A, C, b) after one step of a linear synthesizer on the message dh."""
    error = delta_hat - dh * (len(dh) if N is None else N)
    error = sign * lr * error / (len(dh) if mean else 1)
    return A + h.T @ error, C + context.T @ error, b + error.sum(axis=0) if bias else b


def run_learning(answer, given):
    rng = np.random.default_rng(0)
    block = answer(3, len(given["b"]), given["C"].shape[0], rng, lr_S=given["lr"])
    for name in ("A", "C", "b", "h", "context", "delta_hat"):
        setattr(block, name, given[name].copy())
    block.update_synthetic_weights(given["dh"])
    return block.A, block.C, block.b


class OtherDecoupled:
    def __init__(self, n_in, n_out, n_context, rng, lr_S):
        self.lr_S = lr_S

    def update_synthetic_weights(self, true_gradient):
        step = self.lr_S * (true_gradient - self.delta_hat / len(true_gradient))
        self.A = self.A + self.h.T @ step
        self.C = self.C + self.context.T @ step
        self.b = self.b + np.ones(len(step)) @ step


EXERCISES["3.3"] = Exercise(
    right=learned,
    slips={"the message is the gradient of the mean loss; M guesses each example's own. Multiply "
           "the message by N first.": lambda **given: learned(**given, N=1),
           "it climbs: subtract, in all three lines.": lambda **given: learned(**given, sign=+1),
           "the mean over the N examples is missing: divide the error by N.":
           lambda **given: learned(**given, mean=False),
           "b stays where it is. It learns, too: by the sum of the error over the examples.":
           lambda **given: learned(**given, bias=False)},
    given=of(A=(4, 4), C=(3, 4), b=(4,), h=(9, 4), context=(9, 3), delta_hat=(9, 4), dh=(9, 4),
             lr=0.05),
    otherwise=OtherDecoupled, run=run_learning)


def modules_for_step():
    rng = np.random.default_rng(3)
    widths = ((6, 5), (5, 4), (4, 3))
    blocks = [td.Sequential(td.Linear(*width, rng, dtype=np.float64), td.Sigmoid())
              for width in widths]
    net = td.build(blocks, td.MeanSquaredError(), 0.5, algorithm=td.update_decoupled,
                   synthesizer=lambda n: td.LinearSynthesizer(n, n_context=3, dtype=np.float64),
                   synthesizer_lr=0.1)
    for synthesizer in net.synthesizers():
        synthesizer.A[...] = 0.1 * normal(rng, *synthesizer.A.shape)
    return net.modules


def weights_after(step):
    """Return a function of what is given -> all weights after two such steps."""
    def run(modules, x, target, context):
        modules = deepcopy(modules)
        for _ in range(2):
            step(modules, x, target, context)
        return [array.copy() for module in modules for layer in (module.block, module.synthesizer)
                if layer is not None for _, array, _ in layer.named_parameters()]
    return run


def right_step(modules, x, target, context):
    h, below = x, None
    for module in modules:
        dx, h = module.forward_and_synthetic_update(h, context, target)
        if below is not None:
            below.update_synthetic_weights(dx)
        below = module


def other_step(modules, x, target, context):
    sent = []
    for module in modules:
        h = sent[-1][1] if sent else x
        sent.append(module.forward_and_synthetic_update(h, context, target))
    for below, (dx, _) in zip(modules, sent[1:]):
        below.update_synthetic_weights(dx)


def step_without_learning(modules, x, target, context):
    h = x
    for module in modules:
        _, h = module.forward_and_synthetic_update(h, context, target)


def step_without_context(modules, x, target, context):
    h, below = x, None
    for module in modules:
        dx, h = module.forward_and_synthetic_update(h, 0 * context, target)
        if below is not None:
            below.update_synthetic_weights(dx)
        below = module


def step_one_late(modules, x, target, context):
    """Only the topmost message is delivered."""
    h = x
    for module in modules:
        dx, h = module.forward_and_synthetic_update(h, context, target)
    modules[-2].update_synthetic_weights(dx)


EXERCISES["3.4"] = Exercise(
    right=weights_after(right_step),
    slips={"no synthesizer learns: give each message dx to the module below.":
           weights_after(step_without_learning),
           "only one synthesizer learns: send the message of every module down, inside the loop.":
           weights_after(step_one_late),
           "the context does not reach the synthesizers.": weights_after(step_without_context)},
    given=lambda rng: {"modules": modules_for_step(), "x": normal(rng, 9, 6),
                       "target": rng.uniform(size=(9, 3)), "context": normal(rng, 9, 3)},
    otherwise=other_step,
    run=lambda answer, given: weights_after(answer)(**given))

EXERCISES["3.5"] = Exercise(
    right=lambda V: (V @ V.T, -V.T),
    slips={"the sign of C is flipped: t is subtracted in δ.": lambda V: (V @ V.T, V.T),
           "Vᵀ is missing in A: δ goes back through V, too.": lambda V: (V, -V.T),
           "C has the shape (K, H): t is multiplied by Vᵀ.": lambda V: (V @ V.T, -V),
           "A has the shape (H, H): V Vᵀ, not Vᵀ V.": lambda V: (V.T @ V, -V.T)},
    given=of(V=(5, 3)),
    otherwise=lambda V: (np.einsum("hk,gk->hg", V, V), -np.transpose(V)))

# 4. Build the layers


def relu(x, dy, dx=None):
    return {"y": np.maximum(x, 0), "dx": dy * (x > 0) if dx is None else dx}


class OtherReLU:
    def forward(self, x):
        self.y = np.where(x > 0, x, 0)
        return self.y

    def backward(self, dy):
        return np.where(self.y > 0, dy, 0)


EXERCISES["4.1"] = Exercise(
    right=relu,
    slips={"backward looks at the sign of dy. What counts is the sign of x.":
           lambda x, dy: relu(x, dy, np.maximum(dy, 0)),
           "the slope is 1 or 0, not x: where x is positive, dy passes as it is.":
           lambda x, dy: relu(x, dy, dy * np.maximum(x, 0)),
           "backward ignores dy: multiply by it.":
           lambda x, dy: relu(x, dy, (x > 0).astype(float)),
           "the slope is missing: where x is negative, nothing passes.":
           lambda x, dy: relu(x, dy, dy)},
    given=of(x=(6, 5), dy=(6, 5)), otherwise=OtherReLU,
    run=run_layer(lambda answer, given: answer()))

EXERCISES["4.2"] = Exercise(
    right=lambda x, eps: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps),
    slips={"that is over the features of each example. Take the mean over the batch: axis=0.":
           lambda x, eps: (x - x.mean(axis=1, keepdims=True)) / np.sqrt(
               x.var(axis=1, keepdims=True) + eps),
           "divide by the square root of the variance.":
           lambda x, eps: (x - x.mean(axis=0)) / (x.var(axis=0) + eps),
           "the mean is not subtracted.": lambda x, eps: x / np.sqrt(x.var(axis=0) + eps),
           "eps is added to the root. It belongs under the root: var + eps.":
           lambda x, eps: (x - x.mean(axis=0)) / (x.std(axis=0) + eps)},
    given=lambda rng: {"x": 3 + 2 * normal(rng, 8, 5), "eps": 0.1},
    otherwise=lambda x, eps: ((x - x.sum(0) / len(x))
                              * (((x - x.sum(0) / len(x))**2).sum(0) / len(x) + eps)**-0.5))


def batchnorm_dx(dy, x_hat, s, gamma, first=1.0, second=1.0):
    return gamma * s * (dy - first * dy.mean(axis=0) - second * x_hat * (dy * x_hat).mean(axis=0))


EXERCISES["4.3"] = Exercise(
    right=batchnorm_dx,
    slips={"the mean and the variance are treated as constants. They depend on x, too: two terms "
           "are missing.": lambda **given: batchnorm_dx(**given, first=0, second=0),
           "the part through the mean is missing.": lambda **given: batchnorm_dx(**given, first=0),
           "the part through the variance is missing.":
           lambda **given: batchnorm_dx(**given, second=0),
           "gamma is missing: it multiplies everything that comes back.":
           lambda dy, x_hat, s, gamma: batchnorm_dx(dy, x_hat, s, 1),
           "s is missing: the derivative of s (x - mean) has a factor s.":
           lambda dy, x_hat, s, gamma: batchnorm_dx(dy, x_hat, 1, gamma)},
    given=of(dy=(8, 5), x_hat=(8, 5), s=uniform(5), gamma=uniform(5)),
    otherwise=lambda dy, x_hat, s, gamma: (
        gamma * s / 8 * (8 * dy - np.ones(8) @ dy - x_hat * np.einsum("nm,nm->m", dy, x_hat))))

EXERCISES["4.4"] = Exercise(
    right=softmax,
    slips={"the sum runs over the batch. The classes lie along axis 1.":
           lambda z: np.exp(z - z.max(axis=0)) / np.exp(z - z.max(axis=0)).sum(axis=0),
           "the rows do not sum to 1: divide by the sum over the classes.":
           lambda z: np.exp(z - z.max(axis=1, keepdims=True)),
           "exp overflows for large logits: subtract the largest of each row first.":
           lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)},
    given=lambda rng: {"z": 2 * normal(rng, 6, 4) + 900},
    otherwise=lambda z: np.array([np.exp(row - max(row)) / sum(np.exp(row - max(row)))
                                  for row in z]))


def cross_entropy_dz(p, labels, mean=True, sign=1):
    return sign * (p - np.eye(p.shape[1])[labels]) / (len(p) if mean else 1)


EXERCISES["4.5"] = Exercise(
    right=cross_entropy_dz,
    slips={"the loss is a mean over the N examples: divide by N.":
           lambda p, labels: cross_entropy_dz(p, labels, mean=False),
           "the sign is flipped: dz = (p - onehot) / N.":
           lambda p, labels: cross_entropy_dz(p, labels, sign=-1),
           "that is the derivative with respect to p. Go on through the softmax, to the logits z.":
           lambda p, labels: -np.eye(p.shape[1])[labels] / p / len(p),
           "only the entries of the right classes change. All logits share the softmax.":
           lambda p, labels: cross_entropy_dz(p, labels) * np.eye(p.shape[1])[labels]},
    given=lambda rng: {"p": softmax(normal(rng, 6, 4)), "labels": rng.integers(0, 4, 6)},
    otherwise=lambda p, labels: np.stack([(p[:, k] - (labels == k)) / len(p) for k in range(4)], 1))


def adam(p, dp, m, v, t, lr, b1=0.9, b2=0.999, eps=1e-8, correct=True, root=True):
    m = b1 * m + (1 - b1) * dp
    v = b2 * v + (1 - b2) * dp**2
    c1, c2 = (1 - b1**t, 1 - b2**t) if correct else (1, 1)
    return p - lr * m / c1 / ((np.sqrt(v / c2) if root else v / c2) + eps), m, v


def other_adam(p, dp, m, v, t, lr):
    m = m + 0.1 * (dp - m)
    v = v + 0.001 * (dp * dp - v)
    rate = lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return p - rate * m / (np.sqrt(v) + 1e-8 * np.sqrt(1 - 0.999**t)), m, v


EXERCISES["4.6"] = Exercise(
    right=adam,
    slips={"m and v start at zero and are too small at first: divide by 1 - b1**t and 1 - b2**t.":
           lambda **given: adam(**given, correct=False),
           "divide by the root of v: it is a mean of squares.":
           lambda **given: adam(**given, root=False),
           "the step goes uphill: subtract it.": lambda lr, **given: adam(lr=-lr, **given),
           "v is a mean of the squared gradients dp**2, not of dp.":
           lambda p, dp, m, v, t, lr: (
               p - lr * (0.9 * m + 0.1 * dp) / (1 - 0.9**t)
               / (np.sqrt((0.999 * v + 0.001 * dp) / (1 - 0.999**t)) + 1e-8),
               0.9 * m + 0.1 * dp, 0.999 * v + 0.001 * dp)},
    given=of(p=(4, 3), dp=uniform(4, 3), m=(4, 3), v=uniform(4, 3), t=3, lr=0.01),
    otherwise=other_adam)

# 5. Decouple MNIST

EXERCISES["5.1"] = Exercise(
    right=lambda labels, K: np.eye(K)[labels],
    slips={"it is transposed: one row for each example, one column for each class.":
           lambda labels, K: np.eye(K)[labels].T,
           "the columns are off by one: class 0 has column 0.":
           lambda labels, K: np.roll(np.eye(K)[labels], -1, axis=1),
           "the label itself stands in the column. Put a 1 there.":
           lambda labels, K: np.eye(K)[labels] * (labels[:, None])},
    given=lambda rng: {"labels": rng.integers(1, 5, 8), "K": 5},
    otherwise=lambda labels, K: (labels[:, None] == np.arange(K)).astype(float))

EXERCISES["5.3"] = Exercise(
    right=lambda p, P, W: (p - P) @ W.T,
    slips={"the sign is flipped: p is what the network says, P what is true; δ = (p - y) W.T.":
           lambda p, P, W: (P - p) @ W.T,
           "that is the mean of p - y. δ lies at h: multiply by W.T.": lambda p, P, W: p - P,
           "the mean of y given h is missing: y does not vanish in the average.":
           lambda p, P, W: p @ W.T},
    given=lambda rng: {"p": softmax(normal(rng, 7, 4)), "P": softmax(normal(rng, 7, 4)),
                       "W": normal(rng, 6, 4)},
    otherwise=lambda p, P, W: np.einsum("nk,hk->nh", p, W) - np.einsum("nk,hk->nh", P, W))

EXERCISES["5.4"] = Exercise(
    right=lambda guess, delta: 1 - np.sum((guess - delta)**2) / np.sum(delta**2),
    slips={"that is the share that is *not* explained: take it from 1.":
           lambda guess, delta: np.sum((guess - delta)**2) / np.sum(delta**2),
           "divide by the sum of the squares of delta, not of the guess.":
           lambda guess, delta: 1 - np.sum((guess - delta)**2) / np.sum(guess**2),
           "that is the size of the guess. Compare the guess with delta, entry by entry.":
           lambda guess, delta: np.sum(guess**2) / np.sum(delta**2),
           "the differences are not squared.":
           lambda guess, delta: 1 - np.sum(guess - delta) / np.sum(delta)},
    given=lambda rng: {"guess": normal(rng, 9, 4) * 0.3, "delta": normal(rng, 9, 4)},
    otherwise=lambda guess, delta: (2 * np.vdot(guess, delta) - np.vdot(guess, guess)) / np.vdot(
        delta, delta))

EXERCISES["5.2"] = Exercise(
    right=lambda z, labels: 100 * np.mean(z.argmax(axis=1) != labels),
    slips={"that is the share of right answers.":
           lambda z, labels: 100 * np.mean(z.argmax(axis=1) == labels),
           "in percent, please: 100 times that.":
           lambda z, labels: np.mean(z.argmax(axis=1) != labels),
           "that is a number of images. Divide by how many there are.":
           lambda z, labels: 100 * np.sum(z.argmax(axis=1) != labels),
           "that is the smallest output. The answer is the class with the largest one.":
           lambda z, labels: 100 * np.mean(z.argmin(axis=1) != labels)},
    given=lambda rng: {"z": normal(rng, 40, 4) + 2 * np.eye(4)[np.arange(40) % 4],
                       "labels": np.arange(40) % 4},
    otherwise=lambda z, labels: 100 - 100 / 40 * sum(
        np.argmax(row) == k for row, k in zip(z, labels)))

EXERCISES["5.5"] = Exercise(
    right=lambda k, L: L - 1 - k,
    slips={"the top block, k = L - 1, knows its gradient at once: 0 steps.":
           lambda k, L: L - k,
           "that counts from the bottom. The gradient comes from the top.": lambda k, L: k,
           "the block below the top, k = L - 2, gets it one step late.": lambda k, L: L - 2 - k,
           "that is the number of blocks.": lambda k, L: L},
    given=lambda rng: {"k": 1, "L": 6},
    otherwise=lambda k, L: len(range(k + 1, L)))

# 6. Look through a virtual network

EXERCISES["6.1"] = Exercise(
    right=lambda h, V, c, y: (softmax(h @ V + c) - y) @ V.T,
    slips={"that climbs the log-likelihood. The gradient of the loss has p - y.":
           lambda h, V, c, y: (y - softmax(h @ V + c)) @ V.T,
           "that is u, at the logits. Go back through V: multiply by V.T.":
           lambda h, V, c, y: softmax(h @ V + c) - y,
           "the softmax is missing: u = softmax(h V + c) - y.":
           lambda h, V, c, y: (h @ V + c - y) @ V.T,
           "c is missing in the logits.": lambda h, V, c, y: (softmax(h @ V) - y) @ V.T},
    given=of(h=(8, 5), V=(5, 3), c=(3,), y=one_hot(8, 3)),
    otherwise=lambda h, V, c, y: np.array([V @ (softmax(row[None] @ V + c)[0] - t)
                                           for row, t in zip(h, y)]))

EXERCISES["6.2"] = Exercise(
    right=lambda p, du: p * (du - (du * p).sum(axis=1, keepdims=True)),
    slips={"every p depends on every z: the sum over the classes is missing.": lambda p, du: p * du,
           "that is the slope of a sigmoid. In a softmax the classes share one sum.":
           lambda p, du: p * (1 - p) * du,
           "the sum runs over the batch. Take it over the classes: axis=1.":
           lambda p, du: p * (du - (du * p).sum(axis=0)),
           "the p in front is missing.": lambda p, du: du - (du * p).sum(axis=1, keepdims=True)},
    given=lambda rng: {"p": softmax(normal(rng, 7, 4)), "du": normal(rng, 7, 4)},
    otherwise=lambda p, du: np.array([(np.diag(q) - np.outer(q, q)) @ d for q, d in zip(p, du)]))

EXERCISES["6.3"] = Exercise(
    right=lambda e, u, h, dz: e.T @ u + h.T @ dz,
    slips={"V is used twice: on the way up, too. The second-order part h.T @ dz is missing.":
           lambda e, u, h, dz: e.T @ u,
           "V is used twice: on the way down, too. The part e.T @ u is missing.":
           lambda e, u, h, dz: h.T @ dz,
           "the first part is transposed: V has the shape (H, K), and so has e.T @ u.":
           lambda e, u, h, dz: u.T @ e,
           "the two ways add up; none is subtracted.": lambda e, u, h, dz: e.T @ u - h.T @ dz},
    given=of(e=(8, 5), u=(8, 3), h=(8, 5), dz=(8, 3)),
    otherwise=lambda e, u, h, dz: np.einsum("nh,nk->hk", e, u) + np.einsum("nh,nk->hk", h, dz))

EXERCISES["6.4"] = Exercise(
    right=lambda dV, h, e, step: (dV(h + step * e) - dV(h - step * e)) / (2 * step),
    slips={"the two passes are 2 steps apart: divide by 2 * step.":
           lambda dV, h, e, step: (dV(h + step * e) - dV(h - step * e)) / step,
           "that is one-sided: look on both sides of h.":
           lambda dV, h, e, step: (dV(h + step * e) - dV(h)) / step,
           "move h along e, not along itself.":
           lambda dV, h, e, step: (dV(h + step * h) - dV(h - step * h)) / (2 * step)},
    given=lambda rng: {"dV": lambda h: h.T @ h**2, "h": normal(rng, 6, 4), "e": normal(rng, 6, 4),
                       "step": 0.1},
    otherwise=lambda dV, h, e, step: 0.5 / step * (dV(e * step + h) - dV(h - e * step)))

# 7. Unlock everything

EXERCISES["7.1"] = Exercise(
    right=lambda dx, delta_hat, lam: lam * dx + (1 - lam) * delta_hat / len(dx),
    slips={"λ and 1 - λ are swapped: λ = 1 is backpropagation.":
           lambda dx, delta_hat, lam: (1 - lam) * dx + lam * delta_hat / len(dx),
           "dx is of the mean loss, the guess of each example's own: divide the guess by N.":
           lambda dx, delta_hat, lam: lam * dx + (1 - lam) * delta_hat,
           "they are mixed, not added: the guess gets the share 1 - λ.":
           lambda dx, delta_hat, lam: lam * dx + delta_hat / len(dx)},
    given=of(dx=(6, 4), delta_hat=(6, 4), lam=0.3),
    otherwise=lambda dx, delta_hat, lam: delta_hat / 6 + lam * (dx - delta_hat / 6))

EXERCISES["7.3"] = Exercise(
    right=lambda K, block, synthesizer: K * block / (block + synthesizer),
    slips={"that is without the guessing: each worker also runs its synthesizer.":
           lambda K, block, synthesizer: K,
           "it is upside down: a speed-up is the old time over the new time.":
           lambda K, block, synthesizer: (block + synthesizer) / (K * block),
           "one locked worker has K blocks to do, one after the other.":
           lambda K, block, synthesizer: block / (block + synthesizer),
           "the workers guess at the same time, each for itself: count one synthesizer.":
           lambda K, block, synthesizer: K * block / (block + K * synthesizer)},
    given=of(K=4, block=2.0, synthesizer=0.6),
    otherwise=lambda K, block, synthesizer: K / (1 + synthesizer / block))

EXERCISES["7.4"] = for_each(
    [(3, 0.5), (2, 0.5)],
    right=lambda times, ratio: ceil(times * (1 + ratio)),
    slips={"that many would be a little too slow: round up.":
           lambda times, ratio: int(times * (1 + ratio)),
           "the guessing is missing: 3 workers are not three times as fast.":
           lambda times, ratio: ceil(times),
           "workers are whole: round up.": lambda times, ratio: times * (1 + ratio),
           "that is one too many if the number is whole already: round up with np.ceil.":
           lambda times, ratio: int(times * (1 + ratio)) + 1},
    otherwise=lambda times, ratio: -int(-(times + times * ratio) // 1))

EXERCISES["7.2"] = Exercise(
    right=lambda late: sum(n * count for n, count in late.items()) / sum(late.values()),
    slips={"every lateness counts as often as it occurred: weigh it with its count.":
           lambda late: sum(late) / len(late),
           "that is a total. Divide by the number of messages.":
           lambda late: sum(n * count for n, count in late.items()),
           "divide by the number of messages, not by the number of different latenesses.":
           lambda late: sum(n * count for n, count in late.items()) / len(late),
           "that is how many messages came for each lateness, on average.":
           lambda late: sum(late.values()) / len(late)},
    given=of(late=lambda rng: {0: 50, 1: 30, 3: 15, 4: 5}),
    otherwise=lambda late: float(np.average(list(late), weights=list(late.values()))))

# 8. See images

EXERCISES["8.1"] = Exercise(
    right=lambda window, W: np.tensordot(window, W, axes=3),
    slips={"the products are not added up: one number for each map.":
           lambda window, W: window[..., None] * W,
           "that is the mean. A convolution adds up.":
           lambda window, W: np.tensordot(window, W, axes=3) / window.size,
           "the kernel is turned round. Here the window meets it as it is.":
           lambda window, W: np.tensordot(window, W[::-1, ::-1], axes=3),
           "the channels are added up for the window and for the kernel apart. Multiply first.":
           lambda window, W: (window.sum() * W.sum(axis=(0, 1, 2)))},
    given=of(window=(3, 3, 2), W=(3, 3, 2, 4)),
    otherwise=lambda window, W: window.reshape(-1) @ W.reshape(-1, W.shape[-1]))


def loops_backward(x, W, dy, swap=False, add=True, turn=False):
    dx, dW, k = np.zeros_like(x), np.zeros_like(W), len(W)
    for n, p, q, m in np.ndindex(dy.shape):
        window = x[n, p:p + k, q:q + k]
        kernel = W[::-1, ::-1, :, m] if turn else W[..., m]
        if add:
            dW[..., m] += dy[n, p, q, m] * window
            dx[n, p:p + k, q:q + k] += dy[n, p, q, m] * kernel
        else:
            dW[..., m] = dy[n, p, q, m] * window
            dx[n, p:p + k, q:q + k] = dy[n, p, q, m] * kernel
    return dx, dW


def offsets_backward(x, W, dy):
    dx, dW, (_, P, Q, _) = np.zeros_like(x), np.empty_like(W), dy.shape
    for i, j in np.ndindex(W.shape[:2]):
        dW[i, j] = np.tensordot(x[:, i:i + P, j:j + Q], dy, axes=((0, 1, 2), (0, 1, 2)))
        dx[:, i:i + P, j:j + Q] += dy @ W[i, j].T
    return dx, dW


EXERCISES["8.2"] = Exercise(
    right=loops_backward,
    slips={"every kernel is used at many places, every pixel lies in many windows: add (+=).":
           lambda x, W, dy: loops_backward(x, W, dy, add=False),
           "the kernel is turned round in dx. In these loops the window gets it as it is.":
           lambda x, W, dy: loops_backward(x, W, dy, turn=True),
           "backward ignores dy: multiply by dy[n, p, q, m].":
           lambda x, W, dy: loops_backward(x, W, np.ones_like(dy)),
           "dx and dW are swapped: return dx, dW.":
           lambda x, W, dy: loops_backward(x, W, dy)[::-1]},
    given=of(x=(2, 5, 6, 2), W=(3, 3, 2, 4), dy=(2, 3, 4, 4)), otherwise=offsets_backward)


def offsets_forward(x, W, shift=1, turn=False, add=True):
    (N, height, width, _), (k, _, _, M) = x.shape, W.shape
    P, Q = height - k + 1, width - k + 1
    y = np.zeros((N, P, Q, M))
    for i, j in np.ndindex(k, k):
        a, b = shift * i, shift * j
        kernel = W[k - 1 - i, k - 1 - j] if turn else W[i, j]
        y = (y if add else 0) + x[:, a:a + P, b:b + Q] @ kernel
    return y


EXERCISES["8.3"] = Exercise(
    right=offsets_forward,
    slips={"the image does not move: offset (i, j) meets x[:, i:i + P, j:j + Q].":
           lambda x, W: offsets_forward(x, W, shift=0),
           "only the last offset is left: add what every offset brings (y += ...).":
           lambda x, W: offsets_forward(x, W, add=False),
           "the kernel is turned round: offset (i, j) meets W[i, j].":
           lambda x, W: offsets_forward(x, W, turn=True)},
    given=of(x=(2, 6, 7, 2), W=(3, 3, 2, 4)),
    otherwise=lambda x, W: np.einsum("npqcij,ijcm->npqm", np.lib.stride_tricks.sliding_window_view(
        x, W.shape[:2], axis=(1, 2)), W))

EXERCISES["8.4"] = for_each(
    [(32, 9, 2, 4), (31, 9, 2, 4)],
    right=lambda size, k, s, padding: (size + 2 * padding - k) // s + 1,
    slips={"the last window is missing: one more than the number of moves.":
           lambda size, k, s, padding: (size + 2 * padding - k) // s,
           "there is a frame on both sides: add the padding twice.":
           lambda size, k, s, padding: (size + padding - k) // s + 1,
           "it is a whole number: the rest that no window meets is left out (//).":
           lambda size, k, s, padding: (size + 2 * padding - k) / s + 1,
           "the frame of zeros is missing.": lambda size, k, s, padding: (size - k) // s + 1},
    otherwise=lambda size, k, s, padding: len(range(-padding, size + padding - k + 1, s)))


def pooled_dx(x, k, s, dy, add=True, share=False, any_=False):
    P, Q = dy.shape[1:3]
    dx = np.zeros_like(x)
    views = [(slice(None), slice(i, i + s * P, s), slice(j, j + s * Q, s))
             for i, j in np.ndindex(k, k)]
    y = np.max([x[view] for view in views], axis=0)
    for view in views:
        part = dy * (x[view] == y)
        part = dy / k**2 if share else dy if any_ else part
        dx[view] = dx[view] + part if add else part
    return dx


def other_pooled_dx(x, k, s, dy):
    dx = np.zeros_like(x)
    for n, p, q, c in np.ndindex(dy.shape):
        window = x[n, s * p:s * p + k, s * q:s * q + k, c]
        i, j = np.unravel_index(window.argmax(), window.shape)
        dx[n, s * p + i, s * q + j, c] += dy[n, p, q, c]
    return dx


def run_pooling(answer, given):
    pool = answer(given["k"], given["s"])
    pool.forward(given["x"])
    return pool.backward(given["dy"])


class OtherPooling:
    def __init__(self, k, s):
        self.k, self.s = k, s

    def forward(self, x):
        self.x = x

    def backward(self, dy):
        return other_pooled_dx(self.x, self.k, self.s, dy)


EXERCISES["8.5"] = Exercise(
    right=pooled_dx,
    slips={"windows overlap: a pixel that is the largest of two gets both. Add (+=).":
           lambda **given: pooled_dx(**given, add=False),
           "that is the gradient of the mean. The largest pixel gets all of dy.":
           lambda **given: pooled_dx(**given, share=True),
           "only the largest pixel of a window gets dy: multiply by (x_ij == y).":
           lambda **given: pooled_dx(**given, any_=True)},
    given=of(x=(2, 7, 7, 3), k=3, s=2, dy=(2, 3, 3, 3)), otherwise=OtherPooling, run=run_pooling)

# 9. Decouple a network that sees

EXERCISES["9.1"] = Exercise(
    right=lambda h, labels: np.concatenate(
        [h, np.broadcast_to(labels[:, None, None], (*h.shape[:3], labels.shape[1]))], axis=-1),
    slips={"the maps come behind the channels of h.": lambda h, labels: np.concatenate(
        [np.broadcast_to(labels[:, None, None], (*h.shape[:3], labels.shape[1])), h], axis=-1),
        "those are the maps alone. Put h in front of them.": lambda h, labels: np.broadcast_to(
            labels[:, None, None], (*h.shape[:3], labels.shape[1])),
        "the label stands at one pixel only. A map is the same everywhere.":
        lambda h, labels: np.concatenate([h, np.zeros((*h.shape[:3], labels.shape[1]))
                                          + labels[:, None, None]
                                          * (np.arange(h.shape[1])[None, :, None, None] == 0)
                                          * (np.arange(h.shape[2])[None, None, :, None] == 0)],
                                         -1)},
    given=of(h=(5, 4, 3, 2), labels=one_hot(5, 3)),
    otherwise=lambda h, labels: np.dstack([h.reshape(5, 12, 2), np.repeat(
        labels[:, None], 12, axis=1)]).reshape(5, 4, 3, 5))

EXERCISES["9.3"] = Exercise(
    right=lambda delta, y: np.stack([delta[y == k].mean(axis=0) for k in range(y.max() + 1)]),
    slips={"that is one mean for all places. Keep the axes of the pixels.":
           lambda delta, y: np.stack([delta[y == k].mean(axis=(0, 1, 2))
                                      for k in range(y.max() + 1)]),
           "that is a sum over the images of a class. Take the mean.":
           lambda delta, y: np.stack([delta[y == k].sum(axis=0) for k in range(y.max() + 1)]),
           "each mean is over all images: choose those of the class, delta[y == label].":
           lambda delta, y: np.stack([delta.mean(axis=0) for k in range(y.max() + 1)])},
    given=lambda rng: {"delta": normal(rng, 12, 3, 4, 2), "y": np.arange(12) % 3},
    otherwise=lambda delta, y: np.tensordot(np.eye(3)[y].T / 4, delta, axes=1))

EXERCISES["9.2"] = Exercise(
    right=lambda k, n_h, n_classes: k * k * (n_h + n_classes) * n_h + n_h,
    slips={"the biases are missing: one for each channel that comes out.":
           lambda k, n_h, n_classes: k * k * (n_h + n_classes) * n_h,
           "the label maps are missing: they go in together with h.":
           lambda k, n_h, n_classes: k * k * n_h * n_h + n_h,
           "a kernel has k * k pixels.":
           lambda k, n_h, n_classes: k * (n_h + n_classes) * n_h + n_h,
           "out come the channels of h only: the gradient of h is wanted, not that of the label.":
           lambda k, n_h, n_classes: (k * k * (n_h + n_classes) + 1) * (n_h + n_classes)},
    given=of(k=5, n_h=8, n_classes=10),
    otherwise=lambda k, n_h, n_classes: n_h * (1 + (n_h + n_classes) * k**2))

# 10. Go deeper


class Doubling:
    """A branch with a derivative that is easy to see: f(x) = 2 x."""

    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        self.dy = dy
        return 2 * dy


class OtherResidual:
    def __init__(self, branch):
        self.branch = branch

    def forward(self, x):
        return np.add(self.branch.forward(x), x)

    def backward(self, dy):
        dx = self.branch.backward(dy)
        return dx + dy


EXERCISES["10.1"] = Exercise(
    right=lambda x, dy: {"y": 3 * x, "dx": 3 * dy},
    slips={"the shortcut's part of the gradient is missing: x is used twice.":
           lambda x, dy: {"y": 3 * x, "dx": 2 * dy},
           "the branch's part of the gradient is missing.": lambda x, dy: {"y": 3 * x, "dx": dy},
           "forward has lost the shortcut: y = x + f(x).": lambda x, dy: {"y": 2 * x, "dx": 3 * dy},
           "the derivatives of a sum are added, not multiplied.":
           lambda x, dy: {"y": 3 * x, "dx": 2 * dy * dy}},
    given=of(x=(4, 3), dy=(4, 3)), otherwise=OtherResidual,
    run=run_layer(lambda answer, given: answer(Doubling())))

EXERCISES["10.2"] = Exercise(
    right=lambda past, through: [past[0]] + [past[k] + through[k - 1] for k in range(1, len(past))],
    slips={"a path through the branch has one branch more: k becomes k + 1.":
           lambda past, through: [a + b for a, b in zip(past, through)],
           "those are the paths through the branch only. Those past it stay.":
           lambda past, through: [0 * past[0]] + [through[k - 1] for k in range(1, len(past))],
           "those are the paths past the branch only. Add those through it.": lambda past, through: list(past),
           "the paths are shifted the wrong way: k counts up.":
           lambda past, through: [past[k] + through[k + 1] for k in range(len(past) - 1)]
           + [past[-1]]},
    given=lambda rng: {"past": [normal(rng, 3, 2) for _ in range(4)],
                       "through": [normal(rng, 3, 2) for _ in range(4)]},
    otherwise=lambda past, through: list(np.array(past) + np.concatenate(
        [np.zeros((1, 3, 2)), through[:-1]])))

EXERCISES["10.3"] = Exercise(
    right=lambda depth, k: comb(depth, k),
    slips={"that is the number of all paths. How many go through exactly k branches?":
           lambda depth, k: 2**depth,
           "that counts ordered choices. The order of the blocks is fixed.":
           lambda depth, k: depth**k,
           "that counts all paths through at most k branches.":
           lambda depth, k: sum(comb(depth, i) for i in range(k + 1)),
           "that is one for every block.": lambda depth, k: depth},
    given=of(depth=24, k=4),
    otherwise=lambda depth, k: np.prod(np.arange(depth, depth - k, -1.0)) / np.prod(
        np.arange(1.0, k + 1)))

# 11. Cut a residual network

EXERCISES["11.1"] = Exercise(
    right=lambda du, dy: np.hstack([du, dy]),
    slips={"the shortcut's gradient is missing: s is added to y, so ds = dy.":
           lambda du, dy: np.hstack([du, np.zeros_like(dy)]),
           "the order is [du, ds], as it was in [u, s].": lambda du, dy: np.hstack([dy, du]),
           "those are two arrays below each other. Put them side by side, one row for each example.":
           lambda du, dy: np.vstack([du, np.zeros_like(du)]),
           "that is the branch's part alone.": lambda du, dy: du},
    given=of(du=(6, 7), dy=(6, 5)),
    otherwise=lambda du, dy: np.concatenate([du, dy], axis=1))

EXERCISES["11.2"] = Exercise(
    right=lambda p, n: np.sqrt(p * (1 - p) / n),
    slips={"that is the variance. Take the root.": lambda p, n: p * (1 - p) / n,
           "that is for a count of wrong images. Divide by n for a share.":
           lambda p, n: np.sqrt(p * (1 - p) * n),
           "the factor 1 - p is missing.": lambda p, n: np.sqrt(p / n),
           "that is the standard deviation of one image. The mean of n images has 1/√n of it.":
           lambda p, n: np.sqrt(p * (1 - p))},
    given=of(p=0.3, n=50), otherwise=lambda p, n: ((p - p**2) / n)**0.5)

EXERCISES["11.3"] = Exercise(
    right=lambda wrong_a, wrong_b: (
        (wrong_a.mean() - wrong_b.mean())
        / (np.sqrt(np.sum(wrong_a != wrong_b)) / len(wrong_a))),
    slips={"that treats the two nets as independent. They see the same images: count those on "
           "which they differ.":
           lambda wrong_a, wrong_b: (wrong_a.mean() - wrong_b.mean()) / np.sqrt(
               wrong_a.var() / len(wrong_a) + wrong_b.var() / len(wrong_b)),
           "the standard deviation of b - c is the root of b + c.": lambda wrong_a, wrong_b: (
               (wrong_a.sum() - wrong_b.sum()) / np.sum(wrong_a != wrong_b)),
           "that is only the difference of the counts. Divide by its standard deviation.":
           lambda wrong_a, wrong_b: wrong_a.sum() - wrong_b.sum(),
           "count the images on which one is right and the other wrong, not those both get wrong.":
           lambda wrong_a, wrong_b: (wrong_a.sum() - wrong_b.sum()) / np.sqrt(
               np.sum(wrong_a & wrong_b))},
    given=lambda rng: {"wrong_a": np.arange(100) < 30, "wrong_b": (np.arange(100) % 7 == 0)
                       | (np.arange(100) < 20)},
    otherwise=lambda wrong_a, wrong_b: (
        (np.sum(wrong_a & ~wrong_b) - np.sum(wrong_b & ~wrong_a))
        / np.sum(wrong_a ^ wrong_b)**0.5))

# 12. Compare two clouds


def squared_distances(x, y):
    return ((x[:, None] - y[None])**2).sum(axis=2)


def kernel(x, y, m):
    return sum(np.exp(-squared_distances(x, y) / s) for s in (m / 2, m, 2 * m))


EXERCISES["12.1"] = Exercise(
    right=kernel,
    slips={"the minus is missing: k of far points must be nearly 0.":
           lambda x, y, m: sum(np.exp(squared_distances(x, y) / s) for s in (m / 2, m, 2 * m)),
           "one width only: add up the three, m / 2, m and 2 m.":
           lambda x, y, m: np.exp(-squared_distances(x, y) / m),
           "d² is wanted: the root of it is taken.":
           lambda x, y, m: sum(np.exp(-np.sqrt(squared_distances(x, y)) / s)
                               for s in (m / 2, m, 2 * m)),
           "that is a mean of the three. Their sum is wanted, 3 where points coincide.":
           lambda x, y, m: kernel(x, y, m) / 3},
    given=of(x=(6, 2), y=(5, 2), m=0.7),
    otherwise=lambda x, y, m: np.array([[sum(np.exp(-np.sum((a - b)**2) / (m * f))
                                             for f in (0.5, 1, 2)) for b in y] for a in x]))

EXERCISES["12.2"] = Exercise(
    right=lambda k_xx, k_yy, k_xy: np.sqrt(k_xx.mean() + k_yy.mean() - 2 * k_xy.mean()),
    slips={"that is L². Take the root.":
           lambda k_xx, k_yy, k_xy: k_xx.mean() + k_yy.mean() - 2 * k_xy.mean(),
           "the mixed pairs count twice.":
           lambda k_xx, k_yy, k_xy: np.sqrt(k_xx.mean() + k_yy.mean() - k_xy.mean()),
           "those are sums. The clouds differ in size, so take means.":
           lambda k_xx, k_yy, k_xy: np.sqrt(k_xx.sum() + k_yy.sum() - 2 * k_xy.sum()),
           "the mixed pairs are subtracted: they are *less* near where the clouds differ.":
           lambda k_xx, k_yy, k_xy: np.sqrt(k_xx.mean() + k_yy.mean() + 2 * k_xy.mean())},
    given=lambda rng: {"k_xx": kernel(*[normal(rng, 6, 2)] * 2, 1),
                       "k_yy": kernel(*[normal(rng, 5, 2) + 2] * 2, 1),
                       "k_xy": 0.1 * rng.uniform(size=(6, 5))},
    otherwise=lambda k_xx, k_yy, k_xy: (k_xx.sum() / k_xx.size + k_yy.sum() / k_yy.size
                                        - 2 * k_xy.sum() / k_xy.size)**0.5)


def pull(x, y, m):
    g = sum(np.exp(-squared_distances(x, y) / s) / s for s in (m / 2, m, 2 * m))
    return (g[:, :, None] * (x[:, None] - y[None])).sum(axis=1) / (len(x) * len(y))


def mmd(x, y, m):
    return np.sqrt(kernel(x, x, m).mean() + kernel(y, y, m).mean() - 2 * kernel(x, y, m).mean())


def mmd_numerically(x, y, m):
    dx = np.empty_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-5
        dx[index] = (mmd(x + step, y, m) - mmd(x - step, y, m)) / 2e-5
    return dx


EXERCISES["12.3"] = Exercise(
    right=lambda x, y, m: 2 / mmd(x, y, m) * (pull(x, y, m) - pull(x, x, m)),
    slips={"the two parts are swapped: against dx a point moves *to* the points of y.":
           lambda x, y, m: 2 / mmd(x, y, m) * (pull(x, x, m) - pull(x, y, m)),
           "that is the gradient of L² / 2: divide by L.":
           lambda x, y, m: 2 * (pull(x, y, m) - pull(x, x, m)),
           "the part of x with x is missing: all points would move to one place.":
           lambda x, y, m: 2 / mmd(x, y, m) * pull(x, y, m),
           "the factor 2 is missing: a point stands first and second in the pairs.":
           lambda x, y, m: 1 / mmd(x, y, m) * (pull(x, y, m) - pull(x, x, m))},
    given=of(x=(6, 2), y=(5, 2), m=0.9), otherwise=mmd_numerically)

EXERCISES["12.4"] = Exercise(
    right=lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)),
    slips={"the pairs of a point with itself are still in the sum.": lambda k: k.mean(),
           "there are N (N - 1) pairs left: divide by that.":
           lambda k: (k.sum() - np.trace(k)) / k.size,
           "every point leaves one pair out, not one in all: subtract all of the diagonal.":
           lambda k: (k.sum() - k[0, 0]) / (len(k) * (len(k) - 1))},
    given=lambda rng: {"k": kernel(*[normal(rng, 6, 2)] * 2, 1)},
    otherwise=lambda k: k[~np.eye(len(k), dtype=bool)].mean())

# 13. Calibrate blood samples

EXERCISES["13.2"] = Exercise(
    right=lambda are, gated, k: (2 * np.sum((are == k) & (gated == k))
                                 / (np.sum(are == k) + np.sum(gated == k))),
    slips={"that is the share of the cells of the type that were found. F1 asks both ways.":
           lambda are, gated, k: np.sum((are == k) & (gated == k)) / np.sum(are == k),
           "that is the share of the cells gated as the type that belong there. F1 asks both ways.":
           lambda are, gated, k: np.sum((are == k) & (gated == k)) / np.sum(gated == k),
           "the factor 2 is missing: with all right it must be 1.":
           lambda are, gated, k: (np.sum((are == k) & (gated == k))
                                  / (np.sum(are == k) + np.sum(gated == k))),
           "that is the share of all cells gated rightly, of all types together.":
           lambda are, gated, k: np.mean(are == gated)},
    given=lambda rng: {"are": rng.integers(1, 5, 60), "gated": rng.integers(1, 4, 60), "k": 2},
    otherwise=lambda are, gated, k: 1 / (0.5 * np.sum(are == k) / np.sum((are == k) & (gated == k))
                                         + 0.5 * np.sum(gated == k)
                                         / np.sum((are == k) & (gated == k))))

EXERCISES["13.1"] = Exercise(
    right=lambda x, reference: (x - reference.mean(axis=0)) / reference.std(axis=0),
    slips={"mean and deviation are those of the *reference*: the sample must keep its difference.":
           lambda x, reference: (x - x.mean(axis=0)) / x.std(axis=0),
           "every marker has its own mean and deviation: axis=0.":
           lambda x, reference: (x - reference.mean()) / reference.std(),
           "divide by the deviation, not by the variance.":
           lambda x, reference: (x - reference.mean(axis=0)) / reference.var(axis=0)},
    given=lambda rng: {"x": 2 * normal(rng, 7, 3) + 1, "reference": normal(rng, 9, 3) * [1, 2, 3]},
    otherwise=lambda x, reference: np.column_stack([
        (x[:, k] - reference[:, k].mean()) / np.std(reference[:, k]) for k in range(x.shape[1])]))

EXERCISES["13.3"] = Exercise(
    right=lambda dy, du, lower: (np.hstack([du, dy]), dy + lower(du)),
    slips={"the gradient through the shortcut is dy: it is missing in dx.":
           lambda dy, du, lower: (np.hstack([du, dy]), lower(du)),
           "the message needs both parts side by side, [du, dy].":
           lambda dy, du, lower: (du, dy + lower(du)),
           "the lower half gets du, which has passed the upper half, not dy.":
           lambda dy, du, lower: (np.hstack([du, dy]), dy),
           "the order of the message is [du, dy].":
           lambda dy, du, lower: (np.hstack([dy, du]), dy + lower(du))},
    given=lambda rng: {"dy": normal(rng, 5, 3), "du": normal(rng, 5, 4),
                       "lower": lambda du: 2 * du[:, :3]},
    otherwise=lambda dy, du, lower: (np.concatenate([du, dy], 1), np.add(lower(du), dy)))


def half_explained(rng):
    features = normal(rng, 40, 4)
    return {"features": features,
            "delta": features @ normal(rng, 4, 2) + normal(rng, 40, 2), "half": 20}


EXERCISES["13.4"] = Exercise(
    right=lambda features, delta, half: 1 - (
        np.sum((features @ np.linalg.lstsq(features[:half], delta[:half], rcond=None)[0]
                - delta)[half:]**2) / np.sum(delta[half:]**2)),
    slips={"it is measured on the cells that it was fitted to. Look at the other half.":
           lambda features, delta, half: 1 - (
               np.sum((features @ np.linalg.lstsq(features[:half], delta[:half], rcond=None)[0]
                       - delta)[:half]**2) / np.sum(delta[:half]**2)),
           "that is the share that is not explained: take it from 1.":
           lambda features, delta, half: (
               np.sum((features @ np.linalg.lstsq(features[:half], delta[:half], rcond=None)[0]
                       - delta)[half:]**2) / np.sum(delta[half:]**2)),
           "it is fitted to all cells. Fit it to the first half only.":
           lambda features, delta, half: 1 - (
               np.sum((features @ np.linalg.lstsq(features, delta, rcond=None)[0]
                       - delta)[half:]**2) / np.sum(delta[half:]**2))},
    given=half_explained,
    otherwise=lambda features, delta, half: 1 - np.sum(
        (features[half:] @ (np.linalg.pinv(features[:half]) @ delta[:half]) - delta[half:])**2)
    / np.sum(delta[half:]**2))

# 14. Remember longer

EXERCISES["14.1"] = Exercise(
    right=lambda dy, dh, h: (dy + dh) * (1 - h**2),
    slips={"h is used twice, by y and by the next step: both gradients are added.":
           lambda dy, dh, h: dy * (1 - h**2),
           "the slope of tanh is missing: 1 - h².": lambda dy, dh, h: dy + dh,
           "h is already the output of tanh: its slope is 1 - h².":
           lambda dy, dh, h: (dy + dh) * (1 - np.tanh(h)**2),
           "the slope belongs to both parts: check the brackets.":
           lambda dy, dh, h: dy + dh * (1 - h**2)},
    given=of(dy=(4, 3), dh=(4, 3), h=uniform(4, 3)),
    otherwise=lambda dy, dh, h: dy - dy * h * h + dh - dh * h * h)


def lstm_da(dh, dc, g, i, f, o, c_before, tanh_c, gate=True, output=True):
    dg, di, df, do = dc * i, dc * g, dc * c_before, dh * tanh_c
    slopes = [s * (1 - s) if gate else 1 for s in (i, f, o)]
    return np.hstack([dg * (1 - g**2), di * slopes[0], df * slopes[1], do * slopes[2]])


EXERCISES["14.2"] = Exercise(
    right=lstm_da,
    slips={"the slopes of the three sigmoids are missing: i (1 - i), and so on.":
           lambda **given: lstm_da(**given, gate=False),
           "g comes from a tanh: its slope is 1 - g².":
           lambda dh, dc, g, i, f, o, c_before, tanh_c: np.hstack(
               [dc * i * g * (1 - g),
                lstm_da(dh, dc, g, i, f, o, c_before, tanh_c)[:, g.shape[1]:]]),
           "the forget gate multiplies the cell *before* this step.":
           lambda dh, dc, g, i, f, o, c_before, tanh_c: lstm_da(dh, dc, g, i, f, o, tanh_c, tanh_c),
           "o multiplies tanh(c) and makes h: its gradient is dh * tanh(c).":
           lambda dh, dc, g, i, f, o, c_before, tanh_c: lstm_da(dc, dc, g, i, f, o, c_before,
                                                                tanh_c)},
    given=of(dh=(4, 3), dc=(4, 3), g=(4, 3), i=uniform(4, 3), f=uniform(4, 3), o=uniform(4, 3),
             c_before=(4, 3), tanh_c=(4, 3)),
    otherwise=lambda dh, dc, g, i, f, o, c_before, tanh_c: np.concatenate(
        [dc * (i - i * g * g), dc * (g * i - g * i * i), c_before * dc * f - c_before * dc * f**2,
         tanh_c * dh * o * (1 - o)], axis=1))

EXERCISES["14.4"] = Exercise(
    right=lambda guess, dstate, scale: (scale / len(guess) * guess, len(guess) * dstate),
    slips={"the guess is of each example's own loss: divide by N before it enters the window.":
           lambda guess, dstate, scale: (scale * guess, len(guess) * dstate),
           "M learns each example's own gradient: multiply dstate by N.":
           lambda guess, dstate, scale: (scale / len(guess) * guess, dstate),
           "the scale is for dend only, not for the target of M.":
           lambda guess, dstate, scale: (scale / len(guess) * guess, scale * len(guess) * dstate),
           "the scale is missing in dend.":
           lambda guess, dstate, scale: (guess / len(guess), len(guess) * dstate)},
    given=of(guess=(5, 4), dstate=(5, 4), scale=0.3),
    otherwise=lambda guess, dstate, scale: (guess * scale / 5, np.multiply(dstate, 5)))

EXERCISES["14.3"] = for_each(
    [(13, 3), (12, 3)],
    right=lambda length, T: ceil(length / T) - 1,
    slips={"that is the number of windows. Between two windows lies one boundary.":
           lambda length, T: ceil(length / T),
           "the last window may be shorter. Round up.": lambda length, T: length // T - 1,
           "a number of windows is whole.": lambda length, T: length / T - 1,
           "that is one too many if T divides the length.": lambda length, T: length // T},
    otherwise=lambda length, T: (length - 1) // T)

# 15. Run on a GPU

EXERCISES["15.1"] = Exercise(
    right=lambda flop, size, rate, bandwidth: np.maximum(flop / rate, size / bandwidth),
    slips={"both go on at the same time: the longer one decides, not their sum.":
           lambda flop, size, rate, bandwidth: flop / rate + size / bandwidth,
           "the slower of the two decides: take the larger time.":
           lambda flop, size, rate, bandwidth: np.minimum(flop / rate, size / bandwidth),
           "the memory is missing: the device reads and writes every byte.":
           lambda flop, size, rate, bandwidth: flop / rate,
           "the arithmetic is missing.": lambda flop, size, rate, bandwidth: size / bandwidth},
    given=lambda rng: {"flop": np.array([6e9, 1e3]), "size": np.array([1e6, 1e6]), "rate": 1e13,
                       "bandwidth": 5e11},
    otherwise=lambda flop, size, rate, bandwidth: sorted([flop / rate, size / bandwidth])[1],
    run=lambda answer, given: np.array([
        answer(flop, size, given["rate"], given["bandwidth"])
        for flop, size in zip(given["flop"], given["size"])]))


def clocks(host, device, launch, duration):
    return host + launch, np.maximum(device, host + launch) + duration


EXERCISES["15.2"] = Exercise(
    right=clocks,
    slips={"the device cannot begin before the launch is there: max(device, host).":
           lambda host, device, launch, duration: (host + launch, device + duration),
           "the device cannot begin before its last work is done: max(device, host).":
           lambda host, device, launch, duration: (host + launch, host + launch + duration),
           "the host does not wait for the device: it goes on after the launch.":
           lambda host, device, launch, duration: (clocks(host, device, launch, duration)[1],) * 2,
           "the launch is missing on the host's clock.":
           lambda host, device, launch, duration: clocks(host, device, 0, duration)},
    given=lambda rng: {"host": np.array([1.0, 5.0]), "device": np.array([4.0, 2.0]), "launch": 0.5,
                       "duration": 2.0},
    otherwise=lambda host, device, launch, duration: (
        launch + host, duration + (device if device > host + launch else host + launch)),
    run=lambda answer, given: tuple(np.transpose(
        [answer(host, device, given["launch"], given["duration"])
         for host, device in zip(given["host"], given["device"])])))

EXERCISES["15.3"] = Exercise(
    right=lambda n, launch, rate: np.sqrt(launch * rate / (2 * n)),
    slips={"one multiplication and one addition: 2 n w² operations.":
           lambda n, launch, rate: np.sqrt(launch * rate / n),
           "the matrix is square: w occurs twice. Take the root.":
           lambda n, launch, rate: launch * rate / (2 * n),
           "the batch is missing: 2 n w² operations.":
           lambda n, launch, rate: np.sqrt(launch * rate / 2)},
    given=of(n=64, launch=1e-5, rate=1e13),
    otherwise=lambda n, launch, rate: (rate * launch / n)**0.5 / 2**0.5)
