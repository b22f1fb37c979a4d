"""Random inputs for a check from the shell, where nobody hands over data."""

import argparse
import re

import numpy as np

KINDS = ("labels", "one-hot", "bits", "values")
NUMBER = r"(-?\d+|-?\d*\.?\d+(?:e-?\d+)?|-?\d+\.\d*)"
FORM = re.compile(rf"([\d,]+)(?::{NUMBER}\.\.{NUMBER})?")


def parse(text):
    """Read "6,5", "6,5:0.1..0.9" or "6,4:0..9" as (shape, low, high); whole numbers stay whole."""
    form = FORM.fullmatch(text.strip("() ").replace(" ", ""))
    if form:
        shape = tuple(int(n) for n in form[1].split(",") if n)
        low, high = (end and (int(end) if end.lstrip("-").isdecimal() else float(end))
                     for end in form.groups()[1:])
        if shape and min(shape) > 0 and (low is None or low < high):
            return shape, low, high
    raise argparse.ArgumentTypeError(
        "a shape is a list of positive numbers, such as 6,5, perhaps with where to draw from: "
        f"6,5:0.1..0.9, or whole numbers, 6,4:0..9; got {text!r}")


def draw(shape, between, rng):
    """Draw an input: whole numbers from low to high, floats between them, or normal ones."""
    low, high = between
    if low is None:
        return rng.standard_normal(shape)
    if isinstance(low, int) and isinstance(high, int):
        return rng.integers(low, high + 1, shape)
    return rng.uniform(low, high, shape)


def kind_for(class_name):
    """Guess the kind of target from the name of a loss: "BinaryCrossEntropy" takes bits."""
    name = class_name.lower().replace("_", "")
    if any(part in name for part in ("binary", "bce", "logistic")):
        return "bits"
    if any(part in name for part in ("entropy", "softmax", "nll", "likelihood")):
        return "labels"
    return "values"


def draw_target(kind, shape, rng):
    """Draw a target for predictions (N, ..., K): labels (N, ...), or an array of the same shape."""
    if kind == "labels":
        return rng.integers(0, shape[-1], shape[:-1])
    if kind == "one-hot":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if kind == "bits":
        return rng.integers(0, 2, shape).astype(np.float64)
    return rng.standard_normal(shape)
