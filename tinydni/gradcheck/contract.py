"""What a class must have to be checked: forward and backward, which take and return arrays."""

import inspect

import numpy as np

from tinydni import backend


class ContractError(TypeError):
    """The class lacks something without which its gradients cannot be checked."""


def require(thing):
    """Raise ContractError unless `thing` is an object with the methods forward and backward."""
    if isinstance(thing, type):
        raise ContractError(f"{thing.__name__} is a class; check an object of it: "
                            f"{thing.__name__}(...).")
    for method in ("forward", "backward"):
        if not callable(getattr(thing, method, None)):
            raise ContractError(f"{type(thing).__name__} has no method {method}.")


def arguments_of(method):
    """Return the positional arguments of a method: (those needed, all, whether it takes *args)."""
    named = inspect.signature(method).parameters.values()
    places = [p for p in named if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return ([p.name for p in places if p.default is p.empty], [p.name for p in places],
            any(p.kind is p.VAR_POSITIONAL for p in named))


def names_of_inputs(thing, n):
    """Return what `forward` calls n inputs; raise TypeError where it does not take so many."""
    needed, names, more = arguments_of(thing.forward)
    if not n or n < len(needed) or n > len(names) and not more:
        takes = ", ".join(names) or "nothing"
        raise TypeError(f"{type(thing).__name__}.forward takes {takes}; got {n} "
                        f"input{'s' * (n != 1)}. (The backward of a loss takes no argument.)")
    return names[:n] + [f"x{i + 1}" for i in range(len(names), n)]


def takes_no_argument(method):
    """Tell whether a method needs no argument, as backward of a loss, and is not open to many."""
    needed, _, more = arguments_of(method)
    return not needed and not more


def is_floats(value):
    """Tell whether `value` is a NumPy array of floating-point numbers."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def to_device(thing, array, layout="C"):
    """Copy a host array to the backend of `thing`, in rows ("C"), columns ("F") or with gaps."""
    if layout == "gaps" and array.ndim:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    else:
        array = np.array(array, order="F" if layout == "F" else "C")
    return backend.asarray(getattr(thing, "xp", np), array)


def to_host(value, source):
    """Return what a method returned as a NumPy array; raise ContractError if that is no array."""
    if value is None:
        raise ContractError(f"{source} returned nothing; is its last line a `return`?")
    if not hasattr(value, "dtype") and not isinstance(value, (int, float)):
        raise ContractError(f"{source} returned a {type(value).__name__}; it must return an array.")
    array = backend.to_numpy(value)
    if array.dtype.kind not in "fiub":
        raise ContractError(f"{source} returned an array of {array.dtype}; it must hold floats.")
    return array
