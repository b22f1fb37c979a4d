"""BP(λ): between backpropagation and synthetic gradients."""

from collections.abc import Sequence
from typing import Any

from tinydni.algorithms import Algorithm
from tinydni.backend import Array
from tinydni.checks import check_range

__all__ = ["BPLambda"]


class BPLambda(Algorithm):
    """Mix the gradient that comes down and the one that is guessed.

    Forward to the top, then downwards, with dx the message of the module above:
    dh = λ dx + (1 - λ) M(h) / N,   and M learns from dx.

    λ = 1 is backpropagation; λ = 0 has the gradients of `update_decoupled`. (λ-returns with
    eligibility traces, in later work, go by the same name and are something else.)
    Source: Jaderberg et al. 2016, supplement A.
    """

    def __init__(self, lam: float):
        self.lam = check_range(lam, "lam", 0, 1)

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        hs, contexts = [x], [context]
        for module in modules:
            hs.append(module.forward(hs[-1]))
            contexts.append(module.context_above(hs[-1], contexts[-1]))
        dx = None
        for module, h, seen in zip(reversed(modules), reversed(hs), reversed(contexts[:-1])):
            dh = module.gradient_at_output(h, seen, target)
            if dx is not None:
                dh = self.lam * dx + (1 - self.lam) * dh
                module.update_synthetic_weights(dx)
            dx = module.backward(dh)
            module.update()
