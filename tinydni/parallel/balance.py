"""Which worker holds what: stages of nearly equal cost, by measurement."""

import time
from copy import deepcopy

import numpy as np

from tinydni import backend

REPEATS = 7             # the fastest counts: the others were disturbed


def balanced(costs, n_stages, cut_costs=None):
    """Divides a row of parts into stages whose most expensive one is as cheap as can be.

    costs: of each part, bottom to top    n_stages: how many
    cut_costs: what a cut above each part adds to the stage below it (default: nothing)
    Returns for each stage the number of parts up to its end, such as [2, 5]. Raises ValueError for too few parts.
    """
    n = len(costs)
    if not 1 <= n_stages <= n:
        raise ValueError(f"{n} parts cannot be divided into {n_stages} stages of at least one.")
    sums = np.concatenate([[0.0], np.cumsum(costs)])
    extra = np.append(np.zeros(n) if cut_costs is None else np.asarray(cut_costs, float)[:n], 0.0)
    # best[e]: (cost, ends) of the parts below e, divided into the stages so far
    best = {0: (0.0, [])}
    for stage in range(1, n_stages + 1):
        last = stage == n_stages
        best = {end: min((max(cost, sums[end] - sums[start] + (0 if last else extra[end - 1])), [*ends, end])
                         for start, (cost, ends) in best.items() if start < end)
                for end in ([n] if last else range(stage, n - n_stages + stage + 1))}
    return best[n][1]


def measure(modules, x, context, target):
    """Times one step of each module, on copies: two arrays of seconds, one entry per module.

    modules: of a Network, bottom to top    x (N, D), context, target: a batch
    Returns (block, synthesizer): forward, backward and update; guess and learning, zero where there is no synthesizer.
    """
    times = []
    for module in modules:
        module, trials = deepcopy(module), []
        for _ in range(REPEATS):
            h, *trial = one_step(module, x, context, target)
            trials.append(trial)
        times.append(np.min(trials, axis=0))
        x = h
    return tuple(np.transpose(times))


def one_step(module, x, context, target):
    """One step of a module as a worker makes it. Returns (h, seconds of the block, seconds of the synthesizer)."""
    marks = []

    def mark(array):
        backend.to_numpy(array.ravel()[:1])             # waits for a device
        marks.append(time.perf_counter())

    mark(x)
    h = module.forward(x)
    mark(h)
    learns = module.synthesizer is not None
    dh = module.gradient_at_output(h, context, target) if learns or module.loss is not None else h / len(h)
    mark(dh)
    module.backward(dh)
    module.update()
    mark(dh)
    if learns:
        module.learn(h.copy(), context, dh)             # a target that comes late: the guess is made again
    mark(dh)
    forward, gradient, backward, learning = np.diff(marks)
    if learns:
        return h, forward + backward, gradient + learning
    return h, forward + gradient + backward, 0.0
