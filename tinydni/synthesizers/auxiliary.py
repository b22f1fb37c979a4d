"""The synthesizer of a boundary in time that also foretells what it will say at the next one."""

import numpy as np

from tinydni import checks
from tinydni.layers import Layer, Linear, ReLU, Sequential
from tinydni.synthesizers.synthesizer import Synthesizer


class AuxiliarySynthesizer(Synthesizer, Layer):
    """[delta_hat, later_hat] = net([h, context]),   net = Linear, ReLU, Linear.

    h (N, H): the state at a boundary    context (N, C): as in LinearSynthesizer, or None
    delta_hat (N, H): the gradient at this boundary, the output
    later_hat (N, H): what delta_hat will be at the next boundary, T steps on; zero where the sequence ends before

    The second head sends nothing to the network. It teaches the hidden layer, which both share, to find in the state
    what lies further ahead  (the auxiliary task of Jaderberg et al. 2016, section 3.2).
    The last layer starts at zero.
    """

    later = None

    def __init__(self, n_h, rng, n_context=0, hidden=128, dtype=np.float32):
        self.n_h = checks.positive_int(n_h, "n_h")
        self.n_context = checks.positive_int(n_context, "n_context", minimum=0)
        self.net = Sequential(Linear(n_h + n_context, hidden, rng, dtype=dtype), ReLU(),
                              Linear(hidden, 2 * n_h, rng, std=0, dtype=dtype))
        self.net.skip_dx()
        self.sees = ("h",) + ("context",) * bool(n_context)

    def children(self):
        return [("net", self.net)]

    def forward(self, h, context=None):
        checks.context(context, h, self.n_context, "AuxiliarySynthesizer")
        self.h, self.context = h, context
        both = self.net.forward(h if context is None else self.xp.concatenate([h, context], axis=1))
        self.delta_hat, self.later_hat = both[:, :self.n_h], both[:, self.n_h:]
        return self.delta_hat

    def learn(self, h, context, target, optimizer, later=None):
        """One step for both heads. later (N, H): what the second should have said; None leaves it as it is."""
        self.later = later
        super().learn(h, context, target, optimizer)

    def backward(self, ddelta_hat):
        dlater_hat = (self.xp.zeros_like(ddelta_hat) if self.later is None
                      else (self.later_hat - self.later) / len(self.later))
        self.net.backward(self.xp.concatenate([ddelta_hat, dlater_hat], axis=1))

    def describe(self):
        return f"{self.n_h}" + f" + {self.n_context} context" * (self.n_context > 0) + f" -> {self.n_h}, and the next"
