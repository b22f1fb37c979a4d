"""The examination of one task: all its checks, on values that a secret draws."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinydni.classroom.assignment import POINTS, Assignment, Task
from tinydni.classroom.solution import Solution, SolutionError
from tinydni.classroom.submission import Submission, SubmissionError
from tinydni.classroom.trial import PUBLIC, Both, Trial, Wrong

ROUNDS = 3      # of every check, each with other values and fresh objects
Check = Callable[..., None]
Failures = dict[int, Exception]


@dataclass
class Finding:
    """A check that failed.

    check: what it asks    message: what is wrong    reason: the same without drawn values
    """

    check: str
    message: str
    reason: str


@dataclass
class Outcome:
    """What the examination of a task found.

    points: of `most`    findings: the checks that failed    notes: what else is to be said
    """

    task: str
    title: str
    points: float
    most: int
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether all of its points are there."""
        return self.points == self.most


def examine(assignment: Assignment, task: Task, submission: Submission,
            room: AbstractContextManager, secret: str = PUBLIC) -> Outcome:
    """Examine one task of a submission in a room, which is used up."""
    try:
        section = submission.section(task)
    except SubmissionError as error:
        finding = Finding(task.name, f"{error}.", f"{error}.")
        return Outcome(task.name, task.title, 0, task.points, [finding])
    with room as asked:
        limits = getattr(asked, "limits", {})
        solution = Solution(asked.ask, submission.file, submission.lines, limits.get("memory", 0))
        try:
            solution.request("furnish", None, task.name, **assignment.setup(task), limits=limits,
                             file=submission.file, prelude=submission.prelude, section=section)
            failures, ended = run_checks(assignment, task, solution.names, secret)
        except SolutionError as error:
            failures, ended = {}, error
    outcome = judge(assignment, task, failures, ended, secret)
    outcome.notes = submission.notes(task) + solution.remarks()
    return outcome


def run_checks(assignment: Assignment, task: Task, student: Any, secret: str
               ) -> tuple[dict[Check, Failures], SolutionError | None]:
    """Run every check in every round, in an order that the secret draws.

    Return {check: {round: what failed}}, and why nothing more could be asked, or None.
    """
    plan = [(check, number) for check in task.checks for number in range(ROUNDS)]
    order = Trial(secret, f"order of {task.name}").rng.permutation(len(plan))
    failures: dict[Check, Failures] = {}
    for check, number in (plan[k] for k in order):
        error = failure(assignment, check, student, secret, number)
        if isinstance(error, SolutionError) and error.ended:
            return failures, error
        if error:
            failures.setdefault(check, {})[number] = error
    return failures, None


def failure(assignment: Assignment, check: Check, student: Any, secret: str,
            number: int) -> Exception | None:
    """Run a check once. Return what failed, or None."""
    try:
        with np.errstate(all="ignore"):
            trial = Trial(secret, check.__name__, number)
            check(Both(trial, student, assignment.reference), trial)
    except Exception as error:          # of a shape that a check did not expect, for one
        return error
    return None


def judge(assignment: Assignment, task: Task, failures: dict[Check, Failures],
          ended: SolutionError | None, secret: str) -> Outcome:
    """Return the points of a task, and what was found, in words."""
    outcome = Outcome(task.name, task.title, 0, task.points)
    if ended:
        outcome.findings = [Finding(task.name, str(ended), f"{ended.what}.")]
        return outcome
    for check in task.checks:
        if check in failures:
            found = finding(assignment, task, check, failures[check], secret)
            if found.reason not in (each.reason for each in outcome.findings):
                outcome.findings.append(found)
    outcome.points = sum(points for points, checks in task.parts if not failures.keys() & checks)
    return outcome


def finding(assignment: Assignment, task: Task, check: Check, failures: Failures,
            secret: str) -> Finding:
    """Put a failed check into words: the first failure, with what explains all of them."""
    asked = (inspect.getdoc(check) or check.__name__).splitlines()[0]
    name = POINTS.sub("", asked).rstrip(" .")
    error = failures[min(failures)]
    if isinstance(error, Wrong):
        words = explained(assignment, task, check, failures, secret)
        error.hint = f"Looks like this: {words}." if words else common_guess(failures) or error.hint
        return Finding(name, error.told(error.values), error.told())
    if isinstance(error, SolutionError):
        return Finding(name, str(error), f"{error.what}.")
    said = f"what the solution returned does not fit ({type(error).__name__})"
    return Finding(name, f"{said}: {error}.", f"{said}.")


def explained(assignment: Assignment, task: Task, check: Check, failures: Failures,
              secret: str) -> str | None:
    """Return the words of the first variant that fails as the solution does, in every round.

    Zeros, which much may give, tell something only where a mistake of slips.txt gives them.
    """
    by_hand = sum(slip[0] == task.name for slip in assignment.slips)

    def alike(number: int, round: int) -> bool:
        one = failures.get(round)
        other = of_variant(assignment, task, number, check, secret, round)
        if isinstance(one, Wrong) and isinstance(other, Wrong):
            return (one.alike(other) and isinstance(one.got, np.ndarray)
                    and bool(number < by_hand or one.got.any()))
        return one is None and other is None

    for number, (words, _) in enumerate(assignment.variants(task)):
        if all(alike(number, round) for round in range(ROUNDS)):
            return words
    return None


@cache
def of_variant(assignment: Assignment, task: Task, number: int, check: Check, secret: str,
               round: int) -> Exception | None:
    """Return how a variant of the reference fails in a round; it is kept for the next solution."""
    names = dict(assignment.globals)
    try:
        exec(assignment.variants(task)[number][1], names)
        own = {**vars(assignment.reference), task.target: names[task.target]}
    except Exception as error:                  # a mistake with which nothing can be loaded
        return error
    return failure(assignment, check, SimpleNamespace(**own), secret, round)


def common_guess(failures: Failures) -> str | None:
    """Return what may explain the value of every round, if one thing does."""
    found = [error.guesses for error in failures.values() if isinstance(error, Wrong)]
    common = set.intersection(*found) if len(found) == len(failures) else set()
    return min(common, key=lambda words: (len(words), words)) if common else None
