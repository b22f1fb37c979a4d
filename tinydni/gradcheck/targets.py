"""Random targets for a loss that is checked from the shell, where nobody hands over data."""

import numpy as np

KINDS = ("labels", "one-hot", "bits", "values")


def kind_for(class_name):
    """The kind of target that the name of a loss suggests: "BinaryCrossEntropy" takes bits."""
    name = class_name.lower().replace("_", "")
    if "binary" in name or "bce" in name or "logistic" in name:
        return "bits"
    if any(part in name for part in ("entropy", "softmax", "nll", "likelihood")):
        return "labels"
    return "values"


def draw(kind, shape, rng):
    """A target for predictions of `shape` (N, ..., K): class labels (N, ...), or an array of the same shape."""
    if kind == "labels":
        return rng.integers(0, shape[-1], shape[:-1])
    if kind == "one-hot":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if kind == "bits":
        return rng.integers(0, 2, shape).astype(np.float64)
    return rng.standard_normal(shape)
