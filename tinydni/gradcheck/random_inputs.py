"""Random inputs for a check from the shell, where nobody hands over data."""

import re

import numpy as np

KINDS = ("labels", "one-hot", "bits", "values")
FORM = re.compile(r"([\d,]+)(?::(-?[\d.]+(?:e-?\d+)?)\.\.(-?[\d.]+(?:e-?\d+)?))?")


def parse(text):
    """Read "6,5", "6,5:0.1..0.9" or "6,4:0..9" as (shape, low, high); whole numbers stay whole.

    Raises ValueError, in a sentence.
    """
    form = FORM.fullmatch(text.strip("() ").replace(" ", "")) or FORM.fullmatch("")
    try:
        shape = tuple(int(n) for n in form[1].split(",") if n)
        low, high = (end and (float(end) if set(end) & set(".e") else int(end))
                     for end in (form[2], form[3]))
        good = shape and min(shape) > 0 and (low is None or low < high)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ValueError("a shape is a list of positive numbers, such as 6,5, perhaps with where "
                         "to draw from: 6,5:0.1..0.9, or whole numbers, 6,4:0..9")
    return shape, low, high


def draw(shape, low, high, rng):
    """Draw an input: whole numbers from low to high, floats between them, or normal ones."""
    if low is None:
        return rng.standard_normal(shape)
    if isinstance(low, int) and isinstance(high, int):
        return rng.integers(low, high + 1, shape)
    return rng.uniform(low, high, shape)


def kind_for(class_name):
    """Guess the kind of target from the name of a loss: "BinaryCrossEntropy" takes bits."""
    name = class_name.lower().replace("_", "")
    if "binary" in name or "bce" in name or "logistic" in name:
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
