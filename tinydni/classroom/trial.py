"""One run of one check: it draws values, asks the solution and the reference, and compares."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import numpy as np

PUBLIC = "tinydni"              # the seed of the checks that students run
TOLERANCE = 1e-11               # of the largest entry; a gradient by differences misses it
MEANING = {"N": "the batch size N", "M": "M", "D": "the number of inputs D", "T": "the steps T",
           "H": "the number of features H", "K": "the number of classes K"}


class Wrong(AssertionError):
    """A value is not what it should be.

    name: of the value    what: what is wrong    hint: what looks like the reason, or ""
    values: numbers and shapes, which a student's page leaves out
    got: the value, or a word for its kind    guesses: what may be the reason, by the value alone
    """

    def __init__(self, name: str, what: str, hint: str = "", values: str = "",
                 got: Any = None, guesses: set[str] | None = None):
        self.name, self.what, self.hint, self.values = name, what, hint, values
        self.got, self.guesses = got, guesses or set()
        super().__init__(self.told(values))

    def told(self, values: str = "") -> str:
        """Return the sentence, with the numbers or without."""
        return f"{self.what}{f': {values}' if values else ''}. {self.hint}".strip()

    def alike(self, other: Wrong) -> bool:
        """Whether the same value is wrong in the same way."""
        if self.name != other.name or self.what != other.what:
            return False
        if not isinstance(self.got, np.ndarray) or not isinstance(other.got, np.ndarray):
            return bool(self.got is other.got or np.array_equal(self.got, other.got))
        return equal(self.got, other.got, 1e-9)


class Trial:
    """Shapes and values for one run of a check, the same for the same secret, check and round.

    Arrays are float64 and cannot be written to, but for `weights`: of these the solution and the
    reference get a copy each. An array that is given twice is the same array both times.
    """

    def __init__(self, secret: str, check: str, round: int = 0):
        digest = hashlib.sha256(f"{secret}\n{check}\n{round}".encode()).digest()
        self.rng = np.random.default_rng(int.from_bytes(digest, "big"))
        self.letters: dict[str, int] = {}
        self.copies: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    # draws

    def size(self, letter: str, low: int = 3, high: int = 8) -> int:
        """Return a whole number from low to high, and keep it under its letter for the hints."""
        self.letters[letter] = int(self.rng.integers(low, high + 1))
        return self.letters[letter]

    def sizes(self, letters: str, low: int = 3, high: int = 8) -> list[int]:
        """Return different sizes for "N D M": with equal ones a transposed array would fit."""
        found = dict(zip(letters.split(), (low + self.rng.permutation(high - low + 1)).tolist()))
        self.letters.update(found)
        return list(found.values())

    def number(self, low: float, high: float) -> float:
        """Return a number between low and high."""
        return float(self.rng.uniform(low, high))

    def normal(self, *shape: int) -> np.ndarray:
        """Return values from the standard normal distribution."""
        return fixed(self.rng.standard_normal(shape))

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Return values between low and high."""
        return fixed(self.rng.uniform(low, high, shape))

    def labels(self, N: int, K: int) -> np.ndarray:
        """Return N labels from 0 to K - 1."""
        return fixed(self.rng.integers(0, K, N))

    def weights(self, *shapes: tuple[int, ...]) -> list[np.ndarray]:
        """Return an array of each shape, as from `normal`, that may be written to."""
        return [self.normal(*shape).copy() for shape in shapes]

    def one_hot(self, N: int, K: int) -> np.ndarray:
        """Return N labels as rows with a single one."""
        return fixed(np.eye(K)[self.rng.integers(0, K, N)])

    # comparisons

    def given(self, value: Any, side: int) -> Any:
        """Return an argument as the solution (0) or the reference (1) is to get it."""
        if isinstance(value, Both):
            return (value.mine, value.own)[side]
        if isinstance(value, tuple):
            return tuple(self.given(each, side) for each in value)
        if isinstance(value, np.ndarray) and value.flags.writeable:
            return self.copies.setdefault(id(value), (value, value.copy()))[side]
        return value

    def same(self, name: str, got: Any, expected: Any, hint: str = "") -> None:
        """Raise Wrong unless |got - expected| is at most TOLERANCE of the largest |expected|.

        hint: what to say where no reason is found
        """
        expected = np.asarray(expected)
        got = as_numbers(name, got, expected)
        if equal(got, expected):
            return
        worst = np.argmax(np.abs(got - expected))
        at = tuple(int(i) for i in np.unravel_index(worst, got.shape))
        place = f" at {at}" if at else ""
        raise Wrong(name, f"{name} is wrong", hint, got=got,
                    values=f"got {got[at]:.6g}, expected {expected[at]:.6g}{place}",
                    guesses=guesses(got, expected, self.letters))

    def parts(self, names: str, got: Any, expected: Any) -> None:
        """Compare what a call returns: one value, or the sequence of several, such as "dx, h"."""
        words = names.split(", ")
        if len(words) == 1:
            return self.same(names, got, expected)
        if not isinstance(got, (tuple, list)) or len(got) != len(words):
            raise Wrong(names, f"{len(words)} arrays should be returned, {' and '.join(words)}",
                        got=type(got).__name__)
        for name, mine, own in zip(words, got, expected):
            self.same(name, mine, own)


class Both:
    """A thing of the solution (`mine`) and that of the reference (`own`), asked the same.

    The task itself is one: its names are those that a check may use.
    """

    def __init__(self, trial: Trial, mine: Any, own: Any):
        self.trial, self.mine, self.own = trial, mine, own

    def run(self, method: str, *arguments: Any) -> tuple[Any, Any]:
        """Call a method of both, and return what each gives. Nothing is compared."""
        mine, own = (self.trial.given(arguments, k) for k in (0, 1))
        return getattr(self.mine, method)(*mine), getattr(self.own, method)(*own)

    def make(self, name: str, *arguments: Any) -> Both:
        """Return what a name makes of the arguments, for both."""
        return Both(self.trial, *self.run(name, *arguments))

    def same(self, names: str, method: str, *arguments: Any) -> None:
        """Call a method of both and compare what is returned."""
        self.trial.parts(names, *self.run(method, *arguments))

    def set(self, **values: np.ndarray) -> None:
        """Set attributes of both."""
        for name, value in values.items():
            setattr(self.mine, name, self.trial.given(value, 0))
            setattr(self.own, name, self.trial.given(value, 1))

    def attributes(self, names: str, of: str = "", hint: str = "") -> None:
        """Compare attributes, such as "dW db". of: whose they are, for the sentence"""
        for name in names.split():
            self.trial.same(f"{name}{f' of {of}' if of else ''}", getattr(self.mine, name),
                            getattr(self.own, name), hint)


def fixed(array: np.ndarray) -> np.ndarray:
    """Close an array for writing."""
    array.setflags(write=False)
    return array


def equal(a: np.ndarray, b: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    """Whether two arrays are the same up to rounding."""
    if a.shape != b.shape:
        return False
    largest = np.abs(b).max(initial=0)
    with np.errstate(all="ignore"):
        return bool(np.all(np.abs(a - b) <= tolerance * largest))


def as_numbers(name: str, got: Any, expected: np.ndarray) -> np.ndarray:
    """Return what a solution gave as an array of the expected shape. Raise Wrong if it is none."""
    if got is None:
        raise Wrong(name, f"{name} is None", "Is there a return missing?", got="None")
    if isinstance(got, (bool, int, float)):
        got = np.asarray(got)
    if not isinstance(got, (np.ndarray, np.number)):
        raise Wrong(name, f"{name} is no array of numbers", got=type(got).__name__)
    got = np.asarray(got)
    if got.dtype.kind == "f" and got.dtype.itemsize < 8 and expected.dtype == np.float64:
        raise Wrong(name, f"{name} is {got.dtype}, though all that went in is float64",
                    "Look for astype, dtype= or np.float32.", got=got)
    if got.shape != expected.shape:
        raise Wrong(name, f"{name} has the wrong shape", shape_hint(got.shape, expected.shape),
                    f"got {got.shape}, expected {expected.shape}", got=got)
    if not np.isfinite(got).all():
        raise Wrong(name, f"{name} holds NaN or infinity",
                    "Is there an overflow, a log of zero, or a division by zero?", got="NaN")
    return got.astype(expected.dtype) if got.dtype.kind in "bu" else got


def shape_hint(got: tuple, expected: tuple) -> str:
    """Return what a wrong shape tells."""
    if len(got) == 2 and got == expected[::-1]:
        return "Looks transposed."
    if expected == ():
        return "It should be one number: is a mean over the batch missing?"
    if got[1:] == expected:
        return "Looks as if it still had the axis of the batch: sum over it, with .sum(axis=0)."
    if got == ():
        return "Looks like a sum or a mean over all axes, where only one is meant."
    if got == (expected[0], 1) or got == (1, *expected):
        return "Looks as if keepdims=True left an axis too many."
    return ""


def guesses(got: np.ndarray, expected: np.ndarray, letters: dict[str, int]) -> set[str]:
    """Return what would explain a value by itself; a reason has to hold for every draw."""
    if not got.any():
        return {"It is zero: is it ever computed?"}
    scale = np.abs(expected).max(initial=0)
    if scale == 0:
        return set()
    found = set()
    if np.abs(got - expected).max() < 1e-5 * scale:
        found.add("It is nearly right: is a small number, such as 1e-8, added somewhere, is there "
                  "a float32 in it, or is it computed by differences?")
    for axes in itertools.permutations(range(got.ndim)):
        turned = expected.transpose(axes)
        if axes != tuple(range(got.ndim)) and equal(got, turned, 1e-9):
            found.add("Looks transposed." if got.ndim == 2 else "Its axes have changed places.")
    ratio = float((got * expected).sum() / (expected * expected).sum())
    if abs(ratio) > 1e-12 and equal(got, ratio * expected, 1e-9):
        found |= factors(ratio, letters)
    return found


def factors(ratio: float, letters: dict[str, int]) -> set[str]:
    """Return sentences for a factor: a flipped sign, a number, or a size or two of them."""
    if abs(ratio + 1) < 1e-9:
        return {"The sign is flipped."}
    sign = ", and the sign is flipped" if ratio < 0 else ""
    terms = {"2": 2.0, "3": 3.0, "4": 4.0}
    terms |= {MEANING.get(letter, letter): float(n) for letter, n in letters.items()}
    terms |= {f"{a} times {b}": float(letters[a] * letters[b])
              for a, b in itertools.combinations(letters, 2)}
    terms |= {f"the square root of {name}": n ** 0.5 for name, n in list(terms.items())}
    found = set()
    for name, n in terms.items():
        if abs(abs(ratio) / n - 1) < 1e-9:
            missing = f": a missing 1/{name[-1]}?" if name == "the batch size N" else ""
            found.add(f"It is too large by a factor of {name}{sign}{missing}.".replace("?.", "?"))
        if abs(abs(ratio) * n - 1) < 1e-9:
            mean = ": a mean over the batch where a sum belongs?"
            found.add(f"It is too small by a factor of {name}{sign}"
                      + (mean if name == "the batch size N" else "."))
    return found
