"""Files that are written whole or not at all; among them the .npz file of a saved state."""

import contextlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinydni.backend import Array, to_numpy

__all__ = ["CheckpointError", "load", "save"]

INFO = "info.json"          # the entry of a saved file that holds the note


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
    arrays[INFO] = np.frombuffer(json.dumps(info).encode(), dtype=np.uint8)
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)        # type: ignore[arg-type]  # the names of arrays are free


def load(path: str | Path) -> tuple[dict[str, np.ndarray], Any]:
    """Read (state, info) from a file that `save` wrote.

    Raises
    ------
    CheckpointError
        Where the file is missing, broken, or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            state = {name: file[name] for name in file.files}
        info = json.loads(state.pop(INFO).tobytes().decode())
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}; save one with --save FILE, "
                              "or check the path.") from None
    except (ValueError, KeyError, OSError, EOFError, AttributeError, TypeError,
            zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is not a file that tinydni saved, or it is broken "
                              f"({type(error).__name__}: {error}).") from None
    return state, info


def check_folder(path: str | Path) -> Path:
    """Return `path`. Raise FileNotFoundError where the folder it names does not exist."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} does not exist; "
                                "create it first.")
    return path


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[str]:
    """Yield a temporary path beside `path`; it takes the place of `path` if the block succeeds.

    Whatever happens, a reader of `path` sees the old file or the new one, never a part.
    """
    path = check_folder(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem + ".",
                                         suffix=".part" + path.suffix)
    os.close(handle)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)     # mkstemp makes private files; these are ordinary
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole."""
    with whole_file(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as JSON, whole. Raise ValueError for NaN, which JSON does not know."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")
