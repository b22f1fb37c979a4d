"""The methods of `--method`: what is trained on which gradient, with the recipe that was chosen on validation data."""

import math
from dataclasses import dataclass, replace

from tinydni.dni import BPLambda, DirectFeedback, Stochastic, backprop, decouple, full_unlock, top_only, update_decoupled
from tinydni.layers import BatchNorm, Conv2D, Flatten, GlobalAvgPool, Linear, ReLU, Residual, Sequential, Sigmoid
from tinydni.layers.softmax import Softmax
from tinydni.optimizers import Adam, Momentum
from tinydni.random import stream
from tinydni.synthesizers import (ConvSynthesizer, Guess, GuessSynthesizer, InputSynthesizer, LinearSynthesizer, LocalHead, MLPSynthesizer,
                                  Scaled, Untrained, VirtualLinear, VirtualMLP, VirtualNetwork)

SYNTHESIZERS = ("linear", "mlp", "resnet", "virtual-linear", "virtual-mlp", "virtual-conv", "virtual-resnet", "guess")
CONTEXTS = ("none", "labels", "input")
SCHEDULES = ("p_update", "unlock", "lambda")        # options that run the decoupled methods in another way
CODES = 20                                          # of a guess


class OptionError(ValueError):
    """Options that do not fit together."""


@dataclass(frozen=True)
class Method:
    """A gradient, a form of synthesizer, and a recipe.

    synthesizer: one of SYNTHESIZERS, None for a method without    context: one of CONTEXTS
    reads_h: whether the synthesizer sees the output of its module
    lr: rate of the blocks    top: times lr is the rate of the block with the loss, whose gradient is exact
    eps: Adam's eps for the blocks below it; a large one keeps small, uncertain gradients from making full steps
    momentum: the blocks learn by SGD with momentum 0.9 and weight decay 5e-4 (He et al. 2016) instead of Adam
    synthesizer_lr: Adam's rate for the synthesizers    scale: what the synthetic gradient is multiplied by
    """

    meaning: str
    synthesizer: str | None = None
    context: str = "none"
    reads_h: bool = True
    lr: float = 2e-3
    top: float = 1.0
    eps: float = 1e-8
    momentum: bool = False
    synthesizer_lr: float | None = None
    scale: float = 1.0

    def optimizer(self, lr, top=False):
        """A fresh optimizer for a block, with the rate lr for all but the top."""
        lr = lr * self.top if top else lr
        if self.momentum:
            return Momentum(lr, 0.9, weight_decay=5e-4)
        return Adam(lr) if top else Adam(lr, eps=self.eps)


METHODS = {
    "backprop": Method("the true gradient, passed down through all blocks"),
    "dni": Method("synthetic gradients from h alone", "mlp", lr=1e-3, top=0.3, eps=3e-3, synthesizer_lr=3e-3),
    "cdni": Method("synthetic gradients from h and the label, linear", "linear", "labels", lr=5e-3, top=0.2, eps=1e-5,
                   synthesizer_lr=1e-3),
    "vfbn": Method("synthetic gradients through a virtual network with the label", "virtual-linear", "labels", lr=3e-3,
                   synthesizer_lr=3e-2),
    "none": Method("control: only the top block learns", lr=3e-3),
    "label-only": Method("control: synthetic gradients from the label alone", "linear", "labels", reads_h=False, lr=5e-3,
                         top=0.2, eps=1e-5, synthesizer_lr=1e-3),
    "local": Method("control: every block has a classifier and a supervised loss of its own", "virtual-linear", "labels",
                    lr=1e-3, synthesizer_lr=1e-3),
    "dfa": Method("control: direct feedback alignment, the output's error by fixed random matrices", lr=1e-3),
    "bottom": Method("control: the lower half of the blocks, a new output on top, and backprop", lr=2e-3),
}

OTHER_FORMS = {         # what differs where --synthesizer chooses another form than the method's own
    "virtual-mlp": {"synthesizer_lr": 1e-3},
    "virtual-conv": {"synthesizer_lr": 3e-3},
    "guess": {"context": "input", "lr": 5e-3, "top": 1.0, "eps": 1e-8, "synthesizer_lr": 5e-3},
}
SGD = {"lr": 0.05, "top": 1.0, "momentum": True}
FOR_MODEL = {           # what differs where --model says so
    "resnet": {name: SGD for name in METHODS} | {
        "dni": {**SGD, "synthesizer_lr": 1e-5, "scale": 4.0},
        "cdni": {**SGD, "synthesizer_lr": 1e-5, "scale": 4.0},
        "vfbn": {**SGD, "synthesizer": "virtual-resnet", "synthesizer_lr": 5e-3, "scale": 2.0},
        "local": {**SGD, "synthesizer": "virtual-resnet", "synthesizer_lr": 3e-3}},
}
UNLOCKED = {"lr": 1e-3, "top": 1.0, "eps": 1e-8, "synthesizer_lr": 1e-3}        # of --unlock, synthetic inputs included


def method_of(options):
    """The Method of `options`, with what its form of synthesizer asks for."""
    name = options["method"]
    method = replace(METHODS[name], **FOR_MODEL.get(options.get("model"), {}).get(name, {}))
    if method.synthesizer is None:
        return method
    method = replace(method, **OTHER_FORMS.get(options.get("synthesizer"), {}))
    return replace(method, **UNLOCKED) if options.get("unlock") else method


def recipe(options):
    """What the method fills in where the user left an option open.

    options: {"method": ..., and what the user gave}
    Raises OptionError for an option that the method does not use, or options that exclude one another.
    """
    name, method = options["method"], method_of(options)
    given = [option for option in SCHEDULES if options.get(option)]
    if len(given) > 1:
        raise OptionError(" and ".join("--" + option.replace("_", "-") for option in given)
                         + " are different ways to run the modules; choose one.")
    if method.synthesizer is None:
        for option in ("synthesizer", "context", "synthesizer_lr", "warm_up", "untrained", "cuts", "scale", "supervised", *SCHEDULES):
            if options.get(option) is not None and not (option == "cuts" and (name in ("none", "dfa")
                                                                              or options.get("workers"))):
                raise OptionError(f"--{option.replace('_', '-')} does nothing with --method {name}, which has no "
                                 "synthesizer; leave it out.")
        return {"lr": method.lr}
    if name in ("label-only", "local") and (options.get("synthesizer") or options.get("context")):
        raise OptionError(f"--method {name} is a control with a fixed form; leave out --synthesizer and --context.")
    form = options.get("synthesizer") or method.synthesizer
    context = options.get("context") or method.context
    if form.startswith("virtual") and context != "labels":
        raise OptionError(f"--synthesizer {form} compares its virtual output with the label: it needs --context labels.")
    if form == "guess" and context != "input":
        raise OptionError("--synthesizer guess makes its guess from the network's input: it needs --context input.")
    return {"lr": method.lr, "synthesizer_lr": method.synthesizer_lr, "synthesizer": form, "context": context, "warm_up": 0,
            "scale": method.scale}


def build(task, dataset, options):
    """Returns the Network for `options`, made from copies of the task's blocks.

    task: blocks, loss    dataset: for the widths of input and context
    """
    method, blocks = method_of(options), group(task.blocks, options.get("cuts") or task.cuts)
    parts = {"optimizer": lambda: method.optimizer(options["lr"]),
             "top_optimizer": lambda: method.optimizer(options["lr"], top=True), "input_shape": dataset.x.shape[1:]}
    if options["method"] == "bottom":
        blocks = bottom(blocks, dataset, options)
    if method.synthesizer is not None:
        parts |= {"synthesizer": synthesizer_maker(method, task, dataset, options),
                  "synthesizer_optimizer": lambda: Adam(options["synthesizer_lr"]), "warm_up": options["warm_up"]}
    if options.get("unlock"):
        rng = stream(options["seed"], "synthesizer", 1)
        parts |= {"input_synthesizer": lambda *shape: InputSynthesizer(dataset.n_in, only_rows(shape, "--unlock"), rng),
                  "input_optimizer": lambda: Adam(options["synthesizer_lr"])}
    return decouple(blocks, task.loss, schedule=schedule(method, blocks, dataset, options), **parts)


def schedule(method, blocks, dataset, options):
    """The way to run the modules that the options name."""
    seed = options["seed"]
    if method.synthesizer is not None:
        if options.get("p_update"):
            return Stochastic(options["p_update"], len(blocks), seed)
        if options.get("lambda") is not None:
            return BPLambda(options["lambda"])
        return full_unlock if options.get("unlock") else update_decoupled
    if options["method"] == "dfa":
        return DirectFeedback(dataset.n_out, widths(blocks[:-1], dataset), seed)
    return top_only if options["method"] == "none" else backprop


def synthesizer_maker(method, task, dataset, options):
    """A function (*shape of one h) -> synthesizer of the form that the options name.

    Raises OptionError, when it is called, for a form that does not exist for h of that shape.
    """
    rng, form = stream(options["seed"], "synthesizer"), options["synthesizer"]
    n_context = {"none": 0, "labels": dataset.n_out, "input": dataset.n_in}[options["context"]]
    output = Softmax() if dataset.n_classes else Sigmoid()
    guess = Guess(dataset.n_in, CODES, rng) if form == "guess" else None
    rows = {"linear": lambda n_h: LinearSynthesizer(n_h, n_context, reads_h=method.reads_h),
            "mlp": lambda n_h: MLPSynthesizer(n_h, rng, n_context),
            "virtual-linear": lambda n_h: VirtualLinear(n_h, n_context, rng, output),
            "virtual-mlp": lambda n_h: VirtualMLP(n_h, n_context, rng, output=output),
            "guess": lambda n_h: GuessSynthesizer(VirtualLinear(n_h, CODES, rng), guess)}
    images = {"linear": lambda *shape: ConvSynthesizer(shape[-1], rng, n_context),
              "mlp": lambda *shape: ConvSynthesizer(shape[-1], rng, n_context, "hidden"),
              "resnet": lambda *shape: ConvSynthesizer(shape[-1], rng, n_context, "resnet", kernel=3),
              **{name: lambda *shape, name=name, step=step: VirtualNetwork(
                     VIRTUAL[name](shape, n_context, rng), n_context, output, step, options.get("supervised") or 0.0)
                 for name, step in {"virtual-linear": 1e-3, "virtual-conv": 0.1, "virtual-resnet": 0.1}.items()}}

    def make(*shape):
        forms, what = (images, "images") if len(shape) == 3 else (rows, "rows")
        if form not in forms or (what == "images" and options["method"] == "label-only"):
            raise OptionError(f"--method {options['method']} with --synthesizer {form} is not made for interfaces that "
                              f"{what} cross.")
        if options.get("supervised") and not (form.startswith("virtual") and what == "images"):
            raise OptionError("--supervised is for virtual networks on images; leave it out.")
        if options["method"] == "local":
            return LocalHead(VIRTUAL[form](shape, n_context, rng), n_context, output)
        synthesizer = forms[form](*shape)
        if options.get("untrained"):
            synthesizer = Untrained(synthesizer)
        return synthesizer if options["scale"] == 1 else Scaled(synthesizer, options["scale"])
    return make


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


def group(blocks, cuts):
    """Joins blocks so that interfaces stand only after those that `cuts` counts, from 1 at the bottom (None: all)."""
    if cuts is None:
        return blocks
    if sorted(set(cuts)) != list(cuts) or cuts[0] < 1 or cuts[-1] >= len(blocks):
        raise OptionError(f"--cuts must be rising numbers from 1 to {len(blocks) - 1}, the blocks with an interface above "
                         f"them; got {','.join(map(str, cuts))}.")
    ends = [0, *cuts, len(blocks)]
    return [Sequential(*blocks[start:end]) for start, end in zip(ends, ends[1:])]


def bottom(blocks, dataset, options):
    """The lower half of the blocks with a linear output of its own; images are averaged first."""
    lower, shape = blocks[:len(blocks) // 2], dataset.x.shape[1:]
    for block in lower:
        shape = block.output_shape(shape)
    head = Linear(shape[-1], dataset.n_out, stream(options["seed"], "weights", 1))
    return [*lower, Sequential(*[GlobalAvgPool()] * (len(shape) > 1), head)]


def widths(blocks, dataset):
    """The width of h after each block."""
    shape, found = dataset.x.shape[1:], []
    for block in blocks:
        shape = block.output_shape(shape)
        found.append(only_rows(shape, "this method"))
    return found


def only_rows(shape, what):
    """The width of an interface that rows cross. Raises OptionError for images."""
    if len(shape) != 1:
        raise OptionError(f"{what} is made for fully connected networks; this interface is crossed by images of {shape}.")
    return shape[0]


def sees(options):
    """What the synthesizers of a run may see, in words for the report: ("h", "labels"), or () without any."""
    method = method_of(options)
    if method.synthesizer is None:
        return ()
    return ("h",) * method.reads_h + (options["context"],) * (options["context"] != "none")
