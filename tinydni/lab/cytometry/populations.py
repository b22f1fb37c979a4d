"""Did calibration tear, squash or exchange populations, and so merge them with others? A look without labels."""

from dataclasses import dataclass

import numpy as np

N_CELLS, N_POPULATIONS = 5000, 10
TORN, SQUASHED = 1.4, 0.5           # growth of a population's spread that calibrations of real samples do not reach
DISORDER = 0.75                     # rank correlation that they do not fall below; see docs/cytometry.md


@dataclass
class Suspicion:
    """A population whose cells calibration did not keep together as they were.

    share: of the cells of the sample    growth: of its spread, relative to that of the whole sample
    """

    share: float
    growth: float

    def __str__(self):
        what = ("was torn apart; a part of it may now lie in another population" if self.growth > 1 else
                "was squashed; it may have merged with another population")
        return (f"A population of {self.share:.0%} of the cells {what}: its spread, relative to the whole sample's, is "
                f"{self.growth:.2f} times what it was")


def warnings(before, after, rng):
    """What looks wrong with a calibration, as a list of sentences; no label is looked at.

    before, after (N, D): the same cells, standardised, before and after calibration    rng: draws the cells looked at
    Needs scikit-learn.
    """
    chosen = rng.choice(len(before), min(N_CELLS, len(before)), replace=False)
    before, after = before[chosen], after[chosen]
    found = [str(one) for one in suspicions(before, after)]
    kept = order_kept(before, after)
    if kept < DISORDER:
        found.append("Cells with much of a marker before are no longer those with much of it after: the rank correlation "
                     f"is {kept:.2f}, where calibrations that keep the populations have 0.8 to 1. Populations may have "
                     "changed places")
    return found


def suspicions(before, after):
    """The populations of a sample that look torn or squashed, the worst first: a list of Suspicion.

    Populations are clusters of the cells before (k-means). A calibration moves and bends them. Where it goes wrong,
    the MMD still falls, but a part of one population has been used to fill another. Then the cells of that cluster
    lie farther from each other than they did; where a network maps a cluster onto a point, far less so.
    """
    from sklearn.cluster import KMeans
    n = min(N_POPULATIONS, len(before) // 20)
    if n < 2:
        return []
    cluster = KMeans(n, n_init=4, random_state=0).fit_predict(before)
    found = []
    for i in range(n):
        own = cluster == i
        if own.sum() >= 20:
            found.append(Suspicion(float(own.mean()), float(spread(after, own) / spread(before, own))))
    return sorted((one for one in found if not SQUASHED <= one.growth <= TORN), key=lambda one: -abs(np.log(one.growth)))


def spread(cells, own):
    """The mean standard deviation of the columns within a population, relative to that of all cells."""
    return cells[own].std(axis=0).mean() / cells.std(axis=0).mean()


def order_kept(before, after):
    """The rank correlation of every marker before and after, averaged over the markers: 1 where every order is kept.

    An instrument stretches and shifts its scales; it does not turn low into high. A network that has put one
    population in the place of another does.
    """
    ranks = [np.argsort(np.argsort(cells, axis=0), axis=0) for cells in (before, after)]
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ranks[0].T, ranks[1].T)]))
