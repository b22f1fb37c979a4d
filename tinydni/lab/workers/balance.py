"""Which worker holds what: stages whose most expensive one is as cheap as can be."""

from typing import Any

import numpy as np


def balanced(costs: Any, n_stages: int, cut_costs: Any = None, again: Any = 0.0) -> list[int]:
    """Divide a row of parts into stages. Return the number of parts up to each end, as [2, 5].

    costs: of each part, bottom to top    cut_costs: what a cut above each adds to the stage below
    again: what each costs in addition in every stage but the top one
    Raises ValueError for too few parts.
    """
    n = len(costs)
    if not 1 <= n_stages <= n:
        raise ValueError(f"{n} parts cannot be divided into {n_stages} stages of at least one.")
    below, top = (np.concatenate([[0.0], np.cumsum(each)])
                  for each in (np.add(costs, again), costs))
    added = np.zeros(n) if cut_costs is None else np.array(cut_costs, float)
    added[-1] = 0.0                                     # above the last part there is no cut
    best: dict[int, Any] = {0: (0.0, [])}   # {end: (highest cost, ends)} of the best division below
    for stage in range(1, n_stages + 1):
        ends, sums = (range(stage, n - n_stages + stage + 1), below) if stage < n_stages else (
            [n], top)
        best = {end: min((max(most, sums[end] - sums[start] + added[end - 1]), [*before, end])
                         for start, (most, before) in best.items() if start < end) for end in ends}
    return best[n][1]
