"""nbgrader takes the released form: stubs get nothing, the solution all points."""

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from classroom_class import load

import tinydni
from tinydni.classroom import assert_task, release
from tinydni.classroom import assignment as assignments
from tinydni.classroom.collect import Handed, solution_file
from tinydni.classroom.examine import examine
from tinydni.classroom.solution import Inside
from tinydni.classroom.submission import Submission

needs_nbgrader = pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None,
    reason='nbgrader is not installed: pip install -e ".[classroom]"')


def test_a_notebook_holds_no_solution_and_all_points(tmp_path):
    for name in assignments.names():
        assignment = assignments.load(name)
        release.write_course(assignment, tmp_path / name)
        text = (tmp_path / name / "source" / name / f"{name}.ipynb").read_text()
        cells = json.loads(text)["cells"]
        kinds = [cell["metadata"].get("nbgrader", {}) for cell in cells]
        assert sum(kind.get("points", 0) for kind in kinds) == assignment.points
        assert sum(kind.get("solution", False) for kind in kinds) == len(assignment.tasks)
        assert "SOLUTION" not in text and "INSTEAD" not in text
        assert len({cell["id"] for cell in cells}) == len(cells)


def solved(notebook, assignment):
    """The notebook with the solutions in it."""
    found = json.loads(notebook)
    for cell in found["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if about.get("solution"):
            task = assignment.find(about["grade_id"].replace("_", "."))
            cell["source"] = "\n\n".join(each.source for each in task.section.cells
                                         if each.kind == "code")
    return json.dumps(found)


def points(folder, assignment):
    file, _ = solution_file(Handed("anna", paths=[folder]), assignment)
    submission = Submission(file.name, file.read(), assignment)
    return [examine(assignment, task, submission, Inside(), "s").points
            for task in assignment.tasks]


def test_a_notebook_that_was_handed_in_is_graded_as_a_file_is(tmp_path):
    assignment = load("A1")
    release.write_course(assignment, tmp_path / "course")
    folder = tmp_path / "submitted" / "anna" / "A1"
    shutil.copytree(tmp_path / "course" / "source" / "A1", folder)
    assert points(folder.parent, assignment) == [0] * 5
    notebook = folder / "A1.ipynb"
    notebook.write_text(solved(notebook.read_text(), assignment))
    assert points(folder.parent, assignment) == [1, 3, 2, 3, 1]


@pytest.fixture
def globals_of_a_notebook():
    """What a notebook in which A1 is solved has defined."""
    names = {}
    exec(load("A1").source, names)
    return names


def test_a_check_cell_passes_or_raises_with_the_reason(globals_of_a_notebook, capsys, tmp_path,
                                                       monkeypatch):
    names = globals_of_a_notebook
    assert_task("A1.2", names)
    assert "A1.2 Linear: right, 3 of 3 points." in capsys.readouterr().out
    backward = names["Linear"].backward

    def climbing(self, dy):
        dx = backward(self, dy)
        self.dW = -self.dW
        return dx

    names["Linear"].backward = climbing
    assert assert_task("A1.2", names) == 1          # forward is right: a part of the points
    said = capsys.readouterr().out
    assert "A1.2 Linear: 1 of 3 points." in said and "got" in said and "sign is flipped" in said
    (tmp_path / "secret").write_text("nobody knows")
    monkeypatch.setenv("TINYDNI_SECRET", str(tmp_path / "secret"))
    assert assert_task("A1.2", names) == 1
    said = capsys.readouterr().out
    assert "sign is flipped" in said and "got" not in said
    names["Linear"].forward = lambda self, x: x
    with pytest.raises(AssertionError, match="0 of 3 points"):
        assert_task("A1.2", names)
    wrong = names["Linear"]
    assert_task("A1.5", names)                      # on the reference for A1.2
    assert names["Linear"] is wrong


def test_a_missing_secret_stops_grading(globals_of_a_notebook, monkeypatch):
    monkeypatch.setenv("TINYDNI_SECRET", "secret.txt")
    with pytest.raises(FileNotFoundError, match=r"no file secret\.txt .* give the whole path"):
        assert_task("A1.2", globals_of_a_notebook)


def test_a_check_cell_sees_what_is_written_into(globals_of_a_notebook):
    def double(x):
        x *= 2
        return x

    globals_of_a_notebook["double"] = double
    with pytest.raises(AssertionError, match="writes into an array that it was given"):
        assert_task("A1.1", globals_of_a_notebook)
    with pytest.raises(AssertionError, match="there is no Linear"):
        assert_task("A1.2", {})


@pytest.mark.slow
@needs_nbgrader
@pytest.mark.parametrize("name", ["A1", "A3"])
def test_the_round_trip(name, tmp_path):
    assignment, course = assignments.load(name), tmp_path / "course"
    release.write_course(assignment, course)
    (tmp_path / "secret").write_text("nobody knows")
    environment = {**os.environ, "TINYDNI_SECRET": str(tmp_path / "secret"),
                                                       "OPENBLAS_NUM_THREADS": "1",
                   "PYTHONPATH": str(Path(tinydni.__file__).parents[1]),
                   "JUPYTER_PREFER_ENV_PATH": "1",      # nbgrader starts alembic by its name
                   "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def nbgrader(*arguments):
        done = subprocess.run([sys.executable, "-m", "nbgrader",
                              *arguments], cwd=course, env=environment,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    nbgrader("generate_assignment", name)
    released = course / "release" / name
    for student in ("stub", "solution", "part"):
        shutil.copytree(released, course / "submitted" / student / name)
    notebook = course / "submitted" / "solution" / name / f"{name}.ipynb"
    notebook.write_text(solved(notebook.read_text(), assignment))
    right, wrong = {"A1": ("self.dW = self.x.T @ dy", "self.dW = -self.x.T @ dy"),
                    "A3": ("self.A -= lr", "self.A += lr")}[name]
    text = json.loads(notebook.read_text())
    for cell in text["cells"]:
        cell["source"] = "".join(cell["source"]).replace(right, wrong)
    (course / "submitted" / "part" / name / f"{name}.ipynb").write_text(json.dumps(text))
    nbgrader("autograde", name)
    nbgrader("export")
    with open(course / "grades.csv", newline="") as stream:
        scores = {row["student_id"]: (float(row["score"]), float(row["max_score"]))
                  for row in csv.DictReader(stream)}
    most = assignment.points
    assert scores == {"stub": (0, most), "solution": (most, most), "part": (most - 2, most)}
