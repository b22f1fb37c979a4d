"""The course: source and notebook agree, the source runs, its checks find what is wrong."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import nbformat
import numpy as np
import pytest

from tinydni.lab import course as writer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|tmp|work|Users|mnt|opt|usr|var)/|[A-Z]:\\\\|"
                          r"site-packages")
MAX_BYTES = 1_500_000


def loaded(name):
    """Return a module of the folder of the notebooks."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


spec = importlib.util.spec_from_file_location("build_notebooks", FOLDER / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
course, EXERCISES = loaded("course"), loaded("exercises").EXERCISES

SOURCES = build.sources()
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
each_exercise = pytest.mark.parametrize("name", EXERCISES)
SLIPS = [(name, message) for name, exercise in EXERCISES.items() for message in exercise.slips]


def committed(source):
    """Return the executed notebook beside its source."""
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def code_cells(source):
    cells = writer.cells_of(source.read_text(encoding="utf-8"))
    return [text for kind, text in cells if kind == "code"]


def short_environment(folder):
    """Few epochs, and an empty folder in place of downloaded data."""
    return {**os.environ, "TINYDNI_SHORT": "1", "TINYDNI_DATA": str(folder),
            "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::RuntimeWarning",
            "OPENBLAS_NUM_THREADS": "1"}


def run_cells(source, tmp_path, mode):
    command = [sys.executable, __file__, str(source), mode]
    return subprocess.run(command, cwd=tmp_path, env=short_environment(tmp_path),
                          capture_output=True, text=True)


def run_as_a_learner(source, mode):
    """Run all cells; those with an answer first without it. Mode "twice" runs every cell again."""
    sys.path.insert(0, str(FOLDER))
    space = {"__name__": "__main__"}
    for number, text in enumerate(code_cells(Path(source))):
        if writer.solutions(text):
            try:
                exec(compile(writer.without_solutions(text), f"cell {number}", "exec"), dict(space))
                raise SystemExit(f"cell {number} passes without an answer")
            except loaded("course").NotYet as error:
                if "not written yet" not in str(error):
                    raise SystemExit(f"cell {number}: {error}") from None
        for _ in range(1 + (mode == "twice")):
            exec(compile(text, f"cell {number}", "exec"), space)


def test_there_is_a_course_and_every_notebook_has_its_source():
    assert len(SOURCES) == 15
    assert [path.stem for path in SOURCES] == [p.stem for p in sorted(FOLDER.glob("*.ipynb"))]


def test_the_readme_names_every_notebook():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\((\d\d_\w+)\.ipynb\)", text) == [path.stem for path in SOURCES]


@each_source
def test_notebook_and_source_have_the_same_cells(source):
    def cells(notebook):
        return [(cell.cell_type, cell.source) for cell in notebook.cells]
    assert cells(committed(source)) == cells(build.from_source(source)), \
        "run: python notebooks/build.py"


@each_source
def test_the_source_runs_and_no_cell_passes_without_its_answer(source, tmp_path):
    run = run_cells(source, tmp_path, "once")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""


@pytest.mark.slow
@each_source
def test_every_cell_can_run_twice(source, tmp_path):
    run = run_cells(source, tmp_path, "twice")
    assert run.returncode == 0, run.stdout + run.stderr


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
def test_the_outputs_say_when_they_were_made_and_hold_no_progress_line(source):
    texts = [output.get("text", "") for output in outputs(committed(source))]
    assert re.match(r"tinydni [\d.]+, NumPy [\d.]+, run on \d\d \w+ \d{4}\n", texts[0])
    assert not [text for text in texts if "\r" in text]


@each_source
def test_the_notebook_names_no_path_of_a_machine_and_is_small(source):
    path = source.with_suffix(".ipynb")
    assert path.stat().st_size < MAX_BYTES
    notebook = committed(source)
    texts = [cell.source for cell in notebook.cells]
    texts += [output.get("text", "") + output.get("data", {}).get("text/plain", "")
              for output in outputs(notebook)]
    assert not [found.group() for text in texts if (found := MACHINE_PATH.search(text))]


@each_source
def test_every_picture_says_in_words_what_it_shows(source):
    for output in outputs(committed(source)):
        if "image/png" in output.get("data", {}):
            alt = output.metadata["image/png"]["alt"]
            assert len(alt) > 60 and alt.endswith(".")


def test_the_slider_needs_nothing_from_elsewhere_and_each_of_its_pictures_has_words():
    stored = [output.get("data", {}) for output in outputs(committed(SOURCES[2]))]
    [page] = [data["text/html"] for data in stored if "text/html" in data]
    assert len(page) < 400_000 and "<script" not in page and "://" not in page
    words = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert len(set(words)) == page.count("<img ") == 24
    assert all(len(text) > 60 and text.endswith(".") for text in words)


@each_source
def test_every_exercise_has_a_hint(source):
    text = source.read_text(encoding="utf-8")
    for heading in ("**What you'll do.**", "**What you'll learn.**", "**What you need.**",
                    "## On your own", "## In practice", "## Further reading"):
        assert heading in text
    own = text.partition("## On your own")[2]
    exercises = re.findall(r"^# \*\*(\d)\.\*\* ", own, flags=re.M)
    assert exercises == [str(i + 1) for i in range(len(exercises))] and len(exercises) >= 3
    assert own.count("<details><summary>Hint</summary>") == len(exercises)
    assert text.count("<details>") == text.count("</details>")


@each_source
def test_a_notebook_needs_few_imports_and_has_short_lines(source):
    lines = [line for cell in code_cells(source) for line in cell.split("\n")]
    assert [line for line in lines if line.startswith("import tinydni")] == ["import tinydni as td"]
    assert len([line for line in lines if line.startswith("from tinydni")]) <= 2
    assert not [line for line in lines if len(line) > 88]


@each_source
def test_every_now_you_cell_has_a_question_and_two_hints_before_it(source):
    cells = writer.cells_of(source.read_text(encoding="utf-8"))
    checks = 0
    for (_, question), (kind, text) in zip(cells, cells[1:]):
        found = kind == "code" and "course.check(" in text
        assert found == bool(kind == "code" and writer.solutions(text))
        if found:
            checks += 1
            assert "**Now you.**" in question
            assert "<summary>Hint</summary>" in question
            assert "<summary>A second hint</summary>" in question
    assert checks >= 3
    assert source.read_text(encoding="utf-8").count("**Now you.**") == checks


def test_the_notebooks_ask_for_every_exercise_in_order():
    asked = [name for source in SOURCES
             for name in re.findall(r'course\.check\("([\d.]+)"', source.read_text("utf-8"))]
    numbers = [tuple(map(int, name.split("."))) for name in asked]
    assert numbers == sorted(numbers) and sorted(asked) == sorted(EXERCISES)
    assert len(asked) >= 45


@pytest.mark.parametrize(("name", "message"), SLIPS, ids=lambda text: str(text)[:40])
def test_a_slip_is_named(name, message):
    exercise = EXERCISES[name]
    with np.errstate(all="ignore"):
        given = exercise.given(np.random.default_rng(0))
        answer = exercise.slips[message](**given)
        assert exercise.problem(answer, given) == message


@each_exercise
def test_at_least_three_slips_are_known(name):
    assert len(EXERCISES[name].slips) >= 3


@each_exercise
def test_a_right_answer_may_be_written_differently(name):
    exercise = EXERCISES[name]
    assert exercise.problem(exercise.otherwise, {}) == ""


@each_exercise
def test_three_dots_are_no_answer(name):
    assert "not written" in EXERCISES[name].problem(..., {})


@pytest.mark.parametrize(("value", "words"), [
    (None, "None"), ("text", "numbers"), (np.ones((3, 2)), "transposed"), (np.ones(3), "shape"),
    (-np.arange(6.0).reshape(2, 3), "sign"), (3 * np.arange(6.0).reshape(2, 3), "3 times"),
    (np.full((2, 3), np.nan), "NaN"), (np.arange(6.0).reshape(2, 3) + np.eye(2, 3), "[0, 0]")])
def test_the_difference_of_another_wrong_answer_is_described(value, words):
    assert words in course.difference(value, np.arange(6.0).reshape(2, 3))


def test_a_wrong_answer_stops_the_notebook_with_a_sentence():
    with pytest.raises(course.NotYet, match=r"1\.1: the factor 1/2 is missing"):
        course.check("1.1", lambda y, t: np.sum((y - t)**2) / len(y))


def test_an_answer_that_fails_says_how():
    with pytest.raises(course.NotYet, match="it stops with NameError: name 'nothing'"):
        course.check("1.1", lambda y, t: nothing)  # noqa: F821


def test_a_rule_that_is_right_in_one_case_only_is_no_answer():
    with pytest.raises(course.NotYet, match="one too many if T divides the length"):
        course.check("14.3", lambda length, T: length // T)


def test_a_rule_that_is_wrong_in_one_case_is_told_which():
    with pytest.raises(course.NotYet, match=r"for \(31, 9, 2, 4\): it is 17; 16 is right"):
        course.check("8.4", lambda size, k, s, padding: 16 + size % 2)


# What a learner gets from `tinydni course`.

def test_the_course_is_written_without_answers_and_never_over_a_learners_work(tmp_path, capsys):
    folder = tmp_path / "my course"
    assert writer.main(Namespace(folder=folder)) == 0
    first = folder / "01_train_by_hand.ipynb"
    first.write_text("mine")
    assert writer.main(Namespace(folder=folder)) == 0
    assert first.read_text() == "mine"
    assert "0 files written" in capsys.readouterr().out
    assert sorted(path.stem for path in folder.glob("*.ipynb")) == [p.stem for p in SOURCES]
    index = (folder / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"\((\d\d_\w+)\.ipynb\)", index) == [path.stem for path in SOURCES]


@each_source
def test_the_learners_notebook_shows_the_answer_folded_only(source):
    notebook = json.loads(writer.course()[f"{source.stem}.ipynb"])
    nbformat.validate(nbformat.from_dict(notebook))
    cells = [("".join(cell["source"]), cell["cell_type"]) for cell in notebook["cells"]]
    code = "\n".join(text for text, kind in cells if kind == "code")
    assert "SOLUTION" not in code and "# your" in code
    folded = [text for text, _ in cells if text.startswith("<details><summary>The code")]
    assert len(folded) == code.count("course.check(")


@pytest.mark.parametrize(("answer", "expected"), [
    ("dW = x.T @ dz\n", "dW = ...  # your line"),
    ("a = 1\nb = 2\n", "a = ...  # your line\nb = ...  # your line"),
    ("    y = 1\n    return y\n", "return ...  # your 2 lines"),
    ("    for x in y:\n        z += x\n",
     "raise NotImplementedError  # your line in the place of this")])
def test_what_stands_in_the_place_of_an_answer(answer, expected):
    assert writer.stub(answer) == expected
    ast.parse(f"def f():\n    {expected.splitlines()[0]}")


def test_the_film_is_small_and_made_from_recorded_runs():
    film = loaded("make_film")
    assert (FOLDER / "one_step.gif").stat().st_size < MAX_BYTES
    import tinydni as td
    learned = {}
    for algorithm in (td.backprop, td.update_decoupled):
        acts = film.schedule(film.record(film.network(algorithm)))
        learned[algorithm] = [tick for tick, k, act, _ in acts
                              if k == 0 and act in ("backward", "forward_and_synthetic_update")]
    assert learned[td.backprop][:3] == [5, 11, 17]          # 3 blocks up, 3 blocks down
    assert learned[td.update_decoupled][:3] == [0, 1, 2]    # nobody waits


@pytest.mark.slow
@each_source
def test_the_notebook_executes_in_a_kernel(source, tmp_path, monkeypatch):
    for name, value in short_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    notebook = build.from_source(source)
    build.execute(notebook)
    assert len(outputs(notebook)) == len(outputs(committed(source)))


if __name__ == "__main__":
    run_as_a_learner(*sys.argv[1:])
