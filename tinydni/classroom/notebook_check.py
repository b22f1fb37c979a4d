"""A check cell of a notebook: it checks what the notebook has defined, in the same process."""

from __future__ import annotations

import os
from typing import Any

from tinydni.classroom import assignment as assignments
from tinydni.classroom.examine import judge, run_checks
from tinydni.classroom.grade import secret_of
from tinydni.classroom.solution import Inside, Solution
from tinydni.classroom.trial import PUBLIC

VARIABLE = "TINYDNI_SECRET"         # names the file with the instructor's secret, in grading


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
            inside.room.adopt(namespace, task.target, given)
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
