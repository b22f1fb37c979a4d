"""The classifier that gates cells: trained on the reference, used on calibrated samples."""

from typing import Any

import numpy as np

from tinydni.activations import Softplus
from tinydni.algorithms import backprop
from tinydni.containers import Sequential
from tinydni.datasets import Dataset
from tinydni.dni import Network, build
from tinydni.linear import Linear
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.optimizers import RMSProp, StepDecay
from tinydni.random import stream
from tinydni.training import Training

WIDTHS = (12, 6, 3)
UNSURE = 0.4                # a cell whose largest probability is smaller is left ungated
BATCH_SIZE = 128


def train_classifier(x: np.ndarray, labels: np.ndarray, seed: int, epochs: int = 80,
                     n_types: int = 4) -> Network:
    """Train the network D - 12 - 6 - 3 - K with softplus on the gated cells of the reference.

    RMSProp 1e-3, halved every 50 epochs, penalty 1e-4 on the squared weights (Li et al. 2017,
    section 2.2).   x (N, D): standardised cells;   labels (N,): 1 ... K; a tenth is held out.
    """
    rng = stream(seed, "weights", 2)
    widths = (x.shape[1], *WIDTHS, n_types)
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
    Returns {"weighted": ..., "macro": ..., "types": [one per type]}.
    """
    from sklearn.metrics import f1_score
    types, gated = sorted(set(labels[labels > 0].tolist())), labels > 0
    predicted = gate(network, x[gated])

    def score(average: str | None) -> Any:
        return f1_score(labels[gated], predicted, labels=types, average=average, zero_division=0)
    return {"weighted": float(score("weighted")), "macro": float(score("macro")),
            "types": [float(value) for value in score(None)]}
