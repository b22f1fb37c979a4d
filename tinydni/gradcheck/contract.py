"""What a class must have to be checked: forward, backward, and the names of its parameters."""

import numpy as np

from tinydni import backend


class ContractError(TypeError):
    """The class lacks something without which its gradients cannot be checked."""


def require(thing):
    """Raises ContractError unless `thing` is an object with the methods forward and backward."""
    if isinstance(thing, type):
        raise ContractError(f"{thing.__name__} is a class; check an object of it: {thing.__name__}(...).")
    for method in ("forward", "backward"):
        if not callable(getattr(thing, method, None)):
            raise ContractError(f"{type(thing).__name__} has no method {method}.")


def named_parameters(thing):
    """Every learned array as (path, array, gradient or None), those of the layers inside it included."""
    if hasattr(thing, "named_parameters"):
        yield from thing.named_parameters()
        return
    for path, owner in walk(thing):
        for name in parameter_names(owner):
            yield path + name, getattr(owner, name), getattr(owner, "d" + name, None)


def parameter_names(thing):
    """The names in `thing.parameters`. Raises ContractError if they are not a tuple of names of arrays."""
    owner, names = type(thing).__name__, getattr(thing, "parameters", ())
    if isinstance(names, str) or not isinstance(names, (tuple, list)) or not all(isinstance(n, str) for n in names):
        shown = repr(names) if isinstance(names, str) else f"a {type(names).__name__}"
        raise ContractError(f'{owner}.parameters is {shown}; it must be a tuple of names, such as '
                            f'parameters = ("W", "b"), or ("W",) for a single one.')
    for name in names:
        if getattr(thing, name, None) is None:
            raise ContractError(f"{owner} names {name} in `parameters`, but has no array self.{name}.")
    return names


def gradient_name(path):
    """The name of the gradient of an array: "dW" for "W", "0.dW" for "0.W"."""
    layer, dot, name = path.rpartition(".")
    return f"{layer}{dot}d{name}"


def unnamed_arrays(thing):
    """Arrays of floats that the object owns but does not name as a parameter, a buffer, or a gradient."""
    own = attributes(thing)
    named = (*parameter_names(thing), *getattr(thing, "buffers", ()))
    return [name for name, value in own.items()
            if is_floats(value) and value.ndim and name not in named
            and not (name.startswith("d") and name[1:] in own)]


def require_parameter_names(thing):
    """Raises ContractError if the class keeps arrays and does not say which of them it learns."""
    arrays = unnamed_arrays(thing)
    if arrays and not hasattr(thing, "parameters"):
        owner, names = type(thing).__name__, ", ".join(f'"{name}"' for name in arrays)
        raise ContractError(f'{owner} keeps the arrays {", ".join(arrays)} and does not say which of them it learns. '
                            f'Name them in the class: parameters = ({names}{"," if len(arrays) == 1 else ""}), '
                            f'or parameters = () if it learns none.')


def walk(thing, path="", seen=None):
    """Yields (path, layer) for the object and for the layers among its attributes, also in lists and dictionaries."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    yield path, thing
    for name, value in attributes(thing).items():
        if isinstance(value, (list, tuple)):
            inside = [(f"{name}.{i}", item) for i, item in enumerate(value)]
        elif isinstance(value, dict):
            inside = [(f"{name}.{key}", item) for key, item in value.items()]
        else:
            inside = [(name, value)]
        for where, item in inside:
            if hasattr(item, "forward") and hasattr(item, "backward") and not isinstance(item, type):
                yield from walk(item, f"{path}{where}.", seen)


def attributes(thing):
    """The attributes that an object has of its own: {name: value}."""
    return vars(thing) if hasattr(thing, "__dict__") else {}


def is_floats(value):
    """Tells whether `value` is a NumPy array of floating-point numbers."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def to_device(thing, array):
    """A copy of a host array, on the backend that `thing` computes with."""
    return backend.asarray(getattr(thing, "xp", np), array.copy())


def to_host(value, source):
    """What a method returned, as a NumPy array. Raises ContractError if it is not an array of numbers."""
    if value is None:
        raise ContractError(f"{source} returned nothing; is its last line a `return`?")
    if not hasattr(value, "dtype") and not isinstance(value, (int, float)):
        raise ContractError(f"{source} returned a {type(value).__name__}; it must return an array.")
    array = backend.to_numpy(value)
    if array.dtype.kind not in "fiub":
        raise ContractError(f"{source} returned an array of {array.dtype}; it must hold floats.")
    return array
