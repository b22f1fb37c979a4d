"""BatchNorm, ReLU and LSTM as loops that numba compiles: few passes of arrays through the cache.

The formulas are those of the plain layers. Sums are taken in float64, so the last bits differ. The
classes have the plain layers' names, so that a network reads the same, fused or not.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from tinydni import activations, batchnorm, checks, lstm
from tinydni.backend import Array, is_host
from tinydni.layer import Layer, read_only

__all__ = ["use_loops"]


def use_loops(layer: Layer) -> None:
    """Let BatchNorm, ReLU and LSTM in a layer work in loops; on a device they stay as they are."""
    for _, part in layer.walk():
        if type(part) in LOOPS:
            part.__class__ = LOOPS[type(part)]


@lru_cache
def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Return a loop as machine code, which is made at its first call."""
    return import_module("numba").njit(error_model="numpy", nogil=True)(loop)


def suits(layer: Layer, x: Array) -> bool:
    """Tell whether numba knows such arrays: those of the host, of 4 or 8 bytes in its order."""
    return is_host(layer.xp) and x.dtype in (np.float32, np.float64)


class BatchNorm(batchnorm.BatchNorm):
    """The plain layer, with a training step of loops."""

    def forward(self, x: Array) -> Array:
        checks.check_features(x, self.n_features, self.gamma.dtype, "BatchNorm")
        N = x.size // self.n_features
        if not (self.training and N > 1 and suits(self, x)
                and self.gamma.shape == self.beta.shape == (self.n_features,)):
            return super().forward(x)
        self.by_batch, self.shape, self.width = True, x.shape, 1
        rows = np.ascontiguousarray(self.as_rows(x))
        self.z, y, self.s = np.empty_like(rows), np.empty_like(rows), np.empty_like(self.gamma)
        mean, var = compiled(normalise)(rows, self.gamma, self.beta, self.eps, self.z, self.s, y)
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (var * (N / (N - 1)) - self.running_var)
        return y.reshape(x.shape)

    def backward(self, dy: Array) -> Array:
        checks.check_gradient(dy, self.shape, self.gamma.dtype, "BatchNorm")
        if not (self.by_batch and self.width == 1 and suits(self, dy)):
            return super().backward(dy)
        rows = np.ascontiguousarray(self.as_rows(dy))
        dx = np.empty_like(rows)
        self.dgamma, self.dbeta = compiled(gradient)(rows, self.z, self.s, self.gamma, dx)
        return dx.reshape(dy.shape)


def normalise(x, gamma, beta, eps, z, s, y):
    """Fill z, s and y from x (N, M). Return the mean and the variance of the batch, (M,)."""
    N, M = x.shape
    mean, rest, var = np.zeros(M), np.zeros(M), np.zeros(M)
    for i in range(N):
        for j in range(M):
            mean[j] += x[i, j]
    near = (mean / N).astype(x.dtype)           # where x is far from zero, not quite the mean
    for i in range(N):
        for j in range(M):
            z[i, j] = x[i, j] - near[j]
            rest[j] += z[i, j]
            var[j] += z[i, j] * z[i, j]
    rest /= N
    var = np.maximum(var / N - rest * rest, 0)
    s[:] = 1 / np.sqrt(var + eps)
    scale, small = gamma * s, rest.astype(x.dtype)
    for i in range(N):
        for j in range(M):
            z[i, j] -= small[j]
            y[i, j] = z[i, j] * scale[j] + beta[j]
    return (near + rest).astype(x.dtype), var.astype(x.dtype)


def gradient(dy, z, s, gamma, dx):
    """Fill dx from dy (N, M). Return dgamma and dbeta, (M,)."""
    N, M = dy.shape
    dot, total = np.zeros(M), np.zeros(M)
    for i in range(N):
        for j in range(M):
            dot[j] += dy[i, j] * z[i, j]
            total[j] += dy[i, j]
    dgamma, dbeta = (dot * s).astype(dy.dtype), total.astype(dy.dtype)
    scale, slope, mean = gamma * s, (s * dgamma / N).astype(dy.dtype), (dbeta / N).astype(dy.dtype)
    for i in range(N):
        for j in range(M):
            dx[i, j] = (dy[i, j] - mean[j] - z[i, j] * slope[j]) * scale[j]
    return dgamma, dbeta


class ReLU(activations.ReLU):
    """The plain layer, each way in one pass."""

    def forward(self, x: Array) -> Array:
        checks.check_floats(x, "ReLU")
        if not suits(self, x):
            return super().forward(x)
        y = np.empty(x.shape, x.dtype)
        compiled(rectify)(np.ascontiguousarray(x).reshape(-1), y.reshape(-1))
        self.y = read_only(y)
        return self.y

    def backward(self, dy: Array) -> Array:
        checks.check_gradient(dy, self.y.shape, self.y.dtype, "ReLU")
        if not suits(self, dy):
            return super().backward(dy)
        dx = np.empty(dy.shape, dy.dtype)
        compiled(gate)(np.ascontiguousarray(dy).reshape(-1), self.y.reshape(-1), dx.reshape(-1))
        return dx


def rectify(x, y):
    """Fill y: max(x, 0). NaN stays NaN."""
    for i in range(x.size):
        y[i] = 0 if x[i] <= 0 else x[i]


def gate(dy, y, dx):
    """Fill dx: dy where y > 0, else 0."""
    for i in range(dy.size):
        dx[i] = dy[i] * (y[i] > 0)


class LSTM(lstm.LSTM):
    """The plain layer; tanh stays NumPy's, which is faster than a loop's."""

    def cell(self, t: int) -> None:
        if not suits(self, self.gates):
            return super().cell(t)
        gates, c = self.gates[t], self.c[t + 1]
        np.tanh(gates, out=gates)
        compiled(open_gates)(gates, self.c[t], c)
        np.tanh(c, out=self.tanh_c[t])
        np.multiply(gates[:, 3 * self.n_hidden:], self.tanh_c[t], out=self.h[t + 1])

    def cell_backward(self, t: int, dh: Array, dc: Array, dz: Array) -> None:
        if not suits(self, dz):
            return super().cell_backward(t, dh, dc, dz)
        compiled(gate_gradient)(self.gates[t], self.c[t], self.tanh_c[t], dh, dc, dz)


def open_gates(gates, c_before, c):
    """Fill c (N, H), and make i, f, o of the tanh in gates (N, 4H)."""
    N, H = c.shape
    half = gates.dtype.type(0.5)
    for n in range(N):
        for j in range(H, 4 * H):
            gates[n, j] = gates[n, j] * half + half
        for j in range(H):
            g, i, f = gates[n, j], gates[n, H + j], gates[n, 2 * H + j]
            c[n, j] = f * c_before[n, j] + i * g


def gate_gradient(gates, c_before, tanh_c, dh, dc, dz):
    """Fill dz (N, 4H), and pass dc (N, H) on to the step before."""
    N, H = dc.shape
    one = gates.dtype.type(1)               # with a whole number, numba would compute in float64
    for n in range(N):
        for j in range(H):
            g, i, f, o = gates[n, j], gates[n, H + j], gates[n, 2 * H + j], gates[n, 3 * H + j]
            total = dc[n, j] + dh[n, j] * (o * (one - tanh_c[n, j] * tanh_c[n, j]))
            dz[n, j] = total * (i * (one - g * g))
            dz[n, H + j] = total * (g * i * (one - i))
            dz[n, 2 * H + j] = total * (c_before[n, j] * f * (one - f))
            dz[n, 3 * H + j] = dh[n, j] * (tanh_c[n, j] * o * (one - o))
            dc[n, j] = total * f


LOOPS: dict[type[Layer], type[Layer]] = {
    batchnorm.BatchNorm: BatchNorm, activations.ReLU: ReLU, lstm.LSTM: LSTM}
