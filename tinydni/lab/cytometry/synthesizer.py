"""The synthesizer of the MMD-ResNet: it sees every feature of h on the same scale."""

import numpy as np

from tinydni import checks
from tinydni.layer import Layer, batch_dot, batch_sum
from tinydni.activations import ReLU
from tinydni.containers import Sequential
from tinydni.linear import Linear
from tinydni.synthesizers import Synthesizer


class StandardisedSynthesizer(Synthesizer):
    """delta_hat = net((h - mean(h)) / std(h)),   mean and variance over the batch.

    h (N, H): output of the module    net: (Linear, ReLU) for each hidden width, then Linear, which starts at zero
    hidden: widths; () is the one dense layer of Haninčík 2018, section 2

    A network that starts as the identity gives outputs that differ a thousandfold in size: the branch is tiny, the
    shortcut beside it is not. There is no batch normalisation inside, unlike in mlp_synthesizer: with it, the
    MMD falls as far, and cell types are lost on the way.
    """

    sees = ("h",)

    def __init__(self, n_h, rng, hidden=(32,), eps=1e-3, dtype=np.float32):
        self.n_h, self.eps = checks.check_positive_int(n_h, "n_h"), eps
        widths = (n_h, *hidden)
        layers = [part for n_in, n_out in zip(widths, widths[1:])
                  for part in (Linear(n_in, n_out, rng, dtype=dtype), ReLU())]
        self.net = Sequential(*layers, Linear(widths[-1], n_h, rng, std=0, dtype=dtype))
        self.net.skip_dx()

    def children(self):
        return [("net", self.net)]

    def forward(self, h, context=None):
        checks.check_context(context, h, 0, "StandardisedSynthesizer")
        self.h, self.context = h, context
        z = h - batch_sum(self.xp, h) / len(h)
        z /= self.xp.sqrt(batch_dot(self.xp, z, z) / len(h) + self.eps)
        self.delta_hat = self.net.forward(z)
        return self.delta_hat

    def backward(self, ddelta_hat):
        self.net.backward(ddelta_hat)

    def describe(self):
        return " -> ".join([str(self.n_h)] + [str(layer.n_out) for layer in self.net.layers if isinstance(layer, Linear)])
