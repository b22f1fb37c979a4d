"""A synthesizer that knows: with it, a decoupled step must be a backprop step."""

import copy

from building import build

from tinydni.layer import Layer
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.optimizers import SGD
from tinydni.synthesizers import Synthesizer


class Oracle(Synthesizer, Layer):
    """Returns the true gradient of each example, by copies of the modules above the interface.

    above: those modules    target: of the batch at hand    error: the last message, as it was told
    """

    n_context, sees = 0, ("everything",)

    def __init__(self):
        self.above, self.target = [], None

    def forward(self, h, context=None):
        self.h, self.context = h, context
        above = copy.deepcopy(self.above)
        for module in above:
            h = module.forward(h)
        dh = above[-1].gradient_at_output(h, None, self.target)
        for module in reversed(above):
            dh = module.backward(dh)
        return dh * len(dh)

    def learn(self, h, context, target, optimizer):
        self.error = target


def with_oracles(blocks, optimizer, **options):
    """The blocks as a decoupled network that knows the true gradient; options: of build."""
    network = build(blocks, SoftmaxCrossEntropy(), optimizer, lambda *shape: Oracle(),
                    lambda: SGD(0), **options)
    for i, module in enumerate(network.modules[:-1]):
        module.synthesizer.above = network.modules[i + 1:]
    return network


def tell(network, target):
    """Tells the oracles of a network what the batch at hand is compared with."""
    for synthesizer in network.synthesizers():
        synthesizer.target = target
