"""Small trainings that test_parallel.py runs over every transport; this file, over MPI.

mpiexec -n 3 python tests/parallel_cases.py FOLDER CASE ...     writes FOLDER/CASE.npz for each case
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
from building import build

import tinydni as td
from tinydni.algorithms import backprop
from tinydni.lab import files
from tinydni.lab.workers import ParallelTraining, Plan
from tinydni.layer import Layer
from tinydni.training import Training, percent_bits_wrong
from tinydni.variants.full_unlock import full_unlock
from tinydni.variants.input_synthesizers import input_synthesizer

WORKERS, LAYERS, EPOCHS, BATCH = 3, 6, 2, 16
ENDS = [2, 3, 6]  # two modules to worker 0, one to worker 1, three to worker 2

# case: (algorithm in one loop, mode, whether inputs are synthetic)
CASES = {"lock-step": (td.update_decoupled, "lock-step", False),
         "lock-step-unlocked": (full_unlock, "lock-step", True),
         "locked": (backprop, "locked", False),
         "free": (td.update_decoupled, "free", False),
         "free-unlocked": (full_unlock, "free", True),
         "data-parallel": (backprop, "data-parallel", False)}
EXACT = ("lock-step", "lock-step-unlocked", "locked")  # those that give the numbers of one loop
FAULTS = ("raises", "raises-wide", "wrong-shape", "diverges", "interrupts", "stops")
# wide: messages too long to be sent without a taker


SIGNALS = {"interrupts": signal.SIGINT, "stops": getattr(signal, "SIGSTOP", None)}


class Faulty(Layer):
    """Passes everything on, until its 5th forward pass in training."""

    def __init__(self, fault):
        self.fault, self.calls = fault, 0

    def forward(self, x):
        self.calls += self.training
        if self.calls < 5:
            return x
        if self.fault.startswith("raises"):
            raise ArithmeticError("the fifth batch was too much")
        if self.fault in ("interrupts", "stops"):
            number, self.fault = SIGNALS[self.fault], ""
            os.kill(os.getpid(), number)
        if not self.fault:
            return x
        return x[:, 1:] if self.fault == "wrong-shape" else x * np.float32("nan")

    def backward(self, dy):
        return dy


def network(case):
    """A fresh network, the same for every call; a faulty layer is in worker 1 (2: it diverges)."""
    data, rng = dataset(), td.random.stream(0, "weights")
    synthesizer_rng = td.random.stream(0, "synthesizer")
    algorithm, _, unlocked = CASES.get(case, CASES["free"])
    wide = case.endswith("wide")
    border = 2048 if wide else 12           # between workers 0 and 1
    blocks = td.mlp([data.n_in, 12, border] + [12] * (LAYERS - 3) + [data.n_out], rng)
    if case in FAULTS:
        at = 5 if case == "diverges" else 2
        blocks[at] = td.Sequential(Faulty(case), *blocks[at].layers)
    options = {} if algorithm is backprop else {
        "synthesizer": lambda n: td.LinearSynthesizer(n, data.n_out, reads_h=not wide),
        "synthesizer_lr": lambda: td.Adam(0.003), "warm_up": 3}
    if unlocked:
        options |= {"input_synthesizer": lambda n: input_synthesizer(data.n_in, n, synthesizer_rng),
                    "input_lr": lambda: td.Adam(0.003)}
    return build(
        blocks, td.BinaryCrossEntropy(), lambda: td.Adam(0.01), algorithm=algorithm, **options
    )


def dataset():
    return td.datasets.addition(bits=4)


def what_all_share(case, xp):
    """The arguments of a training, over workers or not."""
    return (network(case).to(xp), dataset(), EPOCHS, BATCH, 0, td.LinearDecay(24),
            percent_bits_wrong, dataset().context())


def one_loop(case, xp=np):
    """The case in one loop, not yet run."""
    return Training(*what_all_share(case, xp))


def apart(case, transport, xp=np, **plan):
    """The case over the workers of a transport, not yet run."""
    _, mode, unlocked = CASES.get(case, CASES["free"])

    def make_plan(training):
        return Plan(mode, ENDS, training.schedule, training.batch_of, BATCH,
                    training.network.warm_up, unlocked, **plan)
    return ParallelTraining(*what_all_share(case, xp), transport=transport, make_plan=make_plan)


def main(folder, *cases):
    """Runs cases over MPI; worker 0 writes what came of them."""
    from tinydni.lab.workers.transports import mpi
    mpi.SILENCE = mpi.ANSWER = 0.5          # as nobody here has much to do
    for case in cases:
        processes = mpi.Processes(mpi.world())
        training = apart(case, processes)
        if processes.rank > 0:
            processes.follow(lambda about, endpoint, made=training: made.make_worker(endpoint))
            continue
        try:
            training.run()
        finally:
            processes.end()
        late = {
            str(rank): {str(n): count for n, count in found.items()}
            for rank, found in training.staleness.items()
        }
        files.save(Path(folder) / f"{case}.npz", training.network.state(), [training.history, late])


if __name__ == "__main__":
    main(*sys.argv[1:])
