"""What every data set looks like: inputs and targets to train on, and a held-out part to test on."""

import math
import numbers
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training examples and held-out examples, checked once, here, so that nothing checks them again per step.

    x (N, D) or images (N, H, W, C), float32: inputs to train on
    y (N,) int64: labels 0 ... K-1;  or, if n_classes is None, y (N, M) float32: target bits, each 0 or 1
    x_test, y_test: the held-out part, of the same widths
    n_classes: K, or None
    held_out: what the held-out part is, "test" or "validation"
    notes: sentences for the report: where the data came from, how many records there are

    Raises TypeError for a wrong type or dtype; ValueError for shapes that disagree, NaN or infinity, a label
    outside 0 ... K-1, a target that is not a bit.
    """

    name: str
    x: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    x_test: np.ndarray = field(repr=False)
    y_test: np.ndarray = field(repr=False)
    n_classes: int | None
    held_out: str = "test"
    notes: tuple = ()

    def __post_init__(self):
        self.validate()

    @property
    def n_in(self):
        """D, the number of values in one input."""
        return math.prod(self.x.shape[1:])

    @property
    def n_out(self):
        """The width of the network's output: K classes, or M bits."""
        return self.y.shape[1] if self.n_classes is None else self.n_classes

    def context(self, dtype=np.float32):
        """What a label-conditioned synthesizer sees for the training part, (N, C): one-hot labels, or the bits."""
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"dtype must be a floating-point type, such as float32; got {np.dtype(dtype)}.")
        if self.n_classes is None:
            return self.y.astype(dtype)
        return np.eye(self.n_classes, dtype=dtype)[self.y]

    def with_validation(self, n):
        """This data set with its last n training examples held out for validation, and without its test set.

        Raises TypeError or ValueError unless n is a whole number that leaves at least one example to train on.
        """
        n = whole_number("n, the number of validation examples,", n, 1, len(self.x) - 1)
        note = (f"Held out for validation: the last {n:,} of {len(self.x):,} training examples. "
                "The test set is not used.")
        return replace(self, x=self.x[:-n], y=self.y[:-n], x_test=self.x[-n:], y_test=self.y[-n:],
                       held_out="validation", notes=(*self.notes, note))

    def as_images(self, *shape):
        """This data set with its inputs as images, (N, D) -> (N, H, W, C), for convolutions; no copy."""
        return replace(self, x=self.x.reshape(-1, *shape), x_test=self.x_test.reshape(-1, *shape))

    def as_rows(self):
        """This data set with its inputs as rows, (N, H, W, C) -> (N, D), for fully connected networks; no copy."""
        return replace(self, x=self.x.reshape(len(self.x), -1), x_test=self.x_test.reshape(len(self.x_test), -1))

    def validate(self):
        """Raises TypeError or ValueError, naming the array and the place, unless everything fits together."""
        if self.held_out not in ("test", "validation"):
            raise ValueError(f"held_out must be 'test' or 'validation'; got {self.held_out!r}.")
        if isinstance(self.notes, str) or not all(isinstance(note, str) for note in self.notes):
            raise TypeError(f"notes must be a tuple of sentences; got {self.notes!r}.")
        if self.n_classes is not None:
            whole_number("n_classes", self.n_classes, 2)
        for part in ("", "_test"):
            x, y = getattr(self, "x" + part), getattr(self, "y" + part)
            check_inputs("x" + part, x)
            if self.n_classes is None:
                check_bits("y" + part, y)
            else:
                check_labels("y" + part, y, self.n_classes)
            if len(x) != len(y):
                raise ValueError(f"x{part} and y{part} must have one row per example each; "
                                 f"got {len(x)} inputs and {len(y)} targets.")
        for train, test in ((self.x, self.x_test), (self.y, self.y_test)):
            if train.shape[1:] != test.shape[1:]:
                raise ValueError("the training part and the held-out part must have the same width; "
                                 f"got shapes {train.shape} and {test.shape}.")


def check_inputs(name, x):
    """Raises unless x is (N, D) or (N, H, W, C), float32 and finite."""
    check_array(name, x, np.float32, ndim=4 if getattr(x, "ndim", 2) == 4 else 2)
    finite = np.isfinite(x)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"{name} must be finite; got {x[index]} at index {index}. "
                         "Remove or repair such examples first.")


def check_bits(name, y):
    """Raises unless y is (N, M) float32, each entry 0 or 1."""
    check_array(name, y, np.float32, ndim=2)
    wrong = (y != 0) & (y != 1)
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise ValueError(f"{name} must hold bits, 0 or 1; got {y[i, j]} at index ({i}, {j}).")


def check_labels(name, y, n_classes):
    """Raises unless y is (N,) int64, each label in 0 ... n_classes - 1."""
    check_array(name, y, np.int64, ndim=1)
    wrong = (y < 0) | (y >= n_classes)
    if wrong.any():
        i = np.argmax(wrong)
        raise ValueError(f"{name} must hold labels 0 ... {n_classes - 1} (K = {n_classes} classes); "
                         f"got {y[i]} at index {i}.")


def check_array(name, array, dtype, ndim):
    """Raises unless it is a NumPy array of this dtype and number of axes that is not empty."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array; got {type(array).__name__}.")
    if array.dtype != dtype:
        raise TypeError(f"{name} must have dtype {np.dtype(dtype)}; got {array.dtype}. Convert it with .astype.")
    if array.ndim != ndim or array.size == 0:
        shape = {1: "(N,)", 2: "(N, D)", 4: "(N, H, W, C)"}[ndim]
        raise ValueError(f"{name} must have shape {shape} with at least one entry per axis; got {array.shape}.")


def whole_number(name, value, low, high=None):
    """The value as an int. Raises TypeError or ValueError unless it is whole and from low to high (None: any)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number; got {value!r} ({type(value).__name__}).")
    if value < low or high is not None and value > high:
        limits = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be {limits}; got {value}.")
    return int(value)
