"""The forms of `--synthesizer`, for an interface that rows cross and for one that images cross."""

import math

import tinydni as td
from tinydni.lab.jobs.ranges import OptionError
from tinydni.variants.controls import Flattened, Frozen, LocalHead, Scaled
from tinydni.variants.conv_synthesizer import conv_synthesizer
from tinydni.variants.guess import Guess, GuessSynthesizer
from tinydni.variants.input_synthesizers import conv_input_synthesizer, input_synthesizer
from tinydni.variants.synthetic_loss import SyntheticLoss
from tinydni.variants.target_projection import TargetProjection
from tinydni.variants.virtual_mlp import VirtualMLP
from tinydni.variants.virtual_network import VirtualNetwork

SYNTHESIZERS = {                                    # {name: meaning}
    "linear": "linear in h and context",
    "mlp": "with hidden layers",
    "resnet": "for images, of residual blocks",
    "loss": "the slope of a learned loss",
    "virtual-linear": "through a virtual linear classifier of h",
    "virtual-mlp": "through one with a hidden layer",
    "virtual-conv": "through one of convolutions",
    "virtual-resnet": "through one of residual blocks",
    "guess": "through a virtual classifier whose label is guessed from the context"}
CODES = 20                                          # of a guess


class Forms:
    """Makes the synthesizers that the options name.

    It is called once per interface, bottom to top, with the shape of its h. Raises OptionError for
    a form that does not exist for h of that shape.

    Parameters
    ----------
    dataset : for the widths of input and context
    reads_h : whether the synthesizers see h
    """

    def __init__(self, dataset, options, reads_h=True):
        self.dataset, self.options, self.reads_h = dataset, options, reads_h
        self.rng = td.stream(options["seed"], "synthesizer")
        self.output = td.Softmax() if dataset.n_classes else td.Sigmoid()
        self.guess = None
        self.hidden = tuple(options.get("hidden") or (256,))
        self.n_h1 = 0               # numbers in an output of the bottom block, once it is known

    def __call__(self, *shape):
        options, form, images = self.options, self.options["synthesizer"], len(shape) == 3
        forms = self.for_images(shape) if images else self.for_rows(*shape)
        if form not in forms:
            raise OptionError(f"--method {options['method']} with --synthesizer {form} is not made "
                              f"for interfaces that {'images' if images else 'rows'} cross.")
        if options.get("supervised") and not (form.startswith("virtual") and images):
            raise OptionError("--supervised is for virtual networks on images; leave it out.")
        n_in, n_h1 = self.dataset.n_in, self.n_h1       # the bottom one sees h1 as its h
        if form == "guess" and self.guess is None:
            n_guess = math.prod(shape) if options["context"] == "h1" else n_in
            self.guess = Guess(n_guess, CODES, self.rng)
        widths = {"none": 0, "labels": self.dataset.n_out, "input": n_in, "h1": n_h1}
        made = forms[form](widths[options["context"]])
        self.n_h1 = self.n_h1 or math.prod(shape)
        if options["scale"] != 1:
            made = Scaled(made, options["scale"])
        return Frozen(made) if options.get("untrained") else made

    def for_rows(self, n_h):
        """Return {form: function (n_context) -> synthesizer} for h (N, n_h)."""
        rng, output = self.rng, self.output
        if self.options["method"] in LOCAL:
            return self.local((n_h,))
        if self.options["method"] == "drtp":
            return {"linear": lambda n: TargetProjection((n_h,), n, rng)}
        return {"linear": lambda n: td.LinearSynthesizer(n_h, n, reads_h=self.reads_h),
                "mlp": lambda n: td.mlp_synthesizer(n_h, rng, n, self.hidden),
                "loss": lambda n: SyntheticLoss(n_h, rng, n),
                "virtual-linear": lambda n: td.VirtualLinear(n_h, n, rng, output),
                "virtual-mlp": lambda n: VirtualMLP(n_h, n, rng, output=output),
                "guess": lambda n: GuessSynthesizer(td.VirtualLinear(n_h, CODES, rng), self.guess)}

    def for_images(self, shape):
        """Return the same for h (N, H, W, C), shape (H, W, C)."""
        rng, n_h = self.rng, math.prod(shape)
        if self.options["method"] in LOCAL:
            return self.local(shape)
        if self.options["method"] == "drtp":
            return {"linear": lambda n: TargetProjection(shape, n, rng)}
        if not self.reads_h:
            return {"linear": lambda n: Flattened(td.LinearSynthesizer(n_h, n, reads_h=False))}
        guess = lambda n: GuessSynthesizer(td.VirtualLinear(n_h, CODES, rng), self.guess)
        return {"linear": lambda n: self.convolution(shape, n, "linear", 5),
                "mlp": lambda n: self.convolution(shape, n, "hidden", 5),
                "resnet": lambda n: self.convolution(shape, n, "resnet", 3),
                "guess": lambda n: Flattened(guess(n)),
                **{name: lambda n, name=name: self.virtual(name, shape, n) for name in VIRTUAL}}

    def local(self, shape):
        """Return classifiers of each module's own, of the form of any virtual network."""
        nets = VIRTUAL | {"virtual-mlp": perceptron}
        return {name: lambda n, net=net: LocalHead(net(shape, n, self.rng), n, self.output)
                for name, net in nets.items()}

    def virtual(self, name, shape, n_context):
        """Return a virtual network on images."""
        return VirtualNetwork(VIRTUAL[name](shape, n_context, self.rng), n_context, self.output,
                              1e-3 if name == "virtual-linear" else 0.1,
                              self.options.get("supervised") or 0.0)

    def convolution(self, shape, n_context, form, kernel):
        """Return a conv_synthesizer, which takes only labels as context."""
        if self.options["context"] not in ("none", "labels"):
            raise OptionError(f"--context {self.options['context']} on images is for --synthesizer "
                              "guess alone: a convolution sees h and label maps.")
        return conv_synthesizer(shape[-1], self.rng, n_context, form, kernel)


def synthetic_input(x_shape, h_shape, rng):
    """Return the synthesizer of an input of `h_shape` from the network's own, for --unlock.

    Raises OptionError where there is none.
    """
    if len(x_shape) == len(h_shape) == 1:
        return input_synthesizer(*x_shape, *h_shape, rng)
    try:
        return conv_input_synthesizer(x_shape, h_shape, rng)
    except ValueError as error:
        raise OptionError(f"--unlock: {error}") from None


# Virtual networks, and the classifiers of each module's own: from h to logits.

LOCAL = ("local", "dgl")            # the methods whose modules have one


def linear(shape, n_out, rng):
    """Return a linear classifier; of images, every pixel of every channel has its weights."""
    n_in = math.prod(shape)
    output = td.Linear(n_in, n_out, rng, std=n_in**-0.5)
    return td.Sequential(*[td.Flatten()] * (len(shape) > 1), output)


def perceptron(shape, n_out, rng, width=256):
    """Return a classifier with a hidden layer."""
    return td.Sequential(*linear(shape, width, rng).layers, td.BatchNorm(width, momentum=0),
                         td.ReLU(), td.Linear(width, n_out, rng, std=width**-0.5))


def convolutions(shape, n_out, rng, width=32):
    """Return a small convolutional one: two layers, the mean over the image, a linear output."""
    return td.Sequential(*convolution(shape[-1], width, rng), td.ReLU(),
                         *convolution(width, width, rng), td.ReLU(),
                         td.GlobalAvgPool(), td.Linear(width, n_out, rng, std=width**-0.5))


def residual(shape, n_out, rng):
    """Return a small residual one: two blocks of the width of h, then as above."""
    C = shape[-1]
    blocks = [td.Sequential(td.Residual(*convolution(C, C, rng), td.ReLU(),
                                        *convolution(C, C, rng)), td.ReLU()) for _ in range(2)]
    return td.Sequential(*blocks, td.GlobalAvgPool(), td.Linear(C, n_out, rng, std=C**-0.5))


def convolution(n_in, n_out, rng):
    """Return a convolution and a BatchNorm of this batch alone."""
    return td.Conv2D(n_in, n_out, rng, bias=False), td.BatchNorm(n_out, momentum=0)


VIRTUAL = {"virtual-linear": linear, "virtual-conv": convolutions, "virtual-resnet": residual}
