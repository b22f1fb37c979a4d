"""Contenders of one workload take turns on the clock; what comes out are ratios, block by block.

Machines are shared and clocks wander, so nothing is compared across runs: the contenders take turns
(round robin), a short block of steps each; reported are the median and the quartiles of the ratio
block by block. With one thread the clock is the CPU time of the process, which neighbours disturb
less than wall time; with more it is wall time, since CPU time would add the threads up.
"""

import importlib
import time
import tracemalloc
from dataclasses import replace

import numpy as np

from tinydni import backend
from tinydni.gpu.kernels import has_numba
from tinydni.lab.benchmarks import our_steps
from tinydni.lab.benchmarks.conditions import computes_beside
from tinydni.lab.benchmarks.workloads import on_device

OTHER_MATHEMATICS = ("tinydni-backprop",)       # timed for what it costs; its loss is another


def compare(make, blocks, threads, xp=np):
    """Run a workload, a function of the dtype, beside each of its peers that is installed.

    Return the rows, one for each peer; where there is none, one row with our time alone. Raise
    RuntimeError where contenders that should do the same mathematics come to other losses.
    """
    on_host = backend.is_host(xp)
    exact, workload = make(dtype=np.float64), make()
    if not on_host:
        exact, workload = on_device(exact, xp), on_device(workload, xp)
    check_agreement(losses_after_warm_up(exact))
    losses = losses_after_warm_up(workload)
    steps = {name: contender(workload, name)(workload) for name in present(workload)}
    steps["floor"] = our_steps.floor(workload)
    clocks, clock = host_clocks, "cpu" if threads == 1 else "wall"
    if on_host:
        interleave(steps, 1, 1)                     # what is compiled is compiled
    else:
        clocks, clock = device_clocks(xp), "device"
        interleave(steps, 1, 5, clocks)             # all kernels are compiled, all steps captured
        workload = replace(workload, steps=fitting(steps["tinydni"], clocks))
    seconds = interleave(steps, blocks, workload.steps, clocks)
    memory = peak_memory(workload) if on_host else None
    return [row_against(peer, workload, seconds, losses, clock)
            | {"threads": threads, "memory_mb": memory}
            for peer in list(steps)[1:-1] or [None]]


def fitting(step, clocks, seconds=0.1):
    """Return how many steps make a block of the clock."""
    before = clocks()["wall"]
    for i in range(10):
        step(i)
    return int(np.clip(10 * seconds / (clocks()["wall"] - before), 2, 1000))


def present(workload):
    """Return the names of the contenders whose library is installed, "tinydni" first."""
    return [name for name, place in workload.contenders.items()
            if (has_numba() if name == "tinydni-plain" else
                not place.startswith(("torch", "jax"))
                or computes_beside(place.partition("_")[0], workload.xp))]


def contender(workload, name):
    """Return the function from a workload to a contender's step; it is imported when it is used."""
    module, function = workload.contenders[name].split(".")
    return getattr(importlib.import_module(f"tinydni.lab.benchmarks.{module}"), function)


def losses_after_warm_up(workload):
    """Return {name: loss} of all who do the same mathematics, after two blocks of steps."""
    losses = {}
    for name in present(workload):
        if name not in OTHER_MATHEMATICS:
            step = contender(workload, name)(workload)
            losses[name] = [step(i) for i in range(min(30, 2 * workload.steps))][-1].item()
    return losses


def check_agreement(losses, tolerance=1e-3):
    """Raise RuntimeError unless all losses agree with our own to the relative tolerance.

    Asked of float64. In float32 Adam turns the rounding of gradients that are zero in exact
    arithmetic (those of biases next to a BatchNorm) into whole steps, and after some 20 of them two
    right programs differ by a percent.
    """
    ours = losses["tinydni"]
    for name, loss in losses.items():
        if not abs(loss - ours) <= tolerance * abs(ours):
            raise RuntimeError(f"after the same steps the loss of {name} is {loss:.6g} and ours "
                               f"{ours:.6g}: they do not compute the same, so their times say "
                               "nothing.")


def host_clocks():
    """Return CPU time of the process and wall time, in seconds."""
    return {"cpu": time.process_time(), "wall": time.perf_counter()}


def device_clocks(xp):
    """Return clocks that first wait until the device has done all its work.

    "device" is its own time, by events: from the start of the first operation to the end of the
    last, in which it may also have waited for the host.
    """
    cuda, origin = xp.cuda, xp.cuda.Event()
    origin.record()

    def clocks():
        cuda.Device().synchronize()
        now = cuda.Event()
        now.record()
        now.synchronize()
        return {"device": cuda.get_elapsed_time(origin, now) / 1e3, "wall": time.perf_counter()}

    return clocks


def interleave(steps, blocks, n, clocks=host_clocks):
    """Let the contenders take turns, n steps each, a different one first in every round.

    steps: {name: function of the step's number}    clocks: function () -> {clock: seconds}
    Return {clock: {name: seconds of each block (blocks,)}}.
    """
    names = list(steps)
    seconds = {clock: {name: np.empty(blocks) for name in names} for clock in clocks()}
    for block in range(blocks):
        first = block % len(names)
        for name in names[first:] + names[:first]:
            step, before = steps[name], clocks()
            for i in range(n):
                step(i)
            after = clocks()
            for clock in after:
                seconds[clock][name][block] = after[clock] - before[clock]
    return seconds


def peak_memory(workload):
    """Return the most that our arrays took at a time, inputs left out [MB]."""
    tracemalloc.start()
    try:
        step = contender(workload, "tinydni")(workload)
        step(0), step(1)
        return round(tracemalloc.get_traced_memory()[1] / 1e6, 1)
    finally:
        tracemalloc.stop()


def row_against(peer, workload, seconds, losses, clock):
    """Return a row of the report, from what `interleave` returns. peer None: ours alone."""
    times = {"our": seconds[clock]["tinydni"], "floor": seconds[clock]["floor"]}
    row = {"row": workload.row, "peer": peer, "clock": clock,
           "blocks": len(times["our"]), "steps_per_block": workload.steps,
           "our_loss": losses["tinydni"], "peer_loss": losses.get(peer),
           "floor_share": np.median(times["floor"] / times["our"])}
    if peer is not None:
        times["peer"] = seconds[clock][peer]
        row["q1"], row["ratio"], row["q3"] = quartiles(times["our"] / times["peer"])
        row["wall_ratio"] = np.median(seconds["wall"]["tinydni"] / seconds["wall"][peer])
        row["floor_ratio"] = np.median(times["floor"] / times["peer"])
    row |= {f"{name}_us": 1e6 * np.median(blocks) / workload.steps
            for name, blocks in times.items()}
    return {key: round(value, 6) if isinstance(value, float) else value
            for key, value in row.items()}


def quartiles(values):
    """Return first quartile, median, third quartile."""
    return tuple(float(q) for q in np.percentile(values, (25, 50, 75)))
