"""Shared by the tests of the classroom: submissions made from the instructor's file, graded."""

from pathlib import Path

import pytest

from tinydni.classroom import assignment as assignments
from tinydni.classroom import sandbox
from tinydni.classroom.examine import examine
from tinydni.classroom.solution import Inside, Outside
from tinydni.classroom.submission import Submission

LOADED = {}
BWRAP = sandbox.Bubblewrap()
WHY_NO_BWRAP = sandbox.why_not(BWRAP)
needs_bwrap = pytest.mark.skipif(WHY_NO_BWRAP is not None, reason=f"bwrap: {WHY_NO_BWRAP}")
SECRET = "the instructor's secret"


def some_slow(names, slow):
    """Names as parameters of a test, some of them marked as slow."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


def load(name):
    """An assignment, loaded once, so that its variants are made once."""
    return LOADED.setdefault(name, assignments.load(name))


def with_code(task, code):
    """The instructor's file with other code in the place of a task's."""
    assignment = load(task[:2])
    old = assignment.find(task).section.cells[-1].source
    assert assignment.source.count(old) == 1
    return assignment.source.replace(old, code.strip("\n"))


def checked(task, text, secret=SECRET):
    """The outcome of a task, in this process."""
    assignment = load(task[:2])
    submission = Submission(f"{assignment.name}.py", text.encode(), assignment)
    return examine(assignment, assignment.find(task), submission, Inside(), secret)


def graded(task, text, isolation=BWRAP, **limits):
    """The outcome of a task, in a sandbox."""
    assignment = load(task[:2])
    submission = Submission(f"{assignment.name}.py", text.encode(), assignment)
    room = Outside(isolation, **{"cpu": 2, "wall": 10, **limits})
    return examine(assignment, assignment.find(task), submission, room, SECRET)


def told(outcome):
    return " | ".join(finding.reason for finding in outcome.findings)


def hand_in(folder, assignment, text=None):
    """A folder with a submission."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / f"{assignment.name}.py").write_text(
        assignment.source if text is None else text, encoding="utf-8")
    return Path(folder)
