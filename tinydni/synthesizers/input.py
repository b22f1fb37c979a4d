"""The synthesizer of an input, which takes the place of what the module below would send."""

import numpy as np

from tinydni.layers import BatchNorm, Layer, Linear, ReLU, Sequential
from tinydni.synthesizers.synthesizer import Synthesizer


class InputSynthesizer(Synthesizer, Layer):
    """h_hat = net(x): a guess of the h that the module below makes of the network's input x.

    net = (Linear, BatchNorm, ReLU) for each hidden width, then Linear, ReLU: h is not negative either.
    It learns as every synthesizer, 1/2 ‖h_hat - h‖², with x in the place of h and h in that of the gradient
    (Jaderberg et al. 2016, section 2.1: "synthetic input").

    x (N, D): the network's input    h_hat (N, H): goes to the module as if it came from below
    """

    sees = ("x",)

    def __init__(self, n_in, n_h, rng, hidden=(256,), dtype=np.float32):
        layers = []
        for width in hidden:
            layers += [Linear(n_in, width, rng, dtype=dtype), BatchNorm(width, momentum=0, dtype=dtype), ReLU()]
            n_in = width
        self.net = Sequential(*layers, Linear(n_in, n_h, rng, dtype=dtype), ReLU())
        self.net.skip_dx()

    def children(self):
        return [("net", self.net)]

    def forward(self, x, context=None):
        self.h, self.context = x, context
        self.delta_hat = self.net.forward(x)
        return self.delta_hat

    def backward(self, dh_hat):
        self.net.backward(dh_hat)

    def describe(self):
        widths = [layer for layer in self.net.layers if isinstance(layer, Linear)]
        return " -> ".join([str(widths[0].n_in), *(str(layer.n_out) for layer in widths)])
