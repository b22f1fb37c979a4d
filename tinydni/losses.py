"""Losses: the only place where a target enters the true gradient."""

from typing import Any

import numpy as np

from tinydni import backend, checks
from tinydni.activations import sigmoid
from tinydni.backend import Array

__all__ = ["BinaryCrossEntropy", "Loss", "MeanSquaredError", "SoftmaxCrossEntropy"]


class Loss:
    """The contract: loss = forward(prediction, target), a scalar;   dprediction = backward().

    Each is a mean over the batch of N examples: squared error is half the squared distance summed
    over the features, cross-entropies are summed over the outputs.
    """

    xp: Any = np
    __deepcopy__ = backend.deepcopy_on_same_backend

    def forward(self, prediction: Array, target: Array) -> Array:
        """Return the loss, a scalar of the backend."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self) -> Array:
        """Return the gradient with respect to the prediction."""
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def to(self, xp: Any = None, dtype: Any = None) -> "Loss":
        """Move the loss to another backend. Return the loss itself."""
        checks.check_move(xp, dtype)
        self.xp = xp or self.xp
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class MeanSquaredError(Loss):
    """loss = 1/(2N) sum of (prediction - target)²,   dprediction = (prediction - target) / N.

    prediction, target (N, M).
    """

    def forward(self, prediction: Array, target: Array) -> Array:
        check_pair(prediction, target)
        self.difference = prediction - target
        return 0.5 * self.xp.vdot(self.difference, self.difference) / len(prediction)

    def backward(self) -> Array:
        return self.difference / len(self.difference)


class BinaryCrossEntropy(Loss):
    """loss = -1/N sum of t log p + (1 - t) log(1 - p),   p = sigmoid(prediction).

    dprediction = (p - t) / N.   prediction (N, M): logits;   target t (N, M): bits, or
    probabilities from 0 to 1. Computed from the logits as max(z, 0) - t z +
    log(1 + exp(-|z|)), which cannot overflow.
    """

    def forward(self, prediction: Array, target: Array) -> Array:
        check_pair(prediction, target)
        xp, z, t = self.xp, prediction, target
        if xp is np and not (t.min() >= 0 and t.max() <= 1):
            raise ValueError(f"target must lie in 0 ... 1; got {t.min()} to {t.max()}.")
        self.difference = (1 - t) * sigmoid(xp, z) - t * sigmoid(xp, -z)     # p - t, in both tails
        return (xp.maximum(z, 0) - t * z + xp.log1p(xp.exp(-xp.abs(z)))).sum() / len(z)

    def backward(self) -> Array:
        return self.difference / len(self.difference)


class SoftmaxCrossEntropy(Loss):
    """loss = -1/N sum over n of log p[n, target[n]],   p = softmax(prediction).

    dprediction = (p - onehot) / N.   prediction (N, K): logits;   target (N,): labels 0 ... K-1.
    """

    def forward(self, prediction: Array, target: Array) -> Array:
        check_logits(prediction, target)
        self.own = (self.xp.arange(len(target)), target)        # the entry of each own class
        shifted = prediction - prediction.max(axis=1, keepdims=True)    # exp cannot overflow
        self.p = self.xp.exp(shifted)
        total = self.p.sum(axis=1, keepdims=True)
        self.p /= total
        return (self.xp.log(total[:, 0]) - shifted[self.own]).mean()

    def backward(self) -> Array:
        dprediction = self.p.copy()
        dprediction[self.own] -= 1
        dprediction /= len(dprediction)
        return dprediction


def check_logits(prediction: Array, target: Array) -> None:
    """Raise unless prediction (N, K) are logits and target (N,) labels, N > 0."""
    checks.check_floats(prediction, "loss", "prediction")
    if prediction.ndim != 2 or prediction.size == 0:
        raise ValueError(f"prediction must be logits (N, K), N > 0; got {prediction.shape}.")
    checks.check_labels(target, prediction.shape[1], len(prediction))


def check_pair(prediction: Array, target: Array) -> None:
    """Raise unless prediction and target are alike, and not empty."""
    checks.check_floats(prediction, "loss", "prediction")
    checks.check_same_shape(prediction, target, "prediction", "target")
    checks.check_same_dtype(prediction, target, "prediction", "target")
    if prediction.size == 0:
        raise ValueError(f"the batch is empty: prediction has shape {prediction.shape}.")
