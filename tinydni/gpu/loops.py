"""BatchNorm and ReLU as loops that numba compiles: few passes of the arrays through the cache.

The formulas are those of the layers. Sums are taken in float64, so the last bits differ.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.activations import ReLU
from tinydni.backend import Array, is_host
from tinydni.batchnorm import BatchNorm
from tinydni.layer import Layer, read_only

__all__ = ["use_loops"]


def use_loops(layer: Layer) -> None:
    """Let every BatchNorm and ReLU in a layer work in loops; on a device they stay as they are."""
    for _, part in layer.walk():
        if type(part) in LOOPS:
            forward, backward = LOOPS[type(part)]
            vars(part).update(forward=partial(forward, part), backward=partial(backward, part))


@lru_cache
def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Return a loop as machine code, which numba keeps beside this file for the next run."""
    njit = partial(import_module("numba").njit, error_model="numpy", nogil=True)
    try:
        return njit(cache=True)(loop)
    except RuntimeError:        # there is no folder where it could be kept
        return njit()(loop)


def suits(layer: Layer, x: Array) -> bool:
    """Tell whether numba knows such arrays: those of the host, of 4 or 8 bytes in its order."""
    return is_host(layer.xp) and x.dtype in (np.float32, np.float64)


def batchnorm_forward(layer: BatchNorm, x: Array) -> Array:
    """Normalise x (N, M) or (N, H, W, M) in training; else as the plain layer."""
    checks.check_features(x, layer.n_features, layer.gamma.dtype, "BatchNorm")
    N = x.size // layer.n_features
    if not (layer.training and N > 1 and suits(layer, x)):
        return BatchNorm.forward(layer, x)
    layer.by_batch, layer.shape, layer.width = True, x.shape, 1
    rows = np.ascontiguousarray(layer.as_rows(x))
    layer.z, y, layer.s = np.empty_like(rows), np.empty_like(rows), np.empty_like(layer.gamma)
    mean, var = compiled(normalise)(rows, layer.gamma, layer.beta, layer.eps, layer.z, layer.s, y)
    layer.running_mean += layer.momentum * (mean - layer.running_mean)
    layer.running_var += layer.momentum * (var * (N / (N - 1)) - layer.running_var)
    return y.reshape(x.shape)


def normalise(x, gamma, beta, eps, z, s, y):
    """Fill z, s and y from x (N, M). Return the mean and the variance of the batch, (M,)."""
    N, M = x.shape
    mean, var = np.zeros(M), np.zeros(M)
    for i in range(N):
        for j in range(M):
            mean[j] += x[i, j]
    mean /= N
    near = mean.astype(x.dtype)
    rest = (mean - near).astype(x.dtype)        # where x is far from zero, near is not the mean
    for i in range(N):
        for j in range(M):
            z[i, j] = x[i, j] - near[j] - rest[j]
            var[j] += z[i, j] * z[i, j]
    var /= N
    s[:] = 1 / np.sqrt(var + eps)
    scale = gamma * s
    for i in range(N):
        for j in range(M):
            y[i, j] = z[i, j] * scale[j] + beta[j]
    return mean.astype(x.dtype), var.astype(x.dtype)


def batchnorm_backward(layer: BatchNorm, dy: Array) -> Array:
    """Return dx after a forward pass in training; else as the plain layer."""
    checks.check_gradient(dy, layer.shape, layer.gamma.dtype, "BatchNorm")
    if not (layer.by_batch and suits(layer, dy)):
        return BatchNorm.backward(layer, dy)
    rows = np.ascontiguousarray(layer.as_rows(dy))
    dx = np.empty_like(rows)
    layer.dgamma, layer.dbeta = compiled(gradient)(rows, layer.z, layer.s, layer.gamma, dx)
    return dx.reshape(dy.shape)


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


def relu_forward(layer: ReLU, x: Array) -> Array:
    """Return y in one pass."""
    checks.check_floats(x, "ReLU")
    if not suits(layer, x):
        return ReLU.forward(layer, x)
    y = np.empty(x.shape, x.dtype)
    compiled(rectify)(np.ascontiguousarray(x).reshape(-1), y.reshape(-1))
    layer.y = read_only(y)
    return layer.y


def rectify(x, y):
    """Fill y: max(x, 0). NaN stays NaN."""
    for i in range(x.size):
        y[i] = 0 if x[i] <= 0 else x[i]


def relu_backward(layer: ReLU, dy: Array) -> Array:
    """Return dx in one pass."""
    checks.check_gradient(dy, layer.y.shape, layer.y.dtype, "ReLU")
    if not suits(layer, dy):
        return ReLU.backward(layer, dy)
    dx = np.empty(dy.shape, dy.dtype)
    compiled(gate)(np.ascontiguousarray(dy).reshape(-1), layer.y.reshape(-1), dx.reshape(-1))
    return dx


def gate(dy, y, dx):
    """Fill dx: dy where y > 0, else 0."""
    for i in range(dy.size):
        dx[i] = dy[i] * (y[i] > 0)


LOOPS: dict[type[Layer], tuple[Callable[..., Array], Callable[..., Array]]] = {
    BatchNorm: (batchnorm_forward, batchnorm_backward), ReLU: (relu_forward, relu_backward)}
