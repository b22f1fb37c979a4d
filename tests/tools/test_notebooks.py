"""The course: source and notebook agree, the source runs, and the committed notebooks are fit to be read."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|tmp|work|Users|mnt|opt|usr|var)/|[A-Z]:\\\\|site-packages")
MAX_BYTES = 1_500_000

spec = importlib.util.spec_from_file_location("build", ROOT / "notebooks" / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)

SOURCES = build.sources()
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def committed(source):
    """The executed notebook beside its source."""
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def short_environment(folder):
    """Few epochs, and an empty folder in place of downloaded data: the notebooks fall back on the small digits."""
    return {**os.environ, "TINYDNI_SHORT": "1", "TINYDNI_DATA": str(folder), "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error::RuntimeWarning", "OPENBLAS_NUM_THREADS": "1"}


def test_there_is_a_course_and_every_notebook_has_its_source():
    assert len(SOURCES) >= 3
    assert [path.stem for path in SOURCES] == [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]


def test_the_readme_names_every_notebook():
    text = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\((\d\d_\w+)\.ipynb\)", text) == [path.stem for path in SOURCES]


@each_source
def test_notebook_and_source_have_the_same_cells(source):
    def cells(notebook):
        return [(cell.cell_type, cell.source) for cell in notebook.cells]
    assert cells(committed(source)) == cells(build.from_source(source)), "run: python notebooks/build.py"


@each_source
def test_the_source_runs_as_a_script(source, tmp_path):
    run = subprocess.run([sys.executable, source], cwd=tmp_path, env=short_environment(tmp_path), capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""


@each_source
def test_the_notebook_was_executed_from_an_empty_kernel(source):
    code = [cell for cell in committed(source).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


@each_source
def test_the_outputs_hold_no_error_and_no_warning(source):
    kinds = [(output.output_type, output.get("name")) for output in outputs(committed(source))]
    assert kinds
    assert not [kind for kind in kinds if kind[0] == "error" or kind[1] == "stderr"]


@each_source
def test_the_notebook_names_no_path_of_a_machine_and_is_small(source):
    path = source.with_suffix(".ipynb")
    assert path.stat().st_size < MAX_BYTES
    notebook = committed(source)
    texts = [cell.source for cell in notebook.cells]
    texts += [output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs(notebook)]
    assert not [found.group() for text in texts if (found := MACHINE_PATH.search(text))]


@each_source
def test_every_picture_says_in_words_what_it_shows(source):
    pictures = [output.metadata for output in outputs(committed(source)) if "image/png" in output.get("data", {})]
    assert pictures
    for metadata in pictures:
        alt = metadata["image/png"]["alt"]
        assert len(alt) > 60 and alt.endswith(".")


@each_source
def test_every_exercise_has_a_hint(source):
    text = source.read_text(encoding="utf-8")
    exercises = re.findall(r"^# \*\*(\d)\.\*\* ", text.partition("## On your own")[2], flags=re.M)
    assert exercises == [str(i + 1) for i in range(len(exercises))] and len(exercises) >= 3
    assert text.count("<details><summary>Hint</summary>") == text.count("</details>") == len(exercises)
    for heading in ("**What you'll do.**", "**What you'll learn.**", "**What you need.**", "## In practice",
                    "## Further reading"):
        assert heading in text


@pytest.mark.slow
@each_source
def test_the_notebook_executes_in_a_kernel(source, tmp_path, monkeypatch):
    for name, value in short_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    notebook = build.from_source(source)
    build.execute(notebook)
    assert len(outputs(notebook)) == len(outputs(committed(source)))
