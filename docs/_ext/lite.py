"""The course in the browser: a JupyterLite below html/lite, with a wheel of tinydni inside.

Without jupyterlite-core, or with `sphinx-build -t nolite`, the site is built without it.
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from sphinx.util import logging

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
WORK = DOCS / "_lite"
NEEDS = ("jupyterlite_core", "jupyterlite_pyodide_kernel", "jupyter_server", "hatchling")
FIRST = "%pip install -q tinydni      # the copy that came with this page"
HELPERS = ("course.py", "exercises.py", "one_step.gif")


def run(*command, folder=ROOT):
    """Run a Python module. Raises RuntimeError with what it said."""
    done = subprocess.run([sys.executable, "-m", *map(str, command)], cwd=folder,
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")


def wheel():
    """Build the wheel of the library, and return its path."""
    shutil.rmtree(WORK, ignore_errors=True)
    run("hatchling", "build", "-t", "wheel", "-d", WORK / "wheel")
    return next((WORK / "wheel").glob("*.whl"))


def contents():
    """Copy the notebooks with their outputs, and a first cell that installs the library."""
    folder = WORK / "contents"
    folder.mkdir(parents=True)
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, 4)
        first = nbformat.v4.new_code_cell(FIRST, id="install")
        notebook.cells.insert(1, first)
        nbformat.write(notebook, folder / path.name)
    for name in HELPERS:
        shutil.copy(ROOT / "notebooks" / name, folder)
    return folder


def build(app, exception):
    """Build the JupyterLite once the pages are written."""
    if exception or app.builder.name != "html" or app.tags.has("nolite"):
        return
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        logging.getLogger(__name__).info(f"no JupyterLite: {', '.join(missing)} not installed")
        return
    built, folder = wheel(), contents()
    run("jupyterlite_core", "build", "--apps", "lab", "--apps", "notebooks", "--contents", folder,
        "--piplite-wheels", built, "--output-dir", Path(app.outdir) / "lite", "--no-sourcemaps",
        "--no-unused-shared-packages", folder=WORK)


def setup(app):
    """Hook in at the end of the build."""
    app.connect("build-finished", build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
