"""A fitted calibration of one sample to one reference: raw values in, raw values on the reference's scale out."""

from dataclasses import dataclass

import numpy as np

from tinydni.lab import files
from tinydni.lab.cytometry.fit import fit
from tinydni.lab.cytometry.resnet import mmd_resnet
from tinydni.lab.cytometry.transform import Standardisation, Transform
from tinydni.containers import Sequential
from tinydni.variants.mmd import kernel_width
from tinydni.random import stream

KIND = "tinydni calibration"


@dataclass
class Calibrator:
    """transform, standardise by the reference, move by the network, and all the way back.

    columns: names of the D markers    network: Sequential of the blocks of an MMD-ResNet, in evaluation mode
    m: width of the kernels it was trained with
    """

    columns: list
    transform: Transform
    standardisation: Standardisation
    network: Sequential
    m: float

    @classmethod
    def fit(cls, reference, sample, columns, transform, method, seed, xp=np, **options):
        """Trains on a sample. Returns (calibrator, training MMD per update).

        reference (M, D), sample (N, D): raw values    columns: D names    method: a Method
        options: of `fit`, such as updates, batch_size, watch
        Raises ValueError for values that the transform can't take, and for columns that are constant.
        """
        x, y = (prepared(values, transform, columns, name) for values, name in
                ((sample, "the sample"), (reference, "the reference")))
        standardisation = Standardisation.of(y)
        x, y = standardisation.forward(x), standardisation.forward(y)
        m = kernel_width(y, stream(seed, "sample", 2))
        network, mmd = fit(x, y, m, method, seed, xp=xp, **options)
        blocks = Sequential(*(module.block for module in network.modules)).eval().to(np)
        return cls(list(columns), transform, standardisation, blocks, m), mmd

    def standardised(self, values):
        """Raw values (N, D) as the network sees them."""
        return self.standardisation.forward(self.transform.forward(values.astype(np.float32)))

    def move(self, z, batch_size=10_000):
        """Standardised cells (N, D) where the reference would have them."""
        return np.concatenate([self.network.forward(z[i:i + batch_size]) for i in range(0, len(z), batch_size)])

    def raw(self, z):
        """Standardised cells (N, D) as raw values."""
        return self.transform.inverse(self.standardisation.inverse(z))

    def save(self, path):
        """Writes everything that `load` needs to one .npz file."""
        state = {f"network.{name}": array for name, array in self.network.state().items()}
        state |= {"mean": self.standardisation.mean, "std": self.standardisation.std}
        info = {"kind": KIND, "columns": self.columns, "transform": str(self.transform), "m": self.m}
        files.save(path, state, info)

    @classmethod
    def load(cls, path):
        """The calibrator that `save` wrote. Raises CheckpointError for any other file."""
        state, info = files.load(path)
        if not isinstance(info, dict) or info.get("kind") != KIND:
            raise files.CheckpointError(f"{path} does not hold a calibration; `tinydni calibrate` writes one as "
                                             "model.npz into its report folder.")
        network = Sequential(*mmd_resnet(len(info["columns"]), stream(0, "weights")))
        network.load_state({name.removeprefix("network."): array for name, array in state.items()
                            if name.startswith("network.")})
        return cls(info["columns"], Transform.parse(info["transform"]), Standardisation(state["mean"], state["std"]),
                   network.eval(), info["m"])


def prepared(values, transform, columns, owner):
    """Raw values (N, D) transformed, as float32. Raises ValueError, naming owner and column, where they can't be."""
    try:
        x = transform.forward(values.astype(np.float32))
    except ValueError as error:
        raise ValueError(f"{owner}: {error}") from None
    constant = np.flatnonzero(x.max(axis=0) == x.min(axis=0))
    if len(constant):
        names = ", ".join(columns[i] for i in constant)
        raise ValueError(f"{owner}: {names} ha{'s' if len(constant) == 1 else 've'} the same value in every cell, which "
                         "says nothing about a distribution. Leave it out: --markers names the columns to calibrate.")
    return x
