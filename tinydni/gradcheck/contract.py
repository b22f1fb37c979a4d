"""What a class must have to be checked, forward and backward, and how these are called."""

import inspect
import math

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


class Call:
    """y = forward(x), dx = backward(dy); y, end = forward(x, h), dx, dh = backward(dy, dend).

    backward takes the gradients of several outputs one by one or as one list, whichever it
    declares. To the check, several outputs are one array: their entries, one after the other.

    inputs: {name: array}, in the order of forward's arguments
    differentiated: the inputs whose gradient backward returns, by default those that hold floats
    output, upstream: the names of what forward returns and of what backward takes (None: a loss)
    """

    def __init__(self, inputs, differentiated=None, output="y", upstream="dy"):
        self.inputs, self.output, self.upstream = inputs, output, upstream
        self.differentiated = differentiated if differentiated is not None else tuple(
            name for name, array in inputs.items()
            if array is not None and array.dtype.kind == "f")

    def forward(self, thing, inputs):
        result = thing.forward(*inputs.values())
        self.kind = type(result) if isinstance(result, (tuple, list)) else None
        if self.kind:
            outputs = [to_host(y, "forward") for y in result]
            self.shapes = [y.shape for y in outputs]
            coarse = [y.dtype for y in outputs if y.dtype.kind == "f" and y.dtype != np.float64]
            return np.concatenate([y.ravel() for y in outputs]).astype((coarse or [float])[0])
        y = to_host(result, "forward")
        if self.upstream is None and y.shape != ():
            raise ContractError(f"forward of a loss returns one number; got an array of shape "
                                f"{y.shape}. Sum over the features and take the mean over the "
                                "batch.")
        return y

    def draw_upstream(self, rng, y):
        """Draw dy: a backward that ignores it is right for ones, and wrong for this."""
        return np.ones(()) if self.upstream is None else rng.standard_normal(y.shape)

    def on_device(self, thing, dy, layout="C"):
        """List the arguments of backward."""
        if self.upstream is None:
            return []
        if not self.kind:
            return [to_device(thing, dy, layout)]
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        return [to_device(thing, part.reshape(shape), layout)
                for part, shape in zip(np.split(dy, ends[:-1]), self.shapes, strict=True)]

    def backward(self, thing, dys):
        """Return {differentiated input: its gradient, or None where backward gives none}."""
        _, named, more = arguments_of(thing.backward)
        together = self.kind and len(named) < len(dys) and not more
        found = thing.backward(self.kind(dys)) if together else thing.backward(*dys)
        self.returned, names = found is not None, self.differentiated
        n = len(found) if isinstance(found, (tuple, list)) else 0
        if found is None or not n and len(names) < 2:
            return dict.fromkeys(names, found)
        if n in (len(self.inputs), len(arguments_of(thing.forward)[1])):
            return {name: gradient for name, gradient in zip(self.inputs, found, strict=False)
                    if name in names}
        if n == len(names):
            return dict(zip(names, found, strict=True))
        *wanted, last = [f"d{name}" for name in self.inputs]
        wanted = f"{', '.join(wanted)} and {last}" if wanted else last
        raise ContractError(f"backward of a layer with {len(self.inputs)} input"
                            f"{'s' * (len(self.inputs) > 1)} returns {wanted}; got "
                            f"{f'{n} things' if n else f'one {type(found).__name__}'}. (The "
                            "gradients of parameters stay on self.)")

    def sizes(self, y):
        """List the numbers that may turn up as a wrong factor, as (value, what it is)."""
        name, x = next(iter(self.inputs.items()))
        found = [(len(x), "the batch size N")] if x.ndim else []
        for said, array in ((name, x), (self.output, y)):
            found += [(n, f"the size of axis {axis} of {said}")
                      for axis, n in enumerate(array.shape) if axis]
        found += [(array.size, f"the number of entries of {said}")
                  for said, array in ((self.output, y), (name, x))]
        return [(n, what) for n, what in found if n > 2]      # 2 is nearly anything
