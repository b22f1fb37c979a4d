"""The control with a supervised loss of its own at every interface."""

from tinydni.kernels import batch_sum
from tinydni.layers.layer import Layer
from tinydni.synthesizers.synthesizer import Synthesizer


class LocalHead(Synthesizer, Layer):
    """The gradient of a classifier on h that learns the label itself  ("layer-wise supervised loss", Miyato et al. 2017).

    delta_hat = u Vᵀ with u = p - t as in VirtualLinear; but V and c descend the classifier's own loss,
    dV = hᵀ u / N,   dc = sum of u / N,
    and the message from above is not used: no module learns what another needs.

    virtual: a VirtualLinear, whose context t is the label
    """

    sees = ("h", "context")

    def __init__(self, virtual):
        self.virtual = virtual

    def children(self):
        return [("virtual", self.virtual)]

    def forward(self, h, context=None):
        self.h, self.context = h, context
        self.delta_hat = self.virtual.forward(h, context)
        return self.delta_hat

    def backward(self, ddelta_hat):
        """Sets the gradients of the classifier's own loss; what is asked of delta_hat does not matter."""
        u = self.virtual.u / len(self.h)
        self.virtual.dV, self.virtual.dc = self.h.T @ u, batch_sum(self.xp, u)

    def describe(self):
        return repr(self.virtual)
