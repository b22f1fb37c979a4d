"""Gradients that are right but for a sign, a constant factor, or the order of the axes."""

from itertools import permutations

import numpy as np


def close(a, b):
    """Tells whether two lists of numbers agree as a whole, to a relative 1e-4."""
    return np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(b)


def explain(name, gradient, comparison, sizes):
    """A sentence if a multiple of the gradient, or of its transpose, is what the differences say; else None.

    sizes: (number, what it is) of everything that may be the factor by mistake
    """
    expected = comparison.expected[comparison.smooth]
    if not expected.any():
        return None
    for axes in orders(gradient.shape):
        candidate = gradient.transpose(axes).reshape(-1)[comparison.indices][comparison.smooth]
        factor = candidate @ expected / (expected @ expected)
        if factor == 0 or not close(candidate, factor * expected):
            continue
        turned = axes != tuple(range(gradient.ndim))
        if len(expected) == 1 and not turned and not is_known(abs(factor), sizes):
            continue                    # a single number is always a multiple of another
        found = [sentence for sentence in (said_order(name, axes) if turned else None, said_sign(name, factor),
                                           said_size(name, abs(factor), sizes)) if sentence]
        return " ".join(found) or None
    return None


def orders(shape):
    """All orders of the axes that keep the shape, the given one first."""
    found = permutations(range(len(shape)))
    return [axes for axes in found if tuple(shape[i] for i in axes) == shape]


def said_order(name, axes):
    turned = f"{name}.T" if len(axes) == 2 else f"{name}.transpose{axes}"
    return f"Looks transposed: {turned} has the expected values."


def said_sign(name, factor):
    return f"Looks like the sign is flipped: {name} is minus what it should be." if factor < 0 else None


def said_size(name, factor, sizes):
    if np.isclose(factor, 1, rtol=1e-4):
        return None
    large = factor > 1
    number = factor if large else 1 / factor
    said = f"{name} is {number:.6g} times too {'large' if large else 'small'} everywhere"
    meanings = [what for n, what in sizes if np.isclose(number, n, rtol=1e-4)]
    if not meanings:
        return f"{said}: looks like a constant factor that is {'too much' if large else 'missing'}."
    if "the batch size N" in meanings:
        reason = "a missing 1/N" if large else "a 1/N too much (a mean over the batch where a sum belongs)"
    else:
        reason = "a factor too much" if large else "a missing factor (a mean where a sum belongs)"
    return f"{said}, and {number:.6g} is {' and '.join(meanings[:2])}: looks like {reason}."


def is_known(factor, sizes):
    return any(np.isclose(max(factor, 1 / factor), n, rtol=1e-4) for n in [1, 2, *(n for n, _ in sizes)])
