"""Central differences: the gradient as the output alone tells it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Settings:
    """How closely to look: the step, the number of random directions, and the relative error that passes."""

    step: float = 1e-5
    directions: int = 3
    tolerance: float = 1e-6
    most_entries: int = 2000        # a larger array is compared at this many random entries


@dataclass
class Comparison:
    """A gradient beside its differences, entry by entry.

    indices, got, expected, error, wrong, kink (K,): which entries (flat), the two values, their relative error,
    whether it is too large, and whether the slopes on the two sides disagree
    left, right (K,): those slopes    smallest: the smallest gradient that can be resolved
    """

    indices: np.ndarray
    got: np.ndarray
    expected: np.ndarray
    error: np.ndarray
    wrong: np.ndarray
    kink: np.ndarray
    left: np.ndarray
    right: np.ndarray
    smallest: float

    @property
    def smooth(self):
        return ~self.kink


class Differences:
    """Differences of s(a) = sum(dy · y(a)) with respect to one array a.

    They are taken of y, not of s, so that what does not change cancels before it is summed.

    output: the function y(a)    at: a, in float64    dy: like y
    rounding: how far rounding moves s. A difference divides that by the step, and what is smaller still is no
        gradient that can be told from zero.
    """

    def __init__(self, output, at, dy, rounding, settings):
        self.output, self.at, self.dy, self.settings = output, at, dy, settings
        self.step = settings.step * spread(at)
        self.smallest = 4 * rounding / (2 * self.step) / settings.tolerance

    def relative_error(self, got, expected):
        """|got - expected| / max(|got|, |expected|, smallest)."""
        scale = np.maximum(np.maximum(np.abs(got), np.abs(expected)), self.smallest)
        return np.abs(got - expected) / np.where(scale > 0, scale, 1)

    def directional_error(self, gradient, rng):
        """The worst relative error of <gradient, v> against (s(a + step v) - s(a - step v)) / (2 step), v random."""
        worst = 0.0
        for _ in range(self.settings.directions):
            v = rng.standard_normal(self.at.shape)
            above, below = self.output(self.at + self.step * v), self.output(self.at - self.step * v)
            expected = np.vdot(self.dy, above - below) / (2 * self.step)
            error = self.relative_error(np.vdot(gradient, v), expected)
            worst = max(worst, float(np.nan_to_num(error, nan=np.inf)))
        return worst

    def compare(self, gradient, rng):
        """Compares a gradient entry by entry (at random entries, if there are very many)."""
        most, step = self.settings.most_entries, self.step
        indices = np.arange(self.at.size)
        if self.at.size > most:
            indices = np.sort(rng.choice(self.at.size, most, replace=False))
        y = self.output(self.at)
        left, right, expected = (np.empty(len(indices)) for _ in range(3))
        for k, i in enumerate(indices):
            above, below = self.output(self.moved(i, step)), self.output(self.moved(i, -step))
            left[k] = np.vdot(self.dy, y - below) / step
            right[k] = np.vdot(self.dy, above - y) / step
            expected[k] = np.vdot(self.dy, above - below) / (2 * step)
        got = gradient.reshape(-1)[indices]
        error = self.relative_error(got, expected)
        kink = np.abs(right - left) > 1e-3 * max(np.abs(left).max(), np.abs(right).max(), self.smallest)
        return Comparison(indices, got, expected, error, ~(error <= self.settings.tolerance), kink, left, right,
                          self.smallest)

    def moved(self, i, step):
        """A copy of the array with one entry moved by `step`."""
        copy = self.at.copy()
        copy.reshape(-1)[i] += step
        return copy


def spread(array):
    """How far the entries lie apart, between 0.001 and 1: what varies little often bends fast, as log near zero."""
    size = np.std(array) or np.sqrt(np.mean(array ** 2))
    return np.clip(size, 1e-3, 1.0) if size else 1.0
