"""How a layer, a loss and a synthesizer are called: the only place where a check tells them apart."""

import math

import numpy as np

from tinydni.gradcheck.contract import ContractError, arguments_of, to_device, to_host


class Call:
    """One way to call forward and backward.

    inputs: {name: array}, in the order of forward's arguments
    differentiated: the inputs whose gradient backward returns
    output, upstream: the names of what forward returns and of what backward takes
    """

    output, upstream = "y", "dy"

    def __init__(self, **inputs):
        self.inputs = inputs
        self.differentiated = tuple(name for name, array in inputs.items()
                                    if array is not None and array.dtype.kind == "f")

    def forward(self, thing, inputs):
        """Return what forward returns, as one host array."""
        return to_host(thing.forward(*inputs.values()), "forward")

    def on_device(self, thing, dy, layout):
        """List the arguments of backward, on the device."""
        return [to_device(thing, dy, layout)]

    def backward(self, thing, dys):
        """Return {name of an input: its gradient, or None where backward gives none}."""
        return {"x": thing.backward(*dys)}

    def draw_upstream(self, rng, y):
        """Draw an upstream gradient: a backward that ignores it is right for ones, not for this."""
        return rng.standard_normal(y.shape)

    def sizes(self, y):
        """List the numbers that may turn up as a wrong factor, as (value, what it is)."""
        name, x = next(iter(self.inputs.items()))
        found = [(len(x), "the batch size N")] if x.ndim else []
        for said, array in ((name, x), (self.output, y)):
            found += [(n, f"the size of axis {axis} of {said}")
                      for axis, n in enumerate(array.shape) if axis]
        found += [(y.size, f"the number of entries of {self.output}"),
                  (x.size, f"the number of entries of {name}")]
        return [(n, what) for n, what in found if n > 1]


class LayerCall(Call):
    """y = forward(x), dx = backward(dy); or with several inputs and outputs.

    y, end = forward(x, state),   dx, dstate = backward(dy, dend)

    backward takes the gradients of several outputs one by one or as one list, whichever it
    declares. To the check, several outputs are one array: their entries, one after the other.
    """

    def forward(self, thing, inputs):
        """Return y, or the entries of all outputs in a row."""
        result = thing.forward(*inputs.values())
        self.kind = type(result) if isinstance(result, (tuple, list)) else None
        if self.kind is None:
            return to_host(result, "forward")
        self.output = "the outputs"
        outputs = [to_host(y, "forward") for y in result]
        self.shapes = [y.shape for y in outputs]
        coarse = [y.dtype for y in outputs if y.dtype.kind == "f" and y.dtype != np.float64]
        return np.concatenate([y.ravel() for y in outputs]).astype((coarse or [np.float64])[0])

    def on_device(self, thing, dy, layout):
        """List the gradients of all outputs."""
        if self.kind is None:
            return super().on_device(thing, dy, layout)
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        return [to_device(thing, part.reshape(shape), layout)
                for part, shape in zip(np.split(dy, ends[:-1]), self.shapes, strict=True)]

    def backward(self, thing, dys):
        """Return {name of an input: its gradient, or None}."""
        _, named, more = arguments_of(thing.backward)
        together = self.kind and len(named) < len(dys) and not more
        found = thing.backward(self.kind(dys)) if together else thing.backward(*dys)
        if not self.differentiated:
            return {}
        if not isinstance(found, (tuple, list)) and (len(self.inputs) == 1 or found is None):
            found = [found] * len(self.inputs)
        n = len(found) if isinstance(found, (tuple, list)) else 0
        if n in (len(self.inputs), len(arguments_of(thing.forward)[1])):
            gradients = dict(zip(self.inputs, found, strict=False))
        elif n == len(self.differentiated):
            gradients = dict(zip(self.differentiated, found, strict=True))
        else:
            wanted = [f"d{name}" for name in self.inputs]
            wanted = f"{', '.join(wanted[:-1])} and {wanted[-1]}" if wanted[1:] else wanted[0]
            got = f"{n} things" if n else f"one {type(found).__name__}"
            raise ContractError(f"backward of a layer with {len(self.inputs)} input"
                                f"{'s' * (len(self.inputs) > 1)} returns {wanted}; got {got}.")
        return {name: gradients[name] for name in self.differentiated}


class LossCall(Call):
    """loss = forward(prediction, target),   dprediction = backward()."""

    output, upstream = "loss", None

    def __init__(self, prediction, target):
        super().__init__(prediction=prediction, target=target)
        self.differentiated = ("prediction",)

    def forward(self, thing, inputs):
        """Return the loss, one number."""
        loss = super().forward(thing, inputs)
        if loss.shape != ():
            raise ContractError("forward of a loss returns one number; got an array of shape "
                                f"{loss.shape}. Sum over the features and take the mean over the "
                                "batch.")
        return loss

    def on_device(self, thing, dy, layout):
        """Return nothing: backward of a loss takes no argument."""
        return []

    def backward(self, thing, dys):
        """Return {"prediction": its gradient}."""
        return {"prediction": thing.backward()}

    def draw_upstream(self, rng, y):
        """Return 1."""
        return np.ones(())


class SynthesizerCall(Call):
    """delta_hat = forward(h, context), backward(ddelta_hat): no gradient flows into h."""

    output, upstream = "delta_hat", "ddelta_hat"

    def __init__(self, h, context):
        super().__init__(h=h, context=context)
        self.differentiated = ()

    def backward(self, thing, dys):
        """Return nothing, and keep whether backward did return something."""
        self.passed_down = thing.backward(*dys) is not None
        return {}
