"""What a check says: right, or in one sentence what is wrong and what looks like the reason."""

from types import SimpleNamespace

import numpy as np

from tinydni import gradcheck
from tinydni.gradcheck import proportional
from tinydni.gradcheck.gradient_report import table


class Wrong(AssertionError):
    """A check failed.

    what: what is wrong    hint: what looks like the reason, or ""
    values, table: the numbers, in the sentence and in lines below it, which a grade page leaves out
    """

    def __init__(self, what, hint="", values="", table=()):
        self.what, self.hint = what, hint
        super().__init__("\n".join([self.told(values), *table]))

    def told(self, values=""):
        """The sentence, with the numbers or without."""
        return f"{self.what}{f': {values}' if values else ''}. {self.hint}".strip()


def same(name, got, expected, mistakes=None, sizes=None, tolerance=1e-9):
    """Raises Wrong unless a value is what it should be.

    |got - expected| <= tolerance · (|expected| + the largest |expected|)

    name: what it is called, such as "y"    got: what the solution gave    expected: an array or a number
    mistakes: {what someone did: the value that comes of it}, for the hint
    sizes: {what a number is: the number}, such as {"the batch size N": 6}, for a factor that is missing or too much
    """
    expected = np.asarray(expected)
    got = as_numbers(name, got, expected)
    if np.all(np.abs(got - expected) <= tolerance * (np.abs(expected) + np.abs(expected).max(initial=0))):
        return
    differ = ~np.isclose(got, expected, rtol=1e-9, atol=0)
    worst = np.argmax(np.nan_to_num(np.abs(got - expected), nan=np.inf))
    at = tuple(int(i) for i in np.unravel_index(worst, got.shape))
    values = f"got {got[at]:.6g}, expected {expected[at]:.6g}" + (
        f" at {at}; {differ.sum()} of {differ.size} entries differ" if at else "")
    raise Wrong(f"{name} is wrong", hint(name, got, expected, mistakes or {}, sizes or {}), values)


def as_numbers(name, got, expected):
    """What a solution gave, as an array of the expected shape. Raises Wrong if it is none."""
    if got is None:
        raise Wrong(f"{name} is None", "Is there a return missing?")
    if not isinstance(got, (np.ndarray, np.number, int, float)):
        raise Wrong(f"{name} is a {type(got).__name__}", "It should be an array of numbers.")
    got = np.asarray(got)
    if got.dtype.kind not in "fiub":
        raise Wrong(f"{name} is an array of {got.dtype}", "It should hold numbers.")
    if got.dtype == np.float32 and expected.dtype == np.float64:
        raise Wrong(f"{name} is float32, though all that went in is float64", "Look for astype, dtype= or np.float32.")
    if got.shape != expected.shape:
        raise Wrong(f"{name} has shape {got.shape}, expected {expected.shape}", shape_hint(got.shape, expected.shape))
    if not np.isfinite(got).all():
        raise Wrong(f"{name} holds NaN or infinity", "Is there an overflow, a log of zero, or a division by zero?")
    return got


def shape_hint(got, expected):
    if len(got) == 2 and got == expected[::-1]:
        return "Looks transposed."
    if expected == ():
        return "It should be one number: is a mean over the batch missing?"
    if got[1:] == expected and len(got) == len(expected) + 1:
        return "Looks as if it still had the axis of the batch: sum over it, with .sum(axis=0)."
    if got == ():
        return "Looks like a sum or a mean over all axes, where only one is meant."
    return ""


def hint(name, got, expected, mistakes, sizes):
    """The first known mistake that makes just these values; else a flipped sign, a factor, turned axes, or ""."""
    for mistake, value in mistakes.items():
        value = np.asarray(value)
        if value.shape == got.shape and np.allclose(got, value, rtol=1e-6, atol=1e-12):
            return f"Looks like this: {mistake}."
    if not got.any():
        return f"{name} is zero everywhere: is it ever computed?" if got.ndim else f"{name} is zero."
    flat = SimpleNamespace(expected=expected.reshape(-1), smooth=slice(None), indices=np.arange(expected.size))
    return proportional.explain(name, got, flat, [(n, what) for what, n in sizes.items()]) or ""


def right_gradients(thing, *inputs, draw):
    """Raises Wrong unless `tinydni.gradcheck` finds that backward says what forward does.

    thing: a layer, a loss or a synthesizer of the solution    inputs: as `tinydni.gradcheck.check` takes them
    """
    try:
        report = gradcheck.check(thing, *inputs, rng=draw.rng)
    except gradcheck.ContractError as error:
        raise Wrong(str(error).rstrip(".")) from error
    if report.ok:
        return
    if report.problems:
        raise Wrong(report.problems[0].rstrip("."))
    worst = next(array for array in report.arrays if not array.ok)
    what, _, values = worst.message.rstrip(".").partition(": got ")
    what = what.partition(" at (")[0] if values else what
    said, found, _ = worst.diagnosis.partition("There is a kink near the input")       # what follows are values
    raise Wrong(what, said + found, f"got {values}. {worst.diagnosis if found else ''}".strip(" .") if values else "",
                table(worst))
