"""Draws the committed figures of the documentation anew:  python docs/make_figures.py"""

import json
from pathlib import Path

import numpy as np

import tinydni as td
from tinydni.plots import draw_network, learning_curve, save

FOLDER = Path(__file__).parent / "figures"
RESULTS = Path(__file__).parent / "results"


def adam() -> td.Adam:
    """Return one optimizer."""
    return td.Adam(1e-3)


def decoupled():
    """Draw one network of three layers under backpropagation, and decoupled with the label."""
    blocks = td.mlp((784, 256, 256, 10), np.random.default_rng(0))
    locked = td.build(blocks, td.SoftmaxCrossEntropy(), adam, algorithm=td.backprop)
    free = td.build(blocks, td.SoftmaxCrossEntropy(), adam,
                    lambda n: td.LinearSynthesizer(n, n_context=10), adam)
    return draw_network(locked, free)


def from_h_alone():
    """What measure_from_h_alone.py has found."""
    return json.loads((RESULTS / "from-h-alone.json").read_text())


def explained():
    """Draw how much of the true gradient h, x and the label tell after an epoch; and h before."""
    found = from_h_alone()["explained"]
    shares = {"h, at the start": found["at the start"]["h"]} | found["after one epoch"]
    curves = {name: (range(1, len(values) + 1), [100 * share for share in values])
              for name, values in shares.items()}
    return learning_curve(curves, title="What can be known of the true gradient",
                          ylabel="explained, unseen images [%]",
                          xlabel="interface, from the bottom to the top")


def without_labels():
    """Draw the validation errors of six layers from h alone, with a guess, and with the label."""
    curves = {name: (range(1, len(errors) + 1), errors)
              for name, errors in from_h_alone()["validation_error"].items()}
    return learning_curve(curves, title="MNIST, six layers", xlabel="epoch",
                          ylabel="validation error [%]")


def directions():
    """Draw how well the guesses, and the truth, of one batch know the gradient of all images."""
    found = json.loads((RESULTS / "late-targets.json").read_text())["gradients"]
    parts = {"true gradients of the batch": ("late", "one batch of truth: cosine"),
             "guesses, late targets": ("late", "one batch of guesses: cosine"),
             "guesses, ordinary targets": ("bootstrapped", "one batch of guesses: cosine")}
    curves = {label: zip(*[(at["step"], at[name][0]) for at in found[run]["over time"]
                           if at["step"]])
              for label, (run, name) in parts.items()}
    return learning_curve({label: tuple(curve) for label, curve in curves.items()},
                          title="dW of the lowest block: one batch beside all images",
                          xlabel="step", ylabel="cosine")


def recall_seeds():
    """Draw the bits of every seed at the end of recall, sorted."""
    rows = json.loads((RESULTS / "recall.json").read_text())["rows"]
    curves = {}
    for row in rows:
        kind, _, when = row["row"].rpartition(", ")
        if when == "at the end" and kind in ("N = 10", "N = 20") and row["column"] in (
                "truncated", "dni"):
            values = sorted(row["values"])
            curves[f"{row['column']}, {kind}"] = (range(1, len(values) + 1), values)
    return learning_curve(curves, title="Recall: every seed", xlabel="seeds, best first",
                          ylabel="bits per answer at the end")


FIGURES = {"decoupled.png": decoupled, "from-h-alone-explained.png": explained,
           "from-h-alone-errors.png": without_labels, "late-targets.png": directions,
           "recall-seeds.png": recall_seeds}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, figure in FIGURES.items():
        save(figure(), FOLDER / name)
        print(f"wrote {FOLDER / name}")
