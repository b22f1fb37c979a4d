"""MMD-ResNet: a network that starts as the identity and learns how one sample has to move (Shaham et al. 2017)."""

from tinydni.activations import ReLU
from tinydni.batchnorm import BatchNorm
from tinydni.layer import Layer
from tinydni.linear import Linear
from tinydni.variants.shortcut import CloseShortcut, OpenShortcut

EPS = 1e-3                  # of batch normalisation
START = 1e-4                # standard deviation of the first weights: cells begin where they are


def mmd_resnet(n_markers, rng, n_blocks=3, n_hidden=25):
    """The network of Haninčík 2018, section 5, as a list of blocks: one per stacked layer, two per residual block.

    x ← x + Linear(ReLU(BN(u))),   u = Linear(ReLU(BN(x))),   n_blocks times; there is no output layer.

    A block ends where an interface may be put: the lower half of a residual block gives [u, x], the upper half
    adds. So the message that comes back over any interface carries the gradient of the shortcut.
    """
    blocks = []
    for _ in range(n_blocks):
        lower = BatchNorm(n_markers, eps=EPS), ReLU(), Linear(n_markers, n_hidden, rng, std=START)
        upper = BatchNorm(n_hidden, eps=EPS), ReLU(), Linear(n_hidden, n_markers, rng, std=START)
        blocks += [OpenShortcut(*lower), CloseShortcut(n_hidden, *upper)]
    return blocks


def reestimate_statistics(network, x, batch_size=10_000):
    """Sets the running statistics of every BatchNorm to those of the whole sample x (N, D), bottom to top.

    The averages that training leaves behind belong to weights of many past steps. Module by module, all cells pass
    once in training mode with momentum 1, which makes the statistics theirs, then on to the next in evaluation.
    """
    h = x
    for module in network.modules:
        layers = [layer for _, layer in module.block.walk() if isinstance(layer, BatchNorm)]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.momentum = 1
        module.block.train()
        module.forward(h)
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
        module.block.eval()
        h = module.block.xp.concatenate([module.forward(h[i:i + batch_size]) for i in range(0, len(h), batch_size)])
    network.train()


class ForgetfulShortcut(Layer):
    """OpenShortcut whose backward pass leaves the shortcut out, as in the paper's public code: a control.

    y = [f(x), x],   dx = df(dy[:, :H]) alone.
    """

    def __init__(self, shortcut):
        self.shortcut = shortcut

    def children(self):
        return [("shortcut", self.shortcut)]

    def forward(self, x):
        return self.shortcut.forward(x)

    def backward(self, dy):
        return self.shortcut.branch.backward(dy[:, :self.shortcut.n_branch])

    def output_shape(self, shape):
        return self.shortcut.output_shape(shape)


def without_shortcut_gradient(blocks):
    """The blocks of an MMD-ResNet with every OpenShortcut made forgetful."""
    return [ForgetfulShortcut(block) if isinstance(block, OpenShortcut) else block for block in blocks]
