"""Small checks that turn a wrong argument into a sentence: what it is called, what was got, what to do."""

import numbers

import numpy as np


def positive_int(value, name, minimum=1):
    """Raises unless `value` is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number; got {value!r} ({type(value).__name__}).")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {value}.")
    return int(value)


def in_range(value, name, low, high, include_low=True, include_high=True):
    """Raises unless `value` is a real number between `low` and `high` (None: no bound)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number; got {value!r} ({type(value).__name__}).")
    above = low is None or (value >= low if include_low else value > low)
    below = high is None or (value <= high if include_high else value < high)
    if not (above and below and np.isfinite(value)):
        left = "(-inf" if low is None else f"{'[' if include_low else '('}{low}"
        right = "inf)" if high is None else f"{high}{']' if include_high else ')'}"
        raise ValueError(f"{name} must lie in {left}, {right}; got {value}.")
    return float(value)         # a NumPy scalar would promote the arrays that it meets


def function(value, name, example):
    """Raises unless `value` can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function that makes one, such as {example}; got {value!r}.")


def distinct(layers, owner):
    """Raises if one layer stands in two places: its second forward pass would overwrite what the first one kept."""
    seen = set()
    for layer in layers:
        if id(layer) in seen:
            raise ValueError(f"{owner}: {layer!r} stands in two places, but keeps what backward needs for one. "
                             "Make one layer for each.")
        seen.add(id(layer))


def generator(rng, name="rng"):
    """Raises unless `rng` is a numpy.random.Generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{name} must be a numpy.random.Generator; got {rng!r}. "
                        "Make one with numpy.random.default_rng(seed).")
    return rng


def features(x, n, dtype, owner):
    """Raises unless `x` is (N, ..., n) with the owner's dtype: the check at the entrance of a layer."""
    if x.shape[-1:] != (n,) or x.ndim < 2:
        raise ValueError(f"{owner}: x must have shape (N, {n}); got {tuple(x.shape)}.")
    if x.dtype != dtype:
        or_the_layer = f", or the layer, with layer.to(dtype='{x.dtype}')" if x.dtype.kind == "f" else ""
        raise TypeError(f"{owner}: x has dtype {x.dtype}, but the parameters are {dtype}. "
                        f"Convert the data once, with x.astype('{dtype}'){or_the_layer}.")


def rows(x, n, dtype, owner):
    """Raises unless `x` is (N, n) with the owner's dtype, where more axes would go wrong later."""
    if x.ndim != 2:
        raise ValueError(f"{owner}: x must have shape (N, {n}); got {tuple(x.shape)}.")
    features(x, n, dtype, owner)


def same_dtype(a, b, name_a, name_b):
    """Raises unless two arrays have the same dtype, so that nothing is promoted in silence."""
    if a.dtype != b.dtype:
        raise TypeError(f"{name_a} has dtype {a.dtype}, but {name_b} has dtype {b.dtype}. Convert one of them, "
                        f"such as {name_b}.astype('{a.dtype}').")


def same_shape(a, b, name_a, name_b, hint=""):
    """Raises unless two arrays have the same shape."""
    if a.shape != b.shape:
        raise ValueError(f"{name_a} has shape {tuple(a.shape)}, but {name_b} has shape {tuple(b.shape)}. {hint}".rstrip())


def labels(y, n_classes, n, name="target"):
    """Raises unless `y` (N,) holds whole numbers from 0 to n_classes - 1, one per example."""
    if y.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold whole-number class labels; got dtype {y.dtype}.")
    if y.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one label per example; got {tuple(y.shape)}.")
    bad = (y < 0) | (y >= n_classes)
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"{name} must lie in 0 ... {n_classes - 1}; got {y[i]} at index {i}.")


def finite(x, name):
    """Raises if `x` holds NaN or infinity; names the first place."""
    if not np.isfinite(x).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"{name} must be finite; got {x[index]} at index {index}. Remove or repair these entries first.")


def context(c, h, n_context, owner):
    """Raises unless the context of a synthesizer is (N, n_context) with the dtype of h, or None where n_context is 0."""
    got = None if c is None else tuple(c.shape)
    wanted = (len(h), n_context) if n_context else None
    if got != wanted:
        raise ValueError(f"{owner}: context must be {'None' if wanted is None else f'an array of shape {wanted}'}; got {got}. "
                         "n_context at construction says how many columns the context has.")
    if c is not None:
        same_dtype(h, c, f"{owner}: h", "context")
