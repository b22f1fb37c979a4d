"""Contenders of one workload take turns on the clock; what comes out are ratios, block by block.

Machines are shared and clocks wander, so nothing is compared across runs: the contenders take turns, a short
block of steps each, and what is reported is the median and the quartiles of the ratio block by block.
With one thread the clock is the CPU time of the process, which the neighbours disturb less than wall time;
with more threads it is wall time, since CPU time would add the threads up.
"""

import importlib
import time
import tracemalloc

import numpy as np

from tinydni.lab.benchmarks import ours
from tinydni.lab.benchmarks.conditions import installed

OTHER_MATHEMATICS = ("tinydni-backprop",)       # timed for what it costs; its loss is another


def compare(make, blocks, threads):
    """Runs one workload, a function of the dtype, beside each of its peers that is installed.

    Returns the rows, one for each peer; where there is none, one row with our time alone.
    Raises RuntimeError where contenders that should do the same mathematics come to other losses.
    """
    check_agreement(losses_after_warm_up(make(dtype=np.float64)))
    workload = make()
    losses = losses_after_warm_up(workload)
    steps = {name: contender(workload, name)(workload) for name in present(workload)}
    seconds = interleave(steps | {"floor": ours.floor(workload)}, blocks, workload.steps)
    memory = peak_memory(workload)
    peers = list(steps)[1:] or [None]
    return [row_against(peer, workload, seconds, losses, threads) | {"memory_mb": memory} for peer in peers]


def present(workload):
    """The names of the contenders whose library is installed, "tinydni" first."""
    return [name for name, place in workload.contenders.items()
            if not place.startswith(("torch", "jax")) or installed(place.partition("_")[0])]


def contender(workload, name):
    """The function from a workload to the step of one contender; its module is imported when it is used."""
    module, function = workload.contenders[name].split(".")
    return getattr(importlib.import_module(f"tinydni.lab.benchmarks.{module}"), function)


def losses_after_warm_up(workload):
    """{name: loss} of all who do the same mathematics, after two blocks of steps from the same weights."""
    names = [name for name in present(workload) if name not in OTHER_MATHEMATICS]
    steps = {name: contender(workload, name)(workload) for name in names}
    return {name: [step(i) for i in range(min(30, 2 * workload.steps))][-1].item() for name, step in steps.items()}


def check_agreement(losses, tolerance=1e-3):
    """Raises RuntimeError unless all losses agree with our own to the relative tolerance.

    Asked of float64. In float32 Adam turns the rounding of gradients that are zero in exact arithmetic (those of
    biases next to a BatchNorm) into whole steps, and after some 20 of them two right programs differ by a percent.
    """
    ours = losses["tinydni"]
    for name, loss in losses.items():
        if not abs(loss - ours) <= tolerance * abs(ours):
            raise RuntimeError(f"after the same steps the loss of {name} is {loss:.6g} and ours {ours:.6g}: "
                               "they do not compute the same, so their times say nothing.")


def clocks():
    """CPU time of the process and wall time, in seconds."""
    return {"cpu": time.process_time(), "wall": time.perf_counter()}


def interleave(steps, blocks, n, clocks=clocks):
    """Lets the contenders take turns, n steps each, a different one first in every round.

    steps: {name: function of the step's number}    clocks: function () -> {clock: seconds}
    Returns {clock: {name: seconds of each block (blocks,)}}.
    """
    names = list(steps)
    seconds = {clock: {name: np.empty(blocks) for name in names} for clock in clocks()}
    for block in range(blocks):
        first = block % len(names)
        for name in names[first:] + names[:first]:
            step = steps[name]
            before = clocks()
            for i in range(n):
                step(i)
            after = clocks()
            for clock in after:
                seconds[clock][name][block] = after[clock] - before[clock]
    return seconds


def peak_memory(workload):
    """The most that our arrays took at a time, weights and temporaries included, inputs not [MB]."""
    tracemalloc.start()
    try:
        step = contender(workload, "tinydni")(workload)
        for i in range(2):
            step(i)
        return round(tracemalloc.get_traced_memory()[1] / 1e6, 1)
    finally:
        tracemalloc.stop()


def row_against(peer, workload, seconds, losses, threads):
    """One row of the report, from the {clock: {name: seconds of each block}} of `interleave`. peer None: ours alone."""
    clock = "cpu" if threads == 1 else "wall"
    times = {name: blocks for name, blocks in seconds[clock].items() if name in ("tinydni", "floor", peer)}
    row = {"row": workload.row, "peer": peer, "threads": threads, "clock": clock, "blocks": len(times["tinydni"]),
           "steps_per_block": workload.steps, "our_loss": losses["tinydni"], "peer_loss": losses.get(peer),
           "floor_share": median(times["floor"] / times["tinydni"])}
    for key, name in (("our", "tinydni"), ("floor", "floor"), ("peer", peer)):
        if name is not None:
            row[f"{key}_us"] = 1e6 * median(times[name]) / workload.steps
    if peer is not None:
        row["q1"], row["ratio"], row["q3"] = quartiles(times["tinydni"] / times[peer])
        row["wall_ratio"] = median(seconds["wall"]["tinydni"] / seconds["wall"][peer])
        row["floor_ratio"] = median(times["floor"] / times[peer])
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}


def quartiles(values):
    """First quartile, median, third quartile."""
    return tuple(float(q) for q in np.percentile(values, (25, 50, 75)))


def median(values):
    return quartiles(values)[1]
