"""Batch normalisation."""

import numpy as np

from tinydni import checks
from tinydni.kernels import batch_dot, batch_sum
from tinydni.layers.layer import Layer


class BatchNorm(Layer):
    """Normalises every feature over the batch  (Ioffe & Szegedy 2015, algorithm 1).

    training:    z = x - mean(x),   s = 1 / sqrt(mean(z²) + eps),   y = gamma · s z + beta
    evaluation:  the same with the running mean and variance in place of the batch's.

    x (N, M): inputs    gamma, beta (M,): scale and shift    y (N, M): outputs
    running_mean, running_var (M,): exponential averages, new = (1 - momentum) old + momentum batch, counted
    once per forward pass in training (the variance with N - 1, as PyTorch keeps it).

    dbeta = sum of dy,   dgamma = sum of dy · s z,
    dx = gamma s (dy - dbeta / N - s z · dgamma / N): the last two terms are the gradient through the batch's
    own mean and variance.

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
        if self.training:
            N = len(x)
            if N < 2:
                raise ValueError("BatchNorm: x has one example, whose variance is zero; use at least 2 per batch "
                                 "in training, or layer.eval() to predict one example.")
            mean = batch_sum(self.xp, x) / N
            z = x - mean
            var = batch_dot(self.xp, z, z) / N
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * (N / (N - 1)) - self.running_var)
        else:
            z, var = x - self.running_mean, self.running_var
        self.z, self.s = z, 1 / self.xp.sqrt(var + self.eps)
        y = z * (self.gamma * self.s)
        y += self.beta
        return y

    def backward(self, dy):
        N, z, s = len(dy), self.z, self.s
        self.dbeta = batch_sum(self.xp, dy)
        self.dgamma = batch_dot(self.xp, dy, z) * s
        if not self.by_batch:                       # running statistics are constants
            return dy * (self.gamma * s)
        dx = z * (s * self.dgamma / -N)
        dx += dy
        dx -= self.dbeta / N
        dx *= self.gamma * s
        return dx

    def describe(self):
        return f"{self.n_features}"
