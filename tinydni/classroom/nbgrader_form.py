"""An assignment as a course folder for nbgrader: a notebook with a cell to fill and a cell that checks per task."""

import shutil

from tinydni.lab import files
from tinydni.classroom import cells, stubs
from tinydni.classroom.release import as_json, empty_folder, statement

CONFIG = """# The notebooks in source/ hold no solutions (those are in tinydni itself), so there are none to take out.
c = get_config()
c.CourseDirectory.course_id = "tinydni"
c.ClearSolutions.enabled = False
"""


def write_course(assignment, folder):
    """Writes nbgrader_config.py and source/NAME/ into a new or empty folder. Returns the paths."""
    folder = empty_folder(folder)
    source = folder / "source" / assignment.name
    source.mkdir(parents=True)
    found, metadata = notebook(assignment)
    files.write_text(folder / "nbgrader_config.py", CONFIG)
    files.write_text(source / f"{assignment.name}.ipynb", as_json(found, lambda number: metadata[number]))
    shutil.copyfile(assignment.folder / "checks.py", source / "checks.py")
    return [folder / "nbgrader_config.py", *sorted(source.iterdir())]


def notebook(assignment):
    """The cells, and the metadata of each."""
    name, found = assignment.name, []
    found.append((markdown(f"# {name} {assignment.title}\n\n{assignment.story.strip()}"), {}))
    found.append((code("\n".join(cell.source for cell in assignment.prelude.cells if cell.kind == "code")),
                  nbgrader(f"{name}_given", locked=True)))
    for task in assignment.tasks:
        identity = task.name.replace(".", "_")
        solution = "\n\n\n".join(cell.source for cell in task.section.cells if cell.kind == "code")
        check = f'from tinydni.classroom import assert_task\nassert_task("{task.name}", globals())'
        found += [(markdown(statement(task)), {}),
                  (code(stubs.stub(solution, task.name)), nbgrader(identity, solution=True)),
                  (code(check), nbgrader(f"{identity}_checks", grade=True, locked=True, points=task.points))]
    return [cell for cell, _ in found], [metadata for _, metadata in found]


def markdown(text):
    return cells.Cell("markdown", text, 0)


def code(text):
    return cells.Cell("code", text, 0)


def nbgrader(identity, solution=False, grade=False, locked=False, points=None):
    """The metadata by which nbgrader knows a cell."""
    found = {"schema_version": 3, "grade_id": identity, "solution": solution, "grade": grade, "locked": locked,
             "task": False}
    return {"nbgrader": found if points is None else {**found, "points": points}}
