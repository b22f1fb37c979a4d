"""The synthesizer with hidden layers, for gradients that are not a linear function of what it sees."""

import numpy as np

from tinydni import checks
from tinydni.layers import BatchNorm, Layer, Linear, ReLU, Sequential
from tinydni.synthesizers.synthesizer import Synthesizer


class MLPSynthesizer(Synthesizer, Layer):
    """delta_hat = net([h, context]),   net = (Linear, BatchNorm, ReLU) for each hidden width, then Linear.

    h (N, H): output of the module    context (N, C): as in LinearSynthesizer
    hidden: widths of the hidden layers (Jaderberg et al. 2016, appendix: two of 1024)

    Only the last layer starts at zero. Two zero layers in a row would have zero gradients for ever, and a random
    last layer sends noise down for the first hundreds of steps. Batch normalisation always uses the batch.
    """

    def __init__(self, n_h, rng, n_context=0, hidden=(256,), dtype=np.float32):
        self.n_h = checks.positive_int(n_h, "n_h")
        self.n_context = checks.positive_int(n_context, "n_context", minimum=0)
        layers, n_in = [], n_h + n_context
        for width in hidden:
            layers += [Linear(n_in, width, rng, dtype=dtype), BatchNorm(width, momentum=0, dtype=dtype), ReLU()]
            n_in = width
        self.net = Sequential(*layers, Linear(n_in, n_h, rng, std=0, dtype=dtype))
        self.net.skip_dx()
        self.sees = ("h",) + ("context",) * bool(n_context)

    def children(self):
        return [("net", self.net)]

    def forward(self, h, context=None):
        checks.rows(h, self.n_h, self.net.layers[-1].W.dtype, "MLPSynthesizer (h)")
        checks.context(context, h, self.n_context, "MLPSynthesizer")
        self.h, self.context = h, context
        both = h if context is None else self.xp.concatenate([h, context], axis=1)
        self.delta_hat = self.net.forward(both)
        return self.delta_hat

    def backward(self, ddelta_hat):
        self.net.backward(ddelta_hat)

    def describe(self):
        widths = [str(layer.n_out) for layer in self.net.layers if isinstance(layer, Linear)]
        return " -> ".join([f"{self.n_h}" + f" + {self.n_context} context" * (self.n_context > 0)] + widths)
