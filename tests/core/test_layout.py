"""The layout: the library stands alone, folders use its public names, every public name is said."""

import ast
import importlib
import inspect
import subprocess
from functools import cache
from pathlib import Path

import pytest

import tinydni as td

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tinydni"
LIBRARY = sorted(path.stem for path in PACKAGE.glob("*.py"))
FOLDERS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
DOORS = {"__init__": set(), "__main__": {"lab"}, "pytest_plugin": {"gradcheck"}}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if "assignments" not in path.parts]


def module_name(path):
    """The name under which a file is imported."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(nodes):
    """Yield (module of tinydni, name in it or None, name here) for each import among the nodes."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tinydni":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in MODULES:
                    yield whole, None, alias.asname or alias.name
                else:
                    yield node.module, alias.name, alias.asname or alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "tinydni":
                    yield alias.name, None, alias.asname or "tinydni"


def part(module):
    """What lies right under tinydni: a file of the library or a folder; "" for tinydni itself."""
    return module.split(".")[1] if "." in module else ""


# The library stands alone

@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_imports_nothing_from_its_folders(name):
    used = {part(module) for module, _, _ in imported(ast.walk(tree(PACKAGE / f"{name}.py")))}
    assert used & set(FOLDERS) <= DOORS.get(name, set())


def test_imports_run_one_way():
    """Those at the top of files; what a function imports when it is called may come later."""
    below = {name: {module for module, _, _ in imported(tree(path).body)} & MODULES.keys()
             for name, path in MODULES.items()}
    below["tinydni"] = set()        # a file may say `import tinydni as td`, and use it when called
    done = set()
    while below:
        ready = {name for name, needs in below.items() if needs - {name} <= done}
        assert ready, f"these import one another: {below}"
        done |= ready
        below = {name: needs for name, needs in below.items() if name not in ready}


# Folders use public names

def names_used(path):
    """Yield (module of the library, name) of all that a file takes from one, `td.X` included."""
    file, local = tree(path), {}
    for module, name, here in imported(ast.walk(file)):
        if part(module) in ("", *LIBRARY):
            if name is None:
                local[here] = module
            else:
                yield module, name
    for node in ast.walk(file):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = local.get(node.value.id)
            if module is not None:
                yield module, node.attr


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_use_public_names(folder):
    used = [(path.name, module, name) for path in FILES if folder in path.parts
            for module, name in names_used(path) if not name.startswith("__")]
    private = [(path, module, name) for path, module, name in used
               if name not in importlib.import_module(module).__all__]
    assert private == []


def test_a_private_name_is_found(tmp_path):
    """Otherwise the test above could not fail."""
    path = tmp_path / "file.py"
    path.write_text("""import tinydni as td
from tinydni import backend, gpu, layer
from tinydni.lstm import LSTM, column_blocks
td.DNI, td.hidden, backend.asarray, layer.as_array, gpu.fuse
""")
    private = [name for module, name in names_used(path)
               if name not in importlib.import_module(module).__all__]
    assert private == ["column_blocks", "hidden", "as_array"]


# What is public is said

def public():
    """Yield (where, class or function) of every public name of the library, where it is made."""
    for name in LIBRARY:
        module = importlib.import_module(f"tinydni.{name}")
        for public_name in getattr(module, "__all__", ()):
            thing = getattr(module, public_name)
            if callable(thing) and inspect.getmodule(thing) is module:
                yield f"{name}.{public_name}", thing


def methods(where, thing):
    """Yield (where, name, function) of a class's own public methods and its constructor."""
    for name, value in vars(thing).items():
        function = value.fget if isinstance(value, property) else value
        if inspect.isfunction(function) and (name == "__init__" or not name.startswith("_")):
            yield f"{where}.{name}", name, function


def unsaid(where, thing):
    """The names of a public thing without a docstring, inherited ones counted."""
    silent = [where] * (not inspect.getdoc(thing))
    if inspect.isclass(thing):
        silent += [place for place, name, _ in methods(where, thing)
                   if name not in ("__init__", "rule")      # the class says these, with its formula
                   and not inspect.getdoc(getattr(thing, name))]
    return silent


def bare(where, thing):
    """The parameters and results of a public thing without annotation."""
    functions = ([(place, function) for place, _, function in methods(where, thing)]
                 if inspect.isclass(thing) else [(where, thing)])
    for place, function in functions:
        signature = inspect.signature(inspect.unwrap(function))
        yield from (f"{place}({parameter.name})" for parameter in signature.parameters.values()
                    if parameter.annotation is parameter.empty and parameter.name != "self")
        if signature.return_annotation is signature.empty and not place.endswith("__init__"):
            yield f"{place} ->"


def test_every_public_name_is_annotated_and_documented():
    things = dict(public())
    assert len(things) > 80
    assert [line for where, thing in things.items() for line in unsaid(where, thing)] == []
    assert [line for where, thing in things.items() for line in bare(where, thing)] == []


def test_what_is_not_said_is_found():
    """Otherwise the test above could not fail."""
    class Silent:
        def said(self) -> None:
            """Say something."""

        def mute(self, x) -> None:
            pass

    assert unsaid("S", Silent) == ["S", "S.mute"]
    assert list(bare("S", Silent)) == ["S.mute(x)"]


def test_everything_public_is_there():
    assert [name for name in td.__all__ if not hasattr(td, name)] == []
    assert len(set(td.__all__)) == len(td.__all__) and set(td.__all__) <= set(dir(td))
    assert set(td.FOLDERS) == set(FOLDERS) <= set(td.__all__)
    with pytest.raises(AttributeError, match="module 'tinydni' has no attribute 'decouple'"):
        td.decouple     # noqa: B018


# How it is written

@pytest.mark.parametrize("folder", ["*.py", *(f"{folder}/**/*.py" for folder in FOLDERS)])
def test_no_line_of_the_package_is_longer_than_100_characters(folder):
    long = [f"{path.relative_to(ROOT)}:{number}" for path in sorted(PACKAGE.glob(folder))
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if len(line) > 100]
    assert long == []


OLD = ("tinydni.layers", "tinydni.losses.", "tinydni.dni.", "tinydni.synthesizers.",
       "tinydni.models.", "tinydni.schedules", "tinydni.parallel", "tinydni.experiments",
       "tinydni.benchmarks", "tinydni.checkpoint", "tinydni.files", "tinydni.kernels",
       "tinydni.capture", "tinydni.cublas", "tinydni.cli", "tinydni.jobs", "tinydni.tables",
       "tinydni.workers", "tinydni.cytometry", "tinydni/layers", "tinydni/dni/", "tinydni/losses/",
       "tinydni/models/", "tinydni/synthesizers/", "tinydni/parallel", "tinydni/experiments",
       "tinydni/jobs", "tinydni/workers", "tinydni/cytometry", "decouple(", "td.decouple",
       "set_factor", "top_only", "MLPSynthesizer", "top_optimizer", "network.summary",
       "from tinydni.schedules", "GradientSum", "measure_gradients=")


def test_no_old_path_is_left():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.splitlines()
             if name.endswith((".py", ".md", ".toml", ".ipynb", ".yml", ".sh"))
             and "CHANGELOG" not in name and Path(name).name != Path(__file__).name]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
             for path in files if path.exists()}
    assert "tests/conftest.py" in texts
    assert [(name, old) for name, text in texts.items() for old in OLD if old in text] == []
