"""The checks of a layer, a loss and a synthesizer."""

from typing import Any

import numpy as np

from tinydni import backend, checks
from tinydni.gradcheck import contract, contract_violations
from tinydni.gradcheck.compare import check_gradient, other_batch_size
from tinydni.gradcheck.contract import Call, ContractError
from tinydni.gradcheck.gradient_report import GradientError, Report
from tinydni.gradcheck.numerical_gradient import Settings
from tinydni.gradcheck.parameters import declaration
from tinydni.gradcheck.subject import Subject, TransposedError

Random = np.random.Generator | None


def check_layer(layer: Any, *inputs: Any, state: Any = None, rng: Random = None,
                **settings: Any) -> Report:
    """Check dx and the gradient of every parameter of a layer.

    s = sum(dy · forward(x)) for a random dy, and for each array a and three random directions v
    <gradient, v> = (s(a + step v) - s(a - step v)) / (2 step), in float64, to a relative 1e-6.

    Copies are checked; the layer stays as it is. Their parameters are moved a little, so that a
    zero or an old copy of a weight hides nothing. All is right if `report.ok`; `print(report)`
    says the rest.

    Parameters
    ----------
    layer : y = forward(x, ...), dx = backward(dy, ...), with one or several inputs and outputs
    *inputs : x (N, ...), or its shape; then x is drawn. Whole numbers have no gradient.
    state : one more input, of a recurrent layer, y, end = forward(x, state); or its shape
    rng : draws everything; by default from a fixed seed
    **settings : step, directions, tolerance, most_entries, as in `Settings`

    Raises
    ------
    ContractError : the class lacks something
    TypeError, ValueError : an input is no array of finite numbers

    Examples
    --------
    >>> class Square:
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x ** 2
    ...     def backward(self, dy):
    ...         return self.x * dy
    >>> check_layer(Square(), (5, 3)).arrays[0].diagnosis
    'dx is 2 times too small everywhere: looks like a constant factor that is missing.'
    """
    inputs = inputs if state is None else (*inputs, state)
    return run(layer, inputs, None, rng, settings)


def check_loss(loss: Any, prediction: Any, target: Any, rng: Random = None,
               **settings: Any) -> Report:
    """Check dprediction of a loss, and that the loss is a mean over the batch.

    What is not said here is as for `check_layer`.

    Parameters
    ----------
    loss : loss = forward(prediction, target), dprediction = backward()
    prediction, target (N, ...) : arrays, or their shapes; the target is not differentiated
    """
    contract.require(loss)
    if contract.arguments_of(loss.backward)[0]:
        raise ContractError(f"{type(loss).__name__}.backward takes an argument; that of a loss "
                            "takes none and returns the gradient at what forward saw last.")
    return run(loss, (prediction, target), ("prediction", "target"), rng, settings,
               differentiated=("prediction",), output="loss", upstream=None)


def check_synthesizer(synthesizer: Any, h: Any, context: Any = None, rng: Random = None,
                      **settings: Any) -> Report:
    """Check the gradients of a synthesizer's own parameters; nothing flows from it into h.

    What is not said here is as for `check_layer`.

    Parameters
    ----------
    synthesizer : delta_hat = forward(h, context), backward(ddelta_hat)
    h (N, H), context (N, C) : arrays, or their shapes; the context may be None
    """
    return run(synthesizer, (h, context), ("h", "context"), rng, settings,
               differentiated=(), output="delta_hat", upstream="ddelta_hat")


def check(thing: Any, *inputs: Any, rng: Random = None, **settings: Any) -> Report:
    """Check a layer (x, ...), a loss (prediction, target) or a synthesizer (h, context).

    A loss is known by a backward without argument, a synthesizer by its method `learn`. The rest
    is as for `check_layer`, `check_loss` and `check_synthesizer`.
    """
    contract.require(thing)
    name, n = type(thing).__name__, len(inputs)
    if contract.takes_no_argument(thing.backward):
        if n != 2:
            raise TypeError(f"{name}.backward takes no argument, as that of a loss, and a loss is "
                            f"checked with a prediction and a target; got {n} inputs. (The "
                            "backward of a layer takes dy.)")
        return check_loss(thing, inputs[0], inputs[1], rng, **settings)
    if hasattr(thing, "learn"):
        if n not in (1, 2):
            raise TypeError(f"{name} is a synthesizer, checked with h and a context (or None); got "
                            f"{n} inputs.")
        return check_synthesizer(thing, inputs[0], inputs[1] if n == 2 else None, rng, **settings)
    return check_layer(thing, *inputs, rng=rng, **settings)


def assert_gradients(thing: Any, *inputs: Any, rng: Random = None, **settings: Any) -> None:
    """Raise GradientError, with the whole report as its message, unless `check` is content.

    Examples
    --------
    >>> class Double:
    ...     def forward(self, x):
    ...         return 2 * x
    ...     def backward(self, dy):
    ...         return 2 * dy
    >>> assert_gradients(Double(), (3, 2))
    """
    report = check(thing, *inputs, rng=rng, **settings)
    if not report.ok:
        raise GradientError(report)


def run(thing, inputs, names, rng, settings, **how):
    """Check one object that is called in one way: `how` is for `Call`."""
    contract.require(thing)
    rng = np.random.default_rng(0) if rng is None else checks.check_generator(rng)
    own = contract.names_of_inputs(thing, len(inputs))
    inputs = {name: as_input(value, name, rng) if value is not None or not i else None
              for i, (name, value) in enumerate(zip(names or own, inputs, strict=True))}
    if how.get("output") == "loss" and inputs["prediction"].dtype.kind != "f":
        raise TypeError("prediction holds whole numbers, which have no gradient; give floats.")
    with np.errstate(all="ignore"):         # what is not finite is reported by name
        try:
            return examine(Subject(thing, Call(inputs, **how), rng, Settings(**settings)))
        except TransposedError as error:
            return Report(type(thing).__name__, problems=[str(error)])


def as_input(value, name, rng):
    """Return an array in float64 (whole numbers stay), or one drawn at random for a shape."""
    if isinstance(value, tuple) and value and all(isinstance(n, (int, np.integer)) for n in value):
        if min(value) < 1:
            raise ValueError(f"the shape of {name} must hold positive numbers; got {value}.")
        return rng.standard_normal(value)
    try:
        array = backend.to_numpy(value) if hasattr(value, "shape") else np.asarray(value)
    except ValueError:                      # lists of different lengths
        array = np.empty(0)
    if array.dtype.kind not in "fiub" or array.size == 0 or np.ma.is_masked(value):
        raise TypeError(f"{name} must be an array of numbers, or a shape as a tuple; got "
                        f"{checks.brief(value)}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; got "
                         f"{contract_violations.first_not_finite(name, array)}.")
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def examine(subject):
    """Look for contract violations, then at one gradient after the other."""
    if not subject.names():
        raise ContractError(f"{subject.name} has no parameters, so there is nothing to check. Name "
                            'its learned arrays: parameters = ("W", "b").')
    unregistered, idle = contract_violations.unregistered(subject)
    if obstacle := contract_violations.obstacle(subject):
        return Report(subject.name, problems=[obstacle])
    report = Report(subject.name, problems=contract_violations.changed_arrays(subject)
                    + unregistered + contract_violations.not_a_mean(subject))
    report.arrays = [check_gradient(subject, name, subject.claimed[name])
                     for name in subject.names()]
    if report.ok:
        report.problems += (contract_violations.first_pass(subject)
                            or contract_violations.memory_order(subject)
                            or other_batch_size(subject))
    report.notes += notes(subject, idle, report.ok)
    return report


def notes(subject, idle, ok):
    """List what a reader should know about the check, though nothing of it is wrong."""
    call, found = subject.call, []
    if call.output == "y":
        if not subject.slots:
            checked = " and ".join(map(subject.gradient_name, call.differentiated))
            verb = "are" if call.differentiated[1:] else "is"
            found.append(f"it has no parameters, so only {checked} {verb} checked.")
        found += [f"{name} holds whole numbers, which have no gradient."
                  for name, array in subject.inputs.items()
                  if array is not None and name not in call.differentiated]
    if call.output == "delta_hat" and call.returned:
        found.append("backward returned something; a synthesizer passes nothing down.")
    own = tuple(slot.name for slot in subject.slots.values() if len(slot.steps) == 1)
    if own and declaration(subject.fresh)[0] is None:
        found.append("its parameters are taken to be those that backward sets a gradient of. Name "
                     f"them in the class: parameters = {own!r}.".replace("'", '"'))
    if idle:
        found.append("kept, but not named in `parameters`, so neither learned nor checked: "
                     f"{', '.join(idle)}.")
    if subject.moved and not ok:
        found.append("parameters that start all zero or all one are checked at random values "
                     f"nearby: {', '.join(subject.moved)}.")
    return found
