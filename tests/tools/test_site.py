"""The site: what its pages say is true of the code, and it is built without a warning."""

import doctest
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import tinydni as td

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PARTS = ("", "variants", "gradcheck", "plots", "datasets", "gpu")
DOWNLOADED = {"datasets.cifar10", "datasets.mnist", "datasets.cytometry", "datasets.Cells",
              "datasets.tinyshakespeare"}
NEED_MORE = {"gpu.CapturedStep", "variants.kernel_width"}       # a GPU; scikit-learn

sys.path.insert(0, str(DOCS / "_ext"))
import docstrings  # noqa: E402
import examples  # noqa: E402
import formulas  # noqa: E402
import sources  # noqa: E402


def public():
    """Yield (name on the site, thing) for everything that has a page."""
    for part in PARTS:
        module = getattr(td, part) if part else td
        for name in module.__all__:
            if not part and name in td.FOLDERS:
                continue
            yield f"{part}.{name}".lstrip("."), getattr(module, name)


NAMES = dict(public())


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


# Formulas and sources -----------------------------------------------------------------------------

def test_formulas_become_mathematics():
    found = formulas.from_plain("h_t = tanh(x_t Wx + h_{t-1} Wh + b)")
    assert ET.fromstring(found).tag == "math"
    assert found.count("<msub>") == 3 and "<mtext>tanh</mtext>" in found


@pytest.mark.parametrize("plain, piece", [
    ("dx = dy Wᵀ", "<msup><mi>W</mi><mn>T</mn></msup>"),
    ("delta_hat = u", '<mover accent="true"><mi>δ</mi>'),
    ("running_mean = 0", "<mtext>running_mean</mtext>"),
    ("scale = gamma ^ n", "<msup>"),
    ("a < b", "&lt;"),
])
def test_the_parts_of_a_formula(plain, piece):
    assert piece in formulas.from_plain(plain)


@pytest.mark.parametrize("name", NAMES)
def test_every_docstring_becomes_well_formed_formulas(name):
    lines = (NAMES[name].__doc__ or "").expandtabs().splitlines()
    lines = [line.strip() for line in lines]
    docstrings.rewrite(None, "", name, None, None, lines)
    for text in re.findall(r":formula:`([^`]*)`", "\n".join(lines)):
        ET.fromstring(formulas.from_plain(text))


def test_a_formula_keeps_its_line_and_prose_is_joined():
    lines = ["Affine map: y = x W + b.", "", "dW = xᵀ dy,   dx = dy Wᵀ.", "x (N, D), W (D, M).",
             "Nothing is written", "into x."]
    docstrings.rewrite(None, "", "", None, None, lines)
    assert lines[:1] == ["| Affine map:  :formula:`y = x W + b.`"]
    assert lines[2:5] == ["| :formula:`dW = xᵀ dy,`   :formula:`dx = dy Wᵀ.`",
                          "| :formula:`x (N, D), W (D, M).`", "| Nothing is written into x."]


def test_the_words_of_a_parameter_become_its_description():
    lines = ["Does it.", "", "Parameters", "----------", "n_in, n_out : D and M"]
    docstrings.rewrite(None, "", "", None, None, lines)
    assert lines[-2:] == ["n_in, n_out", "    D and M"]


def test_every_source_has_its_place_on_the_page():
    labels = set(re.findall(r"^\(([\w-]+)\)=$", page("sources.md"), re.MULTILINE))
    assert labels == set(sources.SOURCES.values())


@pytest.mark.parametrize("path", sorted((ROOT / "tinydni").glob("*.py")), ids=lambda p: p.name)
def test_every_paper_that_the_core_names_is_known(path):
    text = re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))
    named = re.findall(r"[A-ZŁØ][\wø]+(?: et al\.| & [A-Z]\w+)? (?:19|20)\d\d(?=[,;:)])", text)
    assert [name for name in named if name not in sources.SOURCES] == []


# Examples -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_has_an_example(name):
    thing = NAMES[name]
    if isinstance(thing, type(td)):
        pytest.skip("a module, whose functions have their own")
    in_docstring = ">>> " in (thing.__doc__ or "")
    assert in_docstring or name in examples.EXAMPLES or name in DOWNLOADED | NEED_MORE


@pytest.mark.parametrize("name", sorted(examples.EXAMPLES))
def test_examples_print_what_they_say(name):
    assert name in NAMES
    text = examples.START + examples.EXAMPLES[name]
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    said = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)


# Messages, commands, releases ---------------------------------------------------------------------

def fragments():
    """Return what the first column of the page of messages quotes."""
    return re.findall(r"^\| `([^`]+)` \|", page("messages.md"), re.MULTILINE)


def source_of_gradcheck():
    """Return the checker's source with its wrapped strings joined."""
    text = "".join(path.read_text(encoding="utf-8")
                   for path in sorted((ROOT / "tinydni" / "gradcheck").glob("*.py")))
    return re.sub(r"[\"']\s*\n\s*f?[\"']", "", text)


@pytest.mark.parametrize("fragment", fragments())
def test_the_page_of_messages_quotes_what_the_checker_says(fragment):
    words = re.sub(r"is 'large'|'small'", "", source_of_gradcheck())
    parts = fragment.replace(" large ", "\n").replace(" small ", "\n").split("\n")
    assert all(part in words for part in parts)


def test_the_page_of_messages_explains_what_wrong_classes_are_told(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "tools" / "examples"))
    wrong = importlib.import_module("wrong_layers").WRONG
    unexplained = []
    for name, thing, inputs, _ in wrong[::4]:
        try:
            told = str(td.gradcheck.check(thing, *inputs))
        except (td.gradcheck.ContractError, TypeError) as error:
            told = str(error)
        if not any(fragment in told for fragment in fragments()):
            unexplained.append((name, told))
    assert unexplained == []


def test_the_changelog_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## ([\d.]+)", text, re.MULTILINE)[1] == td.__version__


def test_the_citation_names_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: \"?([\d.]+)", text, re.MULTILINE)[1] == td.__version__


# In a browser -------------------------------------------------------------------------------------

AS_IN_BROWSER = ROOT / "tests" / "tools" / "as_in_browser.py"
IMPORTS = """
import importlib, pathlib, tinydni
root = pathlib.Path(tinydni.__file__).parent
for path in sorted(root.rglob("*.py")):
    if "assignments" in path.parts or path.name == "__main__.py":
        continue                                    # stubs, and what runs on import
    if path.parent.name == "benchmarks" and path.name.startswith(("torch", "jax")):
        continue                                    # the peers, which are not ours to have
    name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
    importlib.import_module(name.removesuffix(".__init__"))
"""


def in_browser(script, *arguments, **options):
    return subprocess.run([sys.executable, AS_IN_BROWSER, script, *arguments], text=True,
                          capture_output=True, **options)


def test_every_module_imports_without_threads_processes_and_connections(tmp_path):
    script = tmp_path / "imports.py"
    script.write_text(IMPORTS)
    done = in_browser(script, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr


def test_what_a_browser_lacks_is_really_taken_away(tmp_path):
    script = tmp_path / "lacks.py"
    script.write_text("import threading\ntry:\n    threading.Thread(target=print).start()\n"
                      "except RuntimeError as error:\n    print(error)\n"
                      "try:\n    import _multiprocessing\n"
                      "except ImportError as error:\n    print(error)\n")
    assert in_browser(script).stdout.splitlines() == ["can't start new thread",
                                                      "No module named '_multiprocessing'"]


@pytest.mark.slow
@pytest.mark.parametrize("source", sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py")),
                         ids=lambda path: path.stem)
def test_notebooks_run_without_threads_processes_and_connections(source, tmp_path):
    environment = {**os.environ, "TINYDNI_SHORT": "1", "PYTHONPATH": str(ROOT),
                   "TINYDNI_DATA": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}
    done = in_browser(source, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


# The built site -----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, without the part for the browser."""
    for needed in ("sphinx", "myst_nb", "pydata_sphinx_theme", "sphinx_design", "latex2mathml"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip('not installed: pip install -e ".[docs]"')
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", "-t", "nolite", "-b", "html",
                           "-d", folder / "trees", DOCS, folder / "html"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def pages(site):
    return {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8")
            for path in site.rglob("*.html") if "_static" not in path.parts}


@pytest.mark.slow
def test_every_public_name_has_a_page(site):
    assert [name for name in NAMES if not (site / "api" / "names" / f"{name}.html").exists()] == []


@pytest.mark.slow
def test_nothing_is_fetched_to_read_a_page(site):
    for name, text in pages(site).items():
        fetched = re.findall(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//[^"]+"', text)
        fetched += re.findall(r'<link[^>]* rel="(?:stylesheet|preload)"[^>]* href="(?:https?:)?//',
                              text)
        assert fetched == [], name


@pytest.mark.slow
def test_every_picture_has_words(site):
    for name, text in pages(site).items():
        for picture in re.findall(r"<img [^>]*>", text):
            words = re.search(r'alt="([^"]*)"', picture)
            assert words and len(words[1]) > 20, f"{name}: {picture}"


@pytest.mark.slow
def test_links_within_the_site_lead_somewhere(site):
    broken = []
    for path in site.rglob("*.html"):
        if "_static" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        for link in re.findall(r'<a [^>]*href="([^"]+)"', text):
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:|//", link) or target.startswith("lite/"):
                continue
            found = path if not target else (path.parent / target.partition("?")[0]).resolve()
            if not found.exists() or anchor and found.suffix == ".html" and (
                    f'id="{anchor}"' not in found.read_text(encoding="utf-8")):
                broken.append((path.name, link))
    assert broken == []
