"""How far two samples of cells are apart: the discrepancy, averaged over draws."""

import numpy as np

from tinydni.lab.cytometry.fit import draw
from tinydni.variants.mmd import MMD, mmd_squared


def discrepancy(x: np.ndarray, y: np.ndarray, m: float, rng: np.random.Generator,
                n_cells: int = 1000, n_draws: int = 10) -> tuple[float, float]:
    """Return the mean MMD between `n_cells` cells of x and as many of y, over `n_draws` draws.

    First the root of the biased estimate, about 0.08 for 1,000 cells of one distribution; then the
    unbiased estimate of the square, 0 for one distribution.
    x (N, D), y (M, D) : standardised cells    m : as in MMD
    """
    loss, biased, unbiased = MMD(m), [], []
    for _ in range(n_draws):
        a, b = draw(x, n_cells, rng), draw(y, n_cells, rng)
        biased.append(float(loss.forward(a, b)))
        unbiased.append(mmd_squared(a, b, m))
    return float(np.mean(biased)), float(np.mean(unbiased))
