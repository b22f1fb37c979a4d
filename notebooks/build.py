"""Makes the executed .ipynb of every .py beside it:  python notebooks/build.py [names ...]

The .py files, in jupytext's percent format, are the source. With --check they are executed and
nothing is written; then TINYDNI_SHORT=1 in the environment makes them train for a few epochs only.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

import jupytext
import nbformat

FOLDER = Path(__file__).parent
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"}}


def sources():
    """Return the .py files of the course, in order."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.py"))


def from_source(path):
    """Return the notebook that a .py file stands for, without outputs; the same in every build."""
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", nbformat.from_dict({})
    return notebook


def execute(notebook):
    """Run all cells from an empty kernel, in place. Raise CellExecutionError where one fails."""
    from nbclient import NotebookClient
    where = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=3600, coalesce_streams=True, resources=where).execute()
    notebook.metadata = nbformat.from_dict(METADATA)    # the kernel's own differs between machines
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})          # when it ran
        for output in cell.get("outputs", []):
            if output.output_type == "stream":          # what a progress line leaves behind
                output.text = re.sub(r"(?m)^.*\r", "", output.text)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.output_type != "stream" or o.text]


def keep_outputs(notebook, path):
    """Take the outputs of the committed notebook, for a change of text only."""
    old, new = ([cell for cell in one.cells if cell.cell_type == "code"]
                for one in (nbformat.read(path, 4), notebook))
    if [cell.source for cell in old] != [cell.source for cell in new]:
        raise ValueError(f"{path.name}: its code is not that of the source any more; "
                         "build it without --text.")
    for cell, kept in zip(new, old):
        cell.outputs, cell.execution_count = kept.outputs, kept.execution_count


def main():
    """Build what the command line names. Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="beginnings of names, such as 03 (default: all)")
    parser.add_argument("--check", action="store_true", help="execute only, write nothing")
    parser.add_argument("--text", action="store_true",
                        help="take over changed text, execute nothing")
    given = parser.parse_args()
    if "TINYDNI_SHORT" in os.environ and not given.check:
        parser.error("TINYDNI_SHORT is set, and a notebook of a short run is not worth keeping; "
                     "unset it, or use --check.")
    for path in sources():
        if given.names and not path.name.startswith(tuple(given.names)):
            continue
        notebook, start = from_source(path), time.perf_counter()
        if given.text:
            keep_outputs(notebook, path.with_suffix(".ipynb"))
        else:
            execute(notebook)
        if not given.check:
            nbformat.write(notebook, path.with_suffix(".ipynb"))
        print(f"{path.stem}: {time.perf_counter() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
