"""Training an MMD-ResNet: batches of two samples, with no pairing between their cells."""

import math

import numpy as np

from tinydni import backend
from tinydni.lab.cytometry.methods import build, rates
from tinydni.lab.cytometry.resnet import reestimate_statistics
from tinydni.random import stream
from tinydni.training import DivergedError

WINDOW = 15                 # updates of the running mean that curves show and thresholds are read from


def fit(source, target, m, method, seed, updates=500, batch_size=1000, xp=np, watch=None):
    """Trains a network to move the cells of `source` onto the distribution of `target`.

    source (N, D), target (M, D): standardised cells, on the host    m: width of the kernels    method: a Method
    watch: function (update, mmd), called after every update
    Returns (network, mmd): the network with the statistics of the whole source, and the training MMD (updates,),
    each before its update. Both are as of one draw of a batch; samples smaller than a batch are used whole.
    Raises DivergedError when the MMD is NaN or infinite.
    """
    network = build(method, m, source.shape[1], seed).to(xp)
    factor, order = rates(method, updates), stream(seed, "order")
    source, target = backend.asarray(xp, source), backend.asarray(xp, target)
    history = []
    for step in range(updates):
        network.scale_learning_rates(factor(step))
        mmd = float(network.step(draw(source, batch_size, order), draw(target, batch_size, order)))
        if not math.isfinite(mmd):
            raise DivergedError(f"the MMD became {mmd} in update {step + 1}. Look at the data for cells that are far "
                                "from all others; clip or remove them.")
        history.append(mmd)
        if watch:
            watch(step + 1, mmd)
    reestimate_statistics(network, source)
    return network, history


def draw(cells, n, rng):
    """n of the cells, each at most once."""
    if n >= len(cells):
        return cells
    return cells[rng.choice(len(cells), n, replace=False, shuffle=False)]


def running_mean(values, window=WINDOW):
    """The mean of the last `window` values at every place, of fewer at the start."""
    total = np.concatenate([[0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    return (total[end] - total[start]) / (end - start)


def updates_until(mmd, threshold):
    """The number of updates until the running mean of the training MMD is at most `threshold`, or None."""
    reached = np.flatnonzero(running_mean(mmd)[WINDOW - 1:] <= threshold)
    return int(reached[0]) + WINDOW if len(reached) else None
