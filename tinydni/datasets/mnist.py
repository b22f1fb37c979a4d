"""MNIST: 70,000 images of handwritten digits, 28 x 28 pixels (LeCun, Cortes and Burges)."""

import gzip
import math
import struct
import zlib

import numpy as np

from tinydni.datasets.dataset import Dataset
from tinydni.datasets.download import VARIABLE, DataError, RemoteFile, data_folder, find

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
FILES = {name: RemoteFile(f"mnist/{name}", tuple(mirror + name for mirror in MIRRORS), f"md5:{md5}")
         for name, md5 in MD5.items()}
PARTS = {"train": ("training", 60_000), "t10k": ("test", 10_000)}
SIZE = (28, 28)
MEAN, STD = 0.1307, 0.3081      # of all training pixels, as fractions of white


def mnist():
    """MNIST, from the folder mnist/ in $TINYDNI_DATA if that is set, else from the cache or by download.

    x (60000, 784): pixels, (pixel / 255 - 0.1307) / 0.3081        y (60000,): labels 0 ... 9
    x_test (10000, 784), y_test (10000,): the official test set

    A local copy may hold fewer records (a note in the data set says how many), packed with gzip or not.
    Raises DataError, which names the file, if one is missing, broken or not of this kind.
    """
    folder = data_folder()
    source = "the official files" if folder is None else "local files ($TINYDNI_DATA/mnist)"
    x, y = read_part("train")
    x_test, y_test = read_part("t10k")
    notes = [f"MNIST from {source}: {len(y):,} training images, {len(y_test):,} test images."]
    for labels, (name, official) in zip((y, y_test), PARTS.values()):
        if len(labels) < official:
            notes.append(f"This copy holds {len(labels):,} of the {official:,} official {name} images.")
    return Dataset("mnist", x, y, x_test, y_test, n_classes=10, notes=tuple(notes))


def read_part(part):
    """x (N, 784) and y (N,) of the part "train" or "t10k"."""
    images_path, labels_path = (find(FILES[name + ".gz"], f"mnist/{name}")
                                for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"))
    images, labels = read_idx(images_path, SIZE), read_idx(labels_path, ())
    official = PARTS[part][1]
    if len(images) > official:
        raise broken(images_path, f"holds {len(images):,} images, more than the {official:,} of MNIST")
    if len(images) != len(labels):
        raise broken(labels_path, f"holds {len(labels):,} labels, but {images_path} holds {len(images):,} images")
    if labels.max() > 9:
        i = np.argmax(labels > 9)
        raise broken(labels_path, f"holds the label {labels[i]} at index {i}; labels are 0 ... 9")
    return standardised(images), labels.astype(np.int64)


def standardised(images):
    """Pixels (N, 28, 28) from 0 to 255 as inputs (N, 784) float32 of about mean 0 and variance 1."""
    x = images.reshape(len(images), -1).astype(np.float32)      # the only large array: the rest is in place
    x /= 255
    x -= MEAN
    x /= STD
    return x


def read_idx(path, shape):
    """The records (N, *shape) uint8 of an IDX file, packed with gzip or not.

    An IDX file begins with big-endian 32-bit numbers: 2048 + the number of axes, then the length of each axis.
    The bytes follow. Raises DataError if the file does not say `shape`, or holds more or less than it says.
    """
    data = read_bytes(path)
    n_numbers = 2 + len(shape)
    if len(data) < 4 * n_numbers:
        raise broken(path, f"is cut off: {len(data)} bytes are not even its header of {4 * n_numbers}")
    magic, n, *got_shape = struct.unpack_from(f">{n_numbers}I", data)
    if magic != 2049 + len(shape):
        raise broken(path, f"begins with the number {magic}, not with {2049 + len(shape)} as "
                           f"{'images' if shape else 'labels'} do")
    if tuple(got_shape) != shape:
        raise broken(path, f"holds images of {' x '.join(map(str, got_shape))} pixels, not of 28 x 28")
    if n == 0:
        raise broken(path, "holds no records")
    promised, found = n * math.prod(shape), len(data) - 4 * n_numbers
    if promised != found:
        raise broken(path, f"is {'cut off' if found < promised else 'too long'}: its header promises {n:,} "
                           f"records, {promised:,} bytes, but {found:,} bytes follow")
    return np.frombuffer(data, np.uint8, offset=4 * n_numbers).reshape(n, *shape)


def read_bytes(path):
    """The content of a file, unpacked if its name ends in .gz."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            return stream.read()
    except EOFError as error:
        raise broken(path, "is cut off: its gzip stream has no end") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        what = f"is not a whole gzip file ({error}; an unpacked file must not be named .gz)"
        raise broken(path, what) from error
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path} cannot be read ({reason}). Check that you may read it.") from error


def broken(path, what):
    """The error for a file that is there and is not what it should be."""
    return DataError(f"{path} {what}. Put the official file in its place, or unset {VARIABLE} to download it.")
