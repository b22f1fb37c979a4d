"""Saving and loading: one .npz file of named arrays and a JSON note, without pickle, written whole or not at all."""

import json
import zipfile

import numpy as np

from tinydni import backend
from tinydni.files import whole_file

INFO = "info.json"          # the entry that holds the note


class CheckpointError(OSError):
    """A file that should hold saved arrays does not."""


def save(path, state, info=None):
    """Writes arrays, and a note about them, to one .npz file.

    state: {name: array of any backend}, such as layer.state() or network.state()
    info: anything that JSON can hold; floats come back bit for bit
    """
    arrays = {name: backend.to_numpy(array) for name, array in state.items()}
    arrays[INFO] = np.frombuffer(json.dumps(info).encode(), dtype=np.uint8)
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def load(path):
    """Returns (state, info) from a file that `save` wrote; the arrays are NumPy's.

    Raises CheckpointError where the file is missing, broken, or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            state = {name: file[name] for name in file.files}
        info = json.loads(state.pop(INFO).tobytes().decode())
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}; save one with --save FILE, or check the path.") from None
    except (ValueError, KeyError, OSError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is not a file that tinydni saved, or it is broken "
                              f"({type(error).__name__}: {error}).") from None
    return state, info
