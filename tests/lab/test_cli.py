"""The commands as a user types them: results, files, interruption, wrong use."""

import json
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from tinydni import backend
from tinydni.lab import cli

ADDITION = ["train", "addition", "--bits", "2", "--epochs", "3", "--width", "8", "--batch-size",
            "4", "--quiet"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    """The command in a process of its own, as from a shell."""
    return subprocess.run([sys.executable, "-m", "tinydni", *arguments], capture_output=True,
                          text=True)


def refused(capsys, *arguments):
    """The sentence with which a command is refused: one line, and an exit code that is not 0."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as exit:          # argparse's own refusals
        code = exit.code
    assert code == 2
    text = capsys.readouterr().err.strip()
    assert "Traceback" not in text
    return text.splitlines()[-1]


def test_addition_writes_what_it_says(in_a_folder_of_its_own, capsys):
    assert cli.main([*ADDITION, "--json", "a.json", "--save", "a.npz"]) == 0
    printed = capsys.readouterr().out
    result = json.loads((in_a_folder_of_its_own / "a.json").read_text())
    assert {"experiment", "method", "options", "seed", "backend", "seconds", "history",
            "versions", "train_accuracy", "test_accuracy", "sees"} <= result.keys()
    assert (result["experiment"], result["method"]) == ("addition", "cdni")
    assert result["sees"] == ["h", "labels"]
    assert result["options"]["bits"] == 2 and len(result["history"]["epoch"]) == 3
    assert result["test_accuracy"] == 100 - result["history"]["test_error"][-1]
    assert f"test accuracy {result['test_accuracy']:.2f} %" in printed
    assert sorted(path.name for path in in_a_folder_of_its_own.iterdir()) == ["a.json", "a.npz",
                                                                              "addition-cdni.png"]
    assert (in_a_folder_of_its_own / "addition-cdni.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("method", ["backprop", "dni", "cdni", "none", "label-only"])
def test_every_method_runs_and_says_what_it_saw(method, in_a_folder_of_its_own):
    assert cli.main([*ADDITION, "--method", method, "--json", "a.json"]) == 0
    seen = {"backprop": [], "none": [], "dni": ["h"], "cdni": ["h", "labels"],
            "label-only": ["labels"]}
    assert json.loads((in_a_folder_of_its_own / "a.json").read_text())["sees"] == seen[method]


def test_digits_learn(in_a_folder_of_its_own):
    assert cli.main(["train", "digits", "--epochs", "10", "--quiet", "--json", "d.json"]) == 0
    assert json.loads((in_a_folder_of_its_own / "d.json").read_text())["test_error"] < 5


def test_the_validation_split_keeps_the_test_set_out(in_a_folder_of_its_own):
    assert cli.main(["train", "digits", "--epochs", "1", "--validation", "--quiet", "--json",
                     "d.json"]) == 0
    result = json.loads((in_a_folder_of_its_own / "d.json").read_text())
    assert "validation_error" in result and "test_error" not in result


def same_curve(a, b):
    return json.loads(a.read_text())["history"] == json.loads(b.read_text())["history"]


def test_ctrl_c_saves_and_resume_continues_to_the_same_curve(in_a_folder_of_its_own):
    folder = in_a_folder_of_its_own
    command = ["train", "addition", "--bits", "6", "--epochs", "8", "--width", "64"]
    assert cli.main([*command, "--quiet", "--json", "whole.json"]) == 0
    process = subprocess.Popen([sys.executable, "-m", "tinydni", *command], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    shown = ""
    while "epoch 2" not in shown and process.poll() is None:    # of the progress bar
        shown += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume addition-cdni.npz" in out
    assert cli.main(["train", "addition", "--resume", "addition-cdni.npz", "--quiet",
                     "--json", "resumed.json"]) == 0
    assert same_curve(folder / "whole.json", folder / "resumed.json")
    assert len(json.loads((folder / "resumed.json").read_text())["history"]["epoch"]) == 8


def test_a_finished_run_can_be_read_again_but_not_changed(in_a_folder_of_its_own, capsys):
    assert cli.main([*ADDITION, "--save", "a.npz", "--json", "a.json"]) == 0
    assert cli.main(["train", "addition", "--resume", "a.npz", "--json", "b.json"]) == 0
    assert same_curve(in_a_folder_of_its_own / "a.json", in_a_folder_of_its_own / "b.json")
    capsys.readouterr()
    assert "--width 9 does not fit a.npz" in refused(capsys, "train", "addition", "--resume",
                                                     "a.npz", "--width", 9)
    assert "does not hold a run of 'train digits'" in refused(capsys, "train", "digits",
                                                              "--resume", "a.npz")


def test_wrong_use_is_one_sentence(capsys, monkeypatch, in_a_folder_of_its_own):
    assert "invalid choice: 'adition'" in refused(capsys, "train", "adition")
    assert "at most the number of training examples, 12; got 13" in refused(
        capsys, "train", "addition", "--bits", 2, "--batch-size", 13)
    assert "must be at least 2; got -3" in refused(capsys, "train", "addition", "--layers", -3)
    assert "must be a whole number; got 'many'" in refused(capsys, "train", "addition", "--epochs",
                                                           "many")
    assert "must be above 0 and finite; got 0" in refused(capsys, "train", "addition", "--lr", 0)
    assert "unrecognized arguments: --bits 4; see tinydni train digits --help" in refused(
        capsys, "train", "digits", "--bits", 4)
    assert refused(capsys, "bench", "workers",
                   "--quick").endswith("--quick; see tinydni bench workers --help")
    assert "--synthesizer does nothing with --method backprop" in refused(
        capsys, "train", "addition", "--method", "backprop", "--synthesizer", "mlp")
    assert "--measure-gradients does nothing with --method none" in refused(
        capsys, "train", "addition", "--method", "none", "--measure-gradients")
    assert "label-only has a fixed form" in refused(
        capsys, "train", "addition", "--method", "label-only", "--context", "none")
    assert "invalid choice: 'tpu'" in refused(capsys, "train", "addition", "--backend", "tpu")
    assert "there is no file missing.npz" in refused(capsys, "train", "addition", "--resume",
                                                     "missing.npz")
    assert "the folder nowhere does not exist" in refused(capsys, *ADDITION, "--json",
                                                          "nowhere/a.json")
    assert "became" in refused(capsys, *ADDITION, "--lr", "1e30")
    monkeypatch.setenv("TINYDNI_DATA", "/nonexistent")
    assert "/nonexistent" in refused(capsys, "train", "mnist")


@pytest.mark.skipif(backend.why_no_cupy() is None, reason="a GPU answers here: nothing is refused")
def test_a_gpu_that_is_not_there_is_one_sentence(capsys):
    assert "backend 'cupy' cannot be used here" in refused(capsys, *ADDITION, "--backend", "cupy")


def test_reproduce_keeps_finished_runs(in_a_folder_of_its_own, monkeypatch, capsys):
    write_small_mnist(in_a_folder_of_its_own / "data" / "mnist")
    monkeypatch.setenv("TINYDNI_DATA", str(in_a_folder_of_its_own / "data"))
    arguments = ["reproduce", "mnist-fcn", "--epochs", "1", "--seeds", "1", "--jobs", "1", "--out",
                 "table"]
    assert cli.main(arguments) == 0
    report = json.loads((in_a_folder_of_its_own / "table" / "mnist-fcn.json").read_text())
    assert {"table", "rows", "settings", "differences", "seconds"} <= report.keys()
    assert len(report["rows"]) == 20
    cell = next(row for row in report["rows"] if (row["row"], row["column"]) == ("6 layers",
                                                                                 "cdni"))
    assert (cell["paper"], cell["seeds"], cell["std"]) == (1.6, 1, None)
    assert 0 <= cell["mean"] <= 100
    assert (in_a_folder_of_its_own / "table" / "mnist-fcn.png").stat().st_size > 5000
    assert "21.4" in (in_a_folder_of_its_own / "table" / "mnist-fcn.md").read_text()
    capsys.readouterr()
    monkeypatch.setattr("tinydni.lab.tables.table.run_one", pytest.fail)
    assert cli.main(arguments) == 0
    assert "20 of 20 runs were finished before" in capsys.readouterr().out
    assert json.loads((in_a_folder_of_its_own / "table" / "mnist-fcn.json").read_text()) == report


def write_small_mnist(folder):
    """A hundred images of 28 x 28 in MNIST's format: bright squares, one place per class."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, n in (("train", 80), ("t10k", 20)):
        labels = np.arange(n, dtype=np.uint8) % 10
        images = rng.integers(0, 50, (n, 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels):
            image[2 * label:2 * label + 6, 2 * label:2 * label + 6] = 255
        sizes = np.array([n, 28, 28], dtype=">i4").tobytes()
        for kind, head, found in (("images-idx3", b"\0\0\x08\x03" + sizes, images),
                                  ("labels-idx1", b"\0\0\x08\x01" + sizes[:4], labels)):
            (folder / f"{name}-{kind}-ubyte").write_bytes(head + found.tobytes())


def test_both_spellings_are_the_same_command():
    script = Path(sysconfig.get_path("scripts")) / "tinydni"
    assert run("--version").stdout == subprocess.run([script, "--version"], capture_output=True,
                                                     text=True).stdout != ""
