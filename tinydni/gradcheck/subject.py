"""A float64 copy of what is checked, at fixed inputs, run as often as the check needs."""

import copy
import traceback
from functools import cached_property
from pathlib import Path

import numpy as np

from tinydni.gradcheck.contract import ContractError, is_floats, to_device, to_host
from tinydni.gradcheck.float64_copies import copied, everything_inside, in_float64
from tinydni.gradcheck.numerical_gradient import NumericalGradient
from tinydni.gradcheck.parameters import find_slots


class TransposedError(Exception):
    """backward raises an error, and runs once a parameter is transposed; the message says so."""

    def __init__(self, parameter, error):
        super().__init__(f"{said(error)} Looks transposed: it runs once {parameter} is transposed.")


def said(error):
    """Say where backward failed."""
    if hasattr(error, "where"):             # it says so itself: it comes from another process
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    method = last.name if last.name in ("forward", "backward") else "it"
    return (f"{method} fails with {type(error).__name__}: {error} ({Path(last.filename).name}, "
            f"line {last.lineno}: {last.line}).")


class Subject:
    """What is checked. Every run starts from a copy, so that nothing that a run leaves behind can
    change the next one: caches, running statistics, the state of a random generator.

    fresh: the copy before any run
    forwarded: after a forward pass on other inputs, of another batch size where that runs
    warmed: after a backward pass, too
    start: with other values of the parameters, besides. The check begins here: a cache that only
        the first pass fills, a gradient that is added to, a copy of a weight or of a batch size
        that is kept shows because of that.
    y, dy: what forward returns at the inputs, and the random upstream gradient
    """

    def __init__(self, thing, call, rng, settings):
        self.name = type(thing).__name__
        self.call, self.inputs, self.rng, self.settings = call, call.inputs, rng, settings
        self.fresh, self.size_problem = in_float64(thing), None
        self.slots = self.find_parameters()
        self.moved = move_constant_parameters(self.slots, self.fresh, rng)
        self.first = {name: to_host(slot.array(self.fresh), name).copy()
                      for name, slot in self.slots.items()}
        self.second = {name: value * (1 + 0.1 * rng.uniform(-1, 1, value.shape))
                       for name, value in self.first.items()}
        self.begin(other_inputs(self.inputs, rng))

    def find_parameters(self):
        """Find the learned arrays, after one pass on a copy, and make numbers arrays."""
        scout = copied(self.fresh)
        y = self.forward(scout, self.inputs)
        lazy = copied(scout)
        try:
            self.call.backward(scout, self.call.on_device(scout, np.ones_like(y), "C"))
        except Exception:               # it is told where the check meets it again
            pass
        slots = find_slots(self.fresh, scout)
        if any(slot.array(self.fresh) is None for slot in slots):
            self.fresh = lazy           # forward makes them in its first pass
        for slot in slots:
            array = slot.array(self.fresh)
            if isinstance(array, (int, float, np.number)):
                slot.replace(self.fresh, np.array(array, np.float64))
            elif getattr(array, "dtype", None) != np.float64:
                got = getattr(array, "dtype", type(array).__name__)
                raise ContractError(f"{self.name}: the parameter {slot.name} is no array of "
                                    f"floats; got {got}.")
        return {slot.name: slot for slot in slots}

    def begin(self, histories):
        """Take the first history that the object survives, those of other batch sizes first."""
        *other_sizes, same_size = histories
        for self.other in other_sizes:
            self.forwarded = copied(self.fresh)
            try:
                y = self.forward(self.forwarded, self.other)
            except Exception:           # perhaps this axis is no batch
                continue
            try:
                self.warm_up(y)
            except Exception as error:
                self.size_problem = self.size_problem or error
            else:
                self.size_problem = None
                return
        self.other, self.forwarded = same_size, copied(self.fresh)
        self.warm_up(self.forward(self.forwarded, self.other))

    def warm_up(self, y):
        """Run a backward pass, move the parameters, and run both passes at the inputs."""
        dy = self.call.draw_upstream(self.rng, y)
        self.warmed = copied(self.forwarded)
        try:
            self.backward(self.warmed, self.call.on_device(self.warmed, dy, "C"))
        except Exception as error:
            for parameter, _ in self.transposed_gradients(self.forwarded, dy):
                raise TransposedError(parameter, error) from error
            raise
        self.start = self.moved_on(self.warmed)
        self.y = self.forward_from(self.start)
        self.dy = self.call.draw_upstream(self.rng, self.y)
        if self.other[next(iter(self.inputs))].shape != next(iter(self.inputs.values())).shape:
            self.gradients()            # raises an error where a batch size is kept

    def at_other_inputs(self):
        """Return the same subject at the inputs of the history."""
        twin = copy.copy(self)
        twin.inputs, twin.other = self.other, self.inputs
        twin.__dict__.pop("claimed", None)
        twin.__dict__.pop("rounding", None)
        twin.y = twin.forward_from(self.start)
        twin.dy = self.call.draw_upstream(self.rng, twin.y)
        return twin

    # one run

    def forward(self, thing, inputs, layout="C"):
        """Return what forward returns for host arrays, as a host array."""
        on_device = {name: None if array is None else to_device(thing, array, layout)
                     for name, array in inputs.items()}
        return self.call.forward(thing, on_device)

    def forward_from(self, start, layout="C"):
        """Return what forward returns at the inputs, from a copy of `start`."""
        return self.forward(copied(start), self.inputs, layout)

    def backward(self, thing, dys):
        """Return what backward says then: {array: its gradient, or None where it gives none}."""
        claims = self.call.backward(thing, dys)
        return {name: None if claim is None else to_host(claim, "backward")
                for name, claim in {**claims, **self.kept_gradients(thing)}.items()}

    def moved_on(self, thing, values=None):
        """Return a copy with these values of the parameters, by default the second ones."""
        twin = copied(thing)
        for name, value in (self.second if values is None else values).items():
            self.slots[name].array(twin)[...] = to_device(twin, value)
        return twin

    # the output, and the analytic gradient, as functions

    def output_of(self, name, start=None):
        """Return the output as a function of one array, all others kept."""

        def output(value):
            thing, inputs = copied(start or self.start), self.inputs
            if name in inputs:
                inputs = {**inputs, name: value}
            else:
                self.slots[name].array(thing)[...] = to_device(thing, value)
            return self.forward(thing, inputs)

        return output

    def numerical(self, name, dy=None, start=None):
        """Return the numerical gradient with respect to one array."""
        return NumericalGradient(self.output_of(name, start), self.value(name, start),
                                 self.dy if dy is None else dy, self.rounding, self.settings,
                                 self.work)

    @cached_property
    def claimed(self):
        """The analytic gradients that are checked."""
        return self.gradients()

    @cached_property
    def work(self):
        """How many numbers a forward pass touches, about."""
        return self.y.size + sum(item.size for item in everything_inside(self.start)
                                 if isinstance(item, np.ndarray))

    @cached_property
    def rounding(self):
        """How far rounding moves sum(dy · y), measured: what goes in is moved by its last bits.

        That shows where large numbers cancel, as in the normalisation of a batch far from zero.
        """
        eps, changes = np.finfo(np.float64).eps, []

        def jitter(array):
            return array * (1 + 4 * eps * self.rng.uniform(-1, 1, array.shape))

        for _ in range(5):
            thing = self.moved_on(self.start, {name: jitter(self.value(name))
                                               for name in self.slots})
            inputs = {name: jitter(array) if is_floats(array) else array
                      for name, array in self.inputs.items()}
            changes.append(abs(np.vdot(self.dy, self.forward(thing, inputs) - self.y)))
        return max(changes) + 2 * eps * float(np.linalg.norm((self.y * self.dy).ravel()))

    def gradients(self, dy=None, start=None, beside=True, layout="C"):
        """Return the gradients that backward claims, for `dy` and from `start` if others are given.

        beside: another object of the class runs forward in between, as in a network with two
        layout: the order of dy in memory
        """
        thing = copied(start or self.start)
        self.forward(thing, self.inputs)
        dys = self.call.on_device(thing, self.dy if dy is None else dy, layout)
        if beside:
            self.forward(copied(self.fresh), self.other)
        return self.backward(thing, dys)

    def transposed_gradients(self, forwarded, dy):
        """Yield (parameter, gradients) for each matrix that is transposed before backward."""
        for name, slot in self.slots.items():
            if slot.array(forwarded).ndim != 2:
                continue
            thing = copied(forwarded)
            slot.replace(thing, slot.array(forwarded).T.copy())
            try:
                gradients = self.backward(thing, self.call.on_device(thing, dy, "C"))
            except Exception:           # it does not run this way either
                continue
            yield name, gradients

    def names(self):
        """List the arrays whose gradients are checked: differentiated inputs, then parameters."""
        return [*self.call.differentiated, *self.slots]

    def gradient_name(self, name):
        """Return what a reader calls the gradient of an array."""
        return self.slots[name].gradient_name if name in self.slots else f"d{name}"

    def value(self, name, start=None):
        """Return the array of that name, as it is where the check is made."""
        return (self.inputs[name] if name in self.inputs
                else to_host(self.slots[name].array(start or self.start), name))

    def kept_gradients(self, thing):
        """Return the gradients that the object holds at this moment: {array: gradient or None}."""
        return {name: slot.gradient(thing) for name, slot in self.slots.items()}

    def generators(self, thing):
        """List the states of the random generators that the object keeps, NumPy's own beside."""
        kept = [item for item in everything_inside(thing) if isinstance(item, np.random.Generator)]
        return [str(item.bit_generator.state) for item in kept], np.random.get_state()[2]


def move_constant_parameters(slots, thing, rng):
    """Move parameters that are all zero or all one to random values near; return their names.

    Below a weight of zero every gradient is zero, and a forgotten factor of one does not show.
    """
    moved = []
    for name, slot in slots.items():
        value = to_host(slot.array(thing), name)
        if value.size and np.ptp(value) == 0 and value.flat[0] in (0, 1):
            slot.array(thing)[...] = to_device(
                thing, value + 0.1 * rng.standard_normal(value.shape))
            moved.append(name)
    return moved


def other_inputs(inputs, rng):
    """List other inputs: of another batch size (along the first or the last axis), then of this.

    The entries of the first come in another order.
    """
    (name, first), *rest = inputs.items()
    shuffled = rng.permutation(first.reshape(-1)).reshape(first.shape)
    same = {name: 0.9 * shuffled if first.dtype.kind == "f" else shuffled, **dict(rest)}
    others = []
    for axis in (0, -1)[:first.ndim]:
        n = first.shape[axis]
        other = n - 1 if n > 2 else n + 1
        fitting = [key for key, array in inputs.items()
                   if array is not None and array.ndim and array.shape[axis] == n]
        for chosen in ([fitting, [name]] if len(fitting) > 1 else [fitting]):
            others.append({key: resized(array, other, axis) if key in chosen else array
                           for key, array in same.items()})
    return [*others, same]


def resized(array, n, axis):
    """Return n examples, the first ones, again from the start if they are too few."""
    return np.take(array, np.arange(n) % array.shape[axis], axis=axis)
