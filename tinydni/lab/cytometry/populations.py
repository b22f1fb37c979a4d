"""Did calibration tear, squash, exchange or merge populations? A look without labels."""

import numpy as np

N_CELLS, N_POPULATIONS = 5000, 10
TORN, SQUASHED = 1.4, 0.5   # growth of a spread that calibrations of real samples do not reach
DISORDER = 0.75             # rank correlation that they do not fall below; see docs/cytometry.md


def warnings(before: np.ndarray, after: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Return what looks wrong with a calibration, in sentences. Needs scikit-learn.

    before, after (N, D) : the same cells, standardised    rng : draws those that are looked at
    """
    chosen = rng.choice(len(before), min(N_CELLS, len(before)), replace=False)
    before, after = before[chosen], after[chosen]
    found = []
    for growth, share in suspicions(before, after):
        what = ("was torn apart; a part of it may now lie in another population" if growth > 1
                else "was squashed; it may have merged with another population")
        found.append(f"A population of {share:.0%} of the cells {what}: its spread, relative to "
                     f"the whole sample's, is {growth:.2f} times what it was")
    kept = order_kept(before, after)
    if kept < DISORDER:
        found.append("Cells with much of a marker before are no longer those with much of it "
                     f"after: the rank correlation is {kept:.2f}, where calibrations that keep the "
                     "populations have 0.8 to 1. Populations may have changed places")
    return found


def suspicions(before: np.ndarray, after: np.ndarray) -> list[tuple[float, float]]:
    """Return (growth of its spread, share of the cells) of what looks torn or squashed.

    The worst comes first.

    Populations are clusters of the cells before (k-means). A calibration moves and bends them.
    Where it goes wrong, the MMD still falls, but a part of one population has been used to fill
    another. Then the cells of that cluster lie farther from each other than they did; where a
    network maps a cluster onto a point, far less so.
    """
    from sklearn.cluster import KMeans
    n = min(N_POPULATIONS, len(before) // 20)
    if n < 2:
        return []
    cluster = KMeans(n, n_init=4, random_state=0).fit_predict(before)
    found = [(float(spread(after, own) / spread(before, own)), float(own.mean()))
             for own in (cluster == i for i in range(n)) if own.sum() >= 20]
    return sorted((one for one in found if not SQUASHED <= one[0] <= TORN),
                  key=lambda one: -abs(np.log(one[0])))


def spread(cells: np.ndarray, own: np.ndarray) -> float:
    """Return the mean deviation of the columns in a population, relative to that of all cells."""
    return cells[own].std(axis=0).mean() / cells.std(axis=0).mean()


def order_kept(before: np.ndarray, after: np.ndarray) -> float:
    """Return the rank correlation before and after, averaged over the markers: at most 1.

    An instrument stretches and shifts its scales; it does not turn low into high. A network that
    has put one population in the place of another does.
    """
    ranks = [np.argsort(np.argsort(cells, axis=0), axis=0) for cells in (before, after)]
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ranks[0].T, ranks[1].T)]))
