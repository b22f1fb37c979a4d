"""The contract that every layer keeps: forward, backward, update."""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydni import backend, checks
from tinydni.backend import Array, to_numpy
from tinydni.optimizers import Optimizer, as_optimizer
from tinydni.random import generator_to_array, restore_generator

__all__ = ["Layer", "Part", "Shape", "Stateful", "batch_dot", "batch_sum", "normal", "ones",
           "read_only", "zeros"]

Shape = tuple[Any, ...]


class Stateful:
    """What names its arrays and generators once, and so can be saved and put back."""

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """Yield (path, thing) of all that a continued run needs.

        A thing is an array, a generator, or for a whole number the pair (its owner, its name).
        """
        raise NotImplementedError(f"{type(self).__name__}.arrays")

    def state(self) -> dict[str, np.ndarray]:
        """Copy all that a continued run needs to the host: {path: array}."""
        return {path: as_array(thing).copy() for path, thing in self.arrays()}

    def load_state(self, state: dict[str, Array]) -> None:
        """Take a state from `state()`, in place.

        Raises KeyError for a missing or unknown path, ValueError for another shape or dtype, and
        has changed nothing then.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be what state() returned; got {checks.brief(state)}.")
        places, own = dict(self.arrays()), type(self).__name__
        missing, unknown = sorted(places.keys() - state), sorted(state.keys() - places.keys())
        if missing or unknown:
            raise KeyError(f"saved state does not fit {own}: missing {missing}, unknown {unknown}")
        for path, place in places.items():
            new, old = state[path], as_array(place)
            checks.check_array(new, f"state: {path}")
            same_shape = new.shape == old.shape or isinstance(place, np.random.Generator)
            if new.dtype != old.dtype or not same_shape:
                raise ValueError(f"{own}: {path} in state must be {old.dtype} {old.shape}; got "
                                 f"{new.dtype} {new.shape}.")
        for path, place in places.items():
            put_back(place, to_numpy(state[path]))


def as_array(thing: Any) -> np.ndarray:
    """Return a thing of `Stateful.arrays` as an array on the host."""
    if isinstance(thing, tuple):
        return np.array(getattr(*thing))
    return generator_to_array(thing) if isinstance(thing, np.random.Generator) else to_numpy(thing)


def put_back(place: Any, array: np.ndarray) -> None:
    """Write an array from `as_array` back to where it came from."""
    if isinstance(place, tuple):
        owner, name = place
        setattr(owner, name, int(array))
    elif isinstance(place, np.random.Generator):
        restore_generator(place, array)
    elif isinstance(place, np.ndarray):
        place[...] = array
    else:                               # an array on a device
        place.set(np.ascontiguousarray(array))


class Layer(Stateful):
    """A function with parameters and hand-written gradients.

    y = forward(x) keeps on `self` what `backward` needs.
    dx = backward(dy) takes the gradient of the loss with respect to y, sets the gradient `dW` of
    every parameter `W`, and returns the gradient with respect to x. Neither writes its argument.
    update(lr) takes one step down the gradients, in place.

    A subclass names its learned arrays in `parameters`, and what else must be saved in `buffers`
    (arrays, generators). A container names the layers inside it in `children`. Everything else
    (updating, counting, saving, moving to a device) is written once, here, over those names.
    """

    parameters: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    decayed: tuple[str, ...] = ("W",)   # what a weight penalty shrinks: weights, not biases
    n_state = 0             # the width of what a recurrent layer carries from step to step
    description = ""        # what repr shows, such as "{n_in} -> {n_out}"
    training = True
    needs_dx = True         # False in the layer that reads the data: nobody asks for dx there
    xp: Any = np
    __deepcopy__ = backend.deepcopy_on_same_backend

    def forward(self, x: Array) -> Any:
        """Return y for x."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, dy: Array) -> Any:
        """Return dx for dy; set the gradients of the parameters."""
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def update(self, lr: float | Optimizer) -> None:
        """Take one step. `lr` is a learning rate of plain gradient descent, or an optimizer."""
        as_optimizer(lr).step(self)

    if not TYPE_CHECKING:
        def __getattr__(self, name):
            raise AttributeError(f"{type(self).__name__} has no {name!r}; call forward first.")

    def children(self) -> Iterable[tuple[str, "Layer"]]:
        """Return the layers inside this one, as (name, layer) pairs in order."""
        return ()

    def walk(self, path: str = "") -> Iterator[tuple[str, "Layer"]]:
        """Yield (path, layer) for this layer and all layers inside it, in order."""
        yield path, self
        for name, child in self.children():
            yield from child.walk(f"{path}{name}.")

    def slots(self) -> list[tuple[str, "Layer", str]]:
        """Return the places where the parameters live: (path, layer, name), in order."""
        return [(path + name, layer, name)
                for path, layer in self.walk() for name in layer.parameters]

    def named_parameters(self) -> Iterator[tuple[str, Array, Array | None]]:
        """Yield (path, parameter, gradient); gradient None before the first backward pass."""
        for path, layer, name in self.slots():
            yield path, getattr(layer, name), getattr(layer, "d" + name, None)

    def n_parameters(self) -> int:
        """Count the learned values."""
        return sum(parameter.size for _, parameter, _ in self.named_parameters())

    def train(self, training: bool = True) -> "Layer":
        """Switch to training: batch statistics, dropout. Return the layer itself."""
        for _, layer in self.walk():
            layer.training = training
        return self

    def eval(self) -> "Layer":
        """Switch to evaluation: running statistics, no dropout. Return the layer itself."""
        return self.train(False)

    def skip_dx(self) -> None:
        """Say that nobody needs the gradient with respect to the input of this layer."""
        self.needs_dx = False

    def to(self, xp: Any = None, dtype: Any = None) -> "Layer":
        """Move all arrays to another backend, another dtype, or both. Return the layer itself."""
        checks.check_move(xp, dtype)
        for _, layer in self.walk():
            layer.xp = xp or layer.xp
            for name in layer.parameters + layer.buffers:
                thing = getattr(layer, name)
                if not isinstance(thing, np.random.Generator):
                    setattr(layer, name, backend.moved(thing, xp, dtype))
                    vars(layer).pop("d" + name, None)
        return self

    def arrays(self) -> Iterator[tuple[str, Any]]:
        for path, layer in self.walk():
            for name in layer.parameters + layer.buffers:
                yield path + name, getattr(layer, name)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of y without N, for an x of `shape` without N."""
        return shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.describe()})"

    def describe(self) -> str:
        """Return the arguments worth printing, such as "784 -> 256"."""
        return self.description.format_map(vars(self))


class Part(Stateful):
    """What holds layers with their optimizers: a module, an algorithm, a network."""

    def learners(self) -> Iterator[tuple[str, Layer, Optimizer]]:
        """Yield (name, layer, optimizer) of all that learns."""
        return iter(())

    def arrays(self) -> Iterator[tuple[str, Any]]:
        for name, layer, optimizer in self.learners():
            yield from ((f"{name}.{path}", array) for path, array in layer.arrays())
            yield from ((f"{name}.optimizer.{path}", array)
                        for path, array in optimizer.arrays(layer))

    def to(self, xp: Any = None, dtype: Any = None) -> Any:
        """Move everything to another backend, another dtype, or both. Return the part itself."""
        for _, layer, optimizer in self.learners():
            layer.to(xp, dtype)
            optimizer.to(xp, dtype)
        return self


def zeros(shape: Shape, dtype: Any) -> np.ndarray:
    """Return a parameter that starts at zero."""
    if math.prod(shape) > checks.LARGEST:
        raise ValueError(f"a parameter has at most {checks.LARGEST:,} numbers; got shape {shape}.")
    return np.zeros(shape, checks.check_dtype(dtype))


def normal(rng: np.random.Generator, shape: Shape, std: float, dtype: Any) -> np.ndarray:
    """Draw the starting values of a parameter, with this standard deviation."""
    W = zeros(shape, dtype)
    std = checks.check_range(std, "std", 0, None)
    W[...] = checks.check_generator(rng).standard_normal(shape) * std
    return W


def read_only(y: Array) -> Array:
    """Return an output that backward will read again, so that NumPy refuses to change it."""
    if isinstance(y, np.ndarray):
        y.setflags(write=False)
    return y


@lru_cache(maxsize=64)
def ones(xp: Any, n: int, dtype: Any) -> Array:
    """Return the row of ones (n,), made once for each n."""
    return xp.ones(n, dtype)


def batch_sum(xp: Any, x: Array) -> Array:
    """Sum x (N, M) over the batch: x.sum(axis=0), (M,).

    As a product with a row of ones it is 2.5 times as fast as the reduction.
    """
    return ones(xp, len(x), x.dtype).dot(x)


def batch_dot(xp: Any, x: Array, y: Array) -> Array:
    """Sum x · y, both (N, M), over the batch: (x * y).sum(axis=0) without the temporary array."""
    return xp.einsum("ij,ij->j", x, y)
