"""How fast two workers are, beside one loop on one core, and what the simulator says; a race.

    mpiexec -n 2 tinydni bench workers --json workers.json

Prints the tables of docs/is-it-faster.md: medians of what was found within each round, lowest and
highest in brackets.
"""

import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from tinydni.lab.benchmarks.conditions import machine
from tinydni.lab.benchmarks.two_workers import FIRST, TwoWorkers, middle
from tinydni.lab.files import markdown, write_json
from tinydni.lab.jobs import mnist, parallel
from tinydni.lab.jobs.ranges import RATE, OptionError, whole
from tinydni.lab.outputs import Outputs

WORKLOADS = ((256, 256), (256, 64), (256, 32), (64, 64))        # width, batch
GOAL = 2.5              # of the race: test error [%], in the mean of the seeds
SEEDS = (0, 1, 2)
LONGEST = 3             # epochs; each learning-rate schedule is as long as its run
WARM = 10               # steps before the clock starts: then every process is at work

# runner: (options, BLAS threads)
RUNNERS = {"backprop, one core": ({"method": "backprop"}, 1),
           "backprop, two BLAS threads": ({"method": "backprop"}, 2),
           "vfbn, two workers": ({"method": "vfbn", "workers": 2}, 1),
           "cdni, two workers": ({"method": "cdni", "workers": 2}, 1)}
RACE = ["to 2.5 %", "epochs", "test error [%]", "seconds"]


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
    Outputs({"json": given.json}, force=True)
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
        report["race"] = race(communicator, given.busy)
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
        yield markdown(RACE, race_rows(report["race"]))


def compared(simulated, measured):
    """Return milliseconds and their difference, medians over the rounds."""
    difference = np.median(np.divide(simulated, measured)) - 1
    return (f"{1e3 * np.median(simulated):.2f} ms", f"{1e3 * np.median(measured):.2f} ms",
            f"{100 * difference:+.0f} %")


def race(communicator, busy):
    """Let all train on MNIST, the seeds in turn: one epoch; those that miss the goal, one more.

    communicator: of two processes, or None for threads    busy: leaves two BLAS threads out
    Return a list of {"runner", "epochs", "errors", "seconds"}, in the process of worker 0.
    """
    if communicator is not None and communicator.rank > 0:
        parallel.processes().follow(
            lambda about, endpoint: parallel.follower(mnist.JOB, about, endpoint))
        return None
    transport = "threads" if communicator is None else "mpi"
    names = [name for name, (_, n_threads) in RUNNERS.items() if not (busy and n_threads > 1)]
    found = []
    for epochs in range(1, LONGEST + 1):
        runs = {name: [] for name in names}
        for seed in SEEDS:
            for name in names:
                runs[name].append(once(*RUNNERS[name], transport, epochs, seed))
        for name in list(names):
            errors, seconds = map(list, zip(*runs[name]))
            found.append({"runner": name, "epochs": epochs, "errors": errors, "seconds": seconds})
            if np.mean(errors) <= GOAL:
                names.remove(name)
    if communicator is not None:
        parallel.processes().end()
    return found


def once(changed, n_threads, transport, epochs, seed):
    """Return test error [%] and seconds of a run of 6 layers of 256, batches of 64."""
    options = {"layers": 6, "width": 256, "batch_size": 64, "epochs": epochs, "seed": seed,
               **changed}
    if "workers" in changed:
        options["transport"] = transport
    training, started = mnist.JOB.run(mnist.JOB.options(options)).training, []

    def clock(training):
        if training.step == WARM:
            started.append(time.perf_counter())

    with threadpool_limits(n_threads, "blas"):
        training.run([clock])
    return training.history["test_error"][-1], time.perf_counter() - started[0]


def race_rows(found):
    """Return the rows of the table of the race."""
    def listed(numbers, digits):
        return ", ".join(f"{number:.{digits}f}" for number in numbers)

    return [[row["runner"], str(row["epochs"]),
             f"{np.mean(row['errors']):.2f} ({listed(row['errors'], 2)})",
             f"{np.median(row['seconds']):.1f} ({listed(row['seconds'], 1)})"] for row in found]
