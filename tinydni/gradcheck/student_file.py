"""Loading a class from a student's file, and saying in one sentence what went wrong in it."""

import importlib.util
import inspect
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tinydni.gradcheck.contract import ContractError

NOT_THEIRS = (str(Path(__file__).parent), str(Path(np.__file__).parent))


class UsageError(ValueError):
    """The check could not be made: a wrong argument, or an error in the student's own code."""


@contextmanager
def own_errors_named(path, doing):
    """Turn an error of the student's file, or of one that it imports, into a UsageError.

    It names file and line. While it is open, the file may import its neighbours.
    """
    sys.path.insert(0, str(path.parent))
    try:
        yield
    except SyntaxError as error:
        raise UsageError(f"{doing} failed: {error.msg} ({error.filename}, line "
                         f"{error.lineno}).") from error
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__)
                  if Path(frame.filename).is_file()
                  and not frame.filename.startswith(NOT_THEIRS)]
        if not frames or isinstance(error, ContractError):
            raise
        first, last = frames[0], frames[-1]
        where = doing if first.name in ("<module>", "__init__") else first.name
        raise UsageError(f"{where} failed: {type(error).__name__}: {error}\n"
                         f"  {Path(last.filename).name}, line {last.lineno}: {last.line}"
                         ) from error
    finally:
        sys.path.remove(str(path.parent))


def load(target):
    """Load the class named by "FILE.py:ClassName". Return (path, class)."""
    file, colon, name = target.rpartition(":")
    if not colon or not file or not name:
        raise UsageError(f"say what to check as FILE.py:ClassName; got {target!r}.")
    path = Path(file).resolve()
    if not path.is_file():
        raise UsageError(f"there is no file {file}.")
    module = run_file(path)
    if not callable(getattr(module, name, None)):
        classes = [key for key, value in vars(module).items()
                   if inspect.isclass(value) and value.__module__ == module.__name__]
        raise UsageError(f"{path.name} has no class {name}; it has "
                         f"{', '.join(classes) or 'no class at all'}.")
    return path, getattr(module, name)


def run_file(path):
    """Import a file under a name of its own, so that a numpy.py beside it takes nobody's place."""
    spec = importlib.util.spec_from_file_location(f"checked_{path.stem}", path)
    if spec is None:
        raise UsageError(f"{path.name} is no Python file (its name must end in .py).")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    with own_errors_named(path, f"importing {path.name}"):
        spec.loader.exec_module(module)
    return module


def construct(path, cls, arguments, rng):
    """Make an object. A constructor that asks for `rng` gets one, unless the arguments name it."""
    name, accepted = cls.__name__, inspect.signature(cls).parameters
    if "rng" in accepted and "rng" not in arguments:
        arguments = {**arguments, "rng": rng}
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        takes = ", ".join(map(str, accepted.values())) or "nothing"
        raise UsageError(f"{name} cannot be made: {error}. It takes {takes}; give these with "
                         "--args.") from error
    with own_errors_named(path, f"making {name}"):
        return cls(**arguments)
