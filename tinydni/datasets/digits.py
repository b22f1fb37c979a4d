"""The small digits of UCI, which travel with the library. They are not MNIST."""

from pathlib import Path

import numpy as np

from tinydni.datasets.dataset import Dataset, generator
from tinydni.datasets.download import DataError

FILE = "digits.csv.gz"          # a line per image: 64 pixels from 0 to 16, then the label
PLACES = (Path(__file__).parent, Path(__file__).parents[2] / "data")    # installed, or a clone
N_TRAIN = 1437                  # of 1,797: 80 %
MEAN, STD = 4.884, 6.017        # of all pixels


def digits(seed: int | np.random.SeedSequence = 0) -> Dataset:
    """1,797 images of handwritten digits, 8 x 8 pixels, shuffled and split; no download.

    x (1437, 64): pixels, (pixel - 4.884) / 6.017        y (1437,): labels 0 ... 9
    x_test (360, 64), y_test (360,): the rest. The seed decides the order before the split.

    References
    ----------
    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998, the test set; CC BY 4.0.
    """
    path = next((place / FILE for place in PLACES if (place / FILE).is_file()), None)
    if path is None:
        raise DataError(f"The digits, {FILE}, are neither in {' nor in '.join(map(str, PLACES))}. "
                        "Install tinydni again.")
    table = np.loadtxt(path, np.uint8, delimiter=",")
    order = generator(seed).permutation(len(table))
    x = ((table[order, :-1] - MEAN) / STD).astype(np.float32)
    y = table[order, -1].astype(np.int64)
    note = (f"The small digits of UCI, 8 x 8 pixels, {len(y):,} images: {N_TRAIN:,} to train on, "
            f"{len(y) - N_TRAIN:,} to test on. This is not MNIST.")
    return Dataset("digits", x[:N_TRAIN], y[:N_TRAIN], x[N_TRAIN:], y[N_TRAIN:], 10, notes=(note,))
