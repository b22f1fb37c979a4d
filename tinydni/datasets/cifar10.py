"""CIFAR-10: 60,000 colour images of ten kinds of things, 32 x 32 pixels (Krizhevsky 2009)."""

import tarfile
import zlib
from typing import Any

import numpy as np

from tinydni import backend, checks
from tinydni.datasets.dataset import Dataset
from tinydni.datasets.download import RemoteFile, broken, data_folder, download, find, read_bytes
from tinydni.datasets.images import check_ten_classes, image_notes, standardised

ARCHIVE = RemoteFile("cifar-10-binary.tar.gz",
                     ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
                     "md5:c32a1d4ab5d03f1284b67883e8d87530")
FOLDER = "cifar-10-batches-bin"
TRAINING = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = "test_batch.bin"
WRONG_FORM = f"is not the binary version; {ARCHIVE.path} is needed, unpacked"
LOOKALIKES = (
    (ARCHIVE.path, f"is still packed; unpack it, so that {FOLDER}/ lies in your folder"),
    ("cifar-10-batches-py/data_batch_1", WRONG_FORM), ("cifar-10-python.tar.gz", WRONG_FORM),
    ("cifar-10-batches-mat/data_batch_1.mat", WRONG_FORM), ("cifar-10-matlab.tar.gz", WRONG_FORM))
FILES = {name: RemoteFile(f"{FOLDER}/{name}", ARCHIVE.addresses, "", lookalikes=LOOKALIKES)
         for name in (*TRAINING, TEST)}         # of a local folder, each a member of the archive
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 32 * 32        # bytes: the label, then the red, the green and the blue pixels
OFFICIAL = 10_000               # records in every file
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of training pixels, by channel


def cifar10() -> Dataset:
    """CIFAR-10, from cifar-10-batches-bin/ in $TINYDNI_DATA if that is set, else cache or download.

    x (50000, 32, 32, 3): pixels, (pixel / 255 - mean of the channel) / its standard deviation
    y (50000,): labels 0 ... 9, see CLASSES
    x_test (10000, 32, 32, 3), y_test (10000,): the official test set

    A local copy may hold fewer records (a note says how many). Raises DataError, which names the
    file, if one is missing, broken or not of this kind.
    """
    parts = {name: records(name, data) for name, data in read_files().items()}
    x, y = (np.concatenate(arrays) for arrays in zip(*(parts[name] for name in TRAINING)))
    x_test, y_test = parts[TEST]
    notes = image_notes("CIFAR-10", "archive", FOLDER, (y, y_test), (5 * OFFICIAL, OFFICIAL))
    return Dataset("cifar10", x, y, x_test, y_test, n_classes=10, notes=notes)


def read_files() -> dict[str, bytes]:
    """The content of the six files, by name."""
    if data_folder() is not None:
        return {name: read_bytes(find(file)) for name, file in FILES.items()}
    path = download(ARCHIVE)
    try:
        with tarfile.open(path) as archive:
            members = {name: archive.extractfile(f"{FOLDER}/{name}") for name in FILES}
            return {name: stream.read() for name, stream in members.items() if stream}
    except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise broken(path, f"is not the archive of CIFAR-10 ({error})") from error


def records(name: str, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (N, 32, 32, 3) float32, standardised, and labels (N,) int64 of one file."""
    path = f"{FOLDER}/{name}"
    n, rest = divmod(len(data), RECORD)
    if rest or not 1 <= n <= OFFICIAL:
        raise broken(path, f"has {len(data):,} bytes; 1 to {OFFICIAL:,} records of {RECORD:,} bytes"
                           " were expected")
    table = np.frombuffer(data, np.uint8).reshape(n, RECORD)
    y = table[:, 0].astype(np.int64)
    check_ten_classes(path, y)
    x = np.empty((n, 32, 32, 3), np.float32)
    planes = table[:, 1:].reshape(n, 3, 32, 32)
    for channel in range(3):
        x[..., channel] = standardised(planes[:, channel], MEAN[channel], STD[channel])
    return x, y


def crop_and_flip(xp: Any, x: Any, rng: np.random.Generator, pad: int = 4) -> Any:
    """Images shifted by up to `pad` pixels each way, every second one mirrored, as a new array.

    y[n, i, j] = x[n, i + a, j' + b],   j' = j or W - 1 - j;  beyond the edge lies the mean pixel
    (He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2)

    Parameters
    ----------
    xp : array module of x
    x (N, H, W, C) : images, standardised, so that the mean pixel is 0
    rng : draws on the host, so that every backend sees the same images
    """
    checks.check_can(xp, "xp", "the array module of x, such as numpy", "asarray", "pad")
    checks.check_floats(x, "crop_and_flip")
    checks.check_generator(rng)
    if x.ndim != 4:
        raise ValueError(f"x must have shape (N, H, W, C); got {x.shape}.")
    N, H, W, _ = x.shape
    checks.check_positive_int(pad, "pad", minimum=0, maximum=min(H, W))
    rows = rng.integers(0, 2 * pad + 1, (N, 1)) + np.arange(H)
    columns = rng.integers(0, 2 * pad + 1, (N, 1)) + np.arange(W)
    columns = np.where(rng.random((N, 1)) < 0.5, columns[:, ::-1], columns)
    indices = (np.arange(N)[:, None, None], rows[:, :, None], columns[:, None, :])
    index = tuple(backend.asarray(xp, part) for part in indices)
    return xp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))[index]
