"""Measures the paper's way at the paper's rates, for docs/from-h-alone.md.

`python docs/measure_paper_rates.py [EPOCHS]`: MNIST, six layers from h alone, batches of 256, Adam
with 3e-5 for blocks and synthesizers, divided by 10 after 60 and 80 % of the run. 200 epochs take
half an hour on one core; the paper's 500,000 steps are 2,137 epochs.
"""

import sys
from pathlib import Path

from tinydni.lab.files import write_json
from tinydni.lab.jobs.mnist import JOB

RESULT = Path(__file__).parent / "results" / "paper-rates.json"
OPTIONS = {"method": "dni", "layers": 6, "batch_size": 256, "drops": [0.6, 0.8], "seed": 0}
RATE = 3e-5


def main(epochs=200):
    """Train, and write the test error after every epoch."""
    run = JOB.run(JOB.options({**OPTIONS, "epochs": epochs}))
    for _, _, optimizer in run.network.learners():      # the recipes have others, and a larger eps
        optimizer.lr, optimizer.eps = RATE, 1e-8
    run.train()
    write_json(RESULT, {"options": {**OPTIONS, "epochs": epochs, "lr": RATE},
                        "test_error": [round(e, 2) for e in run.training.history["test_error"]]})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
