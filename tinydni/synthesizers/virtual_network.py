"""Any network as a virtual network: its second-order gradient from two ordinary backward passes."""

from copy import deepcopy

from tinydni import checks
from tinydni.layers.layer import Layer
from tinydni.layers.softmax import Softmax
from tinydni.synthesizers.synthesizer import Synthesizer


class VirtualNetwork(Synthesizer, Layer):
    """delta_hat = gradient of loss(net(h), t) with respect to h, per example  (Miyato et al. 2017, eq. 6, any v_f).

    h (N, ...): output of the module    context t (N, K): one-hot labels, bits, or probabilities of either
    net: layer from h to K logits, v_f in the paper. Its last layer starts small and random, never at zero.
    output: as in VirtualLinear

    backward: <e, delta_hat>, e = ddelta_hat, is the slope of the summed loss as h moves along e. Its gradient
    with respect to a weight W of net is therefore the slope of the ordinary weight gradient dW(h), and a central
    difference of two backward passes gives it, whatever net is made of:

        (dW(h + eps e) - dW(h - eps e)) / (2 eps),    eps = step · rms(h) / rms(e).

    step: how far to look, relative to h. On a smooth net 1e-3 (in float64 1e-5) agrees with the exact gradient to
    rounding. Where there are kinks (ReLU, max pooling) the exact second derivative knows nothing of them and a
    small step meets little else: 0.03 to 0.1 is nearest to it, and learns as well.

    supervised: also descend the virtual network's own loss, whose gradient the forward pass has made anyway; it is scaled
    to this many times the norm of the gradient above, over all parameters. Not in the paper: 0 is.

    All passes use batch statistics. The two probes repeat the dropout masks of the forward pass and leave running
    statistics and generators as they found them.

    Raises ValueError for a context of another width than the logits, TypeError for one of another dtype than h.
    """

    sees = ("h", "context")

    def __init__(self, net, n_context, output=None, step=0.1, supervised=0.0):
        if not isinstance(net, Layer):
            raise TypeError(f"net must be a layer, such as Sequential(...); got {net!r}.")
        self.net = net.train()
        self.n_context = checks.positive_int(n_context, "n_context")
        self.step = checks.in_range(step, "step", 0, 1, include_low=False)
        self.supervised = checks.in_range(supervised, "supervised", 0, None)
        self.output = Softmax() if output is None else deepcopy(output)

    def children(self):
        return [("net", self.net), ("output", self.output)]

    def forward(self, h, context=None):
        checks.context(context, h, self.n_context, "VirtualNetwork")
        self.h, self.context = h, context
        self.start = moving_parts(self.net)
        _, self.delta_hat = self.run(h)
        return self.delta_hat

    def run(self, h):
        """One ordinary forward and backward pass of net: logits z, gradient of the summed loss at h."""
        z = self.net.forward(h)
        checks.same_shape(z, self.context, "the output of the virtual network", "the context")
        return z, self.net.backward(self.output.forward(z) - self.context)

    def backward(self, ddelta_hat):
        # The constants keep a dead h or a vanished error from dividing by zero.
        reach, size = self.step * (self.rms(self.h) + 1e-3), self.rms(ddelta_hat) + 1e-12
        own = self.gradients() if self.supervised else []
        move, slope = ddelta_hat * (reach / size), size / (2 * reach)               # eps e, 1 / (2 eps)
        end = moving_parts(self.net)
        z_above, above = self.probe(self.h + move)
        z_below, below = self.probe(self.h - move)
        put_back(end)
        found = [(a - b) * slope for a, b in zip(above, below)]
        if own:
            scale = self.supervised * norm(self.xp, found) / (norm(self.xp, own) + 1e-12)
            found = [a + scale * b for a, b in zip(found, own)]
        for (_, layer, name), dW in zip(self.net.slots(), found):
            setattr(layer, "d" + name, dW)
        self.dcontext = (z_below - z_above) * slope

    def probe(self, h):
        """(logits, weight gradients) at another h, under the same dropout masks."""
        put_back(self.start)
        z, _ = self.run(h)
        return z, self.gradients()

    def gradients(self):
        """Copies of the weight gradients that the last pass through net has left."""
        return [getattr(layer, "d" + name).copy() for _, layer, name in self.net.slots()]

    def rms(self, a):
        return self.xp.sqrt(self.xp.vdot(a, a) / a.size)

    def describe(self):
        return repr(self.net)


def norm(xp, arrays):
    """The common norm of several arrays (a scalar of the backend)."""
    return xp.sqrt(sum(xp.vdot(a, a) for a in arrays))


def moving_parts(net):
    """What a forward pass in training changes: running statistics, generators. A list of (layer, {name: copy})."""
    return [(layer, {name: array.copy() for name, array in layer.own_state().items()
                     if name not in layer.parameters}) for _, layer in net.walk()]


def put_back(parts):
    """Undoes what forward passes have changed since `moving_parts`."""
    for layer, state in parts:
        layer.load_own_state(state)
