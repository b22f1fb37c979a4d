"""Checking one's own folder: what is wrong with a task, and how many points there are so far.

It runs in the process that asks, so that it works where no other can be started.
"""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

from tinydni.classroom import assignment as assignments
from tinydni.classroom import files
from tinydni.classroom.assignment import Assignment, Task
from tinydni.classroom.collect import Handed, Unclear, solution_file
from tinydni.classroom.examine import Outcome, examine
from tinydni.classroom.solution import Inside
from tinydni.classroom.submission import Submission, SubmissionError

FILE = "progress.json"


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
