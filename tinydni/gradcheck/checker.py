"""The checks of a layer, a loss and a synthesizer."""

import inspect

import numpy as np

from tinydni.gradcheck import conduct, contract
from tinydni.gradcheck.calls import LayerCall, LossCall, RecurrentCall, SynthesizerCall
from tinydni.gradcheck.contract import ContractError
from tinydni.gradcheck.differences import Settings
from tinydni.gradcheck.gradient import check_gradient
from tinydni.gradcheck.report import GradientError, Report
from tinydni.gradcheck.subject import Subject, TransposedError, parameters


def check_layer(layer, x, state=None, rng=None, **settings):
    """Checks dx and the gradient of every parameter of a layer.

    s = sum(dy · forward(x)) for a random dy;   <gradient, v> = (s(a + step v) - s(a - step v)) / (2 step) for each
    array a and three random directions v, in float64, to a relative error of 1e-6. Copies are checked; the layer
    stays as it is. Parameters that are all zero or all one are moved to random values near.

    x (N, ...): the input, or its shape as a tuple; then x is drawn from `rng` (default: a fixed seed)
    state (N, S): of a recurrent layer, likewise; its gradient and that at the state after the last step take part
    settings: step, directions, tolerance, most_entries (see Settings)

    Returns a Report. Raises ContractError where the class lacks something, ValueError for NaN in x.
    """
    rng = rng or np.random.default_rng(0)
    x = as_input(x, "x", rng)
    call = LayerCall(x) if state is None else RecurrentCall(x, as_input(state, "state", rng))
    return run(layer, call, rng, Settings(**settings))


def check_loss(loss, prediction, target, rng=None, **settings):
    """Checks dprediction of a loss, and that the loss is a mean over the batch.

    prediction (N, ...), target: arrays, or their shapes; the target is not differentiated
    Otherwise as `check_layer`.
    """
    contract.require(loss)
    if not takes_no_argument(loss.backward):
        raise ContractError(f"{type(loss).__name__}.backward takes an argument; that of a loss takes none and returns "
                            "the gradient at what forward saw last.")
    rng = rng or np.random.default_rng(0)
    call = LossCall(as_input(prediction, "prediction", rng), as_input(target, "target", rng))
    if call.inputs["prediction"].dtype.kind != "f":
        raise TypeError("prediction holds whole numbers, which have no gradient; give floats.")
    return run(loss, call, rng, Settings(**settings))


def check_synthesizer(synthesizer, h, context=None, rng=None, **settings):
    """Checks the gradients of a synthesizer's own parameters; nothing flows from it into h or the context.

    h (N, H), context (N, C): arrays, or their shapes; context may be None
    Otherwise as `check_layer`.
    """
    rng = rng or np.random.default_rng(0)
    context = None if context is None else as_input(context, "context", rng)
    call = SynthesizerCall(as_input(h, "h", rng), context)
    return run(synthesizer, call, rng, Settings(**settings))


def check(thing, *inputs, rng=None, **settings):
    """Checks a layer (inputs: x; a recurrent one: x, state), a loss (prediction, target) or a synthesizer (h, context).

    A loss is known by a backward without argument, a synthesizer by its method `learn`, a recurrent layer by a second
    argument of its backward.
    """
    contract.require(thing)
    name, n = type(thing).__name__, len(inputs)
    if takes_no_argument(thing.backward):
        if n != 2:
            raise TypeError(f"{name}.backward takes no argument, as that of a loss, and a loss is checked with a "
                            f"prediction and a target; got {n} inputs. (The backward of a layer takes dy.)")
        return check_loss(thing, *inputs, rng=rng, **settings)
    if hasattr(thing, "learn"):
        if n not in (1, 2):
            raise TypeError(f"{name} is a synthesizer, checked with h and a context (or None); got {n} inputs.")
        return check_synthesizer(thing, *inputs, rng=rng, **settings)
    if n == 2 and len(inspect.signature(thing.backward).parameters) == 2:
        return check_layer(thing, *inputs, rng=rng, **settings)
    if n != 1:
        raise TypeError(f"{name} is a layer, checked with one input x; got {n} inputs. "
                        "(The backward of a loss takes no argument.)")
    return check_layer(thing, *inputs, rng=rng, **settings)


def assert_gradients(thing, *inputs, rng=None, **settings):
    """Raises GradientError, with the whole report as its message, unless `check` finds all gradients right."""
    report = check(thing, *inputs, rng=rng, **settings)
    if not report.ok:
        raise GradientError(report)


def takes_no_argument(method):
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
               for p in inspect.signature(method).parameters.values())


def as_input(value, name, rng):
    """An array in float64 (whole numbers stay as they are), or one drawn at random for a shape."""
    if isinstance(value, tuple) and value and all(isinstance(n, (int, np.integer)) for n in value):
        if min(value) < 1:
            raise ValueError(f"the shape of {name} must hold positive numbers; got {value}.")
        return rng.standard_normal(value)
    array = contract.to_host(value, name) if hasattr(value, "dtype") else np.asarray(value)
    if array.dtype.kind not in "fiub" or array.size == 0:
        raise TypeError(f"{name} must be an array of numbers, or a shape as a tuple; got {value!r}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; got {conduct.first_not_finite(name, array)}.")
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def run(thing, call, rng, settings):
    """The whole check of one object, called in one way."""
    contract.require(thing)
    if not isinstance(call, LossCall):
        contract.require_parameter_names(thing)
    with np.errstate(all="ignore"):         # what is not finite is reported by name
        try:
            subject = Subject(thing, call, rng, settings)
        except TransposedError as error:
            return Report(type(thing).__name__, problems=[str(error)])
        return examine(subject)


def examine(subject):
    """Looks at the conduct of forward and backward, then at one gradient after the other."""
    if not subject.names():
        raise ContractError(f"{subject.name} has no parameters, so there is nothing to check. Name its learned "
                            'arrays: parameters = ("W", "b").')
    report = Report(subject.name, notes=notes(subject))
    obstacle = conduct.obstacle(subject)
    if obstacle:
        report.problems.append(obstacle)
        return report
    report.problems += conduct.misconduct(subject)
    if isinstance(subject.call, LossCall):
        report.problems += conduct.not_a_mean(subject)
    report.arrays = [check_gradient(subject, name, subject.claimed[name]) for name in subject.names()]
    if subject.moved and not report.ok:
        report.notes.append("parameters that start all zero or all one are checked at random values nearby: "
                            f"{', '.join(subject.moved)}.")
    return report


def notes(subject):
    """What a reader should know about the check, though nothing of it is wrong."""
    found, call, idle = [], subject.call, subject.idle_arrays()
    if isinstance(call, LayerCall) and not parameters(subject.fresh):
        found.append("it has no parameters, so only dx is checked.")
    if isinstance(call, LayerCall) and not call.differentiated:
        found.append("x holds whole numbers, so dx is not checked.")
    if isinstance(call, SynthesizerCall) and call.passed_down:
        found.append("backward returned something; a synthesizer passes nothing down.")
    if idle:
        found.append(f"kept, but not named in `parameters`, so neither learned nor checked: {', '.join(idle)}.")
    return found
