"""The analytic gradient against the numerical one: along directions, then entry by entry."""

import numpy as np

from tinydni.gradcheck.contract_violations import first_not_finite
from tinydni.gradcheck.diagnosis import diagnose, float32_inside, kink, wrong_shape
from tinydni.gradcheck.gradient_report import ArrayReport, Entry, shown, shown_error
from tinydni.gradcheck.numerical_gradient import RIGHT, UNSURE
from tinydni.gradcheck.subject import said

SHOWN_ENTRIES = 5


def check_gradient(subject, name, analytic):
    """Check one gradient: that it is there, its shape and dtype, then its values."""
    value, g = subject.value(name), subject.gradient_name(name)
    message = hint = ""
    if analytic is None:
        message = (f"backward returns None where {g} belongs; is its last line a `return`?"
                   if name in subject.inputs else
                   f"{g} is never set: there is no {g} after backward.")
    elif analytic.shape != value.shape:
        message, hint = wrong_shape(name, g, analytic, value)
    elif analytic.dtype != np.float64:
        message = f"{g} is {analytic.dtype}, though all that goes in is float64."
        hint = "float32 used: look for astype, dtype= or np.float32 in backward."
    elif not np.isfinite(analytic).all():
        message = f"backward gives {first_not_finite(g, analytic)}."
    else:
        return check_values(subject, name, analytic)
    return ArrayReport(g, value.shape, message=message, diagnosis=hint)


def check_values(subject, name, analytic):
    """Compare along random directions, and where these disagree entry by entry."""
    numerical, value, g = subject.numerical(name), subject.value(name), subject.gradient_name(name)
    verdict, error, ours, theirs, uncertainty = numerical.along_directions(analytic, subject.rng)
    if verdict == RIGHT:
        return right_unless_coarse(subject, name, numerical, error)
    if verdict == UNSURE:
        message = (f"{g} cannot be checked here: along a random direction it is {ours:.6g}, and "
                   f"the differences say {theirs:.6g} ± {uncertainty:.1g}.")
        return ArrayReport(g, value.shape, error, message, "Rounding hides what it should be: check "
                           "at smaller numbers, or take a gentler function.", unsure=True)
    found = numerical.compare(analytic, subject.rng)
    n_wrong, n_compared = int(found.wrong.sum()), len(found.indices)
    if n_wrong == 0 and n_compared == value.size:   # a direction ran over a kink, no entry does
        return right_unless_coarse(subject, name, numerical, float(found.error.max()))
    if n_wrong == 0:
        message = (f"{g} disagrees along a random direction: got {ours:.6g}, expected {theirs:.6g} "
                   f"± {uncertainty:.1g}, but at none of the {n_compared} entries that were "
                   f"compared, of {value.size}.")
        return ArrayReport(g, value.shape, error, message, "There may be a kink near the input.",
                           n_compared=n_compared, unsure=True)

    size = np.abs(found.analytic - found.numerical) * found.wrong
    worst = np.argsort(-size, kind="stable")[:min(SHOWN_ENTRIES, n_wrong)]
    entries = [Entry(tuple(int(i) for i in np.unravel_index(found.indices[k], value.shape)),
                     float(found.analytic[k]), float(found.numerical[k]), float(found.error[k]))
               for k in worst]
    at, got, expected, entry_error = entries[0]
    message = (f"{g} is wrong at {at}: got {shown(got, entry_error)}, expected "
               f"{shown(expected, entry_error)} (relative error {shown_error(entry_error)}); "
               f"{n_wrong} of {n_compared} entries disagree.")
    bent = kink(subject, name, found)
    if bent:
        message = message.replace("is wrong at", "cannot be checked at", 1)
    return ArrayReport(g, value.shape, float(found.error.max()), message,
                       bent or diagnose(subject, name, analytic, found), entries,
                       n_wrong, n_compared, unsure=bool(bent))


def right_unless_coarse(subject, name, numerical, error):
    """Report a gradient that agrees; where steps had to be fitted, look for float32 first."""
    g, lost = subject.gradient_name(name), numerical.fitted and float32_inside(subject, name)
    message = f"{g} can be checked to {error:.1g} only." if lost else ""
    return ArrayReport(g, subject.value(name).shape, error, message, lost or "")


def other_batch_size(subject):
    """Say whether a gradient is right at this batch size only."""
    name, x = next(iter(subject.inputs.items()))
    if subject.size_problem:
        return [f"it runs at {name} of one batch size only. After another one "
                f"{said(subject.size_problem)}"]
    here, there = x.shape, subject.other[name].shape
    if here == there or min(here) == 1:
        return []
    other = subject.at_other_inputs()
    return [f"{found.gradient} is right for {name} of shape {here}, and wrong for {there}: a batch "
            f"size is kept from the constructor or from an earlier pass. Use len({name}) of this "
            "pass." for found in (check_gradient(other, array, gradient)
                                  for array, gradient in other.claimed.items())
            if found.verdict == "WRONG"][:1]
