"""`tinydni calibrate`: a person's own files, right and wrong, and what comes out."""

import csv
import gzip
import json
import sys

import numpy as np
import pytest
from test_cytometry import CENTRES, command

from tinydni.datasets import DataError
from tinydni.lab.cytometry import calibrate, fcs_files
from tinydni.lab.cytometry import sample_tables as tables
from tinydni.lab.cytometry.calibrator import Calibrator
from tinydni.lab.cytometry.transform import Standardisation, Transform
from tinydni.lab.files import CheckpointError
from tinydni.lab.jobs.ranges import OptionError

EXPECTED = (OptionError, DataError, CheckpointError, FileNotFoundError)    # shown as a sentence
NAMES = ["CD3", "CD4", "CD8", "CD19", "CD45", "CD56"]


def counts(seed, n=600, shift=0.0):
    """Counts of four populations; another instrument counts more in some channels, or less."""
    rng = np.random.default_rng(seed)
    logs = 3 + CENTRES[rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])] + 0.3 * rng.standard_normal((n, 6))
    return np.expm1(np.maximum(logs + shift * np.array([1, -0.8, 0.6, 0, 0.7, -0.5]), 0))


def write(path, values, names=NAMES, separator=","):
    lines = [separator.join(names)] if names else []
    lines += [separator.join(f"{value:.6g}" for value in row) for row in values]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def here(tmp_path, monkeypatch, request):
    """A folder with a reference and a sample. Pictures are written for tests that name them."""
    monkeypatch.chdir(tmp_path)
    if "pictures" not in request.node.name:
        monkeypatch.setattr("tinydni.plots.save", lambda picture, path: None)
    write(tmp_path / "ref.csv", counts(0))
    write(tmp_path / "smp.csv", counts(1, 500, shift=0.6))
    return tmp_path


def run(*arguments, sample="smp.csv", reference="ref.csv", out="out.csv"):
    return command(calibrate, "--reference", reference, "--sample", sample, "--out", out, "--quiet",
                   *arguments)


def apply(model, sample, out, *arguments):
    return command(calibrate, "--model", model, "--sample", sample, "--out", out, *arguments)


def refused(match, *arguments, **files):
    """The command is refused with one sentence, and nothing is written."""
    with pytest.raises(EXPECTED, match=match):
        run(*arguments, "--quick", **files)


def test_the_same_columns_come_out_nearer_to_the_reference_with_pictures(here):
    assert run("--updates", 150, "--batch-size", 250) == 0
    table, before = tables.read("out.csv"), tables.read("smp.csv")
    assert table.columns == NAMES and table.values.shape == before.values.shape
    assert table.values.min() >= 0
    reference = np.log1p(tables.read("ref.csv").values)
    far, near = (np.abs(np.log1p(cells.values).mean(axis=0) - reference.mean(axis=0)).sum()
                 for cells in (before, table))
    assert near < 0.3 * far
    written = json.loads((here / "out-report" / "report.json").read_text())
    assert written["numbers"]["mmd_after"] < 0.6 * written["numbers"]["mmd_before"]
    assert len(written["history"]) == 150
    assert written["warnings"] == []
    assert sorted(path.name for path in (here / "out-report").iterdir()) == [
        "cells.png", "markers.png", "mmd.png", "model.npz", "report.json", "report.md"]
    assert "CD19: mean" in (here / "out-report" / "report.md").read_text()


def test_a_saved_model_does_the_same_again_and_to_other_cells(here):
    run("--quick", "--report", "r")
    assert apply("r/model.npz", "smp.csv", "again.csv") == 0
    assert (here / "again.csv").read_text() == (here / "out.csv").read_text()
    write(here / "few.csv", counts(2, 7))
    assert apply("r/model.npz", "few.csv", "few-out.csv") == 0
    assert tables.read("few-out.csv").values.shape == (7, 6)


@pytest.mark.parametrize("method", ["backprop", "none"])
def test_the_other_methods(here, method):
    assert run("--quick", "--method", method) == 0


def test_files_without_names(here):
    write(here / "a.csv", counts(0), names=None)
    write(here / "b.csv", counts(1), names=None)
    assert run("--quick", reference="a.csv", sample="b.csv") == 0
    assert not tables.read("out.csv").header
    assert run("--quick", sample="b.csv") == 0          # by place: only the reference has names
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
    refused("bad.csv holds 1 entry that is not a number: the first is nan for cell 6, CD8",
            sample=edited(here, 5, 2, "nan"))
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
        apply("m.npz", "smp.csv", "o.csv", "--transform", "log1p")
    with pytest.raises(EXPECTED, match="there is no file m.npz"):
        apply("m.npz", "smp.csv", "o.csv")
    np.savez(here / "other.npz", x=np.ones(3))
    with pytest.raises(EXPECTED, match="other.npz"):
        apply("other.npz", "smp.csv", "o.csv")


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


# CSV files as people have them

CELLS = np.array([[1.5, 2, 3], [4, 5.25, 6], [7, 8, 9.125]])
ROWS = "1.5,2,3\n4,5.25,6\n7,8,9.125\n"


def csv_of(here, text, name="t.csv"):
    (here / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tables.read(name)


def written_again(here, table, columns=(), values=None, name="again.csv"):
    tables.write(name, table, list(columns), values)
    return (here / name).read_text()


@pytest.mark.parametrize("text, names", [
    ("# from an instrument\n# of 2020\nA,B,C\n" + ROWS, "ABC"),          # comment lines
    ("# A,B,C\n" + ROWS, "ABC"),                                          # as numpy.savetxt writes
    ("sep=;\nA;B;C\n" + ROWS.replace(",", ";"), "ABC"),                  # as Excel does
    ('"A","B","C"\n"1.5","2","3"\n"4","5.25","6"\n"7","8","9.125"\n', "ABC"),
    ("A, B, C\r\n" + ROWS.replace("\n", "\r\n").replace(",", ", "), "ABC"),
    ("A,B,C\n" + ROWS + ",,\n,,\n\n", "ABC"),                            # blank rows of Excel
    ("A\tB\tC\n".encode("utf-16") + ROWS.replace(",", "\t").encode("utf-16")[2:], "ABC"),
    (b"\xef\xbb\xbfA,B,C\n" + ROWS.encode(), "ABC"),
    (ROWS, ["column 1", "column 2", "column 3"]),
])
def test_forms_of_text(here, text, names):
    table = csv_of(here, text)
    assert table.columns == list(names) == table.markers and table.named == (names == "ABC")
    np.testing.assert_array_equal(table.select(table.columns), CELLS)
    written_again(here, table)
    again = tables.read("again.csv")
    assert again.columns == table.columns and again.comments == table.comments
    np.testing.assert_array_equal(again.values, CELLS)


@pytest.mark.parametrize("names, n", [("CD3,CD4", 2), ("CD3,CD4,CD8,CD19", 4)])
def test_as_many_names_as_columns(here, names, n):
    with pytest.raises(DataError, match=f"names {n} columns, but its rows hold 3 numbers"):
        csv_of(here, names + "\n" + ROWS)


def test_names_with_commas_line_breaks_and_quotes_come_out_as_they_went_in(here):
    names = ["CD3, clone X", 'the "new" one', "two\nlines", "a;b;c;d"]
    with open("odd.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([names, [1, 2, 3, 4], [5, 6, 7, 8]])
    table = tables.read("odd.csv")
    assert table.columns == names
    written_again(here, table, names[1:2], np.array([[20], [60]]))
    again = tables.read("again.csv")
    assert again.columns == names
    np.testing.assert_array_equal(again.values, [[1, 20, 3, 4], [5, 60, 7, 8]])
    refused("lacks CD9, b", "--markers", '"CD3, clone X","CD9, b"', reference="odd.csv")


def test_what_is_copied_is_copied_to_the_digit(here):
    text = ("id,CD3,note\n1234567890,1.5,T cell\n12345678901234567890,2.5,\"a, b\"\n"
            "0.1000000000000000055,3.5,\n")
    table = csv_of(here, "# kept\n" + text)
    assert table.aside == {"id": "by its name", "note": "it holds no numbers"}
    assert written_again(here, table, ["CD3"], np.array([[10], [20], [1 / 3]])) == (
        "# kept\nid,CD3,note\n1234567890,10,T cell\n12345678901234567890,20,\"a, b\"\n"
        "0.1000000000000000055,0.3333333,\n")


@pytest.mark.parametrize("text", [
    'CD3,CD4\n"1",10,20\n"2",11,21\n', "CD3,CD4\ncell one,10,20\ncell two,11,21\n",   # R
    ",CD3,CD4\n0,10,20\n1,11,21\n", "Unnamed: 0,CD3,CD4\n7,10,20\n3,11,21\n",     # pandas
    "#,CD3,CD4\n1,10,20\n2,11,21\n", "CD3,CD4,\n10,20,\n11,21,\n",
    "CD3,CD4\n10,20,\n11,21,\n"])                                                 # comma at the end
def test_names_of_rows_are_no_markers(here, text):
    table = csv_of(here, text)
    assert table.markers == ["CD3", "CD4"] and len(table.columns) == 3
    np.testing.assert_array_equal(table.select(table.markers), [[10, 20], [11, 21]])
    assert written_again(here, table) == text.replace('"', "")
    new = written_again(here, table, ["CD4"], np.array([[-1], [-2]]))
    assert new == text.replace('"', "").replace(",20", ",-1").replace(",21", ",-2")


@pytest.mark.parametrize("named", [True, False])
def test_a_column_that_counts_the_rows_in_both_files_is_left_alone(here, capsys, named):
    for name, cells in (("a.csv", counts(0, 300)), ("b.csv", counts(1, 200, 0.6))):
        rows = np.hstack([np.arange(len(cells))[:, None] + 7, cells])
        write(here / name, rows, ["", *NAMES] if named else None)
    assert run("--quick", reference="a.csv", sample="b.csv") == 0
    assert "Left as they are: column 1" in capsys.readouterr().out
    before, after = tables.read("b.csv"), tables.read("out.csv")
    np.testing.assert_array_equal(after.values[:, 0], np.arange(200) + 7)
    assert (after.values[:, 1:] != before.values[:, 1:]).mean() > 0.9
    assert len(json.loads((here / "out-report" / "report.json").read_text())["columns"]) == 6


def test_columns_that_are_no_markers_by_name_are_left_alone_and_said_so(here, capsys):
    rng, extra = np.random.default_rng(0), ["Time", "Center", "Residual", "Event_length", "type"]
    for name, seed in (("a.csv", 0), ("b.csv", 1)):
        rows = [[*(f"{value:.5f}" for value in rng.normal(size=4)), "T cell",
                 *(f"{value:.6g}" for value in cells)] for cells in counts(seed, 200, 0.6 * seed)]
        (here / name).write_text("\n".join(map(",".join, [[*extra, *NAMES], *rows])) + "\n")
    assert run("--quick", reference="a.csv", sample="b.csv") == 0
    said = ("Left as they are: Time (by its name), Center (by its name), Residual (by its name), "
            "Event_length (by its name), type (it holds no numbers).")
    assert said in capsys.readouterr().out
    assert said in (here / "out-report" / "report.md").read_text()
    before, after = ([line.split(",") for line in (here / name).read_text().splitlines()]
                     for name in ("b.csv", "out.csv"))
    assert [row[:5] for row in after] == [row[:5] for row in before]
    assert sum(a[5:] != b[5:] for a, b in zip(after, before)) == 200
    assert run("--quick", "--markers", "CD3,Center", "--transform", "none", reference="a.csv",
               sample="b.csv") == 0             # who names a column gets it calibrated
    refused("'T cell' in line 2, column 5", "--markers", "CD3,type", reference="a.csv",
            sample="b.csv")
    refused("out.fcs cannot hold the text of type", reference="a.csv", sample="b.csv",
            out="out.fcs")


def test_what_is_no_number_is_not_read_as_one(here):
    with pytest.raises(DataError, match="writes 1,5 in line 2: .* decimal points"):
        csv_of(here, "A;B\n1,5;2,5\n2,5;3\n")
    table = csv_of(here, "A,B\n1_2,1\n3_4,2\n")      # float("1_2") is 12
    assert table.aside == {"A": "it holds no numbers"}
    with pytest.raises(DataError, match="first is nan for cell 1, B"):
        csv_of(here, "A,B\n1,NA\n3,2\n").select(["B"])


def test_packed_files_and_formats_by_the_first_bytes(here):
    for name in ("ref", "smp"):
        with gzip.open(f"{name}.csv.gz", "wb") as file:
            file.write((here / f"{name}.csv").read_bytes())
    assert run("--quick") == 0
    assert run("--quick", reference="ref.csv.gz", sample="smp.csv.gz", out="out.csv.gz") == 0
    assert gzip.open("out.csv.gz", "rt").read() == (here / "out.csv").read_text()
    (here / "book.csv").write_bytes(b"PK\3\4 and so on")
    refused("book.csv is a zip archive or an Excel workbook", sample="book.csv")
    (here / "cut.csv").write_bytes((here / "smp.csv.gz").read_bytes()[:200])
    refused("cut.csv cannot be read", sample="cut.csv")


def test_outputs_and_options_that_make_no_sense(here):
    refused("--out and --sample are one file", out="smp.csv")
    refused("--out and --reference are one file", out="ref.csv")
    refused("--offsets is about FCS files", "--offsets", "text")
    refused("--data-set is about FCS files", "--data-set", 2)
    refused("--markers names a column twice", "--markers", "CD3,CD4, CD3")
    (here / "times.csv").write_text("Time,Center\n3,4\n1,2\n")
    refused("no column that is a marker by its name", reference="times.csv")


# FCS files as people have them

def fcs(path, events, names, kind="F", version="3.1", header=None, places=True, before=b"", **text):
    """Writes an FCS file by hand. text: keywords without $, None takes one out."""
    dtype = {"F": ">f4", "D": ">f8", "I": ">u2", "J": ">u4"}[kind]
    data = np.asarray(events).astype(dtype).tobytes()
    bits = str(8 * np.dtype(dtype).itemsize)
    words = {"BYTEORD": "4,3,2,1", "DATATYPE": kind.replace("J", "I"), "MODE": "L", "NEXTDATA": "0",
             "PAR": str(len(names)), "TOT": str(len(events))}
    for i, name in enumerate(names, 1):
        words |= {f"P{i}N": name, f"P{i}B": bits, f"P{i}E": "0,0", f"P{i}R": "1024"}
    words = {key: value for key, value in (words | text).items() if value is not None}

    def segment(begin):
        own = {"BEGINDATA": f"{begin:08}", "ENDDATA": f"{begin + len(data) - 1:08}"}
        own = own if places else {}
        return ("/" + "".join(f"{key if key.startswith('!') else '$' + key}/{value}/"
                              for key, value in (own | words).items())).encode("latin-1")
    begin = 58 + len(segment(0))
    numbers = (58, begin - 1, *((begin, begin + len(data) - 1) if header is None else header), 0, 0)
    content = f"FCS{version}    ".encode() + b"".join(b"%8d" % n for n in numbers)
    path.write_bytes(before + content + segment(begin) + data)
    return begin, begin + len(data) - 1


EVENTS = np.array([[10, 20, 30], [11, 21, 31], [12, 22, 1023]], np.float32)
ABC = ["A", "B", "C"]


@pytest.fixture
def flowio(here):
    return pytest.importorskip("flowio", reason="FlowIO is not installed: pip install tinydni[fcs]")


def test_names_of_channels_stay_with_their_columns(here, flowio):
    for missing in (None, "", " "):
        fcs(here / "a.fcs", EVENTS, ABC, P2N=missing)
        table = tables.read("a.fcs")
        assert table.columns == ["A", "no name (channel 2)", "C"]
        np.testing.assert_array_equal(table.select(["C", "A"]), EVENTS[:, [2, 0]])
    fcs(here / "a.fcs", EVENTS, ABC, P2N="", P2S="CD4", P1S="CD3", P3S="CD3")
    assert tables.read("a.fcs").columns == ["A", "CD4", "C"]    # "CD3" occurs twice


def test_a_wrong_number_of_channels(here, flowio):
    fcs(here / "a.fcs", EVENTS, ABC, PAR="2")
    table = tables.read("a.fcs")
    np.testing.assert_array_equal(table.values, EVENTS)
    assert "says $PAR 2, but describes 3 channels" in table.notes[0]
    fcs(here / "a.fcs", EVENTS, ABC, P4N="D", P4B="32", P4E="0,0", P4R="9")     # not there
    np.testing.assert_array_equal(tables.read("a.fcs").values, EVENTS)
    fcs(here / "a.fcs", EVENTS, ABC, TOT="5")
    refused("contradicts itself: .PAR 3, 3 channels with .PnB, .TOT 5, but 36 bytes",
            sample="a.fcs")


def test_amplification_belongs_to_whole_numbers_alone(here, flowio):
    fcs(here / "a.fcs", EVENTS, ABC, P2E="4,1", P3E="NA")
    table = tables.read("a.fcs")
    np.testing.assert_array_equal(table.values, EVENTS)
    assert any("P2E 4,1 to floating-point numbers" in note for note in table.notes)
    fcs(here / "a.fcs", EVENTS, ABC, kind="I", P2E="4,0", P3G="2.0")
    table, expected = tables.read("a.fcs"), EVENTS.astype(float)
    expected[:, 1], expected[:, 2] = 10 ** (4 * expected[:, 1] / 1024), EVENTS[:, 2] / 2
    np.testing.assert_allclose(table.values, expected, rtol=1e-12)
    tables.write("b.fcs", table)                                # a linear file of the same values
    np.testing.assert_allclose(tables.read("b.fcs").values, expected, rtol=1e-12)
    assert flowio.FlowData("b.fcs").text["p2r"] == "10000"
    fcs(here / "a.fcs", EVENTS, ABC, kind="I", P2E="4,0", P2R="NA")
    refused("number 2, that is not read: .* 4 decades, range NA", sample="a.fcs")


def test_two_channels_of_one_name_are_both_calibrated(here, flowio):
    for name, seed in (("a.fcs", 0), ("b.fcs", 1)):
        fcs(here / name, counts(seed, 200, 0.6 * seed), ["X", "X", *NAMES[2:]])
    assert run("--quick", reference="a.fcs", sample="b.fcs", out="out.fcs") == 0
    before, after = tables.read("b.fcs"), tables.read("out.fcs")
    assert after.columns == ["X (channel 1)", "X (channel 2)", *NAMES[2:]]
    assert ((after.values != before.values).mean(axis=0) > 0.9).all()
    assert flowio.FlowData("out.fcs").pnn_labels == ["X", "X", *NAMES[2:]]


CARRIED = {"SPILLOVER": "2,CD3,CD4,1,.1,.2,1", "TIMESTEP": "0.01", "CYT": "made by hand",
           "DATE": "01-JAN-2020", "SRC": "//", "!MINE": "$5 a sample, caf\xe9", "P1S": "clock",
           "P2S": "CD3 long", "P2R": "262143", "P1G": "0.5"}


def test_fcs_output_carries_over_what_is_not_calibrated(here, flowio, capsys):
    for name, seed in (("a.fcs", 0), ("b.fcs", 1)):
        cells = counts(seed, 200, 0.6 * seed)
        events = np.hstack([np.linspace(0, 1e6, 200)[:, None], cells, cells[:, :1] * 3e7])
        fcs(here / name, events, ["Time", *NAMES, "Residual"], **CARRIED)
    assert run("--quick", reference="a.fcs", sample="b.fcs", out="out.fcs") == 0
    said = capsys.readouterr().out
    assert "Left as they are: clock (by its name), Residual (by its name)." in said
    assert "b.fcs holds a spillover matrix ($SPILLOVER); it was not applied" in said
    text = fcs_files.data_sets((here / "out.fcs").read_bytes())[0][2].text
    for key, value in CARRIED.items():
        assert text[key if key[0] == "!" else "$" + key] == value.replace("//", "/")
    before, after = flowio.FlowData("b.fcs"), flowio.FlowData("out.fcs")
    for key in ("spillover", "timestep", "cyt", "date", *(f"p{i}r" for i in range(1, 9))):
        assert after.text[key] == before.text[key]
    assert after.pnn_labels == before.pnn_labels == ["Time", *NAMES, "Residual"]
    assert after.pns_labels == before.pns_labels
    a, b = (np.reshape(data.events, (200, 8)) for data in (before, after))      # as stored
    np.testing.assert_array_equal(b[:, [0, 7]], a[:, [0, 7]])
    assert (a[:, 1:7] != b[:, 1:7]).mean() > 0.9
    np.testing.assert_array_equal(after.as_array()[:, 0], before.as_array()[:, 0])  # the time step
    assert run("--quick", "--markers", ",".join(["clock", *NAMES[1:]]), reference="a.fcs",
               sample="b.fcs", out="timed.fcs") == 0
    assert run("--quick", "--markers", ",".join(["clock", *NAMES[1:]]), reference="a.fcs",
               sample="b.fcs", out="timed.csv") == 0
    np.testing.assert_allclose(tables.read("timed.fcs").values, tables.read("timed.csv").values,
                               rtol=1e-5)


def test_large_whole_numbers_are_carried_over_to_the_digit(here, flowio):
    events = np.array([[2**31 + 1, 5], [2**24 + 1, 7]])
    fcs(here / "a.fcs", events, ["Time", "B"], kind="J", P1R="4294967296", P2R="262144")
    table = tables.read("a.fcs")
    tables.write("b.fcs", table, ["B"], np.array([[0.5], [0.25]]))
    np.testing.assert_array_equal(tables.read("b.fcs").values,
                                  [[2**31 + 1, 0.5], [2**24 + 1, 0.25]])
    assert written_again(here, table, ["B"], np.array([[0.5], [0.25]])) == (
        "Time,B\n2147483649,0.5\n16777217,0.25\n")
    fcs(here / "a.fcs", [[0.125, 5], [1e9, 7]], ["Time", "B"])
    assert written_again(here, tables.read("a.fcs")) == "Time,B\n0.125,5\n1000000000,7\n"


def test_where_the_data_begin(here, flowio):
    def values(**options):
        return tables.read("a.fcs", **options).values
    begin, end = fcs(here / "a.fcs", EVENTS, ABC, header=(0, 0))                # a large file's
    np.testing.assert_array_equal(values(), EVENTS)
    fcs(here / "a.fcs", EVENTS, ABC, places=False)                              # FlowJo's exports
    np.testing.assert_array_equal(values(), EVENTS)
    np.testing.assert_array_equal(values(offsets="text"), EVENTS)               # it says nothing
    fcs(here / "a.fcs", EVENTS, ABC, BEGINDATA="0", ENDDATA="0")
    np.testing.assert_array_equal(values(), EVENTS)
    fcs(here / "a.fcs", EVENTS, ABC, header=(begin, end + 1))                   # an end off by one
    np.testing.assert_array_equal(values(), EVENTS)
    fcs(here / "a.fcs", EVENTS, ABC, header=(0, 0), places=False)
    refused("says nowhere, in HEADER or TEXT, where its data begin", sample="a.fcs")
    fcs(here / "a.fcs", EVENTS, ABC, header=(begin - 1, end))
    refused(f"data that begin at byte {begin - 1} by its HEADER, at byte {begin} by its TEXT "
            "segment. Say which to believe, --offsets header or --offsets text", sample="a.fcs")
    np.testing.assert_array_equal(values(offsets="text"), EVENTS)
    fcs(here / "a.fcs", EVENTS, ABC, BEGINDATA=f"{begin - 1:08}")
    np.testing.assert_array_equal(values(offsets="header"), EVENTS)
    fcs(here / "a.fcs", counts(0, 200), NAMES, header=(57, 2000))
    fcs(here / "b.fcs", counts(1, 200), NAMES)
    assert run("--quick", "--offsets", "text", reference="a.fcs", sample="b.fcs") == 0


def test_ranges_of_channels(here, flowio):
    for kind in "FI":
        fcs(here / "a.fcs", EVENTS, ABC, kind=kind, P1R="NA", P2R="1024.0", P3R=None)
        np.testing.assert_array_equal(tables.read("a.fcs").values, EVENTS)
    fcs(here / "a.fcs", EVENTS + 4096, ABC, kind="I", P1R="NA", P2R="1024.0", P3R="1000")
    np.testing.assert_array_equal(tables.read("a.fcs").values,       # bits above the range are none
                                  np.hstack([EVENTS[:, :1] + 4096, EVENTS[:, 1:]]))


def test_fcs_2_without_a_number_of_cells(here, flowio):
    fcs(here / "a.fcs", EVENTS, ABC, kind="I", version="2.0", places=False, TOT=None)
    np.testing.assert_array_equal(tables.read("a.fcs").values, EVENTS)


def test_an_lmd_file_holds_two_data_sets(here, flowio):
    fcs(here / "one.fcs", EVENTS, ABC, kind="I", version="2.0", places=False, NEXTDATA="00000000")
    first = (here / "one.fcs").read_bytes()
    first = first.replace(b"NEXTDATA/00000000", b"NEXTDATA/%08d" % len(first))
    fcs(here / "a.lmd", 2 * EVENTS, ABC, before=first)
    table = tables.read("a.lmd")
    np.testing.assert_array_equal(table.values, EVENTS)
    assert table.notes == ["a.lmd holds 2 data sets; number 1 was read (--data-set)."]
    np.testing.assert_array_equal(tables.read("a.lmd", data_set=2).values, 2 * EVENTS)
    refused("a.lmd holds 2 data set.s.; --data-set 3 is none", "--data-set", 3, reference="a.lmd")
    (here / "a.lmd").rename(here / "a.csv")                     # what it is, its first bytes say
    np.testing.assert_array_equal(tables.read("a.csv").values, EVENTS)
    (here / "p.gz").write_bytes(gzip.compress(first))
    np.testing.assert_array_equal(tables.read("p.gz").values, EVENTS)


def test_fcs_files_that_are_not_whole_or_not_read(here, flowio):
    fcs(here / "a.fcs", EVENTS, ABC)
    content = (here / "a.fcs").read_bytes()
    for length in (30, 100, len(content) - 1):
        (here / "cut.fcs").write_bytes(content[:length])
        refused("cut.fcs is not a whole FCS file", sample="cut.fcs")
    for change in (dict(DATATYPE="A"), dict(MODE="C"), dict(BYTEORD="3,4,1,2"), dict(P2B="16")):
        fcs(here / "a.fcs", EVENTS, ABC, **change)
        refused("a.fcs is of a kind that is not read|contradicts|number 2, that is not",
                sample="a.fcs")


def test_without_flowio_a_sentence_says_what_to_install(here, monkeypatch):
    fcs(here / "a.fcs", EVENTS, ABC)
    monkeypatch.setitem(sys.modules, "flowio", None)
    refused('a.fcs is an FCS file, which needs the package FlowIO: pip install "tinydni.fcs."',
            sample="a.fcs")


def test_a_saved_model_leaves_the_same_columns_alone(here, flowio, capsys):
    for name, seed in (("a.fcs", 0), ("b.fcs", 1)):
        cells = counts(seed, 200, 0.6 * seed)
        fcs(here / name, np.hstack([cells[:, :1], cells]), ["Time", *NAMES], **CARRIED)
    assert run("--quick", reference="a.fcs", sample="b.fcs", out="out.fcs") == 0
    capsys.readouterr()
    assert apply("out-report/model.npz", "b.fcs", "again.fcs") == 0
    assert capsys.readouterr().out.splitlines() == [
        "b.fcs holds a spillover matrix ($SPILLOVER); it was not applied: values count as they are "
        "stored, and .fcs output carries it over.",
        "Left as they are: clock (by its name). --markers NAMES says what to calibrate.",
        "Wrote again.fcs: 200 cells, calibrated with out-report/model.npz."]
    assert (here / "again.fcs").read_bytes() == (here / "out.fcs").read_bytes()


def test_csv_cells_become_an_fcs_file(here, flowio):
    assert run("--quick") == 0
    assert run("--quick", out="out.fcs") == 0
    csv_table, table = tables.read("out.csv"), tables.read("out.fcs")
    assert table.columns == NAMES
    np.testing.assert_allclose(table.values, csv_table.values, rtol=1e-6)
    table = csv_of(here, '"CD3, new",CD4\n1,2\n3,4\n')
    tables.write("c.fcs", table)
    assert tables.read("c.fcs").columns == ["CD3, new", "CD4"]
    assert flowio.FlowData("c.fcs").pnn_labels == ["CD3  new", "CD4"]


def test_a_calibration_needs_no_more_memory_than_a_few_copies_of_the_sample():
    import tracemalloc
    rng = np.random.default_rng(0)
    reference, sample = rng.lognormal(size=(2, 20_000, 10))
    tracemalloc.start()
    from tinydni.lab.cytometry.resnet import METHODS
    Calibrator.fit(reference, sample, list("abcdefghij"), Transform("log1p"), METHODS["dni"], 0,
                   updates=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6 + 12 * sample.nbytes, f"{peak:,} bytes for a sample of {sample.nbytes:,}"
