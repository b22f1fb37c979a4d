"""The recurrent jobs as a user runs them: tasks, results, resumption, options that fit, tables."""

import json

import numpy as np
import pytest
from test_cli import refused, same_curve, write_small_mnist

from tinydni.datasets import DataError
from tinydni.datasets.text import tinyshakespeare
from tinydni.lab import cli
from tinydni.lab.jobs import copy_task, recall, repeat_copy, text, two_rnn
from tinydni.lab.jobs.job import RecurrentJob

SHORT = {
    "recall": ["--updates", "40", "--width", "8", "--batch-size", "8"],
    "copy": ["--updates", "60", "--width", "8", "--batch-size", "8", "--ahead", "4"],
    "repeat-copy": ["--updates", "60", "--width", "8", "--batch-size", "8", "--ahead", "4"],
    "text": ["--updates", "30", "--width", "8", "--batch-size", "4"],
    "two-rnn": ["--updates", "24", "--width", "8", "--batch-size", "4"],
}
SCORES = {"recall": ["bits", "bits_best"], "copy": ["longest"], "repeat-copy": ["longest"],
          "text": ["bits_per_character"],
          "two-rnn": ["r2_fast", "r2_slow"]}
every_job = pytest.mark.parametrize("job", SHORT)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_small_mnist(tmp_path / "data" / "mnist")
    write_text(tmp_path / "data" / "tinyshakespeare" / "input.txt",
               "To be, or not to be: that is the question.\n" * 100)
    monkeypatch.setenv("TINYDNI_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(two_rnn, "HELD_OUT", 20)
    monkeypatch.setattr(recall, "HELD_OUT", 50)
    return tmp_path


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures take most of the time of short runs."""
    monkeypatch.setattr("tinydni.lab.jobs.job.write_picture", lambda draw, path: None)


def write_text(path, words):
    path.parent.mkdir(exist_ok=True)
    path.write_text(words)


def train(job, *arguments):
    return cli.main(["train", job, *SHORT[job], "--quiet", "--json", "result.json", *arguments])


def result(folder):
    return json.loads((folder / "result.json").read_text())


def options(job, **given):
    return job.JOB.options({"method": "cdni", **given})


# What a user sees

@every_job
@pytest.mark.parametrize("method", ["backprop", "truncated", "dni", "cdni"])
def test_every_job_runs_with_every_method(job, method, data, capsys):
    if (job, method) == ("text", "backprop"):           # a text has no end
        assert "invalid choice: 'backprop'" in refused(capsys, "train", "text", "--method",
                                                       "backprop")
        return
    assert train(job, "--method", method) == 0
    found = result(data)
    assert (found["experiment"], found["method"]) == (job, method)
    assert set(SCORES[job]) <= found.keys()
    assert ("window" in found["options"]) == (method != "backprop")
    assert len(found["sees"]) == {"dni": 1, "cdni": 2}.get(method, 0)
    assert (data / f"{job}-{method}.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert all(name.replace("_", " ") in printed for name in SCORES[job])


@every_job
def test_a_stopped_run_goes_on_to_the_same_curve(job, data, no_pictures):
    module = {"recall": recall, "copy": copy_task, "repeat-copy": repeat_copy, "text": text,
              "two-rnn": two_rnn}[job]
    given = dict(zip((name.lstrip("-").replace("-", "_") for name in SHORT[job][::2]),
                     map(int, SHORT[job][1::2])))
    full = options(module, **given)
    whole = module.JOB.run(full).train(quiet=True)
    first = module.JOB.run(full)

    def stop(training):
        training.stopped = training.sequence == 3

    first.training.run([stop])
    first.save("half.npz")
    assert not first.training.finished
    assert cli.main(["train", job, "--resume", "half.npz", "--quiet", "--json",
                     "resumed.json"]) == 0
    resumed = json.loads((data / "resumed.json").read_text())
    assert resumed["history"] == json.loads(json.dumps(whole.training.history))


def test_a_finished_run_can_be_read_again(data, no_pictures):
    assert train("copy", "--save", "copy.npz") == 0
    assert cli.main(["train", "copy", "--resume", "copy.npz", "--quiet", "--json",
                     "again.json"]) == 0
    assert same_curve(data / "result.json", data / "again.json")


@pytest.mark.parametrize("arguments", [["--layers", "2"],
                                       ["--layers", "2", "--method", "dni", "--window", "2"],
                                       ["--aux"], ["--method", "dni", "--aux", "--scale", "1"],
                                       ["--each-window"],
                                       ["--synthesizer", "mlp"],
                                       ["--layers", "2", "--method", "truncated"]])
def test_options_change_the_run(arguments, data, no_pictures):
    assert train("recall") == 0
    plain = result(data)
    assert train("recall", *arguments) == 0
    assert result(data)["history"] != plain["history"]


def test_windows_of_a_sequence_can_be_summed_or_not(data, no_pictures):
    histories = []
    for arguments in ([], ["--each-window"], ["--no-each-window"]):
        assert train("copy", *arguments) == 0
        histories.append(result(data)["history"])
    assert histories[0] == histories[1] != histories[2]


def test_wrong_use_is_one_sentence(capsys, data):
    assert "--scale does nothing with --method truncated" in refused(
        capsys, "train", "recall", "--method", "truncated", "--scale", "0.1")
    assert "--window does nothing with --method backprop" in refused(
        capsys, "train", "copy", "--method", "backprop", "--window", "3")
    assert "--aux is a second head" in refused(capsys, "train", "copy", "--aux", "--synthesizer",
                                               "linear")
    assert "must be from 0 to 1; got 2" in refused(capsys, "train", "copy", "--scale", "2")
    assert "unrecognized arguments: --distractors 3" in refused(capsys, "train", "copy",
                                                                "--distractors", "3")
    assert "unrecognized arguments: --layers 2" in refused(capsys, "train", "two-rnn", "--layers",
                                                           "2")
    assert "unrecognized arguments: --no-each-window" in refused(capsys, "train", "text",
                                                                 "--no-each-window")
    assert "--window a multiple of it" in refused(capsys, "train", "two-rnn", "--window", "6")
    assert "became" in refused(capsys, "train", "two-rnn", *SHORT["two-rnn"], "--quiet", "--lr",
                               "1e30")


def test_quick_is_quick(data, monkeypatch):
    monkeypatch.setattr(RecurrentJob, "quick", ("updates", 20))
    assert cli.main(["train", "recall", "--quick", "--quiet", "--json", "result.json"]) == 0
    assert result(data)["options"]["updates"] == 20


# The tasks

def test_recall_asks_for_the_flagged_symbol():
    task = recall.Recall(options(recall, distractors=4))
    windows = task.windows(0)
    x, target = (np.concatenate([getattr(window, name) for window in windows],
                                axis=1) for name in ("x", "target"))
    assert x.shape == (64, 6, 6) and (x[:, 0, 4] == 1).all() and (x[:, 5, 5] == 1).all()
    np.testing.assert_array_equal(x[:, 0, :4].argmax(axis=1), target[:, 5])
    assert [len(window.asked) for window in windows] == [0] * (len(windows) - 1) + [1]
    np.testing.assert_array_equal(windows[0].context_at_end().argmax(axis=1), target[:, 5])
    np.testing.assert_array_equal(task.windows(3)[0].x, task.windows(3)[0].x)
    # the phase is random
    assert any((task.windows(i)[0].x.shape != windows[0].x.shape) for i in range(8))


def test_copy_asks_for_the_row_and_shows_the_targets_ahead():
    task = copy_task.Copy(options(copy_task, ahead=3))
    x, target, asked = task.draw(np.random.default_rng(0), 5, 4)
    np.testing.assert_array_equal(x[:, :4, :2].argmax(axis=2), target[:, asked])
    assert list(asked) == [5, 6, 7, 8] and x.shape == (5, 9, 4) and not x[:, 5:, :3].any()
    ahead = task.targets_ahead(target, asked).reshape(5, 10, 3, 2)
    for t in range(10):
        for k in range(3):
            expected = np.eye(2)[target[:, t + k]] if t + k in asked else np.zeros((5, 2))
            np.testing.assert_array_equal(ahead[:, t, k], expected)


def test_repeat_copy_repeats_and_ends():
    task = repeat_copy.RepeatCopy(options(repeat_copy))
    assert [task.length(level) for level in range(1, 7)] == [1, 2, 4, 6, 9, 12]
    x, target, asked = task.draw(np.random.default_rng(0), 3, 4)       # three bits, twice
    bits = x[:, :3, :2].argmax(axis=2)
    np.testing.assert_array_equal(target[:, asked], np.concatenate([bits, bits,
                                                                    np.full((3, 1), 2)], axis=1))
    assert np.allclose(x[:, 3, 2], 0.2) and x.shape[1] == 11


def test_the_curriculum_rises_with_success():
    task, twin = (repeat_copy.RepeatCopy(options(repeat_copy)) for _ in range(2))
    for _ in range(30):
        task.learned(0.9 * np.log(2))
    assert task.level == 1 and task.longest == 0
    while task.level < 4:
        task.learned(0.0)
    assert task.longest == 4 and task.running == 1.0        # two bits, twice
    twin.load_state(task.state())
    assert twin.state() == task.state() == {"level": 4, "longest": 4, "bits": 1.0}


def test_text_is_cut_into_streams_that_go_on():
    task = text.NextCharacter(options(text, batch_size=2, window=4, ahead=3))
    first, second = task.windows(0)[0], task.windows(1)[0]
    np.testing.assert_array_equal(first.x.argmax(axis=2)[:, 1:], first.target[:, :-1])
    np.testing.assert_array_equal(second.x.argmax(axis=2)[:, 0], first.target[:, -1])
    assert first.first and not second.first and not first.last
    # at the boundary: the three targets that follow
    ahead = first.context_at_end().reshape(2, 3, -1).argmax(axis=2)
    np.testing.assert_array_equal(ahead, second.target[:, :3])
    assert task.text.spell(task.text.train[:5]) == "To be"


def test_two_rnn_counts():
    task = two_rnn.TwoCounts(options(two_rnn))
    odd, threes = task.counts(np.array([[3, 4, 3, 1, 8, 3, 9, 2] * 3]))
    np.testing.assert_array_equal(odd[0, :8, 0], [1, 1, 2, 3, 3, 4, 5, 5])
    np.testing.assert_array_equal(threes[0, :, 0], [2, 3, 5, 6, 8, 9])
    rows = np.random.default_rng(0).standard_normal((50, 3, 1)) + np.arange(3)[:, None]
    assert two_rnn.r2(rows, rows) == 1
    # knowing the step is nothing
    assert abs(two_rnn.r2(np.broadcast_to(rows.mean(axis=0), rows.shape), rows)) < 1e-12


def test_a_broken_text_is_named(data):
    path = data / "data" / "tinyshakespeare" / "input.txt"
    assert "the first 4,300 of 1,115,394" in tinyshakespeare().notes[1]
    path.write_text("short")
    with pytest.raises(DataError, match="input.txt holds 5 characters"):
        tinyshakespeare()
    path.write_bytes(b"\xff\xfe" * 1000)
    with pytest.raises(DataError, match="not text in UTF-8"):
        tinyshakespeare()
    path.unlink()
    with pytest.raises(DataError, match="there is no file .*input.txt"):
        tinyshakespeare()


# What they learn

def test_recall_learns_with_a_label_conditioned_boundary(data):
    assert cli.main(["train", "recall", "--updates", "1500", "--quiet", "--json",
                     "result.json"]) == 0
    assert result(data)["bits_best"] < 0.1


@pytest.mark.parametrize("table", ["recall", "two-rnn"])
def test_a_quick_table(table, data, monkeypatch):
    monkeypatch.setattr(RecurrentJob, "quick", ("updates", 12))
    assert cli.main(["reproduce", table, "--quick", "--jobs", "1", "--out", "results"]) == 0
    report = json.loads((data / "results" / f"{table}-quick.json").read_text())
    n_runs = len(list((data / "results" / "runs").glob("*.json")))
    assert {row["column"] for row in report["rows"]} == {"backprop", "truncated", "dni", "cdni"}
    expected = {"recall": (12, 24), "two-rnn": (4, 8)}
    assert (n_runs, len(report["rows"])) == expected[table]
