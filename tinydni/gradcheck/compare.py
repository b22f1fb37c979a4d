"""The analytic gradient against the numerical one: along directions, then entry by entry."""

import numpy as np

from tinydni.gradcheck.contract_violations import first_not_finite
from tinydni.gradcheck.diagnosis import diagnose, float32_inside, kink, wrong_shape
from tinydni.gradcheck.gradient_report import ArrayReport, Entry, shown, shown_error
from tinydni.gradcheck.numerical_gradient import RIGHT, UNSURE, WRONG
from tinydni.gradcheck.subject import said

SHOWN_ENTRIES = 5


def check_gradient(subject, name, got):
    """Check one gradient: that it is there, its shape and dtype, then its values."""
    value, g, hint = subject.value(name), subject.gradient_name(name), ""
    if got is None:
        message = (f"backward returns None where {g} belongs; is its last line a `return`?"
                   if name in subject.inputs else
                   f"{g} is never set: there is no {g} after backward.")
    elif got.shape != value.shape:
        message = f"{g} has shape {got.shape}, expected {value.shape}, the shape of {name}."
        hint = wrong_shape(got.shape, value.shape)
    elif got.dtype != np.float64:
        message = f"{g} is {got.dtype}, though all that goes in is float64."
        hint = "float32 used: look for astype, dtype= or np.float32 in backward."
    elif not np.isfinite(got).all():
        message = f"backward gives {first_not_finite(g, got)}."
    else:
        return check_values(subject, name, got)
    return ArrayReport(g, value.shape, message=message, diagnosis=hint, verdict=WRONG)


def check_values(subject, name, got):
    """Compare along random directions, and where these disagree entry by entry."""
    numerical, g = subject.numerical(name), subject.gradient_name(name)
    report = ArrayReport(g, subject.value(name).shape)
    report.verdict, report.relative_error, ours, theirs, uncertainty = numerical.along_directions(
        got, subject.rng)
    along = f"along a random direction it is {ours:.6g}, expected {theirs:.6g} ± {uncertainty:.1g}"
    if report.verdict == WRONG:
        found = numerical.compare(got, subject.rng)
        if found.wrong.any():
            return entry_by_entry(subject, name, got, found, report)
        report.n_compared, report.relative_error = len(found.error), float(found.error.max())
        if report.n_compared < got.size:
            report.verdict, report.message = UNSURE, (
                f"{g} cannot be checked here: {along}, but none of {report.n_compared} entries, of "
                f"{got.size}, disagrees.")
            report.diagnosis = "There may be a kink near the input."
            return report
        report.verdict = RIGHT          # a direction ran over a kink that no single entry reaches
    if report.verdict == UNSURE:
        report.message = f"{g} cannot be checked here: {along}."
        report.diagnosis = ("Rounding hides what it should be: check at smaller numbers, or take a "
                            "gentler function.")
    elif numerical.fitted:              # a step as large as that would hide float32
        report.diagnosis = float32_inside(subject, name) or ""
        if report.diagnosis:
            report.verdict, report.message = WRONG, f"{g} cannot be told to the last digits."
    return report


def entry_by_entry(subject, name, got, found, report):
    """Fill in the worst entries, and what may be the reason."""
    g, n_wrong = report.gradient, int(found.wrong.sum())
    worst = np.argsort(-np.abs(found.got - found.expected) * found.wrong, kind="stable")
    report.entries = [
        Entry(tuple(int(i) for i in np.unravel_index(found.indices[k], got.shape)),
              float(found.got[k]), float(found.expected[k]), float(found.error[k]))
        for k in worst[:min(SHOWN_ENTRIES, n_wrong)]]
    at, ours, expected, error = report.entries[0]
    bent = kink(subject, name, found)
    report.verdict = UNSURE if bent else WRONG
    report.relative_error = float(found.error.max())
    report.n_wrong, report.n_compared = n_wrong, len(found.error)
    report.message = (f"{g} {'cannot be checked' if bent else 'is wrong'} at {at}: got "
                      f"{shown(ours, error)}, expected {shown(expected, error)} (relative error "
                      f"{shown_error(error)}); {n_wrong} of {report.n_compared} entries disagree.")
    report.diagnosis = bent or diagnose(subject, name, got, found)
    return report


def other_batch_size(subject):
    """Say whether a gradient is right at this batch size only."""
    name, x = next(iter(subject.inputs.items()))
    if subject.size_problem:
        return ["it does not take batches of different sizes, one after the other: "
                f"{said(subject.size_problem)}"]
    here, there = x.shape, subject.other[name].shape
    if here == there:
        return []
    other = subject.at_other_inputs()
    return [f"{found.gradient} is right for {name} of shape {here}, and wrong for {there}: a batch "
            f"size is kept from the constructor or from an earlier pass. Use len({name}) of this "
            "pass." for found in (check_gradient(other, array, gradient)
                                  for array, gradient in other.claimed.items())
            if found.verdict == WRONG][:1]
