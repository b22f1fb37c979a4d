"""Copies of what is checked, in float64, that can be experimented on without touching it."""

import copy
import types

import numpy as np

from tinydni.gradcheck.contract import ContractError, is_floats
from tinydni.gradcheck.parameters import is_of_library, objects, walk


def copied(thing, as_double=False):
    """Copy an object deeply; it shares modules (`self.xp = numpy`) with the original.

    Two names of one array stay two names of one array, and views of one memory stay views of one.
    as_double: make its arrays of floats float64
    """
    items = [item for _, _, item in walk(thing)]
    memo = {id(item): item for item in items if isinstance(item, types.ModuleType)}
    sharing = {}
    for array in items:
        if type(array) is np.ndarray:
            sharing.setdefault(id(root_of(array)), []).append(array)
    for arrays in sharing.values():
        memo.update(copies_of(arrays, as_double))
    try:
        return copy.deepcopy(thing, memo)
    except Exception as error:
        raise ContractError(f"{type(thing).__name__} cannot be copied ({error}), and the check "
                            "experiments on copies only. Keep files, locks and threads out of "
                            "it.") from error


def root_of(array):
    """Return the array that owns the memory of a view, where it is one piece; else the view."""
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    return root if root.flags.forc else array


def copies_of(arrays, as_double):
    """Return {id: copy} of arrays; those that are views of one memory stay so."""

    def converted(array):
        return array.astype(np.float64 if as_double and is_floats(array) else array.dtype)

    root = root_of(arrays[0])
    if len(arrays) == 1 or any(array.dtype != root.dtype for array in arrays):
        return {id(array): converted(array) for array in arrays}
    memory, first = converted(root.ravel(order="K")), root.__array_interface__["data"][0]
    size = memory.itemsize // root.itemsize
    return {id(array): np.ndarray(
        array.shape, memory.dtype, memory, (array.__array_interface__["data"][0] - first) * size,
        tuple(stride * size for stride in array.strides)) for array in arrays}


def in_float64(thing):
    """Copy an object so that it computes in float64 and gives dx."""
    twin = copied(thing, as_double=True)
    for _, _, item in objects(twin):
        if is_of_library(item):
            item.to(dtype=np.float64)
        if getattr(item, "needs_dx", True) is False:
            item.needs_dx = True
        if getattr(item, "dtype", None) in (np.float32, np.float16):
            item.dtype = np.float64
    return twin
