"""Algorithms: ways to run the same modules. Each makes one training step, from x to new weights.

algorithm(modules, x, target, context): modules from the one that reads the data to the one that has
the loss;   x (N, D): inputs;   target: what the loss compares with;   context (N, C): what the
synthesizers may see beside h, or None.
"""

from collections.abc import Sequence
from typing import Any

from tinydni.backend import Array
from tinydni.layer import Part

__all__ = ["Algorithm", "backprop", "no_backprop", "update_decoupled"]


def update_decoupled(modules: Sequence[Any], x: Array, target: Array,
                     context: Array | None = None) -> None:
    """Every module updates on its own guess; only the top sees the true gradient.

    Nothing waits: a synthesizer learns from the message that the next module sends with its own
    forward pass, not from a full backward pass (Jaderberg et al. 2016, figure 2).
    """
    h = x
    for below, module in zip([None, *modules], modules):
        dx, h = module.forward_and_synthetic_update(h, context, target)
        if below is not None:
            below.update_synthetic_weights(dx)
        context = module.context_above(h, context)


def backprop(modules: Sequence[Any], x: Array, target: Array,
             context: Array | None = None) -> None:
    """Run the same blocks locked: forward to the top, then the true gradient back down."""
    h = x
    for module in modules:
        h = module.forward(h)
    dh = modules[-1].gradient_at_output(h, context, target)
    for module in reversed(modules):
        dh = module.backward(dh)
        module.update()


def no_backprop(modules: Sequence[Any], x: Array, target: Array,
                context: Array | None = None) -> None:
    """Train the top alone, the control "no backprop" of Jaderberg et al. 2016, table 1."""
    h = x
    for module in modules[:-1]:
        h = module.forward(h)
    modules[-1].forward_and_synthetic_update(h, context, target)


class Algorithm(Part):
    """An algorithm with layers or random draws of its own, to be saved and moved."""

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        """Make one training step."""
        raise NotImplementedError(f"{type(self).__name__}.__call__")
