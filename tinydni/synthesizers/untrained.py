"""A synthesizer that never learns: the control that says what learning the gradient is worth."""

from tinydni.layers.layer import Layer
from tinydni.synthesizers.synthesizer import Synthesizer


class Untrained(Synthesizer, Layer):
    """Any synthesizer, kept as it started; `learn` measures its error and changes nothing.

    Around a virtual network it is Miyato et al. 2017, section 4, alpha_gs = 0: the module below then learns to be
    read by a fixed random network. A synthesizer that starts at zero guesses zero for ever.
    """

    def __init__(self, synthesizer):
        self.synthesizer = synthesizer
        self.sees = synthesizer.sees

    def children(self):
        return [("synthesizer", self.synthesizer)]

    def forward(self, h, context=None):
        self.h, self.context = h, context
        self.delta_hat = self.synthesizer.forward(h, context)
        return self.delta_hat

    def backward(self, ddelta_hat):
        pass

    def update(self, optimizer):
        pass

    def describe(self):
        return repr(self.synthesizer)
