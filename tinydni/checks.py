"""Checks that turn a wrong argument into a sentence: its name, what was got, what to do."""

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinydni.backend import Array

__all__ = ["brief", "check_array", "check_bool", "check_can", "check_context", "check_distinct",
           "check_dtype", "check_features", "check_floats", "check_functions", "check_generator",
           "check_gradient", "check_labels", "check_move", "check_positive_int", "check_range",
           "check_rows", "check_same_dtype", "check_same_shape", "check_sizes", "check_symbols"]

LARGEST = 2**31 - 1         # count or size
ARRAYS = {"": ("", ""), "iu": (" of whole numbers", ", dtype=int"),
          "f": (" of float32 or float64", ", dtype='float32'")}     # what kinds of dtypes are


def brief(value: Any) -> str:
    """Return what was got, in one line that is not long, with its type."""
    return f"{' '.join(repr(value).split())[:200]} ({type(value).__name__})"


def check_positive_int(value: Any, name: str, minimum: int = 1, maximum: int = LARGEST) -> int:
    """Return `value` as an int if it is a whole number from `minimum` to `maximum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number; got {brief(value)}.")
    number = int(value)
    if not minimum <= number <= maximum:
        bound = f"at least {minimum}" if number < minimum else f"at most {maximum}"
        raise ValueError(f"{name} must be {bound}; got {value}.")
    return number


def check_bool(value: Any, name: str) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False; got {brief(value)}.")
    return bool(value)


def check_sizes(values: Any, name: str, least: int = 0) -> list[int]:
    """Return `values` as a list if they are whole numbers above 0, at least `least` of them."""
    row = isinstance(values, Iterable) and getattr(values, "shape", None) != ()
    sizes = list(values) if row else None
    if sizes is None or len(sizes) < least:
        raise ValueError(f"{name} must be {least} or more whole numbers; got {brief(values)}.")
    return [check_positive_int(size, name) for size in sizes]


def check_range(value: Any, name: str, low: float | None, high: float | None,
                include_low: bool = True, include_high: bool = True) -> float:
    """Return `value` if it is a real number between `low` and `high` (None: no bound)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number; got {brief(value)}.")
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
        raise TypeError(f"{name} must be a numpy.random.Generator; got {brief(rng)}. "
                        "Make one with numpy.random.default_rng(seed).")
    return rng


def check_distinct(layers: Iterable[Any], owner: str) -> None:
    """Raise ValueError if a layer stands in two places, where it would forget the first pass."""
    seen: set[int] = set()
    for layer in layers:
        if id(layer) in seen:
            raise ValueError(f"{owner}: {layer!r} stands in two places; make a layer for each.")
        seen.add(id(layer))


def check_can(thing: Any, name: str, what: str, *methods: str, optional: bool = False) -> None:
    """Raise TypeError unless `thing` is an object with these methods, or None if it is optional."""
    able = not isinstance(thing, type) and all(hasattr(thing, method) for method in methods)
    if not (able or (optional and thing is None)):
        raise TypeError(f"{name} must be {what}; got {brief(thing)}.")


def check_functions(optional: bool = True, **functions: Any) -> None:
    """Raise TypeError unless each can be called, or is None if it is optional."""
    for name, function in functions.items():
        if not (callable(function) or (optional and function is None)):
            raise TypeError(f"{name} must be a function; got {brief(function)}.")


def check_dtype(dtype: Any) -> Any:
    """Return `dtype` if it is one of floating-point numbers."""
    try:
        kind = None if dtype is None else np.dtype(dtype).kind
    except (TypeError, ValueError):
        kind = None
    if kind != "f":
        raise TypeError(f"dtype must be float32 or float64, to learn; got {brief(dtype)}.")
    return dtype


def check_move(xp: Any, dtype: Any = None) -> None:
    """Raise TypeError unless each is None, or something that arrays can be moved to."""
    check_can(xp, "xp", "an array module, such as numpy", "asarray", optional=True)
    if dtype is not None:
        check_dtype(dtype)


def check_array(x: Any, name: str, kinds: str = "") -> None:
    """Raise TypeError unless `x` is an array of such a dtype, with nothing masked."""
    dtype = getattr(x, "dtype", None)
    odd = type(x) is not np.ndarray and (not isinstance(dtype, np.dtype) or
                                         isinstance(x, (np.generic, np.ma.MaskedArray)))
    if odd or (kinds and (x.dtype.kind not in kinds or not x.ndim)):
        got = f" of {dtype}" + " ()" * (x.ndim == 0) if isinstance(dtype, np.dtype) else ""
        wanted, how = ARRAYS[kinds]
        raise TypeError(f"{name} must be an array{wanted}; got {type(x).__name__}{got}. Convert "
                        f"it once, with numpy.asarray({name.split()[-1]}{how}).")


def check_floats(x: Array, owner: str, name: str = "x") -> None:
    """Raise TypeError unless `x` is an array of floating-point numbers, with nothing masked."""
    if not (type(x) is np.ndarray and x.dtype.kind == "f" and x.ndim):
        check_array(x, f"{owner}: {name}", "f")


def check_gradient(dy: Array, shape: tuple[Any, ...], dtype: Any, owner: str) -> None:
    """Raise unless `dy` has the shape and dtype of the output of the last forward pass."""
    if type(dy) is np.ndarray and dy.shape == shape and dy.dtype == dtype:
        return
    check_array(dy, f"{owner}.backward: dy")
    if dy.shape != shape:
        raise ValueError(f"{owner}.backward: dy must have the last output's shape, {shape}; got "
                         f"{dy.shape}.")
    if dy.dtype != dtype:
        raise TypeError(f"{owner}.backward: dy must have the last output's dtype, {dtype}; got "
                        f"{dy.dtype}. Convert it, with dy.astype('{dtype}').")


def check_features(x: Array, n: int, dtype: Any, owner: str, most_axes: int = 99) -> None:
    """Raise unless `x` is (N, ..., n) with the owner's dtype (None: any), at a layer's entrance."""
    check_floats(x, owner)
    if x.shape[-1:] != (n,) or not 2 <= x.ndim <= most_axes:
        raise ValueError(f"{owner}: x must have shape (N, {n}); got {x.shape}.")
    if dtype is not None and x.dtype != dtype:
        raise TypeError(f"{owner}: x has dtype {x.dtype}, but the parameters are {dtype}. Convert "
                        f"one: x.astype('{dtype}'), or layer.to(dtype='{x.dtype}').")


def check_rows(x: Array, n: int, dtype: Any, owner: str) -> None:
    """Raise unless `x` is (N, n) with the owner's dtype."""
    if not (type(x) is np.ndarray and x.shape[1:] == (n,) and x.dtype == dtype):
        check_features(x, n, dtype, owner, most_axes=2)


def check_same_dtype(a: Array, b: Array, name_a: str, name_b: str) -> None:
    """Raise TypeError where two arrays differ in dtype: nothing is promoted in silence."""
    check_array(a, name_a)
    check_array(b, name_b)
    if a.dtype != b.dtype:
        raise TypeError(f"{name_a} has dtype {a.dtype}, but {name_b} has dtype {b.dtype}. "
                        f"Convert one of them, such as {name_b}.astype('{a.dtype}').")


def check_same_shape(a: Array, b: Array, name_a: str, name_b: str, hint: str = "") -> None:
    """Raise ValueError where two arrays differ in shape: nothing is broadcast in silence."""
    check_array(a, name_a)
    check_array(b, name_b)
    if a.shape != b.shape:
        said = f"{name_a} has shape {a.shape}, but {name_b} has shape {b.shape}. {hint}"
        raise ValueError(said.rstrip())


def check_symbols(x: Array, n: int, name: str) -> None:
    """Raise unless `x` holds whole numbers from 0 to n - 1; values on a device are not read."""
    check_array(x, name, "iu")
    if isinstance(x, np.ndarray) and (bad := (x < 0) | (x >= n)).any():
        i = int(np.argmax(bad))
        raise ValueError(f"{name} must lie in 0 ... {n - 1}; got {x.flat[i]} at index {i}.")


def check_labels(y: Array, n_classes: int, n: int, name: str = "target") -> None:
    """Raise unless `y` (N,) holds labels from 0 to n_classes - 1, one per example."""
    check_symbols(y, n_classes, name)
    if y.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), a label per example; got {y.shape}.")


def check_context(c: Array | None, h: Array, n_context: int, owner: str) -> None:
    """Raise unless a synthesizer's context is (N, n_context) as h, or None where that is 0."""
    check_floats(h, owner, "h")
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
