"""`tinydni course FOLDER`: the notebooks, with the answers of the now-you cells taken out."""

import ast
import json
import re
import textwrap
from pathlib import Path

from tinydni.lab.files import write_text

ANSWER = re.compile("(?m)^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION$", re.S)
INSTALLED, CLONED = Path(__file__).parent / "notebooks", Path(__file__).parents[2] / "notebooks"
BESIDE = ("course.py", "exercises.py", "one_step.gif")      # what the notebooks use


def add_arguments(parser):
    """Add the options of the command."""
    parser.add_argument("folder", type=Path, help="where to write; what is there already is kept")


def main(arguments):
    """Write what is missing in the folder. Return the exit code."""
    arguments.folder.mkdir(parents=True, exist_ok=True)
    written = kept = 0
    for file, text in course().items():
        path = arguments.folder / file
        if path.exists():
            kept += 1
        else:
            path.write_bytes(text) if isinstance(text, bytes) else write_text(path, text)
            written += 1
    print(f"{arguments.folder}: {written} files written, {kept} kept as they were. "
          "Begin with index.md, or with: jupyter lab " + str(arguments.folder))
    return 0


def source_folder():
    """Return where the sources of the notebooks are."""
    folder = INSTALLED if INSTALLED.is_dir() else CLONED
    if not folder.is_dir():
        raise FileNotFoundError("the sources of the course are missing from this installation; "
                                "install tinydni anew, or take a clone of the repository.")
    return folder


def course():
    """Return {name of a file: its text, or bytes} of all that a learner gets."""
    folder, found = source_folder(), {}
    lines = ["# The course", "", "Work through the notebooks in this order.", ""]
    for source in sorted(folder.glob("[0-9][0-9]_*.py")):
        cells = cells_of(source.read_text(encoding="utf-8"))
        found[f"{source.stem}.ipynb"] = as_notebook(for_learner(cells))
        title, needs = (re.search(p, cells[0][1], re.S)[1] for p in
                        (r"# (.*?)\n", r"\*\*What you need\.\*\*(.*?)(?:\n\n|$)"))
        lines.append(f"- [{title}]({source.stem}.ipynb). {' '.join(needs.split())}")
    found["index.md"] = "\n".join(lines) + "\n"
    return found | {file: (folder / file).read_bytes() for file in BESIDE
                    if (folder / file).exists()}


def cells_of(text):
    """Return [(kind, text)] of a source in percent format, kind "markdown" or "code"."""
    found = []
    for part in re.split(r"(?m)^# %%", text)[1:]:
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            body = re.sub(r"(?m)^# ?", "", body)
        found.append(("markdown" if "[markdown]" in head else "code", body.strip("\n")))
    return found


def for_learner(cells):
    """Return the cells with every answer taken out, and shown folded below."""
    found = []
    for kind, text in cells:
        answers = solutions(text) if kind == "code" else []
        found.append((kind, without_solutions(text) if answers else text))
        if answers:
            code = "\n\n".join(textwrap.dedent(answer).strip("\n") for answer in answers)
            found.append(("markdown", "<details><summary>The code</summary>\n\n"
                                      f"```python\n{code}\n```\n</details>"))
    return found


def solutions(text):
    """Return the answers in a cell."""
    return [match[2] for match in ANSWER.finditer(text)]


def without_solutions(text):
    """Return a cell with three dots for every answer."""
    return ANSWER.sub(lambda match: textwrap.indent(stub(match[2]), match[1]), text)


def stub(answer):
    """Return what stands in the place of an answer: the names that it sets, or three dots."""
    function = "def f():\n" + textwrap.indent(textwrap.dedent(answer), "    ")
    statements = ast.parse(function).body[0].body
    remark = "# your line" if len(statements) == 1 else f"# your {len(statements)} lines"
    if isinstance(statements[-1], ast.Return):
        return f"return ...  {remark}"
    if all(isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name) for s in statements):
        return "\n".join(f"{s.targets[0].id} = ...  # your line" for s in statements)
    return f"raise NotImplementedError  {remark} in the place of this"


def as_notebook(cells):
    """Return the text of an .ipynb file, without outputs."""
    made = [{"cell_type": kind, "id": f"cell-{number}", "metadata": {},
             "source": text.splitlines(keepends=True),
             **({"execution_count": None, "outputs": []} if kind == "code" else {})}
            for number, (kind, text) in enumerate(cells)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps({"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4,
                       "nbformat_minor": 5}, indent=1, ensure_ascii=False) + "\n"
