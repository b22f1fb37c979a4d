"""Random changes of training images that leave their class as it is."""

import numpy as np

from tinydni import backend


def crop_and_flip(xp, x, rng, pad=4):
    """Shifts every image by up to `pad` pixels each way, the mean pixel beyond the edge, and mirrors every second one.

    y[n, i, j] = x[n, i + a, j' + b],   j' = j or W - 1 - j    (He et al. 2016, section 4.2)

    x (N, H, W, C): images, standardised, so that the mean pixel is 0
    rng: on the host, so that every backend sees the same images    Returns a new array (N, H, W, C).
    """
    N, H, W, _ = x.shape
    rows = rng.integers(0, 2 * pad + 1, (N, 1)) + np.arange(H)
    columns = rng.integers(0, 2 * pad + 1, (N, 1)) + np.arange(W)
    columns = np.where(rng.random((N, 1)) < 0.5, columns[:, ::-1], columns)
    indices = (np.arange(N)[:, None, None], rows[:, :, None], columns[:, None, :])
    n, rows, columns = (backend.asarray(xp, index) for index in indices)
    return xp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))[n, rows, columns]
