"""Data sets: what they hold, what they refuse, and that a failed download leaves nothing behind."""

import gzip
import hashlib
import importlib
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni.datasets import (
    DataError,
    Dataset,
    addition,
    cifar10,
    crop_and_flip,
    cytometry,
    digits,
    download,
    mnist,
    tinyshakespeare,
)

mnist_module = importlib.import_module("tinydni.datasets.mnist")    # td.datasets.mnist: a function
digits_module = importlib.import_module("tinydni.datasets.digits")
ROOT = Path(__file__).parents[2]


# The data set itself ------------------------------------------------------------------------------

def small(n=6, n_test=4, n_in=3, **changes):
    """A data set of labels with some of its fields changed."""
    rng = np.random.default_rng(0)
    x, x_test = (rng.standard_normal((size, n_in)).astype(np.float32) for size in (n, n_test))
    fields = dict(name="small", x=x, y=np.arange(n) % 5, x_test=x_test,
                  y_test=np.arange(n_test) % 5, n_classes=5)
    return Dataset(**(fields | changes))


def test_sizes_and_context_of_labels():
    data = small()
    assert (data.n_in, data.n_out) == (3, 5)
    for dtype in (np.float32, np.float64):
        context = data.context(dtype)
        assert context.shape == (6, 5) and context.dtype == dtype
        np.testing.assert_array_equal(context.argmax(axis=1), data.y)
        np.testing.assert_array_equal(np.sort(context, axis=1)[:, :-1], 0)
        np.testing.assert_array_equal(context.sum(axis=1), 1)
    with pytest.raises(TypeError, match="dtype must be float32 or float64.*int"):
        data.context(np.int64)


def test_sizes_and_context_of_bits():
    data = addition(bits=3)
    assert (data.n_in, data.n_out, data.n_classes) == (6, 4, None)
    context = data.context(np.float64)
    assert context.dtype == np.float64
    np.testing.assert_array_equal(context, data.y)


def test_validation_is_the_end_of_the_training_part_and_the_test_set_is_gone():
    data = small(n=6)
    held = data.with_validation(2)
    assert held.held_out == "validation" and data.held_out == "test"
    np.testing.assert_array_equal(held.x, data.x[:4])
    np.testing.assert_array_equal(held.y, data.y[:4])
    np.testing.assert_array_equal(held.x_test, data.x[4:])
    np.testing.assert_array_equal(held.y_test, data.y[4:])
    assert "last 2 of 6" in held.notes[-1]


@pytest.mark.parametrize("n, error", [
    (0, ValueError), (-1, ValueError), (6, ValueError), (2.0, TypeError), (True, TypeError)])
def test_validation_refuses_a_wrong_size(n, error):
    with pytest.raises(error, match="number of validation examples"):
        small(n=6).with_validation(n)


X = np.zeros((6, 3), np.float32)
NAN, INF = X.copy(), X.copy()
NAN[4, 1], INF[0, 2] = np.nan, -np.inf


@pytest.mark.parametrize("changes, error, message", [
    (dict(x=X.tolist()), TypeError, "x must be a NumPy array; got list"),
    (dict(x=X.astype(np.float64)), TypeError, "x must have dtype float32; got float64"),
    (dict(x_test=X.astype(int)), TypeError, "x_test must have dtype float32; got int64"),
    (dict(x=X[0]), ValueError, r"x must have shape \(N, D\).*got \(3,\)"),
    (dict(x=X[:0], y=np.zeros(0, int)), ValueError,
     r"x must have shape.*at least one.*got \(0, 3\)"),
    (dict(x=X[:5]), ValueError, "x and y .* 5 inputs and 6 targets"),
    (dict(x_test=X[:3]), ValueError, "x_test and y_test .* 3 inputs and 4 targets"),
    (dict(x_test=X[:4, :2]), ValueError, r"same width; got shapes \(6, 3\) and \(4, 2\)"),
    (dict(x=NAN), ValueError, r"x must be finite; got nan at index \(4, 1\)"),
    (dict(x_test=INF[:4]), ValueError, r"x_test must be finite; got -inf at index \(0, 2\)"),
    (dict(y=np.array([0, 1, 5, 0, 0, 0])), ValueError, r"y must lie in 0 ... 4; got 5 at index 2"),
    (dict(y_test=np.array([0, 1, 2, -1])), ValueError,
     "y_test must lie in 0 ... 4; got -1 at index 3"),
    (dict(y=np.zeros(6, np.float32)), TypeError, "y must have dtype int64; got float32"),
    (dict(y=np.zeros((6, 1), int)), ValueError, r"y must have shape \(N,\).*got \(6, 1\)"),
    (dict(n_classes=1), ValueError, "n_classes must be at least 2; got 1"),
    (dict(n_classes=-5), ValueError, "n_classes must be at least 2; got -5"),
    (dict(n_classes=5.0), TypeError, "n_classes must be a whole number"),
    (dict(n_classes=None), TypeError, "y must have dtype float32; got int64"),
    (dict(n_classes=None, y=X + 0.5), ValueError,
     r"y must hold bits, 0 or 1; got 0.5 at index \(0, 0\)"),
    (dict(n_classes=None, y=X, y_test=X[:4, :1]), ValueError,
     r"same width; got shapes \(6, 3\) and \(4, 1\)"),
    (dict(held_out="train"), ValueError, "held_out must be 'test' or 'validation'"),
    (dict(held_out=np.zeros(2)), ValueError, "held_out must be 'test' or 'validation'"),
    (dict(notes="a sentence"), TypeError, "notes must be a tuple of sentences"),
    (dict(notes=5), TypeError, "notes must be a tuple of sentences; got 5"),
    (dict(x=np.ma.array(X, mask=True)), TypeError, "x must be a NumPy array; got MaskedArray"),
])
def test_wrong_data_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        small(**changes)


@pytest.mark.parametrize("shape, error, message", [
    ((2, 2, 1), ValueError, "H · W · C must be 3, the values of one input; got 2, 2 and 1"),
    ((3, -1, 1), ValueError, "W must be at least 1; got -1"),
    ((3, 1, None), TypeError, r"C must be a whole number; got None \(NoneType\)"),
])
def test_images_of_another_size_are_refused(shape, error, message):
    with pytest.raises(error, match=message):
        small().as_images(*shape)


@pytest.mark.parametrize("odd, error, message", [
    (dict(xp=5), TypeError, "xp must be the array module of x.*got 5"),
    (dict(x=[[1.0]]), TypeError, "crop_and_flip: x must be an array of float32.*got list"),
    (dict(x=X), ValueError, r"x must have shape \(N, H, W, C\); got \(6, 3\)"),
    (dict(rng=0), TypeError, "rng must be a numpy.random.Generator; got 0"),
    (dict(pad=9), ValueError, "pad must be at most 4; got 9"),
])
def test_odd_arguments_of_crop_and_flip_are_told(odd, error, message):
    arguments = dict(xp=np, x=np.zeros((2, 4, 4, 3), np.float32), rng=np.random.default_rng(0))
    with pytest.raises(error, match=message):
        crop_and_flip(**arguments | odd)


def test_the_page_on_data_names_every_file_with_its_checksum():
    page = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    of_mnist, of_cifar10, of_text, of_cells = (
        importlib.import_module(f"tinydni.datasets.{name}")
        for name in ("mnist", "cifar10", "text", "cytometry"))
    for file in (*of_mnist.FILES.values(), of_cifar10.ARCHIVE, of_text.FILE):
        assert file.checksum.partition(":")[2] in page and file.path.rpartition("/")[2] in page
    for address in (*of_mnist.MIRRORS, *of_cifar10.ARCHIVE.addresses):
        assert f"<{address}>" in page
    assert f"{of_text.OFFICIAL:,} characters" in page
    assert sorted(of_cells.FILES) == sorted(f"{kind}{i}.csv" for kind in ("sample", "labels")
                                            for i in of_cells.SAMPLES)
    assert of_cells.CHECKSUMS.name in page and "of the 32 files" in page


# Binary addition ----------------------------------------------------------------------------------

def to_numbers(bits):
    """The numbers that rows of bits stand for, most significant bit first."""
    return [int("".join(str(int(bit)) for bit in row), 2) for row in bits]


def pairs_and_sums(x, y):
    half = x.shape[1] // 2
    return list(zip(to_numbers(x[:, :half]), to_numbers(x[:, half:]))), to_numbers(y)


@settings(deadline=None, max_examples=20)
@given(bits=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_addition_holds_every_pair_once_with_its_sum(bits, seed):
    data = addition(bits, seed)
    assert data.x.dtype == data.y.dtype == np.float32
    assert (data.n_in, data.n_out) == (2 * bits, bits + 1)
    train, sums = pairs_and_sums(data.x, data.y)
    test, test_sums = pairs_and_sums(data.x_test, data.y_test)
    assert [a + b for a, b in train + test] == sums + test_sums
    assert sorted(train + test) == [(a, b) for a in range(2**bits) for b in range(2**bits)]
    assert len(train) == 4 * 4**bits // 5
    assert f"All {4**bits:,} pairs" in data.notes[0]


@settings(deadline=None, max_examples=20)
@given(bits=st.integers(4, 31), seed=st.integers(0, 2**32))
def test_addition_of_many_bits_draws_distinct_pairs(bits, seed):
    data = addition(bits, seed, max_pairs=100)
    train, sums = pairs_and_sums(data.x, data.y)
    test, test_sums = pairs_and_sums(data.x_test, data.y_test)
    assert [a + b for a, b in train + test] == sums + test_sums
    assert (len(train), len(test), len(set(train + test))) == (80, 20, 100)
    assert f"A random 100 of the {4**bits:,} pairs" in data.notes[0]


def test_addition_is_written_most_significant_bit_first():
    data = addition(bits=2)
    inputs, sums = np.vstack([data.x, data.x_test]), np.vstack([data.y, data.y_test])
    rows = {tuple(x): tuple(y) for x, y in zip(inputs, sums)}
    assert rows[1, 0, 1, 1] == (1, 0, 1)        # 2 + 3 = 5


def test_addition_and_digits_follow_their_seed():
    for make in (lambda seed: addition(5, seed), lambda seed: addition(30, seed, max_pairs=500),
                 digits):
        first, again, other = make(1), make(1), make(2)
        np.testing.assert_array_equal(first.x, again.x)
        np.testing.assert_array_equal(first.y_test, again.y_test)
        assert not np.array_equal(first.x, other.x)


def test_addition_of_30_bits_by_default_is_a_sample_of_65536():
    data = addition(bits=30)
    assert len(data.x) + len(data.x_test) == 2**16


@pytest.mark.parametrize("arguments, error, message", [
    (dict(bits=0), ValueError, "bits must be at least 1; got 0"),
    (dict(bits=-3), ValueError, "bits must be at least 1; got -3"),
    (dict(bits=32), ValueError, "bits must be at most 31; got 32"),
    (dict(bits=5.0), TypeError, r"bits must be a whole number; got 5.0 \(float\)"),
    (dict(bits=True), TypeError, "bits must be a whole number; got True"),
    (dict(max_pairs=1), ValueError, "max_pairs must be at least 2; got 1"),
    (dict(seed=None), TypeError, r"seed must be a whole number; got None \(NoneType\)"),
    (dict(seed=-1), ValueError, "seed must be at least 0; got -1"),
])
def test_addition_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        addition(**arguments)


# Digits -------------------------------------------------------------------------------------------

def test_digits_are_scaled_split_and_named():
    data = digits()
    assert data.name == "digits" and "not MNIST" in data.notes[0]
    assert data.x.shape == (1437, 64) and data.x_test.shape == (360, 64) and data.n_classes == 10
    assert data.x.dtype == np.float32 and data.y.dtype == np.int64
    x = np.vstack([data.x, data.x_test])
    assert abs(x.mean()) < 0.01 and abs(x.std() - 1) < 0.01
    np.testing.assert_array_equal(np.bincount(np.hstack([data.y, data.y_test])),
                                  [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])


@pytest.mark.parametrize("seed", [0, 1, np.random.SeedSequence(7)])
def test_digits_are_those_of_scikit_learn_bit_for_bit(seed):
    pixels, labels = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    x = ((pixels[order] - 4.884) / 6.017).astype(np.float32)
    data = digits(seed)
    np.testing.assert_array_equal(np.vstack([data.x, data.x_test]), x)
    np.testing.assert_array_equal(np.hstack([data.y, data.y_test]), labels[order])


def test_the_table_of_digits_is_the_one_that_its_page_describes():
    page = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    content = gzip.decompress((ROOT / "data" / "digits.csv.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() in page


def test_digits_that_are_not_there_are_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(digits_module, "PLACES", (tmp_path / "here", tmp_path / "there"))
    with pytest.raises(DataError, match=r"neither in .*here nor in .*there\. Install tinydni"):
        digits()


# MNIST from a local folder ------------------------------------------------------------------------

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = mnist_module.MD5
SIZES = {"train": 7, "t10k": 3}


def images_file(n, rows=28, columns=28, magic=2051):
    pixels = np.random.default_rng(n).integers(0, 256, n * rows * columns, np.uint8)
    return struct.pack(">4I", magic, n, rows, columns) + pixels.tobytes()


def labels_file(n, magic=2049):
    return struct.pack(">2I", magic, n) + bytes(i % 10 for i in range(n))


def small_mnist():
    """The four files of a tiny MNIST, not packed: {official name: content}."""
    kinds = {"images-idx3": images_file, "labels-idx1": labels_file}
    return {f"{part}-{kind}-ubyte.gz": make(n)
            for part, n in SIZES.items() for kind, make in kinds.items()}


@pytest.fixture
def local_mnist(tmp_path, monkeypatch):
    """The folder of a tiny MNIST that TINYDNI_DATA leads to; a try to download fails the test."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name, content in small_mnist().items():
        (folder / name).write_bytes(gzip.compress(content))
    monkeypatch.setenv("TINYDNI_DATA", str(tmp_path))
    monkeypatch.setattr(download, "download",
                        lambda file: pytest.fail(f"tried to download {file.path}"))
    return folder


def check_small_mnist(data):
    files = small_mnist()
    for part, x, y in (("train", data.x, data.y), ("t10k", data.x_test, data.y_test)):
        images = files[f"{part}-images-idx3-ubyte.gz"]
        pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784)
        assert x.dtype == np.float32 and y.dtype == np.int64
        np.testing.assert_allclose(x, (pixels / 255 - 0.1307) / 0.3081, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(y, np.arange(SIZES[part]))
    assert data.n_classes == 10


def test_mnist_from_a_local_folder_says_how_many_records(local_mnist):
    data = mnist()
    check_small_mnist(data)
    notes = " ".join(data.notes)
    assert "local files ($TINYDNI_DATA/mnist)" in notes
    assert str(local_mnist) not in notes                # no path of a machine in a report
    assert "7 of the 60,000 official training images" in notes
    assert "3 of the 10,000 official test images" in notes


def test_mnist_from_unpacked_local_files(local_mnist):
    for name, content in small_mnist().items():
        (local_mnist / name).unlink()
        (local_mnist / name.removesuffix(".gz")).write_bytes(content)
    check_small_mnist(mnist())


def packed(content):
    return gzip.compress(content, mtime=0)


def cut_in_the_checksum(content):
    return gzip.compress(content)[:-4]


def with_damaged_byte(content):
    damaged = bytearray(gzip.compress(content))
    damaged[-5] ^= 0xff             # in the CRC of the content
    return bytes(damaged)


@pytest.mark.parametrize("name, content, message", [
    (TRAIN_IMAGES, b"", "cut off: 0 bytes"),
    (TRAIN_IMAGES, packed(images_file(7)[:10]), "cut off: 10 bytes are no header of 16"),
    (TRAIN_IMAGES, packed(images_file(7)[:-1]),
     "cut off: it promises 7 records, 5,488 bytes, but 5,487"),
    (TRAIN_IMAGES, packed(images_file(7)[:-784]), "cut off: it promises 7 records"),
    (TRAIN_IMAGES, packed(images_file(7) + b"\0"), "too long: it promises 7 records"),
    (TEST_IMAGES, cut_in_the_checksum(images_file(3)), "cut off: its gzip stream has no end"),
    (TEST_IMAGES, with_damaged_byte(images_file(3)), "not a whole gzip file"),
    (TEST_IMAGES, images_file(3), "not a whole gzip file .* must not be named .gz"),
    (TEST_IMAGES, gzip.compress(b"", mtime=0)[:10] + b"\xff\xff\xff", "not a whole gzip file"),
    (TRAIN_IMAGES, packed(labels_file(28)), "begins with the number 2049, not with 2051 as images"),
    (TRAIN_LABELS, packed(images_file(7)), "begins with the number 2051, not with 2049 as labels"),
    (TEST_IMAGES, packed(images_file(3, magic=0)), "begins with the number 0"),
    (TRAIN_IMAGES, packed(images_file(7, 8, 98)), "images of 8 x 98, not 28 x 28"),
    (TRAIN_IMAGES, packed(images_file(0)), "holds no records"),
    (TRAIN_LABELS, packed(labels_file(6)), "holds 6 labels for 7 images"),
    (TEST_LABELS, packed(labels_file(4)), "holds 4 labels for 3 images"),
    (TEST_LABELS, packed(labels_file(3)[:-1] + b"\x0a"),
     "the label 10 in record 2; labels are 0 ... 9"),
    (TEST_IMAGES, packed(images_file(10_001)), "holds 10,001 images, more than 10,000"),
])
def test_a_broken_mnist_file_is_named(local_mnist, name, content, message):
    path = local_mnist / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        mnist()
    assert str(caught.value).startswith(str(path))
    assert "Put the official file in its place, or unset TINYDNI_DATA" in str(caught.value)


def test_a_missing_local_file_is_named_and_not_downloaded(local_mnist):
    (local_mnist / TEST_LABELS).unlink()
    with pytest.raises(DataError, match="TINYDNI_DATA is set to .*, but there is no file") as error:
        mnist()
    assert "unset it to download" in str(error.value)
    assert repr(str(local_mnist.parent)) in str(error.value)
    assert str(local_mnist / TEST_LABELS) in str(error.value)


@pytest.mark.parametrize("value", ["", "nowhere", "a_file", "~nosuchuser/x"])
def test_a_wrong_folder_is_named_and_nothing_is_downloaded(local_mnist, monkeypatch, value):
    (local_mnist / "a_file").write_text("")
    monkeypatch.chdir(local_mnist)
    monkeypatch.setenv("TINYDNI_DATA", value)
    with pytest.raises(DataError, match=f"TINYDNI_DATA is set to '{value}', but there is no such "
                                        "folder.*unset"):
        mnist()


def test_a_local_file_that_cannot_be_read(local_mnist, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(gzip, "open", refuse)
    with pytest.raises(DataError, match=f"{TRAIN_IMAGES} cannot be read .Permission denied."):
        mnist()


# What lies nearby ---------------------------------------------------------------------------------

def complaint(make, monkeypatch, folder, *files):
    """What `make` says where $TINYDNI_DATA is a folder that holds these files and no other."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"something")
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("TINYDNI_DATA", str(folder))
    with pytest.raises(DataError) as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize("make, there, target", [
    (mnist, "mnist/train-images.idx3-ubyte", "mnist/train-images-idx3-ubyte"),
    (mnist, "MNIST/raw/train-images-idx3-ubyte", "mnist/train-images-idx3-ubyte"),
    (mnist, "MNIST/raw/train-images-idx3-ubyte.gz", "mnist/train-images-idx3-ubyte.gz"),
    (mnist, "train-images-idx3-ubyte/train-images-idx3-ubyte", "mnist/train-images-idx3-ubyte"),
    (cifar10, "data_batch_1.bin", "cifar-10-batches-bin/data_batch_1.bin"),
    (tinyshakespeare, "input.txt", "tinyshakespeare/input.txt"),
    (tinyshakespeare, "texts/tinyshakespeare.txt", "tinyshakespeare/input.txt"),
    (lambda: cytometry(1), "Data/MultiCenter_16sample/sample1.csv", "deepcytof/sample1.csv"),
])
def test_a_file_in_the_wrong_place_is_to_be_moved(monkeypatch, tmp_path, make, there, target):
    said = complaint(make, monkeypatch, tmp_path, there)
    assert f"{tmp_path / there} looks like it: move it to {tmp_path / target}," in said


@pytest.mark.parametrize("make, there, what", [
    (mnist, "mnist_train.csv", "looks like Kaggle's table; the four official files, in IDX"),
    (mnist, "digit-recognizer/train.csv", "looks like Kaggle's table"),
    (cifar10, "cifar-10-batches-py/data_batch_1", "is not the binary version; cifar-10-binary"),
    (cifar10, "cifar-10-python.tar.gz", "is not the binary version; cifar-10-binary.tar.gz is"),
    (cifar10, "cifar-10-batches-mat/data_batch_1.mat", "is not the binary version"),
    (cifar10, "cifar-10-binary.tar.gz", "is still packed; unpack it"),
])
def test_a_file_of_another_form_is_named(monkeypatch, tmp_path, make, there, what):
    assert f"{tmp_path / there} {what}" in complaint(make, monkeypatch, tmp_path, there)


@pytest.mark.parametrize("make, folder, name", [
    (mnist, "mnist", "train-images-idx3-ubyte.gz"),
    (cifar10, "cifar-10-batches-bin", "data_batch_1.bin"),
    (tinyshakespeare, "tinyshakespeare", "input.txt")])
def test_the_folder_of_one_data_set_is_not_the_folder_of_all(monkeypatch, tmp_path, make, folder,
                                                             name):
    said = complaint(make, monkeypatch, tmp_path / folder, name)
    assert said.endswith(f"{name} looks like it: set TINYDNI_DATA to {tmp_path}.")


def test_what_lies_too_deep_or_is_a_folder_is_not_named(monkeypatch, tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").mkdir()
    said = complaint(mnist, monkeypatch, tmp_path, "a/b/c/train-images-idx3-ubyte.gz")
    assert "Put it there, or set TINYDNI_DATA to the folder that holds mnist/" in said


# Downloads, from a server on this machine ---------------------------------------------------------

CONTENT = bytes(range(256)) * 1000


class Handler(BaseHTTPRequestHandler):
    """Serves /good/..., and in other folders what goes wrong with servers."""

    def do_GET(self):
        server, (folder, name) = self.server, self.path.strip("/").split("/")
        server.asked.append(self.path)
        content = server.files[name]
        self.send_response(404 if folder == "missing" else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write({"good": content, "wrong": content[::-1], "missing": content,
                          "short": content[:len(content) // 2]}[folder])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server on this machine: `files` {name: content} to serve, `url`, `asked`: the paths."""
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.url = f"http://127.0.0.1:{server.server_port}"
        server.files, server.asked = {"file.bin": CONTENT}, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no TINYDNI_DATA."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(download, "cache_folder", lambda: folder)
    monkeypatch.delenv("TINYDNI_DATA", raising=False)
    return folder


def remote(server, *folders):
    """file.bin, to be had from these folders of the server."""
    addresses = tuple(f"{server.url}/{folder}/file.bin" for folder in folders)
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    return download.RemoteFile("some/file.bin", addresses, checksum)


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_download_is_cached(server, cache, capfd):
    file = remote(server, "good")
    path = download.find(file)
    assert path == cache / "some" / "file.bin" and path.read_bytes() == CONTENT
    assert "100%" in capfd.readouterr().err             # the progress bar
    assert download.find(file) == path
    assert server.asked == ["/good/file.bin"]
    assert files_in(cache) == [path]


@pytest.mark.parametrize("first", ["wrong", "missing", "short"])
def test_the_second_mirror_serves_what_the_first_does_not(server, cache, first):
    path = download.find(remote(server, first, "good"))
    assert path.read_bytes() == CONTENT
    assert server.asked == [f"/{first}/file.bin", "/good/file.bin"]
    assert files_in(cache) == [path]


@pytest.mark.parametrize("folder, message", [
    ("wrong", "wrong checksum"),
    ("missing", "the server answered 404 Not Found"),
    ("short", "the transfer broke off|wrong checksum"),     # the latter with an older urllib3
])
def test_a_failed_download_leaves_no_file(server, cache, folder, message):
    with pytest.raises(DataError, match=rf"from {server.url}/{folder}/file.bin \(({message})\)"):
        download.find(remote(server, folder))
    assert files_in(cache) == []


def test_no_network_is_one_sentence_that_names_all_addresses(server, cache, monkeypatch):
    import requests

    def no_network(*arguments, **options):
        raise requests.exceptions.ConnectionError("Max retries exceeded")
    monkeypatch.setattr(requests, "get", no_network)
    with pytest.raises(DataError) as caught:
        mnist()
    message = str(caught.value)
    for mirror in mnist_module.MIRRORS:
        assert f"{mirror}{TRAIN_IMAGES} (the connection failed)" in message
    assert "set TINYDNI_DATA to a folder that holds mnist/" in message
    assert "tinydni train digits" in message
    assert "\n" not in message and "Max retries" not in message
    assert files_in(cache) == []


def test_what_the_operating_system_says_is_passed_on(cache, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))                   # taken, but nobody listens
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        with pytest.raises(DataError, match=r"\(the connection failed: Connection refused\)"):
            download.find(download.RemoteFile("some/file.bin", (address,), "md5:" + 32 * "0"))


def test_no_answer_in_time_is_said(server, cache, monkeypatch):
    import requests

    def too_late(*arguments, timeout, **options):
        raise requests.exceptions.ReadTimeout(f"no answer in {timeout}")
    monkeypatch.setattr(requests, "get", too_late)
    with pytest.raises(DataError, match="no answer in time"):
        download.find(remote(server, "good"))


def test_a_damaged_file_in_the_cache_is_replaced_or_removed(server, cache):
    path = cache / "some" / "file.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:100])
    assert download.find(remote(server, "good")).read_bytes() == CONTENT
    path.write_bytes(CONTENT[:100])
    with pytest.raises(DataError):
        download.find(remote(server, "missing"))
    assert files_in(cache) == []


def test_an_interrupted_download_leaves_no_file(server, cache, monkeypatch):
    import requests
    received = requests.Response.iter_content

    def interrupted(self, *arguments, **options):
        yield next(received(self, 1000))
        assert files_in(cache)                          # the first bytes are on their way
        raise KeyboardInterrupt
    monkeypatch.setattr(requests.Response, "iter_content", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download.find(remote(server, "good"))
    assert files_in(cache) == []


def test_a_cache_that_cannot_be_written(server, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="file.bin could not be written.*set TINYDNI_DATA"):
        download.find(remote(server, "good"))


@pytest.mark.parametrize("package", ["pooch", "tqdm"])
def test_a_missing_package_is_named(server, cache, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match="pip install pooch tqdm"):
        download.find(remote(server, "good"))


def test_mnist_by_download(server, cache, monkeypatch):
    server.files = {name: packed(content) for name, content in small_mnist().items()}
    for name, content in server.files.items():
        file = replace(mnist_module.FILES[name], checksum="md5:" + hashlib.md5(content).hexdigest(),
                       addresses=(f"{server.url}/missing/{name}", f"{server.url}/good/{name}"))
        monkeypatch.setitem(mnist_module.FILES, name, file)
    for _ in range(2):
        check_small_mnist(mnist())
        assert len(server.asked) == 8       # two addresses for each of four files, and only once
    assert sorted(path.name for path in files_in(cache)) == sorted(server.files)


def test_every_remote_file_has_mirrors_and_a_checksum():
    for name, file in mnist_module.FILES.items():
        assert file.path == f"mnist/{name}"
        assert len(file.addresses) == 2
        assert all(address.endswith(f"/mnist/{name}") for address in file.addresses)
        assert len(bytes.fromhex(file.checksum.removeprefix("md5:"))) == 16


def test_importing_the_data_sets_imports_none_of_the_optional_packages():
    code = "import sys, tinydni.datasets; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                            check=True)
    imported = set(answer.stdout.split())
    assert "tinydni.datasets" in imported
    assert not imported & {"pooch", "tqdm", "requests", "sklearn"}
