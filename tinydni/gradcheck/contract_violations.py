"""What forward and backward do besides, that no gradient tells: contract violations."""

import numpy as np

from tinydni.gradcheck.contract import is_floats, to_device, to_host
from tinydni.gradcheck.float64_copies import copied
from tinydni.gradcheck.parameters import attributes, declaration, follow, owners, with_gradient

LEARNED = {"w", "b", "u", "v", "bias", "biases", "weight", "weights", "kernel", "kernels", "gamma",
           "beta", "scale", "shift", "alpha", "slope", "theta", "filters"}
LAYOUTS = {"F": "column by column (order F)", "gaps": "with gaps, as a slice"}


def obstacle(subject):
    """Return the reason why no gradient can be compared at all, in one sentence, or None."""
    y, name = subject.y, subject.call.output
    if y.dtype != np.float64:
        return (f"forward returns {name} as {y.dtype}, though all that goes in is float64: float32 "
                f"used? Look for astype, dtype= or np.float32; {name} should have the dtype of its "
                "input.")
    if not np.isfinite(y).all():
        return f"forward returns {first_not_finite(name, y)}, so there is no gradient to compare."
    if not np.allclose(y, subject.forward_from(subject.start), rtol=1e-12, atol=0):
        return (f"forward returns another {name} for the same input: it depends on random numbers. "
                "Draw them from a numpy.random.Generator that the object keeps (self.rng = rng), "
                "and the check can repeat them.")
    return None


def first_not_finite(name, array):
    """Name the first entry that is NaN or infinite: "y with nan at (0, 1)"."""
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    return f"{name} with {array[index]} at {index}" if index else f"{name} = {array[()]}"


def changed_arrays(subject):
    """List what forward and backward write into, though it is not theirs."""
    thing, call, found = copied(subject.start), subject.call, []
    arguments = {name: None if array is None else to_device(thing, array)
                 for name, array in subject.inputs.items()}
    dys = call.on_device(thing, subject.dy)
    watched = {**arguments, **{call.upstream + i * "'": dy for i, dy in enumerate(dys)},
               **{name: slot.array(thing) for name, slot in subject.slots.items()}}
    watched = {name: array for name, array in watched.items() if array is not None}
    for method, run in (("forward", lambda: call.forward(thing, arguments)),
                        ("backward", lambda: call.backward(thing, dys))):
        before = {name: to_host(array, name).copy() for name, array in watched.items()}
        run()
        for name, array in watched.items():
            if not np.array_equal(before[name], to_host(array, name), equal_nan=True):
                found.append(f"{method} changes the parameter {name}. Only update may do that, "
                             "once all gradients are known." if name in subject.slots else
                             f"{method} writes into {name}. The array belongs to the caller, who "
                             f"may still need it: make a new array, or work on {name}.copy().")
    return found


def not_a_mean(subject):
    """Say whether a loss is a sum over the batch: it doubles when every example comes twice."""
    if subject.call.output != "loss":
        return []
    loss = float(subject.y)
    twice = {name: np.concatenate([a, a]) for name, a in subject.inputs.items() if a.ndim}
    try:
        doubled = subject.forward(copied(subject.start), {**subject.inputs, **twice})
    except Exception as error:
        return [f"forward fails when every example comes twice ({type(error).__name__}: {error}). "
                "A loss must take a batch of any size."]
    if abs(loss) > 1e-9 and np.isclose(float(doubled), 2 * loss, rtol=1e-9):
        return ["the loss doubles when every example comes twice: it is a sum over the batch, its "
                "1/N is missing. A loss is the mean over the batch, in forward and in backward."]
    return []


def memory_order(subject):
    """Say what depends on how x or dy lie in memory, by columns or with gaps."""
    for layout, meaning in LAYOUTS.items():
        what = next(iter(subject.inputs))
        try:
            found = ["forward returns another result"]
            if same(subject.forward_from(subject.start, layout), subject.y):
                what, found = subject.call.upstream, other_values(subject, layout=layout)
        except Exception as error:
            found = [f"it fails ({type(error).__name__}: {error})"]
        if found:
            return [f"{found[0]} when {what} lies {meaning} in memory: the same numbers in another "
                    'place. Look for order="K" or "A", frombuffer, as_strided and .data.']
    return []


def first_pass(subject):
    """Say whether a gradient is another in the first pass, though the output is the same."""
    first = subject.moved_on(subject.fresh, subject.second)
    if not same(subject.forward_from(first), subject.y):
        return []
    return [f"{found} in the first pass than in the next, though x and dy are the same."
            for found in other_values(subject, start=first)[:1]]


def other_values(subject, **how):
    """List the gradients that come out otherwise if backward runs so."""
    return [f"{subject.gradient_name(name)} has other values"
            for name, other in subject.gradients(**how).items()
            if not same(other, subject.claimed[name])]


def same(a, b):
    """Tell whether two arrays are equal but for rounding; None is like None."""
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= 1e-9 * np.abs(b).max(initial=0)))


# unregistered arrays

def unregistered(subject):
    """Return (what is wrong, names of the rest) about arrays that stay and are not registered."""
    wrong, rest = [], []
    arrays = [array for slot in subject.slots.values()
              if isinstance(array := slot.array(subject.fresh), np.ndarray)]
    places = {place for slot in subject.slots.values() for place in (slot.steps, *slot.gradients)}
    for label, steps, item in owners(subject.fresh):
        graded = with_gradient(follow(subject.warmed, steps), item)
        for name, value in attributes(item).items():
            if ((name in graded or is_floats(value) and value.ndim)
                    and (*steps, name) not in places and name not in getattr(item, "buffers", ())
                    and np.array_equal(follow(subject.start, (*steps, name)), value)
                    and not any(np.may_share_memory(value, array) for array in arrays)):
                reason = why_wrong(subject, item, steps, name, graded)
                (wrong if reason else rest).append(reason or label + name)
    return wrong, rest


def why_wrong(subject, item, steps, name, graded):
    """Say why an array that is not registered should be, or None."""
    where, declared = declaration(item)
    said = f"{name} is not named in `{where or 'parameters'}`, so it is never learned"
    if name in graded:
        return f"{said}, though backward sets {graded[name]}. Name it there."
    short = name.lower().strip("_0123456789")
    if where and not len(declared) or short not in LEARNED and not (
            short[:1] in tuple("wb") and len(name) < 4):
        return None
    thing = copied(subject.start)
    array = follow(thing, (*steps, name))
    array += 1e-3 * subject.rng.standard_normal(array.shape)
    if np.array_equal(subject.forward(thing, subject.inputs), subject.y):
        return None
    return (f"{said}, though {subject.call.output} depends on it, and backward sets no d{name}. "
            f'Name it there; if it is a constant, say so: buffers = ("{name}",).')
