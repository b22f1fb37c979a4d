"""How far two samples of cells are apart: the discrepancy, averaged over draws."""

import numpy as np

from tinydni.variants.mmd import MMD, mmd_squared

N_CELLS, N_DRAWS = 1000, 10


def discrepancy(x, y, m, rng, n_cells=N_CELLS, n_draws=N_DRAWS):
    """The mean MMD between `n_cells` cells of x and as many of y, over `n_draws` draws of both.

    x (N, D), y (M, D): standardised cells    m: as in MMD
    Returns (biased, unbiased): the square root of the biased estimate, whose floor is about 0.08 for 1,000 cells of
    one distribution, and the unbiased estimate of the square, whose floor is 0.
    """
    loss, biased, unbiased = MMD(m), [], []
    for _ in range(n_draws):
        a, b = (cells[rng.choice(len(cells), min(n_cells, len(cells)), replace=False, shuffle=False)] for cells in (x, y))
        biased.append(float(loss.forward(a, b)))
        unbiased.append(mmd_squared(a, b, m))
    return float(np.mean(biased)), float(np.mean(unbiased))
