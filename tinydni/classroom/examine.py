"""The examination of one task: all its checks, on the values of a secret."""

import inspect
from dataclasses import dataclass, field

from tinydni.classroom.draw import PUBLIC, Draw
from tinydni.classroom.judge import Wrong
from tinydni.classroom.process import SolutionError
from tinydni.classroom.remote import Solution

ROUNDS = 3      # of every check in grading, each with other values


@dataclass
class Finding:
    """A check that failed. check: what it asks    message: what is wrong    reason: the same without drawn values"""

    check: str
    message: str
    reason: str


@dataclass
class Outcome:
    """What the examination of a task found. points: of `most`    findings: the checks that failed    notes"""

    task: str
    title: str
    points: int
    most: int
    findings: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    @property
    def passed(self):
        return self.points == self.most


def run_checks(assignment, task, student, secret=PUBLIC, rounds=1):
    """The checks of a task that fail, as a list of Findings.

    student: what has the names of the task and of the earlier ones
    """
    findings = []
    for check in task.checks:
        for number in range(rounds):
            try:
                check(student, assignment.reference, Draw(secret, check.__name__, number))
            except (Wrong, SolutionError) as error:
                if error.told() not in (finding.reason for finding in findings):
                    findings.append(Finding(meaning(check), str(error), error.told()))
                break
            except Exception as error:          # such as an attribute that the solution never set
                if not findings:                # if another check has found something, this follows from it
                    findings.append(Finding(meaning(check), *stopped(error)))
                break
    return findings


def stopped(error):
    """What an exception in a check means: the sentence with the error's own text, and without."""
    if isinstance(error, NotImplementedError):
        return f"{error}.", f"{error}."
    if "read-only" in str(error):
        return ("It writes into an array that it was given. The array belongs to the caller: make a new one.",) * 2
    said = f"the check stopped with {type(error).__name__}"
    return f"{said}: {error}", f"{said}."


def meaning(check):
    """What a check asks, in the words of its docstring."""
    return inspect.getdoc(check).splitlines()[0].rstrip(".") if check.__doc__ else check.__name__


def examine(assignment, task, submission, secret=PUBLIC, rounds=1, show=False, **limits):
    """Examines one task of a submission in a process of its own. Returns an Outcome."""
    outcome = Outcome(task.name, task.title, 0, task.points)
    try:
        section = submission.section(task)
        with Solution(assignment, task, submission.prelude, section, file=submission.file, show=show,
                      **limits) as solution:
            outcome.findings = run_checks(assignment, task, solution.student(), secret, rounds)
            solution.finish()
    except SolutionError as error:
        outcome.findings.insert(0, Finding(task.name, str(error), error.told()))
    outcome.notes = submission.notes(task)
    outcome.points = 0 if outcome.findings else task.points
    return outcome
