"""Batch normalisation."""

import math
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.backend import Array
from tinydni.layer import Layer, batch_dot, batch_sum

__all__ = ["BatchNorm"]


class BatchNorm(Layer):
    """Normalise features over the batch, channels over pixels (Ioffe & Szegedy 2015, algorithm 1).

    z = x - mean(x),   s = 1 / sqrt(mean(z²) + eps),   y = gamma · s z + beta, in training; in
    evaluation the running mean and variance stand in for the batch's.

    dbeta = sum of dy,   dgamma = sum of dy · s z,
    dx = gamma s (dy - dbeta / N - s z · dgamma / N): the last two terms are the gradient through
    the batch's own mean and variance. For images N counts pixels.

    x (N, M) or images (N, H, W, M);   gamma, beta, running_mean, running_var (M,).
    Running: new = (1 - momentum) old + momentum batch, once per forward pass in training (the
    variance with N - 1, as PyTorch keeps it).

    Images are worked on as rows (N · H, W · M), with gamma and the like repeated W times: NumPy is
    slow where the last axis is short, and sums over lines, then over the line, round less.

    Parameters
    ----------
    n_features : M
    eps, momentum, dtype : as in the formulas; of all arrays
    """

    parameters = ("gamma", "beta")
    buffers = ("running_mean", "running_var")
    description = "{n_features}"

    def __init__(self, n_features: int, eps: float = 1e-5, momentum: float = 0.1,
                 dtype: Any = np.float32):
        n = self.n_features = checks.check_positive_int(n_features, "n_features")
        self.eps = checks.check_range(eps, "eps", 0, None, include_low=False)
        self.momentum = checks.check_range(momentum, "momentum", 0, 1)
        self.gamma, self.beta = np.ones(n, checks.check_dtype(dtype)), np.zeros(n, dtype)
        self.running_mean, self.running_var = np.zeros(n, dtype), np.ones(n, dtype)

    def forward(self, x: Array) -> Array:
        checks.check_features(x, self.n_features, self.gamma.dtype, "BatchNorm")
        self.by_batch, self.shape = self.training, x.shape
        self.width = math.prod(x.shape[2:-1]) if x.ndim > 2 else 1
        rows = self.as_rows(x)
        if self.training:
            N = x.size // self.n_features
            if N < 2:
                raise ValueError("BatchNorm: x has one example; use 2 or more, or layer.eval().")
            mean = self.total(batch_sum(self.xp, rows)) / N
            z = rows - self.repeated(mean)
            var = self.total(batch_dot(self.xp, z, z)) / N
            far = var < 1e-6 * mean * mean          # from zero: the mean has lost the last digits
            if self.xp is not np or far.any():
                rest = self.xp.where(far, self.total(batch_sum(self.xp, z)) / N, 0)
                z -= self.repeated(rest)
                mean, var = mean + rest, self.total(batch_dot(self.xp, z, z)) / N
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * (N / (N - 1)) - self.running_var)
        else:
            z, var = rows - self.repeated(self.running_mean), self.running_var
        self.z, self.s = z, 1 / self.xp.sqrt(var + self.eps)
        y = z * self.repeated(self.gamma * self.s)
        y += self.repeated(self.beta)
        return y.reshape(x.shape)

    def backward(self, dy: Array) -> Array:
        checks.check_gradient(dy, self.shape, self.gamma.dtype, "BatchNorm")
        rows, z, s = self.as_rows(dy), self.z, self.s
        N = dy.size // self.n_features
        self.dbeta = self.total(batch_sum(self.xp, rows))
        self.dgamma = self.total(batch_dot(self.xp, rows, z)) * s
        if not self.by_batch:                       # running statistics are constants
            return (rows * self.repeated(self.gamma * s)).reshape(dy.shape)
        dx = z * self.repeated(s * self.dgamma / -N)
        dx += rows
        dx -= self.repeated(self.dbeta / N)
        dx *= self.repeated(self.gamma * s)
        return dx.reshape(dy.shape)

    def as_rows(self, x: Array) -> Array:
        """Return x as (R, width · M); for x (N, M) the array itself."""
        return x.reshape(-1, self.width * self.n_features)

    def repeated(self, v: Array) -> Array:
        """Return v (M,) once for every pixel of a row: (width · M,)."""
        return self.xp.tile(v, self.width) if self.width > 1 else v

    def total(self, row: Array) -> Array:
        """Add up the sums of columns, (width · M,), for each feature: (M,)."""
        return row.reshape(self.width, self.n_features).sum(axis=0) if self.width > 1 else row
