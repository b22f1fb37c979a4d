"""The result of one submission, and the tables that are made of all: CSV, Canvas, Moodle."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tinydni.classroom.assignment import Assignment, AssignmentError
from tinydni.classroom.examine import Outcome

NAME = ("Student", "Full name", "student", "Name", "name")
IDENTITY = ("ID", "Identifier", "id", "user_id", "ID number")


@dataclass
class Result:
    """One student's result.

    identity: the number that Canvas or Moodle gives    problem: why it is not graded, or ""
    file: what was read    outcomes: one per task    before: other points of an earlier run, or None
    days: by how many days it was late    lost: the points that this costs
    remarks: what the instructor adds    total: the points that count
    """

    student: str
    identity: str = ""
    problem: str = ""
    file: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
    before: float | None = None
    days: int = 0
    lost: float = 0.0
    remarks: list[str] = field(default_factory=list)
    fixed: float | None = None          # a total that the instructor has set
    absent: bool = False

    @property
    def total(self) -> float:
        """The points that count."""
        if self.fixed is not None:
            return self.fixed
        return max(0, sum(outcome.points for outcome in self.outcomes) - self.lost)

    @property
    def graded(self) -> bool:
        """Whether there are points: of a submission, of nothing, or the instructor's."""
        return bool(self.outcomes) or self.absent or self.fixed is not None

    @property
    def late(self) -> str:
        """How late it was, such as "2 days"."""
        return f"{self.days} day{'s' * (self.days != 1)}"

    @property
    def grade(self) -> float | str:
        """The points for a table, or "" where there are none."""
        return number(self.total) if self.graded else ""

    def code(self, secret: str) -> str:
        """Return a name that tells nobody whose it is."""
        text = f"{secret}\n{self.student}\n{self.identity}"
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def words(self) -> list[str]:
        """Return what is to be said about it, one text each."""
        said = self.problem if self.absent else f"NOT GRADED: {self.problem}"
        found = [said] * bool(self.problem) + [self.file] * bool(self.file)
        for outcome in self.outcomes:
            if outcome.findings:
                found.append(f"{outcome.task}: {outcome.findings[0].reason.rstrip('.')}")
            found += [f"{outcome.task} {note}" for note in outcome.notes]
        if self.lost:
            found.append(f"{self.late} late: -{self.lost:g}")
        return found + self.remarks


# What the instructor adds -------------------------------------------------------------------------

def read_table(path: str | Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file. Raise AssignmentError where it has no header."""
    text = Path(path).read_text(encoding="utf-8-sig")
    head = text.partition("\n")[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
    if not rows:
        raise AssignmentError(f"{path} has no rows; its first line must name the columns.")
    return [{str(key): value or "" for key, value in row.items()} for row in rows]


def add_roster(found: list[Result], rows: list[dict[str, str]]) -> list[Result]:
    """Return the results in the order of a roster, those who handed in nothing among them."""
    left, ordered = list(found), []
    names = [plain(of_row(row)[0]) for row in rows]
    for row in rows:
        name, identity = of_row(row)
        if not name or "points possible" in name.lower():
            continue
        same = [each for each in left if identity and each.identity == identity]
        same += [each for each in left if not (identity and each.identity)
                 and plain(each.student) == plain(name)]
        if same:
            left.remove(same[0])
            if names.count(plain(name)) == 1:       # who is found by a name of one's own
                same[0].identity = same[0].identity or identity
        else:
            same = [Result(name, identity, "handed in nothing", absent=True)]
        ordered.append(same[0])
    return ordered + left


def of_row(row: dict[str, str]) -> tuple[str, str]:
    """Return the name and the number of a student in a roster of Canvas, Moodle, or one's own."""
    whole = f"{row.get('First name', '')} {row.get('Last name', '')}".strip()
    names = [*(row.get(key) for key in NAME), whole, *row.values()]
    identity = next((row[key] for key in IDENTITY if row.get(key)), "")
    return next(filter(None, names), "").strip(), re.sub(r"^\D+", "", identity)


def plain(name: str) -> tuple[str, ...]:
    """Return a name in a form in which "Doe, Jane" is "jane doe"."""
    return tuple(sorted(re.findall(r"\w+", name.lower())))


def add_remarks(found: list[Result], rows: list[dict[str, str]], assignment: Assignment) -> None:
    """Add remarks and changed points: columns student, task (or nothing), points, remark."""
    for row in rows:
        student, task, points, remark = (row.get(key, "").strip()
                                         for key in ("student", "task", "points", "remark"))
        matches = [each for each in found if student in (each.student, each.identity)]
        if len(matches) != 1:
            raise AssignmentError(f"the remarks name {student!r}, who is "
                                  f"{'not there' if not matches else 'there more than once'}.")
        result = matches[0]
        try:
            value = float(points) if points else None
        except ValueError:
            raise AssignmentError(f"the remarks give {student} {points!r} points.") from None
        if task:
            name = assignment.find(task).name
            for outcome in result.outcomes:
                if outcome.task == name and value is not None:
                    outcome.points = number(value)
        elif value is not None:
            result.fixed = value
        if remark or points:
            result.remarks.append((f"{task}: " if task else "") + (remark or "changed")
                                  + (f" ({points} points)" if points else ""))


def add_lateness(result: Result, time: float, deadline: datetime, percent: float) -> None:
    """Take off `percent` of a late submission's points for each day that has begun."""
    result.days = max(0, math.ceil((time - deadline.timestamp()) / 86400))
    points = sum(outcome.points for outcome in result.outcomes)
    result.lost = round(min(1, percent / 100 * result.days) * points, 2)


# The tables ---------------------------------------------------------------------------------------

def table(assignment: Assignment, found: list[Result]) -> list[list[Any]]:
    """Return one row per student: the points of each task, their sum, and what was lost."""
    rows: list[list[Any]] = [["student", "id", *(task.name for task in assignment.tasks), "points",
                              "of", "before", "remarks"]]
    for result in found:
        points: list[Any] = [outcome.points for outcome in result.outcomes]
        points = points or [""] * len(assignment.tasks)
        before = "" if result.before is None else number(result.before)
        rows.append([result.student, result.identity, *points, result.grade, assignment.points,
                     before, "; ".join(result.words())])
    return rows


def canvas(assignment: Assignment, found: list[Result], roster: list[dict[str, str]]
           ) -> list[list[Any]]:
    """Return what Canvas imports as grades. roster: its own export, for the columns of students."""
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    by_id = {row["ID"]: row for row in roster if row.get("ID")}
    column = next((key for row in roster for key in row
                   if re.match(rf"{assignment.name}\b", key)), assignment.name)
    rows: list[list[Any]] = [[*columns, column]]
    for result in found:
        own = by_id.get(result.identity, {"Student": result.student, "ID": result.identity})
        rows.append([*(own.get(key, "") for key in columns), result.grade])
    return rows


def moodle(assignment: Assignment, found: list[Result]) -> list[list[Any]]:
    """Return a grading worksheet, as Moodle takes it back."""
    return [["Identifier", "Full name", "Grade", "Maximum Grade", "Feedback comments"],
            *([f"Participant {result.identity}" if result.identity else "", result.student,
               result.grade, assignment.points, "; ".join(result.words())] for result in found)]


def gradescope(result: Result) -> dict[str, Any]:
    """Return the result of one submission as Gradescope reads it: one test per task."""
    tests = [{"name": f"{outcome.task} {outcome.title}", "score": outcome.points,
              "max_score": outcome.most, "visibility": "visible", "output": "\n".join(
                  [*(f"{each.check}: {each.reason}" for each in outcome.findings),
                   *outcome.notes]) or "right"} for outcome in result.outcomes]
    return {"tests": tests} if tests else {"score": 0, "output": result.problem}


def number(value: float) -> float | int:
    """Return a number without needless zeros."""
    return int(value) if value == int(value) else round(value, 2)
