"""Every name that the library asks of an array module exists in CuPy: read off the source, so no
GPU is needed."""

import ast
from pathlib import Path

import make_cupy_names
import pytest

import tinydni

PACKAGE = Path(tinydni.__file__).parent


def wrong_names(source, path, names):
    """Lines "path:line: ..." for each `xp.name`, `self.xp.name`, `getattr(xp, "name")` or keyword
    that CuPy lacks.

    names: {dotted name: parameters, or None where any are allowed}
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            name = asked(node)
            if name and not exists(name, names):
                found.append((node.lineno, f"CuPy has no {name!r}"))
        elif isinstance(node, ast.Call):
            name = asked(node.func) if isinstance(node.func, ast.Attribute) else None
            for keyword in node.keywords if name and names.get(name) else ():
                if keyword.arg is not None and keyword.arg not in names[name]:
                    found.append((node.lineno, f"{name}() of CuPy has no keyword {keyword.arg!r}"))
            if is_getattr_of_xp(node) and not exists(node.args[1].value, names):
                found.append((node.lineno, f"CuPy has no {node.args[1].value!r}"))
    return [f"{path}:{line}: {what}" for line, what in sorted(found)]


def asked(node):
    """What an attribute chain asks of xp: "linalg.norm" for `layer.xp.linalg.norm`; "" if it does
    not pass an xp."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.insert(0, node.id)
    return ".".join(parts[parts.index("xp") + 1:]) if "xp" in parts else ""


def exists(name, names):
    """Whether CuPy has it. Only namespaces are looked into: what a function or a number has is not
    our question."""
    namespace, _, last = name.rpartition(".")
    if last.startswith("__") or namespace not in make_cupy_names.NAMESPACES:
        return True
    return name in names or name in make_cupy_names.NAMESPACES


def is_getattr_of_xp(node):
    return (isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr")
            and len(node.args) > 1
            and ast.unparse(node.args[0]).split(".")[-1] == "xp"
            and isinstance(node.args[1], ast.Constant))


def in_the_library(names):
    return [line for path in sorted(PACKAGE.rglob("*.py"))
            for line in wrong_names(path.read_text(encoding="utf-8"),
                                    path.relative_to(PACKAGE.parent), names)]


def test_every_name_exists_in_cupy():
    found = in_the_library(make_cupy_names.read()[1])
    assert not found, "\n" + "\n".join(found)


def test_the_scan_sees_the_library():
    """The list without `exp` must be found wanting: otherwise the test above could not fail."""
    names = dict(make_cupy_names.read()[1])
    del names["exp"]
    found = in_the_library(names)
    assert any("losses.py" in line and "CuPy has no 'exp'" in line for line in found), found


@pytest.mark.parametrize("line, wrong", [
    ("y = xp.vecdot(x, x)", "CuPy has no 'vecdot'"),
    ("y = self.xp.vecdot(x, x)", "CuPy has no 'vecdot'"),
    ("y = self.network.modules[0].block.xp.vecdot(x, x)", "CuPy has no 'vecdot'"),
    ("with xp.errstate(divide='ignore'): pass", "CuPy has no 'errstate'"),
    ("f = xp.linalg.multi_dot", "CuPy has no 'linalg.multi_dot'"),
    ("y = xp.ndarray.setflags(x)", "CuPy has no 'ndarray.setflags'"),
    ("y = xp.einsum('ij,ij->j', x, x, out=z)", "einsum() of CuPy has no keyword 'out'"),
    ("y = xp.sum(x, where=mask)", "sum() of CuPy has no keyword 'where'"),
    ("f = getattr(self.xp, 'vecdot', None)", "CuPy has no 'vecdot'"),
])
def test_a_wrong_name_is_found(line, wrong):
    assert wrong_names("\n\n" + line, "file.py",
                       make_cupy_names.read()[1]) == [f"file.py:3: {wrong}"]


@pytest.mark.parametrize("line", [
    "y = xp.exp(x)", "y = self.xp.add(x, x, out=x)", "y = xp.linalg.norm(x)",
    "y = xp.float32(1).dtype",
    "s = xp.__name__", "xp.add.at(x, i, 1)", "y = np.vecdot(x, x)",
    "y = xp.einsum('ij,ij->j', x, x)", "self.xp = xp",
    "v = layer.xp.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))",
    "y = xp.zeros((2, 3), **options)", "y = xp.asarray(x, dtype=x.dtype)",
])
def test_a_right_name_is_not(line):
    assert wrong_names(line, "file.py", make_cupy_names.read()[1]) == []


def test_the_list_is_that_of_the_installed_cupy():
    cupy = pytest.importorskip(
        "cupy", reason="CuPy is not installed, so the list cannot be compared with it")
    version, names = make_cupy_names.read()
    installed_version, installed = make_cupy_names.read(make_cupy_names.write(cupy))
    found = in_the_library(installed)
    assert not found, f"CuPy {installed_version} lacks what the library uses:\n" + "\n".join(found)
    if installed_version == version:
        assert installed == names, "run python tests/make_cupy_names.py"
