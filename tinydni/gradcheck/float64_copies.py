"""Copies of what is checked, in float64, that can be experimented on without touching the original."""

import copy
import types

import numpy as np

from tinydni.gradcheck.contract import ContractError, is_floats
from tinydni.gradcheck.parameters import inside, objects


def copied(thing, as_double=False):
    """Copy an object deeply; it shares modules (`self.xp = numpy`) with the original.

    Two names of one array stay two names of one array, and views of one memory stay views of one.
    as_double: make its arrays of floats float64
    """
    items = everything_inside(thing)
    memo = {id(item): item for item in items if isinstance(item, types.ModuleType)}
    copy_arrays([item for item in items if type(item) is np.ndarray], as_double, memo)
    try:
        return copy.deepcopy(thing, memo)
    except Exception as error:
        raise ContractError(f"{type(thing).__name__} cannot be copied ({error}), and the check "
                            "experiments on copies only. Keep files, locks and threads out of "
                            "it.") from error


def copy_arrays(arrays, as_double, memo):
    """Put copies of the arrays into `memo`; those that share memory do so afterwards."""
    sharing = {}
    for array in arrays:
        sharing.setdefault(id(root_of(array)), []).append(array)
    for views in sharing.values():
        root = root_of(views[0])
        together = len(views) > 1 and all(view.dtype == root.dtype for view in views)
        memory = root.ravel(order="K") if together else None
        if memory is not None:
            memory = in_double(memory, as_double).copy()
        for view in views:
            if memory is None:
                memo[id(view)] = in_double(view, as_double).copy(order="K")
                continue
            size = memory.itemsize // view.itemsize
            start = view.__array_interface__["data"][0] - root.__array_interface__["data"][0]
            memo[id(view)] = np.ndarray(view.shape, memory.dtype, memory, start * size,
                                        tuple(stride * size for stride in view.strides))


def root_of(array):
    """Return the array that owns the memory of a view, where it is one piece; else the view."""
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    return root if root.flags.forc else array


def in_double(array, as_double):
    """Return the array, in float64 where it holds floats and that is asked for."""
    return array.astype(np.float64) if as_double and is_floats(array) else array


def in_float64(thing):
    """Copy an object so that it computes in float64 and gives dx."""
    twin = copied(thing, as_double=True)
    for _, _, item in objects(twin):
        if hasattr(item, "named_parameters") and hasattr(item, "needs_dx"):     # a tinydni layer
            item.to(dtype=np.float64)
        if getattr(item, "needs_dx", True) is False:
            item.needs_dx = True
        if getattr(item, "dtype", None) in (np.float32, np.float16):
            item.dtype = np.float64
    return twin


def everything_inside(thing):
    """List the object and all that its attributes, lists and dictionaries hold."""
    seen, waiting = {}, [thing]
    while waiting:
        item = waiting.pop()
        if id(item) not in seen:
            seen[id(item)] = item
            waiting += [value for _, value in inside(item)]
    return list(seen.values())
