"""How forward and backward are called, with one or several inputs and outputs."""

import math

import numpy as np

from tinydni.gradcheck.contract import ContractError, arguments_of, to_device, to_host


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
