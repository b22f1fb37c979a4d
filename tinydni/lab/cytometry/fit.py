"""Training an MMD-ResNet: batches of two samples, with no pairing between their cells."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinydni import backend
from tinydni.backend import Array
from tinydni.dni import Network
from tinydni.lab.cytometry.resnet import Method, build, rates, reestimate_statistics
from tinydni.random import stream
from tinydni.training import DivergedError

WINDOW = 15                 # updates of the running mean, which curves show and thresholds read


def fit(source: Array, target: Array, m: float, method: Method, seed: int, updates: int = 500,
        batch_size: int = 1000, xp: Any = np, watch: Callable[[int, float], None] | None = None
        ) -> tuple[Network, list[float]]:
    """Train a network to move the cells of `source` onto the distribution of `target`.

    source (N, D), target (M, D) : standardised cells, on the host
    m : width of the kernels
    batch_size : cells of each sample per step; smaller samples are used whole
    watch : called after every update with its number and its MMD

    Return the network, with the statistics of the whole source, and the MMD of every batch before
    its update. Raise DivergedError where the MMD is NaN or infinite.
    """
    network = build(method, m, source.shape[1], seed).to(xp)
    scale, order = rates(method, updates), stream(seed, "order")
    source, target = backend.asarray(xp, source), backend.asarray(xp, target)
    history = []
    for step in range(updates):
        network.scale_learning_rates(scale(step))
        mmd = float(network.step(draw(source, batch_size, order), draw(target, batch_size, order)))
        if not math.isfinite(mmd):
            raise DivergedError(f"the MMD became {mmd} in update {step + 1}. Look at the data for "
                                "cells that are far from all others; clip or remove them.")
        history.append(mmd)
        if watch:
            watch(step + 1, mmd)
    reestimate_statistics(network, source)
    return network, history


def draw(cells: Array, n: int, rng: np.random.Generator) -> Array:
    """Return n of the cells, each at most once."""
    if n >= len(cells):
        return cells
    return cells[rng.choice(len(cells), n, replace=False, shuffle=False)]


def running_mean(values: Sequence[float], window: int = WINDOW) -> np.ndarray:
    """Return the mean of the last `window` values at every place, of fewer at the start."""
    total = np.concatenate([[0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    return (total[end] - total[start]) / (end - start)


def updates_until(mmd: Sequence[float], threshold: float) -> int | None:
    """Return the number of updates until the running mean is at most `threshold`, or None."""
    reached = np.flatnonzero(running_mean(mmd)[WINDOW - 1:] <= threshold)
    return int(reached[0]) + WINDOW if len(reached) else None
