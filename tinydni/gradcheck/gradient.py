"""One gradient: directional derivatives first, entry by entry only where these disagree."""

import numpy as np

from tinydni.gradcheck import conduct, contract
from tinydni.gradcheck.diagnosis import diagnose, wrong_shape
from tinydni.gradcheck.report import ArrayReport, Entry, shown, shown_error

SHOWN_ENTRIES = 5


def check_gradient(subject, name, gradient):
    """Checks one gradient: that it is there, its shape and dtype, then its values."""
    value, g = subject.value(name), contract.gradient_name(name)
    message = hint = ""
    if gradient is None:
        message = f"{g} is never set: " + ("backward returns None." if name in subject.inputs else
                                           f"there is no {g} after backward.")
    elif gradient.shape != value.shape:
        message, hint = wrong_shape(name, gradient, value)
    elif gradient.dtype != np.float64:
        message = f"{g} is {gradient.dtype}, though all that goes in is float64."
        hint = "float32 used: look for astype, dtype= or np.float32 in backward."
    elif not np.isfinite(gradient).all():
        message = f"backward gives {conduct.first_not_finite(g, gradient)}."
    else:
        return check_values(subject, name, gradient)
    return ArrayReport(g, value.shape, message=message, diagnosis=hint)


def check_values(subject, name, gradient):
    """Compares along random directions, and where these disagree entry by entry."""
    differences, value, g = subject.differences(name), subject.value(name), contract.gradient_name(name)
    error = differences.directional_error(gradient, subject.rng)
    if error <= subject.settings.tolerance:
        return ArrayReport(g, value.shape, error)
    found = differences.compare(gradient, subject.rng)
    n_wrong, n_compared = int(found.wrong.sum()), len(found.indices)
    if n_wrong == 0 and n_compared == value.size:       # a direction ran over a kink that no single entry reaches
        return ArrayReport(g, value.shape, float(found.error.max()), n_compared=n_compared)
    if n_wrong == 0:
        message = (f"{g} disagrees along random directions (relative error {shown_error(error)}), but at none of the "
                   f"{n_compared} entries that were compared, of {value.size}.")
        return ArrayReport(g, value.shape, error, message, n_compared=n_compared)

    worst = np.argsort(-np.abs(found.got - found.expected) * found.wrong, kind="stable")[:min(SHOWN_ENTRIES, n_wrong)]
    entries = [Entry(tuple(int(i) for i in np.unravel_index(found.indices[k], value.shape)),
                     float(found.got[k]), float(found.expected[k]), float(found.error[k])) for k in worst]
    at, got, expected, entry_error = entries[0]
    message = (f"{g} is wrong at {at}: got {shown(got, entry_error)}, expected {shown(expected, entry_error)} "
               f"(relative error {shown_error(entry_error)}); {n_wrong} of {n_compared} entries disagree.")
    return ArrayReport(g, value.shape, float(found.error.max()), message,
                       diagnose(subject, name, gradient, found), entries, n_wrong, n_compared)
