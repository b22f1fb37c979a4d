"""CIFAR-10: 60,000 colour images of ten kinds of things, 32 x 32 pixels (Krizhevsky 2009)."""

import tarfile

import numpy as np

from tinydni.datasets.dataset import Dataset
from tinydni.datasets.download import VARIABLE, DataError, RemoteFile, data_folder, download, local_file

ARCHIVE = RemoteFile("cifar-10-binary.tar.gz", ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
                     "md5:c32a1d4ab5d03f1284b67883e8d87530")
FOLDER = "cifar-10-batches-bin"
TRAINING = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = "test_batch.bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 32 * 32        # bytes: the label, then the red, the green and the blue pixels, row by row
OFFICIAL = 10_000               # records in every file
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)      # of all training pixels, by channel


def cifar10():
    """CIFAR-10, from the folder cifar-10-batches-bin/ in $TINYDNI_DATA if that is set, else from cache or by download.

    x (50000, 32, 32, 3): pixels, (pixel / 255 - mean of the channel) / its standard deviation
    y (50000,): labels 0 ... 9, see CLASSES        x_test (10000, 32, 32, 3), y_test (10000,): the official test set

    A local copy may hold fewer records (a note in the data set says how many).
    Raises DataError, which names the file, if one is missing, broken or not of this kind.
    """
    parts = {name: records(name, data) for name, data in read_files().items()}
    x, y = (np.concatenate(arrays) for arrays in zip(*(parts[name] for name in TRAINING)))
    x_test, y_test = parts[TEST]
    source = "the official archive" if data_folder() is None else f"local files (${VARIABLE}/{FOLDER})"
    notes = [f"CIFAR-10 from {source}: {len(y):,} training images, {len(y_test):,} test images."]
    for labels, official, name in ((y, 5 * OFFICIAL, "training"), (y_test, OFFICIAL, "test")):
        if len(labels) < official:
            notes.append(f"This copy holds {len(labels):,} of the {official:,} official {name} images.")
    return Dataset("cifar10", x, y, x_test, y_test, n_classes=10, notes=tuple(notes))


def read_files():
    """{name: bytes} of the six files."""
    folder = data_folder()
    if folder is not None:
        return {name: local_file(folder, f"{FOLDER}/{name}").read_bytes() for name in (*TRAINING, TEST)}
    path = download(ARCHIVE)
    try:
        with tarfile.open(path) as archive:
            return {name: archive.extractfile(f"{FOLDER}/{name}").read() for name in (*TRAINING, TEST)}
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise DataError(f"{path} is not the archive of CIFAR-10 ({error}). Delete it, and it is downloaded again."
                        ) from error


def records(name, data):
    """x (N, 32, 32, 3) float32, standardised, and y (N,) int64 of one file. Raises DataError if it is broken."""
    n, rest = divmod(len(data), RECORD)
    if rest or not 1 <= n <= OFFICIAL:
        raise broken(name, f"has {len(data):,} bytes; 1 to {OFFICIAL:,} records of {RECORD:,} bytes were expected")
    data = np.frombuffer(data, np.uint8).reshape(n, RECORD)
    y = data[:, 0].astype(np.int64)
    if y.max() > 9:
        i = int(np.argmax(y > 9))
        raise broken(name, f"holds the label {y[i]} in record {i}; labels are 0 ... 9")
    x = np.empty((n, 32, 32, 3), np.float32)
    for channel, plane in enumerate(np.split(data[:, 1:], 3, axis=1)):
        values = (np.arange(256, dtype=np.float32) / 255 - np.float32(MEAN[channel])) / np.float32(STD[channel])
        x[..., channel] = values[plane].reshape(n, 32, 32)         # 256 different ones: looked up, not computed
    return x, y


def broken(name, what):
    """The error for a file that is there and is not what it should be."""
    return DataError(f"{FOLDER}/{name} {what}. Put the official file in its place, or unset {VARIABLE} to download it.")
