"""From raw values to the scale that networks see, and back."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Transform:
    """A function of one value, with its inverse.

    log1p: log(1 + x), for counts        arcsinh: arcsinh(x / cofactor), which also takes negative values
    none: x itself, for values that are on a useful scale already
    """

    name: str
    cofactor: float = 5.0

    @classmethod
    def parse(cls, text):
        """The transform that the command line names: "log1p", "arcsinh:5" or "none". Raises ValueError for others."""
        name, colon, cofactor = text.partition(":")
        if name in ("log1p", "none") and not colon:
            return cls(name)
        if name == "arcsinh":
            try:
                value = float(cofactor) if colon else 5.0
            except ValueError:
                value = 0.0
            if 0 < value < float("inf"):
                return cls(name, value)
        raise ValueError("transform must be log1p, arcsinh:COFACTOR (a number above 0, such as arcsinh:5) or none; "
                         f"got {text!r}.")

    def __str__(self):
        return f"{self.name}:{self.cofactor:g}" if self.name == "arcsinh" else self.name

    def forward(self, x):
        """x (N, D) raw, on the scale of the networks. Raises ValueError for values that the transform can't take."""
        if self.name == "log1p":
            if x.min() < 0:
                row, column = np.argwhere(x < 0)[0]
                raise ValueError(f"log1p takes counts of at least 0; got {x[row, column]:g} in row {row + 1}, column "
                                 f"{column + 1}. Use --transform arcsinh:5 for data with negative values.")
            return np.log1p(x)
        return np.arcsinh(x / self.cofactor) if self.name == "arcsinh" else x

    def inverse(self, y):
        """Back to raw values. Under log1p the result is a count, so what would come out below zero is zero."""
        if self.name == "log1p":
            return np.expm1(np.maximum(y, 0))
        return np.sinh(y) * self.cofactor if self.name == "arcsinh" else y


@dataclass(frozen=True)
class Standardisation:
    """z = (x - mean) / std, column by column; mean, std (D,) are the reference's."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, reference):
        """The one under which `reference` (N, D) has mean 0 and standard deviation 1."""
        wide = reference.astype(np.float64)
        return cls(wide.mean(axis=0).astype(reference.dtype), wide.std(axis=0).astype(reference.dtype))

    def forward(self, x):
        return (x - self.mean) / self.std

    def inverse(self, z):
        return z * self.std + self.mean
