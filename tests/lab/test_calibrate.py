"""`tinydni calibrate`: a person's own files, right and wrong, and what comes out."""

import json

import numpy as np
import pytest
from test_cytometry import CENTRES, command

from tinydni.datasets import DataError
from tinydni.lab.cytometry import calibrate
from tinydni.lab.cytometry import calibration_report as report
from tinydni.lab.cytometry import sample_tables as tables
from tinydni.lab.cytometry.calibrator import Calibrator
from tinydni.lab.files import CheckpointError
from tinydni.lab.jobs.arguments import OptionError
from tinydni.lab.cytometry.transform import Standardisation, Transform

EXPECTED = (OptionError, DataError, CheckpointError, FileNotFoundError)    # shown as a sentence
NAMES = ["CD3", "CD4", "CD8", "CD19", "CD45", "CD56"]


def counts(seed, n=600, shift=0.0):
    """Counts of four populations; another instrument counts more in some channels, less in others."""
    rng = np.random.default_rng(seed)
    logs = 3 + CENTRES[rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])] + 0.3 * rng.standard_normal((n, 6))
    return np.expm1(np.maximum(logs + shift * np.array([1, -0.8, 0.6, 0, 0.7, -0.5]), 0))


def write(path, values, names=NAMES, separator=","):
    lines = [separator.join(names)] if names else []
    path.write_text("\n".join(lines + [separator.join(f"{value:.6g}" for value in row) for row in values]) + "\n")


@pytest.fixture
def here(tmp_path, monkeypatch, request):
    """A folder with a reference and a sample. Pictures are drawn and not written, but for tests that name them."""
    monkeypatch.chdir(tmp_path)
    if "pictures" not in request.node.name:
        monkeypatch.setattr(report, "save", lambda picture, path: None)
    write(tmp_path / "ref.csv", counts(0))
    write(tmp_path / "smp.csv", counts(1, 500, shift=0.6))
    return tmp_path


def run(*arguments, sample="smp.csv", reference="ref.csv", out="out.csv"):
    return command(calibrate, "--reference", reference, "--sample", sample, "--out", out, "--quiet", *arguments)


def refused(match, *arguments, **files):
    """The command is refused with one sentence, and nothing is written."""
    with pytest.raises(EXPECTED, match=match):
        run(*arguments, "--quick", **files)


def test_the_same_columns_come_out_nearer_to_the_reference_with_pictures(here):
    assert run("--updates", 150, "--batch-size", 250) == 0
    table, before = tables.read("out.csv"), tables.read("smp.csv")
    assert table.columns == NAMES and table.values.shape == before.values.shape and table.values.min() >= 0
    reference = np.log1p(tables.read("ref.csv").values)
    far, near = (np.abs(np.log1p(cells.values).mean(axis=0) - reference.mean(axis=0)).sum() for cells in (before, table))
    assert near < 0.3 * far
    written = json.loads((here / "out-report" / "report.json").read_text())
    assert written["numbers"]["mmd_after"] < 0.6 * written["numbers"]["mmd_before"] and len(written["history"]) == 150
    assert written["warnings"] == []
    assert sorted(path.name for path in (here / "out-report").iterdir()) == [
        "cells.png", "markers.png", "mmd.png", "model.npz", "report.json", "report.md"]
    assert "CD19: mean" in (here / "out-report" / "report.md").read_text()


def test_a_saved_model_does_the_same_again_and_to_other_cells(here):
    run("--quick", "--report", "r")
    assert command(calibrate, "--model", "r/model.npz", "--sample", "smp.csv", "--out", "again.csv") == 0
    assert (here / "again.csv").read_text() == (here / "out.csv").read_text()
    write(here / "few.csv", counts(2, 7))
    assert command(calibrate, "--model", "r/model.npz", "--sample", "few.csv", "--out", "few-out.csv") == 0
    assert tables.read("few-out.csv").values.shape == (7, 6)


@pytest.mark.parametrize("method", ["backprop", "none"])
def test_the_other_methods(here, method):
    assert run("--quick", "--method", method) == 0


def test_files_without_names(here):
    write(here / "a.csv", counts(0), names=None)
    write(here / "b.csv", counts(1), names=None)
    assert run("--quick", reference="a.csv", sample="b.csv") == 0
    assert not tables.read("out.csv").header
    assert run("--quick", sample="b.csv") == 0                      # by place, where only the reference has names
    refused("5 columns", reference="a.csv", sample=narrow(here, "c.csv", names=None))


def narrow(here, name, names=NAMES[1:]):
    write(here / name, counts(1)[:, 1:], names)
    return name


def test_columns_in_another_order_are_found_by_name(here):
    run("--quick")
    order = [3, 0, 5, 1, 4, 2]
    write(here / "shuffled.csv", tables.read("smp.csv").values[:, order], [NAMES[i] for i in order])
    run("--quick", sample="shuffled.csv", out="other.csv")
    other = tables.read("other.csv")
    assert other.columns == [NAMES[i] for i in order]
    np.testing.assert_allclose(other.values, tables.read("out.csv").values[:, order], rtol=1e-3)


def test_columns_that_are_not_markers_are_copied(here):
    time = np.arange(500)[::-1, None]
    write(here / "timed.csv", np.hstack([time, counts(1, 500, 0.6)]), ["Extra", *NAMES])
    refused("has Extra besides", sample="timed.csv")
    assert run("--quick", "--markers", ",".join(NAMES[:4]), sample="timed.csv") == 0
    before, after = tables.read("timed.csv"), tables.read("out.csv")
    assert after.columns == before.columns
    np.testing.assert_array_equal(after.values[:, [0, 5, 6]], before.values[:, [0, 5, 6]])
    assert (after.values[:, 1:5] != before.values[:, 1:5]).mean() > 0.9
    refused("lacks CD99", "--markers", "CD3,CD99")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(here, separator):
    write(here / "s.csv", counts(1), separator=separator)
    assert run("--quick", sample="s.csv") == 0
    assert separator in (here / "out.csv").read_text().splitlines()[0]


def edited(here, row, column, value):
    values = counts(1).astype(object)
    values[row, column] = value
    lines = [",".join(NAMES)] + [",".join(str(entry) for entry in row) for row in values]
    (here / "bad.csv").write_text("\n".join(lines) + "\n")
    return "bad.csv"


def test_bad_files_are_refused_with_the_place(here):
    refused("bad.csv holds 1 entry that is not a number: the first is nan for cell 6, CD8", sample=edited(here, 5, 2, "nan"))
    refused("inf for cell 6, CD8", sample=edited(here, 5, 2, "inf"))
    refused("'abc' in line 7, column 3", sample=edited(here, 5, 2, "abc"))
    refused("counts of at least 0; got -3 in row 6, column 3", sample=edited(here, 5, 2, -3))
    refused("bad.csv lacks CD3", sample=narrow(here, "bad.csv"))
    write(here / "one.csv", counts(1, 1))
    refused("1 row of numbers", sample="one.csv")
    (here / "names.csv").write_text(",".join(NAMES) + "\n")
    refused("0 rows", sample="names.csv")
    (here / "empty.csv").write_text("")
    refused("empty", sample="empty.csv")
    refused("no file nosuch.csv", sample="nosuch.csv")
    write(here / "twice.csv", counts(1), ["CD3", *NAMES[:5]])
    refused("two columns called 'CD3'", sample="twice.csv")
    (here / "ragged.csv").write_text("1,2,3\n4,5\n6,7,8\n")
    refused("not a table of numbers: line 2 holds 2 fields, those above it 3", sample="ragged.csv")
    (here / "binary.csv").write_bytes(bytes(range(128, 256)))
    refused("cannot be read", sample="binary.csv")
    constant = counts(1)
    constant[:, 4] = 7
    write(here / "constant.csv", constant)
    refused("the sample: CD45 has the same value", sample="constant.csv")
    refused("the reference: CD45 has the same value", reference="constant.csv")
    write(here / "short.csv", counts(1, 12))
    refused("12 points", reference="short.csv")
    assert not (here / "out.csv").exists() and not (here / "out-report").exists()


def test_wrong_options_are_refused(here):
    refused("transform must be log1p", "--transform", "sqrt")
    refused("transform must be log1p", "--transform", "arcsinh:-1")
    refused("no synthesizer", "--method", "backprop", "--synthesizer", "linear")
    refused("does not exist", out="nowhere/out.csv")
    with pytest.raises(EXPECTED, match="--transform does nothing with --model"):
        command(calibrate, "--model", "m.npz", "--sample", "smp.csv", "--out", "o.csv", "--transform", "log1p")
    with pytest.raises(EXPECTED, match="there is no file m.npz"):
        command(calibrate, "--model", "m.npz", "--sample", "smp.csv", "--out", "o.csv")
    np.savez(here / "other.npz", x=np.ones(3))
    with pytest.raises(EXPECTED, match="other.npz"):
        command(calibrate, "--model", "other.npz", "--sample", "smp.csv", "--out", "o.csv")


def test_negative_values_under_arcsinh(here):
    rng = np.random.default_rng(0)
    for name, shift in (("a.csv", 0), ("b.csv", 5)):
        write(here / name, 30 * rng.standard_normal((300, 6)) + shift)
    assert run("--quick", "--transform", "arcsinh:5", reference="a.csv", sample="b.csv") == 0
    assert tables.read("out.csv").values.min() < 0
    assert run("--quick", "--transform", "none", reference="a.csv", sample="b.csv") == 0


@pytest.mark.parametrize("text", ["log1p", "arcsinh:5", "arcsinh:0.5", "none"])
def test_transforms_are_undone(text):
    transform, x = Transform.parse(text), np.array([[0.0, 1.0], [250.0, 3e4]])
    assert str(transform) == text
    np.testing.assert_allclose(transform.inverse(transform.forward(x)), x, rtol=1e-10)
    standard = Standardisation.of(transform.forward(x))
    np.testing.assert_allclose(standard.inverse(standard.forward(x)), x)


def test_fcs_files_go_in_and_out(here):
    pytest.importorskip("flowio", reason="FlowIO is not installed: pip install tinydni[fcs]")
    for name, values in (("ref", counts(0)), ("smp", counts(1, 500, 0.6))):
        tables.write(f"{name}.fcs", tables.Table(values, NAMES, True))
    np.testing.assert_allclose(tables.read("smp.fcs").values, counts(1, 500, 0.6), rtol=1e-6)
    assert run("--quick", reference="ref.fcs", sample="smp.fcs", out="out.fcs") == 0
    assert tables.read("out.fcs").columns == NAMES
    (here / "broken.fcs").write_bytes((here / "smp.fcs").read_bytes()[:500])
    refused("not a whole FCS file", sample="broken.fcs")


def test_a_calibration_needs_no_more_memory_than_a_few_copies_of_the_sample():
    import tracemalloc
    rng = np.random.default_rng(0)
    reference, sample = rng.lognormal(size=(2, 20_000, 10))
    tracemalloc.start()
    from tinydni.lab.cytometry.resnet_methods import METHODS
    Calibrator.fit(reference, sample, list("abcdefghij"), Transform("log1p"), METHODS["dni"], 0, updates=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6 + 12 * sample.nbytes, f"{peak / 1e6:.0f} MB for a sample of {sample.nbytes / 1e6:.0f} MB"
