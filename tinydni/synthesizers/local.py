"""The control with a supervised loss of its own at every interface."""

from copy import deepcopy

from tinydni import checks
from tinydni.layers.layer import Layer
from tinydni.layers.softmax import Softmax
from tinydni.synthesizers.synthesizer import Synthesizer


class LocalHead(Synthesizer, Layer):
    """The gradient of a classifier on h that learns the label itself  ("layer-wise supervised loss", Miyato et al. 2017).

    delta_hat = gradient of loss(net(h), t) with respect to h, per example, as in VirtualNetwork; but net descends
    that same loss, mean over the batch, and the message from above is not used: no module learns what another needs.

    h (N, ...): output of the module    context t (N, K): one-hot labels, or bits
    net: layer from h to K logits, such as Linear    output: Softmax by default, Sigmoid for bits
    Raises ValueError for a context of another width than the logits, TypeError for one of another dtype than h.
    """

    sees = ("h", "context")

    def __init__(self, net, n_context, output=None):
        self.net = net
        self.n_context = checks.positive_int(n_context, "n_context")
        self.output = Softmax() if output is None else deepcopy(output)

    def children(self):
        return [("net", self.net), ("output", self.output)]

    def forward(self, h, context=None):
        checks.context(context, h, self.n_context, "LocalHead")
        self.h, self.context = h, context
        z = self.net.forward(h)
        checks.same_shape(z, context, "the output of the local classifier", "the context")
        self.delta_hat = self.net.backward(self.output.forward(z) - context)
        return self.delta_hat

    def backward(self, ddelta_hat):
        """From the summed loss of the forward pass to the mean; what is asked of delta_hat does not matter."""
        for _, layer, name in self.net.slots():
            setattr(layer, "d" + name, getattr(layer, "d" + name) / len(self.h))

    def describe(self):
        return repr(self.net)
