"""The border between the library and its array module: NumPy on the CPU, CuPy on an NVIDIA GPU.

A layer holds its array module as `self.xp` and writes ordinary NumPy with `xp` in place of `np`. Only three
words cross the border: `asarray` (host to device), `to_numpy` (device to host) and `to` (a method of layers).
"""

import importlib
from copy import deepcopy

import numpy as np

NAMES = ("numpy", "cupy")


class BackendError(RuntimeError):
    """The backend that was asked for does not work on this machine."""


def get(name):
    """Returns the array module called `name`: "numpy" or "cupy".

    Raises ValueError for an unknown name and BackendError, with the reason, where CuPy cannot run.
    """
    if name == "numpy":
        return np
    if name == "cupy":
        reason = why_no_cupy()
        if reason:
            raise BackendError(f"backend 'cupy' cannot be used here: {reason}")
        return importlib.import_module("cupy")
    raise ValueError(f"backend must be one of {', '.join(NAMES)}; got {name!r}")


def why_no_cupy():
    """Returns the reason why CuPy cannot compute here, in one sentence, or None if it can.

    CuPy imports on a machine without a GPU and fails only at the first allocation, so importing it proves
    nothing: the driver and the device are asked, then one small product is computed.
    """
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        return ("CuPy is not installed; on a machine with an NVIDIA GPU run pip install \"tinydni[gpu13]\" "
                "(or gpu12 for CUDA 12), or use --backend numpy.")
    runtime = cupy.cuda.runtime
    try:
        driver = runtime.driverGetVersion()
    except runtime.CUDARuntimeError as error:
        return f"the NVIDIA driver does not answer ({error}); use --backend numpy."
    if driver == 0:
        return "no NVIDIA driver is installed on this machine; use --backend numpy."
    if not cupy.cuda.is_available():
        return "the NVIDIA driver is there, but it shows no GPU to this process; use --backend numpy."
    try:
        float((cupy.ones((2, 2), dtype=cupy.float32) @ cupy.ones((2, 2), dtype=cupy.float32)).sum())
    except Exception as error:      # any failure of the first real product is a reason to say so
        return f"a GPU is there, but the first product on it failed ({type(error).__name__}: {error})."
    return None


def asarray(xp, array, dtype=None):
    """Copies a host array to the device of `xp` (for NumPy: no copy where none is needed)."""
    return xp.asarray(array, dtype=dtype)


def to_numpy(array):
    """Copies an array of any backend to the host. For a device array this waits for the device."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


def moved(array, xp=None, dtype=None):
    """A copy of an array on the backend `xp` (None: where it is) and in `dtype` (None: as it is)."""
    if xp is None:
        return array.astype(dtype or array.dtype)
    return xp.asarray(to_numpy(array).astype(dtype or array.dtype))


def name_of(xp):
    """Returns the name of an array module, as `get` takes it."""
    return xp.__name__.partition(".")[0]


def deepcopy_on_same_backend(self, memo):
    """For `__deepcopy__` of whatever holds `self.xp`: everything is copied but that module, which cannot be."""
    twin = memo[id(self)] = object.__new__(type(self))
    vars(twin).update({name: value if name == "xp" else deepcopy(value, memo) for name, value in vars(self).items()})
    return twin


def is_host(xp):
    """Tells whether reading a value of an array of `xp` is free (no waiting for a device)."""
    return xp is np
