"""What may have gone wrong: one sentence for the student, when one fits."""

import numpy as np

from tinydni.gradcheck import proportional
from tinydni.gradcheck.contract import gradient_name
from tinydni.gradcheck.copies import copied
from tinydni.gradcheck.proportional import close
from tinydni.gradcheck.subject import kept_gradients


def diagnose(subject, name, gradient, comparison):
    """The first explanation that fits a gradient of the right shape with wrong entries, or "".

    What re-running the class decides comes first; what only the numbers suggest comes last.
    """
    g = gradient_name(name)
    if fits(gradient, comparison):          # nothing but a small term can be missing; re-running would tell nothing
        return (kink(subject, name, comparison) or float32_inside(subject, name)
                or f"As a whole {g} agrees to 1e-4: a small term is missing, or the input is so far from zero that "
                   "rounding disturbs the differences.")
    return (kink(subject, name, comparison)
            or never_set(subject, name, gradient)
            or forward_remembers(subject)
            or kept_too_long(subject, name, comparison)
            or ignores_upstream(subject, name, gradient)
            or parameter_transposed(subject, name, comparison)
            or float32_inside(subject, name)
            or unused(subject, name, gradient, comparison)
            or all_zero(name, gradient)
            or same_as_upstream(subject, name, gradient)
            or proportional.explain(g, gradient, comparison, subject.call.sizes(subject.y))
            or "")


def wrong_shape(name, gradient, value):
    """The sentence for a gradient that has another shape than its array."""
    got, expected = gradient.shape, value.shape
    if got == expected[::-1] and len(got) == 2:
        hint = "Looks transposed."
    elif got[1:] == expected and len(got) == len(expected) + 1:
        hint = "Looks as if it still had the axis of the batch: sum over it, with .sum(axis=0)."
    elif gradient.size == value.size:
        hint = "The number of entries is right: is there an axis of size 1 too many or too few (keepdims)?"
    elif got == ():
        hint = "Looks like a sum over all axes: sum over the batch only, with .sum(axis=0)."
    else:
        hint = "A gradient has the shape of its array."
    return f"{gradient_name(name)} has shape {got}, expected {expected}, the shape of {name}.", hint


def kink(subject, name, comparison):
    if not comparison.wrong.any() or comparison.smooth[comparison.wrong].any():
        return None
    k = np.flatnonzero(comparison.wrong)[0]
    value = subject.value(name)
    index = tuple(int(i) for i in np.unravel_index(comparison.indices[k], value.shape))
    return (f"There is a kink near the input: at {name}{list(index)} = {value[index]:.4g} the slope is "
            f"{comparison.left[k]:.4g} on one side and {comparison.right[k]:.4g} on the other, so differences cannot "
            "tell which is meant. Move the input away from the kink (for ReLU away from 0) and check again.")


def never_set(subject, name, gradient):
    left = None if name in subject.call.differentiated else kept_gradients(subject.fresh)[name]
    if left is not None and np.array_equal(left, gradient):
        g = gradient_name(name)
        return f"Looks as if backward never sets {g}: it still holds what it held before the first backward pass."
    return None


def forward_remembers(subject):
    """Compares the first forward pass of a fresh copy with the same pass after another one."""
    first, second = subject.forward_from(subject.fresh), subject.forward_from(subject.forwarded)
    if subject.keeps_generator() or close(second.ravel(), first.ravel()):
        return None
    return (f"forward returns another {subject.call.output} for the same input once it has seen another one: "
            "it keeps something from the earlier pass that it should compute anew.")


def kept_too_long(subject, name, comparison):
    """Runs backward with less and less history; the first history that makes it right tells what was kept."""
    g = gradient_name(name)

    def right(start):
        try:
            return fits(subject.gradients(start=start, beside=False)[name], comparison)
        except Exception:       # a class that needs the history that is left out here is not right without it
            return False

    if right(subject.warmed):
        return (f"{g} is right as long as no other object of the class runs in between: two objects share one cache. "
                "Keep what backward needs on self, not on the class or in a global variable.")
    if right(subject.forwarded):
        return (f"{g} is right in the first backward pass and wrong in the second: it is added to what was there. "
                f"Set it (self.{g.rpartition('.')[2]} = ...) instead of adding to it.")
    if right(subject.fresh):
        return (f"{g} is right for the first input and wrong for the next: looks like a stale cache. backward must "
                "use what the last forward saved, so save it in every call.")
    return None


def fits(gradient, comparison):
    """Tells whether another claim for the same gradient is what the differences say, away from kinks."""
    if gradient is None or gradient.size <= comparison.indices[-1] or not comparison.smooth.any():
        return False
    return close(gradient.reshape(-1)[comparison.indices][comparison.smooth], comparison.expected[comparison.smooth])


def ignores_upstream(subject, name, gradient):
    upstream, g = subject.call.upstream, gradient_name(name)
    if upstream is None:
        return None
    ones = np.ones_like(subject.dy)         # with dy = 1 everywhere, a backward that forgot dy is right
    claimed = subject.gradients(dy=ones)[name]
    if np.abs(claimed).max() <= 1e-9 * np.abs(gradient).max():     # as below a normalisation: it tells nothing
        return None
    if subject.differences(name, ones).directional_error(claimed, subject.rng) <= subject.settings.tolerance:
        return f"{g} is right for {upstream} = 1 only: looks as if backward ignores {upstream}. Multiply by it."
    if np.array_equal(claimed, gradient):
        return f"{g} is the same for every {upstream}: backward ignores {upstream}. Multiply by it."
    return None


def parameter_transposed(subject, name, comparison):
    """Transposes one parameter after another between forward and backward."""
    forwarded = copied(subject.warmed)
    subject.forward(forwarded, subject.inputs)
    for parameter, claimed in subject.transposed_gradients(forwarded, subject.dy):
        if fits(claimed[name], comparison):
            return (f"Looks transposed: {gradient_name(name)} is right once {parameter} is transposed in backward "
                    f"({parameter} where {parameter}.T belongs, or the other way round).")
    return None


def float32_inside(subject, name):
    """Moves the array a hair: float64 sees 1e-10, float32 does not."""
    output, value = subject.output_of(name), subject.value(name)
    v = np.sqrt(np.mean(value ** 2)) * subject.rng.standard_normal(value.shape)
    seen = output(value + 1e-3 * v) != subject.y
    lost = output(value + 1e-10 * v) == subject.y
    if seen.any() and (seen & lost).sum() > seen.sum() / 2:
        return (f"Looks like float32 used inside: {subject.call.output} does not feel a change of {name} by 1e-10. "
                "Look for astype, dtype= or np.float32, and compute in the dtype of the input.")
    return None


def unused(subject, name, gradient, comparison):
    if gradient.any() and (np.abs(comparison.expected) <= 1e-6 * comparison.smallest).all():
        return f"{subject.call.output} does not change with {name}: does forward use it?"
    return None


def all_zero(name, gradient):
    return None if gradient.any() else f"{gradient_name(name)} is zero everywhere: is it ever computed?"


def same_as_upstream(subject, name, gradient):
    dy = subject.call.upstream
    if dy and name in subject.call.differentiated and np.array_equal(gradient, subject.dy):
        return f"{gradient_name(name)} is {dy} unchanged: the layer's own derivative is missing."
    return None
