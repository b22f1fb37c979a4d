"""Checks inside the student's own process, as in a notebook: quick to look into, and without a fence."""

import os
from types import SimpleNamespace

from tinydni.classroom import assignment as assignments
from tinydni.classroom.draw import PUBLIC
from tinydni.classroom.examine import ROUNDS, run_checks
from tinydni.classroom.grade import secret_of

VARIABLE = "TINYDNI_SECRET"         # names the file with the instructor's secret, in grading


def assert_task(name, namespace):
    """Raises AssertionError, with what is wrong, unless a task in `namespace` passes its checks.

    name: such as "A1.2"    namespace: globals() of the notebook
    During the checks the names of earlier tasks stand for the reference, so that one mistake costs once. With the
    variable TINYDNI_SECRET the values are drawn from that file, every check runs three times, and values are not shown.
    """
    assignment, task = assignments.load_task(name)
    if task.target not in namespace:
        raise AssertionError(f"{name}: there is no {task.target}; run the cell that defines it.")
    secret_file = os.environ.get(VARIABLE)
    secret, rounds = (secret_of(secret_file), ROUNDS) if secret_file else (PUBLIC, 1)
    given = vars(assignment.given(task))
    kept = {key: namespace[key] for key in given if key in namespace}
    namespace.update(given)
    try:
        student = SimpleNamespace(**given, **{task.target: namespace[task.target]})
        findings = run_checks(assignment, task, student, secret, rounds)
    finally:
        for key in given:
            namespace.pop(key)
        namespace.update(kept)
    if findings:
        raise AssertionError(f"{name} {task.title}: 0 of {task.points} points.\n" + "\n".join(
            f"{finding.check}: {finding.reason if secret_file else finding.message}" for finding in findings))
    print(f"{name} {task.title}: right, {task.points} of {task.points} points.")
