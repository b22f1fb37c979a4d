"""From raw values to the scale that networks see, and back."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Transform:
    """A function of one value, with its inverse.

    log1p: log(1 + x), for counts    arcsinh: arcsinh(x / cofactor), which also takes values below 0
    none: x itself, for values that are on a useful scale already
    """

    name: str
    cofactor: float = 5.0

    @classmethod
    def parse(cls, text: str) -> "Transform":
        """Return what "log1p", "arcsinh:5" or "none" names. Raise ValueError for others."""
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
        raise ValueError("transform must be log1p, arcsinh:COFACTOR (a number above 0, such as "
                         f"arcsinh:5) or none; got {text!r}.")

    def __str__(self) -> str:
        return f"{self.name}:{self.cofactor:g}" if self.name == "arcsinh" else self.name

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return raw x (N, D) on the scale of the networks. Raise ValueError where it can't be."""
        if self.name == "log1p":
            if x.min() < 0:
                row, column = np.argwhere(x < 0)[0]
                raise ValueError(f"log1p takes counts of at least 0; got {x[row, column]:g} in row "
                                 f"{row + 1}, column {column + 1}. Use --transform arcsinh:5 for "
                                 "data with negative values.")
            return np.log1p(x)
        return np.arcsinh(x / self.cofactor) if self.name == "arcsinh" else x

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Return raw values. Under log1p they are counts: what would fall below zero is zero."""
        if self.name == "log1p":
            return np.expm1(np.maximum(y, 0))
        return np.sinh(y) * self.cofactor if self.name == "arcsinh" else y


@dataclass(frozen=True)
class Standardisation:
    """z = (x - mean) / std, column by column; mean, std (D,) are the reference's."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, reference: np.ndarray) -> "Standardisation":
        """Return that of `reference` (N, D): under it, its mean is 0 and its deviation 1."""
        wide, dtype = reference.astype(np.float64), reference.dtype
        return cls(wide.mean(axis=0).astype(dtype), wide.std(axis=0).astype(dtype))

    def forward(self, x: np.ndarray) -> np.ndarray:
        return (x - self.mean) / self.std

    def inverse(self, z: np.ndarray) -> np.ndarray:
        return z * self.std + self.mean
