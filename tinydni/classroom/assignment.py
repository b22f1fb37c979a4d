"""An assignment: the instructor's file with its tasks and solutions, and the checks beside it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

from tinydni.classroom import cells, stubs
from tinydni.classroom.variants import variants

FOLDER = Path(__file__).parent / "assignments"
POINTS = re.compile(r"\((\d) points?\)$")           # at the end of a check's first line


class AssignmentError(ValueError):
    """An instructor's file breaks the format, or what is asked for does not exist or fit."""


@dataclass(eq=False)
class Task:
    """One task.

    name: "A1.2"    title    points
    target: the function or class that is written    statement: its docstring
    section: the cells    parts: [(points, the checks that must all pass for them)]
    earlier: the tasks before it    given: the names of those whose reference a solution may use
    """

    name: str
    title: str
    points: int
    target: str
    statement: str
    section: cells.Section
    parts: list[tuple[int, list[Callable]]]
    earlier: list[Task]
    given: list[str]

    @property
    def checks(self) -> list[Callable]:
        """The functions check_A1_2_..."""
        return [check for _, checks in self.parts for check in checks]


class Assignment:
    """NAME.py, checks.py and slips.txt of a folder, see the README beside this file.

    name: "A1"    title: of its first cell    story: the text under it
    prelude: the code before the first task    tasks, in order
    ending: the sections after the last task    points: all of them
    slips: [(task, words, what stands in the solution, what is written)]
    reference: what the file defines, solutions and given helpers, as attributes
    Raises AssignmentError where the format is broken; the sentence names the task.
    """

    def __init__(self, folder: str | Path):
        self.folder, self.name = Path(folder), Path(folder).name
        self.source = (self.folder / f"{self.name}.py").read_text(encoding="utf-8")
        self.checks_source = (self.folder / "checks.py").read_text(encoding="utf-8")
        self.checks: dict[str, Any] = {"__name__": f"checks_of_{self.name}"}
        exec(compile(self.checks_source, str(self.folder / "checks.py"), "exec"), self.checks)
        self.slips = read_slips(self.folder / "slips.txt")
        self.prelude, *rest = cells.sections(cells.read_percent(self.source))
        heading, _, self.story = self.prelude.text().partition("\n")
        self.title = heading.removeprefix(f"# {self.name} ").strip()
        self.tasks: list[Task] = []
        self.ending = []
        for section in rest:
            if match := cells.TASK.match(f"## {section.heading}"):
                self.tasks.append(self.task(section, *match.groups()))
            else:
                self.ending.append(section)
        if not self.tasks:
            raise AssignmentError(f"{self.name}.py has no task; a heading looks like "
                                  f'"# ## {self.name}.1 Title (2 points)".')
        self.points = sum(task.points for task in self.tasks)
        self.globals: dict[str, Any] = {"__name__": f"reference_of_{self.name}"}
        for section in (self.prelude, *(task.section for task in self.tasks)):
            exec(compile(section.code(), str(self.folder / f"{self.name}.py"), "exec"),
                 self.globals)
        self.reference = SimpleNamespace(**{
            name: value for name, value in self.globals.items()
            if getattr(value, "__module__", "") == self.globals["__name__"]})

    def task(self, section: cells.Section, name: str, title: str, points: str) -> Task:
        """Return the task of a section."""
        targets = stubs.targets(section.code())
        if len(targets) != 1:
            raise AssignmentError(
                f"{name} must hold one function or class with {stubs.BEGIN!r}; "
                f"it has {', '.join(targets) or 'none'}.")
        (target, node), = targets.items()
        statement = ast.get_docstring(node)
        if not statement:
            raise AssignmentError(f"{name}: {target} has no docstring; "
                                  "it is the statement of the task.")
        start = f"check_{name.replace('.', '_')}_"
        checks = [value for key, value in self.checks.items() if key.startswith(start)]
        if not checks:
            raise AssignmentError(f"checks.py of {self.name} has no function {start}...")
        earlier = list(self.tasks)
        given = self.checks.get("GIVEN", {}).get(name, [task.name for task in earlier])
        return Task(name, title, int(points), target, statement, section,
                    parts(name, int(points), checks), earlier, given)

    def setup(self, task: Task) -> dict[str, Any]:
        """Return what a room needs for a task: sources of what is given, and names."""
        earlier = [each for each in task.earlier if each.name in task.given]
        later = {each.target for each in self.tasks if each not in earlier}
        return {"target": task.target, "released": self.prelude.code(),
                "given": [part.code() for part in (self.prelude, *(t.section for t in earlier))],
                "names": [name for name in vars(self.reference) if name not in later],
                "earlier": {each.name: each.target for each in earlier}}

    @cache      # noqa: B019  an assignment lives as long as the command
    def variants(self, task: Task) -> list[tuple[str, CodeType]]:
        """Return (words, code) of the mistakes that are known for a task."""
        slips = [(right, wrong, words) for name, words, right, wrong in self.slips
                 if name == task.name]
        return variants(task.section.code(), slips)

    def find(self, name: str) -> Task:
        """Return the task called `name`. Raise AssignmentError, with the names there are."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise AssignmentError(f"{self.name} has no task {name}; "
                              f"it has {', '.join(task.name for task in self.tasks)}.")


def read_slips(path: Path) -> list[tuple[str, str, str, str]]:
    """Return (task, words, what stands in the solution, what is written) of every mistake."""
    found = []
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for block in text.split("\n\n")[1:]:
        head, *lines = block.strip("\n").split("\n")
        right, wrong = ("\n".join(line[2:] for line in lines if line[0] == mark)
                        for mark in "-+")
        task, _, words = head.partition(" ")
        found.append((task, words, right, wrong))
    return found


def parts(name: str, points: int, checks: list[Callable]) -> list[tuple[int, list[Callable]]]:
    """Return the parts of a task's points.

    A check whose first line ends with "(1 point)" begins a part; the checks after it belong to it.
    Without any such line all checks are one part.
    """
    found: list[tuple[int, list[Callable]]] = []
    for check in checks:
        worth = POINTS.search((inspect.getdoc(check) or "").partition("\n")[0])
        if worth or not found:
            found.append((int(worth[1]) if worth else points, []))
        found[-1][1].append(check)
    if sum(worth for worth, _ in found) != points:
        raise AssignmentError(f"{name} has {points} points; its checks give "
                              f"{sum(worth for worth, _ in found)}.")
    return found


def names() -> list[str]:
    """Return the names of all assignments, in order."""
    return sorted(path.name for path in FOLDER.iterdir() if (path / "checks.py").is_file())


def load(name: str) -> Assignment:
    """Return the assignment called `name`. Raise AssignmentError where there is none."""
    if name not in names():
        raise AssignmentError(f"there is no assignment {name}; there are {', '.join(names())}.")
    return Assignment(FOLDER / name)


def load_task(name: str) -> tuple[Assignment, Task]:
    """Return (assignment, task) of a task such as "A1.2"."""
    assignment = load(name.partition(".")[0])
    return assignment, assignment.find(name)
