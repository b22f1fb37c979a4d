"""Grading a folder of submissions: none stops the others, and the same one gets the same grade."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinydni import __version__
from tinydni.classroom import files
from tinydni.classroom.assignment import Assignment, AssignmentError
from tinydni.classroom.collect import Handed, Unclear, all_in, solution_file
from tinydni.classroom.examine import Finding, Outcome, examine
from tinydni.classroom.results import Result
from tinydni.classroom.sandbox import Isolation
from tinydni.classroom.solution import Outside
from tinydni.classroom.submission import Submission


def grade(assignment: Assignment, folder: str | Path, keeper: Path, secret: str,
          isolation: Isolation, jobs: int = 2, say: Callable = print, **limits: int
          ) -> list[tuple[Handed, Result]]:
    """Grade every submission of a folder. Return each with its result.

    keeper: the JSON file that keeps the outcomes; what has not changed is not examined again
    secret: a text, from which all values are drawn    jobs: how many submissions at a time
    limits: cpu, wall (seconds) and memory (MiB) for each task
    """
    students, left = all_in(folder, assignment)
    if left:
        say("Not graded, since a name does not say whose it is or what it is: "
            f"{', '.join(left[:10])}.")
    terms = "\n".join(map(str, (__version__, secret, assignment.source, assignment.checks_source,
                                sorted(limits.items()))))
    kept = files.read_json(keeper)
    done: dict[str, Any] = {}

    def work(handed: Handed) -> tuple[Handed, dict[str, Any]]:
        return handed, graded(assignment, handed, secret, isolation, terms,
                              kept.get(handed.student, {}), limits)

    pool = ThreadPoolExecutor(jobs)
    try:
        for future in as_completed([pool.submit(work, handed) for handed in students]):
            handed, new = future.result()
            done[handed.student] = new
            if new is not kept.get(handed.student):
                files.write_json(keeper, {**kept, **done})
                say(news(handed, new, assignment))
    finally:
        pool.shutdown(cancel_futures=True)
    reused = sum(done[handed.student] is kept.get(handed.student) for handed in students)
    if reused:
        say(f"{reused} of {len(students)} were graded before and have not changed.")
    return [(handed, result_of(handed, done[handed.student])) for handed in students]


def graded(assignment: Assignment, handed: Handed, secret: str, isolation: Isolation, terms: str,
           old: dict[str, Any], limits: dict[str, int]) -> dict[str, Any]:
    """Return what is kept about one submission: the old record, where nothing has changed."""
    record: dict[str, Any] = {"key": "", "problem": "", "file": "", "outcomes": []}
    try:
        file, record["file"] = solution_file(handed, assignment)
        data = file.read()
        record["key"] = hashlib.sha256(f"{terms}\n{file.name}\n".encode() + data).hexdigest()
        if old.get("key") == record["key"]:
            return old
        submission = Submission(file.name, data, assignment)
        record["outcomes"] = [
            asdict(examine(assignment, task, submission, Outside(isolation, **limits), secret))
            for task in assignment.tasks]
    except Unclear as error:
        record["problem"] = str(error)
    except Exception as error:              # whatever it is, the others are graded
        record["problem"] = f"the grader stopped with {type(error).__name__}"
    if old:
        record["before"] = points(old)
    return record


def points(record: dict[str, Any]) -> int | None:
    """Return the points of a record, or None where it was not graded."""
    found = [outcome["points"] for outcome in record.get("outcomes", ())]
    return sum(found) if found else None


def news(handed: Handed, record: dict[str, Any], assignment: Assignment) -> str:
    """Return a line about a submission that was graded just now."""
    if record["problem"]:
        return f"{handed.student}: NOT GRADED: {record['problem']}."
    before, now = record.get("before"), points(record)
    changed = f", was {before}" if before not in (None, now) else ""
    note = f" ({record['file']})" if record["file"] else ""
    return f"{handed.student}: {now} of {assignment.points}{changed}{note}"


def result_of(handed: Handed, record: dict[str, Any]) -> Result:
    """Return the result that a record keeps."""
    outcomes = [Outcome(**{**raw, "findings": [Finding(**finding) for finding in raw["findings"]]})
                for raw in record["outcomes"]]
    before = None if record.get("before") == points(record) else record.get("before")
    return Result(handed.student, handed.identity, record["problem"], record["file"], outcomes,
                  before, remarks=["Canvas says it is late"] * handed.late)


def secret_of(path: str | Path) -> str:
    """Return the text of the instructor's secret.

    Raises FileNotFoundError, or AssignmentError for an empty file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} with the secret; nothing is graded. A "
                                "relative path is looked up in the folder of each notebook: give "
                                "the whole path.")
    text = path.read_text(encoding="utf-8").strip()
    if not text:
        raise AssignmentError(f"{path} is empty; a secret is any text, such as a line of random "
                              "letters.")
    return text


def own_secret(path: Path) -> str:
    """Return the secret that lies at `path`; a new one is made where there is none yet."""
    if not path.exists():
        files.write_text(path, secrets.token_hex(32) + "\n")
        path.chmod(0o600)
    return secret_of(path)
