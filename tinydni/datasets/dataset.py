"""What every data set looks like: examples to train on, and a held-out part to test on."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinydni import checks


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples to train on and held-out ones, checked once, here, so that no step has to.

    Raises TypeError for a wrong type or dtype; ValueError for shapes that disagree, NaN or
    infinity, a label outside 0 ... K-1, a target that is not a bit.

    Parameters
    ----------
    x (N, D) or images (N, H, W, C) : float32, inputs to train on
    y (N,) : int64, labels 0 ... K-1;  or, if n_classes is None, (N, M) float32, bits, each 0 or 1
    x_test, y_test : the held-out part, of the same widths
    n_classes : K, or None
    held_out : what the held-out part is, "test" or "validation"
    notes : sentences for the report: where the data came from, how many records there are
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
        if not isinstance(self.held_out, str) or self.held_out not in ("test", "validation"):
            raise ValueError(f"held_out must be 'test' or 'validation'; got {self.held_out!r}.")
        if not isinstance(self.notes, tuple) or not all(isinstance(n, str) for n in self.notes):
            raise TypeError(f"notes must be a tuple of sentences; got {self.notes!r}.")
        if self.n_classes is not None:
            checks.check_positive_int(self.n_classes, "n_classes", 2)
        for part, x, y in (("", self.x, self.y), ("_test", self.x_test, self.y_test)):
            check_array("x" + part, x, np.float32, 2, 4)
            check_entries("x" + part, x, np.isfinite(x), "be finite",
                          " Remove or repair these entries first.")
            if self.n_classes is None:
                check_array("y" + part, y, np.float32, 2)
                check_entries("y" + part, y, (y == 0) | (y == 1), "hold bits, 0 or 1")
            else:
                check_array("y" + part, y, np.int64, 1)
                checks.check_labels(y, self.n_classes, len(y), "y" + part)
            if len(x) != len(y):
                raise ValueError(f"x{part} and y{part} must have one row per example each; "
                                 f"got {len(x)} inputs and {len(y)} targets.")
        for name, train, test in (("x", self.x, self.x_test), ("y", self.y, self.y_test)):
            if train.shape[1:] != test.shape[1:]:
                raise ValueError(f"{name} and {name}_test must have the same width; got shapes "
                                 f"{train.shape} and {test.shape}.")

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
        checks.check_dtype(dtype)
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

    def as_images(self, H: int, W: int, C: int) -> "Dataset":
        """The same with inputs as images, (N, D) -> (N, H, W, C), for convolutions; no copy."""
        shape = [checks.check_positive_int(n, name) for name, n in (("H", H), ("W", W), ("C", C))]
        if math.prod(shape) != self.n_in:
            raise ValueError(f"H · W · C must be {self.n_in}, the values of one input; got {H}, "
                             f"{W} and {C}.")
        return replace(self, x=self.x.reshape(-1, *shape), x_test=self.x_test.reshape(-1, *shape))

    def as_rows(self) -> "Dataset":
        """The same with inputs as rows, (N, H, W, C) -> (N, D), for linear layers; no copy."""
        return replace(self, x=self.x.reshape(len(self.x), -1),
                       x_test=self.x_test.reshape(len(self.x_test), -1))


def check_array(name: str, array: Any, dtype: Any, *ndims: int) -> None:
    """Raises unless it is a NumPy array of this dtype and number of axes that is not empty."""
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a NumPy array; got {type(array).__name__}.")
    if array.dtype != dtype:
        raise TypeError(f"{name} must have dtype {np.dtype(dtype)}; got {array.dtype}. "
                        "Convert it with .astype.")
    if array.ndim not in ndims or array.size == 0:
        shapes = {1: "(N,)", 2: "(N, D)", 4: "(N, H, W, C)"}
        raise ValueError(f"{name} must have shape {' or '.join(shapes[n] for n in ndims)} with at "
                         f"least one entry per axis; got {array.shape}.")


def check_entries(name: str, array: np.ndarray, right: np.ndarray, wanted: str,
                  hint: str = "") -> None:
    """Raises for the first entry that is not right."""
    if not right.all():
        index = tuple(np.argwhere(~right)[0].tolist())
        raise ValueError(f"{name} must {wanted}; got {array[index]} at index {index}.{hint}")


def generator(seed: int | np.random.SeedSequence) -> np.random.Generator:
    """The random generator of a seed."""
    if not isinstance(seed, np.random.SeedSequence):
        seed = checks.check_positive_int(seed, "seed", 0, 2**128)
    return np.random.default_rng(seed)
