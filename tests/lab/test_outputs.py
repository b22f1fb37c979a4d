"""What was computed is kept: outputs are proved before the work, and written whatever happens."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import ADDITION, refused

from tinydni import plots
from tinydni.lab import callbacks, cli, files, outputs
from tinydni.lab.jobs.run import Run
from tinydni.training import Training

FAST = [*ADDITION, "--epochs", "2"]
RESUME = ["train", "addition", "--quiet", "--resume"]
ENOSPC = OSError(28, "No space left on device")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures take most of the time of these runs."""
    monkeypatch.setattr("tinydni.lab.jobs.job.write_picture", lambda draw, path: None)


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(Run, "train", lambda *_: pytest.fail("it trains before it says so"))


def names():
    return sorted(os.listdir())


def result(path):
    return json.loads(Path(path).read_text())


# Before training

@pytest.mark.parametrize("option", ["json", "figure", "save", "timeline"])
@pytest.mark.parametrize("path, says", [
    ("folder.png", "it is a folder|no ordinary file"), ("..", "it is a folder|ordinary|must end"),
    ("nowhere/a.png", "the folder nowhere does not exist"), ("b" * 252 + ".png", "File name too"),
    ("a\0.png", "null byte"), ("read-only.png", "is read-only"), ("notes.png", "has not made it")])
def test_what_cannot_be_written_is_said_before_training(option, path, says, no_training, capsys):
    os.mkdir("folder.png")
    Path("read-only.png").touch(0o444)
    Path("notes.png").write_text("mine")
    workers = ["--workers", "2"] if option == "timeline" else []
    said = refused(capsys, *FAST, *workers, f"--{option}", path)
    assert any(words in said for words in says.split("|")) and f"--{option}: " in said
    assert names() == ["folder.png", "notes.png", "read-only.png"]


@pytest.mark.parametrize("words", ["--json x --save x", "--json ./x --save x", "--json l --save x",
                                   "--figure a.png --timeline a.png --workers 2",
                                   "--json a-gradients.png --figure a.png --measure-gradients"])
def test_no_output_overwrites_another(words, no_training, capsys):
    os.symlink("x", "l")
    assert "of this run; take another name" in refused(capsys, *FAST, *words.split())


def test_no_output_overwrites_the_input(no_pictures, capsys):
    assert cli.main([*FAST, "--save", "a.npz"]) == 0
    before = Path("a.npz").read_bytes()
    assert "a.npz is also an input" in refused(capsys, *RESUME, "a.npz", "--json", "a.npz")
    assert Path("a.npz").read_bytes() == before
    assert cli.main([*RESUME, "a.npz", "--save", "a.npz"]) == 0         # it goes on in its file


def test_what_is_not_ours_is_overwritten_only_by_force(no_pictures, capsys):
    Path("a.json").write_text('{"mine": 1}')
    assert "give --force" in refused(capsys, *FAST, "--json", "a.json")
    assert result("a.json") == {"mine": 1}
    assert cli.main([*FAST, "--json", "a.json", "--force"]) == 0
    assert cli.main([*FAST, "--json", "a.json", "--save", "a.npz"]) == 0        # now it is ours
    assert cli.main([*FAST, "--json", "a.json", "--save", "a.npz"]) == 0


@pytest.mark.parametrize("ending", plots.picture.ENDINGS)
def test_our_pictures_are_ours(ending):
    picture = plots.learning_curve({"a": ([1, 2], [3, 4])})
    plots.save(picture, f"a{ending}")
    assert outputs.is_ours(f"a{ending}")
    Path(f"a{ending}").write_bytes(b"\x89PNG of a holiday")
    assert not outputs.is_ours(f"a{ending}")


def test_two_runs_that_save_to_one_file_are_told_apart(no_pictures, capsys):
    place = os.path.realpath("a.npz")
    with outputs.claimed(place):
        mark, = (name for name in names() if name.startswith(files.PART))
        other = mark.replace(str(os.getpid()), str(os.getppid()))
    Path(other).touch()
    assert f"process {os.getppid()}, saves to a.npz" in refused(capsys, *FAST, "--save", "a.npz")
    os.rename(other, mark.replace(str(os.getpid()), "999999999"))       # it was killed
    assert cli.main([*FAST, "--save", "a.npz"]) == 0
    assert names() == ["a.npz"]


# Where they go

def test_a_link_stays_a_link(no_pictures):
    os.symlink("there.json", "link.json")
    assert cli.main([*FAST, "--json", "link.json"]) == 0
    assert os.readlink("link.json") == "there.json" and "history" in result("there.json")


def test_a_device_stays_a_device(no_pictures):
    if not os.path.exists("/dev/null"):
        pytest.skip("this system has no /dev/null")
    before = os.stat("/dev/null")
    assert cli.main([*FAST, "--json", "/dev/null"]) == 0
    assert os.stat("/dev/null").st_rdev == before.st_rdev and not os.path.isfile("/dev/null")


@pytest.mark.parametrize("path", ["-", "/dev/stdout"])
def test_json_on_the_terminal_can_be_read(path, no_pictures, capsys):
    assert cli.main([*FAST, "--json", path]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["experiment"] == "addition" and "train accuracy" in printed.err
    assert "no ordinary file" in refused(capsys, *FAST, "--save", path)


def test_a_name_as_long_as_the_system_takes(no_pictures):
    path = "a" * 250 + ".json"
    assert cli.main([*FAST, "--json", path]) == 0 and "history" in result(path)


def test_a_fifo_is_no_saved_run(capsys):
    os.mkfifo("fifo")
    assert "fifo is not an ordinary file" in refused(capsys, *RESUME, "fifo")


# At the end

def test_json_and_weights_come_before_a_picture_that_fails(monkeypatch, capsys):
    def fails(draw, path):
        assert "history" in result("a.json") and files.load("a.npz")
        raise RuntimeError("no more ink")
    monkeypatch.setattr("tinydni.lab.jobs.job.write_picture", fails)
    assert cli.main([*FAST, "--json", "a.json", "--save", "a.npz"]) == 1
    printed = capsys.readouterr()
    assert "warning: RuntimeError: no more ink" in printed.err and "train accuracy" in printed.out
    assert "Wrote a.json, a.npz." in printed.out


def test_measured_seldom_is_no_reason_to_lose_a_run(no_pictures):
    assert cli.main([*FAST, "--measure-gradients", "4", "--json", "a.json"]) == 0
    assert len(result("a.json")["history"]["gradients"]) == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no folder that not even root can fill")
def test_a_folder_that_cannot_be_written_loses_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir("/proc")
    path = str(tmp_path / "a.json")
    assert cli.main([*FAST, "--json", path]) == 0 and "history" in result(path)
    assert "Nothing is written to addition-cdni.png" in capsys.readouterr().err


def full(monkeypatch, where):
    """Makes the disk full for files in a folder."""
    whole_file = files.whole_file

    def refusing(path):
        if os.path.dirname(os.path.abspath(path)) == os.path.realpath(where):
            raise ENOSPC
        return whole_file(path)
    monkeypatch.setattr(files, "whole_file", refusing)


@pytest.mark.parametrize("asked", [["--json", "a.json"], ["--save", "a.npz"]])
def test_on_a_full_disk_the_weights_go_elsewhere(asked, tmp_path, monkeypatch, no_pictures, capsys):
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    train = Run.train

    def then_full(run, *arguments):
        full(monkeypatch, tmp_path)
        return train(run, *arguments)
    monkeypatch.setattr(Run, "train", then_full)
    assert cli.main([*FAST, *asked]) == 1
    printed = capsys.readouterr()
    name = "addition-cdni.npz" if "--json" in asked else "a.npz"
    kept = str(tmp_path / "home" / name)
    assert f"the run is kept in {kept}" in printed.err and "train accuracy" in printed.out
    assert "No space left on device" in printed.err
    assert files.load(kept)[1]["position"]["epoch"] == 2
    monkeypatch.setattr(Run, "train", train)
    assert cli.main([*RESUME, kept, "--json", str(tmp_path / "home" / "a.json")]) == 0
    assert len(result(tmp_path / "home" / "a.json")["history"]["epoch"]) == 2


# Interruption

@pytest.mark.parametrize("number", callbacks.STOP_SIGNALS, ids=lambda number: number.name)
def test_a_signal_ends_a_run_as_ctrl_c_does(number, no_pictures, monkeypatch, capsys):
    run_batch, handlers = Training.run_batch, [signal.getsignal(n) for n in callbacks.STOP_SIGNALS]

    def interrupted(training, index):
        run_batch(training, index)
        if training.step == 3:
            os.kill(os.getpid(), number)
    monkeypatch.setattr(Training, "run_batch", interrupted)
    assert cli.main([*FAST, "--save", "a.npz"]) == 130
    assert "--resume a.npz" in capsys.readouterr().out
    assert files.load("a.npz")[1]["position"]["epoch"] == 1
    assert handlers == [signal.getsignal(n) for n in callbacks.STOP_SIGNALS]    # as before
    monkeypatch.setattr(Training, "run_batch", run_batch)
    assert cli.main([*RESUME, "a.npz"]) == 0


def test_a_signal_outside_of_training_is_an_interruption(monkeypatch, capsys):
    monkeypatch.setattr("tinydni.lab.doctor.examine", lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == "\ntinydni: interrupted\n"


def test_a_signal_that_is_ignored_stays_so(no_pictures, monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    with callbacks.on_signals(pytest.fail) as before:
        assert not before


def test_ctrl_c_while_it_is_imported_is_an_interruption(monkeypatch, capsys):
    class Interrupts:
        def find_spec(self, name, path=None, target=None):
            if name == "tinydni.lab.commands":
                raise KeyboardInterrupt
    monkeypatch.delitem(sys.modules, "tinydni.lab.commands")
    monkeypatch.delattr("tinydni.lab.commands")
    monkeypatch.setattr(sys, "meta_path", [Interrupts(), *sys.meta_path])
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == "\ntinydni: interrupted\n"


# The terminal

def python(*words, **environment):
    return subprocess.run([sys.executable, "-m", "tinydni", *words], capture_output=True,
                          env={**os.environ, **environment})


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_help_under_an_old_encoding(encoding):
    done = python("train", "digits", "--help", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"") and b"BP(?): 1 is backprop" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="the shell closes the streams")
def test_training_with_streams_that_are_closed_and_nonsense_for_a_backend(tmp_path):
    command = " ".join([sys.executable, "-m", "tinydni", *FAST[:-3], "--json a.json"])
    done = subprocess.run(["sh", "-c", f"exec {command} 0<&- 1>&- 2>&-"],
                          env={**os.environ, "MPLBACKEND": "nonsense"})
    assert done.returncode == 0 and "history" in result("a.json")
    assert names() == ["a.json", "addition-cdni.png"]
