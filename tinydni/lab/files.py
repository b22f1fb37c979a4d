"""Files that are written whole or not at all; among them the .npz file of a saved state."""

import contextlib
import json
import os
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinydni.backend import Array, to_numpy

__all__ = ["CheckpointError", "check_folder", "load", "markdown", "save", "whole_file",
           "write_json", "write_text"]

INFO = "info.json"          # the entry of a saved file that holds the note
VERSION = 1                 # of the layout of a saved file
PART = ".tinydni-"          # how temporary files begin
LARGEST = 2**36             # more than any state [bytes]: a header that claims more is wrong


class CheckpointError(OSError):
    """A file that should hold saved arrays does not."""


def save(path: str | Path, state: Mapping[str, Array], info: Any = None) -> None:
    """Write arrays, and a note about them, to one .npz file, without pickle.

    Parameters
    ----------
    path : of the file
    state : {name: array of any backend}, such as layer.state() or network.state()
    info : anything that JSON can hold; floats come back bit for bit
    """
    arrays = {name: to_numpy(array) for name, array in state.items()}
    note = json.dumps({"version": VERSION, "note": info})
    arrays[INFO] = np.frombuffer(note.encode(), dtype=np.uint8)
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)        # type: ignore[arg-type]  # the names of arrays are free


def load(path: str | Path) -> tuple[dict[str, np.ndarray], Any]:
    """Read (state, info) from a file that `save` wrote.

    Raises
    ------
    CheckpointError
        Where the file is missing, broken, something else, or of another version.
    """
    if not Path(path).exists():
        raise CheckpointError(f"there is no file {path}; save one with --save FILE, "
                              "or check the path.")
    if not Path(path).is_file():
        raise CheckpointError(f"{path} is not an ordinary file, so it holds no saved run.")
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
            if claimed > min(LARGEST, 1100 * (os.path.getsize(path) + 1)):
                raise ValueError(f"it claims to hold {claimed:,} bytes")
        with np.load(path, allow_pickle=False) as file:
            state = {name: file[name] for name in file.files}
        note = json.loads(state.pop(INFO).tobytes().decode())
        version = note["version"] if isinstance(note, dict) else None
    except (ValueError, KeyError, OSError, EOFError, AttributeError, TypeError, MemoryError,
            NotImplementedError, RuntimeError, OverflowError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is not a file that this tinydni saved, or it is broken "
                              f"({type(error).__name__}: {error}).") from None
    if version != VERSION:
        raise CheckpointError(f"{path} was saved in layout {version}, but this tinydni reads "
                              f"layout {VERSION}; train again, or use the tinydni that saved it.")
    return state, note["note"]


def check_folder(path: str | Path) -> Path:
    """Return `path`. Raise FileNotFoundError where the folder it names does not exist."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} does not exist; "
                                "create it first.")
    return path


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[str]:
    """Yield a temporary path; what is written there takes the place of `path` at the end.

    Whatever happens, a reader of `path` sees the old file or the new one, never a part. A symbolic
    link stays, and its target is replaced. A device or a pipe is written straight.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        Where the folder does not exist, `path` is a folder, or the file may not be written.
    """
    named = os.path.abspath(check_folder(path))
    path = Path(os.path.realpath(named))
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; name a file in it.")
    special = path.exists() and not stat.S_ISREG(path.stat().st_mode)
    if special or named.startswith(("/dev/", "/proc/")):
        yield named
        return
    if path.exists() and not (os.access(path, os.W_OK) and path.stat().st_mode & 0o222):
        raise PermissionError(f"cannot write {path}: it is read-only.")
    clear_parts(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{PART}{os.getpid()}-",
                                         suffix=path.suffix[-16:])
    os.close(handle)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)     # mkstemp makes private files; these are ordinary
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def clear_parts(folder: str | Path) -> None:
    """Remove the temporary files that killed processes have left in a folder."""
    if os.name != "posix":              # elsewhere os.kill would end a process
        return
    for left in Path(folder).glob(f"{PART}*"):
        number = left.name[len(PART):].split("-")[0]
        if number.isdigit() and not is_running(int(number)):
            left.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Tell whether a process of this number exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole; "-" is the standard output."""
    if str(path) in ("-", "/dev/stdout"):
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    with whole_file(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as JSON, whole. Raise ValueError for NaN, which JSON does not know."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    head = list(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
