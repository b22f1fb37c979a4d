"""Files that are either written whole or not at all."""

import contextlib
import json
import os
import tempfile
from pathlib import Path


def check_folder(path):
    """Returns `path` as a Path. Raises FileNotFoundError where the folder it names does not exist."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} does not exist; create it first.")
    return path


@contextlib.contextmanager
def whole_file(path):
    """Yields a temporary path beside `path`, and puts it in the place of `path` when the block ends without error.

    Whatever happens, a reader of `path` sees the old file or the new one, never a part.
    Raises FileNotFoundError where the folder does not exist.
    """
    path = check_folder(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem + ".", suffix=".part" + path.suffix)
    os.close(handle)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)         # mkstemp makes private files; these are ordinary ones
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_text(path, text):
    """Writes a text file, whole."""
    with whole_file(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def write_json(path, value):
    """Writes a value as JSON, whole. Raises ValueError for NaN, which JSON does not know."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")
