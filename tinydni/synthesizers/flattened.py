"""A synthesizer of rows at an interface that images cross."""

from tinydni.layers.layer import Layer
from tinydni.synthesizers.synthesizer import Synthesizer


class Flattened(Synthesizer, Layer):
    """delta_hat = synthesizer(h laid end to end, context) in the shape of h.

    h (N, P, Q, C): output of the module    context: as the synthesizer takes it    delta_hat (N, P, Q, C)
    synthesizer: of width P Q C; every pixel of every channel has its own weights, as nothing is shared between places
    """

    def __init__(self, synthesizer):
        self.synthesizer = synthesizer
        self.sees = synthesizer.sees

    def children(self):
        return [("synthesizer", self.synthesizer)]

    def forward(self, h, context=None):
        self.h, self.context = h, context
        self.delta_hat = self.synthesizer.forward(h.reshape(len(h), -1), context).reshape(h.shape)
        return self.delta_hat

    def backward(self, ddelta_hat):
        self.synthesizer.backward(ddelta_hat.reshape(len(ddelta_hat), -1))

    def describe(self):
        return repr(self.synthesizer)
