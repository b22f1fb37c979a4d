"""The synthesizer of a boundary in time that also foretells what it will say at the next one."""

from typing import Any

import numpy as np

from tinydni.activations import ReLU
from tinydni.backend import Array
from tinydni.checks import check_positive_int
from tinydni.containers import Sequential
from tinydni.linear import Linear
from tinydni.synthesizers import NetworkSynthesizer, widths_read

__all__ = ["AuxiliarySynthesizer"]


class AuxiliarySynthesizer(NetworkSynthesizer):
    """[delta_hat, later_hat] = net([h, context]),   net = Linear, ReLU, Linear.

    h (N, H): the state at a boundary;   delta_hat (N, H): the gradient there, the output;
    later_hat (N, H): what delta_hat will be at the next boundary; zero where the sequence ends.

    The second head sends nothing to the network. It teaches the hidden layer, which both share, to
    find in the state what lies further ahead (the auxiliary task of Jaderberg et al. 2016,
    section 3.2). Its target is the attribute `later`, which the boundary sets.

    Parameters
    ----------
    n_h, n_context : H and the width of the context
    rng : draws the first layer; the last one starts at zero
    hidden : width of the hidden layer
    dtype : of the parameters
    """

    def __init__(self, n_h: int, rng: np.random.Generator, n_context: int = 0, hidden: int = 128,
                 dtype: Any = np.float32):
        n_h = check_positive_int(n_h, "n_h")
        n_context = check_positive_int(n_context, "n_context", minimum=0)
        net = Sequential(Linear(n_h + n_context, hidden, rng, dtype=dtype), ReLU(),
                         Linear(hidden, 2 * n_h, rng, std=0, dtype=dtype))
        super().__init__(net, n_h, n_context,
                         f"{widths_read(n_h, n_context)} -> {n_h}, and the next")

    def forward(self, h: Array, context: Array | None = None) -> Array:
        both = super().forward(h, context)
        self.delta_hat, self.later_hat = both[:, :self.n_h], both[:, self.n_h:]
        return self.delta_hat

    def backward(self, ddelta_hat: Array) -> None:
        dlater_hat = (self.xp.zeros_like(ddelta_hat) if self.later is None
                      else (self.later_hat - self.later) / len(self.later))
        self.net.backward(self.xp.concatenate([ddelta_hat, dlater_hat], axis=1))
