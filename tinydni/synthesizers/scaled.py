"""A synthesizer whose guess is made larger before it is used."""

from tinydni import checks
from tinydni.layers.layer import Layer
from tinydni.synthesizers.synthesizer import Synthesizer


class Scaled(Synthesizer, Layer):
    """delta_hat = scale · synthesizer(h, context);   what it learns stays the unscaled gradient.

    Least squares makes a guess that is shorter than the truth, the more so the less of it can be known: the norm ratio
    is about the cosine. A module below then learns at that fraction of its rate, unless the guess is scaled up again.
    """

    def __init__(self, synthesizer, scale):
        self.synthesizer = synthesizer
        self.scale = checks.in_range(scale, "scale", 0, None, include_low=False)
        self.sees = synthesizer.sees

    def children(self):
        return [("synthesizer", self.synthesizer)]

    def forward(self, h, context=None):
        self.h, self.context = h, context
        self.delta_hat = self.synthesizer.forward(h, context) * self.scale
        return self.delta_hat

    def learn(self, h, context, target, optimizer):
        super().learn(h, context, target * self.scale, optimizer)

    def backward(self, ddelta_hat):
        self.synthesizer.backward(ddelta_hat / self.scale)

    def loss(self):
        """The loss of the unscaled guess."""
        return super().loss() / self.scale**2

    def describe(self):
        return f"{self.scale:g} x {self.synthesizer!r}"
