"""What students get: stubs, statements, visible checks, a notebook and a README, made from the instructor's files."""

import json
import shutil
from pathlib import Path

from tinydni.lab import files
from tinydni.classroom import cells, stubs

README = """# {name} {title}

1. Write your solutions into `{name}.py`. The text of each task is the docstring there; `{name}.ipynb` has the same
   texts with the story around them.
2. Check a task, from this folder: `tinydni assignment check {task}`. It takes seconds and says what is wrong, and how.
   `tinydni assignment check {name}` checks all. What a check asks is in `checks.py`.
3. Hand in the whole folder.

| task | | points |
| --- | --- | --- |
{tasks}

- A task's points come all together, when all its checks pass. Grading runs the same checks on other values.
- Leave the headings (`# ## {task} ...`) and `checks.py` as they are: a task whose check was edited or deleted has no
  points.
- Helpers go into the first cell or into the task's own. A task never sees what you wrote for another task: it gets the
  reference of earlier ones, so that one mistake costs once.
- Import numpy and math, not tinydni: it holds the answers.
- Stuck? Put `{target} = use_reference("{task}")` in place of your solution and go on. That task then has no points.
"""


def write_files(assignment, folder):
    """Writes the released form into a new or empty folder. Returns the paths.

    Raises FileExistsError where the folder holds something: a student's work is never overwritten.
    """
    folder = empty_folder(folder)
    name = assignment.name
    files.write_text(folder / f"{name}.py", released(assignment))
    files.write_text(folder / f"{name}.ipynb", as_json(story(assignment)))
    shutil.copyfile(assignment.folder / "checks.py", folder / "checks.py")
    files.write_text(folder / "README.md", readme(assignment))
    return sorted(folder.iterdir())


def empty_folder(folder):
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not empty; name a new folder, so that nobody's work is overwritten.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def released(assignment):
    """The instructor's file with every solution replaced by its stub."""
    lines, text = assignment.source.splitlines(), []
    starts = sorted((lines.index(f"# ## {task.section.heading}"), task.name) for task in assignment.tasks)
    text += lines[:starts[0][0]]
    for (start, task), end in zip(starts, [start for start, _ in starts[1:]] + [len(lines)]):
        text += stubs.stub("\n".join(lines[start:end]), task).splitlines()
    return "\n".join(text) + "\n"


def readme(assignment):
    first, n = assignment.tasks[0], max(len(task.title) for task in assignment.tasks)
    rows = [f"| {task.name} | {task.title:<{n}} | {task.points} |" for task in assignment.tasks]
    return README.format(name=assignment.name, title=assignment.title, task=first.name, target=first.target,
                         tasks="\n".join(rows))


def story(assignment):
    """The cells of the notebook: story, statements, and a check after each task."""
    name = assignment.name
    found = [("markdown", f"# {name} {assignment.title}\n\n{assignment.story.strip()}\n\n"
                          f"Write into `{name}.py`; the cells here check it."),
             ("code", "from tinydni.classroom import check")]
    for task in assignment.tasks:
        found += [("markdown", statement(task)), ("code", f'check("{task.name}")')]
    return [cells.Cell(kind, text, 0) for kind, text in found]


def statement(task):
    """Heading, text and statement of a task, in markdown."""
    parts = [f"## {task.section.heading}", task.section.text(), f"`{task.target}`", f"```text\n{task.statement}\n```"]
    return "\n\n".join(part for part in parts if part)


def as_json(found, metadata=lambda number: {}):
    """Cells as a notebook file. metadata: of the cell with a number"""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": [], "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}}, "nbformat": 4,
                "nbformat_minor": 5}
    for number, cell in enumerate(found):
        made = {"cell_type": cell.kind, "id": f"cell-{number}", "metadata": metadata(number),
                "source": cell.source.splitlines(keepends=True)}
        notebook["cells"].append(made if cell.kind == "markdown" else {**made, "execution_count": None, "outputs": []})
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
