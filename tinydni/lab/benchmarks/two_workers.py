"""Two workers in every mode, beside one loop: the times of all, and what the simulator predicts.

All is measured in short blocks, the contenders in turn, so that what disturbs one disturbs all.
Right before the runs that the simulator predicts, the costs that it starts from are measured, in
the condition of the run: one process busy at a time for locked workers, both for decoupled ones.
"""

import time

import numpy as np
from threadpoolctl import threadpool_limits

import tinydni as td
from tinydni.datasets import Dataset
from tinydni.lab.benchmarks.conditions import load
from tinydni.lab.jobs.methods import group
from tinydni.lab.products import write_product_buffer
from tinydni.lab.workers import ParallelTraining, Plan
from tinydni.lab.workers.balance import balanced
from tinydni.lab.workers.costs import measure
from tinydni.lab.workers.measuring import Stages
from tinydni.lab.workers.simulator import throughput
from tinydni.lab.workers.transports.mpi import Endpoint, Processes
from tinydni.lab.workers.transports.threads import Threads

HIDDEN, N_IN, CLASSES = 6, 784, 10
WARM = 5                                        # steps of a block before its clock starts
FIRST = "one core"                              # what all others are compared with

# contender: (mode, transport, BLAS threads, what the simulator calls it); transport None: one loop
CONTENDERS = {FIRST: ("locked", None, 1, None),
              "one loop, two BLAS threads": ("locked", None, 2, None),
              "one loop, decoupled": ("free", None, 1, None),
              "locked, two threads": ("locked", "threads", 1, None),
              "locked, two processes": ("locked", "mpi", 1, "locked"),
              "data-parallel, two threads": ("data-parallel", "threads", 1, None),
              "data-parallel, two processes": ("data-parallel", "mpi", 1, None),
              "late gradients, two processes": ("late", "mpi", 1, "late"),
              "decoupled, two threads": ("free", "threads", 1, None),
              "decoupled, two processes": ("free", "mpi", 1, "decoupled")}


class TwoWorkers:
    """All contenders for one width and batch, on the same data, cut at the same place.

    communicator: of two processes, which make one of these each, or None for threads only
    seconds: of a block, about    two_blas_threads: whether one loop with two of them takes part
    """

    def __init__(self, width, batch, communicator, seconds=0.5, two_blas_threads=True):
        self.width, self.batch, self.communicator = width, batch, communicator
        self.first = communicator is None or communicator.rank == 0
        self.dataset = images(batch)
        write_product_buffer()
        n = len(self.dataset.x)
        self.order = np.random.default_rng(0).permutation(n).reshape(-1, batch)
        sample = (part[:batch] for part in (self.dataset.x, self.dataset.context(), self.dataset.y))
        costs = measure(self.network("free", None).modules, *sample)
        self.cuts = self.agreed(balanced(costs.block, 2, costs.synthesizer)[:-1])
        self.n_steps = self.agreed([max(20, int(seconds / costs.block.sum()))])[0]
        self.trainings = {
            name: self.training(mode, transport)
            for name, (mode, transport, n_threads, _) in CONTENDERS.items()
            if (transport != "mpi" or communicator) and (n_threads == 1 or two_blas_threads)}
        if communicator is not None:
            stages = self.trainings["decoupled, two processes"]
            self.stages = Stages(Endpoint(communicator), stages.network.modules, stages.batch_of,
                                 self.order)
        self.seconds = {name: [] for name in self.trainings}
        self.simulated = {name: [] for name in self.trainings if CONTENDERS[name][3]}
        self.contention, self.load = [], []

    def agreed(self, numbers):
        """Return numbers that both processes must share: those of process 0."""
        numbers = np.array(numbers)
        if self.communicator is not None:
            self.communicator.Bcast(numbers)
        return numbers.tolist()

    def network(self, mode, cuts):
        """Return seven layers, cut; decoupled modules have interfaces, locked ones only borders."""
        blocks = td.mlp([N_IN] + [self.width] * HIDDEN + [CLASSES], td.stream(0, "weights"))
        guess = (lambda n: td.LinearSynthesizer(n, CLASSES), lambda: td.Adam(1e-3))
        free = mode == "free"
        return td.build(group(blocks, cuts), td.SoftmaxCrossEntropy(), lambda: td.Adam(1e-3),
                        *(guess if free else ()),
                        algorithm=td.update_decoupled if free else td.backprop)

    def training(self, mode, transport):
        """Return the training of a contender."""
        rest, context = (self.network(mode, self.cuts), self.dataset, 1, self.batch, 0), (
            self.dataset.context())
        if transport is None:
            return td.Training(*rest, context=context)
        ends = [2, 2] if mode == "data-parallel" else [1, 2]
        plan, late = ("free", "gradients") if mode == "late" else (mode, "")
        return ParallelTraining(
            *rest, context=context,
            transport=Threads(2) if transport == "threads" else Processes(self.communicator),
            make_plan=lambda made: Plan(plan, ends, made.schedule, made.batch_of, self.batch,
                                        late=late))

    def round(self):
        """Run a block of every contender; before those that are predicted, measure the costs."""
        self.load.append(load())
        used = {}
        for name, training in self.trainings.items():
            _, transport, n_threads, simulated = CONTENDERS[name]
            if simulated:
                together = simulated != "locked"
                costs = self.stages.measure(self.n_steps // 2, together)
                if self.first:
                    self.simulated[name].append(1 / throughput(simulated, *costs))
                    used[simulated] = (costs[0].block + costs[0].synthesizer).sum()
            if self.first:
                with threadpool_limits(n_threads, "blas"):
                    seconds = in_one_loop if transport is None else apart
                    self.seconds[name].append(seconds(training, self.order, self.n_steps))
            elif transport == "mpi":
                training.transport.follow(
                    lambda about, endpoint, training=training: training.make_worker(endpoint))
        if used:
            self.contention.append(used["decoupled"] / used["locked"])

    def summary(self):
        """Return what was found, as text."""
        lines = [f"width {self.width}, batch {self.batch}, cut after {self.cuts[0]} of "
                 f"{HIDDEN + 1}, load {self.load[0]} to {self.load[-1]}"]
        if self.contention:
            lines.append(f"  a step costs {np.median(self.contention):.2f} times as much while "
                         "both processes are busy")
        for name, found in self.seconds.items():
            ratios = np.divide(self.seconds[FIRST], found)
            said = f"  {name:30s} {1e3 * np.median(found):7.2f} ms  {middle(ratios)}"
            if name in self.simulated:
                said += f"  simulated {1e3 * np.median(self.simulated[name]):.2f} ms"
            lines.append(said)
        return "\n".join(lines)

    def report(self):
        """Return what was found, for the JSON: seconds per step, by round."""
        return {name: getattr(self, name) for name in (
            "width", "batch", "cuts", "load", "seconds", "simulated", "contention")}


def images(batch):
    """Return made-up images with labels that can be learned."""
    rng = td.stream(0, "sample")
    x = rng.standard_normal((64 * batch, N_IN)).astype(np.float32)
    labels = (x @ rng.standard_normal((N_IN, CLASSES)).astype(np.float32)).argmax(axis=1)
    return Dataset("random", x, labels, x[:10], labels[:10], CLASSES)


def in_one_loop(training, order, n_steps):
    """Return the seconds of a step in one loop."""
    for i in range(n_steps + WARM):
        if i == WARM:
            start = time.perf_counter()
        training.run_batch(order[i % len(order)])
    return (time.perf_counter() - start) / n_steps


def apart(training, order, n_steps):
    """Return the seconds of a step over workers, from a drained start until all has arrived."""
    worker = training.transport.start(training.make_worker)
    for i in range(n_steps + WARM):
        if i == WARM:
            worker.turns(lambda: worker.in_flight)
            start = time.perf_counter()
        worker.feed(i, order[i % len(order)])
    worker.turns(lambda: worker.in_flight)
    seconds = (time.perf_counter() - start) / n_steps
    training.transport.stop()
    if isinstance(training.transport, Processes):
        training.transport.end()
    return seconds


def middle(ratios):
    """Return a median with the lowest and the highest, as text."""
    return f"{np.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
