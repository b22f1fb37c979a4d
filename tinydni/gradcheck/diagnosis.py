"""What may have gone wrong: one sentence for the student, when one fits."""

import math
from itertools import permutations

import numpy as np

from tinydni.gradcheck.contract import is_floats
from tinydni.gradcheck.float64_copies import copied
from tinydni.gradcheck.numerical_gradient import RIGHT
from tinydni.gradcheck.parameters import attributes, objects


def diagnose(subject, name, got, found):
    """Return the first explanation that fits a gradient of the right shape, or "".

    What re-running the class decides comes first; what only the numbers suggest comes last.
    """
    g, call = subject.gradient_name(name), subject.call
    if fits(got, found):                # nothing but a small term can be missing
        return float32_inside(subject, name) or (
            f"As a whole {g} agrees to 1e-4: a small term is missing, or rounding disturbs the "
            "differences.")
    explanation = (
        never_set(subject, name, got)
        or backward_draws(subject)
        or old_copy(subject, name, found)
        or forward_remembers(subject)
        or kept_too_long(subject, name, got, found)
        or wrong_axis(subject, g, got, found)
        or ignores_upstream(subject, name, got)
        or parameter_transposed(subject, name, found)
        or float32_inside(subject, name))
    if explanation:
        return explanation
    if not got.any():
        return f"{g} is zero everywhere: is it ever computed?"
    if without_effect(found):
        value, jump = subject.value(name), subject.rng.standard_normal(got.shape)
        if close(subject.numerical(name).output(value + jump), subject.y):
            return f"{call.output} does not change with {name}: does forward use it?"
        return (f"{call.output} changes with {name} in jumps only, as round and sign do: its "
                "gradient is zero.")
    if call.upstream and name in call.differentiated and np.array_equal(got, subject.dy):
        return f"{g} is {call.upstream} unchanged: the layer's own derivative is missing."
    return multiple(g, got, found, call.sizes(subject.y)) or ""


def close(a, b):
    """Tell whether two arrays of numbers agree as a whole, to a relative 1e-4."""
    return np.linalg.norm(np.ravel(a) - np.ravel(b)) <= 1e-4 * np.linalg.norm(b)


def fits(claimed, found):
    """Tell whether another claim for the same gradient is what is expected, away from kinks."""
    if claimed is None or claimed.size <= found.indices[-1] or not found.smooth.any():
        return False
    return close(claimed.reshape(-1)[found.indices][found.smooth], found.expected[found.smooth])


def wrong_shape(got, expected):
    """Return what may be wrong where a gradient has another shape than its array."""
    if got == expected[::-1] and len(got) == 2:
        return "Looks transposed."
    if math.prod(got) == math.prod(expected):
        return "The number of entries is right: is there an axis of size 1 too many or too few?"
    if got[1:] == expected and len(got) == len(expected) + 1:
        return "Looks as if it still had the axis of the batch: sum over it, with .sum(axis=0)."
    if got == ():
        return "Looks like a sum over all axes: sum over the batch only, with .sum(axis=0)."
    return "A gradient has the shape of its array."


def kink(subject, name, found):
    """Name a kink, if all that disagrees lies at kinks."""
    if found.smooth[found.wrong].any():
        return None
    k, value = np.flatnonzero(found.wrong)[0], subject.value(name)
    index = tuple(int(i) for i in np.unravel_index(found.indices[k], value.shape))
    return (f"There is a kink near the input: at {name}{list(index)} = {value[index]:.4g} the "
            f"slope is {found.left[k] + 0:.4g} on one side and {found.right[k] + 0:.4g} on the "
            "other, so differences cannot tell which is meant. Move the input away from the kink "
            "(for ReLU away from 0) and check again.")


def never_set(subject, name, got):
    """Compare with what was there before any pass."""
    left = name in subject.slots and subject.slots[name].gradient(subject.fresh)
    if left is None or not np.array_equal(left, got):
        return None
    return (f"Looks as if backward never sets {subject.gradient_name(name)}: it still holds what "
            "it held before the first backward pass.")


def backward_draws(subject):
    """Tell whether backward moves a random generator on."""
    thing = copied(subject.start)
    subject.forward(thing, subject.inputs)
    before = subject.generators(thing)
    subject.backward(thing, subject.call.on_device(thing, subject.dy))
    if subject.generators(thing) == before:
        return None
    return ("backward draws random numbers, so its mask is another than that of forward: keep that "
            "of forward (self.mask = ...) and use it.")


def old_copy(subject, name, found):
    """Tell whether the gradient is right at the first parameters, and not at moved ones."""
    start = subject.moved_on(subject.start, subject.first)
    claimed = subject.gradients(start=start)[name]
    if not without_effect(found) and subject.numerical(name, start=start).along_directions(
            claimed, subject.rng)[0] != RIGHT:
        return None
    for parameter, value in subject.first.items():
        where = kept_values(subject, value)
        if where:
            return (f"self.{where} is an old copy of {parameter}, made in the constructor or in an "
                    f"earlier pass: it does not follow when {parameter} is updated. Use "
                    f"{parameter} itself.")
    if without_effect(found) or not close(claimed, subject.claimed[name]):
        return None
    return (f"{subject.gradient_name(name)} stays the same when the parameters change: something "
            "computed from them is kept from the constructor or from an earlier pass.")


def without_effect(found):
    """Tell whether the output does not change with the array."""
    return (np.abs(found.expected) <= found.noise).all()


def kept_values(subject, value):
    """Return the attribute that still holds all these values, or None."""
    own = [slot.array(subject.start) for slot in subject.slots.values()]
    return next((label + name for label, _, item in objects(subject.start)
                 for name, kept in attributes(item).items()
                 if is_floats(kept) and kept.size >= value.size > 1 and np.ptp(value)
                 and not any(kept is array for array in own) and np.isin(value, kept).all()), None)


def forward_remembers(subject):
    """Compare the first forward pass of a fresh copy with the same pass after another one."""
    first, second = (subject.forward_from(subject.moved_on(start, subject.second))
                     for start in (subject.fresh, subject.forwarded))
    if subject.generators(subject.fresh)[0] or close(second, first):
        return None
    return (f"forward returns another {subject.call.output} for the same input once it has seen "
            "another one: it keeps something from the earlier pass that it should compute anew.")


def kept_too_long(subject, name, got, found):
    """Run backward with less history; the first history that makes it right tells what was kept."""
    g, slot = subject.gradient_name(name), subject.slots.get(name)

    def claim(start):
        try:
            start = subject.moved_on(start, subject.second)
            return subject.gradients(start=start, beside=False)[name]
        except Exception:               # it needs the history that is left out here
            return None

    if fits(claim(subject.warmed), found):
        return (f"{g} is right as long as no other object of the class runs in between: two "
                "objects share one cache. Keep what backward needs on self, not on the class or in "
                "a global variable.")
    without = claim(subject.forwarded)
    if slot and fits(without, found):
        kept = slot.gradient(subject.warmed)
        said = f"{g} is right in the first backward pass and wrong in the second: "
        if np.shape(kept) == got.shape and close(got - kept, without):
            return (f"{said}it is added to what was there. Set it "
                    f"({'self.' * ('.' not in g)}{g} = ...) instead of adding to it.")
        return f"{said}backward keeps something from the pass before."
    if fits(claim(subject.fresh), found):
        return (f"{g} is right for the first input and wrong for the next: looks like a stale "
                "cache. backward must use what the last forward saved, so save it in every call.")
    return None


def wrong_axis(subject, g, got, found):
    """Tell whether a bias is the sum of dy over another axis than it should be."""
    dy = subject.dy
    if got.ndim != 1 or dy.ndim < 2:
        return None
    others = {axis: tuple(i for i in range(dy.ndim) if i != axis) for axis in range(dy.ndim)
              if dy.shape[axis] == got.size}
    right = [over for over in others.values() if fits(dy.sum(axis=over), found)]
    wrong = [over for over in others.values() if close(dy.sum(axis=over), got)]
    return right and wrong and (
        f"{g} is {subject.call.upstream} summed over the wrong axis: over axis "
        f"{', '.join(map(str, wrong[0]))}, where axis {', '.join(map(str, right[0]))} belongs.")


def ignores_upstream(subject, name, got):
    """Tell whether the gradient is the same for every upstream gradient."""
    upstream, g = subject.call.upstream, subject.gradient_name(name)
    ones = np.ones_like(subject.dy)         # with dy = 1 everywhere, one that forgot dy is right
    if upstream is None or not got.any() or not np.array_equal(
            subject.gradients(dy=ones)[name], got):
        return None
    if subject.numerical(name, ones).along_directions(got, subject.rng)[0] == RIGHT:
        return (f"{g} is right for {upstream} = 1 only: looks as if backward ignores {upstream}. "
                "Multiply by it.")
    return f"{g} is the same for every {upstream}: backward ignores {upstream}. Multiply by it."


def parameter_transposed(subject, name, found):
    """Transpose one parameter after another between forward and backward."""
    forwarded = copied(subject.start)
    subject.forward(forwarded, subject.inputs)
    for parameter, claimed in subject.transposed_gradients(forwarded, subject.dy):
        if fits(claimed[name], found):
            return (f"Looks transposed: {subject.gradient_name(name)} is right once {parameter} is "
                    f"transposed in backward ({parameter} where {parameter}.T belongs, or the "
                    "other way round).")
    return None


def float32_inside(subject, name):
    """Move the array a hair: float64 sees 1e-10, float32 does not."""
    output, value = subject.numerical(name).output, subject.value(name)
    v = np.sqrt(np.mean(value ** 2)) * subject.rng.standard_normal(value.shape)
    change = abs(output(value + 1e-3 * v) - subject.y)
    seen = 1e-7 * change > 1e-14 * abs(subject.y)           # what float64 would show
    lost = output(value + 1e-10 * v) == subject.y
    if not seen.any() or (seen & lost).sum() <= seen.sum() / 2:
        return None
    return (f"Looks like float32 used inside: {subject.call.output} does not feel a change of "
            f"{name} by 1e-10. Look for astype, dtype= or np.float32, and compute in the dtype of "
            "the input.")


def multiple(name, gradient, found, sizes):
    """Say how the gradient, or its transpose, is a multiple of what is expected; else None.

    sizes: (number, what it is) of everything that may be the factor by mistake
    """
    expected = found.expected[found.smooth]
    if not expected.any():
        return None
    for axes in permutations(range(gradient.ndim)):         # the given order comes first
        if tuple(gradient.shape[i] for i in axes) != gradient.shape:
            continue
        candidate = gradient.transpose(axes).reshape(-1)[found.indices][found.smooth]
        factor = candidate @ expected / (expected @ expected)
        if factor == 0 or not close(candidate, factor * expected):
            continue
        turned = axes != tuple(range(gradient.ndim))
        known = [1, 2, *(n for n, _ in sizes)]
        if len(expected) == 1 and not turned and not any(
                np.isclose(max(abs(factor), 1 / abs(factor)), n, rtol=1e-4) for n in known):
            continue                    # a single number is always a multiple of another
        said = []
        if turned:
            how = f"{name}.T" if len(axes) == 2 else f"{name}.transpose{axes}"
            said.append(f"Looks transposed: {how} has the expected values.")
        if factor < 0:
            said.append(f"Looks like the sign is flipped: {name} is minus what it should be.")
        if not np.isclose(abs(factor), 1, rtol=1e-4):
            said.append(said_factor(name, abs(factor), sizes))
        return " ".join(said)
    return None


def said_factor(name, factor, sizes):
    """Say what the factor may be."""
    large, number = factor > 1, max(factor, 1 / factor)
    said = f"{name} is {number:.6g} times too {'large' if large else 'small'} everywhere"
    meanings = [what for n, what in sizes if np.isclose(number, n, rtol=1e-4)]
    if not meanings:
        return f"{said}: looks like a constant factor that is {'too much' if large else 'missing'}."
    if "the batch size N" in meanings:
        reason = ("a missing 1/N" if large else
                  "a 1/N too much (a mean over the batch where a sum belongs)")
    else:
        reason = "a factor too much" if large else "a missing factor (a mean where a sum belongs)"
    return f"{said}, and {number:.6g} is {' and '.join(meanings[:2])}: looks like {reason}."
