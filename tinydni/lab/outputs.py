"""The files that a command writes: proved writable before the work, and kept whatever happens."""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinydni.lab import files
from tinydni.lab.jobs.ranges import OptionError

STDOUT = ("-", "/dev/stdout")
OURS = (b'{\n "experiment"', b'{\n "table"', b"info.json.npy", b"Matplotlib", b"Description",
        b"tinydni")         # stands near the beginning or the end of a file that was made here
NEAR = 4096                 # bytes
PICTURES = ("figure", "timeline")


class Proved(Exception):
    """A file was made, and is removed again."""


class Outputs:
    """The outputs of one run, none of which overwrites another, an input, or what is not ours.

    Parameters
    ----------
    paths : {option: path or None}
    inputs : paths that the run reads; the one of `also_read` may be written, too
    force : also over files that are not ours

    Raises
    ------
    OptionError
        In a sentence, for a path that could not be written.
    """

    failed = False          # whether something could not be written after all

    def __init__(self, paths: Mapping[str, str | None], inputs: Sequence[str | None] = (),
                 force: bool | None = False):
        taken = {os.path.realpath(path): "an input" for path in inputs if path}
        for option, path in paths.items():
            if path is None or (path in STDOUT and option == "json"):
                continue
            try:
                if option != "json" and (path in STDOUT or is_special(path)):
                    raise ValueError(f"{path} is no ordinary file, and this needs one.")
                place = prove(path, option in PICTURES)
                if place in taken and not is_special(place):
                    raise ValueError(f"{path} is also {taken[place]} of this run; take another "
                                     "name.")
                if not (force or is_ours(place)):
                    raise ValueError(f"{path} is there, and tinydni has not made it; take another "
                                     "name, or give --force to write over it.")
            except (OSError, ValueError) as error:
                raise OptionError(f"--{option}: {error}") from None
            taken[place] = f"--{option}"

    def attempt(self, function: Callable[..., Any], *arguments: Any) -> bool:
        """Call function(*arguments); where it fails, say so. Return whether it succeeded."""
        try:
            function(*arguments)
            return True
        except Exception as error:      # whatever it is, the other results must not be lost
            self.failed = True
            name = "" if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: "
            print(f"tinydni: warning: {name}{error}", file=sys.stderr)
            return False

    @contextlib.contextmanager
    def text_beside(self, json: str | None) -> Iterator[None]:
        """Inside this block, text goes to stderr if the JSON goes to stdout."""
        self.stdout = sys.stdout
        with contextlib.redirect_stdout(sys.stderr if json in STDOUT else sys.stdout):
            yield

    def write_json(self, path: str, value: Any) -> None:
        """Write a value as JSON, to the stdout outside of `text_beside` for "-"."""
        with contextlib.redirect_stdout(self.stdout):
            files.write_json(path, value)


def prove(path: str, picture: bool = False) -> str:
    """Return where `path` leads. Raise OSError where nothing can be written there.

    A picture must have an ending that can be drawn, or it is a ValueError.
    """
    try:
        if picture:
            from tinydni.plots import check_path
            check_path(path)
        with contextlib.suppress(FileNotFoundError):
            os.lstat(path)              # finds a name that is too long
        with files.whole_file(path) as there:
            if not os.access(there, os.W_OK):
                raise PermissionError(f"cannot write {path}: it may not be written to.")
            raise Proved
    except Proved:
        return os.path.realpath(path)
    except OSError as error:
        if error.strerror is None:
            raise
        raise OSError(f"cannot write {path}: {error.strerror}.") from None


def is_special(path: str) -> bool:
    """Tell whether something is there that is no ordinary file, such as a device."""
    return os.path.exists(path) and not os.path.isfile(path)


def is_ours(path: str) -> bool:
    """Tell whether a file was made here, is empty, is not there, or is a device."""
    if not os.path.isfile(path):
        return True
    with open(path, "rb") as file:
        head = file.read(NEAR)
        file.seek(-min(NEAR, os.path.getsize(path)), os.SEEK_END)
        return not head or any(mark in part for part in (head, file.read()) for mark in OURS)


@contextlib.contextmanager
def claimed(path: str | None) -> Iterator[None]:
    """Hold a file for one run. Raise OptionError where another run that goes on holds it."""
    if path is None or is_special(path):
        yield
        return
    place = Path(os.path.realpath(path))
    name = hashlib.sha256(place.name.encode()).hexdigest()[:12]
    files.clear_parts(place.parent)
    for other in place.parent.glob(f"{files.PART}*-{name}.run"):
        process = other.name[len(files.PART):].partition("-")[0]
        if process != str(os.getpid()):
            raise OptionError(f"--save: another run, process {process}, saves to {path}; take "
                              f"another name, or end it. (If there is none, remove {other}.)")
    mark = place.parent / f"{files.PART}{os.getpid()}-{name}.run"
    mark.touch()
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def keep(save: Callable[[str], Any], path: str) -> str:
    """Save to `path`, or else under its name where that can be done; return where.

    Raises OSError where it cannot be done anywhere.
    """
    name = os.path.basename(path)[-100:]
    for folder in (None, Path.cwd(), Path.home(), Path(tempfile.gettempdir())):
        place = path if folder is None else str(folder / name)
        try:
            save(place)
            return place
        except OSError as error:
            last = error
    raise last
