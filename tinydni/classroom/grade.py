"""Grading a folder of submissions: the same submission always gets the same grade, and a stopped run goes on."""

import csv
import hashlib
import json
import secrets
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from tinydni import __version__
from tinydni.lab import files
from tinydni.classroom.assignment import AssignmentError
from tinydni.classroom.examine import ROUNDS, Finding, Outcome, examine
from tinydni.classroom.process import SolutionError
from tinydni.classroom.submission import Submission, all_in, loose_in, opened

CHECKS = "the visible checks"       # the name of a finding about them


def grade(assignment, folder, out, secret, jobs=2, same_checks=True, say=print, **limits):
    """Grades every submission of a folder and writes the table `out`. Returns {student: [Outcome, ...]}.

    secret: a text, from which all values are drawn    jobs: how many submissions at a time
    same_checks: whether a task whose visible check was edited or deleted has no points
    limits: cpu, wall [s], memory [MiB] for each task, see process.py

    The outcomes are kept beside the table, in the same name with .json. A submission that has not changed since is not
    examined again, unless the assignment or the secret changed.
    """
    out, students = files.check_folder(out), all_in(folder)
    keeper = out.with_suffix(".json")
    loose = [name for name in loose_in(folder) if name not in (out.name, keeper.name)]
    if loose:
        say(f"Not graded, since a submission is a folder or a zip named after its student: {', '.join(loose)}.")
    terms = "\n".join(map(str, (__version__, secret, assignment.source, assignment.checks_source, same_checks,
                                sorted(limits.items()))))
    keys, kept = {student: fingerprint(terms, path) for student, path in students.items()}, read(keeper)
    done = {student: kept[student] for student in students if kept.get(student, {}).get("key") == keys[student]}
    if done:
        say(f"{len(done)} of {len(students)} were graded before and have not changed.")

    def work(student):
        return student, grade_one(assignment, students[student], secret, same_checks, limits)

    for student, found in in_threads(work, [student for student in students if student not in done], jobs):
        done[student] = {"key": keys[student], "outcomes": [asdict(outcome) for outcome in found]}
        files.write_json(keeper, done)
        say(f"{student}: {points(found)} of {assignment.points}")
    found = {student: outcomes(done[student]) for student in students}
    warn(found, say)
    write_table(assignment, found, out)
    return found


def in_threads(work, items, jobs):
    """Yields work(item) for every item, in the order in which they are done. What has not begun at an error is left."""
    pool = ThreadPoolExecutor(jobs)
    try:
        for future in as_completed([pool.submit(work, item) for item in items]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def warn(found, say):
    """Says so if most of the class seems to have edited its checks: then it was rather the instructor who did."""
    others = sum(any(finding.check == CHECKS for outcome in outcomes_ for finding in outcome.findings)
                 for outcomes_ in found.values())
    if others > 1 and others > len(found) / 2:
        say(f"{others} of {len(found)} submissions hold another checks.py than this version of tinydni. If you updated "
            "it after the release, grade with --ignore-checks.")


def grade_one(assignment, path, secret, same_checks, limits):
    """The outcomes of all tasks of one submission."""
    try:
        with opened(path) as folder:
            submission = Submission(folder, assignment)
            return [grade_task(assignment, task, submission, secret, same_checks, limits) for task in assignment.tasks]
    except SolutionError as error:
        return [Outcome(task.name, task.title, 0, task.points, [Finding("the file", str(error), error.told())])
                for task in assignment.tasks]


def grade_task(assignment, task, submission, secret, same_checks, limits):
    outcome = examine(assignment, task, submission, secret, ROUNDS, **limits)
    edited = None if submission.problem or not same_checks else submission.edited(task)
    if edited:
        outcome.points = 0
        outcome.findings.append(Finding(CHECKS, f"{edited}.", f"{edited}."))
    return outcome


def points(found):
    return sum(outcome.points for outcome in found)


def fingerprint(terms, path):
    """A text that changes with the submission, the assignment or the secret."""
    digest = hashlib.sha256(terms.encode())
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file() and file.suffix in (".py", ".ipynb", ".zip"):
            digest.update(f"\n{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def read(keeper):
    """What an earlier run kept."""
    try:
        return json.loads(keeper.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def outcomes(kept):
    """The outcomes of one student, from what was kept."""
    return [Outcome(**{**raw, "findings": [Finding(**finding) for finding in raw["findings"]]})
            for raw in kept["outcomes"]]


def write_table(assignment, found, out):
    """Writes one row per student: the points of each task, their sum, and in words what was lost."""
    with files.whole_file(out) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["student", *(task.name for task in assignment.tasks), "points", "of", "remarks"])
        for student, outcomes_ in found.items():
            rows.writerow([student, *(outcome.points for outcome in outcomes_), points(outcomes_), assignment.points,
                           "; ".join(remarks(outcomes_))])


def remarks(found):
    """What was lost and why, one text per task, and which references were used."""
    lost = [f"{outcome.task}: {outcome.findings[0].reason.splitlines()[0].rstrip('.')}" for outcome in found
            if outcome.findings]
    return lost + [f"{outcome.task} {note}" for outcome in found for note in outcome.notes]


def secret_of(path):
    """The text of the instructor's secret. Raises FileNotFoundError, or AssignmentError for an empty file."""
    text = Path(path).read_text(encoding="utf-8").strip()
    if not text:
        raise AssignmentError(f"{path} is empty; a secret is any text, such as a line of random letters.")
    return text


def own_secret(path):
    """The secret that lies at `path`; a new one is made where there is none yet."""
    path = Path(path)
    if not path.exists():
        files.write_text(path, secrets.token_hex(32) + "\n")
    return secret_of(path)
