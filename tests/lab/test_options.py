"""The table of options: what it says holds together, and what does not fit is a sentence."""

import argparse
import itertools
import json
import os
import random
import re
import signal

import pytest
from test_cli import ADDITION, refused, write_small_mnist

from tinydni.lab import cli, commands, files
from tinydni.lab.jobs import option, options, ranges, text
from tinydni.lab.jobs.addition import JOB
from tinydni.lab.jobs.job import Job

JOBS = [job for job in commands.jobs() if isinstance(job, Job)]
RECALL = ["train", "recall", "--updates", "30", "--width", "4", "--batch-size", "4", "--quiet"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYDNI_DATA", str(tmp_path))
    return tmp_path


# The table

@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_default_is_one_that_could_be_given(job):
    rows = options.table_of(job)
    for defaults in (job.defaults, *job.variants.values()):
        for name, value in defaults.items():
            assert rows[name].can_be(value), (name, value)
    for row in rows.values():
        assert row.can_be(row.default)


def test_every_condition_is_about_options_that_exist():
    names = {row.name for group in options.OPTIONS.values() for row in group}
    for group in options.OPTIONS.values():
        for row in group:
            for condition, sentence in (*row.needs.items(), *row.excludes.items()):
                for term in condition.split("&"):
                    assert re.match(r"\w+", term)[0] in names, term
                assert sentence.endswith(".")


def test_every_row_belongs_to_a_job():
    who = {job.name for job in JOBS} | {job.family for job in JOBS}
    assert {name for group in options.OPTIONS.values() for row in group
            for name in row.jobs.split()} <= who


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_the_help_shows_every_option_with_its_default(job):
    parser = argparse.ArgumentParser()
    job.add_arguments(parser)
    shown = " ".join(parser.format_help().split())
    for name, row in options.table_of(job).items():
        assert (f"{row.flag} " in shown or f"{row.flag}]" in shown) == (name not in job.left_out)
        if name in job.defaults and name not in job.left_out and job.defaults[name] is not True:
            assert f"(default {job.defaults[name]})" in shown


@pytest.mark.parametrize("condition, given, expected", [
    ("a", {}, False), ("a", {"a": None}, False), ("a", {"a": False}, False),
                                                        ("a", {"a": 0.0}, True),
    ("a=1|2", {"a": 2}, True), ("a=1|2", {"a": 3}, False), ("a!=1|2", {"a": 3}, True),
    ("a!=1", {"a": 1}, False), ("a>b", {"a": 2, "b": 1}, True), ("a>b", {"a": 1, "b": 1}, False),
    ("a>b", {"a": 2}, False), ("a&b", {"a": 1}, False), ("a&b=2", {"a": 1, "b": 2}, True)])
def test_conditions(condition, given, expected):
    assert option.holds(condition, given) is expected


@pytest.mark.parametrize("read, words, says", [
    (ranges.whole(2), "1", "must be at least 2; got 1"),
    (ranges.whole(2, 1000), "1001", "must be at most 1,000; got 1001"),
    (ranges.whole(2), "9" * 5000, "must be a whole number; got 999"),
    (ranges.RATE, "nan", "must be above 0 and finite; got 'nan'"),
    (ranges.RATE, "1e999", "must be above 0 and finite"),
    (ranges.SHARE, "-0.1", "must be from 0 to 1"),
    (ranges.PROBABILITY, "0", "must be above 0 and at most 1; got 0"),
    (ranges.whole_numbers(1), "1,,2", "must be a whole number; got ''")])
def test_ranges_are_sentences(read, words, says):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        read(words)
    assert says in str(error.value) and len(str(error.value)) < 100


# What does not fit, before any work

CASES = {
    "more bits than a number has": ("--bits 64", "at most 31"),
    "layers without end": ("--layers 100000", "at most 1,000"),
    "readers without end": ("--readers 100000000", "at most 1,000"),
    "threads without end": ("--threads 99999999999", "at most 1,024"),
    "a size that no machine has": ("--layers 1000 --width 1000000", "this machine has"),
    "a number that NumPy lacks": ("--seed 99999999999999999999", "at most"),
    "warm-up longer than the run": ("--warm-up 10", "at most the steps of the run, 9; got 10"),
    "measured less than once": ("--measure-gradients 10", "at most the steps of the run, 9"),
    "an example for each worker": (
        "--method backprop --workers 2 --mode data-parallel --batch-size 3", "at least 4 for 2"),
    "more workers than parts": ("--workers 1000", "too many for a network of 3 parts"),
    "a word that ends options": ("--lr=--", "argument --lr: expected one argument"),
    "no number": ("--lr nan", "above 0 and finite"),
    "no cut": ("--cuts ,", "whole number"),
    "cuts above the top": ("--cuts 5", "rising numbers from 1 to 2"),
    "capture without a GPU": ("--capture", "give --backend cupy"),
    "own loss of rows": ("--supervised 1", "for virtual networks on images"),
    "timelines of one loop": ("--timeline t.png", "--timeline draws workers"),
    "three ways at once": ("--p-update 0.5 --unlock --lambda 1", "different ways to run"),
}


@pytest.mark.parametrize("words, says", CASES.values(), ids=CASES)
def test_what_does_not_fit_is_said_before_training(words, says, capsys, monkeypatch):
    monkeypatch.setattr("tinydni.lab.jobs.run.Run.train", lambda *_: pytest.fail("it trains"))
    assert says in refused(capsys, *ADDITION, *words.split())


@pytest.mark.parametrize("words, says", [
    ("--distractors 1000000 --batch-size 1000000", "this machine has"),
    ("--window 0", "at least 1"), ("--width 1000000", "this machine has"),
    ("--p-update 1", "unrecognized arguments: --p-update 1")])
def test_recurrent_jobs_have_ranges_too(words, says, capsys):
    assert says in refused(capsys, *RECALL, *words.split())


def test_layers_of_a_residual_network_come_in_sixes(capsys):
    for layers in (3, 2, 21):
        assert "is 8, 14, 20" in refused(capsys, "train", "cifar10", "--layers", layers)


@pytest.mark.parametrize("n", [1000, 1060, 5000])
def test_a_text_that_is_too_short_is_said(n, in_a_folder_of_its_own, capsys):
    (in_a_folder_of_its_own / "tinyshakespeare").mkdir()
    (in_a_folder_of_its_own / "tinyshakespeare" / "input.txt").write_text("To be, or " * (n // 10))
    words = ["train", "text", "--updates", "2", "--width", "4", "--quiet"]
    long = ["--window", "200"] if n == 5000 else []
    assert "the text is too short" in refused(capsys, *words, *long)
    if n == 5000:
        assert text.JOB.run(text.JOB.options({})).task.n_windows == 16


def test_an_environment_of_nonsense_is_no_traceback(monkeypatch, capsys):
    monkeypatch.setenv("PMI_SIZE", "abc")
    assert cli.main(ADDITION) == 0
    monkeypatch.setenv("TINYDNI_DATA", "~nosuchuser/x")
    assert "~nosuchuser/x" in refused(capsys, "train", "mnist")


def test_synthesizers_that_have_not_learned_yet_have_no_loss(in_a_folder_of_its_own):
    assert cli.main([*ADDITION, "--p-update", "0.02", "--json", "r.json"]) == 0
    history = json.loads((in_a_folder_of_its_own / "r.json").read_text())["history"]
    assert None in history["synthesizer_loss"][0]


# What was saved

@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "a.npz"
    given = {"bits": 2, "epochs": 2, "width": 4, "batch_size": 4}
    JOB.run(JOB.options(given)).train(quiet=True, save=path)
    return path


BROKEN = {
    "an option that nobody knows": ({"options": {"depth": 3}}, "has --depth 3"),
    "an option out of range": ({"options": {"layers": 1}}, "has --layers 1"),
    "an option of another kind": ({"options": {"lr": "fast"}}, "has --lr 'fast'"),
    "a missing option": ({"options": {"width": ...}}, "lacks --width"),
    "no options": ({"options": None}, "holds no options"),
    "no place": ({"position": None}, "does not hold a whole run"),
    "a missing part of the place": ({"position": {"batch": ...}}, "does not hold a whole run"),
    "an epoch that is null": ({"position": {"epoch": None}}, "does not hold a whole run"),
    "an epoch beyond the end": ({"position": {"epoch": 9}}, "beyond the end"),
    "a batch beyond the epoch": ({"position": {"batch": 3}}, "beyond the end"),
    "negative steps": ({"position": {"batch": -1}}, "does not hold a whole run"),
    "another history": ({"position": {"history": {"epoch": []}}}, "does not hold a whole run"),
    "another experiment": ({"experiment": "digits"}, "does not hold a run of 'train addition'"),
    "other data": ({"data": 1}, "other data than are here"),
}


@pytest.mark.parametrize("change, says", BROKEN.values(), ids=BROKEN)
def test_a_saved_run_that_is_not_whole_is_said(change, says, whole, capsys):
    state, info = files.load(whole)
    for name, value in change.items():
        if isinstance(value, dict):
            merged = {**info[name], **value}
            value = {key: part for key, part in merged.items() if part is not ...}
        info[name] = value
    files.save("b.npz", state, info)
    assert says in refused(capsys, "train", "addition", "--resume", "b.npz", "--quiet")


def test_other_images_are_not_taken_for_the_same(in_a_folder_of_its_own, capsys):
    write_small_mnist(in_a_folder_of_its_own / "mnist")
    words = ["train", "mnist", "--width", "8", "--batch-size", "8", "--epochs", "1", "--quiet"]
    assert cli.main([*words, "--save", "m.npz"]) == 0
    path = in_a_folder_of_its_own / "mnist" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    assert "other data than are here" in refused(capsys, "train", "mnist", "--resume", "m.npz")


# Command lines that nobody wrote

VALUES = ("0", "1", "2", "3", "-1", "0.5", "1e9", "nan", "inf", "", "-", "--", "x", "1,2", ",", "é",
          "\0", "99999999999999999999", "..", "/dev/null", "a.json", "a.png", "a.npz", "none",
          "dni",
          "cdni", "backprop", "labels", "guess", "linear", "mpi", "threads", "free", "lock-step",
          "data-parallel", "numpy", "cnn")
SMALL = {"--epochs": "1", "--updates": "3", "--width": "4", "--layers": "2", "--batch-size": "4",
         "--bits": "2"}
LONG = {"--epochs", "--updates", "--readers", "--workers", "--width", "--layers"}


def command_line(rng):
    """A job with small limits and up to five options, most of which do not fit."""
    job = rng.choice([job for job in JOBS if job.name in ("addition", "recall", "copy", "digits")])
    rows = list(options.table_of(job).values())
    small = [word for pair in SMALL.items() if pair[0][2:].replace("-", "_") in job.defaults
             for word in pair]
    words = ["train", job.name, "--quiet", *(small if rng.random() < 0.95 else ["--quick"])]
    for row in rng.sample(rows, rng.randint(0, 5)):
        words.append(row.flag)
        if row.takes not in (options.FLAG, options.SWITCH):
            choices = row.takes if isinstance(row.takes, tuple) and rng.random() < 0.6 else VALUES
            if row.flag in LONG:
                choices = [value for value in choices if value != "99999999999999999999"]
            words.append(rng.choice(choices))
    return words


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_no_command_line_is_a_traceback_or_hangs(seed, capsys):
    def too_long(number, frame):
        raise AssertionError(f"more than 20 s: {words}")

    rng, codes = random.Random(seed), []
    before = signal.signal(signal.SIGALRM, too_long)
    try:
        for _ in range(110):
            words = command_line(rng)
            signal.alarm(20)
            try:
                codes.append(cli.main(words))
            except SystemExit as exit:
                codes.append(exit.code)
            except Exception as error:
                raise AssertionError(f"{words}: {error!r}") from error
            assert codes[-1] == 0 or capsys.readouterr().err.strip(), words
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert set(codes) <= {0, 1, 2} and 0 in codes and 2 in codes
    assert not [name for name in os.listdir() if name.startswith(files.PART)]


def test_the_fuzz_reaches_every_option():
    rng = random.Random(0)
    seen = set(itertools.chain.from_iterable(command_line(rng) for _ in range(600)))
    rows = itertools.chain.from_iterable(map(options.table_of, [JOB, JOBS[4], JOBS[5]]))
    assert {options.dashed(name) for name in rows} <= seen
