"""Assignments: their format, what students get, what a check says, and what a grade is made of."""

import csv
import json
import os
import re
import runpy
import shutil
from datetime import datetime

import numpy as np
import pytest
from classroom_class import checked, hand_in, load, needs_bwrap, told, with_code

from tinydni.classroom import assignment as assignments
from tinydni.classroom import check, files, grade, sandbox, stubs, use_reference
from tinydni.classroom.assignment import Assignment, AssignmentError
from tinydni.classroom.pages import file_name
from tinydni.classroom.release import released
from tinydni.classroom.similar import PUBLIC as REFERENCE
from tinydni.classroom.similar import similar
from tinydni.classroom.solution import Inside
from tinydni.classroom.submission import Submission
from tinydni.classroom.trial import PUBLIC, Trial, Wrong
from tinydni.lab import cli

NAMES = assignments.names()
TASKS = [(name, task.name) for name in NAMES for task in load(name).tasks]
A1 = load("A1")


# The format -------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
def test_an_assignment_is_complete(name):
    found = load(name)
    assert found.title and found.story
    assert [task.name for task in found.tasks] == [f"{name}.{k}" for k in
                                                   range(1, len(found.tasks) + 1)]
    assert 3 <= len(found.tasks) <= 5
    for task in found.tasks:
        assert task.points > 0 and len(task.statement) > 80
        assert all(one.__doc__ for one in task.checks)
        assert sum(points for points, _ in task.parts) == task.points
        assert sum(slip[0] == task.name for slip in found.slips) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_the_released_form_holds_no_solution_and_can_be_loaded(name, tmp_path):
    found = load(name)
    text = released(found)
    assert "SOLUTION" not in text and "INSTEAD" not in text
    (tmp_path / f"{name}.py").write_text(text)
    names = runpy.run_path(str(tmp_path / f"{name}.py"))
    assert all(callable(names[task.target]) for task in found.tasks)
    assert all(f'("{task.name}: ' in text or stubs.INSTEAD in task.section.code()
               for task in found.tasks)


@pytest.mark.parametrize("name, task", TASKS)
def test_the_stub_has_no_points_and_the_reference_has_all(name, task):
    found = load(name)
    outcome = checked(task, released(found))
    assert outcome.points == 0 and outcome.findings
    outcome = checked(task, found.source)
    assert outcome.passed, outcome.findings


TASK = "# %% [markdown]\n# # B1 T\n\n# %% [markdown]\n# ## B1.1 T (1 point)\n\n# %%\ndef f():\n"
BODY = "    '''Doc.'''\n    ### BEGIN SOLUTION\n    pass\n    ### END SOLUTION\n"
BROKEN = {
    "no task": ("# %% [markdown]\n# # B1 Title\n", "", "has no task"),
    "no solution": (f"{TASK}    '''Doc.'''\n", "", "one function or class"),
    "no docstring": (TASK + BODY.replace("    '''Doc.'''\n", ""), "", "docstring"),
    "no check": (TASK + BODY, "", "has no function check_B1_1_"),
    "other points": (TASK + BODY, "def check_B1_1_x(task, trial):\n"
                     "    '''It is. (2 points)'''", "B1.1 has 1 points; its checks give 2"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_format_is_one_sentence(what, tmp_path):
    text, checks, words = BROKEN[what]
    (tmp_path / "B1").mkdir()
    (tmp_path / "B1" / "B1.py").write_text(text)
    (tmp_path / "B1" / "checks.py").write_text(checks)
    with pytest.raises(AssignmentError, match=words):
        Assignment(tmp_path / "B1")


def test_a_stub_raises_or_holds_what_is_handed_out_instead():
    source = "def f(x):\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n    return 2"
    assert stubs.stub(source, "B1.1") == (
        'def f(x):\n    raise NotImplementedError("B1.1: f is not written yet")\n    return 2')
    source = ("def f(x):\n    ### BEGIN SOLUTION\n    y = 1\n    ### INSTEAD\n    # y = 2\n"
              "    # z = 3\n    ### END SOLUTION\n")
    assert stubs.stub(source, "B1.1") == "def f(x):\n    y = 2\n    z = 3"
    with pytest.raises(ValueError, match="is missing"):
        stubs.stub("### BEGIN SOLUTION\n", "B1.1")


def test_draws_are_repeated_by_the_same_secret_only_and_cannot_be_written_to():
    first, again, other = (Trial(secret, "check").normal(3, 4) for secret in ("a", "a", "b"))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(first, Trial("a", "check", 1).normal(3, 4))
    assert len(set(Trial(PUBLIC, "check").sizes("N D H K"))) == 4
    with pytest.raises(ValueError, match="read-only"):
        first += 1


# What a check says ------------------------------------------------------------------------------

VALUES = np.array([[1.0, 2.0], [3.0, 5.0]])


@pytest.mark.parametrize("got, words", [
    (VALUES.T, "Looks transposed"), (-VALUES, "sign is flipped"),
    (7 * VALUES, "factor of the batch size N: a missing 1/N"),
    (VALUES / 7, "factor of the batch size N: a mean over the batch"),
    (0 * VALUES, "is it ever computed"), (None, "y is None"),
    (VALUES[:, 0], "got (2,), expected (2, 2)"), (VALUES.astype(np.float32), "is float32"),
    (VALUES * np.inf, "NaN or infinity"), (VALUES + 1e-7, "nearly right"),
    ("yes", "no array of numbers"), ([[1, 2], [3, 5]], "no array of numbers")])
def test_a_wrong_value_is_explained(got, words):
    trial = Trial(PUBLIC, "check")
    trial.letters = {"N": 7}
    with pytest.raises(Wrong) as caught:
        trial.same("y", got, VALUES)
    error = caught.value
    assert words in " ".join([str(error), *error.guesses])
    assert "got" not in error.told() and "(2," not in error.told()
    trial.same("y", VALUES + 1e-13, VALUES)


def test_parts_of_a_task_have_points_of_their_own():
    text = A1.source.replace("self.dW = self.x.T @ dy", "self.dW = -self.x.T @ dy")
    assert [checked(task.name, text).points for task in A1.tasks] == [1, 1, 2, 3, 1]
    text = A1.source.replace("return x @ self.W + self.b", "return x @ self.W")
    assert checked("A1.2", text).points == 2


def test_an_array_that_is_given_is_not_written_into():
    said = told(checked("A1.1", with_code("A1.1", "def double(x):\n    x *= 2\n    return x")))
    assert re.search(r"it writes into an array that it was given \(A1.py, line \d+\)", said)


def test_an_endless_loop_is_stopped_in_ones_own_process():
    text = with_code("A1.1", "def double(x):\n    while True:\n        pass")
    submission = Submission("A1.py", text.encode(), A1)
    from tinydni.classroom.examine import examine
    outcome = examine(A1, A1.find("A1.1"), submission, Inside(cpu=1))
    assert "computed for more than 1 s: probably an endless loop" in told(outcome)


# Commands ---------------------------------------------------------------------------------------

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
    names = sorted(path.name for path in student.iterdir())
    assert names == ["A1.ipynb", "A1.py", "README.md", "checks.py"]
    readme = (student / "README.md").read_text()
    assert len(readme.splitlines()) < 40 and "A1.5" in readme
    cells = json.loads((student / "A1.ipynb").read_text())["cells"]
    for task in A1.tasks:
        assert any(task.statement in "".join(cell["source"]) for cell in cells)
        assert any(f'check("{task.name}")' in "".join(cell["source"]) for cell in cells)
    assert cli.main(["assignment", "release", "A1", "--out", str(student)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_the_loop_of_editing_and_checking(student, capsys, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", None)               # it starts no process
    assert cli.main(["assignment", "check", "A1.1"]) == 1
    said = capsys.readouterr().out
    assert "double is not written yet" in said and "So far: 0 of 10 points" in said
    edit(student, 'raise NotImplementedError("A1.1: double is not written yet")', "return -2 * x")
    assert cli.main(["assignment", "check", "A1.1"]) == 1
    assert "sign is flipped" in " ".join(capsys.readouterr().out.split())
    edit(student, "return -2 * x", "return 2 * x")
    assert cli.main(["assignment", "check", "A1.1"]) == 0
    assert ("A1.1 Edit and check: right, 1 of 1 points.\nSo far: 1 of 10 points."
            in capsys.readouterr().out)
    check("A1.5")
    said = capsys.readouterr().out
    assert "update is not written yet" in said and "So far: 1 of 10 points." in said
    edit(student, "return 2 * x", "return 2 * x + 0")          # changed, and not checked again
    cli.main(["assignment", "check", "A1.5"])
    assert "So far: 0 of 10 points" in capsys.readouterr().out


def test_a_task_runs_on_the_reference_for_earlier_ones():
    text = released(load("A3")).replace(
        '    raise NotImplementedError("A3.4: step is not written yet")',
        "    return use_reference('A3.3') and 0")
    outcome = checked("A3.4", text)
    assert outcome.notes == ["goes on with the reference for A3.3"]
    assert "W of the block of module 0 of 3 is wrong." in told(outcome)
    outcome = checked("A3.4", text.replace("use_reference('A3.3')", "use_reference('A3.4')"))
    assert "it uses the reference for this task" in told(outcome)


def test_the_reference_is_there_for_a_students_program(student):
    double = use_reference("A1.1")
    assert np.array_equal(double(np.ones(3)), [2, 2, 2])
    edit(student, "def double", 'double = use_reference("A1.1")\n\n\ndef triple')
    names = runpy.run_path(str(student / "A1.py"))
    assert np.array_equal(names["double"](np.ones(3)), [2, 2, 2])


def test_wrong_use_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    grading = ["grade", "A1", ".", "--isolation", "none"]
    for command, words in (
            ([*grading, "--out", "g.csv", "--secret", "empty"], "empty is empty"),
            (["check", "A1.1"], "there is no file with the tasks of A1"),
            (["check", "A1.9"], "A1 has no task A1.9; it has A1.1"),
            (["release", "X1", "--out", "x"], "there is no assignment X1; there are A1"),
            (["grade", "A1", "nobody", "--out", "g.csv", "--isolation", "none"],
             "there is no folder nobody"),
            ([*grading, "--out", "g.txt"], "--out must end in .csv"),
            ([*grading, "--out", "g.csv", "--roster", "empty"], "empty has no rows"),
            ([*grading, "--out", "g.csv", "--secret", "none"], "there is no file none with the")):
        assert cli.main(["assignment", *command]) == 2
        error = capsys.readouterr().err
        assert words in error and "Traceback" not in error and len(error.splitlines()) == 1


# Grading ----------------------------------------------------------------------------------------

@pytest.fixture
def class_of_four(tmp_path):
    """Submissions: a stub, a right one, one with a mistake as a zip, and one as a notebook."""
    folder = tmp_path / "submissions"
    hand_in(folder / "Bo =1+1 <b>", A1, released(A1))
    hand_in(folder / "anna", A1)
    hand_in(tmp_path / "zipped", A1, A1.source.replace("self.dW = self.x.T @ dy",
                                                       "self.dW = -self.x.T @ dy"))
    shutil.make_archive(str(folder / "carl"), "zip", tmp_path / "zipped")
    cells = [{"cell_type": cell.kind, "source": cell.source}
             for section in (A1.prelude, *(task.section for task in A1.tasks))
             for cell in section.cells]
    (folder / "dora").mkdir()
    (folder / "dora" / "A1.ipynb").write_text(json.dumps({"cells": cells}))
    return folder


def rows_of(path):
    with open(path, newline="") as stream:
        return {row["student"]: row for row in csv.DictReader(stream)}


@needs_bwrap
def test_grade_writes_a_table_pages_and_a_summary_and_resumes(class_of_four, tmp_path, capsys):
    out, pages = tmp_path / "grades.csv", tmp_path / "pages"
    command = ["assignment", "grade", "A1", str(class_of_four), "--out", str(out), "--report",
               str(pages)]
    assert cli.main(command) == 0
    assert "Isolation: bubblewrap" in capsys.readouterr().out
    rows = rows_of(out)
    assert {name: row["points"] for name, row in rows.items()} == {
        "Bo =1+1 <b>": "0", "anna": "10", "carl": "8", "dora": "10"}
    assert rows["carl"]["A1.2"] == "1" and rows["carl"]["A1.3"] == "2"
    assert "A1.2: dW is wrong. The sign is flipped" in rows["carl"]["remarks"]
    page = (pages / "page-carl.html").read_text()
    assert "8 of 10 points" in page and "sign is flipped" in page and "got" not in page
    assert "Isolation: bubblewrap" in page
    assert "&lt;b&gt;" in (pages / f"{file_name('Bo =1+1 <b>')}.html").read_text()
    index = (pages / "index.html").read_text()
    assert "4 graded of 4, on average 7.0 of 10 points. Isolation: bubblewrap" in index
    assert "solved by 2 of 4, in part by 1" in index and "dW is wrong" in index
    secret = tmp_path / "grades.secret"
    assert len(secret.read_text()) > 60 and secret.stat().st_mode & 0o077 == 0

    edited = class_of_four / "Bo =1+1 <b>" / "A1.py"
    edited.write_text(edited.read_text().replace(
        'raise NotImplementedError("A1.1: double is not written yet")', "return 2 * x"))
    (class_of_four / "A1.py").write_text(edited.read_text())
    table = out.read_text()
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "3 of 4 were graded before" in said and "Bo =1+1 <b>: 1 of 10, was 0" in said
    assert "Not graded, since a name does not say whose it is or what it is: A1.py." in said
    assert out.read_text().splitlines()[2:] == table.splitlines()[2:]
    assert rows_of(out)["Bo =1+1 <b>"]["before"] == "0"

    (tmp_path / "grades.json").unlink()                 # the same submission, the same grade
    again = ["--out", str(tmp_path / "again.csv"), "--secret", str(secret)]
    assert cli.main([*command[:4], *again]) == 0
    assert [row["points"] for row in rows_of(tmp_path / "again.csv").values()] == [
        "1", "10", "8", "10"]


@pytest.fixture
def quick(monkeypatch):
    """Grading in this process."""
    monkeypatch.setattr(grade, "Outside", lambda *_, **__: Inside())


def grade_with(folder, tmp_path, *options):
    return cli.main(["assignment", "grade", "A1", str(folder), "--isolation", "none", "--out",
                     str(tmp_path / "g.csv"), *options])


def test_a_roster_remarks_and_a_deadline(class_of_four, tmp_path, quick):
    (tmp_path / "roster.csv").write_text("student,id\nDora,1\nanna,2\nEmil,3\n")
    (tmp_path / "remarks.csv").write_text(
        "student,task,points,remark\nanna,A1.4,2,read the text\ncarl,,9.5,spoke with him\n")
    late = datetime(2026, 1, 3).timestamp()
    os.utime(class_of_four / "dora" / "A1.ipynb", (late, late))
    for name in ("anna/A1.py", "carl.zip", "Bo =1+1 <b>/A1.py"):
        early = datetime(2025, 12, 1).timestamp()
        os.utime(class_of_four / name, (early, early))
    options = ["--roster", str(tmp_path / "roster.csv"), "--remarks", str(tmp_path / "remarks.csv"),
               "--deadline", "2026-01-01T12:00", "--late", "10", "--report", str(tmp_path / "p")]
    for _ in range(2):                                  # and they survive the next run
        assert grade_with(class_of_four, tmp_path, *options) == 0
        rows = rows_of(tmp_path / "g.csv")
        assert list(rows) == ["dora", "anna", "Emil", "Bo =1+1 <b>", "carl"]
        assert [row["points"] for row in rows.values()] == ["8", "9", "0", "0", "9.5"]
        assert "2 days late: -2" in rows["dora"]["remarks"]
        assert "handed in nothing" in rows["Emil"]["remarks"]
        assert "A1.4: read the text (2 points)" in rows["anna"]["remarks"]
    assert "2 days after the deadline" in (tmp_path / "p" / "page-dora.html").read_text()
    assert "Nothing was handed in" in (tmp_path / "p" / "page-Emil.html").read_text()
    (tmp_path / "remarks.csv").write_text("student,task,points,remark\nnobody,,1,\n")
    assert grade_with(class_of_four, tmp_path, *options) == 2


def test_exports_for_canvas_and_moodle(tmp_path, quick):
    folder = tmp_path / "in"
    for name in ("doejane_LATE_12_99_A1.py", "Jo Roe_34_assignsubmission_file_A1.py"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(A1.source)
    (tmp_path / "roster.csv").write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section,A1 (77)\n    Points Possible,,,,,10\n"
        '"Doe, Jane",12,s12,jane,S1,\n"Poe, Ed",56,s56,ed,S1,\n')
    assert grade_with(folder, tmp_path, "--roster", str(tmp_path / "roster.csv"), "--canvas",
                      str(tmp_path / "c.csv"), "--moodle", str(tmp_path / "m.csv")) == 0
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[:3] == ["Student,ID,SIS User ID,SIS Login ID,Section,A1 (77)",
                         '"Doe, Jane",12,s12,jane,S1,10', '"Poe, Ed",56,s56,ed,S1,0']
    assert "Participant 34,Jo Roe,10,10," in (tmp_path / "m.csv").read_text()
    assert "Canvas says it is late" in rows_of(tmp_path / "g.csv")["doejane"]["remarks"]


def test_a_student_found_by_name_gets_the_number_of_the_roster(tmp_path, quick):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "Ed Poe.py").write_text(A1.source)
    (tmp_path / "roster.csv").write_text("Student,ID,SIS User ID,A1 (77)\n\"Poe, Ed\",56,s56,\n")
    assert grade_with(folder, tmp_path, "--roster", str(tmp_path / "roster.csv"), "--canvas",
                      str(tmp_path / "c.csv"), "--moodle", str(tmp_path / "m.csv")) == 0
    assert '"Poe, Ed",56,s56,,,10' in (tmp_path / "c.csv").read_text()
    assert "Participant 56,Ed Poe,10,10," in (tmp_path / "m.csv").read_text()


def test_a_name_that_stands_twice_in_the_roster_gets_no_number(tmp_path, quick):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("Ann Lee", "Cy"):
        (folder / f"{name}.py").write_text(A1.source)
    (tmp_path / "roster.csv").write_text("Student,ID,A1 (7)\n    Points Possible,,10\n"
                                         "Ann Lee,21,\nAnn Lee,22,\n")
    assert grade_with(folder, tmp_path, "--roster", str(tmp_path / "roster.csv"), "--canvas",
                      str(tmp_path / "c.csv")) == 0
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert "Ann Lee,,,,,10" in lines and "Cy,,,,,10" in lines       # and none says what is possible
    assert not any("Possible" in line for line in lines)


def test_anonymous_pages_hold_no_name(class_of_four, tmp_path, quick):
    assert grade_with(class_of_four, tmp_path, "--anonymous", "--report", str(tmp_path / "p")) == 0
    pages = list((tmp_path / "p").iterdir())
    assert len(pages) == 5
    assert not any(name in path.read_text() + path.name for path in pages
                   for name in ("anna", "carl", "dora"))
    codes = (tmp_path / "g.codes.csv").read_text()
    assert "anna" in codes and len(codes.splitlines()) == 5


def test_similar_submissions_are_found_under_other_names():
    renamed = A1.source.replace("shifted", "zs").replace("onehot", "hot").replace(", ", " ,")
    own = A1.source.replace("shifted = prediction - prediction.max(axis=1, keepdims=True)",
                            "own = 1\n        largest = np.amax(prediction, 1)[:, None]\n"
                            "        shifted = np.subtract(prediction, largest)")
    own = own.replace("onehot = np.eye(self.p.shape[1])[self.target]\n"
        "        return (self.p - onehot)"
                      " / len(self.p)", "out = self.p.copy()\n"
                      "        for n, t in enumerate(self.target):\n"
                      "            out[n, t] -= 1\n        out *= 1 / len(out)\n        return out")
    texts = {"anna": own, "bo": own.replace("largest", "m").replace("out", "d"), "carl": renamed}
    found = similar({name: Submission("A1.py", text.encode(), A1) for name, text in texts.items()},
                    A1, 0.9)
    assert {frozenset(pair[1:]) for pair in found} == {
        frozenset(("anna", "bo")), frozenset(("carl", REFERENCE))}


def test_a_stopped_run_goes_on(class_of_four, tmp_path, quick):
    said, keeper = [], tmp_path / "g.json"

    def stop(text):
        said.append(text)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade.grade(A1, class_of_four, keeper, "s", sandbox.Nothing(), jobs=1, say=stop)
    said = []
    grade.grade(A1, class_of_four, keeper, "s", sandbox.Nothing(), jobs=1, say=said.append)
    assert said[-1] in ("1 of 4 were graded before and have not changed.",
                        "2 of 4 were graded before and have not changed.")


def test_what_is_not_graded_has_no_points_and_exit_code_1(class_of_four, tmp_path, quick, capsys):
    hand_in(class_of_four / "eve", A1, "# nothing")
    assert grade_with(class_of_four, tmp_path, "--report", str(tmp_path / "p")) == 1
    row = rows_of(tmp_path / "g.csv")["eve"]
    assert row["points"] == "" and "NOT GRADED: there is no file" in row["remarks"]
    assert "eve: NOT GRADED" in capsys.readouterr().out
    assert "Not graded" in (tmp_path / "p" / "index.html").read_text()


def test_gradescope_gets_one_test_per_task(class_of_four, tmp_path, quick):
    for student in ("anna", "dora", "Bo =1+1 <b>"):
        shutil.rmtree(class_of_four / student)
    assert grade_with(class_of_four, tmp_path, "--gradescope", str(tmp_path / "results.json")) == 0
    tests = json.loads((tmp_path / "results.json").read_text())["tests"]
    assert [test["score"] for test in tests] == [1, 1, 2, 3, 1]
    assert sum(test["max_score"] for test in tests) == 10
    assert "sign is flipped" in tests[1]["output"] and tests[0]["output"] == "right"


def test_a_cell_is_no_formula():
    assert files.safe("=1+1") == "'=1+1" and files.safe(-1) == -1 and files.safe("a") == "a"
