"""Measures why batches of 256 help a long run from h alone, for docs/from-h-alone.md.

`python docs/measure_batch_sizes.py [NAME ...]`: MNIST, six layers, looks-linear weights, late
truths, 30 epochs; all runs take an hour or two on one core. NAME: of RUNS, by default all; several
processes may share them. A run that the JSON holds is not run again.

A batch of guesses is mostly noise. If noise is what harms a long run with batches of 64, smaller
rates must do what larger batches do, and larger rates must spoil batches of 256. Adam with a large
eps lies between a step of fixed length, which needs half the rate for a quarter of the batch, and
plain descent, which needs a quarter.
"""

import json
import sys
from pathlib import Path

import numpy as np

from tinydni.lab.files import write_json
from tinydni.lab.jobs.mnist import JOB

RESULT = Path(__file__).parent / "results" / "batch-sizes.json"
SEEDS = (0,)
EPOCHS = 30
RUNS = {"64": (64, 1), "64, half the rates": (64, 1 / 2), "64, a quarter": (64, 1 / 4),
        "256": (256, 1), "256, twice the rates": (256, 2), "256, four times": (256, 4)}


def curves(seed, batch_size, factor):
    """Return training loss and test error [%] after every epoch."""
    made = JOB.run(JOB.options({"method": "dni", "layers": 6, "start": "looks-linear", "late": 1,
                                "epochs": EPOCHS, "batch_size": batch_size, "seed": seed})).training
    for _, _, optimizer in made.network.learners():
        optimizer.lr *= factor
    history = made.run()
    return {name: [round(float(value), digits) for value in history[name]]
            for name, digits in (("train_loss", 4), ("test_error", 2))}


def found():
    """Return what the JSON holds: {name: {seed: curves}}."""
    return json.loads(RESULT.read_text()) if RESULT.exists() else {}


def main(*names):
    """Run what is missing, and print the table."""
    for seed in map(str, SEEDS):
        for name in names or RUNS:
            if seed not in found().get(name, {}):
                new, everything = curves(int(seed), *RUNS[name]), found()
                everything.setdefault(name, {})[seed] = new
                write_json(RESULT, everything)
    for name, runs in found().items():
        errors = np.array([run["test_error"] for run in runs.values()])
        print(f"{name:24s} after 10 epochs {errors[:, 9].mean():.2f}, at the end "
              f"{errors[:, -1].mean():.2f} ({', '.join(f'{e:.2f}' for e in errors[:, -1])})")


if __name__ == "__main__":
    main(*sys.argv[1:])
