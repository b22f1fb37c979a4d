"""Writes cupy_names.txt, the names that CuPy offers, for tests where CuPy is not installed.

    pip install cupy-cuda13x && python tests/make_cupy_names.py        (it imports without a GPU)

The first line of the list names the version of CuPy. Every other line is a name, such as
`linalg.norm`; a function is followed by the names of its parameters, or by (...) where it does not
tell them.
"""

import inspect
import types
from pathlib import Path

LIST = Path(__file__).with_name("cupy_names.txt")
NAMESPACES = ("", "cuda", "cuda.Graph", "cuda.MemoryPool", "cuda.Stream", "fft",
              "lib.stride_tricks", "linalg", "ndarray", "random")


def read(text=None):
    """The list as (version, {name: parameters}): a tuple of names, or None where any will do."""
    first, *lines = (LIST.read_text(encoding="utf-8") if text is None else text).splitlines()
    names = {}
    for line in lines:
        name, bracket, parameters = line.rstrip(")").partition("(")
        names[name] = tuple(parameters.split(", ")) if bracket and parameters not in (
            "", "...") else None
    return first.removeprefix("CuPy "), names


def write(cupy):
    """The text of the list for a CuPy module."""
    lines = []
    for namespace in NAMESPACES:
        owner = cupy
        for part in filter(None, namespace.split(".")):
            owner = getattr(owner, part)
        for name in dir(owner):
            if not name.startswith("_") and is_public(getattr(owner, name, None)):
                lines.append(f"{namespace}.{name}".lstrip(".")
                             + parameters(getattr(owner, name, None)))
    return "\n".join([f"CuPy {cupy.__version__}", *sorted(lines)]) + "\n"


def is_public(thing):
    """False for what only happens to lie there: other people's modules, `annotations`."""
    if isinstance(thing, types.ModuleType):
        return thing.__name__.startswith("cupy")
    return type(thing).__module__ != "__future__"


def parameters(function):
    """"(a, axis, out)", from a function's signature or the first line of its docstring."""
    if not callable(function) or isinstance(function, type):
        return ""
    try:
        found = inspect.signature(function).parameters.values()
        names = [p.name for p in found]
        open_ended = any(p.kind is p.VAR_KEYWORD for p in found)
    except (ValueError, TypeError):
        names, open_ended = [], True
    if open_ended:
        names = parameters_in((function.__doc__ or "").strip().partition("\n")[0])
    return f"({', '.join(names) or '...'})"


def parameters_in(line):
    """The names in a line such as "add(x1, x2, /, out=None, *, dtype=None)"; none if open."""
    inside = line.partition("(")[2].partition(") ->")[0].replace("[", "").replace("]", "").replace(
        "\\", "")
    if "**" in inside:
        return []
    words = [part.partition("=")[0].split()[-1:] for part in inside.rstrip(") ").split(",")]
    return [word[0].lstrip("*") for word in words if word and word[0].lstrip("*").isidentifier()]


if __name__ == "__main__":
    import cupy
    LIST.write_text(write(cupy), encoding="utf-8")
    print(f"{LIST}: {len(read()[1])} names of CuPy {cupy.__version__}")
