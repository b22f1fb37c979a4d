"""The methods of `--method`: what is trained on which gradient, with the recipe that was chosen on validation data."""

import math
from copy import deepcopy
from dataclasses import dataclass, replace

import tinydni as td
from tinydni.algorithms import backprop, no_backprop, update_decoupled
from tinydni.variants.bp_lambda import BPLambda
from tinydni.variants.direct_feedback import DirectFeedback
from tinydni.variants.full_unlock import full_unlock
from tinydni.variants.heads import with_heads
from tinydni.variants.stochastic import Stochastic
from tinydni.lab.jobs.errors import OptionError
from tinydni.lab.jobs.forms import SYNTHESIZERS, Forms, synthetic_input
from tinydni.containers import Sequential
from tinydni.linear import Linear
from tinydni.pooling import Flatten, GlobalAvgPool
from tinydni.optimizers import Adam, Momentum
from tinydni.random import stream

CONTEXTS = ("none", "labels", "input", "h1")          # h1: the output of the bottom block
SCHEDULES = ("p_update", "unlock", "lambda")        # options that run the decoupled methods in another way


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
    "dni": Method("synthetic gradients from h, without the label", "mlp", lr=1e-3, top=0.3, eps=3e-3,
                  synthesizer_lr=3e-3),
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
    "cnn": {
        "dni": {"eps": 1e-8, "synthesizer_lr": 1e-4},
        "cdni": {"lr": 2e-3, "top": 1.0, "eps": 1e-8, "synthesizer_lr": 1e-5},
        "vfbn": {"synthesizer_lr": 1e-3},
        "local": {"lr": 3e-3}},
    "resnet": {name: SGD for name in METHODS} | {
        "dni": {**SGD, "synthesizer_lr": 1e-5, "scale": 4.0},
        "cdni": {**SGD, "synthesizer_lr": 1e-5, "scale": 4.0},
        "vfbn": {**SGD, "synthesizer": "virtual-resnet", "synthesizer_lr": 5e-3, "scale": 2.0},
        "local": {**SGD, "synthesizer": "virtual-resnet", "synthesizer_lr": 3e-3}},
}
FROM_H1 = {"lr": 1e-3, "synthesizer_lr": 3e-3}      # of a guess from the output of the bottom block
UNLOCKED = {"lr": 1e-3, "top": 1.0, "eps": 1e-8, "synthesizer_lr": 1e-3}        # of --unlock, synthetic inputs included


def method_of(options):
    """The Method of `options`, with what its form of synthesizer asks for."""
    name = options["method"]
    method = replace(METHODS[name], **FOR_MODEL.get(options.get("model"), {}).get(name, {}))
    if method.synthesizer is None:
        return method
    method = replace(method, **OTHER_FORMS.get(options.get("synthesizer"), {}))
    if options.get("synthesizer") == "guess" and options.get("context") == "h1":
        method = replace(method, **FROM_H1)
    return replace(method, **UNLOCKED) if options.get("unlock") else method


def recipe(options):
    """What the method fills in where the user left an option open.

    options: {"method": ..., and what the user gave}
    Raises OptionError for an option that the method does not use, or options that exclude one another.
    """
    name, method = options["method"], method_of(options)
    check_readers(options)
    given = [option for option in SCHEDULES if options.get(option) is not None]
    if len(given) > 1:
        raise OptionError(" and ".join("--" + option.replace("_", "-") for option in given)
                         + " are different ways to run the modules; choose one.")
    if method.synthesizer is None:
        for option in ("synthesizer", "context", "synthesizer_lr", "warm_up", "untrained", "cuts", "scale",
                       "supervised", "measure_gradients", *SCHEDULES):
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
    if form == "guess" and context not in ("input", "h1"):
        raise OptionError("--synthesizer guess makes its guess from the network's input, or from the output of the "
                          "bottom block: it needs --context input or h1.")
    if context == "h1" and options.get("unlock"):
        raise OptionError("--context h1 is the output of the bottom block, for which no block waits with --unlock; leave "
                          "one of them out.")
    return {"lr": method.lr, "synthesizer_lr": method.synthesizer_lr, "synthesizer": form, "context": context, "warm_up": 0,
            "scale": method.scale}


def check_readers(options):
    """Raises OptionError for options about several readers that do not fit."""
    n, run = options.get("readers"), options.get("readers_run")
    if run is not None and (n is None or run > n):
        raise OptionError(f"--readers-run {run} runs some of several readers in a step: "
                          + (f"at most --readers {n}." if n else "say how many there are, with --readers K."))
    if n is not None and options["method"] == "dfa":
        raise OptionError("--method dfa sends down the one error of one output; leave out --readers.")
    if run is not None and options.get("mode") == "data-parallel":
        raise OptionError("--readers-run draws the readers of a step, and every worker of --mode data-parallel would "
                          "draw others; leave it out.")


def build(task, dataset, options):
    """Returns the Network for `options`, made from copies of the task's blocks.

    task: blocks, loss    dataset: for the widths of input and context
    """
    method, blocks = method_of(options), group(task.blocks, options.get("cuts") or task.cuts)
    parts = {"lr": lambda: method.optimizer(options["lr"]),
             "top_lr": lambda: method.optimizer(options["lr"], top=True), "input_shape": dataset.x.shape[1:]}
    if options["method"] == "bottom":
        blocks = bottom(blocks, dataset, options)
    if method.synthesizer is not None:
        parts |= {"synthesizer": Forms(dataset, options, method.reads_h), 
                  "synthesizer_lr": lambda: Adam(options["synthesizer_lr"]), "warm_up": options["warm_up"]}
    network = td.build(blocks, task.loss, algorithm=algorithm(method, blocks, dataset, options), **parts)
    network.modules[0].gives_context = options.get("context") == "h1"
    if options.get("unlock"):
        rng = stream(options["seed"], "synthesizer", 1)
        full_unlock(network, lambda *shape: synthetic_input(dataset.x.shape[1:], shape, rng),
                    lambda: Adam(options["synthesizer_lr"]), dataset.x.shape[1:])
    if options.get("readers"):
        with_heads(network, readers(blocks[-1], options), parts["top_lr"], options.get("readers_run"), options["seed"])
    return network


def algorithm(method, blocks, dataset, options):
    """The way to run the modules that the options name."""
    seed = options["seed"]
    if method.synthesizer is not None:
        if options.get("p_update"):
            return Stochastic(options["p_update"], len(blocks), seed)
        if options.get("lambda") is not None:
            return BPLambda(options["lambda"])
        return update_decoupled
    if options["method"] == "dfa":
        return DirectFeedback(dataset.n_out, [math.prod(shape) for shape in shapes(blocks[:-1], dataset)], seed)
    return no_backprop if options["method"] == "none" else backprop


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
    """The lower half of the blocks with a linear output of its own, on the mean over the image if the network has that."""
    lower = blocks[:len(blocks) // 2]
    shape, before = shapes(lower, dataset)[-1], []
    if len(shape) > 1:
        averages = any(isinstance(layer, GlobalAvgPool) for _, layer in blocks[-1].walk())
        before = [GlobalAvgPool() if averages else Flatten()]
        shape = before[0].output_shape(shape)
    return [*lower, Sequential(*before, Linear(*shape, dataset.n_out, stream(options["seed"], "weights", 1)))]


def shapes(blocks, dataset):
    """The shape of one h after each block."""
    shape, found = dataset.x.shape[1:], []
    for block in blocks:
        shape = block.output_shape(shape)
        found.append(shape)
    return found


def readers(top, options):
    """As many readers as the options say: the top block, and copies of it with other weights."""
    return [top, *(renewed(top, stream(options["seed"], "readers", k)) for k in range(1, options["readers"]))]


def renewed(layer, rng):
    """A copy of a fresh layer with other weights of the same distribution: the same numbers in another order."""
    layer = deepcopy(layer)
    for _, W, _ in layer.named_parameters():
        W[...] = rng.permutation(W.ravel()).reshape(W.shape)
    return layer


def sees(options):
    """What the synthesizers of a run may see, in words for the report: ("h", "labels"), or () without any."""
    method = method_of(options)
    if method.synthesizer is None:
        return ()
    return ("h",) * method.reads_h + (options["context"],) * (options["context"] != "none")
