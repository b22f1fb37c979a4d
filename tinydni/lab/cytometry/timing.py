"""The processor time of one update, by backpropagation and with synthetic gradients, on this machine."""

import time

import numpy as np

from tinydni.lab.cytometry.methods import METHODS, build
from tinydni.variants.mmd import MMD

REPEATS = 60


def step_times(n_cells=1000, n_markers=8, repeats=REPEATS):
    """The shortest of `repeats` alternated updates, in milliseconds: {"backprop", "dni", "mmd", "repeats"}.

    Alternated, and the shortest, since what else runs on the machine makes steps longer, never shorter.
    """
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((n_cells, n_markers), dtype=np.float32) for _ in range(2))
    loss, networks = MMD(0.6), {name: build(METHODS[name], 0.6, n_markers, seed=0) for name in ("backprop", "dni")}
    jobs = {**{name: lambda network=network: network.step(x, y) for name, network in networks.items()},
            "mmd": lambda: loss.forward(x, y)}
    shortest = dict.fromkeys(jobs, np.inf)
    for _ in range(repeats):
        for name, job in jobs.items():
            start = time.process_time()
            job()
            shortest[name] = min(shortest[name], 1000 * (time.process_time() - start))
    return {**{name: round(value, 2) for name, value in shortest.items()}, "repeats": repeats}
