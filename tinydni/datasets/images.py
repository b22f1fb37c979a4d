"""What MNIST and CIFAR-10 share: pixels as inputs, labels 0 ... 9, and notes for the report."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tinydni.datasets.download import VARIABLE, broken, data_folder


def standardised(pixels: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Pixels from 0 to 255 as float32 inputs, (pixel / 255 - mean) / std."""
    grey = np.arange(256, dtype=np.float32) / 255       # 256 values: looked up, not computed
    return ((grey - mean) / std)[pixels]


def check_ten_classes(path: Path | str, labels: np.ndarray) -> None:
    """Raises DataError where a label is not one of 0 ... 9."""
    if labels.max() > 9:
        i = np.argmax(labels > 9)
        raise broken(path, f"holds the label {labels[i]} in record {i}; labels are 0 ... 9")


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
