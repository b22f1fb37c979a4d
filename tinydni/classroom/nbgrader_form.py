"""An assignment as a course folder for nbgrader: per task a cell to fill and a cell that checks."""

from __future__ import annotations

import shutil
from pathlib import Path

from tinydni.classroom import cells, stubs
from tinydni.classroom.assignment import Assignment
from tinydni.classroom.release import as_json, empty_folder, statement
from tinydni.lab import files

CONFIG = """# The notebooks in source/ hold no solutions, so there are none to take out.
c = get_config()
c.CourseDirectory.course_id = "tinydni"
c.ClearSolutions.enabled = False
"""


def write_course(assignment: Assignment, folder: str | Path) -> list[Path]:
    """Write nbgrader_config.py and source/NAME/ into a new or empty folder. Return the paths."""
    folder = empty_folder(folder)
    source = folder / "source" / assignment.name
    source.mkdir(parents=True)
    found, metadata = notebook(assignment)
    files.write_text(folder / "nbgrader_config.py", CONFIG)
    text = as_json(found, lambda number: metadata[number])
    files.write_text(source / f"{assignment.name}.ipynb", text)
    shutil.copyfile(assignment.folder / "checks.py", source / "checks.py")
    return [folder / "nbgrader_config.py", *sorted(source.iterdir())]


def notebook(assignment: Assignment) -> tuple[list[cells.Cell], list[dict]]:
    """Return the cells, and the metadata of each."""
    name = assignment.name
    given = "\n".join(cell.source for cell in assignment.prelude.cells if cell.kind == "code")
    found = [(markdown(f"# {name} {assignment.title}\n\n{assignment.story.strip()}"), {}),
             (code(given), nbgrader(f"{name}_given", locked=True))]
    for task in assignment.tasks:
        identity = task.name.replace(".", "_")
        parts = [cell.source for cell in task.section.cells if cell.kind == "code"]
        check = f'from tinydni.classroom import assert_task\nassert_task("{task.name}", globals())'
        checked = nbgrader(f"{identity}_checks", grade=True, locked=True, points=task.points)
        found += [(markdown(statement(task)), {}),
                  (code(stubs.stub("\n\n\n".join(parts), task.name)),
                   nbgrader(identity, solution=True)), (code(check), checked)]
    return [cell for cell, _ in found], [metadata for _, metadata in found]


def markdown(text: str) -> cells.Cell:
    """Return a cell of text."""
    return cells.Cell("markdown", text, 0)


def code(text: str) -> cells.Cell:
    """Return a cell of code."""
    return cells.Cell("code", text, 0)


def nbgrader(identity: str, solution: bool = False, grade: bool = False, locked: bool = False,
             points: int | None = None) -> dict:
    """Return the metadata by which nbgrader knows a cell."""
    found = {"schema_version": 3, "grade_id": identity, "solution": solution, "grade": grade,
             "locked": locked, "task": False}
    return {"nbgrader": found if points is None else {**found, "points": points}}
