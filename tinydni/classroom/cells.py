"""Notebooks as text: the percent format, in which a line `# %%` begins a cell, and its sections."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

TASK = re.compile(r"## ([A-Z]\d+\.\d+) (.+?) \((\d+) points?\)$")   # "## A1.2 Linear (3 points)"


@dataclass
class Cell:
    """One cell. kind: "code" or "markdown"    source: its text    line: where it begins, from 1."""

    kind: str
    source: str
    line: int


@dataclass
class Section:
    """The cells from one heading of the second level (`## ...`) to the next.

    heading: the first line, without `## `; "" for what stands before the first heading
    """

    heading: str
    cells: list[Cell]

    def code(self) -> str:
        """Return the code cells as one program whose lines keep their numbers in the file."""
        lines: list[str] = []
        for cell in self.cells:
            if cell.kind == "code":
                lines += [""] * (cell.line - 1 - len(lines))
                lines += cell.source.split("\n")
        return "\n".join(lines) + "\n"

    def text(self) -> str:
        """Return the markdown cells, without the heading."""
        parts = [cell.source for cell in self.cells if cell.kind == "markdown"]
        return "\n\n".join(parts).removeprefix(f"## {self.heading}").strip()


def read_percent(text: str) -> list[Cell]:
    """Return the cells of a file. What stands before the first `# %%` is a code cell."""
    cells: list[Cell] = []
    kind, start, lines = "code", 1, re.split(r"\r\n|\r|\n", text)
    for number, line in enumerate([*lines, "# %%"], start=1):
        if not line.startswith("# %%"):
            continue
        first, last = start, number - 1
        while first <= last and not lines[first - 1].strip():
            first += 1
        if first <= last:
            source = "\n".join(lines[first - 1:last]).rstrip()
            if kind == "markdown":
                source = re.sub(r"(?m)^# ?", "", source)
            cells.append(Cell(kind, source, first))
        kind, start = "markdown" if "[markdown]" in line else "code", number + 1
    return cells


def read_notebook(text: str) -> list[Cell]:
    """Return the cells of an .ipynb. Lines of its own language (%magic, !shell) are left out.

    Raises ValueError where the text is no notebook.
    """
    try:
        found = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("it is no notebook") from error
    cells, line = [], 1
    for kind, source in found:
        if kind in ("code", "markdown"):
            kept = source if kind == "markdown" else re.sub(r"(?m)^[ \t]*[%!].*$", "", source)
            cells.append(Cell(kind, kept, line))
            line += kept.count("\n") + 1
    return cells


def sections(cells: list[Cell], begins: Callable = lambda heading: True) -> list[Section]:
    """Return the cells, section by section. A heading stands first in a markdown cell.

    begins: whether a heading, without `## `, begins a section; where not, it is text like any other
    """
    found = [Section("", [])]
    for cell in cells:
        first = cell.source.partition("\n")[0]
        if cell.kind == "markdown" and first.startswith("## ") and begins(first[3:].strip()):
            found.append(Section(first[3:].strip(), []))
        found[-1].cells.append(cell)
    return found
