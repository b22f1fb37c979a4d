"""Stochastic updates: a module does its backward work only now and then."""

from collections.abc import Iterator, Sequence
from typing import Any

from tinydni.algorithms import Algorithm
from tinydni.backend import Array
from tinydni.checks import check_positive_int, check_range
from tinydni.random import stream

__all__ = ["Stochastic"]


class Stochastic(Algorithm):
    """Each module updates in a step with probability p, independently.

    A module that acts updates its block and sends its message down; the module below then learns,
    whether or not it acted itself. One that does not act only runs forward and passes h on. With
    p = 1 this is `update_decoupled`. Source: Jaderberg et al. 2016, section 3.1.

    Parameters
    ----------
    p : probability, above 0
    n_modules : their number
    seed : of the draws; every module has a stream of its own, so that a module alone in a worker
        draws the same
    """

    def __init__(self, p: float, n_modules: int, seed: int):
        self.p = check_range(p, "p", 0, 1, include_low=False)
        n_modules = check_positive_int(n_modules, "n_modules", 1, 10_000)
        self.rngs = [stream(seed, "update", i) for i in range(n_modules)]

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        h, seen = x, context
        for below, module, rng in zip([None, *modules[:-1]], modules, self.rngs, strict=True):
            h_below, seen_below, seen = h, seen, context
            if rng.random() < self.p:
                dx, h = module.forward_and_synthetic_update(h, context, target)
                if below is not None:
                    below.learn(h_below, seen_below, dx)
            else:
                h = module.forward(h)
                if module.loss is not None:         # to report the loss of every step
                    module.gradient_at_output(h, context, target)
            context = module.context_above(h, context)

    def arrays(self) -> Iterator[tuple[str, Any]]:
        yield from ((str(i), rng) for i, rng in enumerate(self.rngs))
