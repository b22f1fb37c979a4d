"""The numerical gradient: central differences, with what is known about their own error."""

from dataclasses import dataclass

import numpy as np

from tinydni import checks

ORDER = RIGHT, UNSURE, WRONG = "", "CANNOT TELL", "WRONG"
WORK = 10 ** 7          # numbers that may be touched while entries are compared one by one


@dataclass(frozen=True)
class Settings:
    """How closely to look.

    Parameters
    ----------
    step : of the differences, as a share of the spread of the array; by default 1e-5, and fitted
        where the function is too steep or rounding too large for that
    directions : how many random ones to try for each array
    tolerance : the relative error that passes
    most_entries : a larger array is compared at this many random entries
    """

    step: float | None = None
    directions: int = 3
    tolerance: float = 1e-6
    most_entries: int = 2000

    def __post_init__(self) -> None:
        if self.step is not None:
            checks.check_range(self.step, "step", 0, None, include_low=False)
        checks.check_positive_int(self.directions, "directions")
        checks.check_range(self.tolerance, "tolerance", 0, None, include_low=False)
        checks.check_positive_int(self.most_entries, "most_entries")


@dataclass
class Entries:
    """The analytic gradient (got) beside the numerical one (expected), at K entries.

    indices, got, expected, error (K,): which entries (flat), both values, their relative error
    wrong, smooth (K,): is the error too large, do the slopes left and right (K,) agree
    noise: how far rounding may move what is expected
    """

    indices: np.ndarray
    got: np.ndarray
    expected: np.ndarray
    error: np.ndarray
    wrong: np.ndarray
    smooth: np.ndarray
    left: np.ndarray
    right: np.ndarray
    noise: float


class NumericalGradient:
    """Differences of s(a) = sum(dy · y(a)) with respect to one array a.

    They are taken of y, not of s, so that what does not change cancels before it is summed.

    output: the function y(a)    at: a, in float64    dy: like y
    rounding: how far rounding moves s; a difference divides that by the step
    work: how many numbers one call of `output` touches
    """

    def __init__(self, output, at, dy, rounding, settings, work=1):
        self.output, self.at, self.dy, self.settings = output, at, dy, settings
        self.rounding, self.tolerance, self.fitted = rounding, settings.tolerance, False
        size = np.std(at) or np.sqrt(np.mean(at ** 2))
        self.spread = np.clip(size, 1e-3, 1.0) if size else 1.0     # what varies little bends fast
        self.step = (settings.step or 1e-5) * self.spread
        self.n_entries = min(at.size, settings.most_entries, max(20, WORK // max(work, 1)))
        self.y = output(at)
        varies = np.std(self.y) if self.y.size > 1 else np.abs(self.y).sum()
        self.natural = np.linalg.norm(dy) * varies / self.spread    # a gradient of usual size

    def noise(self, step=None):
        """Return how far rounding may move a difference quotient."""
        return 2 * self.rounding / (step or self.step)

    def relative_error(self, got, expected, uncertainty):
        """Return |got - expected| / the larger one, or what can be resolved if that is more.

        It is above the tolerance where the two differ by more than the uncertainty.
        """
        scale = np.maximum(np.abs(got), np.abs(expected))
        scale = np.maximum(scale, uncertainty / self.tolerance)
        return np.abs(got - expected) / np.where(scale > 0, scale, 1)

    def verdict(self, got, expected, uncertainty):
        """Return RIGHT, WRONG or UNSURE."""
        difference, scale = abs(got - expected), max(abs(got), abs(expected))
        if not np.isfinite(expected):   # the function is not defined that far
            return UNSURE
        if difference <= self.tolerance * scale or scale * self.spread <= 10 * self.rounding:
            return RIGHT
        if difference <= uncertainty <= 1e-3 * max(scale, self.natural):
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
        return min(found, key=lambda each: np.nan_to_num(
            each[0] / max(abs(each[1]), self.natural, 1e-300), nan=np.inf))

    def measure(self, v, got):
        """Return (slope along v, its uncertainty), at more steps where the first does not decide.

        Small ones fit a function that is steep, large ones a function that is far from zero.
        """
        value = self.quotient(v, self.step)
        if self.settings.step or self.relative_error(got, value, 0) <= self.tolerance:
            return value, self.noise()
        self.fitted = True
        uncertainty, value, _ = self.most_certain(v, (5 * self.step, self.step))
        uncertainty += abs(self.quotient(v, self.step / 100) - value) / 8   # it may bend between
        if (self.verdict(got, value, uncertainty) != RIGHT
                and not abs(got - value) > 100 * uncertainty):
            steps = self.spread / 4 * 5.0 ** -np.arange(19)
            uncertainty, value, self.step = self.most_certain(v, steps)
        return value, uncertainty

    def along_directions(self, gradient, rng):
        """Return the worst of (verdict, relative error, got, expected, uncertainty)."""
        worst = RIGHT, 0.0, 0.0, 0.0, 0.0
        for _ in range(self.settings.directions):
            v = rng.standard_normal(self.at.shape)
            got = float(np.vdot(gradient, v))
            value, uncertainty = self.measure(v, got)
            error = np.nan_to_num(self.relative_error(got, value, uncertainty), nan=np.inf)
            found = self.verdict(got, value, uncertainty), float(error), got, value, uncertainty
            worst = max(worst, found, key=lambda each: (ORDER.index(each[0]), each[1]))
            if worst[0] == WRONG:
                break
        return worst

    # entry by entry

    def compare(self, gradient, rng):
        """Compare entry by entry; if there are many, at random ones, or at a wrong one."""
        indices = np.arange(self.at.size)
        if self.n_entries < self.at.size:
            indices = np.sort(rng.choice(self.at.size, self.n_entries, replace=False))
            found = self.compare_at(indices, gradient)
            if found.wrong.any():
                return found
            indices = np.union1d(indices, self.find_wrong(gradient, rng))
        return self.compare_at(indices, gradient)

    def find_wrong(self, gradient, rng):
        """Find a wrong entry by halving: keep the half of the entries that disagrees."""
        v, indices = rng.standard_normal(self.at.shape), np.arange(self.at.size)
        while len(indices) > 1:
            half, part = indices[:len(indices) // 2], np.zeros_like(v)
            part.flat[half] = v.flat[half]
            value = self.quotient(part, self.step)
            error = self.relative_error(np.vdot(gradient, part), value, self.noise())
            indices = indices[len(half):] if error <= self.tolerance else half
        return indices

    def compare_at(self, indices, gradient):
        """Compare these entries, at smaller steps, too, where the slopes on both sides differ."""
        got = gradient.reshape(-1)[indices]
        left, right = np.array([self.slopes(i, self.step) for i in indices]).T
        expected, smooth = (left + right) / 2, np.ones(len(indices), bool)
        error = self.relative_error(got, expected, self.noise())
        for k in np.flatnonzero(~(error <= self.tolerance) & self.bent(left, right)):
            unit = np.zeros_like(self.at)
            unit.flat[indices[k]] = 1
            noise, expected[k], _ = self.most_certain(unit, self.step / 5.0 ** np.arange(-2, 7))
            if not self.settings.step:
                error[k] = self.relative_error(got[k], expected[k], 3 * noise)
            near = self.slopes(indices[k], self.step / 125)
            smooth[k] = not (self.bent(*near, 125)      # a curve would look straight by now
                             and abs(near[1] - near[0]) > abs(right[k] - left[k]) / 3)
        return Entries(indices, got, expected, error, ~(error <= self.tolerance), smooth, left,
                       right, self.noise())

    def slopes(self, i, step):
        """Return the one-sided slopes, left and right, at one entry."""
        found, there = [], self.at.copy()
        for moved in (-step, step):
            there.flat[i] = self.at.flat[i] + moved
            found.append(float(np.vdot(self.dy, self.output(there) - self.y)) / moved)
        return found

    def bent(self, left, right, finer=1):
        """Tell whether the slopes on both sides differ by more than rounding and one in 1000."""
        size = np.maximum(np.abs(left), np.abs(right))
        size = np.maximum(size, finer * self.noise() / self.tolerance)
        return ~(np.abs(right - left) <= 1e-3 * size)
