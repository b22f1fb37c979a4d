"""What every data set looks like: examples to train on, and a held-out part to test on."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.datasets.download import VARIABLE, data_folder


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples to train on and held-out ones, checked once, here, so that no step has to.

    Parameters
    ----------
    x (N, D) or images (N, H, W, C) : float32, inputs to train on
    y (N,) : int64, labels 0 ... K-1;  or, if n_classes is None, (N, M) float32, bits, each 0 or 1
    x_test, y_test : the held-out part, of the same widths
    n_classes : K, or None
    held_out : what the held-out part is, "test" or "validation"
    notes : sentences for the report: where the data came from, how many records there are

    Raises
    ------
    TypeError : for a wrong type or dtype
    ValueError : for shapes that disagree, NaN or infinity, a label outside 0 ... K-1, a target
        that is not a bit
    """

    name: str
    x: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    x_test: np.ndarray = field(repr=False)
    y_test: np.ndarray = field(repr=False)
    n_classes: int | None
    held_out: str = "test"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.held_out not in ("test", "validation"):
            raise ValueError(f"held_out must be 'test' or 'validation'; got {self.held_out!r}.")
        if isinstance(self.notes, str) or not all(isinstance(note, str) for note in self.notes):
            raise TypeError(f"notes must be a tuple of sentences; got {self.notes!r}.")
        if self.n_classes is not None:
            checks.check_positive_int(self.n_classes, "n_classes", 2)
        for part, x, y in (("", self.x, self.y), ("_test", self.x_test, self.y_test)):
            check_array("x" + part, x, np.float32, 2, 4)
            check_finite("x" + part, x)
            if self.n_classes is None:
                check_bits("y" + part, y)
            else:
                check_array("y" + part, y, np.int64, 1)
                checks.check_labels(y, self.n_classes, len(y), "y" + part)
            if len(x) != len(y):
                raise ValueError(f"x{part} and y{part} must have one row per example each; "
                                 f"got {len(x)} inputs and {len(y)} targets.")
        for train, test in ((self.x, self.x_test), (self.y, self.y_test)):
            if train.shape[1:] != test.shape[1:]:
                raise ValueError("the training part and the held-out part must have the same "
                                 f"width; got shapes {train.shape} and {test.shape}.")

    @property
    def n_in(self) -> int:
        """D, the number of values in one input."""
        return math.prod(self.x.shape[1:])

    @property
    def n_out(self) -> int:
        """The width of the network's output: K classes, or M bits."""
        return self.y.shape[1] if self.n_classes is None else self.n_classes

    def context(self, dtype: Any = np.float32) -> np.ndarray:
        """What a synthesizer may see of the training part, (N, C): one-hot labels, or the bits."""
        dtype = np.dtype(dtype)
        if dtype.kind != "f":
            raise TypeError(f"dtype must be a floating-point type, such as float32; got {dtype}.")
        if self.n_classes is None:
            return self.y.astype(dtype)
        return np.eye(self.n_classes, dtype=dtype)[self.y]

    def with_validation(self, n: int) -> "Dataset":
        """A copy with the last n training examples held out for validation, no test set."""
        if checks.check_positive_int(n, "n, the number of validation examples,") >= len(self.x):
            raise ValueError(f"n, the number of validation examples, must be below {len(self.x)}, "
                             f"so that some are left to train on; got {n}.")
        note = (f"Held out for validation: the last {n:,} of {len(self.x):,} training examples. "
                "The test set is not used.")
        return replace(self, x=self.x[:-n], y=self.y[:-n], x_test=self.x[-n:], y_test=self.y[-n:],
                       held_out="validation", notes=(*self.notes, note))

    def as_images(self, *shape: int) -> "Dataset":
        """The same with inputs as images, (N, D) -> (N, H, W, C), for convolutions; no copy."""
        return replace(self, x=self.x.reshape(-1, *shape), x_test=self.x_test.reshape(-1, *shape))

    def as_rows(self) -> "Dataset":
        """The same with inputs as rows, (N, H, W, C) -> (N, D), for linear layers; no copy."""
        return replace(self, x=self.x.reshape(len(self.x), -1),
                       x_test=self.x_test.reshape(len(self.x_test), -1))


def check_array(name: str, array: Any, dtype: Any, *ndims: int) -> None:
    """Raises unless it is a NumPy array of this dtype and number of axes that is not empty."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array; got {type(array).__name__}.")
    if array.dtype != dtype:
        raise TypeError(f"{name} must have dtype {np.dtype(dtype)}; got {array.dtype}. "
                        "Convert it with .astype.")
    if array.ndim not in ndims or array.size == 0:
        shapes = {1: "(N,)", 2: "(N, D)", 4: "(N, H, W, C)"}
        raise ValueError(f"{name} must have shape {' or '.join(shapes[n] for n in ndims)} with at "
                         f"least one entry per axis; got {array.shape}.")


def check_finite(name: str, x: np.ndarray) -> None:
    """Raises if x holds NaN or infinity."""
    wrong = np.argwhere(~np.isfinite(x))
    if len(wrong):
        index = tuple(wrong[0].tolist())
        raise ValueError(f"{name} must be finite; got {x[index]} at index {index}. "
                         "Remove or repair these entries first.")


def check_bits(name: str, y: np.ndarray) -> None:
    """Raises unless y is (N, M) float32, each entry 0 or 1."""
    check_array(name, y, np.float32, 2)
    wrong = np.argwhere((y != 0) & (y != 1))
    if len(wrong):
        index = tuple(wrong[0].tolist())
        raise ValueError(f"{name} must hold bits, 0 or 1; got {y[index]} at index {index}.")


def image_notes(title: str, unit: str, folder: str, labels: Iterable[np.ndarray],
                official: Iterable[int]) -> tuple[str, ...]:
    """Sentences for the report: where images came from, how many there are, how many miss."""
    source = f"the official {unit}" if data_folder() is None else \
        f"local files (${VARIABLE}/{folder})"
    parts = list(zip(("training", "test"), map(len, labels), official))
    counts = ", ".join(f"{n:,} {part} images" for part, n, _ in parts)
    missing = (f"This copy holds {n:,} of the {whole:,} official {part} images."
               for part, n, whole in parts if n < whole)
    return (f"{title} from {source}: {counts}.", *missing)
