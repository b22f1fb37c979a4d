"""Late gradients: no guess at all; a block updates on the true gradient when it arrives."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydni.backend import Array
from tinydni.checks import check_positive_int
from tinydni.layer import Shape
from tinydni.variants.late_targets import LateTargets, run_again

__all__ = ["LateGradients"]


class LateGradients(LateTargets):
    """Blocks update on true gradients that come n steps late; nobody guesses.

    In step t module k, counted from 0, of L modules

    1. takes the message dh about its batch of step t - n,   n = (L - 1 - k) · delay,
       runs its block again, h = block(x_{t-n}), passes dx down, and updates on dh;
    2. runs on the batch of step t, and keeps its input.

    The top updates on its own gradient at once. A module needs no label and no synthesizer. The
    backward lock is gone: nobody waits for a message within a step. So is the update lock, but what
    a block learns from is n steps old; the forward lock stays. Messages, memory and their order are
    those of `LateTargets`; a step costs one more forward pass of each block below the top.

    This is the rival that engineers use: features replay (Huo et al. 2018),
    and with other ways to keep what a block needs, pipelines: PipeDream (Narayanan et al. 2019)
    keeps the weights of each batch under way, PETRA (Rivaud et al. 2025) inverts blocks and keeps
    nothing. Where the delay is long, unknown, or without end, only a guess is left.

    Parameters
    ----------
    widths, batch_size, dtype : as in LateTargets
    delay : steps that a message takes from module to module, at least 1: `backprop` has none

    Raises ValueError as LateTargets does, and for modules with a synthesizer.
    """

    def __init__(self, widths: Sequence[int | Shape], batch_size: int, delay: int = 1,
                 dtype: Any = np.float32):
        super().__init__(widths, batch_size, check_positive_int(delay, "delay"), dtype=dtype)

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        if self.steps == 0:
            self.check(modules)
        h = x
        for k, module in enumerate(modules[:-1]):
            if self.steps >= len(self.inputs[k]):
                self.update_late(k, module)
            self.keep(self.inputs[k], h)
            h = module.forward(h)
        dx, _ = modules[-1].forward_and_synthetic_update(h, context, target)
        if self.messages:
            self.keep(self.messages[-1], dx)
        self.steps += 1

    def check(self, modules: Sequence[Any]) -> None:
        """Raise ValueError for modules that this was not made for."""
        super().check(modules)
        if any(module.synthesizer is not None for module in modules):
            raise ValueError("LateGradients: nobody guesses; build the network without a "
                             "synthesizer.")

    def update_late(self, k: int, module: Any) -> None:
        """Run a block again on the batch that a message is about; pass it down, and update."""
        x, dh = (kept[self.steps % len(kept)] for kept in (self.inputs[k], self.messages[k]))
        run_again(module.block, x)
        dx = module.backward(dh)
        if k > 0:
            self.keep(self.messages[k - 1], dx)
        module.update()

    def __repr__(self) -> str:
        return f"LateGradients(delay={self.delay})"
