"""The race on MNIST: seconds of training until 2.5 % of the test images are misread."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from tinydni.lab.jobs import mnist, parallel

GOAL = 2.5              # test error [%], in the mean of the seeds
SEEDS = (0, 1, 2)
LONGEST = 3             # epochs; each learning-rate schedule is as long as its run
WARM = 10               # steps before the clock starts: then every process is at work

# runner: (options, BLAS threads)
RUNNERS = {"backprop, one core": ({"method": "backprop"}, 1),
           "backprop, two BLAS threads": ({"method": "backprop"}, 2),
           "vfbn, two workers": ({"method": "vfbn", "workers": 2}, 1),
           "cdni, two workers": ({"method": "cdni", "workers": 2}, 1)}
HEAD = ["to 2.5 %", "epochs", "test error [%]", "seconds"]


def run(communicator, busy):
    """Let all run, the seeds in turn, first one epoch, and those that miss the goal one more.

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


def rows(found):
    """Return the rows of a table under HEAD."""
    def listed(numbers, digits):
        return ", ".join(f"{number:.{digits}f}" for number in numbers)

    return [[row["runner"], str(row["epochs"]),
             f"{np.mean(row['errors']):.2f} ({listed(row['errors'], 2)})",
             f"{np.median(row['seconds']):.1f} ({listed(row['seconds'], 1)})"] for row in found]
