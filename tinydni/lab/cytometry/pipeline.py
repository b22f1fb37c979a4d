"""The DeepCyTOF pipeline: log transform, denoising autoencoder, standardisation, classifier."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydni.activations import ReLU, Softplus
from tinydni.algorithms import backprop
from tinydni.containers import Sequential
from tinydni.datasets import Dataset, cytometry
from tinydni.datasets.cytometry import SAMPLES
from tinydni.dni import Network, build
from tinydni.lab.cytometry.transform import Standardisation
from tinydni.linear import Linear
from tinydni.losses import MeanSquaredError, SoftmaxCrossEntropy
from tinydni.optimizers import RMSProp, StepDecay
from tinydni.random import stream
from tinydni.training import Training
from tinydni.variants.mmd import kernel_width

REFERENCE = 2           # nearest to all others by its covariance, as the public code chooses
KEPT = 0.8              # share of the entries that the denoiser sees in training
PENALTY = 1e-2          # on its squared weights, beside the mean (not the sum) of squared errors
UNSURE = 0.4            # a cell whose largest probability is smaller is left ungated
BATCH_SIZE = 128


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
             n_hidden: int = 25) -> Network:
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
        for start in range(0, len(x) - BATCH_SIZE + 1, BATCH_SIZE):
            batch = x[order[start:start + BATCH_SIZE]]
            seen = drop.random(batch.shape, dtype=np.float32) < KEPT
            network.step(batch * seen, batch)
    return network


def train_classifier(x: np.ndarray, labels: np.ndarray, seed: int, epochs: int = 80,
                     n_types: int = 4) -> Network:
    """Train the network D - 12 - 6 - 3 - K with softplus on the gated cells of the reference.

    RMSProp 1e-3, halved every 50 epochs, penalty 1e-4 on the squared weights (Li et al. 2017,
    section 2.2).   x (N, D): standardised cells;   labels (N,): 1 ... K; a tenth is held out.
    """
    rng = stream(seed, "weights", 2)
    widths = (x.shape[1], 12, 6, 3, n_types)
    layers = [Linear(n_in, n_out, rng, std=(2 / (n_in + n_out))**0.5)
              for n_in, n_out in zip(widths, widths[1:])]
    block = Sequential(*[part for layer in layers[:-1] for part in (layer, Softplus())], layers[-1])
    network = build([block], SoftmaxCrossEntropy(), lambda: RMSProp(1e-3, weight_decay=2e-4),
                    algorithm=backprop)
    held_out, y = stream(seed, "split").permutation(len(x)) % 10 == 0, labels - 1
    dataset = Dataset("reference", x[~held_out], y[~held_out], x[held_out], y[held_out], n_types,
                      held_out="validation")
    every = 50 * (len(dataset.x) // BATCH_SIZE)
    halving = StepDecay(range(every, epochs * every // 50, every), gamma=0.5)
    Training(network, dataset, epochs, BATCH_SIZE, seed, halving).run()
    return network


def gate(network: Network, x: np.ndarray) -> np.ndarray:
    """Return the types 1 ... K of cells x (N, D), 0 where the classifier is unsure."""
    logits = network.predict(x)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return np.where(p.max(axis=1) < UNSURE, 0, p.argmax(axis=1) + 1)


def f1_scores(network: Network, x: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return how well cells are gated: F1 of every type and their means, by scikit-learn.

    x (N, D): cells;   labels (N,): an expert's types; cells with label 0 are left out.
    Returns {"weighted": ..., "macro": ..., "lowest": ..., "types": [one per type]}.
    """
    from sklearn.metrics import f1_score
    types, gated = sorted(set(labels[labels > 0].tolist())), labels > 0
    predicted = gate(network, x[gated])

    def score(average: str | None) -> Any:
        return f1_score(labels[gated], predicted, labels=types, average=average, zero_division=0)
    each = [float(value) for value in score(None)]
    return {"weighted": float(score("weighted")), "macro": float(score("macro")),
            "lowest": min(each), "types": each}
