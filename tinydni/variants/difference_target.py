"""Difference target propagation: what comes down is a target for h, by learned inverses."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinydni.algorithms import Algorithm
from tinydni.backend import Array, asarray
from tinydni.checks import check_range
from tinydni.dni import to_delta, to_dh
from tinydni.layer import Layer
from tinydni.linear import Linear
from tinydni.optimizers import Optimizer
from tinydni.synthesizers import NetworkSynthesizer, Synthesizer
from tinydni.variants.late_targets import run_again

__all__ = ["DifferenceTarget", "inverse"]


class DifferenceTarget(Algorithm):
    """A module tells the one below what its output should have been (Lee et al. 2015, algorithm 1).

    At the top interface      t = h - rate · delta,   delta the true gradient of each example;
    down through block k      t_below = h_below + g_k(t) - g_k(h);
    block k steps on          ½‖h - t‖², mean over the batch;
    g_k learns the inverse    ½‖g_k(block(x̃)) - x̃‖²,   x̃ = h_below + noise.

    Where g_k is an exact inverse and the step small, h moves as Gauss and Newton would move it; the
    difference makes t_below = h_below where t = h, however wrong g_k is. No W need be known above.
    It removes no lock: a target comes down as a gradient does. A step costs an inverse, as large as
    a block, for each block but the bottom one: it runs three times forward, once backward.

    Parameters
    ----------
    inverses : g_1, g_2, ... of the modules between bottom and top, from h to the h below
    optimizers : one for each
    rng : draws the noise
    rate, noise : as in the formulas; noise is its standard deviation
    """

    def __init__(self, inverses: Sequence[Synthesizer], optimizers: Sequence[Optimizer],
                 rng: np.random.Generator, rate: float = 1.0, noise: float = 0.1):
        self.inverses, self.optimizers, self.rng = list(inverses), list(optimizers), rng
        self.rate = check_range(rate, "rate", 0, None, include_low=False)
        self.noise = check_range(noise, "noise", 0, None)

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        hs = [x]
        for module in modules:
            hs.append(module.forward(hs[-1]))
        *hs, y = hs[1:]
        top = modules[-1]
        dh = top.backward(top.gradient_at_output(y, context, target))
        top.update()
        if not hs:
            return
        t = hs[-1] - self.rate * to_delta(dh)
        for k in reversed(range(len(hs))):
            module, h, h_below = modules[k], hs[k], hs[k - 1]
            module.backward(to_dh(h - t))
            if k > 0:
                g = self.inverses[k - 1]
                t = h_below + g.forward(t) - g.forward(h)
                self.learn(k - 1, module.block, h_below)
            module.update()

    def learn(self, k: int, block: Layer, h_below: Array) -> None:
        """Let an inverse learn to undo its block near h_below."""
        noise = self.noise * self.rng.standard_normal(h_below.shape)
        x = h_below + asarray(block.xp, noise.astype(h_below.dtype))
        self.inverses[k].learn(run_again(block, x), None, x, self.optimizers[k])

    def learners(self) -> Iterator[tuple[str, Layer, Optimizer]]:
        for k, learner in enumerate(zip(self.inverses, self.optimizers), 1):
            yield f"{k}.inverse", *learner

    def arrays(self) -> Iterator[tuple[str, Any]]:
        yield from super().arrays()
        yield "rng", self.rng


def inverse(n_h: int, n_below: int, rng: np.random.Generator,
            dtype: Any = np.float32) -> NetworkSynthesizer:
    """Return a linear g from h (N, H) to the h below; it learns by regression."""
    net = Linear(n_h, n_below, rng, std=n_h**-0.5, dtype=dtype)
    return NetworkSynthesizer(net, n_h, description=f"{n_h} -> {n_below}, inverse")
