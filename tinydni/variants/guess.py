"""The guess: a stand-in for the label, learned from gradients alone."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinydni.activations import ReLU, Softmax
from tinydni.backend import Array
from tinydni.batchnorm import BatchNorm
from tinydni.checks import check_can, check_positive_int
from tinydni.containers import Sequential
from tinydni.layer import Layer
from tinydni.linear import Linear
from tinydni.pooling import Flatten
from tinydni.synthesizers import Synthesizer

__all__ = ["Guess", "GuessSynthesizer"]


class Guess(Layer):
    """q = softmax(f(x)),   f = Linear, BatchNorm, ReLU, Linear: a code made from what x shows.

    x (N, ...): the network's input, or the output h1 of its bottom module;   q (N, n_codes).
    The last layer starts at zero: at first every code is as likely. Batch normalisation always uses
    the batch. One object is shared by all interfaces of a network; q is computed once for each x.

    Parameters
    ----------
    n_in : number of features of x
    n_codes : number of codes; they need not be the classes, nor as many
    rng : draws the first layer
    hidden : width of the hidden layer
    dtype : of the parameters
    """

    owner: Any = None       # the synthesizer that trains it
    x: Any = None           # what q belongs to
    description = "{n_in} -> {n_codes} codes"

    def __init__(self, n_in: int, n_codes: int, rng: np.random.Generator, hidden: int = 256,
                 dtype: Any = np.float32):
        self.n_in = check_positive_int(n_in, "n_in")
        self.n_codes = check_positive_int(n_codes, "n_codes", minimum=2)
        self.net = Sequential(
            Flatten(), Linear(n_in, hidden, rng, dtype=dtype),
            BatchNorm(hidden, momentum=0, dtype=dtype), ReLU(),
            Linear(hidden, n_codes, rng, std=0, dtype=dtype), Softmax())
        self.net.skip_dx()

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("net", self.net)]

    def forward(self, x: Array) -> Array:
        if x is not self.x:
            if math.prod(x.shape[1:]) != self.n_in:
                raise ValueError(f"Guess: x must have {self.n_in} features in all; got "
                                 f"{tuple(x.shape)}. It is the context of the interfaces, or where "
                                 "that is None, the module's own output.")
            self.q = self.net.forward(x)
            self.x = x
        return self.q

    def backward(self, dy: Array) -> None:
        self.net.backward(dy)

    def forget(self) -> None:
        """Say that the weights have changed, so that the next q is a new one."""
        self.x = None


class GuessSynthesizer(Synthesizer):
    """delta_hat = virtual(h, q),   q = guess(context): a virtual loss against a guessed label.

    h (N, H): output of the module;   context (N, ...): the network's input x, or the output h1 of
    its bottom module; None in the bottom module itself, whose own h is h1.

    Everything is trained by gradient matching. The interface nearest the loss trains the guess: its
    target is the true gradient, and the expectation of that given x asks for P(y | x). The others
    take q as they would take a label. Build them from bottom to top, as `build` does: the last one
    built for a guess owns it (counts it, saves it, trains it). Within a step all read the q of the
    weights that the step before has left.

    Why not from h alone: the expectation of the gradient given h is J (p(h) - P(y | h)), J the
    slope of what is above. It vanishes as soon as the network is calibrated, however wrong it is:
    for what h has lost of the label, no function of h can ask. Given x it vanishes only where p is
    as good as any function of x can be.

    Parameters
    ----------
    virtual : a virtual synthesizer of n_context = n_codes
    guess : shared by all interfaces of a network

    Raises
    ------
    ValueError
        If guess and virtual network differ in their number of codes.
    """

    def __init__(self, virtual: Any, guess: Guess):
        check_can(virtual, "virtual", "a virtual synthesizer", "n_context", "learn")
        check_can(guess, "guess", "a Guess", "n_codes", "forget")
        if virtual.n_context != guess.n_codes:
            raise ValueError(f"the guess has {guess.n_codes} codes, but the virtual network takes "
                             f"a context of {virtual.n_context}; build it with "
                             f"n_context={guess.n_codes}.")
        self.virtual, self.guess = virtual, guess
        guess.owner = self

    @property
    def trains_guess(self) -> bool:
        """Whether this is the interface nearest the loss."""
        return self.guess.owner is self

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("virtual", self.virtual)] + [("guess", self.guess)] * self.trains_guess

    def forward(self, h: Array, context: Array | None = None) -> Array:
        self.h, self.context = h, context
        self.delta_hat = self.virtual.forward(h, self.q())
        return self.delta_hat

    def q(self) -> Array:
        """Return the guess (N, n_codes) for the examples at hand."""
        return self.guess.forward(self.h if self.context is None else self.context)

    def backward(self, ddelta_hat: Array) -> None:
        self.virtual.backward(ddelta_hat)
        if self.trains_guess:
            self.q()            # if the guess has looked at other examples, it returns to these
            self.guess.backward(self.virtual.dcontext)
            self.guess.forget()         # an update follows

    def describe(self) -> str:
        return f"{self.virtual!r} against {self.guess!r}" + ", which it trains" * self.trains_guess
