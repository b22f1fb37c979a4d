"""MNIST: 70,000 images of handwritten digits, 28 x 28 pixels (LeCun, Cortes and Burges)."""

import math
import struct
from pathlib import Path

import numpy as np

from tinydni.datasets.dataset import Dataset
from tinydni.datasets.download import RemoteFile, broken, find, read_bytes
from tinydni.datasets.images import check_ten_classes, image_notes, standardised

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/",
           "https://storage.googleapis.com/cvdf-datasets/mnist/")
MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
KAGGLE = "looks like Kaggle's table; the four official files, in IDX format, are needed"
FILES = {name: RemoteFile(
    f"mnist/{name}", tuple(mirror + name for mirror in MIRRORS), f"md5:{md5}",
    ((name[:-3].replace("-idx", "?idx") + "*", ""),     # also "train-images.idx3-ubyte"
     ("mnist_*.csv", KAGGLE), ("train.csv", KAGGLE))) for name, md5 in MD5.items()}
OFFICIAL = {"train": 60_000, "t10k": 10_000}    # images
SIZE = (28, 28)
MEAN, STD = 0.1307, 0.3081      # of all training pixels, as fractions of white


def mnist() -> Dataset:
    """MNIST, from the folder mnist/ in $TINYDNI_DATA if that is set, else from cache or download.

    x (60000, 784): pixels, (pixel / 255 - 0.1307) / 0.3081        y (60000,): labels 0 ... 9
    x_test (10000, 784), y_test (10000,): the official test set

    A local copy may hold fewer records (a note says how many), packed with gzip or not. Raises
    DataError, which names the file, if one is missing, broken or not of this kind.
    """
    x, y = read_part("train")
    x_test, y_test = read_part("t10k")
    notes = image_notes("MNIST", "files", "mnist", (y, y_test), OFFICIAL.values())
    return Dataset("mnist", x, y, x_test, y_test, n_classes=10, notes=notes)


def read_part(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (N, 784) and labels (N,) of the part "train" or "t10k"."""
    images_path, labels_path = (find(FILES[f"{part}-{kind}-ubyte.gz"])
                                for kind in ("images-idx3", "labels-idx1"))
    images, labels = read_idx(images_path, SIZE), read_idx(labels_path, ())
    if len(images) > OFFICIAL[part]:
        raise broken(images_path, f"holds {len(images):,} images, more than {OFFICIAL[part]:,}")
    if len(images) != len(labels):
        raise broken(labels_path, f"holds {len(labels):,} labels for {len(images):,} images")
    check_ten_classes(labels_path, labels)
    return standardised(images.reshape(len(images), -1), MEAN, STD), labels.astype(np.int64)


def read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The records (N, *shape) uint8 of an IDX file, packed with gzip or not.

    An IDX file begins with big-endian 32-bit numbers: 2048 + the number of axes, then the length
    of each axis. The bytes follow. Raises DataError if the file does not say `shape`, or holds
    more or less than it says.
    """
    data = read_bytes(path)
    n_numbers = 2 + len(shape)
    if len(data) < 4 * n_numbers:
        raise broken(path, f"is cut off: {len(data)} bytes are no header of {4 * n_numbers}")
    magic, n, *got_shape = struct.unpack_from(f">{n_numbers}I", data)
    if magic != 2049 + len(shape):
        raise broken(path, f"begins with the number {magic}, not with {2049 + len(shape)} as "
                           f"{'images' if shape else 'labels'} do")
    if tuple(got_shape) != shape:
        raise broken(path, f"holds images of {' x '.join(map(str, got_shape))}, not 28 x 28")
    if n == 0:
        raise broken(path, "holds no records")
    promised, found = n * math.prod(shape), len(data) - 4 * n_numbers
    if promised != found:
        raise broken(path, f"is {'cut off' if found < promised else 'too long'}: it promises {n:,} "
                           f"records, {promised:,} bytes, but {found:,} bytes follow its header")
    return np.frombuffer(data, np.uint8, offset=4 * n_numbers).reshape(n, *shape)
