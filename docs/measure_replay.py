"""Measures decoupled greedy learning with replay, for docs/which-method.md.

`python docs/measure_replay.py`: MNIST, three layers, `--method dgl` for three epochs, ten minutes
on one core. A run that the JSON holds is not run again.
"""

import json
from pathlib import Path

import numpy as np

from tinydni.lab.files import write_json
from tinydni.lab.jobs.mnist import JOB
from tinydni.variants import Replay

RESULT = Path(__file__).parent / "results" / "replay.json"
SEEDS, SIZES = (0, 1, 2), (1, 10, 50)
RATES = {"all at one pace": [1, 1, 1], "middle at half": [1, 0.5, 1]}


def error(seed, size=None, rates=None):
    """The test error in percent; without a size that of the plain schedule."""
    made = JOB.run(JOB.options({"method": "dgl", "epochs": 3, "seed": seed})).training
    if size is not None:
        widths = (made.dataset.n_in, 256, 256, 10)
        made.network.algorithm = Replay(widths, 64, size, rates, seed=seed)
    return round(float(made.run()["test_error"][-1]), 2)


def main():
    """Run what is missing, and print the table."""
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    runs = {"plain": {}} | {f"{name}, buffer {size}": {"size": size, "rates": rates}
                            for name, rates in RATES.items() for size in SIZES}
    for i, seed in enumerate(SEEDS):
        for name, options in runs.items():
            errors = found.setdefault(name, [])
            if len(errors) == i:
                errors.append(error(seed, **options))
                write_json(RESULT, found)
    for name, errors in found.items():
        print(f"{name:30s} {np.mean(errors):5.2f} ± {np.std(errors, ddof=1):.2f}")


if __name__ == "__main__":
    main()
