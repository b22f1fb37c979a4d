"""nbgrader takes the released form: it generates, grades and exports; stubs get nothing, the solution all points."""

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinydni
from tinydni.classroom import assignment as assignments
from tinydni.classroom import assert_task, nbgrader_form
from tinydni.classroom.grade import grade_one

needs_nbgrader = pytest.mark.skipif(importlib.util.find_spec("nbgrader") is None,
                                    reason='nbgrader is not installed: pip install -e ".[classroom]"')


def test_a_notebook_holds_no_solution_and_all_points(tmp_path):
    for name in assignments.names():
        assignment = assignments.load(name)
        nbgrader_form.write_course(assignment, tmp_path / name)
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
            cell["source"] = "\n\n".join(each.source for each in task.section.cells if each.kind == "code")
    return json.dumps(found)


def test_a_notebook_that_was_handed_in_is_graded_as_a_file_is(tmp_path):
    assignment = assignments.load("A1")
    nbgrader_form.write_course(assignment, tmp_path / "course")
    folder = tmp_path / "submitted" / "anna" / "A1"
    shutil.copytree(tmp_path / "course" / "source" / "A1", folder)
    assert [outcome.points for outcome in grade_one(assignment, folder.parent, "s", True, {})] == [0] * 5
    notebook = folder / "A1.ipynb"
    notebook.write_text(solved(notebook.read_text(), assignment))
    assert all(outcome.passed for outcome in grade_one(assignment, folder.parent, "s", True, {}))


@pytest.fixture
def globals_of_a_notebook():
    """What a notebook in which A1 is solved has defined."""
    names = {}
    exec(assignments.load("A1").source, names)
    return names


def test_a_check_cell_passes_or_raises_with_the_reason(globals_of_a_notebook, capsys, tmp_path, monkeypatch):
    names = globals_of_a_notebook
    assert_task("A1.2", names)
    assert "A1.2 Linear: right, 3 of 3 points." in capsys.readouterr().out
    backward = names["Linear"].backward

    def climbing(self, dy):
        dx = backward(self, dy)
        self.dW = -self.dW
        return dx

    names["Linear"].backward = climbing
    with pytest.raises(AssertionError, match="got .* sign is flipped"):
        assert_task("A1.2", names)
    (tmp_path / "secret").write_text("nobody knows")
    monkeypatch.setenv("TINYDNI_SECRET", str(tmp_path / "secret"))
    with pytest.raises(AssertionError, match="sign is flipped") as caught:
        assert_task("A1.2", names)
    assert "got" not in str(caught.value)
    wrong = names["Linear"]
    assert_task("A1.5", names)                      # on the reference for A1.2
    assert names["Linear"] is wrong


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
    nbgrader_form.write_course(assignment, course)
    (tmp_path / "secret").write_text("nobody knows")
    environment = {**os.environ, "TINYDNI_SECRET": str(tmp_path / "secret"), "OPENBLAS_NUM_THREADS": "1",
                   "PYTHONPATH": str(Path(tinydni.__file__).parents[1]), "JUPYTER_PREFER_ENV_PATH": "1",
                   "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}    # nbgrader starts alembic

    def nbgrader(*arguments):
        done = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=course, env=environment,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    nbgrader("generate_assignment", name)
    released = course / "release" / name
    for student in ("stub", "solution"):
        shutil.copytree(released, course / "submitted" / student / name)
    notebook = course / "submitted" / "solution" / name / f"{name}.ipynb"
    notebook.write_text(solved(notebook.read_text(), assignment))
    nbgrader("autograde", name)
    nbgrader("export")
    with open(course / "grades.csv", newline="") as stream:
        scores = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(stream)}
    assert scores == {"stub": (0, assignment.points), "solution": (assignment.points, assignment.points)}
