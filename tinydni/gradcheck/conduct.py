"""How forward and backward behave, apart from whether the gradient is right."""

import numpy as np

from tinydni.gradcheck.contract import to_device, to_host
from tinydni.gradcheck.copies import copied
from tinydni.gradcheck.subject import parameters


def obstacle(subject):
    """The reason why no gradient can be compared at all, in one sentence, or None."""
    y, name = subject.y, subject.call.output
    if y.dtype != np.float64:
        return (f"forward returns {name} as {y.dtype}, though all that goes in is float64: float32 used? Look for "
                f"astype, dtype= or np.float32; {name} should have the dtype of its input.")
    if not np.isfinite(y).all():
        return f"forward returns {first_not_finite(name, y)}, so there is no gradient to compare."
    again = subject.forward_from(subject.warmed)
    if not np.allclose(y, again, rtol=1e-12, atol=0):
        return (f"forward returns another {name} for the same input: it depends on random numbers. Draw them from "
                "a numpy.random.Generator that the object keeps (self.rng = rng), and the check can repeat them.")
    return None


def first_not_finite(name, array):
    """Names the first entry that is NaN or infinite: "y with nan at (0, 1)"."""
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    return f"{name} with {array[index]} at {index}" if index else f"{name} = {array[()]}"


def misconduct(subject):
    """What forward and backward change that they must leave alone, as a list of sentences."""
    thing, call = copied(subject.warmed), subject.call
    arguments = {name: None if array is None else to_device(thing, array) for name, array in subject.inputs.items()}
    dy = to_device(thing, subject.dy)
    watched = {**arguments, call.upstream: dy, **parameters(thing)}

    before = snapshot(watched)
    call.forward(thing, arguments)
    between = snapshot(watched)
    call.backward(thing, dy)
    after = snapshot(watched)

    return ([complaint("forward", name, name in arguments) for name in changed(before, between)]
            + [complaint("backward", name, name in arguments or name == call.upstream)
               for name in changed(between, after)])


def complaint(method, name, is_argument):
    if is_argument:
        return (f"{method} writes into {name}. The array belongs to the caller, who may still need it: make a new "
                f"array, or work on {name}.copy().")
    return f"{method} changes the parameter {name}. Only update may do that, once all gradients are known."


def snapshot(arrays):
    """Copies of the arrays, on the host."""
    return {name: to_host(array, name).copy() for name, array in arrays.items() if array is not None}


def changed(old, new):
    """The names of the arrays that differ."""
    return [name for name in old if not np.array_equal(old[name], new[name], equal_nan=True)]


def not_a_mean(subject):
    """Whether a loss is a sum over the batch (it doubles when every example comes twice), as a list of sentences."""
    loss, twice = float(subject.y), {name: np.concatenate([a, a]) for name, a in subject.inputs.items() if a.ndim}
    try:
        doubled = float(subject.forward(copied(subject.warmed), {**subject.inputs, **twice}))
    except Exception as error:
        return [f"forward fails when every example comes twice ({type(error).__name__}: {error}). "
                "A loss must take a batch of any size."]
    if abs(loss) > 1e-9 and np.isclose(doubled, 2 * loss, rtol=1e-9):
        return ["the loss doubles when every example comes twice: it is a sum over the batch, its 1/N is missing. "
                "A loss is the mean over the batch, in forward and in backward."]
    return []
