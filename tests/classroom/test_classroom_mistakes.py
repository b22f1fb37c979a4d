"""Slips that students really make: each loses exactly its task, and is told which slip it is."""

import importlib.util
from pathlib import Path

import pytest

from tinydni.classroom import assignment as assignments
from tinydni.classroom.examine import ROUNDS, examine
from tinydni.classroom.submission import Submission

FOLDER = Path(__file__).parent / "mistakes"


def mistakes(name):
    spec = importlib.util.spec_from_file_location(f"mistakes_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MISTAKES


ALL = [mistake for path in sorted(FOLDER.glob("*.py")) for mistake in mistakes(path.stem)]


def with_mistake(folder, assignment, task, right, wrong):
    """The instructor's solution, wrong in one place, as a submission."""
    section = assignment.find(task).section.cells[-1].source
    assert section.count(right) == 1, f"{right!r} must stand once in the solution of {task}"
    assert assignment.source.count(section) == 1
    (folder / f"{assignment.name}.py").write_text(assignment.source.replace(section, section.replace(right, wrong)))
    return Submission(folder, assignment)


@pytest.mark.parametrize("task, what, right, wrong, words", ALL, ids=[f"{m[0]} {m[1]}" for m in ALL])
def test_a_mistake_loses_its_task_and_is_named(task, what, right, wrong, words, tmp_path):
    assignment, found = assignments.load_task(task)
    outcome = examine(assignment, found, with_mistake(tmp_path, assignment, task, right, wrong))
    assert outcome.points == 0
    if words is not None:
        assert words in "\n".join(finding.message for finding in outcome.findings)


@pytest.mark.slow
@pytest.mark.parametrize("task, what, right, wrong, words", ALL, ids=[f"{m[0]} {m[1]}" for m in ALL])
def test_a_mistake_loses_no_other_task_and_is_told_without_values(task, what, right, wrong, words, tmp_path):
    assignment, _ = assignments.load_task(task)
    submission = with_mistake(tmp_path, assignment, task, right, wrong)
    outcomes = {found.name: examine(assignment, found, submission, "a secret", ROUNDS) for found in assignment.tasks}
    assert [name for name, outcome in outcomes.items() if not outcome.passed] == [task]
    assert words is None or words in "\n".join(finding.reason for finding in outcomes[task].findings)


@pytest.mark.parametrize("name", assignments.names())
def test_there_are_ten_mistakes_and_eight_of_them_are_named(name):
    found = mistakes(name)
    assert len(found) >= 10 and sum(words is not None for *_, words in found) >= 0.8 * len(found)
