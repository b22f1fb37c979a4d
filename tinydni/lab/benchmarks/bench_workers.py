"""How fast two workers are, beside one loop on one core, and what the simulator says; a race.

    mpiexec -n 2 tinydni bench workers --json workers.json

Prints the tables of docs/is-it-faster.md: medians of what was found within each round, lowest and
highest in brackets.
"""

import sys

import numpy as np

from tinydni.lab.benchmarks import race
from tinydni.lab.benchmarks.conditions import machine
from tinydni.lab.benchmarks.two_workers import FIRST, TwoWorkers, middle
from tinydni.lab.files import check_folder, markdown, write_json
from tinydni.lab.jobs import parallel
from tinydni.lab.jobs.ranges import RATE, OptionError, whole

WORKLOADS = ((256, 256), (256, 64), (256, 32), (64, 64))        # width, batch


def add_arguments(parser):
    """Add the options of this command to an argparse parser."""
    parser.add_argument("--rounds", type=whole(1), default=9,
                        help="of all contenders in turn (default 9)")
    parser.add_argument("--seconds", type=RATE, default=0.5,
                        help="of a contender's block in a round (default 0.5)")
    parser.add_argument("--busy", action="store_true", help="the machine is busy: leave out two "
                        "BLAS threads, which then wait for each other in spinning loops")
    parser.add_argument("--without-race", action="store_true",
                        help="leave out the race to 2.5 %% on MNIST")
    parser.add_argument("--json", metavar="FILE", help="write all times here, too")


def main(given):
    """Run the command line, in each process. Return the exit code."""
    if given.json:
        check_folder(given.json)
    n = parallel.started()
    if n not in (1, 2):
        raise OptionError(f"this compares two workers, but mpiexec has started {n} processes; take "
                          "mpiexec -n 2.")
    if n == 1:
        print("Threads only; mpiexec -n 2 tinydni bench workers measures processes, too.")
        run(None, given)
        return 0
    communicator = parallel.processes().endpoint.communicator
    try:
        run(communicator, given)
    except BaseException as error:
        print(f"tinydni: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        communicator.Abort(1)               # or the other would wait for ever
    return 0


def run(communicator, given):
    """Do everything, in process 1 its part. communicator: of both, or None for threads."""
    first = communicator is None or communicator.rank == 0
    report = {"machine": machine(), "rounds": given.rounds, "workloads": []}
    for width, batch in WORKLOADS:
        both = TwoWorkers(width, batch, communicator, given.seconds, not given.busy)
        for _ in range(given.rounds):
            both.round()
        if first:
            report["workloads"].append(both.report())
            print(both.summary(), flush=True)
    if not given.without_race:
        report["race"] = race.run(communicator, given.busy)
    if first:
        print("\n" + "\n\n".join(tables(report)))
        if given.json:
            write_json(given.json, report)


def tables(report):
    """Return the Markdown tables of docs/is-it-faster.md."""
    found = report["workloads"]
    names = [name for name in found[0]["seconds"] if name != FIRST]
    ratios, differences = [], []
    for each in found:
        size, seconds = f"{each['width']}, {each['batch']}", each["seconds"]
        ratios.append([size, *(middle(np.divide(seconds[FIRST], seconds[name]))
                               for name in names)])
        differences += [[size, name, *compared(simulated, seconds[name])]
                        for name, simulated in each["simulated"].items()]
    yield markdown(["width, batch", *names], ratios)
    if differences:
        yield markdown(["width, batch", "", "simulated", "measured", "difference"], differences)
    if "race" in report:
        yield markdown(race.HEAD, race.rows(report["race"]))


def compared(simulated, measured):
    """Return milliseconds and their difference, medians over the rounds."""
    difference = np.median(np.divide(simulated, measured)) - 1
    return (f"{1e3 * np.median(simulated):.2f} ms", f"{1e3 * np.median(measured):.2f} ms",
            f"{100 * difference:+.0f} %")
