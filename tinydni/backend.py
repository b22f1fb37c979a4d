"""The border between the library and its array module: NumPy on the CPU, CuPy on an NVIDIA GPU.

A layer holds its array module as `self.xp` and writes ordinary NumPy with `xp` in place of `np`.
Three words cross the border: `asarray` (host to device), `to_numpy` (back) and layer.to.
"""

import importlib
from copy import deepcopy
from typing import Any

import numpy as np

__all__ = ["Array", "BackendError", "NAMES", "asarray", "get", "is_host", "moved", "name_of",
           "to_numpy", "why_no_cupy"]

Array = Any         # an array of NumPy or of CuPy: the two have no common base class
NAMES = ("numpy", "cupy")


class BackendError(RuntimeError):
    """The backend that was asked for does not work on this machine."""


def get(name: str) -> Any:
    """Return the array module called `name`, "numpy" or "cupy"; raise BackendError if it fails."""
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(f"backend must be one of {', '.join(NAMES)}; got {name!r}")
    reason = why_no_cupy() if name == "cupy" else None
    if reason:
        raise BackendError(f"backend 'cupy' cannot be used here: {reason}")
    return importlib.import_module(name)


def why_no_cupy() -> str | None:
    """Say why CuPy cannot compute here, in one sentence; None if it can.

    It imports without a GPU too; so driver and device are asked, and a small product is computed.
    """
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        return ("CuPy is not installed; on a machine with an NVIDIA GPU run "
                "pip install \"tinydni[gpu13]\" (or gpu12 for CUDA 12), or use --backend numpy.")
    runtime = cupy.cuda.runtime
    try:
        driver = runtime.driverGetVersion()
    except runtime.CUDARuntimeError as error:
        return f"the NVIDIA driver does not answer ({error}); use --backend numpy."
    if driver == 0:
        return "no NVIDIA driver is installed on this machine; use --backend numpy."
    if not cupy.cuda.is_available():
        return ("the NVIDIA driver is there, but it shows no GPU to this process; "
                "use --backend numpy.")
    try:
        ones = cupy.ones((2, 2), dtype=cupy.float32)
        float((ones @ ones).sum())
    except Exception as error:      # any failure of the first real product is a reason to say so
        return ("a GPU is there, but the first product on it failed "
                f"({type(error).__name__}: {error}).")
    return None


def asarray(xp: Any, array: Array, dtype: Any = None) -> Array:
    """Copy a host array to the device of `xp` (for NumPy: no copy where none is needed)."""
    return xp.asarray(array, dtype=dtype)


def to_numpy(array: Array) -> np.ndarray:
    """Copy an array of any backend to the host. For a device array this waits for the device."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


def moved(array: Array, xp: Any = None, dtype: Any = None) -> Array:
    """Copy an array to the backend `xp` (None: where it is), in `dtype` (None: as it is)."""
    if xp is None:
        return array.astype(dtype or array.dtype)
    return xp.asarray(to_numpy(array).astype(dtype or array.dtype))


def name_of(xp: Any) -> str:
    """Return the name of an array module, as `get` takes it."""
    return str(xp.__name__).partition(".")[0]


def is_host(xp: Any) -> bool:
    """Tell whether reading a value of an array of `xp` is free (no waiting for a device)."""
    return xp is np


def deepcopy_on_same_backend(self: Any, memo: dict[int, Any]) -> Any:
    """Copy what holds `self.xp`, as `__deepcopy__`: all but that module, which cannot be copied."""
    twin = memo[id(self)] = object.__new__(type(self))
    vars(twin).update({name: value if name == "xp" else deepcopy(value, memo)
                       for name, value in vars(self).items()})
    return twin
