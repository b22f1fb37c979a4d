"""MMD-ResNet, which starts as the identity, and the ways to train it (Shaham et al. 2017)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import tinydni as td
from tinydni.activations import ReLU
from tinydni.algorithms import backprop, no_backprop, update_decoupled
from tinydni.backend import Array
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Sequential
from tinydni.dni import Network
from tinydni.layer import Layer, Shape, batch_dot, batch_sum
from tinydni.linear import Linear
from tinydni.optimizers import SGD, Adam, Constant, Optimizer, RMSProp, StepDecay
from tinydni.random import stream
from tinydni.synthesizers import NetworkSynthesizer
from tinydni.variants.mmd import MMD
from tinydni.variants.shortcut import CloseShortcut, OpenShortcut

EPS = 1e-3                  # of batch normalisation
START = 1e-4                # standard deviation of the first weights: cells begin where they are
RHO = 0.99                  # of RMSProp; with 0.9 all methods need two to three times the updates
PENALTY = 1e-2              # times the squared weights, in the loss: 2 PENALTY W joins dW
HIDDEN: dict[str, tuple[int, ...]] = {"mlp": (32,), "linear": ()}       # widths of synthesizers


def mmd_resnet(n_markers: int, rng: np.random.Generator, n_blocks: int = 3, n_hidden: int = 25
               ) -> list[Layer]:
    """Return the network of Haninčík 2018, section 5, one block per stacked layer.

    x ← x + Linear(ReLU(BN(u))),   u = Linear(ReLU(BN(x))),   n_blocks times; no output layer.

    A block ends where an interface may be put: the lower half of a residual block gives [u, x], the
    upper half adds. So the message over any interface carries the gradient of the shortcut.
    """
    blocks: list[Layer] = []
    for _ in range(n_blocks):
        lower = (BatchNorm(n_markers, eps=EPS), ReLU(),
                 Linear(n_markers, n_hidden, rng, std=START))
        upper = BatchNorm(n_hidden, eps=EPS), ReLU(), Linear(n_hidden, n_markers, rng, std=START)
        blocks += [OpenShortcut(*lower), CloseShortcut(n_hidden, *upper)]
    return blocks


def reestimate_statistics(network: Network, x: Array, batch_size: int = 10_000) -> None:
    """Set the running statistics of every BatchNorm to those of the sample x (N, D), bottom to top.

    The averages that training leaves behind belong to weights of many past steps. Module by module,
    all cells pass once in training mode with momentum 1, then on to the next in evaluation.
    """
    h = x
    for module in network.modules:
        layers = [layer for _, layer in module.block.walk() if isinstance(layer, BatchNorm)]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.momentum = 1
        module.block.train()
        module.forward(h)
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
        module.block.eval()
        h = module.block.xp.concatenate([module.forward(h[i:i + batch_size])
                                         for i in range(0, len(h), batch_size)])
    network.train()


class ForgetfulShortcut(OpenShortcut):
    """OpenShortcut that leaves the shortcut out of its backward pass, as the paper's code does.

    y = [f(x), x],   dx = df(dy[:, :H]) alone: a control.
    """

    def backward(self, dy: Array) -> Array:
        return self.branch.backward(dy[:, :self.n_branch])


def without_shortcut_gradient(blocks: list[Layer]) -> list[Layer]:
    """Return the blocks of an MMD-ResNet with every OpenShortcut made forgetful."""
    return [ForgetfulShortcut(block.branch) if isinstance(block, OpenShortcut) else block
            for block in blocks]


class Standardise(Layer):
    """z = (h - mean(h)) / std(h), over the batch; no gradient flows on from here."""

    def __init__(self, eps: float):
        self.eps = eps

    def forward(self, h: Array) -> Array:
        z = h - batch_sum(self.xp, h) / len(h)
        z /= self.xp.sqrt(batch_dot(self.xp, z, z) / len(h) + self.eps)
        return z

    def backward(self, dz: Array) -> None:
        return None

    def output_shape(self, shape: Shape) -> Shape:
        return shape


def standardised_synthesizer(n_h: int, rng: np.random.Generator, hidden: tuple[int, ...] = (32,),
                             eps: float = 1e-3, dtype: Any = np.float32) -> NetworkSynthesizer:
    """Return delta_hat = net((h - mean(h)) / std(h)): every feature of h on the same scale.

    A network that starts as the identity gives outputs that differ a thousandfold in size: the
    branch is tiny, the shortcut beside it is not. There is no batch normalisation inside, unlike in
    mlp_synthesizer: with it, the MMD falls as far, and cell types are lost on the way.

    n_h : width of h
    rng : draws the weights
    hidden : widths; () is the one dense layer of Haninčík 2018, section 2
    eps, dtype : beside the variance, and of the parameters
    """
    widths = (n_h, *hidden)
    layers = [part for n_in, n_out in zip(widths, hidden)
              for part in (Linear(n_in, n_out, rng, dtype=dtype), ReLU())]
    net = Sequential(Standardise(eps), *layers, Linear(widths[-1], n_h, rng, std=0, dtype=dtype))
    return NetworkSynthesizer(net, n_h, description=" -> ".join(map(str, (*widths, n_h))))


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
