"""Blood cells measured in several centres: the 16 samples of DeepCyTOF (Li et al. 2017)."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from tinydni import checks
from tinydni.datasets.download import RemoteFile, broken, find, read_bytes

SOURCE = ("https://raw.githubusercontent.com/KlugerLab/DeepCyTOF/"
          "ac924b10a77cf2d5c7ea43ea39a172898d71abb1/Data/MultiCenter_16sample/")
CHECKSUMS = Path(__file__).with_name("deepcytof.sha256")     # as sha256sum reads and writes them
FILES = {name: RemoteFile(f"deepcytof/{name}", (SOURCE + name,), f"sha256:{sha}")
         for sha, name in map(str.split, CHECKSUMS.read_text(encoding="ascii").splitlines())}
SAMPLES = range(1, 17)
N_MARKERS, N_TYPES = 8, 4


@dataclass(frozen=True, eq=False)
class Cells:
    """One sample of cells.

    counts (N, 8) : float32, ion counts of 8 markers, at least 0
    labels (N,) : int64, the cell type an expert gave, 1 ... 4; 0 where he left the cell out ("not
        gated")
    """

    name: str
    counts: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)

    @property
    def gated(self) -> np.ndarray:
        """(N,) bool: the cells that have a type."""
        return self.labels > 0


def cytometry(sample: int) -> Cells:
    """The cells of one of the 16 samples, from deepcytof/ in $TINYDNI_DATA, else by download.

    Samples 1 to 8 were measured much alike, 9 to 16 differ from them. Neither the markers nor the
    four cell types are named by the source. About 3 MB each. Raises ValueError for an unknown
    sample, and DataError, which names the file, if one is missing or broken.
    """
    if checks.check_positive_int(sample, "sample") not in SAMPLES:
        raise ValueError(f"sample must be a number from 1 to 16; got {sample}.")
    counts_path, counts = read(f"sample{sample}.csv", np.float32, ndmin=2)
    labels_path, labels = read(f"labels{sample}.csv", np.int64, ndmin=1)
    if counts.shape[1] != N_MARKERS:
        raise broken(counts_path, f"should hold {N_MARKERS} numbers per line")
    if not np.isfinite(counts).all() or counts.min(initial=0) < 0:
        raise broken(counts_path, "holds counts that are negative or not finite")
    if labels.shape != (len(counts),):
        raise broken(labels_path, f"should hold one label for each of {len(counts):,} cells; it "
                                  f"holds {labels.size:,}")
    if labels.size == 0 or labels.min() < 0 or labels.max() > N_TYPES:
        raise broken(labels_path, f"holds no labels, or some outside 0 ... {N_TYPES}")
    return Cells(f"sample {sample}", counts, labels)


def read(name: str, dtype: type, ndmin: Literal[1, 2]) -> tuple[Path, np.ndarray]:
    """Path and numbers of one file."""
    path = find(FILES[name])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)        # of an empty file
            lines = read_bytes(path).decode().splitlines()
            return path, np.loadtxt(lines, delimiter=",", dtype=dtype, ndmin=ndmin)
    except ValueError as error:
        raise broken(path, f"is not a table of numbers ({error})") from error
