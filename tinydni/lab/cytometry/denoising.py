"""The denoising autoencoder of DeepCyTOF: fills in the zeros of cells whose marker was missed by the instrument."""

import numpy as np

from tinydni.algorithms import backprop
from tinydni.dni import build
from tinydni.activations import ReLU
from tinydni.containers import Sequential
from tinydni.linear import Linear
from tinydni.losses import MeanSquaredError
from tinydni.optimizers import RMSProp
from tinydni.random import stream

KEPT = 0.8                      # share of the entries that the network sees in training
PENALTY = 1e-2                  # on the squared weights, beside the mean (not the sum) of the squared errors


def denoiser(x, seed, epochs=20, n_cells=100_000, batch_size=128, n_hidden=25):
    """Trains the network 8 - 25 - 25 - 8 to restore cells from which entries were taken out. Returns it.

    x (N, D): cells with hardly a zero, after the log transform; at most n_cells of them are used
    (Li et al. 2017, section 2.3; their code trains 80 epochs on all cells.)
    """
    n_markers = x.shape[1]
    rng, draw, drop = (stream(seed, purpose, 1) for purpose in ("weights", "sample", "dropout"))
    x = x[draw.choice(len(x), min(n_cells, len(x)), replace=False)]
    block = Sequential(Linear(n_markers, n_hidden, rng), ReLU(), Linear(n_hidden, n_hidden, rng), ReLU(),
                       Linear(n_hidden, n_markers, rng))
    decay = PENALTY * n_markers         # our loss is n_markers / 2 times theirs, the penalty's gradient is 2 PENALTY W
    network = build([block], MeanSquaredError(), lambda: RMSProp(1e-3, weight_decay=decay), algorithm=backprop)
    for epoch in range(epochs):
        order = stream(seed, "order", epoch).permutation(len(x))
        for start in range(0, len(x) - batch_size + 1, batch_size):
            batch = x[order[start:start + batch_size]]
            network.step(batch * (drop.random(batch.shape, dtype=np.float32) < KEPT), batch)
    return network


def nearly_complete(x):
    """The cells of x (N, D) with at most one zero: what the denoiser learns from."""
    return x[(x == 0).sum(axis=1) <= 1]
