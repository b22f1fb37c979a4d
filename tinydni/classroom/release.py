"""What students get, made from the instructor's files: as files to edit, or for nbgrader.

Stubs, statements, visible checks, a notebook and a README.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tinydni.classroom import files, stubs
from tinydni.classroom.assignment import Assignment, Task
from tinydni.classroom.cells import Section

README = Path(__file__).with_name("student_readme.md")
CONFIG = """# The notebooks in source/ hold no solutions, so there are none to take out.
c = get_config()
c.CourseDirectory.course_id = "tinydni"
c.ClearSolutions.enabled = False
"""


def write_files(assignment: Assignment, folder: str | Path) -> list[Path]:
    """Write the released form into a new or empty folder. Return the paths.

    Raises FileExistsError where the folder holds something: no student's work is overwritten.
    """
    folder, name = empty_folder(folder), assignment.name
    tasks, n = assignment.tasks, max(len(task.title) for task in assignment.tasks)
    readme = README.read_text(encoding="utf-8").format(
        name=name, title=assignment.title, task=tasks[0].name, target=tasks[0].target,
        tasks="\n".join(f"| {task.name} | {task.title:<{n}} | {task.points} |" for task in tasks))
    story = [markdown(f"{heading(assignment)}\n\nWrite into `{name}.py`; the cells here check it."),
             code("from tinydni.classroom import check")]
    for task in tasks:
        story += [markdown(statement(task)), code(f'check("{task.name}")')]
    files.write_text(folder / f"{name}.py", released(assignment))
    files.write_text(folder / f"{name}.ipynb", notebook(story))
    files.write_text(folder / "README.md", readme)
    shutil.copyfile(assignment.folder / "checks.py", folder / "checks.py")
    return sorted(folder.iterdir())


def write_course(assignment: Assignment, folder: str | Path) -> list[Path]:
    """Write a course for nbgrader: per task a cell to fill and a cell that checks.

    It is nbgrader_config.py and source/NAME/ in a new or empty folder. Returns the paths.
    """
    folder, name = empty_folder(folder), assignment.name
    source = folder / "source" / name
    source.mkdir(parents=True)
    found = [markdown(heading(assignment)),
             code(code_of(assignment.prelude), grade_id=f"{name}_given", locked=True)]
    for task in assignment.tasks:
        identity = task.name.replace(".", "_")
        check = f'from tinydni.classroom import assert_task\nassert_task("{task.name}", globals())'
        found += [markdown(statement(task)),
                  code(stubs.stub(code_of(task.section), task.name), grade_id=identity,
                       solution=True),
                  code(check, grade_id=f"{identity}_checks", grade=True, locked=True,
                       points=task.points)]
    files.write_text(folder / "nbgrader_config.py", CONFIG)
    files.write_text(source / f"{name}.ipynb", notebook(found))
    shutil.copyfile(assignment.folder / "checks.py", source / "checks.py")
    return [folder / "nbgrader_config.py", *sorted(source.iterdir())]


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
    return stubs.stub(assignment.source) + "\n"


def heading(assignment: Assignment) -> str:
    """Return the title and the story, in markdown."""
    return f"# {assignment.name} {assignment.title}\n\n{assignment.story.strip()}"


def statement(task: Task) -> str:
    """Return heading, text and statement of a task, in markdown."""
    parts = [f"## {task.section.heading}", task.section.text(), f"`{task.target}`",
             f"```text\n{task.statement}\n```"]
    return "\n\n".join(part for part in parts if part)


def code_of(section: Section) -> str:
    """Return the code of a section as one cell."""
    return "\n\n\n".join(cell.source for cell in section.cells if cell.kind == "code")


# A notebook file ----------------------------------------------------------------------------------

def markdown(text: str) -> dict:
    """Return a cell of text."""
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def code(text: str, **about: object) -> dict:
    """Return a cell of code. about: what nbgrader is to know of it"""
    known = {"schema_version": 3, "solution": False, "grade": False, "locked": False, "task": False}
    return {**markdown(text), "cell_type": "code", "execution_count": None, "outputs": [],
            "metadata": {"nbgrader": {**known, **about}} if about else {}}


def notebook(found: list[dict]) -> str:
    """Return a file of cells."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps({
        "cells": [{"id": f"cell-{number}", **cell} for number, cell in enumerate(found)],
        "nbformat": 4, "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}}},
        indent=1, ensure_ascii=False) + "\n"
