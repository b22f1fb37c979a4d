"""What students get: stubs, statements, visible checks, a notebook and a README.

All are made from the instructor's files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tinydni.classroom import cells, stubs
from tinydni.classroom.assignment import Assignment, Task
from tinydni.lab import files

README = Path(__file__).with_name("student_readme.md")


def write_files(assignment: Assignment, folder: str | Path) -> list[Path]:
    """Write the released form into a new or empty folder. Return the paths.

    Raises FileExistsError where the folder holds something: no student's work is overwritten.
    """
    folder = empty_folder(folder)
    name = assignment.name
    files.write_text(folder / f"{name}.py", released(assignment))
    files.write_text(folder / f"{name}.ipynb", as_json(story(assignment)))
    shutil.copyfile(assignment.folder / "checks.py", folder / "checks.py")
    files.write_text(folder / "README.md", readme(assignment))
    return sorted(folder.iterdir())


def empty_folder(folder: str | Path) -> Path:
    """Return a new or empty folder. Raise FileExistsError where it holds something."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not empty; name a new folder, so that nobody's work is "
                              "overwritten.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def released(assignment: Assignment) -> str:
    """Return the instructor's file with every solution replaced by its stub."""
    lines = assignment.source.splitlines()
    starts = [lines.index(f"# ## {task.section.heading}") for task in assignment.tasks]
    text = lines[:starts[0]]
    for start, end, task in zip(starts, [*starts[1:], len(lines)],
                                [task.name for task in assignment.tasks]):
        text += stubs.stub("\n".join(lines[start:end]), task).splitlines()
    return "\n".join(text) + "\n"


def readme(assignment: Assignment) -> str:
    """Return the README of the students."""
    first, n = assignment.tasks[0], max(len(task.title) for task in assignment.tasks)
    rows = [f"| {task.name} | {task.title:<{n}} | {task.points} |" for task in assignment.tasks]
    return README.read_text(encoding="utf-8").format(
        name=assignment.name, title=assignment.title, task=first.name, target=first.target,
        tasks="\n".join(rows))


def story(assignment: Assignment) -> list[cells.Cell]:
    """Return the cells of the notebook: story, statements, and a check after each task."""
    name = assignment.name
    found = [("markdown", f"# {name} {assignment.title}\n\n{assignment.story.strip()}\n\n"
                          f"Write into `{name}.py`; the cells here check it."),
             ("code", "from tinydni.classroom import check")]
    for task in assignment.tasks:
        found += [("markdown", statement(task)), ("code", f'check("{task.name}")')]
    return [cells.Cell(kind, text, 0) for kind, text in found]


def statement(task: Task) -> str:
    """Return heading, text and statement of a task, in markdown."""
    parts = [f"## {task.section.heading}", task.section.text(), f"`{task.target}`",
             f"```text\n{task.statement}\n```"]
    return "\n\n".join(part for part in parts if part)


def as_json(found: list[cells.Cell], metadata: Callable = lambda number: {}) -> str:
    """Return cells as a notebook file. metadata: of the cell with a number"""
    notebook: dict = {"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}}}
    for number, cell in enumerate(found):
        made = {"cell_type": cell.kind, "id": f"cell-{number}", "metadata": metadata(number),
                "source": cell.source.splitlines(keepends=True)}
        code: dict = {} if cell.kind == "markdown" else {"execution_count": None, "outputs": []}
        notebook["cells"].append({**made, **code})
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
