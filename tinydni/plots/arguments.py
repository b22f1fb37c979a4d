"""Checks of what a picture is drawn from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinydni.checks import brief


def check_named(things: Any, name: str, what: str) -> None:
    """Raise unless `things` is a dictionary of what is drawn by its label, and not empty."""
    if not isinstance(things, Mapping):
        raise TypeError(f"{name} must be a dictionary {{label: {what}}}; got {brief(things)}.")
    if not things:
        raise ValueError(f"{name} is empty; name at least one {what} to draw.")


def as_numbers(value: Any, name: str) -> np.ndarray:
    """Return real numbers, in an array or in lists, as an array."""
    try:
        array = np.asarray(value)
    except ValueError:                      # lists of different lengths
        array = None
    if array is None or array.dtype.kind not in "fiub" or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array of numbers; got {brief(value)}.")
    return array


def as_names(names: Any, name: str, n: int) -> list[str]:
    """Return n names as a list."""
    try:
        found = list(map(str, names))
    except TypeError:
        found = []
    if len(found) != n:
        raise ValueError(f"{name} must be {n} name{'s' * (n != 1)}; got {brief(names)}.")
    return found


def as_samples(reference: Any, before: Any, after: Any) -> list[np.ndarray]:
    """Return three samples of cells as arrays of floats, (M, D), (N, D) and (N, D)."""
    samples = []
    for name, cells in (("reference", reference), ("before", before), ("after", after)):
        array = as_numbers(cells, name).astype(float)
        if array.ndim != 2 or len(array) < 2 or not array.size or not np.isfinite(array).all():
            raise ValueError(f"{name} must hold finite numbers, two or more rows (cells) by "
                             f"columns; got {brief(array)} of shape {array.shape}.")
        samples.append(array)
    if len({cells.shape[1] for cells in samples}) > 1:
        raise ValueError("reference, before and after must have the same columns; got shapes "
                         f"{[cells.shape for cells in samples]}.")
    return samples
