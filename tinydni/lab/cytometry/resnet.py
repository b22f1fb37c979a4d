"""MMD-ResNet: starts as the identity and learns how a sample has to move (Shaham et al. 2017)."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinydni.activations import ReLU
from tinydni.backend import Array
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Sequential
from tinydni.dni import Network
from tinydni.layer import Layer, Shape, batch_dot, batch_sum
from tinydni.linear import Linear
from tinydni.synthesizers import NetworkSynthesizer
from tinydni.variants.shortcut import CloseShortcut, OpenShortcut

EPS = 1e-3                  # of batch normalisation
START = 1e-4                # standard deviation of the first weights: cells begin where they are


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


class ForgetfulShortcut(Layer):
    """OpenShortcut that leaves the shortcut out of its backward pass, as the paper's code does.

    y = [f(x), x],   dx = df(dy[:, :H]) alone: a control.
    """

    def __init__(self, shortcut: OpenShortcut):
        self.shortcut = shortcut

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("shortcut", self.shortcut)]

    def forward(self, x: Array) -> Array:
        return self.shortcut.forward(x)

    def backward(self, dy: Array) -> Array:
        return self.shortcut.branch.backward(dy[:, :self.shortcut.n_branch])

    def output_shape(self, shape: Shape) -> Shape:
        return self.shortcut.output_shape(shape)


def without_shortcut_gradient(blocks: list[Layer]) -> list[Layer]:
    """Return the blocks of an MMD-ResNet with every OpenShortcut made forgetful."""
    return [ForgetfulShortcut(block) if isinstance(block, OpenShortcut) else block
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

    Parameters
    ----------
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
