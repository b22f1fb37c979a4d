"""Batch normalisation."""

import math

import numpy as np

from tinydni import checks
from tinydni.kernels import batch_dot, batch_sum
from tinydni.layers.layer import Layer


class BatchNorm(Layer):
    """Normalises every feature over the batch, or every channel over all pixels  (Ioffe & Szegedy 2015, algorithm 1).

    training:    z = x - mean(x),   s = 1 / sqrt(mean(z²) + eps),   y = gamma · s z + beta
    evaluation:  the same with the running mean and variance in place of the batch's.

    x (N, M) or images (N, H, W, M): inputs    gamma, beta (M,): scale and shift    y: outputs, in the shape of x
    running_mean, running_var (M,): exponential averages, new = (1 - momentum) old + momentum batch, counted
    once per forward pass in training (the variance with N - 1, as PyTorch keeps it).

    dbeta = sum of dy,   dgamma = sum of dy · s z,
    dx = gamma s (dy - dbeta / N - s z · dgamma / N): the last two terms are the gradient through the batch's
    own mean and variance. For images N counts pixels.

    Images are worked on as rows (N · H, W · M), a line of pixels in each, with gamma and the like repeated W times:
    NumPy is slow where the last axis is short, and sums over lines, then over the line, round less than one long sum.

    Raises ValueError in training for a batch of one, whose variance is zero.
    """

    parameters = ("gamma", "beta")
    buffers = ("running_mean", "running_var")

    def __init__(self, n_features, eps=1e-5, momentum=0.1, dtype=np.float32):
        n = self.n_features = checks.positive_int(n_features, "n_features")
        self.eps = checks.in_range(eps, "eps", 0, None, include_low=False)
        self.momentum = checks.in_range(momentum, "momentum", 0, 1)
        self.gamma, self.beta = np.ones(n, dtype), np.zeros(n, dtype)
        self.running_mean, self.running_var = np.zeros(n, dtype), np.ones(n, dtype)

    def forward(self, x):
        checks.features(x, self.n_features, self.gamma.dtype, "BatchNorm")
        self.by_batch = self.training
        self.width = math.prod(x.shape[2:-1]) if x.ndim > 2 else 1
        rows = self.as_rows(x)
        if self.training:
            N = x.size // self.n_features
            if N < 2:
                raise ValueError("BatchNorm: x has one example, whose variance is zero; use at least 2 per batch "
                                 "in training, or layer.eval() to predict one example.")
            mean = self.total(batch_sum(self.xp, rows)) / N
            z = rows - self.repeated(mean)
            var = self.total(batch_dot(self.xp, z, z)) / N
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * (N / (N - 1)) - self.running_var)
        else:
            z, var = rows - self.repeated(self.running_mean), self.running_var
        self.z, self.s = z, 1 / self.xp.sqrt(var + self.eps)
        y = z * self.repeated(self.gamma * self.s)
        y += self.repeated(self.beta)
        return y.reshape(x.shape)

    def backward(self, dy):
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

    # Images as rows, and back.

    def as_rows(self, x):
        """x as (R, width · M); for x (N, M) the array itself."""
        return x.reshape(-1, self.width * self.n_features)

    def repeated(self, v):
        """v (M,) once for every pixel of a row: (width · M,)."""
        return self.xp.tile(v, self.width) if self.width > 1 else v

    def total(self, row):
        """Sums of the columns of rows, (width · M,), added up for each feature: (M,)."""
        return row.reshape(self.width, self.n_features).sum(axis=0) if self.width > 1 else row

    def describe(self):
        return f"{self.n_features}"
