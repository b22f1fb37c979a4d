"""The forms of `--synthesizer`: what stands at an interface that rows cross, and at one that images cross."""

import math

from tinydni.lab.jobs.errors import OptionError
from tinydni.activations import ReLU, Sigmoid
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Residual, Sequential
from tinydni.convolution import Conv2D
from tinydni.linear import Linear
from tinydni.pooling import Flatten, GlobalAvgPool
from tinydni.activations import Softmax
from tinydni.random import stream
from tinydni.synthesizers import LinearSynthesizer, mlp_synthesizer
from tinydni.variants.controls import Flattened, Frozen, LocalHead, Scaled
from tinydni.variants.conv_synthesizer import conv_synthesizer
from tinydni.variants.guess import Guess, GuessSynthesizer
from tinydni.variants.input_synthesizers import conv_input_synthesizer, input_synthesizer
from tinydni.virtual import VirtualLinear
from tinydni.variants.virtual_mlp import VirtualMLP
from tinydni.variants.virtual_network import VirtualNetwork

SYNTHESIZERS = ("linear", "mlp", "resnet", "virtual-linear", "virtual-mlp", "virtual-conv", "virtual-resnet", "guess")
CODES = 20                                          # of a guess


class Forms:
    """Makes the synthesizers that the options name: called once per interface, bottom to top, with the shape of its h.

    dataset: for the widths of input and context    reads_h: whether the synthesizers see h
    Raises OptionError, when it is called, for a form that does not exist for h of that shape.
    """

    def __init__(self, dataset, options, reads_h=True):
        self.dataset, self.options, self.reads_h = dataset, options, reads_h
        self.rng = stream(options["seed"], "synthesizer")
        self.output = Softmax() if dataset.n_classes else Sigmoid()
        self.bottom = None          # the shape of the output of the bottom module
        self.guess = None

    def __call__(self, *shape):
        form, what = self.options["synthesizer"], "images" if len(shape) == 3 else "rows"
        forms = self.for_images(shape) if what == "images" else self.for_rows(*shape)
        if form not in forms:
            raise OptionError(f"--method {self.options['method']} with --synthesizer {form} is not made for interfaces "
                              f"that {what} cross.")
        if self.options.get("supervised") and not (form.startswith("virtual") and what == "images"):
            raise OptionError("--supervised is for virtual networks on images; leave it out.")
        if form == "guess" and self.guess is None:
            n_in = math.prod(shape) if self.options["context"] == "h1" else self.dataset.n_in
            self.guess = Guess(n_in, CODES, self.rng)
        made = forms[form](self.context_width())
        self.bottom = self.bottom or shape
        if self.options["scale"] != 1:
            made = Scaled(made, self.options["scale"])
        return Frozen(made) if self.options.get("untrained") else made

    def context_width(self):
        """The number of columns that the next synthesizer sees beside h."""
        h1 = math.prod(self.bottom) if self.bottom else 0           # the bottom one sees h1 as its h
        return {"none": 0, "labels": self.dataset.n_out, "input": self.dataset.n_in, "h1": h1}[self.options["context"]]

    def for_rows(self, n_h):
        """{form: function (n_context) -> synthesizer} for h (N, n_h)."""
        rng, output = self.rng, self.output
        if self.options["method"] == "local":
            return self.local((n_h,))
        return {"linear": lambda n: LinearSynthesizer(n_h, n, reads_h=self.reads_h),
                "mlp": lambda n: mlp_synthesizer(n_h, rng, n),
                "virtual-linear": lambda n: VirtualLinear(n_h, n, rng, output),
                "virtual-mlp": lambda n: VirtualMLP(n_h, n, rng, output=output),
                "guess": lambda n: GuessSynthesizer(VirtualLinear(n_h, CODES, rng), self.guess)}

    def for_images(self, shape):
        """The same for h (N, H, W, C), shape (H, W, C)."""
        rng, n_h = self.rng, math.prod(shape)
        if self.options["method"] == "local":
            return self.local(shape)
        if not self.reads_h:
            return {"linear": lambda n: Flattened(LinearSynthesizer(n_h, n, reads_h=False))}
        return {"linear": lambda n: self.convolution(shape, n, "linear", 5),
                "mlp": lambda n: self.convolution(shape, n, "hidden", 5),
                "resnet": lambda n: self.convolution(shape, n, "resnet", 3),
                "guess": lambda n: Flattened(GuessSynthesizer(VirtualLinear(n_h, CODES, rng), self.guess)),
                "virtual-linear": lambda n: self.virtual(linear(shape, n, rng), n, step=1e-3),
                "virtual-conv": lambda n: self.virtual(convolutions(shape, n, rng), n),
                "virtual-resnet": lambda n: self.virtual(residual(shape, n, rng), n)}

    def local(self, shape):
        """Classifiers of each module's own, of the form of any virtual network."""
        return {name: lambda n, net=net: LocalHead(net(shape, n, self.rng), n, self.output)
                for name, net in VIRTUAL.items()}

    def virtual(self, net, n_context, step=0.1):
        """A virtual network on images."""
        return VirtualNetwork(net, n_context, self.output, step, self.options.get("supervised") or 0.0)

    def convolution(self, shape, n_context, form, kernel):
        """A conv_synthesizer, which takes only labels as context."""
        if self.options["context"] not in ("none", "labels"):
            raise OptionError(f"--context {self.options['context']} on images is for --synthesizer guess alone: a "
                              "convolution sees h and label maps.")
        return conv_synthesizer(shape[-1], self.rng, n_context, form, kernel)


def synthetic_input(x_shape, h_shape, rng):
    """The synthesizer of an input of `h_shape` from the network's own, for --unlock.

    Raises OptionError where there is none.
    """
    if len(x_shape) == len(h_shape) == 1:
        return input_synthesizer(*x_shape, *h_shape, rng)
    try:
        return conv_input_synthesizer(x_shape, h_shape, rng)
    except ValueError as error:
        raise OptionError(f"--unlock: {error}") from None


# Virtual networks, and the classifiers of --method local: from h to logits.

def linear(shape, n_out, rng):
    """A linear classifier; of images, every pixel of every channel has its weights."""
    n_in = math.prod(shape)
    return Sequential(*[Flatten()] * (len(shape) > 1), Linear(n_in, n_out, rng, std=n_in**-0.5))


def convolutions(shape, n_out, rng, width=32):
    """A small convolutional virtual network: two layers, the mean over the image, a linear output."""
    n_in = shape[-1]
    return Sequential(Conv2D(n_in, width, rng, bias=False), BatchNorm(width, momentum=0), ReLU(),
                      Conv2D(width, width, rng, bias=False), BatchNorm(width, momentum=0), ReLU(),
                      GlobalAvgPool(), Linear(width, n_out, rng, std=width**-0.5))


def residual(shape, n_out, rng):
    """A small residual one: two blocks of the width of h, the mean over the image, a linear output."""
    C = shape[-1]

    def convolution():
        return Conv2D(C, C, rng, bias=False), BatchNorm(C, momentum=0)

    def block():
        return Sequential(Residual(*convolution(), ReLU(), *convolution()), ReLU())
    return Sequential(block(), block(), GlobalAvgPool(), Linear(C, n_out, rng, std=C**-0.5))


VIRTUAL = {"virtual-linear": linear, "virtual-conv": convolutions, "virtual-resnet": residual}
