"""Right layers and losses, written in many ways, which the checker must not accuse.

RIGHT holds (name, object, inputs).
"""

import numpy as np

X = (6, 5)


def rng(seed=1):
    return np.random.default_rng(seed)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Dense:
    parameters = ("W", "b")

    def __init__(self, n_in=5, n_out=4):
        self.W = rng().standard_normal((n_in, n_out))
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


class Act:
    """y = f(x), with its derivative df."""

    def __init__(self, f, df):
        self.f, self.df = f, df

    def forward(self, x):
        self.x = x
        return self.f(x)

    def backward(self, dy):
        return dy * self.df(self.x)


class Affine:
    """As in CS231n and joelnet: params and grads are dictionaries."""

    def __init__(self, n_in=5, n_out=4):
        self.params = {"W": rng().standard_normal((n_in, n_out)), "b": np.zeros(n_out)}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dy):
        self.grads["W"] = self.x.T @ dy
        self.grads["b"] = dy.sum(axis=0)
        return dy @ self.params["W"].T


class Listed:
    """As in Deep Learning from Scratch: params and grads are lists, filled in place."""

    def __init__(self, n_in=5, n_out=4):
        self.params = [rng().standard_normal((n_in, n_out)), np.zeros(n_out)]
        self.grads = [np.zeros_like(array) for array in self.params]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return x @ W + b

    def backward(self, dy):
        self.grads[0][...] = self.x.T @ dy
        self.grads[1][...] = dy.sum(axis=0)
        return dy @ self.params[0].T


class Parameter:
    """As in PyTorch and thinc: an array beside its gradient."""

    def __init__(self, data):
        self.data, self.grad = data, None


class Objects:
    def __init__(self):
        self.W, self.b = Parameter(rng().standard_normal((5, 4))), Parameter(np.zeros(4))

    def parameters(self):
        return [self.W, self.b]

    def forward(self, x):
        self.x = x
        return x @ self.W.data + self.b.data

    def backward(self, dy):
        self.W.grad, self.b.grad = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.W.data.T


class Chain:
    """Layers in lists and dictionaries, nested as one likes."""

    parameters = ()

    def __init__(self, layers):
        self.layers = layers

    def flat(self, inside=None):
        inside = self.layers if inside is None else inside
        if hasattr(inside, "forward"):
            return [inside]
        inside = inside.values() if isinstance(inside, dict) else inside
        return [layer for item in inside for layer in self.flat(item)]

    def forward(self, x):
        for layer in self.flat():
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.flat()[::-1]:
            dy = layer.backward(dy)
        return dy


class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, dy):
        return self.y * (dy - (dy * self.y).sum(axis=1, keepdims=True))


class BatchNorm:
    parameters = ("gamma", "beta")

    def __init__(self, n=5):
        self.gamma, self.beta = np.ones(n), np.zeros(n)
        self.running_mean, self.running_var = np.zeros(n), np.ones(n)
        self.training = True

    def forward(self, x):
        mean, var = x.mean(axis=0), x.var(axis=0)
        if not self.training:
            mean, var = self.running_mean, self.running_var
        else:
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * var
        self.s = 1 / np.sqrt(var + 1e-5)
        self.z = (x - mean) * self.s
        return self.gamma * self.z + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.z).sum(axis=0), dy.sum(axis=0)
        if not self.training:
            return self.gamma * self.s * dy
        return self.gamma * self.s * (dy - dy.mean(axis=0) - self.z * (dy * self.z).mean(axis=0))


class LayerNorm:
    parameters = ("gamma", "beta")

    def __init__(self, n=5):
        self.gamma, self.beta = np.ones(n), np.zeros(n)

    def forward(self, x):
        mean = x.mean(axis=-1, keepdims=True)
        self.s = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        self.z = (x - mean) * self.s
        return self.gamma * self.z + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.z).sum(axis=0), dy.sum(axis=0)
        g = dy * self.gamma
        return self.s * (g - g.mean(axis=-1, keepdims=True)
                         - self.z * (g * self.z).mean(axis=-1, keepdims=True))


class RMSNorm:
    parameters = ("g",)

    def __init__(self):
        self.g = np.ones(5)

    def forward(self, x):
        self.x, self.r = x, np.sqrt((x ** 2).mean(axis=1, keepdims=True))
        return x / self.r * self.g

    def backward(self, dy):
        z = self.x / self.r
        self.dg = (dy * z).sum(axis=0)
        return (dy * self.g - z * (dy * self.g * z).mean(axis=1, keepdims=True)) / self.r


class VectorNorm:
    def forward(self, x):
        self.n = np.sqrt((x ** 2).sum(axis=1, keepdims=True))
        self.z = x / self.n
        return self.z

    def backward(self, dy):
        return (dy - self.z * (dy * self.z).sum(axis=1, keepdims=True)) / self.n


class Conv1D:
    parameters = ("k",)

    def __init__(self):
        self.k = rng().standard_normal(3)

    def forward(self, x):
        self.x = x
        n = x.shape[1] - 2
        return sum(k * x[:, i:i + n] for i, k in enumerate(self.k))

    def backward(self, dy):
        n, dx = dy.shape[1], np.zeros_like(self.x)
        self.dk = np.array([(dy * self.x[:, i:i + n]).sum() for i in range(3)])
        for i, k in enumerate(self.k):
            dx[:, i:i + n] += k * dy
        return dx


class MaxPool:
    def forward(self, x):
        pairs = x.reshape(len(x), -1, 2)
        y = pairs.max(axis=2)
        self.mask = pairs == y[:, :, None]
        return y

    def backward(self, dy):
        return (self.mask * dy[:, :, None]).reshape(len(dy), -1)


class Embedding:
    parameters = ("E",)

    def __init__(self, n=5, width=3):
        self.E = rng().standard_normal((n, width))

    def forward(self, ids):
        self.ids = ids
        return self.E[ids]

    def backward(self, dy):
        self.dE = np.zeros_like(self.E)
        np.add.at(self.dE, self.ids, dy)


class Bilinear:
    def forward(self, x1, x2):
        self.x1, self.x2 = x1, x2
        return x1 * x2

    def backward(self, dy):
        return dy * self.x2, dy * self.x1


class Split:
    """Two outputs of different width."""

    def forward(self, x):
        self.x = x
        return x[:, :2] ** 2, np.sin(x[:, 2:])

    def backward(self, da, db):
        return np.hstack([2 * self.x[:, :2] * da, np.cos(self.x[:, 2:]) * db])


class Attention:
    """softmax(q kᵀ / 2) v, without a batch."""

    def forward(self, q, k, v):
        self.q, self.k, self.v = q, k, v
        self.softmax = Softmax()
        self.a = self.softmax.forward(q @ k.T / 2)
        return self.a @ v

    def backward(self, dy):
        ds = self.softmax.backward(dy @ self.v.T) / 2
        return ds @ self.k, ds.T @ self.q, self.a.T @ dy


class RNN:
    parameters = ("Wx", "Wh")

    def __init__(self):
        self.Wx, self.Wh = rng(2).standard_normal((5, 2)), rng(3).standard_normal((2, 2))

    def forward(self, x, state):
        self.x, self.hs = x, [state]
        for t in range(x.shape[1]):
            self.hs.append(np.tanh(x[:, t] @ self.Wx + self.hs[-1] @ self.Wh))
        return np.stack(self.hs[1:], axis=1), self.hs[-1]

    def step_back(self, dh):
        return dh

    def backward(self, dy, dend):
        dx, dh = np.zeros_like(self.x), dend
        self.dWx, self.dWh = np.zeros_like(self.Wx), np.zeros_like(self.Wh)
        for t in reversed(range(dy.shape[1])):
            dz = (dy[:, t] + dh) * (1 - self.hs[t + 1] ** 2)
            self.dWx += self.x[:, t].T @ dz
            self.dWh += self.hs[t].T @ dz
            dx[:, t], dh = dz @ self.Wx.T, self.step_back(dz @ self.Wh.T)
        return dx, dh


class LSTM:
    """Gates i, f, o and the candidate g, side by side in one matrix; the state starts at zero."""

    parameters = ("W", "b")

    def __init__(self, n_in=5, n=2):
        self.n = n
        self.W = 0.5 * rng().standard_normal((n_in + n, 4 * n))
        self.b = np.zeros(4 * n)

    def forward(self, x):
        h = c = np.zeros((len(x), self.n))
        self.steps, hs = [], []
        for t in range(x.shape[1]):
            xh = np.hstack([x[:, t], h])
            i, f, o, g = np.split(xh @ self.W + self.b, 4, axis=1)
            i, f, o, g, before = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g), c
            c = f * c + i * g
            h = o * np.tanh(c)
            self.steps.append((xh, i, f, o, g, before, c))
            hs.append(h)
        return np.stack(hs, axis=1)

    def carry(self, dc, f):
        return dc * f

    def backward(self, dy):
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)
        dh = dc = np.zeros((len(dy), self.n))
        dxs = []
        for t in reversed(range(dy.shape[1])):
            xh, i, f, o, g, before, c = self.steps[t]
            dh = dh + dy[:, t]
            dc = dc + dh * o * (1 - np.tanh(c) ** 2)
            dz = np.hstack([dc * g * i * (1 - i), dc * before * f * (1 - f),
                            dh * np.tanh(c) * o * (1 - o), dc * i * (1 - g ** 2)])
            dc = self.carry(dc, f)
            self.dW += xh.T @ dz
            self.db += dz.sum(axis=0)
            dxh = dz @ self.W.T
            dx, dh = dxh[:, :-self.n], dxh[:, -self.n:]
            dxs.append(dx)
        return np.stack(dxs[::-1], axis=1)


class Column:
    """As in Andrew Ng's course: examples are columns."""

    parameters = ("W", "b")

    def __init__(self):
        self.W, self.b = rng().standard_normal((4, 5)), np.zeros((4, 1))

    def forward(self, x):
        self.x = x
        return self.W @ x + self.b

    def backward(self, dy):
        self.dW, self.db = dy @ self.x.T, dy.sum(axis=1, keepdims=True)
        return self.W.T @ dy


class SoftmaxLoss:
    def forward(self, prediction, target):
        self.p, self.target = Softmax().forward(prediction), target
        return -np.log(self.p[np.arange(len(target)), target]).mean()

    def backward(self):
        d = self.p.copy()
        d[np.arange(len(d)), self.target] -= 1
        return d / len(d)


class FlatVector(Dense):
    """W and b are views of one vector; only W and b are named."""

    def __init__(self):
        self.theta = rng().standard_normal(24)
        self.W, self.b = self.theta[:20].reshape(5, 4), self.theta[20:]


class FlatNamed(FlatVector):
    """The vector itself is the parameter."""

    parameters = ("theta",)

    def backward(self, dy):
        dx = super().backward(dy)
        self.dtheta = np.concatenate([self.dW.ravel(), self.db])
        return dx


class Tied:
    """x W Wᵀ: one matrix, used twice."""

    parameters = ("W",)

    def __init__(self):
        self.W = rng().standard_normal((5, 3))
        self.V = self.W.T

    def forward(self, x):
        self.x, self.h = x, x @ self.W
        return self.h @ self.V

    def backward(self, dy):
        dh = dy @ self.W
        self.dW = self.x.T @ dh + dy.T @ self.h
        return dh @ self.V


class Standardise:
    """Learns nothing, keeps two arrays."""

    def __init__(self):
        self.mean, self.std = rng().standard_normal(5), np.full(5, 2.0)

    def forward(self, x):
        return (x - self.mean) / self.std

    def backward(self, dy):
        return dy / self.std


class RandomProjection:
    parameters = ()

    def __init__(self):
        self.P = rng().standard_normal((5, 3))

    def forward(self, x):
        return x @ self.P

    def backward(self, dy):
        return dy @ self.P.T


class WithPositions(Dense):
    """A constant beside the parameters."""

    def __init__(self):
        super().__init__()
        self.positions = np.sin(np.arange(5.0))

    def forward(self, x):
        return super().forward(x + self.positions)


class Plain:
    """Says nothing about its parameters; backward sets dW and db."""

    def __init__(self):
        self.W, self.b = rng().standard_normal((5, 4)), np.zeros(4)

    forward, backward = Dense.forward, Dense.backward


class SmallBuffers(Dense):
    """Makes new buffers where the batch is another."""

    out = None

    def forward(self, x):
        if self.out is None or len(self.out) != len(x):
            self.out = np.empty((len(x), 4))
        self.x = x
        np.matmul(x, self.W, out=self.out)
        return self.out + self.b


class Float32(Dense):
    def __init__(self):
        super().__init__()
        self.dtype = np.float32
        self.W, self.b = self.W.astype(self.dtype), self.b.astype(self.dtype)

    def forward(self, x):
        return super().forward(x.astype(self.dtype))


class Dropout:
    def __init__(self, seed=0):
        self.rng = rng(seed)

    def forward(self, x):
        self.mask = (self.rng.random(x.shape) > 0.4) / 0.6
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class GaussianNoise(Dropout):
    def forward(self, x):
        return x + 0.1 * self.rng.standard_normal(x.shape)

    def backward(self, dy):
        return dy


class PReLU:
    parameters = ("a",)

    def __init__(self):
        self.a = 0.25

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.a * x)

    def backward(self, dy):
        self.da = (dy * np.minimum(self.x, 0)).sum()
        return np.where(self.x > 0, dy, self.a * dy)


class Positive:
    """A variance that must stay positive."""

    parameters = ("var",)

    def __init__(self):
        self.var = np.array([0.5, 0.01, 1.0, 2.0, 0.3])

    def forward(self, x):
        self.x = x
        return x / np.sqrt(self.var)

    def backward(self, dy):
        self.dvar = -0.5 * (dy * self.x * self.var ** -1.5).sum(axis=0)
        return dy / np.sqrt(self.var)


class Counter(Dense):
    """Counts its calls and keeps a history."""

    def __init__(self):
        super().__init__()
        self.calls, self.history = 0, []

    def forward(self, x):
        self.calls += 1
        self.history.append(float(x.mean()))
        return super().forward(x)


class Reshape:
    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy):
        return dy.reshape(self.shape)


class TupleOfGradients(Bilinear):
    """Takes the gradients of its two outputs as one list."""

    def forward(self, x1, x2):
        self.x1, self.x2 = x1, x2
        return [x1 * x2, x1 + x2]

    def backward(self, dys):
        da, db = dys
        return [da * self.x2 + db, da * self.x1 + db]


class Lookup(Embedding):
    """Whole numbers and floats come in; there is no gradient for the former."""

    def forward(self, ids, x):
        self.x = x
        return super().forward(ids) * x

    def backward(self, dy):
        super().backward(dy * self.x)
        return None, dy * self.E[self.ids]


class WithoutBatch:
    """One example at a time: x is a vector."""

    parameters = ("W",)

    def __init__(self):
        self.W = rng().standard_normal((4, 5))

    def forward(self, x):
        self.x = x
        return self.W @ x

    def backward(self, dy):
        self.dW = np.outer(dy, self.x)
        return self.W.T @ dy


class OneShape:
    """A weight for every entry of x, the axis of the batch included."""

    parameters = ("W",)

    def __init__(self):
        self.W = rng().standard_normal((6, 5))

    def forward(self, x):
        self.x = x
        return x * self.W

    def backward(self, dy):
        self.dW = self.x * dy
        return dy * self.W


class Hinge:
    def forward(self, prediction, target):
        self.t = 2 * target - 1
        self.margin = 1 - self.t * prediction
        return np.maximum(self.margin, 0).sum() / len(prediction)

    def backward(self):
        return -self.t * (self.margin > 0) / len(self.t)


class Slots:
    """No __dict__."""

    __slots__ = ("W", "x", "dW")
    parameters = ("W",)

    def __init__(self):
        self.W = rng().standard_normal((5, 4))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


class Memo(Dense):
    """Looks up what it computed for the same input before, as long as the weights are the same."""

    def __init__(self):
        super().__init__()
        self.known = {}

    def forward(self, x):
        key = (x.tobytes(), self.W.tobytes(), self.b.tobytes())
        if key not in self.known:
            self.known[key] = x @ self.W + self.b
        self.x = x
        return self.known[key].copy()


class StackOfInputs(Dense):
    """Pushes what backward pops, so that one layer can stand in two places."""

    def __init__(self):
        super().__init__()
        self.stack = []

    def forward(self, x):
        self.stack.append(x)
        return x @ self.W + self.b

    def backward(self, dy):
        self.x = self.stack.pop()
        return super().backward(dy)


class Module:
    """As in PyTorch: a tree of modules, which finds its parameters by itself."""

    def __init__(self):
        self._parameters, self._modules = {}, {}

    def __setattr__(self, name, value):
        kind = ("_parameters" if isinstance(value, Parameter) else
                "_modules" if isinstance(value, Module) else None)
        if kind:
            self.__dict__[kind][name] = value
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name):
        for kind in ("_parameters", "_modules"):
            if name in self.__dict__.get(kind, {}):
                return self.__dict__[kind][name]
        raise AttributeError(name)

    def named_parameters(self):
        yield from self._parameters.items()

    def parameters(self):
        yield from self._parameters.values()
        for module in self._modules.values():
            yield from module.parameters()

    def to(self, device):
        return self


class ModuleLinear(Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = Parameter(rng().standard_normal((n_out, n_in)).astype(np.float32))
        self.bias = Parameter(np.zeros(n_out, np.float32))

    def forward(self, x):
        self.x = x
        return x @ self.weight.data.T + self.bias.data

    def backward(self, dy):
        self.weight.grad, self.bias.grad = dy.T @ self.x, dy.sum(axis=0)
        return dy @ self.weight.data


class ModuleNet(Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = ModuleLinear(5, 4), ModuleLinear(4, 3)

    def forward(self, x):
        self.h = np.tanh(self.fc1.forward(x))
        return self.fc2.forward(self.h)

    def backward(self, dy):
        return self.fc1.backward(self.fc2.backward(dy) * (1 - self.h ** 2))


class Nnfs:
    """As in Neural Networks from Scratch: weights, dweights, dinputs."""

    def __init__(self):
        self.weights, self.biases = rng().standard_normal((5, 4)), np.zeros((1, 4))

    def forward(self, inputs):
        self.inputs = inputs
        self.output = inputs @ self.weights + self.biases
        return self.output

    def backward(self, dvalues):
        self.dweights = self.inputs.T @ dvalues
        self.dbiases = dvalues.sum(axis=0, keepdims=True)
        self.dinputs = dvalues @ self.weights.T
        return self.dinputs


class Closure:
    """As in thinc: forward makes the backward of this pass."""

    parameters = ("W",)

    def __init__(self):
        self.W = rng().standard_normal((5, 4))

    def forward(self, x):
        def back(dy):
            self.dW = x.T @ dy
            return dy @ self.W.T

        self.back = back
        return x @ self.W

    def backward(self, dy):
        return self.back(dy)


class Lazy(Dense):
    """Makes its weights in the first pass."""

    def __init__(self):
        self.W = self.b = None

    def forward(self, x):
        if self.W is None:
            Dense.__init__(self, x.shape[1], 4)
        return super().forward(x)


class WeightNorm:
    parameters = ("v", "g")

    def __init__(self):
        self.v, self.g = rng().standard_normal((5, 4)), np.ones(4)

    def forward(self, x):
        self.x, self.n = x, np.linalg.norm(self.v, axis=0)
        self.u = self.v / self.n
        return x @ (self.g * self.u)

    def backward(self, dy):
        dW = self.x.T @ dy
        self.dg = (dW * self.u).sum(axis=0)
        self.dv = self.g / self.n * (dW - self.u * self.dg)
        return dy @ (self.g * self.u).T


class Momentum:
    def __init__(self, params):
        self.params, self.velocity = params, [np.zeros_like(array) for array in params]


class OptimizerInside(Dense):
    def __init__(self):
        super().__init__()
        self.optimizer = Momentum([self.W, self.b])


class Sort:
    def forward(self, x):
        self.order = x.argsort(axis=1)
        return np.take_along_axis(x, self.order, 1)

    def backward(self, dy):
        dx = np.empty_like(dy)
        np.put_along_axis(dx, self.order, dy, 1)
        return dx


class Cumsum:
    def forward(self, x):
        return np.cumsum(x, axis=1)

    def backward(self, dy):
        return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]


class Power:
    """|Fourier transform|², which is complex inside."""

    def forward(self, x):
        self.f = np.fft.fft(x, axis=1)
        return np.abs(self.f) ** 2

    def backward(self, dy):
        return 2 * np.real(np.fft.ifft(dy * self.f, axis=1)) * self.f.shape[1]


class Solve:
    """y = A⁻¹ x."""

    parameters = ("A",)

    def __init__(self):
        self.A = rng().standard_normal((5, 5)) + 5 * np.eye(5)

    def forward(self, x):
        self.y = np.linalg.solve(self.A, x)
        return self.y

    def backward(self, dy):
        dx = np.linalg.solve(self.A.T, dy)
        self.dA = -dx @ self.y.T
        return dx


class Masked:
    """Some weights are switched off."""

    parameters = ("W",)

    def __init__(self):
        self.W = rng().standard_normal((5, 4))
        self.mask = (rng(2).random((5, 4)) > 0.5) * 1.0

    def forward(self, x):
        self.x = x
        return x @ (self.W * self.mask)

    def backward(self, dy):
        self.dW = self.x.T @ dy * self.mask
        return dy @ (self.W * self.mask).T


def tanh():
    return Act(np.tanh, lambda x: 1 - np.tanh(x) ** 2)


BITS = np.array([[0, 1, 1, 0, 1]] * 6)
LARGE = 1e6 + rng().standard_normal((6, 5))
KINK = np.where(abs(rng().standard_normal(X)) < 0.3, 3e-6, 1.0) * rng(4).uniform(0.1, 1, X)
KINK[::2] *= -1

RIGHT = [(type(thing).__name__ + str(inputs[1:] or ""), thing, inputs) for thing, *inputs in [
    (Dense(), X), (Affine(), X), (Listed(), X), (Objects(), X), (Softmax(), X), (BatchNorm(), X),
    (LayerNorm(), X), (RMSNorm(), X), (VectorNorm(), X), (Conv1D(), (2, 9)), (MaxPool(), (2, 8)),
    (Embedding(), rng().integers(0, 5, (4, 6))), (Embedding(), np.array([3, 3, 1])),
    (Bilinear(), X, X), (Split(), X), (Attention(), (3, 4), (5, 4), (5, 2)),
    (RNN(), (4, 3, 5), (4, 2)), (LSTM(), (4, 3, 5)), (Column(), (5, 6)), (Column(), (5, 5)),
    (SoftmaxLoss(), X, np.array([0, 2, 1, 1, 4, 0])), (Hinge(), X, BITS), (FlatVector(), X),
    (FlatNamed(), X), (Tied(), X), (Standardise(), X), (RandomProjection(), X),
    (WithPositions(), X), (Plain(), X), (SmallBuffers(), X), (Float32(), X), (Dropout(), X),
    (GaussianNoise(), X), (PReLU(), X), (Positive(), X), (Counter(), X), (Reshape(), (4, 2, 3)),
    (TupleOfGradients(), X, X), (Lookup(), rng().integers(0, 5, (4, 1)), (4, 1, 3)),
    (WithoutBatch(), (5,)), (OneShape(), X), (Slots(), X), (Memo(), X), (StackOfInputs(), X),
    (Dense(), (1, 5)), (Dense(5, 1), (2, 5)), (Dense(1, 1), (1, 1)), (Dense(), LARGE),
    (BatchNorm(), 300 + rng().standard_normal(X)), (BatchNorm(), (2, 5)), (ModuleNet(), X),
    (Nnfs(), X), (Closure(), X), (Lazy(), X), (WeightNorm(), X), (OptimizerInside(), X),
    (Sort(), X), (Cumsum(), X), (Power(), X), (Solve(), (5, 3)), (Masked(), X),
]]
RIGHT += [
    ("layers in a list of lists", Chain([[Dense(5, 4), tanh()], [Dense(4, 3)]]), (X,)),
    ("layers in a dictionary", Chain({"a": Affine(), "b": [tanh(), Listed(4, 3)]}), (X,)),
    ("one object twice", Chain([tanh(), Softmax(), Dropout(), LayerNorm(), BatchNorm()]), (X,)),
    ("a bias below a normalisation", Chain([Dense(5, 4), BatchNorm(4), tanh()]), (X,)),
    ("a large offset", Act(lambda x: 1e6 + x ** 2, lambda x: 2 * x), (X,)),
    ("a very large offset", Act(lambda x: 1e9 + x ** 2, lambda x: 2 * x), (X,)),
    ("an offset of inputs", Act(lambda x: (x - 1e6) ** 2, lambda x: 2 * (x - 1e6)), (LARGE,)),
    ("a steep tanh", Act(lambda x: np.tanh(1e3 * x), lambda x: 1e3 / np.cosh(1e3 * x) ** 2),
     (np.linspace(-2e-3, 2e-3, 12).reshape(4, 3),)),
    ("a steeper tanh", Act(lambda x: np.tanh(1e5 * x),
                           lambda x: 1e5 * (1 - np.tanh(1e5 * x) ** 2)), (X,)),
    ("a fast sine", Act(lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x)), (X,)),
    ("exp(30 x)", Act(lambda x: np.exp(30 * x), lambda x: 30 * np.exp(30 * x)), (X,)),
    ("logarithm near 0", Act(np.log, lambda x: 1 / x), (10.0 ** -rng().integers(1, 9, X),)),
    ("1/x near 0", Act(lambda x: 1 / x, lambda x: -x ** -2), (10.0 ** -rng().integers(1, 6, X),)),
    ("root near 0", Act(np.sqrt, lambda x: x ** -0.5 / 2), (10.0 ** -rng().integers(1, 12, X),)),
    ("ReLU close to its kink", Act(lambda x: np.maximum(x, 0), lambda x: x > 0), (KINK,)),
    ("tiny outputs", Act(lambda x: 1e-20 * x ** 2, lambda x: 2e-20 * x), (X,)),
    ("huge outputs", Act(lambda x: 1e20 * x ** 2, lambda x: 2e20 * x), (X,)),
    ("saturated", Act(lambda x: np.tanh(40 + x), lambda x: 1 - np.tanh(40 + x) ** 2), (X,)),
    ("x³", Act(lambda x: x ** 3, lambda x: 3 * x ** 2), (X,)),
    ("swish", Act(lambda x: x * sigmoid(x),
                  lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))), (X,)),
    ("GELU", Act(lambda x: x * sigmoid(1.702 * x), lambda x: sigmoid(1.702 * x) * (
        1 + 1.702 * x * (1 - sigmoid(1.702 * x)))), (X,)),
    ("leaky ReLU", Act(lambda x: np.maximum(x, 0.1 * x), lambda x: np.where(x > 0, 1, 0.1)), (X,)),
    ("a very rough curve", Act(
        lambda x: sum(0.5 ** k * np.cos(7 ** k * x) for k in range(10)),
        lambda x: -sum(3.5 ** k * np.sin(7 ** k * x) for k in range(10))), (X,)),
    ("constant", Act(lambda x: 0 * x + 3, lambda x: 0 * x), (X,)),
]
evaluating = BatchNorm()
evaluating.training = False
RIGHT.append(("BatchNorm at inference", evaluating, (X,)))
