"""`tinydni reproduce field`: tries, errors and costs of every rival method in one table."""

import argparse
import json

import numpy as np
import pytest

import tinydni as td
from tinydni.lab.tables import field
from tinydni.variants import DirectFeedback, LateGradients, TargetProjection

BEST = 3e-3             # of all rates, in these tests


def error(options):
    """A made-up error: least at the best rate; methods and seeds differ."""
    row = next(i for i, rival in enumerate(field.RIVALS.values())
               if all(options.get(name) == value for name, value in rival.options.items()))
    return row + abs(np.log10(options["lr"] / BEST)) + options["seed"] / 10


@pytest.fixture
def made(monkeypatch, tmp_path):
    """The table of two seeds, from made-up runs; and the options of all runs."""
    asked = []

    def finished(table, runs, folder, jobs):
        asked.extend((table.job, options) for options in runs.values())
        return {key: {table.score: error(options), "seconds": 1.0, "notes": [table.job]}
                for key, options in runs.items()}

    monkeypatch.setattr(field, "finished_runs", finished)
    monkeypatch.setattr(field, "costs", lambda: {
        row: {"time": 1.5, "kept": 7, "sent up": "H", "sent down": "0", "removes": rival.removes,
              "source": rival.source} for row, rival in field.RIVALS.items()})
    parser = argparse.ArgumentParser()
    field.FIELD.add_arguments(parser)
    assert field.FIELD.main(parser.parse_args(["--seeds", "2", "--out", str(tmp_path)])) == 0
    return tmp_path, asked


def test_every_method_has_the_same_tries_on_validation_data(made):
    _, asked = made
    for job, _ in field.NETWORKS.values():
        tries = [options for module, options in asked if module == job and options["validation"]]
        per_method = {}
        for options in tries:
            key = options["method"], options.get("late"), options["layers"]
            per_method.setdefault(key, []).append(options["lr"])
        assert len(per_method) == len(field.RIVALS) * sum(
            other == job for other, _ in field.NETWORKS.values())
        assert all(sorted(rates) == sorted(field.RATES) for rates in per_method.values())


def test_errors_are_those_of_the_best_rate_on_the_test_set(made):
    folder, asked = made
    assert all(options["lr"] == BEST for _, options in asked if not options["validation"])
    report = json.loads((folder / "field.json").read_text())
    assert all(one["best"] == BEST and len(one["errors"]) == 3 for one in report["tries"])
    means = [cell["mean"] for cell in report["rows"] if cell["column"] == "MNIST, 3 layers"]
    assert means == pytest.approx([i + 0.05 for i in range(len(field.RIVALS))])
    assert report["differences"] == [*field.DIFFERENCES, field.MNIST, field.CIFAR10]    # and notes


def test_the_page_and_the_picture_have_every_method(made):
    folder, _ = made
    text = (folder / "field.md").read_text()
    assert all(f"| {row} |" in text and rival.source in text
               for row, rival in field.RIVALS.items())
    assert "over 2 seeds" in text and "13.05 ± 0.07" in text
    assert all(row.encode() in (folder / "field.png").read_bytes() for row in field.RIVALS)


@pytest.mark.parametrize("algorithm, synthesizer, expected", [
    (td.backprop, None, 0),
    (td.update_decoupled, td.LinearSynthesizer, 2 * (8 * 8 + 8)),
    (td.update_decoupled, lambda n: TargetProjection((n,), 3, np.random.default_rng(0)), 2 * 3 * 8),
    (DirectFeedback(3, [8, 8], 0), None, 2 * 3 * 8),
    (LateGradients((6, 8, 8, 3), 5), None, 2 * 5 * 6 + 5 * 8 + 2 * 5 * 8)],
    ids=["backprop", "linear", "projection", "direct feedback", "late"])
def test_what_is_kept_between_steps_is_counted(algorithm, synthesizer, expected):
    guesses = {"synthesizer": synthesizer, "synthesizer_lr": 0.1} if synthesizer else {}
    network = td.build(td.mlp((6, 8, 8, 3), np.random.default_rng(0)), td.SoftmaxCrossEntropy(),
                       lambda: td.Adam(1e-3), algorithm=algorithm, **guesses)
    assert field.kept(network) == expected
