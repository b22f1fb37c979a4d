"""Checking one's own folder: what is wrong with a task, and how many points there are so far."""

import hashlib
import json
import textwrap
from pathlib import Path

from tinydni.lab import files
from tinydni.classroom import assignment as assignments
from tinydni.classroom.examine import examine
from tinydni.classroom.process import SolutionError
from tinydni.classroom.submission import Submission

FILE = "progress.json"


def check(name, folder="."):
    """Checks a task ("A1.2"), or all tasks of an assignment ("A1"), of the folder, and prints what it found.

    Returns whether all of them pass. The points so far are kept in progress.json; a task that was edited since counts
    again once it is checked again.
    """
    found = assignments.load(name.partition(".")[0])
    tasks = [found.find(name)] if "." in name else found.tasks
    submission = Submission(folder, found)
    if submission.problem:
        raise FileNotFoundError(f"{submission.problem} Run this in the folder of {found.name}, or release one: "
                                f"tinydni assignment release {found.name} --out FOLDER.")
    outcomes = [examine(found, task, submission, show=True) for task in tasks]
    for task, outcome in zip(tasks, outcomes):
        print(told(outcome))
        edited = submission.edited(task)
        if edited:
            print(f"  Note: {edited}. In grading {task.name} then has no points; release again to have the file back.")
    print(so_far(found, submission, outcomes, Path(folder)))
    return all(outcome.passed for outcome in outcomes)


def told(outcome):
    """What was found about one task."""
    if outcome.passed:
        return f"{outcome.task} {outcome.title}: right, {outcome.points} of {outcome.most} points."
    lines = [f"{outcome.task} {outcome.title}: 0 of {outcome.most} points."]
    for finding in outcome.findings:
        lines.append(f"  {finding.check}:")
        for line in finding.message.splitlines():       # sentences are wrapped, the rows of a table are not
            lines += [f"    {line}"] if line.startswith(" ") else textwrap.wrap(line, 110, initial_indent="    ",
                                                                                subsequent_indent="    ")
    return "\n".join(lines)


def so_far(assignment, submission, outcomes, folder):
    """The points of the tasks that pass as they stand, as a sentence; takes the new outcomes into progress.json."""
    path = folder / FILE
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        kept = {}
    for outcome in outcomes:
        kept[outcome.task] = [version(submission, assignment.find(outcome.task)), outcome.points]
    files.write_json(path, kept)
    passed = [task for task in assignment.tasks
              if kept.get(task.name, [None, 0])[0] == version(submission, task) and kept[task.name][1]]
    return f"So far: {sum(task.points for task in passed)} of {assignment.points} points."


def version(submission, task):
    """A text that changes when the source of a task does."""
    try:
        source = submission.prelude + submission.section(task)
    except SolutionError:
        return ""
    return hashlib.sha256(source.encode()).hexdigest()[:16]
