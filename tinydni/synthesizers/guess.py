"""The guess: a stand-in for the label, learned from gradients alone, so that no synthesizer sees a label."""

import math

import numpy as np

from tinydni import checks
from tinydni.layers import BatchNorm, Flatten, Layer, Linear, ReLU, Sequential
from tinydni.layers.softmax import Softmax
from tinydni.synthesizers.synthesizer import Synthesizer


class Guess(Layer):
    """q = softmax(f(x)),   f = Linear, BatchNorm, ReLU, Linear: a code for each example, made from what x shows.

    x (N, ...): the network's input, or the output h1 of its bottom module    q (N, n_codes): the guess
    n_in: number of features of x    n_codes: number of codes; they need not be the classes, nor as many
    hidden: width of the hidden layer

    The last layer starts at zero: at first every code is as likely. Batch normalisation always uses the batch.
    One object is shared by all interfaces of a network; q is computed once for each x it is asked about.
    """

    owner = None        # the synthesizer that trains it
    x = None            # what q belongs to

    def __init__(self, n_in, n_codes, rng, hidden=256, dtype=np.float32):
        self.n_in = checks.positive_int(n_in, "n_in")
        self.n_codes = checks.positive_int(n_codes, "n_codes", minimum=2)
        self.net = Sequential(
            Flatten(), Linear(n_in, hidden, rng, dtype=dtype), BatchNorm(hidden, momentum=0, dtype=dtype), ReLU(),
            Linear(hidden, n_codes, rng, std=0, dtype=dtype), Softmax())
        self.net.skip_dx()

    def children(self):
        return [("net", self.net)]

    def forward(self, x):
        if x is not self.x:
            if math.prod(x.shape[1:]) != self.n_in:
                raise ValueError(f"Guess: x must have {self.n_in} features in all; got {tuple(x.shape)}. It is the "
                                 "context of the interfaces, or where that is None, the module's own output.")
            self.q = self.net.forward(x)
            self.x = x
        return self.q

    def backward(self, dq):
        self.net.backward(dq)

    def forget(self):
        """Says that the weights have changed, so that the next q is a new one."""
        self.x = None

    def describe(self):
        return f"{self.n_in} -> {self.n_codes} codes"


class GuessSynthesizer(Synthesizer, Layer):
    """delta_hat = virtual(h, q),   q = guess(context): the gradient of a virtual loss against a guess of the label.

    h (N, H): output of the module
    context (N, ...): the network's input x, or the output h1 of its bottom module; None in the bottom module
    itself, whose own h is h1
    virtual: a virtual synthesizer of n_context = n_codes
    guess: a Guess, shared by all interfaces of a network

    Everything is trained by gradient matching. The interface nearest the loss trains the guess: its target is the
    true gradient, and the expectation of that given x asks for P(y | x). The others take q as they would take a
    label. Build them from bottom to top, as `decouple` does: the last one built for a guess owns it (counts it,
    saves it, trains it). Within a step all read the q of the weights that the step before has left.

    Why not from h alone: the expectation of the gradient given h is J (p(h) - P(y | h)), J the slope of what is
    above. It vanishes as soon as the network is calibrated, however wrong it is; for what h has lost of the label,
    no function of h can ask. Given x it vanishes only where p is as good as any function of x can be.

    Raises ValueError if guess and virtual network differ in their number of codes.
    """

    sees = ("h", "context")

    def __init__(self, virtual, guess):
        if virtual.n_context != guess.n_codes:
            raise ValueError(f"the guess has {guess.n_codes} codes, but the virtual network takes a context of "
                             f"{virtual.n_context}; build it with n_context={guess.n_codes}.")
        self.virtual, self.guess = virtual, guess
        guess.owner = self

    @property
    def trains_guess(self):
        """Whether this is the interface nearest the loss."""
        return self.guess.owner is self

    def children(self):
        return [("virtual", self.virtual)] + [("guess", self.guess)] * self.trains_guess

    def forward(self, h, context=None):
        self.h, self.context = h, context
        self.delta_hat = self.virtual.forward(h, self.q())
        return self.delta_hat

    def q(self):
        """The guess (N, n_codes) for the examples at hand."""
        return self.guess.forward(self.h if self.context is None else self.context)

    def backward(self, ddelta_hat):
        self.virtual.backward(ddelta_hat)
        if self.trains_guess:
            self.q()                    # if the guess has meanwhile looked at other examples, it returns to these
            self.guess.backward(self.virtual.dcontext)
            self.guess.forget()         # an update follows

    def describe(self):
        return f"{self.virtual!r} against {self.guess!r}" + ", which it trains" * self.trains_guess
