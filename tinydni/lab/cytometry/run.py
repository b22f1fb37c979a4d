"""One run of the experiment: a source, a method, a seed; and what is measured before and after."""

import time
from dataclasses import dataclass

import numpy as np

from tinydni import backend
from tinydni.datasets import Cells
from tinydni.lab.cytometry.classifier import f1_scores
from tinydni.lab.cytometry.discrepancy import discrepancy
from tinydni.lab.cytometry.fit import fit, updates_until
from tinydni.lab.cytometry.pipeline import Pipeline
from tinydni.lab.cytometry.populations import warnings
from tinydni.random import stream


@dataclass
class Run:
    """A source calibrated to the reference.

    before, after (N, D): all cells of the source, standardised    network: the MMD-ResNet
    mmd: of the training batches, one per update    seconds: of the training
    """

    cells: Cells
    pipeline: Pipeline
    before: np.ndarray
    after: np.ndarray
    network: object
    mmd: list
    seconds: float
    seed: int

    @classmethod
    def train(cls, cells, pipeline, method, seed, updates=500, batch_size=1000, xp=np, watch=None):
        """Trains on all cells of the source, gated or not: whoever calibrates a sample has no labels for it."""
        before = pipeline.forward(cells.counts)
        start = time.perf_counter()
        network, mmd = fit(before, pipeline.target, pipeline.m, method, seed, updates, batch_size, xp, watch)
        seconds = time.perf_counter() - start
        after = backend.to_numpy(network.predict(backend.asarray(xp, before)))
        return cls(cells, pipeline, before, after, network, mmd, seconds, seed)

    def scores(self):
        """What `--json` writes beside the options."""
        target, m, classifier = self.pipeline.target, self.pipeline.m, self.pipeline.classifier
        scores = {}
        for name, cells in (("before", self.before), ("after", self.after)):
            biased, unbiased = discrepancy(cells, target, m, stream(self.seed, "sample", 3))
            f1 = f1_scores(classifier, cells, self.cells.labels)
            scores |= {f"mmd_{name}": biased, f"mmd_unbiased_{name}": unbiased, f"f1_weighted_{name}": f1["weighted"],
                       f"f1_macro_{name}": f1["macro"], f"f1_types_{name}": f1["types"]}
        return scores | {"updates_to_mmd_0.30": updates_until(self.mmd, 0.30),
                         "updates_to_mmd_0.20": updates_until(self.mmd, 0.20),
                         "milliseconds_per_update": 1000 * self.seconds / len(self.mmd), "seconds": self.seconds,
                         "warnings": warnings(self.before, self.after, stream(self.seed, "sample", 5))}
