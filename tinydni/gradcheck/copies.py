"""Copies of what is checked, in float64, that can be experimented on without touching the original."""

import copy
import types

import numpy as np

from tinydni.gradcheck.contract import ContractError, is_floats, named_parameters, parameter_names, walk


def copied(thing, as_double=False):
    """A deep copy that shares modules (`self.xp = numpy`) with the original; `as_double` makes its arrays float64.

    The arrays are replaced while copying, so two names of one array stay two names of one array.
    """
    shared = {}
    for item in everything_inside(thing):
        if isinstance(item, types.ModuleType):
            shared[id(item)] = item
        elif as_double and is_floats(item):
            shared[id(item)] = item.astype(np.float64)
    try:
        return copy.deepcopy(thing, shared)
    except Exception as error:
        raise ContractError(f"{type(thing).__name__} cannot be copied ({error}), and the check experiments on "
                            "copies only. Keep files, locks and threads out of it.") from error


def in_float64(thing):
    """A copy whose parameters are float64 arrays, ready to be moved, and which gives dx."""
    twin = copied(thing, as_double=True)
    for _, layer in walk(twin):
        if callable(getattr(layer, "to", None)):
            layer.to(dtype=np.float64)
        elif not hasattr(layer, "named_parameters"):
            for name in parameter_names(layer):
                if isinstance(getattr(layer, name), (int, float, np.number)):
                    setattr(layer, name, np.array(getattr(layer, name), np.float64))
        if getattr(layer, "needs_dx", True) is False:
            layer.needs_dx = True
    for path, array, _ in named_parameters(twin):
        if getattr(array, "dtype", None) != np.float64:
            got = getattr(array, "dtype", type(array).__name__)
            raise ContractError(f"{type(thing).__name__}: the parameter {path} is no array of floats; got {got}.")
    return twin


def everything_inside(thing):
    """Yields the object and all that its attributes, lists and dictionaries hold."""
    seen, waiting = set(), [thing]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)
        elif hasattr(item, "__dict__") and not isinstance(item, (type, types.ModuleType)):
            waiting.extend(vars(item).values())
