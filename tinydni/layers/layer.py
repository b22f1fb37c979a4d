"""The contract that every layer keeps: forward, backward, update."""

import numbers

import numpy as np

from tinydni import backend
from tinydni.optimizers import SGD


class Layer:
    """A function with parameters and hand-written gradients.

    y = forward(x) keeps on `self` what `backward` needs.
    dx = backward(dy) takes the gradient of the loss with respect to y, sets the gradient `dW` of every
    parameter `W`, and returns the gradient with respect to x. Neither writes into its argument.
    update(optimizer) takes one step down the gradients, in place.

    A subclass names its learned arrays in `parameters` and its other saved arrays in `buffers`; a container
    names the layers inside it in `children`. Everything else (updating, counting, saving, moving to a device)
    is written once, here, over those names.
    """

    parameters = ()
    buffers = ()
    decayed = ("W",)        # the parameters that a weight penalty shrinks: weights, not biases or scales
    training = True
    needs_dx = True         # False in the layer that reads the data: nobody asks for the gradient there
    xp = np
    __deepcopy__ = backend.deepcopy_on_same_backend

    def forward(self, x):
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, dy):
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def update(self, optimizer):
        """One step: `optimizer` is an optimizer, or a number, the learning rate of plain gradient descent."""
        if isinstance(optimizer, numbers.Real):
            optimizer = SGD(optimizer)
        optimizer.step(self)

    def children(self):
        """The layers inside this one, as (name, layer) pairs in order."""
        return ()

    def walk(self, path=""):
        """Yields (path, layer) for this layer and all layers inside it, in order."""
        yield path, self
        for name, child in self.children():
            yield from child.walk(f"{path}{name}.")

    def slots(self):
        """The places where the parameters live: a list of (path, layer, name), in order."""
        if not hasattr(self, "_slots"):
            self._slots = [(path + name, layer, name) for path, layer in self.walk() for name in layer.parameters]
        return self._slots

    def named_parameters(self):
        """Yields (path, parameter, gradient); the gradient is None before the first backward pass."""
        for path, layer, name in self.slots():
            yield path, getattr(layer, name), getattr(layer, "d" + name, None)

    def n_parameters(self):
        """The number of learned values."""
        return sum(parameter.size for _, parameter, _ in self.named_parameters())

    def train(self, training=True):
        """Switches to training: batch statistics, dropout. Returns the layer itself."""
        for _, layer in self.walk():
            layer.training = training
        return self

    def eval(self):
        """Switches to evaluation: running statistics, no dropout. Returns the layer itself."""
        return self.train(False)

    def skip_dx(self):
        """Says that nobody needs the gradient with respect to the input of this layer."""
        self.needs_dx = False

    def to(self, xp=None, dtype=None):
        """Moves all arrays to another backend, another dtype, or both. Returns the layer itself."""
        for _, layer in self.walk():
            layer.xp = xp or layer.xp
            for name in layer.parameters + layer.buffers:
                setattr(layer, name, backend.moved(getattr(layer, name), xp, dtype))
                layer.__dict__.pop("d" + name, None)
        return self

    def own_state(self):
        """What this layer itself saves, without the layers inside it: {name: array}; the arrays themselves, not copies."""
        return {name: getattr(self, name) for name in self.parameters + self.buffers}

    def check_own_state(self, state):
        """Raises ValueError for an array of another shape or dtype than this layer's."""
        for name in self.parameters + self.buffers:
            array, new = getattr(self, name), state[name]
            if new.shape != array.shape or new.dtype != array.dtype:
                raise ValueError(f"{self!r}: the saved {name} is {new.dtype} {tuple(new.shape)}, "
                                 f"but {array.dtype} {tuple(array.shape)} is needed.")

    def load_own_state(self, state):
        """Takes {name: array} in place."""
        for name, new in state.items():
            getattr(self, name)[...] = backend.asarray(self.xp, new)

    def state(self):
        """Everything that a saved layer needs: {path: array}, parameters and buffers, copied to the host."""
        return {path + name: backend.to_numpy(array).copy()
                for path, layer in self.walk() for name, array in layer.own_state().items()}

    def check_state(self, state):
        """Raises KeyError for a missing or unknown array, ValueError for one of another shape or dtype."""
        own = {path + name for path, layer in self.walk() for name in layer.own_state()}
        if own != state.keys():
            missing, unknown = sorted(own - state.keys()), sorted(state.keys() - own)
            raise KeyError(f"the saved state does not fit {type(self).__name__}: missing {missing}, unknown {unknown}")
        for path, layer in self.walk():
            layer.check_own_state({name: state[path + name] for name in layer.own_state()})

    def load_state(self, state):
        """Takes a state from `state()`, in place. Raises as `check_state`, and then nothing has changed."""
        self.check_state(state)
        for path, layer in self.walk():
            layer.load_own_state({name: state[path + name] for name in layer.own_state()})

    def output_shape(self, shape):
        """The shape of y without N, for an x of `shape` without N. A layer that changes it says how."""
        return shape

    def __repr__(self):
        return f"{type(self).__name__}({self.describe()})"

    def describe(self):
        """The arguments worth printing, such as "784 -> 256"."""
        return ""
