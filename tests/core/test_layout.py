"""The layout: the library stands alone, folders use its public names, and every public name is said."""

import ast
import importlib
import inspect
import subprocess
from pathlib import Path

import pytest

import tinydni as td

ROOT = Path(__file__).parents[2]
CORE = ROOT / "tinydni"
FOLDERS = {path.name for path in CORE.iterdir() if (path / "__init__.py").exists()}
MODULES = sorted(path.stem for path in CORE.glob("*.py"))
APART = {"__init__", "__main__", "pytest_plugin"}       # they open the door to folders, when asked


def imports(path):
    """[(module, names)] of every import of tinydni in a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[
            0] == "tinydni":
            found.append((node.module, [alias.name for alias in node.names]))
        elif isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names
                      if alias.name.split(".")[0] == "tinydni"]
    return found


def used(path):
    """The modules of the library, or folders, that a file of the library imports."""
    return {part for module, names in imports(path)
            for part in ([module.split(".")[1]] if "." in module else names)}


@pytest.mark.parametrize("name", [name for name in MODULES if name not in APART])
def test_the_library_imports_nothing_from_its_folders(name):
    assert not used(CORE / f"{name}.py") & FOLDERS


def test_its_imports_run_one_way():
    below = {name: used(CORE / f"{name}.py") & set(MODULES) for name in MODULES
             if name not in APART}
    done = set()
    while below:
        ready = {name for name, needs in below.items() if needs <= done}
        assert ready, f"these import one another: {below}"
        done |= ready
        below = {name: needs for name, needs in below.items() if name not in ready}


def core_names_used_by(folder):
    """(file, module, name) of every name that a folder imports from a module of the library."""
    return [(path.relative_to(ROOT).as_posix(), module, name)
            for path in sorted((CORE / folder).rglob("*.py")) for module, names in imports(path)
            if module.count(".") == 1 and module.split(".")[1] in MODULES for name in names]


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_folders_use_public_names(folder):
    private = [(path, module, name) for path, module, name in core_names_used_by(folder)
               if name not in importlib.import_module(module).__all__]
    assert private == []


def public():
    """(where, object) of every public class and function of the library."""
    for name in MODULES:
        module = importlib.import_module(f"tinydni.{name}")
        for public_name in getattr(module, "__all__", ()):
            thing = getattr(module, public_name)
            if inspect.getmodule(thing) is module:
                yield f"{name}.{public_name}", thing


def functions(where, thing):
    """The functions of a public name: itself, or its public methods and its constructor."""
    if inspect.isfunction(thing):
        return [(where, thing)]
    return [(f"{where}.{name}", value) for name, value in vars(thing).items()
            if inspect.isfunction(value) and (name == "__init__" or not name.startswith("_"))
            and name != "rule"]             # of an optimizer: its class says the formula


def test_every_public_name_is_annotated_and_documented():
    silent, bare = [], []
    for where, thing in public():
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        silent += [where] * (not inspect.getdoc(thing))
        for name, function in functions(where, thing):
            owner = thing if inspect.isclass(thing) else None
            said = inspect.getdoc(getattr(owner, name.split(".")[-1]) if owner else function)
            silent += [name] * (not said and not name.endswith("__init__"))
            parameters = list(inspect.signature(function).parameters.values())
            parameters = parameters[1:] if owner else parameters
            bare += [f"{name}({parameter.name})" for parameter in parameters
                     if parameter.annotation is parameter.empty]
    assert silent == [] and bare == []


def test_all_is_there():
    for name in td.__all__:
        assert getattr(td, name) is not None, name
    for name in ("Training", "gradcheck", "plots", "Softmax", "DNI", "build", "variants"):
        assert name in td.__all__ and name in dir(td)


OLD = ("tinydni.layers", "tinydni.losses.", "tinydni.dni.", "tinydni.synthesizers.",
       "tinydni.models.",
       "tinydni.schedules", "tinydni.parallel", "tinydni.experiments", "tinydni.benchmarks",
       "tinydni.checkpoint", "tinydni.kernels", "tinydni.capture", "tinydni.cli", "tinydni/layers",
       "tinydni/dni/", "tinydni/synthesizers/", "tinydni/parallel", "tinydni/experiments",
       "decouple(", "td.decouple", "set_factor", "top_only", "full_unlock.py`")


def test_no_old_path_is_left():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\n")
             if name.endswith((".py", ".md", ".toml", ".ipynb", ".yml"))
             and "CHANGELOG" not in name]
    found = [(path.relative_to(ROOT).as_posix(), old) for path in files
             if path.exists() and path != Path(__file__)
             for text in [path.read_text(encoding="utf-8")] for old in OLD if old in text]
    assert found == []
