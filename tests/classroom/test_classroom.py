"""Assignments: their format, what students get, what a check says, and what a grade is made of."""

import csv
import json
import runpy
import shutil
import time

import numpy as np
import pytest

from tinydni.lab import cli
from tinydni.classroom import assignment as assignments
from tinydni.classroom import check, codec, grade, stubs, use_reference
from tinydni.classroom.assignment import Assignment, AssignmentError
from tinydni.classroom.draw import PUBLIC, Draw
from tinydni.classroom.examine import ROUNDS, examine
from tinydni.classroom.judge import Wrong, same
from tinydni.classroom.pages import file_name
from tinydni.classroom.release import released
from tinydni.classroom.submission import Submission

NAMES = assignments.names()
TASKS = [(name, task.name) for name in NAMES for task in assignments.load(name).tasks]


def write(folder, assignment, text):
    """A submission with this text."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{assignment.name}.py").write_text(text)
    (folder / "checks.py").write_text(assignment.checks_source)
    return Submission(folder, assignment)


# The format -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
def test_an_assignment_is_complete(name):
    found = assignments.load(name)
    assert found.title and found.story
    assert [task.name for task in found.tasks] == [f"{name}.{k}" for k in range(1, len(found.tasks) + 1)]
    assert 3 <= len(found.tasks) <= 5
    for task in found.tasks:
        assert task.points > 0 and len(task.statement) > 80
        assert all(one.__doc__ for one in task.checks)


@pytest.mark.parametrize("name", NAMES)
def test_the_released_form_holds_no_solution_and_can_be_loaded(name, tmp_path):
    found = assignments.load(name)
    text = released(found)
    assert "SOLUTION" not in text and "INSTEAD" not in text
    (tmp_path / f"{name}.py").write_text(text)
    names = runpy.run_path(str(tmp_path / f"{name}.py"))
    assert all(callable(names[task.target]) for task in found.tasks)
    assert all(f'("{task.name}: ' in text or stubs.INSTEAD in task.section.code() for task in found.tasks)


@pytest.mark.parametrize("name, task", TASKS)
def test_the_stub_has_no_points_and_the_reference_has_all(name, task, tmp_path):
    found = assignments.load(name)
    stub, solution = write(tmp_path / "stub", found, released(found)), write(tmp_path / "solution", found, found.source)
    outcome = examine(found, found.find(task), stub)
    assert outcome.points == 0 and outcome.findings
    outcome = examine(found, found.find(task), solution, "a secret", ROUNDS)
    assert outcome.passed, outcome.findings


BROKEN = {
    "no task": ("# %% [markdown]\n# # B1 Title\n", "has no task"),
    "no solution": ("# %% [markdown]\n# # B1 T\n\n# %% [markdown]\n# ## B1.1 T (1 point)\n\n# %%\ndef f():\n    '''Doc.'''\n",
                    "one function or class"),
    "no docstring": ("# %% [markdown]\n# # B1 T\n\n# %% [markdown]\n# ## B1.1 T (1 point)\n\n# %%\ndef f():\n"
                     "    ### BEGIN SOLUTION\n    pass\n    ### END SOLUTION\n", "docstring"),
    "no check": ("# %% [markdown]\n# # B1 T\n\n# %% [markdown]\n# ## B1.1 T (1 point)\n\n# %%\ndef f():\n    '''Doc.'''\n"
                 "    ### BEGIN SOLUTION\n    pass\n    ### END SOLUTION\n", "has no function check_B1_1_"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_format_is_one_sentence(what, tmp_path):
    text, words = BROKEN[what]
    (tmp_path / "B1").mkdir()
    (tmp_path / "B1" / "B1.py").write_text(text)
    (tmp_path / "B1" / "checks.py").write_text("")
    with pytest.raises(AssignmentError, match=words):
        Assignment(tmp_path / "B1")


def test_a_stub_raises_or_holds_what_is_handed_out_instead():
    source = "def f(x):\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n    return 2"
    assert stubs.stub(source, "B1.1") == (
        'def f(x):\n    raise NotImplementedError("B1.1: f is not written yet")\n    return 2')
    source = ("def f(x):\n    ### BEGIN SOLUTION\n    y = 1\n    ### INSTEAD\n    # y = 2\n    # z = 3\n"
              "    ### END SOLUTION\n")
    assert stubs.stub(source, "B1.1") == "def f(x):\n    y = 2\n    z = 3"
    with pytest.raises(ValueError, match="is missing"):
        stubs.stub("### BEGIN SOLUTION\n", "B1.1")


def test_draws_are_repeated_by_the_same_secret_only_and_cannot_be_written_to():
    first, again, other = (Draw(secret, "check").normal(3, 4) for secret in ("a", "a", "b"))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(first, Draw("a", "check", 1).normal(3, 4))
    assert len(set(Draw(PUBLIC, "check").sizes(4))) == 4
    with pytest.raises(ValueError, match="read-only"):
        first += 1


# What a check says ------------------------------------------------------------------------------------------------

VALUES = np.array([[1.0, 2.0], [3.0, 5.0]])


@pytest.mark.parametrize("got, words", [
    (VALUES.T, "Looks transposed"), (-VALUES, "sign is flipped"),
    (7 * VALUES, "7 is the batch size N: looks like a missing 1/N"),
    (VALUES ** 2, "Looks like this: it is squared"), (0 * VALUES, "is it ever computed"), (None, "is None"),
    (VALUES[:, 0], "has shape (2,), expected (2, 2)"), (VALUES.astype(np.float32), "is float32"),
    (VALUES * np.inf, "NaN or infinity"),
    ("yes", "is a str"), ([[1, 2], [3, 5]], "is a list"), (VALUES + 1e-7, "4 of 4 entries differ")])
def test_a_wrong_value_is_explained(got, words):
    with pytest.raises(Wrong) as caught:
        same("y", got, VALUES, {"it is squared": VALUES ** 2}, {"the batch size N": 7})
    assert words in str(caught.value)
    assert "got" not in caught.value.told()
    same("y", VALUES + 1e-12, VALUES)


def test_values_cross_to_another_process_and_back_with_their_identity():
    class Thing:
        pass

    thing, array = Thing(), np.arange(6.0).reshape(2, 3)
    thing.x, thing.same, thing.rest = array, array, [None, True, 2, 2.5, "é", (1, np.float32(0.1)), {"k": array.T}]
    sent = codec.Encoder(lambda value: ["own", "Thing"])
    ref = sent.ref(thing)
    there = codec.Decoder(json.loads(json.dumps(sent.nodes)), sent.buffers, lambda kind: Thing())
    twin = there.value(ref)
    assert twin.x is twin.same and np.array_equal(twin.x, array) and np.array_equal(twin.rest[6]["k"], array.T)
    assert twin.rest[:6] == thing.rest[:6] and type(twin.rest[5][1]) is np.float32
    twin.x += 1                                     # what is done there shows here, in the same array
    back = codec.Encoder(lambda value: ["own", "Thing"], there)
    codec.Decoder(back.nodes, back.buffers, None, sent.alive)
    assert thing.x is array and array[0, 0] == 1
    array.setflags(write=False)
    twin.x += 1
    back = codec.Encoder(lambda value: ["own", "Thing"], there)
    assert codec.Decoder(back.nodes, back.buffers, None, sent.alive).written == [1] and array[0, 0] == 1


# Commands ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def student(tmp_path, monkeypatch):
    """The folder of a student with A1, and a way to write into it."""
    folder = tmp_path / "a1"
    assert cli.main(["assignment", "release", "A1", "--out", str(folder)]) == 0
    monkeypatch.chdir(folder)
    return folder


def edit(folder, old, new):
    text = (folder / "A1.py").read_text()
    assert old in text
    (folder / "A1.py").write_text(text.replace(old, new))


def test_list_names_all_tasks(capsys):
    assert cli.main(["assignment", "list"]) == 0
    said = capsys.readouterr().out
    assert all(task in said for _, task in TASKS)


def test_release_writes_four_files_and_never_over_others(student, capsys):
    assert sorted(path.name for path in student.iterdir()) == ["A1.ipynb", "A1.py", "README.md", "checks.py"]
    readme = (student / "README.md").read_text()
    assert len(readme.splitlines()) < 40 and "A1.5" in readme
    cells = json.loads((student / "A1.ipynb").read_text())["cells"]
    for task in assignments.load("A1").tasks:
        assert any(task.statement in "".join(cell["source"]) for cell in cells)
        assert any(f'check("{task.name}")' in "".join(cell["source"]) for cell in cells)
    assert cli.main(["assignment", "release", "A1", "--out", str(student)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_the_loop_of_editing_and_checking(student, capsys):
    assert cli.main(["assignment", "check", "A1.1"]) == 1
    said = capsys.readouterr().out
    assert "double is not written yet" in said and "So far: 0 of 10 points" in said
    edit(student, 'raise NotImplementedError("A1.1: double is not written yet")', "return -2 * x")
    assert cli.main(["assignment", "check", "A1.1"]) == 1
    assert "sign is flipped" in " ".join(capsys.readouterr().out.split())       # the sentence is wrapped
    edit(student, "return -2 * x", "return 2 * x")
    assert cli.main(["assignment", "check", "A1.1"]) == 0
    assert "A1.1 Edit and check: right, 1 of 1 points.\nSo far: 1 of 10 points." in capsys.readouterr().out
    check("A1.5")
    assert "update is not written yet.\nSo far: 1 of 10 points." in capsys.readouterr().out
    edit(student, "return 2 * x", "return 2 * x + 0")          # changed, and not checked again
    cli.main(["assignment", "check", "A1.5"])
    assert "So far: 0 of 10 points" in capsys.readouterr().out


def test_a_task_runs_on_the_reference_for_earlier_ones(tmp_path):
    found = assignments.load("A3")
    text = released(found).replace("    raise NotImplementedError(\"A3.4: step is not written yet\")",
                                   "    return use_reference('A3.3') and 0")
    outcome = examine(found, found.find("A3.4"), write(tmp_path, found, text))
    assert outcome.notes == ["goes on with the reference for A3.3"]
    assert "W of the block of module 0 is wrong. Looks like this: this module never runs." == outcome.findings[0].reason


def test_the_reference_is_there_for_a_students_program(student):
    double = use_reference("A1.1")
    assert np.array_equal(double(np.ones(3)), [2, 2, 2])
    edit(student, "def double", 'double = use_reference("A1.1")\n\n\ndef triple')
    names = runpy.run_path(str(student / "A1.py"))
    assert np.array_equal(names["double"](np.ones(3)), [2, 2, 2])


def test_a_students_own_headings_and_cells_stay_in_the_task(tmp_path):
    found = assignments.load("A1")
    text = found.source.replace("# %%\ndef double(x):", "# %% [markdown]\n# ## My plan\n#\n# # Twice.\n\n# %%\ntwo = 2\n\n"
                                "# %%\ndef double(x):").replace("return 2 * x", "return two * x")
    assert examine(found, found.find("A1.1"), write(tmp_path, found, text)).passed


def test_wrong_use_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    for command, words in ((["grade", "A1", ".", "--out", "g.csv", "--secret", "empty"], "empty is empty"),
                           (["check", "A1.1"], "there is no file A1.py"),
                           (["check", "A1.9"], "A1 has no task A1.9; it has A1.1"),
                           (["release", "X1", "--out", "x"], "there is no assignment X1; there are A1"),
                           (["grade", "A1", "nobody", "--out", "g.csv"], "there is no folder nobody"),
                           (["grade", "A1", ".", "--out", "g.txt"], "--out must end in .csv"),
                           (["grade", "A1", ".", "--out", "g.csv", "--secret", "none"], "none")):
        assert cli.main(["assignment", *command]) == 2
        error = capsys.readouterr().err
        assert words in error and "Traceback" not in error and len(error.splitlines()) == 1


# Grading ----------------------------------------------------------------------------------------------------------

@pytest.fixture
def class_of_four(tmp_path):
    """Submissions: a stub, a right one, one with a mistake as a zip, and one as a notebook."""
    found, folder = assignments.load("A1"), tmp_path / "submissions"
    write(folder / "Bo =1+1 <b>", found, released(found))
    write(folder / "anna", found, found.source)
    write(tmp_path / "zipped", found, found.source.replace("self.dW = self.x.T @ dy", "self.dW = -self.x.T @ dy"))
    shutil.make_archive(str(folder / "carl"), "zip", tmp_path / "zipped")
    cells = [{"cell_type": cell.kind, "source": cell.source}
             for section in (found.prelude, *(task.section for task in found.tasks)) for cell in section.cells]
    write(folder / "dora", found, "")
    (folder / "dora" / "A1.py").unlink()
    (folder / "dora" / "A1.ipynb").write_text(json.dumps({"cells": cells}))
    return folder


def test_grade_writes_a_table_pages_and_a_summary_and_resumes(class_of_four, tmp_path, capsys):
    out, pages = tmp_path / "grades.csv", tmp_path / "pages"
    command = ["assignment", "grade", "A1", str(class_of_four), "--out", str(out), "--report", str(pages)]
    assert cli.main(command) == 0
    with open(out, newline="") as stream:
        rows = {row["student"]: row for row in csv.DictReader(stream)}
    assert {name: row["points"] for name, row in rows.items()} == {
        "Bo =1+1 <b>": "0", "anna": "10", "carl": "7", "dora": "10"}
    assert rows["carl"]["A1.2"] == "0" and rows["carl"]["A1.3"] == "2"
    assert "A1.2: dW is wrong. Looks like the sign is flipped" in rows["carl"]["remarks"]
    page = (pages / "page-carl.html").read_text()
    assert "7 of 10 points" in page and "sign is flipped" in page and "got" not in page
    assert "&lt;b&gt;" in (pages / f"{file_name('Bo =1+1 <b>')}.html").read_text()
    assert "4 submissions, on average 6.8 of 10 points" in (pages / "index.html").read_text()
    assert (pages / "histogram.png").read_bytes().startswith(b"\x89PNG")
    table, secret = out.read_text(), (tmp_path / "grades.secret").read_text()
    assert len(secret) > 60
    capsys.readouterr()

    edited = class_of_four / "Bo =1+1 <b>" / "A1.py"
    edited.write_text(edited.read_text().replace('raise NotImplementedError("A1.1: double is not written yet")',
                                                 "return 2 * x"))
    (class_of_four / "eve.py").write_text(edited.read_text())
    started = time.perf_counter()
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "3 of 4 were graded before" in said and "Bo =1+1 <b>: 1 of 10" in said and time.perf_counter() - started < 20
    assert "Not graded, since a submission is a folder or a zip named after its student: eve.py." in said
    assert out.read_text().splitlines()[2:] == table.splitlines()[2:]

    (tmp_path / "grades.json").unlink()                        # the same submission, the same grade
    assert cli.main([*command[:4], "--out", str(tmp_path / "again.csv"), "--secret", str(tmp_path / "grades.secret")]) == 0
    assert (tmp_path / "again.csv").read_text() == out.read_text()


def test_a_class_whose_checks_are_those_of_another_version_is_pointed_out(class_of_four, tmp_path):
    for path in class_of_four.glob("*/checks.py"):
        path.write_text(path.read_text().replace("double(x) is 2 x", "double(x) is x + x"))
    said = []
    grade.grade(assignments.load("A1"), class_of_four, tmp_path / "g.csv", "s", say=said.append)
    assert "3 of 4 submissions hold another checks.py" in said[-1] and "--ignore-checks" in said[-1]


def test_a_stopped_run_goes_on(class_of_four, tmp_path):
    found, said = assignments.load("A1"), []

    def stop(text):
        said.append(text)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade.grade(found, class_of_four, tmp_path / "g.csv", "s", jobs=1, say=stop)
    assert not (tmp_path / "g.csv").exists()
    said = []
    grade.grade(found, class_of_four, tmp_path / "g.csv", "s", say=said.append)
    assert "1 of 4 were graded before and have not changed." in said[0] and len(said) == 4


def test_gradescope_gets_one_test_per_task(class_of_four, tmp_path):
    for student in ("anna", "dora", "Bo =1+1 <b>"):
        shutil.rmtree(class_of_four / student)
    assert cli.main(["assignment", "grade", "A1", str(class_of_four), "--out", str(tmp_path / "g.csv"),
                     "--gradescope", str(tmp_path / "results.json")]) == 0
    tests = json.loads((tmp_path / "results.json").read_text())["tests"]
    assert [test["score"] for test in tests] == [1, 0, 2, 3, 1] and sum(test["max_score"] for test in tests) == 10
    assert "sign is flipped" in tests[1]["output"] and tests[0]["output"] == "right"
