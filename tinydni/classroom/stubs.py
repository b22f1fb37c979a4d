"""From a solution to the stub that is handed out."""

from __future__ import annotations

import ast
import textwrap

BEGIN, INSTEAD, END = "### BEGIN SOLUTION", "### INSTEAD", "### END SOLUTION"


def targets(source: str) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """Return the functions and classes of the first level that hold a solution, by their names."""
    lines = source.splitlines()
    return {node.name: node for node in ast.parse(source).body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
            and any(BEGIN in line for line in lines[node.lineno - 1:node.end_lineno])}


def stub(source: str, task: str = "") -> str:
    """Return a source with every solution taken out.

    What stands between BEGIN and END becomes  raise NotImplementedError("A1.2: ..."), with the name
    of the method; or, if the solution has a line INSTEAD, the commented lines after it.
    task: that of the first lines; a heading "# ## A1.2 ..." names the next
    Raises ValueError where BEGIN and END do not pair up.
    """
    kept: list[str] = []
    region: list[str] | None = None
    owner = indent = ""
    for line in source.splitlines():
        word = line.strip()
        if word.startswith("def "):
            owner = word[4:].partition("(")[0]
        elif word.startswith("# ## "):
            task = word.split()[2]
        if word == BEGIN and region is None:
            region, indent = [], line[:len(line) - len(line.lstrip())]
        elif word == END and region is not None:
            kept += [indent + put for put in replacement(region, f"{task}: {owner}")]
            region = None
        elif word in (BEGIN, END):
            raise ValueError(f"{task}: {BEGIN!r} and {END!r} do not pair up at {line!r}.")
        else:
            (kept if region is None else region).append(line)
    if region is not None:
        raise ValueError(f"{task}: {END!r} is missing.")
    return "\n".join(kept)


def replacement(region: list[str], message: str) -> list[str]:
    """Return the lines that take the place of a solution."""
    lines = textwrap.dedent("\n".join(region)).splitlines()
    if INSTEAD not in lines:
        return [f'raise NotImplementedError("{message} is not written yet")']
    return ["" if line == "#" else line.removeprefix("# ")
            for line in lines[lines.index(INSTEAD) + 1:]]
