"""Draws the committed figures of the documentation anew:  python docs/make_figures.py"""

from pathlib import Path

import numpy as np

import tinydni as td
from tinydni.plots import draw_network, save

FOLDER = Path(__file__).parent / "figures"


def adam():
    return td.Adam(1e-3)


def decoupled():
    """One network of three layers under backpropagation, and decoupled by two label-conditioned synthesizers."""
    blocks = td.mlp((784, 256, 256, 10), np.random.default_rng(0))
    locked = td.decouple(blocks, td.SoftmaxCrossEntropy(), adam, schedule=td.backprop)
    free = td.decouple(blocks, td.SoftmaxCrossEntropy(), adam, lambda n: td.LinearSynthesizer(n, n_context=10), adam)
    return draw_network(locked, free)


FIGURES = {"decoupled.png": decoupled}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, figure in FIGURES.items():
        save(figure(), FOLDER / name)
        print(f"wrote {FOLDER / name}")
