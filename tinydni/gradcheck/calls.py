"""How a layer, a loss and a synthesizer are called: the only place where a check tells them apart."""

import math

import numpy as np

from tinydni.gradcheck.contract import ContractError, to_host


class Call:
    """One way to call forward and backward.

    inputs: {name: array}, in the order of forward's arguments
    differentiated: the inputs whose gradient backward returns
    output, upstream: the names of what forward returns and of what backward takes
    """

    differentiated = ()

    def __init__(self, **inputs):
        self.inputs = inputs

    def forward(self, thing, inputs):
        return to_host(thing.forward(*inputs.values()), "forward")

    def draw_upstream(self, rng, y):
        """A random upstream gradient: a backward that ignores it is right for ones and wrong for this."""
        return rng.standard_normal(y.shape)

    def sizes(self, y):
        """The numbers that may turn up as a wrong factor, as (value, what it is)."""
        x = next(iter(self.inputs.values()))
        found = [(len(x), "the batch size N")] if x.ndim else []
        if x.ndim > 1:
            found += [(n, f"the size of axis {axis} of {next(iter(self.inputs))}")
                      for axis, n in enumerate(x.shape) if axis]
        found += [(n, f"the size of axis {axis} of {self.output}") for axis, n in enumerate(y.shape) if axis]
        found += [(y.size, f"the number of entries of {self.output}"),
                  (x.size, f"the number of entries of {next(iter(self.inputs))}")]
        return [(n, what) for n, what in found if n > 1]


class LayerCall(Call):
    """y = forward(x),   dx = backward(dy)."""

    output, upstream = "y", "dy"

    def __init__(self, x):
        super().__init__(x=x)
        self.differentiated = ("x",) if x.dtype.kind == "f" else ()

    def backward(self, thing, dy):
        dx = thing.backward(dy)
        return {"x": None if dx is None else to_host(dx, "backward")} if self.differentiated else {}


class RecurrentCall(Call):
    """y, end = forward(x, state),   dx, dstate = backward(dy, dend).

    To the check, what comes out is one array: y (N, T, H) flattened to (N, T·H), beside it end (N, S).
    """

    output, upstream = "[y, end]", "[dy, dend]"
    differentiated = ("x", "state")

    def __init__(self, x, state):
        super().__init__(x=x, state=state)

    def forward(self, thing, inputs):
        y, end = pair(thing.forward(*inputs.values()), "forward")
        self.y_shape = y.shape
        return np.concatenate([to_host(y, "forward").reshape(len(y), -1), to_host(end, "forward")], axis=1)

    def backward(self, thing, both):
        n_y = math.prod(self.y_shape[1:])
        found = pair(thing.backward(both[:, :n_y].reshape(self.y_shape), both[:, n_y:]), "backward")
        return {name: None if gradient is None else to_host(gradient, "backward")
                for name, gradient in zip(self.differentiated, found)}


def pair(value, method):
    """What a method of a recurrent layer returned. Raises ContractError unless it is two things."""
    if not isinstance(value, tuple) or len(value) != 2:
        wanted = {"forward": "y and the state after the last step", "backward": "dx and the gradient of the state"}[method]
        raise ContractError(f"{method} of a recurrent layer returns {wanted}; got {type(value).__name__}.")
    return value


class LossCall(Call):
    """loss = forward(prediction, target),   dprediction = backward()."""

    output, upstream = "loss", None
    differentiated = ("prediction",)

    def __init__(self, prediction, target):
        super().__init__(prediction=prediction, target=target)

    def forward(self, thing, inputs):
        loss = super().forward(thing, inputs)
        if loss.shape != ():
            raise ContractError(f"forward of a loss returns one number; got an array of shape {loss.shape}. "
                                "Sum over the features and take the mean over the batch.")
        return loss

    def backward(self, thing, _):
        dprediction = thing.backward()
        return {"prediction": None if dprediction is None else to_host(dprediction, "backward")}

    def draw_upstream(self, rng, y):
        return np.ones(())


class SynthesizerCall(Call):
    """delta_hat = forward(h, context),   backward(ddelta_hat) returns nothing: no gradient flows into h."""

    output, upstream = "delta_hat", "ddelta_hat"

    def __init__(self, h, context):
        super().__init__(h=h, context=context)

    def backward(self, thing, ddelta_hat):
        self.passed_down = thing.backward(ddelta_hat) is not None
        return {}
