"""Gradients that are right but for a sign, a constant factor, or the order of the axes."""

from itertools import permutations

import numpy as np


def close(a, b):
    """Tell whether two arrays of numbers agree as a whole, to a relative 1e-4."""
    return np.linalg.norm(np.ravel(a) - np.ravel(b)) <= 1e-4 * np.linalg.norm(b)


def explain(name, gradient, found, sizes):
    """Say how the gradient, or its transpose, is a multiple of what is expected; else None.

    found: has indices, smooth and expected, as `Entries`
    sizes: (number, what it is) of everything that may be the factor by mistake
    """
    expected = found.expected[found.smooth]
    if not expected.any():
        return None
    for axes in permutations(range(gradient.ndim)):         # the given order comes first
        if tuple(gradient.shape[i] for i in axes) != gradient.shape:
            continue
        candidate = gradient.transpose(axes).reshape(-1)[found.indices][found.smooth]
        factor = candidate @ expected / (expected @ expected)
        if factor == 0 or not close(candidate, factor * expected):
            continue
        turned = axes != tuple(range(gradient.ndim))
        known = [1, 2, *(n for n, _ in sizes)]
        if len(expected) == 1 and not turned and not any(
                np.isclose(max(abs(factor), 1 / abs(factor)), n, rtol=1e-4) for n in known):
            continue                    # a single number is always a multiple of another
        said = []
        if turned:
            how = f"{name}.T" if len(axes) == 2 else f"{name}.transpose{axes}"
            said.append(f"Looks transposed: {how} has the expected values.")
        if factor < 0:
            said.append(f"Looks like the sign is flipped: {name} is minus what it should be.")
        if not np.isclose(abs(factor), 1, rtol=1e-4):
            said.append(said_factor(name, abs(factor), sizes))
        return " ".join(said) or None
    return None


def said_factor(name, factor, sizes):
    """Say what the factor may be."""
    large, number = factor > 1, max(factor, 1 / factor)
    said = f"{name} is {number:.6g} times too {'large' if large else 'small'} everywhere"
    meanings = [what for n, what in sizes if np.isclose(number, n, rtol=1e-4)]
    if not meanings:
        return f"{said}: looks like a constant factor that is {'too much' if large else 'missing'}."
    if "the batch size N" in meanings:
        reason = ("a missing 1/N" if large else
                  "a 1/N too much (a mean over the batch where a sum belongs)")
    else:
        reason = "a factor too much" if large else "a missing factor (a mean where a sum belongs)"
    return f"{said}, and {number:.6g} is {' and '.join(meanings[:2])}: looks like {reason}."
