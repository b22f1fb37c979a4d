"""A float64 copy of what is checked, at fixed inputs, run as often as the check needs."""

import traceback
from functools import cached_property
from pathlib import Path

import numpy as np

from tinydni.gradcheck import contract
from tinydni.gradcheck.contract import to_device, to_host
from tinydni.gradcheck.copies import copied, everything_inside, in_float64
from tinydni.gradcheck.differences import Differences


class TransposedError(Exception):
    """backward raises an error, and runs once a parameter is transposed; the message says so."""

    def __init__(self, parameter, error):
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = (str(error) if hasattr(error, "where") else      # it says itself where: it comes from another process
                f"backward fails with {type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno}: "
                f"{last.line}).")
        super().__init__(f"{said} Looks transposed: it runs once {parameter} is transposed.")


class Subject:
    """Every run starts from a copy, so that nothing that a run leaves behind can change the next one: caches,
    running statistics, the state of a random generator (so that dropout draws the same mask every time).

    fresh: the copy before any run
    forwarded: after a forward pass on other inputs
    warmed: after a forward and a backward pass on other inputs. The check begins here: a cache that only the
        first pass fills, or a gradient that is added to, shows because of that.
    y, dy: what forward returns at the inputs, and the random upstream gradient
    """

    def __init__(self, thing, call, rng, settings):
        self.name = type(thing).__name__
        self.call, self.inputs, self.rng, self.settings = call, call.inputs, rng, settings
        self.fresh = in_float64(thing)
        self.moved = move_constant_parameters(self.fresh, rng)
        self.other = other_inputs(self.inputs, rng)

        self.forwarded = copied(self.fresh)
        y = self.forward(self.forwarded, self.other)
        self.warmed = copied(self.forwarded)
        dy = call.draw_upstream(rng, y)
        try:
            self.backward(self.warmed, dy)
        except Exception as error:
            for parameter, _ in self.transposed_gradients(self.forwarded, dy):
                raise TransposedError(parameter, error) from error
            raise

        self.y = self.forward_from(self.warmed)
        self.dy = call.draw_upstream(rng, self.y)

    # one run

    def forward(self, thing, inputs):
        """What forward returns for host arrays, as a host array."""
        on_device = {name: None if array is None else to_device(thing, array) for name, array in inputs.items()}
        return self.call.forward(thing, on_device)

    def forward_from(self, start):
        """What forward returns at the inputs, from a copy of `start`."""
        return self.forward(copied(start), self.inputs)

    def backward(self, thing, dy):
        """What backward says then: {array: its gradient, or None where it gives none}."""
        claims = self.call.backward(thing, to_device(thing, dy))
        return {**claims, **kept_gradients(thing)}

    # the output, and the gradient that is claimed, as functions

    def output_of(self, name):
        """The output as a function of one array, all others kept."""

        def output(value):
            thing, inputs = copied(self.warmed), dict(self.inputs)
            if name in inputs:
                inputs[name] = value
            else:
                parameters(thing)[name][...] = to_device(thing, value)
            return self.forward(thing, inputs)

        return output

    def differences(self, name, dy=None):
        """The central differences with respect to one array."""
        return Differences(self.output_of(name), self.value(name), self.dy if dy is None else dy, self.rounding,
                           self.settings)

    @cached_property
    def claimed(self):
        """The gradients that are checked."""
        return self.gradients()

    @cached_property
    def rounding(self):
        """How far rounding moves sum(dy · y), measured: every number that goes in is moved by some of its last bits.

        That shows where large numbers cancel, as in the normalisation of a batch far from zero.
        """
        eps, changes = np.finfo(np.float64).eps, []

        def jitter(array):
            return array * (1 + 4 * eps * self.rng.uniform(-1, 1, array.shape))

        for _ in range(5):
            thing = copied(self.warmed)
            for path, array in parameters(thing).items():
                array[...] = to_device(thing, jitter(self.value(path)))
            inputs = {name: jitter(array) if contract.is_floats(array) else array
                      for name, array in self.inputs.items()}
            changes.append(abs(np.vdot(self.dy, self.forward(thing, inputs) - self.y)))
        return max(changes) + 2 * eps * float(np.linalg.norm((self.y * self.dy).ravel()))

    def gradients(self, dy=None, start=None, beside=True):
        """The gradients that backward claims at the inputs, for `dy` and from `start` if others are given.

        beside: another object of the class runs forward in between, as in a network with two such layers
        """
        thing = copied(start or self.warmed)
        self.forward(thing, self.inputs)
        if beside:
            self.forward(copied(self.fresh), self.other)
        return self.backward(thing, self.dy if dy is None else dy)

    def transposed_gradients(self, forwarded, dy):
        """Yields (parameter, gradients) for each matrix that is transposed before backward, where that runs."""
        for path, layer in contract.walk(forwarded):
            for name in contract.parameter_names(layer):
                if getattr(layer, name).ndim != 2:
                    continue
                thing = copied(forwarded)
                setattr(dict(contract.walk(thing))[path], name, getattr(layer, name).T.copy())
                try:
                    gradients = self.backward(thing, dy)
                except Exception:       # it does not run this way either: not the explanation that is sought
                    continue
                yield path + name, gradients

    def names(self):
        """The arrays whose gradients are checked: differentiated inputs, then parameters."""
        return [*self.call.differentiated, *parameters(self.warmed)]

    def value(self, name):
        """The array of that name, as it is where the check is made."""
        return self.inputs[name] if name in self.inputs else to_host(parameters(self.warmed)[name], name)

    # what it keeps

    def keeps_generator(self):
        """Tells whether the object draws random numbers, which a run moves on."""
        return any(isinstance(item, np.random.Generator) for item in everything_inside(self.fresh))

    def idle_arrays(self):
        """Arrays of its own that no name explains and no run changes: forgotten parameters, perhaps."""
        return [name for name in contract.unnamed_arrays(self.fresh)
                if np.array_equal(getattr(self.fresh, name), getattr(self.warmed, name, None))]


def parameters(thing):
    """The learned arrays: {path: array}."""
    return {path: array for path, array, _ in contract.named_parameters(thing)}


def kept_gradients(thing):
    """The gradients that the object holds at this moment: {path: gradient, or None}."""
    return {path: None if gradient is None else to_host(gradient, contract.gradient_name(path))
            for path, _, gradient in contract.named_parameters(thing)}


def move_constant_parameters(thing, rng):
    """Moves parameters that are all zero or all one to random values near, and returns their names.

    Below a weight of zero every gradient is zero, and a forgotten factor of one does not show.
    """
    moved = []
    for path, array in parameters(thing).items():
        value = to_host(array, path)
        if value.size and np.ptp(value) == 0 and value.flat[0] in (0, 1):
            array[...] = to_device(thing, value + 0.1 * rng.standard_normal(value.shape))
            moved.append(path)
    return moved


def other_inputs(inputs, rng):
    """Inputs of the same shapes and kinds, but other values: the entries of the first in another order."""
    (name, first), *rest = inputs.items()
    shuffled = rng.permutation(first.reshape(-1)).reshape(first.shape)
    return {name: 0.9 * shuffled if first.dtype.kind == "f" else shuffled, **dict(rest)}
