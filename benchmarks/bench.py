"""Times tinydni's training steps beside other programs that do the same mathematics, in one run.

    python benchmarks/bench.py [W1 W2 W4] [--threads 1] [--blocks 30] [--json FILE]

Machines are shared and clocks wander, so nothing is compared across runs: the contenders take turns, a short
block of steps each, and what is reported is the median and the quartiles of the ratio block by block.
With one thread the clock is the CPU time of the process, which the neighbours disturb less than wall time;
with more threads it is wall time, since CPU time would add the threads up.
"""

import argparse
import importlib
import time

import numpy as np
import workloads

from tinydni.files import write_json

CONTENDERS = {          # name: (module, function from a workload to its step); a module is imported when it is used
    "tinydni": ("workloads", "step"),
    "tinydni-backprop": ("workloads", "backprop_step"),
    "torch-eager": ("torch_peers", "step"),
    "literal": ("literal", "step"),
    "floor": ("workloads", "floor"),
}
OTHER_MATHEMATICS = ("tinydni-backprop", "floor")       # timed for what they cost; their losses are others, or none


def add_arguments(parser):
    parser.add_argument("workloads", nargs="*", type=known, metavar="NAME",
                        help=f"of {', '.join(workloads.WORKLOADS)}; all if none is named")
    parser.add_argument("--threads", type=positive, default=1, help="threads of the matrix products (default 1)")
    parser.add_argument("--blocks", type=positive, default=30, help="blocks of the clock per contender (default 30)")
    parser.add_argument("--json", metavar="FILE", help="write the rows here, too")


def known(name):
    if name not in workloads.WORKLOADS:
        raise argparse.ArgumentTypeError(f"no workload {name!r}; there are {', '.join(workloads.WORKLOADS)}")
    return name


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1; got {text!r}")
    return int(text)


def main(arguments):
    """Runs the workloads, prints a line for each row as it comes, and writes the report. Returns 0."""
    try:
        import conditions
    except ImportError as error:
        raise SystemExit(f"{error}: the benchmarks compare with PyTorch; run pip install torch==2.13.0 threadpoolctl")
    conditions.set_threads(arguments.threads)
    report = {"machine": conditions.machine(), "versions": conditions.versions(), "threads": arguments.threads,
              "rows": []}
    print(" | ".join(f"{name} {value}" for name, value in (report["machine"] | report["versions"]).items()))
    print(HEADING)
    for name in arguments.workloads or workloads.WORKLOADS:
        for make in workloads.WORKLOADS[name]:
            for row in compare(make, arguments.blocks, arguments.threads):
                report["rows"].append(row)
                print(line(row), flush=True)
    if arguments.json:
        write_json(arguments.json, report)
    return 0


HEADING = f"{'':14}{'against':18}{'ours':>12}{'peer':>12}{'ratio':>8}{'quartiles':>16}{'floor':>8}{'wall':>8}"


def line(row):
    """One row as text: times per step; our time, its quartiles, the floor's and our wall time over the peer's."""
    quarts = f"{row['q1']:.3f} - {row['q3']:.3f}"
    return (f"{row['row']:14}{row['peer']:18}{row['our_us']:9,.0f} us{row['peer_us']:9,.0f} us"
            f"{row['ratio']:8.3f}{quarts:>16}{row['floor_ratio']:8.3f}{row['wall_ratio']:8.3f}")


def compare(make, blocks, threads):
    """Runs one workload, a function of the dtype, against each of its peers. Returns the rows, one for each peer.

    Raises RuntimeError where contenders that should do the same mathematics come to other losses.
    """
    check_agreement(losses_after_warm_up(make(np.float64)))
    workload = make(np.float32)
    losses = losses_after_warm_up(workload)
    steps = {name: contender(name)(workload) for name in ("tinydni", *workload.peers, "floor")}
    seconds = interleave(steps, blocks, workload.steps)
    return [row_against(peer, workload, seconds, losses, threads) for peer in workload.peers]


def contender(name):
    """The function from a workload to the step of one contender."""
    module, function = CONTENDERS[name]
    return getattr(importlib.import_module(module), function)


def losses_after_warm_up(workload):
    """{name: loss} of all who do the same mathematics, after two blocks of steps from the same weights."""
    names = [name for name in ("tinydni", *workload.peers) if name not in OTHER_MATHEMATICS]
    steps = {name: contender(name)(workload) for name in names}
    return {name: [step(i) for i in range(2 * workload.steps)][-1].item() for name, step in steps.items()}


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


def row_against(peer, workload, seconds, losses, threads):
    """One row of the report, from the {clock: {name: seconds of each block}} of `interleave`."""
    clock = "cpu" if threads == 1 else "wall"
    ours, theirs, floor = (seconds[clock][name] for name in ("tinydni", peer, "floor"))
    our_wall, their_wall = (seconds["wall"][name] for name in ("tinydni", peer))
    q1, ratio, q3 = quartiles(ours / theirs)

    def microseconds(block_times):
        return 1e6 * median(block_times) / workload.steps

    row = {"row": workload.row, "peer": peer, "ratio": ratio, "q1": q1, "q3": q3, "threads": threads, "clock": clock,
           "wall_ratio": median(our_wall / their_wall), "floor_ratio": median(floor / theirs),
           "our_us": microseconds(ours), "peer_us": microseconds(theirs), "floor_us": microseconds(floor),
           "our_wall_us": microseconds(our_wall), "peer_wall_us": microseconds(their_wall),
           "blocks": len(ours), "steps_per_block": workload.steps,
           "our_loss": losses["tinydni"], "peer_loss": losses.get(peer)}
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}


def quartiles(values):
    """First quartile, median, third quartile."""
    return tuple(float(q) for q in np.percentile(values, (25, 50, 75)))


def median(values):
    return quartiles(values)[1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser)
    raise SystemExit(main(parser.parse_args()))
