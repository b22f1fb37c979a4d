"""The race on MNIST: seconds of training, evaluation included, until 2.5 % of the test images are misread."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from tinydni.lab.jobs import in_workers as workers
from tinydni.lab.jobs import mnist

GOAL = 2.5              # test error [%], in the mean of the seeds
SEEDS = (0, 1, 2)
LONGEST = 3             # epochs; each schedule is as long as its run
WARM = 10               # steps before the clock starts: then every process has read the data and is at work

# runner: (options, BLAS threads)
RUNNERS = {"backprop, one core": ({"method": "backprop"}, 1),
           "backprop, two BLAS threads": ({"method": "backprop"}, 2),
           "vfbn, two workers": ({"method": "vfbn", "workers": 2}, 1),
           "cdni, two workers": ({"method": "cdni", "workers": 2}, 1)}
HEAD = ["to 2.5 %", "epochs", "test error [%]", "seconds"]


def run(communicator, busy):
    """All runners, the seeds in turn, first with one epoch, and those that miss the goal with one more.

    communicator: of two processes, or None for threads    busy: leaves two BLAS threads out
    Returns a list of {"runner", "epochs", "errors", "seconds"}, in the process of worker 0.
    """
    if communicator is not None and communicator.rank > 0:
        workers.processes().follow(lambda about, endpoint: workers.follower(mnist.JOB, about, endpoint))
        return None
    transport = "threads" if communicator is None else "mpi"
    names, found = [name for name, (_, n_threads) in RUNNERS.items() if not (busy and n_threads > 1)], []
    for epochs in range(1, LONGEST + 1):
        rows = {name: {"runner": name, "epochs": epochs, "errors": [], "seconds": []} for name in names}
        for seed in SEEDS:
            for name in names:
                error, seconds = once(*RUNNERS[name], transport, epochs, seed)
                rows[name]["errors"].append(error)
                rows[name]["seconds"].append(seconds)
        found += rows.values()
        names = [name for name in names if np.mean(rows[name]["errors"]) > GOAL]
    if communicator is not None:
        workers.processes().end()
    return found


def once(changed, n_threads, transport, epochs, seed):
    """The test error [%] and the seconds of one run: 6 layers of 256, batches of 64."""
    options = {"layers": 6, "width": 256, "batch_size": 64, "epochs": epochs, "seed": seed, **changed}
    if "workers" in changed:
        options["transport"] = transport
    training, started = mnist.JOB.run(mnist.JOB.options(options)).training, []

    def clock(training):
        if training.step == WARM:
            started.append(time.perf_counter())

    with threadpool_limits(n_threads, "blas"):
        training.run([clock])
    return training.history["test_error"][-1], time.perf_counter() - started[0]


def rows(found):
    """The rows of a table under HEAD."""
    return [[row["runner"], str(row["epochs"]), f"{np.mean(row['errors']):.2f} ({listed(row['errors'], 2)})",
             f"{np.median(row['seconds']):.1f} ({listed(row['seconds'], 1)})"] for row in found]


def listed(numbers, digits):
    return ", ".join(f"{number:.{digits}f}" for number in numbers)
