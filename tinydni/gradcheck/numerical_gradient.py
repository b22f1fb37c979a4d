"""The numerical gradient: central differences, with what is known about their own error."""

from dataclasses import dataclass

import numpy as np

ORDER = RIGHT, UNSURE, WRONG = "", "CANNOT TELL", "WRONG"
WORK = 10 ** 7          # numbers that may be touched while entries are compared one by one


@dataclass(frozen=True)
class Settings:
    """How closely to look.

    Parameters
    ----------
    step : float, optional
        The step of the differences, as a share of the spread of the array. By default it starts at
        1e-5 and is fitted where the function is too steep or rounding too large for that.
    directions : int
        How many random directions to try for each array.
    tolerance : float
        The relative error that passes.
    most_entries : int
        A larger array is compared at this many random entries.
    """

    step: float | None = None
    directions: int = 3
    tolerance: float = 1e-6
    most_entries: int = 2000


@dataclass
class Entries:
    """An analytic gradient beside the numerical one, at some entries.

    indices, analytic, numerical, error (K,): which entries (flat), the two values, and their
    relative error    wrong, kink (K,): is it too large, and do the slopes on both sides disagree
    left, right (K,): those slopes    smallest: the smallest gradient that can be resolved
    """

    indices: np.ndarray
    analytic: np.ndarray
    numerical: np.ndarray
    error: np.ndarray
    wrong: np.ndarray
    kink: np.ndarray
    left: np.ndarray
    right: np.ndarray
    smallest: float

    @property
    def smooth(self):
        """Where there is no kink."""
        return ~self.kink

    @property
    def expected(self):
        """The numerical gradient, which is what the analytic one should be."""
        return self.numerical


class NumericalGradient:
    """Differences of s(a) = sum(dy · y(a)) with respect to one array a.

    They are taken of y, not of s, so that what does not change cancels before it is summed.

    output: the function y(a)    at: a, in float64    dy: like y
    rounding: how far rounding moves s; a difference divides that by the step
    work: how many numbers one call of `output` touches
    """

    def __init__(self, output, at, dy, rounding, settings, work=1):
        self.output, self.at, self.dy, self.settings = output, at, dy, settings
        self.rounding, self.tolerance = rounding, settings.tolerance
        self.spread, self.fitted = spread(at), False
        self.step = (settings.step or 1e-5) * self.spread
        self.n_entries = min(at.size, settings.most_entries, max(20, WORK // max(work, 1)))
        self.y = output(at)
        varies = np.std(self.y) if self.y.size > 1 else np.abs(self.y).sum()
        self.natural = np.linalg.norm(dy) * varies / self.spread    # a gradient of usual size

    def noise(self, step=None):
        """Return how far rounding may move a difference quotient."""
        return 2 * self.rounding / (step or self.step)

    def relative_error(self, analytic, numerical, uncertainty):
        """Return |analytic - numerical| / the larger one, or what can be resolved if that is more.

        It is above the tolerance where the two differ by more than the uncertainty.
        """
        scale = np.maximum(np.abs(analytic), np.abs(numerical))
        scale = np.maximum(scale, uncertainty / self.tolerance)
        return np.abs(analytic - numerical) / np.where(scale > 0, scale, 1)

    def verdict(self, analytic, numerical, uncertainty):
        """Tell RIGHT, WRONG or UNSURE."""
        difference, scale = abs(analytic - numerical), max(abs(analytic), abs(numerical))
        if difference <= self.tolerance * scale or scale * self.spread <= 10 * self.rounding:
            return RIGHT
        if difference <= uncertainty and uncertainty <= 1e-3 * max(scale, self.natural):
            return RIGHT
        return WRONG if difference > 3 * uncertainty else UNSURE

    # along a direction

    def quotient(self, v, step):
        """Return (s(a + step v) - s(a - step v)) / (2 step)."""
        change = self.output(self.at + step * v) - self.output(self.at - step * v)
        return float(np.vdot(self.dy, change) / (2 * step))

    def most_certain(self, v, steps):
        """Return (uncertainty, slope along v, step) for the best of these steps, which shrink."""
        values = [self.quotient(v, step) for step in steps]
        found = [(abs(after - before) / 8 + self.noise(step), after, step)
                 for before, after, step in zip(values, values[1:], steps[1:], strict=False)]
        return min(found, key=lambda each: np.nan_to_num(each[0], nan=np.inf))

    def measure(self, v, analytic):
        """Return (slope along v, its uncertainty), at more steps where the first does not decide.

        Steps fit a function that is steep (small ones) or far from zero (large ones).
        """
        value = self.quotient(v, self.step)
        if self.settings.step or self.relative_error(analytic, value, 0) <= self.tolerance:
            return value, self.noise()
        self.fitted = True
        uncertainty, value, _ = self.most_certain(v, (5 * self.step, self.step))
        if (self.verdict(analytic, value, uncertainty) != RIGHT
                and not abs(analytic - value) > 100 * uncertainty):
            steps = self.spread / 4 * 5.0 ** -np.arange(19)
            uncertainty, value, self.step = self.most_certain(v, steps)
        return value, uncertainty

    def along_directions(self, gradient, rng):
        """Compare along random directions: (verdict, relative error, analytic, numerical, +-)."""
        worst = RIGHT, 0.0, 0.0, 0.0, 0.0
        for _ in range(self.settings.directions):
            v = rng.standard_normal(self.at.shape)
            analytic = float(np.vdot(gradient, v))
            value, uncertainty = self.measure(v, analytic)
            verdict = self.verdict(analytic, value, uncertainty)
            error = float(self.relative_error(analytic, value, uncertainty))
            worst = max(worst, (verdict, np.nan_to_num(error, nan=np.inf), analytic, value,
                                uncertainty), key=lambda each: (ORDER.index(each[0]), each[1]))
            if verdict == WRONG:
                break
        return worst

    # entry by entry

    def compare(self, gradient, rng):
        """Compare a gradient entry by entry: at random ones and a wrong one, if there are many."""
        indices = np.arange(self.at.size)
        if self.n_entries < self.at.size:
            indices = rng.choice(self.at.size, self.n_entries, replace=False)
            found = self.compare_at(np.sort(indices), gradient)
            if found.wrong.any():
                return found
            indices = np.append(indices, self.find_wrong(gradient, rng))
        return self.compare_at(np.unique(indices), gradient)

    def find_wrong(self, gradient, rng):
        """Find a wrong entry by halving: which half of the entries disagrees?"""
        v, indices = rng.standard_normal(self.at.shape), np.arange(self.at.size)
        while len(indices) > 1:
            half, part = indices[:len(indices) // 2], np.zeros_like(v)
            part.flat[half] = v.flat[half]
            value = self.quotient(part, self.step)
            right = self.relative_error(np.vdot(gradient, part), value, self.noise())
            indices = indices[len(half):] if right <= self.tolerance else half
        return indices

    def compare_at(self, indices, gradient):
        """Compare these entries, at smaller steps, too, where the slopes on both sides differ."""
        analytic, n = gradient.reshape(-1)[indices], len(indices)
        left, right, kink = np.empty(n), np.empty(n), np.zeros(n, bool)
        for k, i in enumerate(indices):
            left[k], right[k] = self.slopes(i, self.step)
        numerical, noise = (left + right) / 2, np.full(n, self.noise())
        error = self.relative_error(analytic, numerical, noise)
        for k in np.flatnonzero(~(error <= self.tolerance) & self.bent(left, right)):
            unit = np.zeros_like(self.at)
            unit.flat[indices[k]] = 1
            noise[k], numerical[k], _ = self.most_certain(unit, self.step / 5.0 ** np.arange(7))
            if not self.settings.step:
                error[k] = self.relative_error(analytic[k], numerical[k], 3 * noise[k])
            near = self.slopes(indices[k], self.step / 125)
            kink[k] = self.bent(*near, 125) and abs(near[1] - near[0]) > abs(right[k] - left[k]) / 3
        return Entries(indices, analytic, numerical, error, ~(error <= self.tolerance), kink, left,
                       right, self.noise() / self.tolerance)

    def slopes(self, i, step):
        """Return the one-sided slopes, left and right, at one entry."""
        there = self.at.copy()
        there.flat[i] += step
        above = self.output(there)
        there.flat[i] = self.at.flat[i] - step
        below = self.output(there)
        return (float(np.vdot(self.dy, self.y - below)) / step,
                float(np.vdot(self.dy, above - self.y)) / step)

    def bent(self, left, right, finer=1):
        """Tell whether the slopes on both sides differ by more than rounding and one in 1000."""
        size = np.maximum(np.abs(left), np.abs(right))
        return ~(np.abs(right - left) <= 1e-3 * np.maximum(
            size, finer * self.noise() / self.tolerance))


def spread(array):
    """How far the entries lie apart, from 0.001 to 1: what varies little often bends fast."""
    size = np.std(array) or np.sqrt(np.mean(array ** 2))
    return np.clip(size, 1e-3, 1.0) if size else 1.0
