"""Which worker holds what: stages whose most expensive one is as cheap as can be."""

import numpy as np


def balanced(costs, n_stages, cut_costs=None):
    """Divides a row of parts into stages.

    costs: of each part, bottom to top    n_stages: how many
    cut_costs: what a cut above each part adds to the stage below it (default: nothing)
    Returns for each stage the number of parts up to its end, such as [2, 5]. Raises ValueError for too few parts.
    """
    n = len(costs)
    if not 1 <= n_stages <= n:
        raise ValueError(f"{n} parts cannot be divided into {n_stages} stages of at least one.")
    sums = np.concatenate([[0.0], np.cumsum(costs)])
    added = np.zeros(n) if cut_costs is None else np.array(cut_costs, float)
    added[-1] = 0.0                                         # above the last part there is no cut
    best = {0: (0.0, [])}               # {end: (highest cost, ends)} of the best division of the parts below `end`
    for stage in range(1, n_stages + 1):
        ends = [n] if stage == n_stages else range(stage, n - n_stages + stage + 1)
        best = {end: min((max(most, sums[end] - sums[start] + added[end - 1]), [*before, end])
                         for start, (most, before) in best.items() if start < end) for end in ends}
    return best[n][1]
