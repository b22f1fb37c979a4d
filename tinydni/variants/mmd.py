"""The distance between two samples of points, with no pairing: maximum mean discrepancy."""

from typing import Any

import numpy as np

from tinydni import checks
from tinydni.backend import Array
from tinydni.losses import Loss

__all__ = ["MMD", "kernel_width", "mmd_squared"]

TILE = 125              # rows of a kernel matrix that are made at a time: they stay in the cache
POWERS = (1, 2, 4)      # of exp(-d² / 2m): the kernels of width 2m, m and m/2


class MMD(Loss):
    """loss = sqrt(mean k(x, x') + mean k(y, y') - 2 mean k(x, y)),   k = sum of exp(-d² / s).

    s in {m/2, m, 2m},   d² = ‖x - y‖². The means run over all pairs, a point with itself included:
    the biased estimate, which is never negative (Gretton et al. 2012, eq. 5; the three kernels:
    Shaham et al. 2017, Haninčík 2018, section 5). With g = -dk/d(d²) = sum of exp(-d²/s) / s,

    dx_i = 2 / loss · (sum over j of g(x_i, y_j) (x_i - y_j) / (N M)
                       - sum over j of g(x_i, x_j) (x_i - x_j) / N²).

    prediction x (N, D), target y (M, D): the sample to be like; N and M may differ. One exp per
    pair is enough, since the narrower kernels are its powers 2 and 4.

    Parameters
    ----------
    m : width of the middle kernel, in units of d²; see `kernel_width`

    Raises
    ------
    ValueError, TypeError
        Where the two samples have not the same features, or not the same dtype.
    """

    def __init__(self, m: float):
        self.m = checks.check_range(m, "m", 0, None, include_low=False)

    def forward(self, prediction: Array, target: Array) -> Array:
        check_same_features(prediction, target)
        xp, x, y = self.xp, *centred(prediction, target)
        k_xx, pull_xx = kernel_mean(xp, x, x, self.m)
        k_xy, pull_xy = kernel_mean(xp, x, y, self.m)
        k_yy, _ = kernel_mean(xp, y, y, self.m, with_pull=False)
        # Rounding may go below zero.
        loss = xp.sqrt(xp.maximum(k_xx + k_yy - 2 * k_xy, xp.finfo(x.dtype).eps))
        self.dprediction = (pull_xy - pull_xx) * (2 / loss)     # type: ignore[operator]
        return loss

    def backward(self) -> Array:
        return self.dprediction

    def __repr__(self) -> str:
        return f"MMD(m={self.m:.3g})"


def mmd_squared(x: Array, y: Array, m: float) -> float:
    """Estimate the squared discrepancy without bias: a point is not compared with itself.

    Its mean over draws is 0 for two samples of one distribution, so single values may be negative
    (Gretton et al. 2012, eq. 3). x (N, D), y (M, D): samples, on the host;   m: as in MMD.
    """
    check_same_features(x, y)
    m, (x, y) = checks.check_range(m, "m", 0, None, include_low=False), centred(x, y)
    k_xx, k_yy, k_xy = (float(kernel_mean(np, a, b, m, with_pull=False)[0])
                        for a, b in ((x, x), (y, y), (x, y)))
    N, M, self_pair = len(x), len(y), len(POWERS)
    return (N * k_xx - self_pair) / (N - 1) + (M * k_yy - self_pair) / (M - 1) - 2 * k_xy


def centred(x: Array, y: Array) -> tuple[Array, Array]:
    """Move both samples so that zero lies in y: distances stay, and float32 keeps their digits."""
    origin = y.mean(axis=0)
    return x - origin, y - origin


def kernel_mean(xp: Any, x: Array, y: Array, m: float,
                with_pull: bool = True) -> tuple[Array, Array | None]:
    """Return the mean of k over all pairs, and the pull (N, D) of the points y on each point of x.

    pull_i = sum over j of g(x_i, y_j) (x_i - y_j) / (N M);  None where it is not asked for.

    The exponents of a tile are one product:
    -‖x - y‖² / 2m = [x/m, -‖x‖² / 2m, 1] · [y, 1, -‖y‖² / 2m].
    So are the sums over j, of the kernel and of the kernel times y together: k · [y, 1].
    """
    N, M = len(x), len(y)
    ones = xp.ones((max(N, M), 1), x.dtype)
    halves = [-(a * a).sum(axis=1, keepdims=True) / (2 * m) for a in (x, y)]
    left = xp.concatenate([x / m, halves[0], ones[:N]], axis=1)
    right = xp.concatenate([y, ones[:M], halves[1]], axis=1).T
    summed = xp.concatenate([y, ones[:M]], axis=1) if with_pull else ones[:M]
    k = xp.zeros((N, 1), x.dtype)                           # sum over j of the kernel
    g = xp.zeros((N, summed.shape[1]), x.dtype)             # sum over j of 2m g · [y, 1]
    buffer = xp.empty((min(TILE, N), M), x.dtype)
    for start in range(0, N, TILE):
        rows = slice(start, start + TILE)
        e = buffer[:len(left[rows])]
        xp.matmul(left[rows], right, out=e)
        xp.minimum(e, 0, out=e)                             # d² may come out below zero by rounding
        xp.exp(e, out=e)
        for power in POWERS:
            if power > 1:
                e *= e
            sums = e @ summed
            k[rows] += sums[:, -1:]
            if with_pull:
                g[rows] += power * sums
    mean = k.sum() / (N * M)
    return mean, (g[:, -1:] * x - g[:, :-1]) / (2 * m * N * M) if with_pull else None


def kernel_width(target: Array, rng: np.random.Generator, n_neighbors: int = 20,
                 n_points: int = 1000) -> float:
    """Return m: the median, over points of the target, of the mean distance to the neighbours.

    Needs scikit-learn.

    Parameters
    ----------
    target (M, D) : the sample to be like
    rng : draws the `n_points` points that are looked at
    n_neighbors : the nearest ones

    Raises
    ------
    ValueError
        Where there are too few points, or where most of them coincide.
    """
    from sklearn.neighbors import NearestNeighbors
    checks.check_generator(rng)
    check_same_features(target, target)
    if not np.isfinite(target).all():
        raise ValueError("target must be finite; it has NaN or infinity.")
    n_neighbors = checks.check_positive_int(n_neighbors, "n_neighbors")
    n_points = min(checks.check_positive_int(n_points, "n_points"), len(target))
    if n_points <= n_neighbors:
        raise ValueError(f"target has {len(target)} points; the {n_neighbors} nearest neighbours "
                         f"of a point need at least {n_neighbors + 1}.")
    points = target[rng.choice(len(target), n_points, replace=False)]
    # A point is not its own neighbour here.
    distances, _ = NearestNeighbors(n_neighbors=n_neighbors).fit(points).kneighbors()
    m = float(np.median(distances.mean(axis=1)))
    if m == 0:
        raise ValueError("more than half of the points of the target coincide with their "
                         "neighbours, so the kernels would have no width. Are the values rounded, "
                         "or is a column missing?")
    return m


def check_same_features(x: Array, y: Array) -> None:
    """Raise unless both samples are (points, features), with the same features and dtype."""
    checks.check_floats(x, "MMD", "prediction")
    checks.check_floats(y, "MMD", "target")
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or len(x) < 2 or len(y) < 2:
        raise ValueError("MMD compares two samples of at least 2 points with the same features; "
                         f"got shapes {tuple(x.shape)} and {tuple(y.shape)}.")
    checks.check_same_dtype(x, y, "prediction", "target")
