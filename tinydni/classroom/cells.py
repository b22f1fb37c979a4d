"""Notebooks as text: the percent format, in which a line `# %%` begins a cell, and its sections under headings."""

import json
import re
from dataclasses import dataclass

TASK = re.compile(r"## ([A-Z]\d+\.\d+) (.+?) \((\d+) points?\)$")     # "## A1.2 Linear (3 points)"


@dataclass
class Cell:
    """One cell. kind: "code" or "markdown"    source: its text    line: where it begins in the file, from 1"""

    kind: str
    source: str
    line: int


@dataclass
class Section:
    """The cells from one heading of the second level (`## ...`) to the next.

    heading: the first line, without `## `; "" for what stands before the first heading
    """

    heading: str
    cells: list

    def code(self):
        """The code cells as one program whose lines keep their numbers in the file."""
        text = ""
        for cell in self.cells:
            if cell.kind == "code":
                text += "\n" * (cell.line - 1 - text.count("\n")) + cell.source + "\n"
        return text

    def text(self):
        """The markdown cells, without the heading."""
        parts = [cell.source for cell in self.cells if cell.kind == "markdown"]
        return "\n\n".join(parts).removeprefix(f"## {self.heading}").strip()


def read_percent(text):
    """The cells of a file in percent format. What stands before the first `# %%` is a code cell."""
    cells, kind, lines, start = [], "code", [], 1
    for number, line in enumerate([*text.splitlines(), "# %%"], start=1):
        if not line.startswith("# %%"):
            lines.append(line)
            continue
        if any(lines):
            while lines and not lines[0].strip():
                lines, start = lines[1:], start + 1
            source = "\n".join(lines).rstrip()
            cells.append(Cell(kind, uncommented(source) if kind == "markdown" else source, start))
        kind, lines, start = "markdown" if "[markdown]" in line else "code", [], number + 1
    return cells


def uncommented(text):
    """A markdown cell without the `# ` at the beginning of its lines."""
    return "\n".join(re.sub(r"^# ?", "", line) for line in text.splitlines())


def read_notebook(text):
    """The cells of an .ipynb. Lines of the notebook's own language (%magic, !shell) are left out.

    Raises ValueError where the text is no notebook.
    """
    try:
        found = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("it is no notebook") from error
    cells, line = [], 1
    for kind, source in found:
        if kind in ("code", "markdown"):
            kept = source if kind == "markdown" else re.sub(r"(?m)^\s*[%!].*$", "", source)
            cells.append(Cell(kind, kept, line))
            line += kept.count("\n") + 1
    return cells


def sections(cells, begins=lambda heading: True):
    """The cells, section by section. A heading stands in the first line of a markdown cell.

    begins: whether a heading, without `## `, begins a section; where not, it is text like any other
    """
    found = [Section("", [])]
    for cell in cells:
        first = cell.source.splitlines()[0] if cell.source else ""
        if cell.kind == "markdown" and first.startswith("## ") and begins(first[3:].strip()):
            found.append(Section(first[3:].strip(), []))
        found[-1].cells.append(cell)
    return found
