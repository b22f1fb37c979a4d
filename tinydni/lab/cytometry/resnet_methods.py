"""The ways to train the MMD-ResNet: those of the command line, and the controls of the table."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import tinydni as td
from tinydni.algorithms import backprop, no_backprop, update_decoupled
from tinydni.dni import Network
from tinydni.lab.cytometry.resnet import (
    mmd_resnet,
    standardised_synthesizer,
    without_shortcut_gradient,
)
from tinydni.optimizers import SGD, Adam, Constant, Optimizer, RMSProp, StepDecay
from tinydni.random import stream
from tinydni.variants.mmd import MMD

RHO = 0.99                  # of RMSProp; with 0.9 all methods need two to three times the updates
PENALTY = 1e-2              # times the squared weights, in the loss: 2 PENALTY W joins dW
HIDDEN: dict[str, tuple[int, ...]] = {"mlp": (32,), "linear": ()}       # widths of synthesizers


@dataclass(frozen=True)
class Method:
    """A recipe.

    meaning : for the report    algorithm : how the modules run
    hidden : widths of the synthesizers, () for one dense layer, None where there are none
    lr : of the blocks    top_lr : of the block with the loss, whose gradient is exact
    decay : whether all rates fall to 0.3 after 40 % and 0.09 after 80 % of the updates; without it,
        RMSProp, which makes steps of one size however small the gradient is, turns the noise of the
        guesses into a random walk
    shortcut : whether the messages carry the gradient of the shortcut
    """

    meaning: str
    algorithm: Callable
    hidden: tuple[int, ...] | None = None
    lr: float = 1e-3
    top_lr: float = 1e-3
    decay: bool = False
    synthesizer_lr: Callable[[], Optimizer] = lambda: Adam(1e-2)
    shortcut: bool = True


DNI = Method("synthetic gradients from h, one hidden layer of 32", update_decoupled, (32,), 3e-4,
             2e-3, decay=True)
PAPER = replace(DNI, hidden=(), lr=1e-3, top_lr=1e-3,
                meaning="synthetic gradients from one dense layer, one learning rate for all "
                        "layers, as in the paper")
METHODS = {
    "backprop": Method("the true gradient, passed down through all blocks", backprop),
    "dni": DNI,
    "none": Method("control: only the last layer learns", no_backprop),
}
CONTROLS = {
    "one dense layer": PAPER,
    "one dense layer, SGD": replace(PAPER, synthesizer_lr=lambda: SGD(0.01),
                                    meaning="the same, its synthesizers trained by plain gradient "
                                            "descent, as in the paper"),
    "no shortcut gradient": replace(DNI, shortcut=False, meaning="dni, with messages that leave "
                                                                 "the shortcut's gradient out"),
}


def build(method: Method, m: float, n_markers: int, seed: int) -> Network:
    """Return an MMD-ResNet with an interface after each stacked layer but the last.

    m : width of the kernels
    """
    blocks = mmd_resnet(n_markers, stream(seed, "weights"))
    if not method.shortcut:
        blocks = without_shortcut_gradient(blocks)
    parts: dict[str, Any] = {}
    if (hidden := method.hidden) is not None:
        rng = stream(seed, "synthesizer")
        parts = {"synthesizer": lambda n_h: standardised_synthesizer(n_h, rng, hidden),
                 "synthesizer_lr": method.synthesizer_lr}
    return td.build(blocks, MMD(m), lambda: RMSProp(method.lr, RHO, weight_decay=2 * PENALTY),
                    top_lr=lambda: RMSProp(method.top_lr, RHO, weight_decay=2 * PENALTY),
                    input_shape=(n_markers,), algorithm=method.algorithm, **parts)


def rates(method: Method, updates: int) -> Callable[[int], float]:
    """Return the scale of the learning rates, as a function of the step."""
    if not method.decay:
        return Constant()
    return StepDecay([max(1, round(share * updates)) for share in (0.4, 0.8)], gamma=0.3)
