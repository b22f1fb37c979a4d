"""Wrong layers and losses of every kind that the checker must find, as short as each allows.

WRONG holds (name, object, inputs, words): the words stand in the report, "" where any will do.
"""

import numpy as np
from right_layers import (
    LSTM,
    RNN,
    Act,
    Affine,
    Attention,
    BatchNorm,
    Bilinear,
    Chain,
    Column,
    Conv1D,
    Cumsum,
    Dense,
    Embedding,
    LayerNorm,
    Lazy,
    Listed,
    Masked,
    MaxPool,
    ModuleNet,
    Nnfs,
    Parameter,
    RMSNorm,
    Softmax,
    SoftmaxLoss,
    Sort,
    Split,
    VectorNorm,
    WeightNorm,
    rng,
    sigmoid,
)

WRONG = []
X = (6, 5)


def wrong(*inputs, says="", args=()):
    """Add an object of the class below, checked at these inputs, by default at x (6, 5)."""

    def add(cls):
        WRONG.append((cls.__name__, cls(*args), inputs or (X,), says))
        return cls

    return add


def dense(name, says="", square=False, x=X, **methods):
    """Add a Dense with other methods: backward(self, dy) or forward(self, x)."""
    WRONG.append((name, type("Dense", (Dense,), methods)(5, 5 if square else 4), (x,), says))


def act(name, f, df, says="", x=X):
    WRONG.append((name, Act(f, df), (x,), says))


# A linear layer: values, shapes, axes ------------------------------------------------------------

def gradients(dx=lambda s, dy: dy @ s.W.T, dW=lambda s, dy: s.x.T @ dy,
              db=lambda s, dy: dy.sum(axis=0)):
    """A backward with some of its three formulas changed."""

    def backward(self, dy):
        self.dW, self.db = dW(self, dy), db(self, dy)
        return dx(self, dy)

    return backward


dense("sign of dW", "sign is flipped", backward=gradients(dW=lambda s, dy: -s.x.T @ dy))
dense("sign of dx", "sign is flipped", backward=gradients(dx=lambda s, dy: -dy @ s.W.T))
dense("sign of db", "sign is flipped", backward=gradients(db=lambda s, dy: -dy.sum(axis=0)))
dense("dW transposed", "Looks transposed", backward=gradients(dW=lambda s, dy: dy.T @ s.x))
dense("dW transposed, square", "Looks transposed", True,
      backward=gradients(dW=lambda s, dy: dy.T @ s.x))
dense("W not transposed", "Looks transposed", backward=gradients(dx=lambda s, dy: dy @ s.W))
dense("W not transposed, square", "Looks transposed", True,
      backward=gradients(dx=lambda s, dy: dy @ s.W))
dense("dW a mean", "batch size N", backward=gradients(dW=lambda s, dy: s.x.T @ dy / len(dy)))
dense("db a mean", "batch size N", backward=gradients(db=lambda s, dy: dy.mean(axis=0)))
dense("dW a mean, of one example", "batch", x=(1, 5),
      backward=gradients(dW=lambda s, dy: s.x.T @ dy / len(dy)))
dense("dW twice", "2 times too large", backward=gradients(dW=lambda s, dy: 2 * s.x.T @ dy))
dense("dW without dy", "ignores dy", backward=gradients(dW=lambda s, dy: s.x.T @ np.ones_like(dy)))
dense("db without dy", "ignores dy", backward=gradients(db=lambda s, dy: 0 * dy[0] + len(dy)))
dense("db over the wrong axis of a square dy", "wrong axis", True, (5, 5),
      backward=gradients(db=lambda s, dy: dy.sum(axis=1)))
dense("db not summed", "axis of the batch", backward=gradients(db=lambda s, dy: dy))
dense("db with keepdims", "axis of size 1", backward=gradients(
    db=lambda s, dy: dy.sum(axis=0, keepdims=True)))
dense("db summed over all", "sum over all axes", backward=gradients(db=lambda s, dy: dy.sum()))
dense("db of the first example", backward=gradients(db=lambda s, dy: dy[0]))
dense("db missing", "never set", backward=gradients(db=lambda s, dy: None))
dense("dx missing", "returns None", backward=gradients(dx=lambda s, dy: None))
dense("dx zero", "zero everywhere", backward=gradients(dx=lambda s, dy: 0 * dy @ s.W.T))
dense("dW zero", "zero everywhere", backward=gradients(dW=lambda s, dy: 0 * s.W))
dense("dW clipped", backward=gradients(dW=lambda s, dy: np.clip(s.x.T @ dy, -1, 1)))
dense("dW normalised", "constant factor", backward=gradients(
    dW=lambda s, dy: s.x.T @ dy / np.linalg.norm(s.x.T @ dy)))
dense("dW of |x|", backward=gradients(dW=lambda s, dy: abs(s.x).T @ dy))
dense("dW plus a weight decay", backward=gradients(dW=lambda s, dy: s.x.T @ dy + 0.01 * s.W))
dense("dW of the output", "", True, backward=gradients(dW=lambda s, dy: (s.x @ s.W).T @ dy))
dense("float32 in backward", "float32", backward=gradients(
    dW=lambda s, dy: (s.x.T @ dy).astype(np.float32)))
dense("float32 in forward", "float32", forward=lambda s, x: Dense.forward(
    s, x.astype(np.float32).astype(float)))
dense("float32 comes out", "float32", forward=lambda s, x: np.float32(Dense.forward(s, x)))
dense("b not added", "does not change with b", forward=lambda s, x: Dense.forward(s, x) - s.b)
dense("NaN in db", "nan", backward=gradients(db=lambda s, dy: dy.sum(axis=0) / 0 * 0))


@wrong(says="(2, 1)")
class OneEntryOfMany(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW[2, 1] *= 1.001
        return dx


@wrong((3, 60), says="(41, 23)", args=(60, 40))
class OneEntryOfThousands(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW[41, 23] += 0.5
        return dx


# What is kept too long, shared or changed --------------------------------------------------------

@wrong(says="added to what was there")
class Accumulates(Dense):
    dW = db = 0

    def backward(self, dy):
        self.dW, self.db = self.dW + self.x.T @ dy, self.db + dy.sum(axis=0)
        return dy @ self.W.T


@wrong(says="stale cache")
class FirstInputForEver(Dense):
    def forward(self, x):
        self.x = getattr(self, "x", x)
        return x @ self.W + self.b


@wrong(says="share one cache")
class CacheOfTheClass(Dense):
    cache = {}

    def forward(self, x):
        self.cache["x"] = x
        return super().forward(x)

    def backward(self, dy):
        self.x = self.cache["x"]
        return super().backward(dy)


@wrong(says="backward changes the parameter W")
class EarlyStep(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.W -= 0.1 * self.dW
        return dx


@wrong(says="forward changes the parameter W")
class DecayInForward(Dense):
    def forward(self, x):
        self.W *= 0.999
        return super().forward(x)


@wrong(says="forward writes into x")
class WritesIntoX(Dense):
    def forward(self, x):
        x -= x.mean()
        return super().forward(x)


@wrong(says="backward writes into dy")
class WritesIntoDy(Act):
    def __init__(self):
        pass

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dy):
        dy *= self.mask
        return dy


@wrong(says="copy of W")
class TransposeFromTheConstructor(Dense):
    def __init__(self):
        super().__init__()
        self.WT = self.W.T.copy()

    def backward(self, dy):
        super().backward(dy)
        return dy @ self.WT


@wrong(says="copy of W")
class TransposeFromTheFirstPass(Dense):
    WT = None

    def forward(self, x):
        if self.WT is None:
            self.WT = self.W.T.copy()
        return super().forward(x)

    def backward(self, dy):
        super().backward(dy)
        return dy @ self.WT


@wrong(says="copy of W")
class ForwardWithOldWeights(Dense):
    def __init__(self):
        super().__init__()
        self.packed = np.vstack([self.W, self.b])

    def forward(self, x):
        self.x = x
        return x @ self.packed[:-1] + self.packed[-1]


@wrong(says="batch", args=(6,))
class BatchSizeFromTheConstructor(Dense):
    def __init__(self, n):
        super().__init__()
        self.n = n

    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy.mean(axis=0) * self.n
        return dx


@wrong(says="stale cache")
class BatchSizeFromTheFirstPass(Dense):
    n = None

    def forward(self, x):
        self.n = self.n or len(x)
        return super().forward(x)

    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy.mean(axis=0) * self.n
        return dx


@wrong(says="batch", args=(6,))
class OnesFromTheConstructor(Dense):
    def __init__(self, n):
        super().__init__()
        self.ones = np.ones(n)

    def backward(self, dy):
        dx = super().backward(dy)
        self.db = self.ones @ dy
        return dx


@wrong(says="batch")
class BufferFromTheFirstPass(Dense):
    out = None

    def forward(self, x):
        self.x = x
        if self.out is None:
            self.out = np.zeros((len(x), 4))
        self.out[:] = x @ self.W
        return self.out + self.b


@wrong(X, X, says="batch", args=(6,))
class LossWithItsOwnN:
    def __init__(self, n):
        self.n = n

    def forward(self, prediction, target):
        self.difference = prediction - target
        return 0.5 * (self.difference ** 2).sum() / len(prediction)

    def backward(self):
        return self.difference / self.n


# The order in memory -----------------------------------------------------------------------------

dense("db by memory order", "memory", backward=gradients(
    db=lambda s, dy: dy.ravel(order="K").reshape(dy.shape).sum(axis=0)))
dense("dW from the bytes of dy", "memory", backward=gradients(
    dW=lambda s, dy: s.x.T @ np.frombuffer(dy.tobytes(order="A")).reshape(dy.shape)))
dense("dx by memory order", "memory", backward=gradients(
    dx=lambda s, dy: dy.flatten("A").reshape(dy.shape) @ s.W.T))
dense("takes only what is contiguous", "memory", backward=gradients(
    db=lambda s, dy: np.lib.stride_tricks.as_strided(dy, (24,)).reshape(6, 4).sum(axis=0)
    if len(dy) == 6 else dy.sum(axis=0)))
dense("forward by memory order", "memory", forward=lambda s, x: Dense.forward(
    s, x.ravel(order="K").reshape(x.shape)))


# Parameters and gradients in dictionaries, lists, objects, and nested ----------------------------

@wrong(says="""grads["W"]""")
class GradsInADictionary(Affine):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads["W"] = -self.grads["W"]
        return dx


@wrong(says="""grads["W"] is never set""")
class GradsWithoutW(Affine):
    def backward(self, dy):
        dx = super().backward(dy)
        del self.grads["W"]
        return dx


@wrong(says="6 times too small")
class GradsUnderD(Affine):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads = {"dW": self.grads["W"], "db": self.grads["b"] / len(dy)}
        return dx


@wrong(says="sign is flipped")
class GradsInAList(Listed):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads[0][...] *= -1
        return dx


@wrong(says="has shape (4,), expected (5, 4)")
class GradsInAnotherOrder(Listed):
    def backward(self, dy):
        self.grads = [dy.sum(axis=0), self.x.T @ dy]
        return dy @ self.params[0].T


@wrong(says="added to what was there")
class GradsAddedInTheDictionary(Affine):
    def backward(self, dy):
        self.grads.setdefault("W", np.zeros_like(self.params["W"]))
        old = self.grads["W"]
        dx = super().backward(dy)
        self.grads["W"] = self.grads["W"] + old
        return dx


@wrong(says="W.grad")
class GradInAnObject:
    def __init__(self):
        self.W = Parameter(rng().standard_normal((5, 4)))

    def parameters(self):
        return [self.W]

    def forward(self, x):
        self.x = x
        return x @ self.W.data

    def backward(self, dy):
        self.W.grad = self.x.T @ dy / len(dy)
        return dy @ self.W.data.T


@wrong(says="dW1")
class TwoLayersInADictionary:
    def __init__(self):
        self.params = {"W1": rng().standard_normal((5, 7)), "W2": rng().standard_normal((7, 4))}
        self.grads = {}

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.params["W1"])
        return self.h @ self.params["W2"]

    def backward(self, dy):
        dh = dy @ self.params["W2"].T * (1 - self.h)
        self.grads = {"dW1": self.x.T @ dh, "dW2": self.h.T @ dy}
        return dh @ self.params["W1"].T


class FlippedDense(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = -self.db
        return dx


WRONG += [("a wrong layer in a list of lists", Chain([[Dense(5, 4), FlippedDense(4, 3)]]), (X,),
           "layers.0.1.db"),
          ("a wrong layer in a dictionary of lists", Chain({"a": [FlippedDense(5, 4)]}), (X,),
           "layers.a.0.db"),
          ("a wrong layer deep in lists", Chain([[[Dense(5, 4)], [[FlippedDense(4, 4)]]]]), (X,),
           "layers.0.1.0.0.db")]


@wrong(says="grads")
class WeightsPerLayerInADictionary:
    def __init__(self):
        self.params = {"first": {"W": rng().standard_normal((5, 4))}}
        self.grads = {"first": {}}

    def forward(self, x):
        self.x = x
        return x @ self.params["first"]["W"]

    def backward(self, dy):
        self.grads["first"]["W"] = self.x.T @ abs(dy)
        return dy @ self.params["first"]["W"].T


# Arrays that nobody registered -------------------------------------------------------------------

@wrong(says="b is not named")
class BiasNotNamed(Dense):
    parameters = ("W",)


@wrong(says="b is not named")
class BiasNeitherNamedNorDifferentiated(Dense):
    parameters = ("W",)

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


@wrong(says="gamma is not named")
class ScaleNotNamed(LayerNorm):
    parameters = ("beta",)


@wrong(says="b is not named")
class BiasBesideTheDictionary(Affine):
    def __init__(self):
        super().__init__()
        self.b = self.params.pop("b") + 0.5

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.b

    def backward(self, dy):
        self.grads["W"] = self.x.T @ dy
        return dy @ self.params["W"].T


@wrong(says="W")
class NothingNamedNothingSet:
    def __init__(self):
        self.W = rng().standard_normal((5, 4))

    def forward(self, x):
        return x @ self.W

    def backward(self, dy):
        return dy @ self.W.T


@wrong(says="slope is not named")
class LearnedNumberNotNamed:
    parameters = ()
    slope = 0.25

    def __init__(self):
        self.slope = 0.25

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.slope * x)

    def backward(self, dy):
        self.dslope = (dy * np.minimum(self.x, 0)).sum()
        return np.where(self.x > 0, dy, self.slope * dy)


@wrong(says="dW")
class UndeclaredSignFlipped:
    def __init__(self):
        self.W = rng().standard_normal((5, 4))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = -self.x.T @ dy
        return dy @ self.W.T


# Activations -------------------------------------------------------------------------------------

act("dy handed down", np.tanh, np.ones_like, "dx is dy unchanged")
act("tanh with 1 - x²", np.tanh, lambda x: 1 - x ** 2)
act("tanh with 1 - y", np.tanh, lambda x: 1 - np.tanh(x))
act("sigmoid with x (1 - x)", sigmoid, lambda x: x * (1 - x))
act("sigmoid with y", sigmoid, sigmoid)
act("ReLU passing all", lambda x: np.maximum(x, 0), np.ones_like)
act("ReLU on the wrong side", lambda x: np.maximum(x, 0), lambda x: x < 0)
act("leaky ReLU, slopes swapped", lambda x: np.where(x > 0, x, 0.1 * x),
    lambda x: np.where(x > 0, 0.1, 1.0))
act("leaky ReLU, another slope", lambda x: np.where(x > 0, x, 0.1 * x),
    lambda x: np.where(x > 0, 1.0, 0.2))
act("ELU without exp", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    lambda x: np.where(x > 0, 1.0, np.expm1(np.minimum(x, 0))))
act("swish, one term only", lambda x: x * sigmoid(x), sigmoid)
act("GELU, one term only", lambda x: 0.5 * x * (1 + np.tanh(0.8 * (x + 0.0447 * x ** 3))),
    lambda x: 0.5 * (1 + np.tanh(0.8 * (x + 0.0447 * x ** 3))))
act("x²/2 with 2x", lambda x: x ** 2 / 2, lambda x: 2 * x, "2 times too large")
act("|x| with 1", abs, np.ones_like)
act("a steep tanh without its factor", lambda x: np.tanh(300 * x),
    lambda x: 1 - np.tanh(300 * x) ** 2, "300 times too small",
    np.linspace(-3e-3, 4e-3, 12).reshape(4, 3))
act("a large offset, twice the slope", lambda x: 1e9 + x ** 2, lambda x: 4 * x, "2 times too large")
act("NaN", np.log, lambda x: 1 / x, "nan")
act("logarithm with the derivative of log2", lambda x: np.log(x * x), lambda x: 2 / x / np.log(2))
act("logarithm near 0 with 0", np.log, np.zeros_like, "zero everywhere",
    10.0 ** -rng().integers(1, 9, X))
act("rounded", lambda x: np.round(8 * x) / 8, np.ones_like, "in jumps only")


@wrong()
class GuidedReLU(Act):
    def __init__(self):
        super().__init__(lambda x: np.maximum(x, 0), lambda x: x > 0)

    def backward(self, dy):
        return np.maximum(super().backward(dy), 0)


@wrong()
class SoftmaxDiagonal(Softmax):
    def backward(self, dy):
        return dy * self.y * (1 - self.y)


@wrong()
class SoftmaxOverTheBatch(Softmax):
    def backward(self, dy):
        return self.y * (dy - (dy * self.y).sum(axis=0))


@wrong(says="for the same input once it has seen another one")
class RemembersItsFirstOutput:
    y = None

    def forward(self, x):
        self.x = x
        self.y = x[:1] ** 2 if self.y is None else self.y
        return self.y + 0 * x

    def backward(self, dy):
        return 2 * self.x * dy


# Dropout, noise ----------------------------------------------------------------------------------

@wrong(says="backward draws random numbers")
class MaskRedrawn:
    parameters = ()

    def __init__(self):
        self.rng = rng()

    def forward(self, x):
        return x * (self.rng.random(x.shape) > 0.4)

    def backward(self, dy):
        return dy * (self.rng.random(dy.shape) > 0.4)


@wrong(says="backward draws random numbers")
class MaskRedrawnBelowWeights(Dense):
    def __init__(self):
        super().__init__()
        self.rng = rng()

    def forward(self, x):
        return super().forward(x) * (self.rng.random((len(x), 4)) > 0.4)

    def backward(self, dy):
        return super().backward(dy * (self.rng.random(dy.shape) > 0.4))


@wrong(says="backward draws random numbers")
class MaskRedrawnByTheOldGenerator(MaskRedrawn):
    def __init__(self):
        self.rng = np.random.RandomState(0)

    def forward(self, x):
        return x * (self.rng.rand(*x.shape) > 0.4)

    def backward(self, dy):
        return dy * (self.rng.rand(*dy.shape) > 0.4)


@wrong()
class MaskNotScaledInBackward(MaskRedrawn):
    def forward(self, x):
        self.mask = self.rng.random(x.shape) > 0.4
        return x * self.mask / 0.6

    def backward(self, dy):
        return dy * self.mask


@wrong(says="depends on random numbers")
class GlobalNoise:
    def forward(self, x):
        self.mask = np.random.rand(*x.shape) > 0.5
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


# Normalisations ----------------------------------------------------------------------------------

@wrong()
class BatchNormConstantStatistics(BatchNorm):
    def backward(self, dy):
        super().backward(dy)
        return self.gamma * self.s * dy


@wrong()
class BatchNormHalfVariance(BatchNorm):
    def backward(self, dy):
        dx = super().backward(dy)
        return dx + self.gamma * self.s * self.z * self.dgamma / (2 * len(dy))


@wrong()
class LayerNormOverTheBatch(LayerNorm):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dgamma = dy.sum(axis=0)
        return dx


@wrong()
class RMSNormConstantScale(RMSNorm):
    def backward(self, dy):
        super().backward(dy)
        return dy * self.g / self.r


@wrong()
class VectorNormUnprojected(VectorNorm):
    def backward(self, dy):
        return dy / self.n


# Convolution, pooling, embedding -----------------------------------------------------------------

@wrong((2, 9))
class ConvKernelFlipped(Conv1D):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dk = self.dk[::-1]
        return dx


@wrong((2, 9))
class ConvForgetsOverlap(Conv1D):
    def backward(self, dy):
        super().backward(dy)
        dx = np.zeros_like(self.x)
        for i, k in enumerate(self.k):
            dx[:, i:i + dy.shape[1]] = k * dy
        return dx


@wrong((2, 8))
class MaxPoolToAll(MaxPool):
    def backward(self, dy):
        return np.repeat(dy, 2, axis=1)


@wrong((2, 8))
class MaxPoolOfTheFirstExample(MaxPool):
    def backward(self, dy):
        self.mask = np.broadcast_to(self.mask[:1], self.mask.shape)
        return super().backward(dy)


@wrong((2, 8), says="2 times too large")
class MeanPoolNotDivided:
    def forward(self, x):
        return x.reshape(len(x), -1, 2).mean(axis=2)

    def backward(self, dy):
        return np.repeat(dy, 2, axis=1)


@wrong(rng().integers(0, 5, (4, 6)))
class EmbeddingCountsOnce(Embedding):
    def backward(self, dy):
        self.dE = np.zeros_like(self.E)
        self.dE[self.ids] += dy


@wrong(rng().integers(0, 5, (4, 6)), says="added to what was there")
class EmbeddingAdds(Embedding):
    dE = None

    def backward(self, dy):
        self.dE = np.zeros_like(self.E) if self.dE is None else self.dE
        np.add.at(self.dE, self.ids, dy)


@wrong(says="right for dy = 1 only")
class AnyNumberOfArguments(Act):
    def __init__(self):
        super().__init__(np.tanh, lambda x: 1 - np.tanh(x) ** 2)

    def backward(self, *dys):
        return self.df(self.x)


# Several inputs, several outputs, time -----------------------------------------------------------

@wrong(X, X, says="dx1")
class GradientsSwapped(Bilinear):
    def backward(self, dy):
        return super().backward(dy)[::-1]


@wrong(X, (1, 5), says="dx2 has shape")
class BroadcastNotSummed(Bilinear):
    def backward(self, dy):
        return dy * self.x2, dy * self.x1


@wrong(X)
class SecondOutputIgnored(Split):
    def backward(self, da, db):
        return super().backward(da, 0 * db)


@wrong(X)
class OutputsSwapped(Split):
    def backward(self, da, db):
        return super().backward(db[:, :2], np.hstack([da, db[:, 2:]]))


@wrong((3, 4), (5, 4), (5, 2), says="dq")
class AttentionWithoutItsScale(Attention):
    def backward(self, dy):
        dq, dk, dv = super().backward(dy)
        return dq * 2, dk, dv


@wrong((3, 4), (5, 4), (5, 2), says="dk")
class AttentionDiagonal(Attention):
    def backward(self, dy):
        da = dy @ self.v.T
        ds = da * self.a * (1 - self.a) / 2
        return ds @ self.k, ds.T @ self.q, self.a.T @ dy


@wrong((4, 3, 5), (4, 2))
class RNNOneStepOnly(RNN):
    def step_back(self, dh):
        return 0 * super().step_back(dh)


@wrong((4, 3, 5), (4, 2), says="dstate")
class RNNStateForgotten(RNN):
    def backward(self, dy, dend):
        dx, dstate = super().backward(dy, dend)
        return dx, 0 * dstate


@wrong((4, 3, 5), (4, 2))
class RNNEndForgotten(RNN):
    def backward(self, dy, dend):
        return super().backward(dy, 0 * dend)


@wrong((4, 3, 5))
class LSTMWithoutForgetting(LSTM):
    def carry(self, dc, f):
        return dc


@wrong((5, 6))
class ColumnMean(Column):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.dW / dy.shape[1]
        return dx


@wrong()
class SkipForgotten(Dense):
    def __init__(self):
        super().__init__(5, 5)

    def forward(self, x):
        return x + super().forward(x)


@wrong()
class ForwardOrderInBackward(Chain):
    def __init__(self):
        super().__init__([Dense(5, 5), Act(np.tanh, lambda x: 1 - np.tanh(x) ** 2), Dense(5, 5)])

    def backward(self, dy):
        for layer in self.flat():
            dy = layer.backward(dy)
        return dy


@wrong(says="fc2.bias.grad")
class ModuleTree(ModuleNet):
    def backward(self, dy):
        dx = super().backward(dy)
        self.fc2.bias.grad = -self.fc2.bias.grad
        return dx


@wrong(says="dbiases is 2 times too large")
class NnfsTwice(Nnfs):
    def backward(self, dvalues):
        dx = super().backward(dvalues)
        self.dbiases = 2 * self.dbiases
        return dx


@wrong(says="backward returns None where dinputs belongs")
class NnfsReturnsNothing(Nnfs):
    def backward(self, dvalues):
        super().backward(dvalues)


@wrong(says="dW is 2 times too large")
class LazyTwice(Lazy):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = 2 * self.dW
        return dx


@wrong()
class WeightNormUnprojected(WeightNorm):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dv = self.g / self.n * (self.x.T @ dy)
        return dx


@wrong(says="backward keeps something from the pass before")
class FlipsEverySecondPass(Dense):
    passes = 0

    def backward(self, dy):
        self.passes += 1
        dx = super().backward(dy)
        self.dW *= (-1) ** (self.passes + 1)
        return dx


@wrong(says="in the first pass")
class FlipsTheFirstPass(Dense):
    passes = 0

    def backward(self, dy):
        self.passes += 1
        dx = super().backward(dy)
        self.dW *= (-1) ** (self.passes == 1)
        return dx


@wrong()
class SortedTwice(Sort):
    def backward(self, dy):
        return np.take_along_axis(dy, self.order, 1)


@wrong()
class CumsumForwards(Cumsum):
    def backward(self, dy):
        return np.cumsum(dy, axis=1)


@wrong(says="expected 0")
class MaskForgotten(Masked):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.x.T @ dy
        return dx


# Losses ------------------------------------------------------------------------------------------

LABELS = np.array([0, 2, 1, 1, 4, 0])


@wrong(X, LABELS, says="batch size N")
class LossWithoutN(SoftmaxLoss):
    def backward(self):
        return super().backward() * len(self.p)


@wrong(X, LABELS, says="sum over the batch")
class LossIsASum(SoftmaxLoss):
    def forward(self, prediction, target):
        return super().forward(prediction, target) * len(prediction)

    def backward(self):
        return super().backward() * len(self.p)


@wrong(X, LABELS, says="sign is flipped")
class LossUphill(SoftmaxLoss):
    def backward(self):
        return -super().backward()


@wrong(X, LABELS)
class LossWithoutTarget(SoftmaxLoss):
    def backward(self):
        return self.p / len(self.p)


@wrong(X, X)
class HuberWithoutItsBend:
    def forward(self, prediction, target):
        self.d = prediction - target
        return np.where(abs(self.d) < 1, self.d ** 2 / 2, abs(self.d) - 0.5).sum() / len(self.d)

    def backward(self):
        return self.d / len(self.d)
