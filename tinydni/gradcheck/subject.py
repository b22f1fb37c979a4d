"""A float64 copy of what is checked, at fixed inputs, run as often as the check needs."""

import copy
import traceback
from functools import cached_property
from pathlib import Path

import numpy as np

from tinydni.gradcheck.contract import ContractError, is_floats, to_device, to_host
from tinydni.gradcheck.float64_copies import copied, in_float64
from tinydni.gradcheck.numerical_gradient import NumericalGradient
from tinydni.gradcheck.parameters import find_slots, walk


class TransposedError(Exception):
    """backward raises an error, and runs once a parameter is transposed; the message says so."""


def said(error):
    """Say where forward or backward failed."""
    if hasattr(error, "where"):             # it says so itself: it comes from another process
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    method = last.name if last.name in ("forward", "backward") else "it"
    return (f"{method} fails with {type(error).__name__}: {error} ({Path(last.filename).name}, "
            f"line {last.lineno}: {last.line}).")


class Subject:
    """What is checked.

    Every run starts from a copy, so that nothing that a run leaves behind can change the next one:
    caches, running statistics, the state of a random generator.

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
        self.slots = {slot.name: slot for slot in self.find_parameters()}
        self.moved = self.move_constant_parameters()
        self.first = {name: self.value(name, self.fresh).copy() for name in self.slots}
        self.second = {name: value * (1 + 0.1 * rng.uniform(-1, 1, value.shape))
                       for name, value in self.first.items()}
        self.begin(other_inputs(self.inputs, rng))

    def find_parameters(self):
        """Find the learned arrays, by a pass on a copy, and make arrays of numbers."""
        scout = copied(self.fresh)
        y = self.forward(scout, self.inputs)
        lazy = copied(scout)
        try:
            self.call.backward(scout, self.call.on_device(scout, np.ones_like(y)))
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
        return slots

    def move_constant_parameters(self):
        """Move parameters that are all zero or all one to random values near; return their names.

        Below a weight of zero every gradient is zero, and a forgotten factor of one does not show.
        """
        moved = []
        for name, slot in self.slots.items():
            value = self.value(name, self.fresh)
            if value.size and np.ptp(value) == 0 and value.flat[0] in (0, 1):
                value = value + 0.1 * self.rng.standard_normal(value.shape)
                slot.array(self.fresh)[...] = to_device(self.fresh, value)
                moved.append(name)
        return moved

    def begin(self, histories):
        """Take the first history that the object survives, those of other batch sizes first."""
        for self.other in histories[:-1]:
            self.forwarded = copied(self.fresh)
            try:
                y = self.forward(self.forwarded, self.other)
            except Exception:           # perhaps this axis is no batch
                continue
            try:
                self.warm_up(y)
                self.gradients()        # raises an error where a batch size is kept
            except Exception as error:
                self.size_problem = self.size_problem or error
            else:
                self.size_problem = None
                return
        self.other, self.forwarded = histories[-1], copied(self.fresh)
        self.warm_up(self.forward(self.forwarded, self.other))

    def warm_up(self, y):
        """Run a backward pass, move the parameters, and run forward at the inputs."""
        dy = self.call.draw_upstream(self.rng, y)
        self.warmed = copied(self.forwarded)
        try:
            self.backward(self.warmed, self.call.on_device(self.warmed, dy))
        except Exception as error:
            for parameter, _ in self.transposed_gradients(self.forwarded, dy):
                raise TransposedError(f"{said(error)} Looks transposed: it runs once {parameter} "
                                      "is transposed.") from error
            raise
        self.start = self.moved_on(self.warmed, self.second)
        self.y = self.forward_from(self.start)
        self.dy = self.call.draw_upstream(self.rng, self.y)

    def at_other_inputs(self):
        """Return the same subject at the inputs of the history."""
        twin = copy.copy(self)
        for name in ("claimed", "rounding"):
            vars(twin).pop(name, None)
        twin.inputs, twin.other = self.other, self.inputs
        twin.y = twin.forward_from(self.start)
        twin.dy = self.call.draw_upstream(self.rng, twin.y)
        return twin

    # one run

    def forward(self, thing, inputs, layout="C"):
        """Return what forward returns for host arrays, as a host array."""
        return self.call.forward(thing, {
            name: None if array is None else to_device(thing, array, layout)
            for name, array in inputs.items()})

    def forward_from(self, start, layout="C"):
        """Return what forward returns at the inputs, from a copy of `start`."""
        return self.forward(copied(start), self.inputs, layout)

    def backward(self, thing, dys):
        """Return {array: its gradient, or None where backward gives none}."""
        claims = self.call.backward(thing, dys)
        claims |= {name: slot.gradient(thing) for name, slot in self.slots.items()}
        return {name: None if claim is None else
                to_host(claim, f"backward, for {self.gradient_name(name)},")
                for name, claim in claims.items()}

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
            if slot.array(forwarded).ndim == 2:
                thing = copied(forwarded)
                slot.replace(thing, slot.array(forwarded).T.copy())
                try:
                    gradients = self.backward(thing, self.call.on_device(thing, dy))
                except Exception:       # it does not run this way either
                    continue
                yield name, gradients

    def moved_on(self, thing, values):
        """Return a copy with these values of the parameters."""
        twin = copied(thing)
        for name, value in values.items():
            self.slots[name].array(twin)[...] = to_device(twin, value)
        return twin

    # the numerical and the analytic gradient

    def numerical(self, name, dy=None, start=None):
        """Return the numerical gradient with respect to one array, all others kept."""
        start = start or self.start

        def output(value):
            if name in self.inputs:
                return self.forward(copied(start), {**self.inputs, name: value})
            return self.forward(self.moved_on(start, {name: value}), self.inputs)

        return NumericalGradient(output, self.value(name, start), self.dy if dy is None else dy,
                                 self.rounding, self.settings, self.work)

    @cached_property
    def claimed(self):
        """The analytic gradients that are checked."""
        return self.gradients()

    @cached_property
    def work(self):
        """How many numbers a forward pass touches, about."""
        return self.y.size + sum(item.size for _, _, item in walk(self.start)
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
            inputs = {name: jitter(array) if is_floats(array) and name != "target" else array
                      for name, array in self.inputs.items()}     # a target may have to be 0 or 1
            changes.append(abs(np.vdot(self.dy, self.forward(thing, inputs) - self.y)))
        return max(changes) + 2 * eps * float(np.linalg.norm((self.y * self.dy).ravel()))

    # names and values

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

    def generators(self, thing):
        """Return the states of the random generators that the object keeps, and of NumPy's own."""
        states = [item.bit_generator.state if isinstance(item, np.random.Generator) else
                  item.get_state()[1:3] for _, _, item in walk(thing)
                  if isinstance(item, (np.random.Generator, np.random.RandomState))]
        return list(map(str, states)), np.random.get_state()[2]


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
        for chosen in (fitting, [name])[:len(fitting)]:
            others.append({key: np.take(array, np.arange(other) % n, axis=axis)
                           if key in chosen else array for key, array in same.items()})
    return [*others, same]
