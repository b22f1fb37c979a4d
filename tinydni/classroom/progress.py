"""Checking one's own folder or notebook: what is wrong with a task, and the points so far.

It runs in the process that asks, so that it works where no other can be started.
"""

from __future__ import annotations

import hashlib
import os
import textwrap
from pathlib import Path
from typing import Any

from tinydni.classroom import assignment as assignments
from tinydni.classroom import files
from tinydni.classroom.assignment import Assignment, Task
from tinydni.classroom.collect import Handed, Unclear, solution_file
from tinydni.classroom.examine import Outcome, examine, judge, run_checks
from tinydni.classroom.grade import secret_of
from tinydni.classroom.solution import Inside, Solution
from tinydni.classroom.submission import Submission, SubmissionError
from tinydni.classroom.trial import PUBLIC

FILE = "progress.json"
VARIABLE = "TINYDNI_SECRET"         # names the file with the instructor's secret, in grading


def check(name: str, folder: str | Path = ".") -> bool:
    """Check a task ("A1.2"), or all of an assignment ("A1"), of the folder, and print the findings.

    Returns whether all of them pass. The points so far are kept in progress.json; a task that was
    edited since counts again once it is checked again.
    """
    found = assignments.load(name.partition(".")[0])
    tasks = [found.find(name)] if "." in name else found.tasks
    folder = Path(folder)
    try:
        file, note = solution_file(Handed("you", "", False, [folder]), found)
        submission = Submission(file.name, file.read(), found)
    except Unclear as error:
        raise FileNotFoundError(f"{error}. Run this in the folder of {found.name}, or release one: "
                                f"tinydni assignment release {found.name} --out FOLDER.") from None
    if note:
        print(f"{note}.")
    outcomes = []
    for task in tasks:
        outcomes.append(examine(found, task, submission, Inside()))
        print(told(outcomes[-1]))
    print(so_far(found, submission, outcomes, folder))
    return all(outcome.passed for outcome in outcomes)


def told(outcome: Outcome) -> str:
    """Return what was found about one task."""
    points = f"{outcome.points} of {outcome.most} points."
    notes = [f"  Note: {note}." for note in outcome.notes]
    if outcome.passed:
        return "\n".join([f"{outcome.task} {outcome.title}: right, {points}", *notes])
    lines = [f"{outcome.task} {outcome.title}: {points}"]
    for finding in outcome.findings:
        lines.append(f"  {finding.check}:")
        lines += textwrap.wrap(finding.message, 96, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines + notes)


def so_far(assignment: Assignment, submission: Submission, outcomes: list[Outcome],
           folder: Path) -> str:
    """Return the points of the tasks as they stand, as a sentence; keep the new outcomes."""
    path = folder / FILE
    kept = files.read_json(path)
    for outcome in outcomes:
        kept[outcome.task] = [version(submission, assignment.find(outcome.task)), outcome.points]
    files.write_json(path, kept)
    points = sum(kept[task.name][1] for task in assignment.tasks
                 if kept.get(task.name, [None, 0])[0] == version(submission, task))
    return f"So far: {points} of {assignment.points} points."


def version(submission: Submission, task: Task) -> str:
    """Return a text that changes when the source of a task does."""
    try:
        source = submission.prelude + submission.section(task)
    except SubmissionError:
        return ""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def assert_task(name: str, namespace: dict[str, Any]) -> float | None:
    """Raise AssertionError, with what is wrong, unless a task in `namespace` has points.

    Returns the points where a part is right, which nbgrader takes for the score, or None for all.

    name: such as "A1.2"    namespace: globals() of the notebook
    During the checks the names of earlier tasks stand for the reference, so that one mistake costs
    once. With the variable TINYDNI_SECRET the values are drawn from that file and not shown.
    """
    assignment, task = assignments.load_task(name)
    secret_file = os.environ.get(VARIABLE)
    secret = secret_of(secret_file) if secret_file else PUBLIC
    if task.target not in namespace:
        raise AssertionError(f"{name}: there is no {task.target}; run the cell that defines it.")
    given = {key: getattr(assignment.reference, key) for key in assignment.setup(task)["names"]}
    kept = {key: namespace[key] for key in given if key in namespace}
    namespace.update(given)
    try:
        with Inside() as inside:
            room = inside.room
            room.own, room.target, room.given = namespace, task.target, given
            student = Solution(inside.ask, "", 0).names
            failures, ended = run_checks(assignment, task, student, secret)
    finally:
        for key in given:
            namespace.pop(key)
        namespace.update(kept)
    outcome = judge(assignment, task, failures, ended, secret)
    right = "right, " if outcome.passed else ""
    said = "\n".join([f"{name} {task.title}: {right}{outcome.points} of {task.points} points.", *(
        f"{finding.check}: {finding.reason if secret_file else finding.message}"
        for finding in outcome.findings)])
    if not outcome.points:
        raise AssertionError(said)
    print(said)
    return None if outcome.passed else outcome.points
