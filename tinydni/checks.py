"""Checks that turn a wrong argument into a sentence: its name, what was got, what to do."""

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinydni.backend import Array

__all__ = ["check_array", "check_context", "check_distinct", "check_dtype", "check_features",
           "check_finite", "check_floats", "check_generator", "check_gradient", "check_labels",
           "check_positive_int", "check_range", "check_rows", "check_same_dtype",
           "check_same_shape"]


def check_positive_int(value: Any, name: str, minimum: int = 1) -> int:
    """Return `value` if it is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number; got {value!r} ({type(value).__name__}).")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {value}.")
    return int(value)


def check_range(value: Any, name: str, low: float | None, high: float | None,
                include_low: bool = True, include_high: bool = True) -> float:
    """Return `value` if it is a real number between `low` and `high` (None: no bound)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number; got {value!r} ({type(value).__name__}).")
    number = float(value)       # a NumPy scalar would promote the arrays that it meets
    above = low is None or (number >= low if include_low else number > low)
    below = high is None or (number <= high if include_high else number < high)
    if not (above and below and np.isfinite(number)):
        left = "(-inf" if low is None else f"{'[' if include_low else '('}{low}"
        right = "inf)" if high is None else f"{high}{']' if include_high else ')'}"
        raise ValueError(f"{name} must lie in {left}, {right}; got {value}.")
    return number


def check_generator(rng: Any, name: str = "rng") -> np.random.Generator:
    """Return `rng` if it is a numpy.random.Generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{name} must be a numpy.random.Generator; got {rng!r}. "
                        "Make one with numpy.random.default_rng(seed).")
    return rng


def check_distinct(layers: Iterable[Any], owner: str) -> None:
    """Raise ValueError if a layer stands in two places, where it would forget the first pass."""
    seen: set[int] = set()
    for layer in layers:
        if id(layer) in seen:
            raise ValueError(f"{owner}: {layer!r} stands in two places, but keeps what backward "
                             "needs for one. Make one layer for each.")
        seen.add(id(layer))


def check_dtype(dtype: Any) -> Any:
    """Return `dtype` if it is one of floating-point numbers."""
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"dtype must be float32 or float64, or layers cannot learn; got {dtype!r}.")
    return dtype


def check_array(x: Any, name: str) -> None:
    """Raise TypeError unless `x` is an array."""
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        raise TypeError(f"{name} must be an array; got {type(x).__name__}. Make one, with "
                        f"numpy.asarray({name.split()[-1]}).")


def check_floats(x: Array, owner: str) -> None:
    """Raise TypeError unless `x` is an array of floating-point numbers, with nothing masked."""
    if type(x) is np.ndarray and x.dtype.kind == "f":
        return
    dtype = getattr(x, "dtype", None)
    if dtype is None or dtype.kind != "f" or isinstance(x, np.ma.MaskedArray):
        what = "no array" if dtype is None else f"{type(x).__name__} of {dtype}"
        raise TypeError(f"{owner}: x must be an array of float32 or float64; got {what}. "
                        "Convert it once, with numpy.asarray(x, dtype='float32').")


def check_gradient(dy: Array, shape: tuple[Any, ...], dtype: Any, owner: str) -> None:
    """Raise unless `dy` has the shape and dtype of the output of the last forward pass."""
    if getattr(dy, "shape", None) != shape:
        got = tuple(dy.shape) if hasattr(dy, "shape") else type(dy).__name__
        raise ValueError(f"{owner}.backward: dy must have the shape of the last output, {shape}; "
                         f"got {got}.")
    if dy.dtype != dtype:
        raise TypeError(f"{owner}.backward: dy must have the dtype of the last output, {dtype}; "
                        f"got {dy.dtype}. Convert it, with dy.astype('{dtype}').")


def check_features(x: Array, n: int, dtype: Any, owner: str) -> None:
    """Raise unless `x` is (N, ..., n) with the owner's dtype: the check at a layer's entrance."""
    if type(x) is not np.ndarray:
        check_floats(x, owner)
    if x.shape[-1:] != (n,) or x.ndim < 2:
        raise ValueError(f"{owner}: x must have shape (N, {n}); got {tuple(x.shape)}.")
    if x.dtype != dtype:
        check_floats(x, owner)
        raise TypeError(f"{owner}: x has dtype {x.dtype}, but the parameters are {dtype}. Convert "
                        f"the data once, with x.astype('{dtype}'), or the layer, with "
                        f"layer.to(dtype='{x.dtype}').")


def check_rows(x: Array, n: int, dtype: Any, owner: str) -> None:
    """Raise unless `x` is (N, n) with the owner's dtype."""
    if type(x) is np.ndarray and x.shape[1:] == (n,) and x.dtype == dtype:
        return
    if getattr(x, "ndim", 2) != 2:
        raise ValueError(f"{owner}: x must have shape (N, {n}); got {tuple(x.shape)}.")
    check_features(x, n, dtype, owner)


def check_same_dtype(a: Array, b: Array, name_a: str, name_b: str) -> None:
    """Raise TypeError where two arrays differ in dtype: nothing is promoted in silence."""
    if a.dtype != b.dtype:
        raise TypeError(f"{name_a} has dtype {a.dtype}, but {name_b} has dtype {b.dtype}. "
                        f"Convert one of them, such as {name_b}.astype('{a.dtype}').")


def check_same_shape(a: Array, b: Array, name_a: str, name_b: str, hint: str = "") -> None:
    """Raise ValueError where two arrays differ in shape: nothing is broadcast in silence."""
    if a.shape != b.shape:
        raise ValueError(f"{name_a} has shape {tuple(a.shape)}, but {name_b} has shape "
                         f"{tuple(b.shape)}. {hint}".rstrip())


def check_labels(y: Array, n_classes: int, n: int, name: str = "target") -> None:
    """Raise unless `y` (N,) holds whole numbers from 0 to n_classes - 1, one per example."""
    check_array(y, name)
    if y.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold whole-number class labels; got dtype {y.dtype}.")
    if y.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one label per example; "
                         f"got {tuple(y.shape)}.")
    bad = (y < 0) | (y >= n_classes)
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"{name} must lie in 0 ... {n_classes - 1}; got {y[i]} at index {i}.")


def check_finite(x: Array, name: str) -> None:
    """Raise ValueError if `x` holds NaN or infinity; names the first place."""
    if not np.isfinite(x).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"{name} must be finite; got {x[index]} at index {index}. "
                         "Remove or repair these entries first.")


def check_context(c: Array | None, h: Array, n_context: int, owner: str) -> None:
    """Raise unless a synthesizer's context is (N, n_context) as h, or None where that is 0."""
    if c is not None:
        check_array(c, "context")
    got = None if c is None else tuple(c.shape)
    wanted = (len(h), n_context) if n_context else None
    if got != wanted:
        array = "None" if wanted is None else f"an array of shape {wanted}"
        raise ValueError(f"{owner}: context must be {array}; got {got}. "
                         "n_context at construction says how many columns the context has.")
    if c is not None:
        check_same_dtype(h, c, f"{owner}: h", "context")
