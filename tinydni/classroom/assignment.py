"""An assignment: the instructor's file with its tasks and solutions, and the checks beside it."""

import ast
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from tinydni.classroom import cells, stubs

FOLDER = Path(__file__).parent / "assignments"


class AssignmentError(ValueError):
    """An instructor's file breaks the format, or what is asked for does not exist or fit."""


@dataclass
class Task:
    """One task.

    name: "A1.2"    title    points
    target: the function or class that is written    statement: its docstring
    section: the cells    checks: the functions check_A1_2_...
    """

    name: str
    title: str
    points: int
    target: str
    statement: str
    section: cells.Section
    checks: list


class Assignment:
    """NAME.py and checks.py of a folder, see the README beside this file.

    name: "A1"    title: of its first cell    story: the text under it
    prelude: the code before the first task    tasks, in order    ending: the sections after the last task
    reference: what the file defines, solutions and given helpers, as attributes
    Raises AssignmentError where the format is broken; the sentence names the task.
    """

    def __init__(self, folder):
        self.folder, self.name = Path(folder), Path(folder).name
        self.source = (self.folder / f"{self.name}.py").read_text(encoding="utf-8")
        self.checks_source = (self.folder / "checks.py").read_text(encoding="utf-8")
        self.checks = load_module(self.folder / "checks.py", f"checks_of_{self.name}")
        first, *rest = cells.sections(cells.read_percent(self.source))
        heading, _, self.story = first.text().partition("\n")
        self.title = heading.removeprefix(f"# {self.name} ").strip()
        self.prelude = first
        self.tasks = [self.task(section) for section in rest if cells.TASK.match(f"## {section.heading}")]
        self.ending = [section for section in rest if not cells.TASK.match(f"## {section.heading}")]
        if not self.tasks:
            raise AssignmentError(f"{self.name}.py has no task; a heading looks like "
                                  f'"# ## {self.name}.1 Title (2 points)".')
        self.reference = self.load_reference()

    def task(self, section):
        name, title, points = cells.TASK.match(f"## {section.heading}").groups()
        targets = stubs.targets(section.code())
        if len(targets) != 1:
            raise AssignmentError(f"{name} must hold one function or class with {stubs.BEGIN!r}; "
                                  f"it has {', '.join(targets) or 'none'}.")
        (target, node), = targets.items()
        if not ast.get_docstring(node):
            raise AssignmentError(f"{name}: {target} has no docstring; it is the statement of the task.")
        start = f"check_{name.replace('.', '_')}_"
        checks = [value for key, value in vars(self.checks).items() if key.startswith(start)]
        if not checks:
            raise AssignmentError(f"checks.py of {self.name} has no function {start}...")
        return Task(name, title, int(points), target, ast.get_docstring(node), section, checks)

    def load_reference(self):
        names = {"__name__": f"reference_of_{self.name}"}
        for section in (self.prelude, *(task.section for task in self.tasks)):
            exec(compile(section.code(), str(self.folder / f"{self.name}.py"), "exec"), names)
        return SimpleNamespace(**{name: value for name, value in names.items()
                                  if getattr(value, "__module__", None) == names["__name__"]})

    def given(self, task):
        """What the solution of a task finds there: the helpers of the prelude, and the reference of earlier tasks."""
        later = {t.target for t in self.tasks[self.tasks.index(task):]}
        return SimpleNamespace(**{name: value for name, value in vars(self.reference).items() if name not in later})

    @property
    def points(self):
        return sum(task.points for task in self.tasks)

    def find(self, name):
        """The task called `name`. Raises AssignmentError, with the names there are."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise AssignmentError(f"{self.name} has no task {name}; it has {', '.join(task.name for task in self.tasks)}.")

    def earlier(self, task):
        """The tasks before one."""
        return self.tasks[:self.tasks.index(task)]


def load_module(path, name):
    """Runs a file as a module of its own."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names():
    """The names of all assignments, in order."""
    return sorted(path.name for path in FOLDER.iterdir() if (path / "checks.py").is_file())


def load(name):
    """The assignment called `name`. Raises AssignmentError where there is none."""
    if name not in names():
        raise AssignmentError(f"there is no assignment {name}; there are {', '.join(names())}.")
    return Assignment(FOLDER / name)


def load_task(name):
    """(assignment, task) of a task such as "A1.2"."""
    assignment = load(name.partition(".")[0])
    return assignment, assignment.find(name)
