"""A fitted calibration of a sample to a reference: raw values in, raw values out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydni.containers import Sequential
from tinydni.lab import files
from tinydni.lab.cytometry.fit import fit
from tinydni.lab.cytometry.resnet import Method, mmd_resnet
from tinydni.lab.cytometry.transform import Standardisation, Transform
from tinydni.layer import Layer
from tinydni.random import stream
from tinydni.variants.mmd import kernel_width

KIND = "tinydni calibration"


@dataclass
class Calibrator:
    """transform, standardise by the reference, move by the network, and all the way back.

    columns : D markers    network : the blocks of an MMD-ResNet, in evaluation mode
    m : width of the kernels it was trained with
    """

    columns: list[str]
    transform: Transform
    standardisation: Standardisation
    network: Layer
    m: float

    @classmethod
    def fit(cls, reference: np.ndarray, sample: np.ndarray, columns: list[str],
            transform: Transform, method: Method, seed: int, xp: Any = np, **options: Any
            ) -> tuple["Calibrator", list[float]]:
        """Train on a sample. Return the calibrator and the training MMD per update.

        reference (M, D), sample (N, D) : raw values
        columns : D names
        **options : of `fit`, such as updates, batch_size, watch

        Raises ValueError for values that the transform can't take, and for columns that are
        constant.
        """
        x, y = (prepared(values, transform, columns, name) for values, name in
                ((sample, "the sample"), (reference, "the reference")))
        standardisation = Standardisation.of(y)
        x, y = standardisation.forward(x), standardisation.forward(y)
        m = kernel_width(y, stream(seed, "sample", 2))
        network, mmd = fit(x, y, m, method, seed, xp=xp, **options)
        blocks = Sequential(*(module.block for module in network.modules)).eval().to(np)
        return cls(list(columns), transform, standardisation, blocks, m), mmd

    def standardised(self, values: np.ndarray) -> np.ndarray:
        """Return raw values (N, D) as the network sees them."""
        return self.standardisation.forward(self.transform.forward(values.astype(np.float32)))

    def move(self, z: np.ndarray, batch_size: int = 10_000) -> np.ndarray:
        """Return standardised cells (N, D) where the reference would have them."""
        return np.concatenate([self.network.forward(z[i:i + batch_size])
                               for i in range(0, len(z), batch_size)])

    def raw(self, z: np.ndarray) -> np.ndarray:
        """Return standardised cells (N, D) as raw values."""
        return self.transform.inverse(self.standardisation.inverse(z))

    def save(self, path: Any) -> None:
        """Write everything that `load` needs to one .npz file."""
        state = {f"network.{name}": array for name, array in self.network.state().items()}
        state |= {"mean": self.standardisation.mean, "std": self.standardisation.std}
        files.save(path, state, {"kind": KIND, "columns": self.columns,
                                 "transform": str(self.transform), "m": self.m})

    @classmethod
    def load(cls, path: Any) -> "Calibrator":
        """Return what `save` wrote. Raise CheckpointError for any other file."""
        state, info = files.load(path)
        if not isinstance(info, dict) or info.get("kind") != KIND:
            raise files.CheckpointError(f"{path} does not hold a calibration; `tinydni calibrate` "
                                        "writes one as model.npz into its report folder.")
        network = Sequential(*mmd_resnet(len(info["columns"]), stream(0, "weights")))
        network.load_state({name.removeprefix("network."): array for name, array in state.items()
                            if name.startswith("network.")})
        return cls(info["columns"], Transform.parse(info["transform"]),
                   Standardisation(state["mean"], state["std"]), network.eval(), info["m"])


def prepared(values: np.ndarray, transform: Transform, columns: list[str], owner: str
             ) -> np.ndarray:
    """Return raw values (N, D) transformed, as float32. Raise ValueError where they can't be."""
    try:
        x = transform.forward(values.astype(np.float32))
    except ValueError as error:
        raise ValueError(f"{owner}: {error}") from None
    constant = np.flatnonzero(x.max(axis=0) == x.min(axis=0))
    if len(constant):
        names = ", ".join(columns[i] for i in constant)
        raise ValueError(f"{owner}: {names} ha{'s' if len(constant) == 1 else 've'} the same value "
                         "in every cell, which says nothing about a distribution. Leave it out: "
                         "--markers names the columns to calibrate.")
    return x
