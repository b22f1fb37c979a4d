"""Where an object keeps its learned arrays and their gradients.

parameters = ("W", "b")      self.W, its gradient in self.dW
self.params = {"W": ...}     its gradient in self.grads["W"] or self.grads["dW"]
self.params = [W, b]         their gradients in self.grads, in the same order
self.W = Parameter(...)      an object with data (or value) and grad
nothing is said              every array that backward sets a gradient of
"""

import functools
import types
from dataclasses import dataclass

import numpy as np

from tinydni.gradcheck.contract import ContractError, is_floats

VALUES = ("parameters", "params", "weights")
GRADIENTS = ("grads", "gradients", "grad", "dparams", "dparameters")
NO_OBJECTS = (type, types.ModuleType, types.FunctionType, types.MethodType,
              types.BuiltinFunctionType, functools.partial, np.ndarray, np.random.Generator)


@dataclass(frozen=True)
class Slot:
    """The place of one learned array, as steps (attributes, keys) from the object.

    name, gradient_name: as a reader would write them: "W" and "dW", 'params["W"]' and 'grads["W"]'
    steps: to the array    gradients: the places where its gradient may be
    """

    name: str
    gradient_name: str
    steps: tuple
    gradients: tuple

    def array(self, thing):
        """Return the array in `thing`."""
        return follow(thing, self.steps)

    def gradient(self, thing):
        """Return the gradient in `thing`, or None."""
        found = (follow(thing, steps) for steps in self.gradients)
        return next((value for value in found if value is not None), None)

    def replace(self, thing, value):
        """Put another object in the place of the array."""
        owner, last = follow(thing, self.steps[:-1]), self.steps[-1]
        if isinstance(owner, (dict, list)):
            owner[last] = value
        else:
            setattr(owner, last, value)


def follow(thing, steps):
    """Return what one finds after these attributes and keys, or None."""
    for step in steps:
        try:
            thing = (thing[step] if isinstance(thing, (dict, list, tuple))
                     else getattr(thing, step, None))
        except (KeyError, IndexError, TypeError):
            return None
    return thing


def attributes(thing):
    """Return the attributes that an object has of its own, as {name: value}."""
    slots = [cls.__dict__.get("__slots__", ()) for cls in type(thing).__mro__]
    names = [name for some in slots for name in ([some] if isinstance(some, str) else some)]
    return {**{name: getattr(thing, name) for name in names if hasattr(thing, name)},
            **getattr(thing, "__dict__", {})}


def is_object(value):
    """Tell whether `value` is an object of a class that somebody wrote in Python."""
    return ((hasattr(value, "__dict__") or hasattr(value, "__slots__"))
            and not isinstance(value, NO_OBJECTS))


def inside(value):
    """List (step, item) of what a list, a dictionary or an object holds."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    return list(attributes(value).items()) if is_object(value) else []


def walk(thing):
    """Yield (label, steps, item) for the object and all that it holds, in lists of lists, too."""
    seen, waiting = {}, [("", (), thing)]
    for label, steps, item in waiting:
        if id(item) not in seen:
            seen[id(item)] = item           # kept, so that no other item gets its id
            yield label, steps, item
            waiting += [(label if str(step).startswith("_") else f"{label}{step}.",
                         (*steps, step), value) for step, value in inside(item)]


def objects(thing):
    """List (label, steps, object) for the object and all objects in it."""
    return [found for found in walk(thing) if is_object(found[2])]


def is_of_library(item):
    """Tell whether an object is a layer of tinydni."""
    return hasattr(item, "named_parameters") and hasattr(item, "needs_dx")


def owners(thing):
    """Yield (label, steps, object) but for what is in a layer of tinydni: that speaks for it."""
    layers = []
    for label, steps, item in objects(thing):
        if not any(steps[:len(root)] == root for root in layers):
            layers += [steps] * is_of_library(item)
            yield label, steps, item


def find_slots(before, after):
    """Find the learned arrays of an object.

    before, after: the object before and after a forward and a backward pass, which tells, where
        nothing is declared, which arrays stay and have a gradient
    """
    found = {}
    for label, steps, item in owners(after):
        slots = (library_slots(label, steps, item) if is_of_library(item)
                 else own_slots(label, steps, item, before, after))
        for slot in slots:
            found.setdefault(id(slot.array(after)), slot)
    return list(found.values())


def library_slots(label, steps, item):
    """Find the slots of a layer of tinydni, which says itself what is learned in it."""
    places = {id(value): (*steps, *inner, name) for _, inner, owner in objects(item)
              for name, value in attributes(owner).items()}
    return [named_slot(label + path, places[id(array)])
            for path, array, _ in item.named_parameters() if id(array) in places]


def named_slot(path, steps, gradient=None):
    """Make the slot of an array self.W whose gradient is self.dW."""
    owner, dot, name = path.rpartition(".")
    gradient = gradient or f"d{steps[-1]}"
    return Slot(path, f"{owner}{dot}{gradient}", steps, ((*steps[:-1], gradient),))


def own_slots(label, steps, item, before, after):
    """Find the slots of one object, without the objects in it."""
    for name in ("data", "value"):
        if is_floats(getattr(item, name, None)) and hasattr(item, "grad"):
            said = label.rstrip(".")
            return [Slot(said, f"{said}.grad", (*steps, name), ((*steps, "grad"),))]
    where, declared = declaration(item)
    if where is None:
        graded = with_gradient(item, follow(before, steps))
        return [named_slot(label + name, (*steps, name), gradient)
                for name, gradient in graded.items() if not steps or hasattr(item, "backward")]
    if isinstance(declared, dict) or not all(isinstance(name, str) for name in declared):
        return [contained_slot(label, steps, where, keys, after) for keys in leaves(declared)]
    for name in declared:
        if getattr(item, name, None) is None:
            raise ContractError(f"{type(item).__name__} names {name} in `parameters`, but has no "
                                f"array self.{name}.")
    return [named_slot(label + name, (*steps, name)) for name in declared]


def declaration(item):
    """Return (attribute, value) in which an object says what it learns, or (None, None)."""
    for where in VALUES:
        value = getattr(item, where, None)
        if callable(value):             # as in PyTorch
            listed = [id(array) for array in value()]
            value = tuple(name for name, own in attributes(item).items()
                          if is_floats(own) and id(own) in listed)
        if isinstance(value, (tuple, list, dict)):
            return where, value
        if where == "parameters" and hasattr(item, where):
            said = repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
            raise ContractError(f"{type(item).__name__}.parameters is {said}; it must be a tuple "
                                'of names, such as parameters = ("W", "b"), or ("W",) for a single '
                                "one.")
    return None, None


def leaves(value, keys=()):
    """List the keys that lead to arrays and numbers in nested dictionaries and lists."""
    if is_floats(value) or isinstance(value, float):
        return [keys]
    return [leaf for key, item in inside(value) if isinstance(value, (list, tuple, dict))
            for leaf in leaves(item, (*keys, key))]


def contained_slot(label, steps, where, keys, after):
    """Make the slot of an array in a dictionary or a list, whose gradient is in another one."""
    places = [(name, *some) for name in GRADIENTS
              for some in (keys, (*keys[:-1], f"d{keys[-1]}"))]
    places.sort(key=lambda place: (follow(after, (*steps, *place)) is None,     # those that exist
                                   follow(after, (*steps, place[0])) is None))
    return Slot(label + written(where, *keys), label + written(*places[0]),
                (*steps, where, *keys), tuple((*steps, *place) for place in places))


def written(attribute, *keys):
    """Write a place as in Python: grads["W"], grads[0]."""
    return attribute + "".join(f'["{key}"]' if isinstance(key, str) else f"[{key}]" for key in keys)


def with_gradient(item, before):
    """Return {name: attribute of its gradient} for what stays and has a gradient after backward."""
    own = attributes(item)
    found = {name: [alias for alias in (f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad",
                                        f"d{name.lower()}", f"{name}_gradient", f"dL_d{name}")
                    if own.get(alias) is not None]
             for name, value in own.items()
             if (is_floats(value) or isinstance(value, float))
             and np.array_equal(getattr(before, name, None), value)}
    return {name: aliases[0] for name, aliases in found.items() if aliases}
