"""Installing: what travels, what an editable install writes, what the first command needs."""

import configparser
import importlib
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("hatchling", reason='not installed: pip install -e ".[test]"')

ROOT = Path(__file__).parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "tinydni", "data", "docs", "notebooks", "tests")
IGNORED = shutil.ignore_patterns("__pycache__", ".*_cache", ".ipynb_checkpoints", "*.pyc")
LIBRARIES = str(Path(np.__file__).parents[1])       # where NumPy is, without its .pth files


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the sources in a folder called tinydni, as after `git clone`."""
    folder = tmp_path_factory.mktemp("work") / "tinydni"
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=IGNORED)
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


def run(*command, **options):
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(sources, kind, into):
    """The path of the "wheel", "editable" wheel or "sdist" that the build backend makes."""
    code = f"import sys; from hatchling import build; print(build.build_{kind}(sys.argv[1]))"
    return into / run(sys.executable, "-c", code, into, cwd=sources).splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(clone, tmp_path_factory):
    return built(clone, "wheel", tmp_path_factory.mktemp("wheel"))


def files(folder, *patterns):
    return {path.relative_to(folder).as_posix() for pattern in patterns
            for path in folder.glob(pattern) if path.is_file()}


# What travels -------------------------------------------------------------------------------------

def test_the_wheel_holds_the_package_and_what_it_reads(clone, wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {name for name in files(clone, "tinydni/**/*") if "__pycache__" not in name}
    course = {f"tinydni/lab/{name}" for name in files(clone, "notebooks/*.py", "notebooks/*.gif")}
    tools = {"tinydni/lab/notebooks/build.py", "tinydni/lab/notebooks/make_film.py"}
    assert names == wanted | {"tinydni/datasets/digits.csv.gz"} | course - tools
    assert {"tinydni/classroom/README.md", "tinydni/classroom/assignments/A1/checks.py"} <= names


def test_the_source_archive_holds_everything_and_makes_the_same_wheel(clone, wheel, tmp_path):
    archive = built(clone, "sdist", tmp_path)
    with tarfile.open(archive) as file:
        if hasattr(tarfile, "data_filter"):
            file.extraction_filter = tarfile.data_filter
        file.extractall(tmp_path)
    sources = tmp_path / archive.name.removesuffix(".tar.gz")
    assert files(sources, "tests/**/*.py", "data/*", "notebooks/*") == files(
        clone, "tests/**/*.py", "data/*", "notebooks/*")
    again = built(sources, "wheel", tmp_path)
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()


def test_the_digits_are_read_from_the_wheel(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "import tinydni as td; print(td.__file__, td.datasets.digits().x.shape)"
    said = run(sys.executable, "-S", "-c", path_first(tmp_path) + code, cwd="/")
    assert said.strip() == f"{tmp_path / 'tinydni' / '__init__.py'} (1437, 64)"


def test_the_course_is_written_from_the_wheel(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = ("import sys; from tinydni.lab.course import main; from argparse import Namespace; "
            "from pathlib import Path; main(Namespace(folder=Path('X')))")
    run(sys.executable, "-S", "-c", path_first(tmp_path / "site") + code, cwd=tmp_path)
    assert (tmp_path / "X" / "01_train_by_hand.ipynb").exists()


def test_every_entry_point_leads_somewhere(wheel):
    archive, parser = zipfile.ZipFile(wheel), configparser.ConfigParser()
    name = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
    parser.read_string(archive.read(name).decode())
    assert set(parser.sections()) == {"console_scripts", "pytest11"}
    for section in parser.sections():
        module, _, function = parser[section]["tinydni"].partition(":")
        thing = importlib.import_module(module)
        assert not function or callable(getattr(thing, function))


# The editable install -----------------------------------------------------------------------------

def path_first(*folders):
    """Code that makes Python look into folders, by their .pth files as well, then for NumPy."""
    added = "".join(f"site.addsitedir({str(folder)!r}); " for folder in folders)
    return f"import site, sys; {added}sys.path.append({LIBRARIES!r}); "


def test_an_editable_install_is_one_path(clone, tmp_path):
    archive = zipfile.ZipFile(built(clone, "editable", tmp_path))
    [name] = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert name.endswith(".pth") and archive.read(name).decode().strip() == str(clone)


@pytest.mark.parametrize("folder", ["clone", "parent"])
def test_the_folder_of_the_clone_does_not_hide_the_package(clone, tmp_path, folder):
    """Beside the clone, "tinydni" is also the name of a folder without an __init__.py."""
    zipfile.ZipFile(built(clone, "editable", tmp_path)).extractall(tmp_path / "site")
    code = "import tinydni as td; print(td.__file__, td.datasets.digits().x.shape)"
    said = run(sys.executable, "-S", "-c", path_first(tmp_path / "site") + code,
               cwd=clone if folder == "clone" else clone.parent)
    path, shape = said.split(maxsplit=1)
    assert Path(path).resolve() == (clone / "tinydni" / "__init__.py").resolve()
    assert shape.strip() == "(1437, 64)"


@pytest.mark.slow
def test_pip_installs_it_so(clone, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    [site] = {path.parent for path in (tmp_path / "venv").rglob("pip") if path.is_dir()
              and path.parent.name == "site-packages"}
    (site / "libraries.pth").write_text(LIBRARIES)      # NumPy, and the build backend
    run(python, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "-e", clone)
    code = "import tinydni as td; print(td.__file__); print(td.datasets.addition(bits=4))"
    said = run(python, "-c", code, cwd=clone.parent)
    assert said.splitlines()[0] == str(clone / "tinydni" / "__init__.py")
    assert "name='addition'" in said


# The first command --------------------------------------------------------------------------------

ONLY_WHAT_IS_DECLARED = """
import sys
from importlib import metadata
from packaging.requirements import Requirement

def key(name):
    return name.lower().replace("_", "-").replace(".", "-")

needed, new = set(), {"tinydni"}
while new:
    name = new.pop()
    needed.add(name)
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            new |= {key(requirement.name)} - needed
for owner in metadata.distributions():
    if key(owner.metadata["Name"]) not in needed:
        for root in {file.parts[0].removesuffix(".py") for file in owner.files or ()}:
            if root.isidentifier() and root not in sys.modules:
                sys.modules[root] = None        # to import it is an error
assert sys.modules["sklearn"] is sys.modules["pytest"] is None and "scipy" not in needed
from tinydni.lab.cli import main
sys.exit(main(["train", "digits", "--epochs", "2"]))
"""


def test_the_first_command_needs_only_what_the_project_declares(tmp_path):
    pytest.importorskip("sklearn")
    said = run(sys.executable, "-c", ONLY_WHAT_IS_DECLARED, cwd=tmp_path)
    assert "test error" in said and "Wrote digits-cdni.png." in said
    assert (tmp_path / "digits-cdni.png").stat().st_size > 1000
