"""How fast two workers are, beside one loop on one core: steps per second, what the simulator says, a race on MNIST.

    mpiexec -n 2 tinydni bench workers --json workers.json

Prints the tables of docs/is-it-faster.md: medians of what was found within each round, lowest and highest in brackets.
"""

import traceback

import numpy as np

from tinydni.lab.benchmarks import race
from tinydni.lab.benchmarks.conditions import machine
from tinydni.lab.benchmarks.two_workers import FIRST, Workload, middle
from tinydni.lab.jobs import in_workers as workers
from tinydni.lab.jobs.arguments import OptionError, whole
from tinydni.lab.files import check_folder, write_json
from tinydni.lab.workers.transports.mpi import world

name = "workers"
meaning = "how fast two workers are: threads, and under mpiexec -n 2 processes, beside one loop on one core"

WORKLOADS = ((256, 256), (256, 64), (256, 32), (64, 64))        # width, batch


def add_arguments(parser):
    """Adds the options of this command to an argparse parser."""
    parser.add_argument("--rounds", type=whole(1), default=9, help="of all contenders in turn (default 9)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a contender's block in a round (default 0.5)")
    parser.add_argument("--busy", action="store_true", help="the machine is busy: leave out two BLAS threads, which "
                        "then wait for each other in spinning loops")
    parser.add_argument("--without-race", action="store_true", help="leave out the race to 2.5 %% on MNIST")
    parser.add_argument("--json", metavar="FILE", help="write all times here, too")


def main(given):
    """Runs the command line, in each process. Returns the exit code."""
    if given.json:
        check_folder(given.json)
    n = workers.started()
    if n not in (1, 2):
        raise OptionError(f"this compares two workers, but mpiexec has started {n} processes; take mpiexec -n 2.")
    if n == 1:
        print("Threads only; mpiexec -n 2 tinydni bench workers measures processes, too.")
        run(None, given)
        return 0
    communicator = world()
    try:
        run(communicator, given)
    except BaseException:
        traceback.print_exc()
        communicator.Abort(1)               # or the other would wait for ever
    return 0


def run(communicator, given):
    """Everything, in the process of worker 0; in the other its part. communicator: of both, or None for threads."""
    first = communicator is None or communicator.rank == 0
    report = {"machine": machine(), "rounds": given.rounds, "workloads": []}
    for width, batch in WORKLOADS:
        workload = Workload(width, batch, communicator, given.seconds, not given.busy)
        for _ in range(given.rounds):
            workload.round()
        if first:
            report["workloads"].append(workload.report())
            print(workload.summary(), flush=True)
    if not given.without_race:
        report["race"] = race.run(communicator, given.busy)
    if first:
        print("\n" + "\n\n".join(tables(report)))
        if given.json:
            write_json(given.json, report)


def tables(report):
    """The Markdown tables of docs/is-it-faster.md."""
    found = report["workloads"]
    names = [name for name in found[0]["seconds"] if name != FIRST]
    rows = []
    for w in found:
        ratios = [np.divide(w["seconds"][FIRST], w["seconds"][name]) for name in names]
        rows.append([f"{w['width']}, {w['batch']}", *map(middle, ratios)])
    yield table(["width, batch", *names], rows)
    rows = [[f"{w['width']}, {w['batch']}", name, *compared(w["simulated"][name], w["seconds"][name])]
            for w in found for name in w["simulated"]]
    if rows:
        yield table(["width, batch", "", "simulated", "measured", "difference"], rows)
    if "race" in report:
        yield table(race.HEAD, race.rows(report["race"]))


def compared(simulated, measured):
    """Milliseconds and their difference, medians over the rounds."""
    difference = np.median(np.divide(simulated, measured)) - 1
    return f"{1e3 * np.median(simulated):.2f} ms", f"{1e3 * np.median(measured):.2f} ms", f"{100 * difference:+.0f} %"


def table(head, rows):
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))
