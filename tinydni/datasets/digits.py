"""Scikit-learn's small digits: a data set of images that needs no download. It is not MNIST."""

import numpy as np

from tinydni.datasets.dataset import Dataset
from tinydni.datasets.download import DataError

N_TRAIN = 1437                  # of 1,797: 80 %
MEAN, STD = 4.884, 6.017        # of all pixels, which run from 0 to 16


def digits(seed=0):
    """Scikit-learn's 1,797 images of handwritten digits, 8 x 8 pixels: 1,437 to train on, 360 to test on.

    x (N, 64): pixels, (pixel - 4.884) / 6.017        y (N,): labels 0 ... 9
    `seed`: a number or SeedSequence that shuffles the images before they are split.

    Raises DataError where scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise DataError('The digits come with scikit-learn, which is not installed. Install it with pip install '
                        '"tinydni[sklearn]", or from a clone with pip install ".[sklearn]".') from error
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    x = ((pixels[order] - MEAN) / STD).astype(np.float32)
    y = labels[order].astype(np.int64)
    note = (f"Scikit-learn's small digits, 8 x 8 pixels, {len(y):,} images: {N_TRAIN:,} to train on, "
            f"{len(y) - N_TRAIN:,} to test on. This is not MNIST.")
    return Dataset("digits", x[:N_TRAIN], y[:N_TRAIN], x[N_TRAIN:], y[N_TRAIN:], n_classes=10, notes=(note,))
