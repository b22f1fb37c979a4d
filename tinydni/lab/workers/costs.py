"""What a step of each module costs, by measurement."""

import time
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tinydni import backend

ROUNDS = 15         # through all modules, as in training, so that caches are as warm as there; the
                    # faster quarter counts, since the others were disturbed


@dataclass
class Costs:
    """Seconds that each module, or stage, spends on a batch, bottom to top: arrays (K,).

    forward, backward, update: of the block, the loss included
    guess, learn: of the synthesizer, 0 without one    h, parameters: bytes of them
    """

    forward: np.ndarray
    backward: np.ndarray
    update: np.ndarray
    guess: np.ndarray
    learn: np.ndarray
    h: np.ndarray
    parameters: np.ndarray

    @property
    def block(self) -> np.ndarray:
        """Seconds of the blocks."""
        return self.forward + self.backward + self.update

    @property
    def synthesizer(self) -> np.ndarray:
        """Seconds of the synthesizers."""
        return self.guess + self.learn


def measure(modules: Iterable[Any], x: Any, context: Any, target: Any) -> Costs:
    """Time one step of each module of a Network, on copies, with a batch for the bottom one."""
    modules, rounds = deepcopy(list(modules)), []
    with threadpool_limits(1, "blas"):
        for _ in range(ROUNDS):
            h, seen, times, sizes = x, context, [], []
            for module in modules:
                h, *seconds = one_step(module, h, seen, target)
                seen = module.context_above(h, seen)
                times.append(seconds)
                sizes.append(sizes_of(module, h))
            rounds.append(times)
    return Costs(*np.percentile(rounds, 25, axis=0).T, *np.transpose(sizes).astype(float))


def sizes_of(module, h):
    """Return the bytes of the output of a module and of its parameters."""
    return h.nbytes, sum(parameter.nbytes for _, parameter, _ in module.block.named_parameters())


def one_step(module, x, context, target):
    """Make a step of a module as a worker does. Return h and the seconds of five parts of Costs."""
    marks = []

    def mark(array):
        if not backend.is_host(module.block.xp):
            backend.to_numpy(array.ravel()[:1])         # waits for the device
        marks.append(time.perf_counter())

    guesses = module.synthesizer is not None
    mark(x)
    h = module.forward(x)
    mark(h)
    if guesses or module.loss is not None:
        dh = module.gradient_at_output(h, context, target)
    else:
        dh = h / len(h)                 # made up, as large as a message is
    mark(dh)
    module.backward(dh)
    mark(dh)
    module.update()
    mark(dh)
    if guesses:
        module.learn(h.copy(), context, dh)     # a target that comes late: the guess is made again
    mark(dh)
    forward, gradient, backward, update, learn = np.diff(marks)
    if guesses:
        return h, forward, backward, update, gradient, learn
    return h, forward + gradient * (module.loss is not None), backward, update, 0.0, 0.0
