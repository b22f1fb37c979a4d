"""CIFAR-10: the loader, the random crops, and the job with a residual network in two parts."""

import importlib
import io
import json
import tarfile

import numpy as np
import pytest
from test_cli import refused

import tinydni as td
from tinydni.datasets import DataError, cifar10, crop_and_flip
from tinydni.lab import cli
from tinydni.lab.jobs.cifar10 import JOB, middle
from tinydni.lab.tables.images import CIFAR10, cosine
from tinydni.models import resnet
from tinydni.variants.controls import Scaled
from tinydni.variants.virtual_network import VirtualNetwork

# the package's name `cifar10` is the function
module = importlib.import_module("tinydni.datasets.cifar10")


def file_of(n, seed):
    """The bytes of n records."""
    data = np.random.default_rng(seed).integers(0, 256, (n, module.RECORD), dtype=np.uint8)
    data[:, 0] = np.arange(n) % 10
    return data.tobytes()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with six small files, as $TINYDNI_DATA. Returns the folder of the files."""
    folder = tmp_path / "data" / module.FOLDER
    folder.mkdir(parents=True)
    for i, name in enumerate((*module.TRAINING, module.TEST)):
        (folder / name).write_bytes(file_of(20, i))
    monkeypatch.setenv("TINYDNI_DATA", str(folder.parent))
    monkeypatch.chdir(tmp_path)
    return folder


# The data

def test_pixels_and_labels_are_where_they_belong(files):
    data = cifar10()
    assert data.x.shape == (100, 32, 32, 3) and data.x_test.shape == (20, 32, 32, 3)
    assert data.x.dtype == np.float32
    raw = np.frombuffer((files / "data_batch_2.bin").read_bytes(), np.uint8).reshape(20, -1)
    np.testing.assert_array_equal(data.y[20:40], raw[:, 0])
    # planes of red, green, blue, row by row
    for channel, row, column in ((0, 0, 0), (1, 3, 31), (2, 31, 5)):
        pixel = raw[:, 1 + 1024 * channel + 32 * row + column] / 255
        np.testing.assert_allclose(data.x[20:40, row, column, channel],
                                   (pixel - module.MEAN[channel]) / module.STD[channel],
                                   rtol=1e-5, atol=1e-6)
    assert any("20 of the 10,000 official test images" in note for note in data.notes)
    assert data.as_rows().x.shape == (100, 3072)


@pytest.mark.parametrize("content, says", [(b"", "0 bytes"), (file_of(2, 0)[:-1], "6,145 bytes"),
                                           (bytes([10]) + file_of(2, 0)[1:],
                                            "label 10 in record 0")])
def test_broken_files_are_named(files, content, says):
    (files / "data_batch_3.bin").write_bytes(content)
    with pytest.raises(DataError, match=f"data_batch_3.bin.*{says}"):
        cifar10()


def test_a_missing_file_is_named(files):
    (files / "test_batch.bin").unlink()
    with pytest.raises(DataError, match="test_batch.bin"):
        cifar10()


def test_the_archive_is_read_as_it_is(files, monkeypatch, tmp_path):
    local = cifar10()
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as archive:
        for name in (*module.TRAINING, module.TEST):
            data = (files / name).read_bytes()
            info = tarfile.TarInfo(f"{module.FOLDER}/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    monkeypatch.delenv("TINYDNI_DATA")
    monkeypatch.setattr(module, "download", lambda file: tmp_path / "archive.tar.gz")
    np.testing.assert_array_equal(cifar10().x, local.x)
    (tmp_path / "archive.tar.gz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="is not the archive"):
        cifar10()


def test_crops_and_mirrors_are_those_of_the_image():
    x = np.random.default_rng(0).standard_normal((40, 6, 5, 2)).astype(np.float32)
    before, y = x.copy(), crop_and_flip(np, x, np.random.default_rng(1), pad=2)
    np.testing.assert_array_equal(x, before)
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    found = set()
    for n in range(len(x)):
        possible = {(a, b, flip): np.array_equal(y[n], image[a:a + 6, b:b + 5][:,
                                                                               ::-1 if flip else 1])
                    for image in (padded[n],
                                  ) for a in range(5) for b in range(5) for flip in (False, True)}
        found |= {key for key, same in possible.items() if same}
        assert any(possible.values())
    assert len(found) > 20 and {flip for _, _, flip in found} == {False, True}
    np.testing.assert_array_equal(y, crop_and_flip(np, x, np.random.default_rng(1), pad=2))


# The job

SMALL = ["--layers", "8", "--width", "4", "--epochs", "1", "--batch-size", "16", "--quiet"]


def train(*options):
    assert cli.main(["train", "cifar10", *SMALL, "--json", "r.json", *options]) == 0
    with open("r.json") as stream:
        return json.load(stream)


@pytest.mark.parametrize("options", [[], ["--method", "cdni"], ["--method", "dni"],
                                     ["--method", "backprop"], ["--method", "local"],
                                     ["--method", "bottom"], ["--method", "none"], ["--untrained"],
                                     ["--supervised", "4"],
                                     ["--model", "cnn", "--layers", "3"],
                                     ["--model", "fcn", "--layers", "3"]], ids=" ".join)
def test_every_method_of_the_table_trains(files, options):
    result = train(*options)
    assert 0 <= result["test_error"] <= 100
    assert all(np.isfinite(result["history"]["train_loss"]))


def test_the_fifth_file_is_held_out(files):
    run = JOB.run(JOB.options({"layers": 8, "width": 4, "batch_size": 16, "validation": True}))
    data = run.training.dataset
    assert len(data.x) == 80 and data.held_out == "validation"
    np.testing.assert_array_equal(data.x_test, cifar10().x[80:])


def test_there_is_one_interface_above_the_first_block_of_the_second_stage(files):
    run = JOB.run(JOB.options({"layers": 8, "width": 4, "batch_size": 16}))
    bottom, top = run.network.modules
    assert bottom.block.output_shape((32, 32, 3)) == (16, 16, 8)
    blocks = resnet(20, np.random.default_rng(0), (4, 8, 16))
    shape = (32, 32, 3)
    for block in blocks[:middle(20)]:
        shape = block.output_shape(shape)
    # five residual blocks and the head
    assert shape == (16, 16, 8) and len(blocks) - middle(20) == 6


def test_images_change_in_every_step_and_alike_after_resuming(files):
    options = JOB.options({"layers": 8, "width": 4, "batch_size": 16, "epochs": 2})
    seen = []

    def watched(run, stop=None):
        augment = run.training.augment
        run.training.augment = lambda *args: seen.append(augment(*args)) or seen[-1]
        run.training.run([lambda training: setattr(training, "stopped", training.step == stop)])
        return run

    whole = watched(JOB.run(options))
    first, seen[:] = list(seen), []
    half = watched(JOB.run(options), stop=3)
    rest = JOB.run(options)
    rest.network.load_state(half.network.state())
    rest.training.go_to(half.training.position())
    watched(rest)
    assert len(seen) == len(first) == 12
    for a, b in zip(first, seen):
        np.testing.assert_array_equal(a, b)
    assert rest.training.history == whole.training.history


def test_workers_are_refused(files, capsys):
    assert "unrecognized arguments: --workers 2" in refused(capsys, "train", "cifar10",
                                                            "--workers", 2)


def test_gradients_are_compared_before_every_kth_step(files):
    result = train("--measure-gradients", "2")
    history = result["history"]
    assert history["gradients_at"] == [1 / 6, 3 / 6, 5 / 6] and len(history["gradients"]) == 3
    assert cosine(result, 0.4, 0.6) == (history["gradients"][1][0]["cosine"] or 0.0)
    # nothing there: the nearest
    assert cosine(result, 0.2, 0.21) == (history["gradients"][0][0]["cosine"] or 0.0)


def test_the_table_compares_every_method(files):
    cells = CIFAR10.cells(4)
    assert len({cell.row for cell in cells}) == 9
    assert all(cell.options["validation"] is True for cell in cells)


# Pieces

def test_a_cosine_rises_falls_and_ends_at_zero():
    schedule = td.CosineDecay(100, warm_up=10)
    np.testing.assert_allclose([schedule(step) for step in (0, 4, 9, 10, 55, 100, 200)],
                               [0.1, 0.5, 1, 1, 0.5, 0, 0], atol=1e-12)
    assert td.CosineDecay(10)(0) == 1
    with pytest.raises(ValueError, match="warm_up must be at most 9"):
        td.CosineDecay(10, warm_up=10)


def test_a_scaled_synthesizer_learns_as_the_one_inside_and_speaks_louder():
    rng = np.random.default_rng(0)
    plain = td.LinearSynthesizer(4, dtype=np.float64)
    scaled = Scaled(td.LinearSynthesizer(4, dtype=np.float64), 3.0)
    for _ in range(3):
        h, target = rng.standard_normal((2, 8, 4))
        plain.learn(h, None, target, td.SGD(0.1))
        scaled.learn(h, None, target, td.SGD(0.1))
        assert scaled.loss() == pytest.approx(plain.loss())
        np.testing.assert_allclose(scaled.forward(h), 3 * plain.forward(h), rtol=1e-12)


def test_the_own_loss_of_a_virtual_network_has_the_norm_that_was_asked_for():
    rng = np.random.default_rng(0)
    h, e = rng.standard_normal((2, 16, 5))
    t = np.eye(3)[rng.integers(3, size=16)]
    found = {}
    for supervised in (0.0, 0.5, 1.0):
        net = td.Sequential(td.Linear(5, 6, np.random.default_rng(1), dtype=np.float64), td.Tanh(),
                            td.Linear(6, 3, np.random.default_rng(2), dtype=np.float64))
        virtual = VirtualNetwork(net, 3, step=1e-5, supervised=supervised)
        virtual.forward(h, t)
        own = np.concatenate([g.ravel() for g in virtual.gradients()])
        virtual.backward(e)
        found[supervised] = np.concatenate([g.ravel() for g in virtual.gradients()])
    direction = own / np.linalg.norm(own)
    for supervised in (0.5, 1.0):
        np.testing.assert_allclose(found[supervised] - found[0.0],
                                   supervised * np.linalg.norm(found[0.0]) * direction, rtol=1e-5,
                                   atol=1e-9)
