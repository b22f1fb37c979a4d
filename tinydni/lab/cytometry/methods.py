"""The ways to train the MMD-ResNet: those of the command line, and the controls of the table."""

from dataclasses import dataclass, replace

from tinydni.algorithms import backprop, no_backprop, update_decoupled
import tinydni as td
from tinydni.lab.cytometry.resnet import mmd_resnet, without_shortcut_gradient
from tinydni.lab.cytometry.synthesizer import StandardisedSynthesizer
from tinydni.variants.mmd import MMD
from tinydni.optimizers import Adam, RMSProp, SGD
from tinydni.random import stream
from tinydni.optimizers import Constant, StepDecay

RHO = 0.99                  # of RMSProp; with 0.9 all methods need two to three times as many updates
PENALTY = 1e-2              # times the squared weights, added to the loss: 2 PENALTY W joins the gradient of W
HIDDEN = {"mlp": (32,), "linear": ()}       # widths of the synthesizers, by the names of the command line


@dataclass(frozen=True)
class Method:
    """A recipe.

    meaning: for the report    algorithm: how the modules run
    hidden: widths of the synthesizers, () for one dense layer, None where there are no synthesizers
    lr: of the blocks    top_lr: of the block with the loss, whose gradient is exact
    decay: whether all rates fall to 0.3 after 40 % and 0.09 after 80 % of the updates. Without it, RMSProp, which
    makes steps of one size however small the gradient is, turns the noise of the guesses into a random walk.
    synthesizer_lr: function () -> optimizer
    shortcut: whether the messages carry the gradient of the shortcut
    """

    meaning: str
    algorithm: callable
    hidden: tuple | None = None
    lr: float = 1e-3
    top_lr: float = 1e-3
    decay: bool = False
    synthesizer_lr: callable = lambda: Adam(1e-2)
    shortcut: bool = True


DNI = Method("synthetic gradients from h, one hidden layer of 32", update_decoupled, (32,), 3e-4, 2e-3, decay=True)
PAPER = replace(DNI, hidden=(), lr=1e-3, top_lr=1e-3,
                meaning="synthetic gradients from one dense layer, one learning rate for all layers, as in the paper")
METHODS = {
    "backprop": Method("the true gradient, passed down through all blocks", backprop),
    "dni": DNI,
    "none": Method("control: only the last layer learns", no_backprop),
}
CONTROLS = {
    "one dense layer": PAPER,
    "one dense layer, SGD": replace(PAPER, synthesizer_lr=lambda: SGD(0.01),
                                    meaning="the same, its synthesizers trained by plain gradient descent, as in the paper"),
    "no shortcut gradient": replace(DNI, shortcut=False,
                                    meaning="dni, with messages that leave the shortcut's gradient out"),
}


def build(method, m, n_markers, seed):
    """Returns the Network for a Method: an MMD-ResNet with an interface after each stacked layer but the last.

    m: width of the kernels
    """
    blocks = mmd_resnet(n_markers, stream(seed, "weights"))
    if not method.shortcut:
        blocks = without_shortcut_gradient(blocks)
    parts = {}
    if method.hidden is not None:
        rng = stream(seed, "synthesizer")
        parts = {"synthesizer": lambda n_h: StandardisedSynthesizer(n_h, rng, method.hidden),
                 "synthesizer_lr": method.synthesizer_lr}
    return td.build(blocks, MMD(m), lambda: RMSProp(method.lr, RHO, weight_decay=2 * PENALTY),
                    top_lr=lambda: RMSProp(method.top_lr, RHO, weight_decay=2 * PENALTY), input_shape=(n_markers,),
                    algorithm=method.algorithm, **parts)


def rates(method, updates):
    """The factor of the learning rates, as a function of the step."""
    if not method.decay:
        return Constant()
    return StepDecay((max(1, round(0.4 * updates)), max(1, round(0.8 * updates))), gamma=0.3)
