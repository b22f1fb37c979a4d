"""The losses: the only place where a target enters the true gradient.

Each is a mean over the batch of N examples: squared error is half the squared distance summed over the
features, cross-entropies are summed over the outputs. `forward` returns the loss (a scalar of the backend),
`backward` its gradient with respect to the prediction.
"""

import numpy as np

from tinydni import backend, checks


class Loss:
    """loss = forward(prediction, target),   dprediction = backward()."""

    xp = np

    def forward(self, prediction, target):
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self):
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def to(self, xp=None, dtype=None):
        """Moves the loss to another backend. Returns the loss itself."""
        self.xp = xp or self.xp
        return self

    def __repr__(self):
        return f"{type(self).__name__}()"


class SoftmaxCrossEntropy(Loss):
    """loss = -1/N sum over n of log p[n, target[n]],   p = softmax(prediction),   dprediction = (p - onehot) / N.

    prediction (N, K): logits    target (N,): labels 0 ... K-1    dprediction (N, K)
    Raises TypeError or ValueError for labels that are not whole numbers from 0 to K - 1. On a device only their
    dtype and shape are looked at, since reading the values would wait for it; the training loop checks them once.
    """

    def forward(self, prediction, target):
        N, K = prediction.shape
        if backend.is_host(self.xp):
            checks.labels(target, K, N)
        elif target.dtype.kind not in "iu" or target.shape != (N,):
            raise TypeError(f"target must hold {N} whole-number labels; got {target.dtype} {tuple(target.shape)}.")
        self.own = (self.xp.arange(N), target)                          # the entry of each example's own class
        shifted = prediction - prediction.max(axis=1, keepdims=True)    # exp can't overflow, softmax is the same
        self.p = self.xp.exp(shifted)
        total = self.p.sum(axis=1, keepdims=True)
        self.p /= total
        return (self.xp.log(total[:, 0]) - shifted[self.own]).mean()

    def backward(self):
        dprediction = self.p.copy()
        dprediction[self.own] -= 1
        dprediction /= len(dprediction)
        return dprediction


class MeanSquaredError(Loss):
    """loss = 1/(2N) sum of (prediction - target)²,   dprediction = (prediction - target) / N.

    prediction, target, dprediction (N, M)
    Raises ValueError where the shapes differ.
    """

    def forward(self, prediction, target):
        checks.same_shape(prediction, target, "prediction", "target")
        self.difference = prediction - target
        return 0.5 * self.xp.vdot(self.difference, self.difference) / len(prediction)

    def backward(self):
        return self.difference / len(self.difference)


class BinaryCrossEntropy(Loss):
    """loss = -1/N sum of t log p + (1 - t) log(1 - p),   p = sigmoid(prediction),   dprediction = (p - t) / N.

    prediction (N, M): logits    target t (N, M): bits, or probabilities from 0 to 1    dprediction (N, M)
    Computed from the logits as max(z, 0) - t z + log(1 + exp(-|z|)), which cannot overflow.
    Raises ValueError where the shapes differ.
    """

    def forward(self, prediction, target):
        checks.same_shape(prediction, target, "prediction", "target")
        xp, z = self.xp, prediction
        self.difference = 0.5 + 0.5 * xp.tanh(0.5 * z) - target
        return (xp.maximum(z, 0) - target * z + xp.log1p(xp.exp(-xp.abs(z)))).sum() / len(z)

    def backward(self):
        return self.difference / len(self.difference)
