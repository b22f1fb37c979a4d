"""The DeepCyTOF pipeline: log transform, denoising autoencoder, standardisation, classifier."""

from dataclasses import dataclass

import numpy as np

from tinydni.activations import ReLU
from tinydni.algorithms import backprop
from tinydni.containers import Sequential
from tinydni.datasets import cytometry
from tinydni.datasets.cytometry import SAMPLES
from tinydni.dni import Network, build
from tinydni.lab.cytometry.classifier import train_classifier
from tinydni.lab.cytometry.transform import Standardisation
from tinydni.linear import Linear
from tinydni.losses import MeanSquaredError
from tinydni.optimizers import RMSProp
from tinydni.random import stream
from tinydni.variants.mmd import kernel_width

REFERENCE = 2           # nearest to all others by its covariance, as the public code chooses
KEPT = 0.8              # share of the entries that the denoiser sees in training
PENALTY = 1e-2          # on its squared weights, beside the mean (not the sum) of squared errors


@dataclass
class Pipeline:
    """All that is made once, from the reference, and used for every source.

    denoiser : fills in the zeros of markers that the instrument missed; or None
    standardisation : by the mean and deviation of the reference
    target (M, D) : the gated cells of the reference, standardised    m : width of the kernels
    classifier : gates standardised cells
    """

    denoiser: Network | None
    standardisation: Standardisation
    target: np.ndarray
    m: float
    classifier: Network

    @classmethod
    def build(cls, seed: int, dae: bool = True, quick: bool = False) -> "Pipeline":
        """Train denoiser (on cells of all 16 samples) and classifier (on the reference).

        quick : one short epoch of both, to see that it works
        """
        reference, network = cytometry(REFERENCE), None
        if dae:
            numbers = (REFERENCE,) if quick else SAMPLES
            cells = [nearly_complete(np.log1p(cytometry(number).counts)) for number in numbers]
            network = denoiser(np.concatenate(cells), seed, epochs=1 if quick else 20)
        x = clean(reference.counts, network)
        standardisation = Standardisation.of(x)
        target = standardisation.forward(x)[reference.gated]
        labels = reference.labels[reference.gated]
        m = kernel_width(target, stream(seed, "sample", 2))
        return cls(network, standardisation, target, m,
                   train_classifier(target, labels, seed, epochs=2 if quick else 80))

    def forward(self, counts: np.ndarray) -> np.ndarray:
        """Return counts (N, D) as standardised cells."""
        return self.standardisation.forward(clean(counts, self.denoiser))


def clean(counts: np.ndarray, network: Network | None) -> np.ndarray:
    """Return log(1 + counts), with the zeros filled in where there is a denoiser."""
    x = np.log1p(counts)
    return x if network is None else network.predict(x)


def nearly_complete(x: np.ndarray) -> np.ndarray:
    """Return the cells of x (N, D) with at most one zero: what the denoiser learns from."""
    return x[(x == 0).sum(axis=1) <= 1]


def denoiser(x: np.ndarray, seed: int, epochs: int = 20, n_cells: int = 100_000,
             batch_size: int = 128, n_hidden: int = 25) -> Network:
    """Train the network D - 25 - 25 - D to restore cells from which entries were taken out.

    x (N, D) : cells with hardly a zero, after the log transform; at most n_cells of them are used
    (Li et al. 2017, section 2.3; their code trains 80 epochs on all cells).
    """
    n_markers = x.shape[1]
    rng, draw, drop = (stream(seed, purpose, 1) for purpose in ("weights", "sample", "dropout"))
    x = x[draw.choice(len(x), min(n_cells, len(x)), replace=False)]
    block = Sequential(Linear(n_markers, n_hidden, rng), ReLU(), Linear(n_hidden, n_hidden, rng),
                       ReLU(), Linear(n_hidden, n_markers, rng))
    decay = PENALTY * n_markers     # our loss is n_markers / 2 times theirs, with 2 PENALTY W in dW
    network = build([block], MeanSquaredError(), lambda: RMSProp(1e-3, weight_decay=decay),
                    algorithm=backprop)
    for epoch in range(epochs):
        order = stream(seed, "order", epoch).permutation(len(x))
        for start in range(0, len(x) - batch_size + 1, batch_size):
            batch = x[order[start:start + batch_size]]
            seen = drop.random(batch.shape, dtype=np.float32) < KEPT
            network.step(batch * seen, batch)
    return network
