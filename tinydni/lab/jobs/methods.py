"""The methods of `--method`: what learns from which gradient, by a recipe that was chosen on
validation data.
"""

import math
from copy import deepcopy
from dataclasses import dataclass, replace

import tinydni as td
from tinydni.lab.jobs.forms import Forms, synthetic_input
from tinydni.lab.jobs.ranges import OptionError
from tinydni.variants.bp_lambda import BPLambda
from tinydni.variants.difference_target import DifferenceTarget, inverse
from tinydni.variants.direct_feedback import DirectFeedback
from tinydni.variants.feedback_alignment import FeedbackAlignment
from tinydni.variants.forward_forward import forward_forward
from tinydni.variants.full_unlock import full_unlock
from tinydni.variants.heads import with_heads
from tinydni.variants.late_gradients import LateGradients
from tinydni.variants.late_targets import LateTargets
from tinydni.variants.stochastic import Stochastic

CONTEXTS = {"none": "nothing", "labels": "the labels", "input": "the network's input",
            "h1": "the output of the bottom block"}


@dataclass(frozen=True)
class Method:
    """A gradient, a form of synthesizer, and a recipe.

    Parameters
    ----------
    synthesizer, context : of SYNTHESIZERS and CONTEXTS; no synthesizer for a method without
    reads_h : whether the synthesizer sees the output of its module
    lr : rate of the blocks
    top : times lr is the rate of the block with the loss, whose gradient is exact
    eps : Adam's, below the top; a large one keeps small, uncertain gradients from full steps
    momentum : blocks learn by SGD, momentum 0.9, weight decay 5e-4 (He et al. 2016), not Adam
    synthesizer_lr : Adam's rate for the synthesizers
    scale : what the synthetic gradient is multiplied by
    late : blocks learn from the true gradient when it comes, and guess nothing
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
    late: bool = False

    @property
    def decoupled(self):
        """Whether no block waits for a gradient, so that workers can run free."""
        return self.synthesizer is not None or self.late

    def optimizer(self, lr, top=False):
        """Return a fresh optimizer for a block, with the rate lr for all but the top."""
        lr = lr * self.top if top else lr
        if self.momentum:
            return td.Momentum(lr, 0.9, weight_decay=5e-4)
        return td.Adam(lr) if top else td.Adam(lr, eps=self.eps)


METHODS = {
    "backprop": Method("the true gradient, passed down through all blocks"),
    "dni": Method("synthetic gradients from h, without the label", "mlp", lr=1e-3, top=0.3,
                  eps=3e-3, synthesizer_lr=3e-3),
    "cdni": Method("synthetic gradients from h and the label", "linear", "labels", lr=5e-3,
                   top=0.2, eps=1e-5, synthesizer_lr=1e-3),
    "vfbn": Method("synthetic gradients through a virtual network with the label",
                   "virtual-linear", "labels", lr=3e-3, synthesizer_lr=3e-2),
    "none": Method("control: only the top block learns", lr=3e-3),
    "label-only": Method("control: synthetic gradients from the label alone", "linear", "labels",
                         reads_h=False, lr=5e-3, top=0.2, eps=1e-5, synthesizer_lr=1e-3),
    "local": Method("control: every block has a classifier and a supervised loss of its own",
                    "virtual-linear", "labels", lr=1e-3, synthesizer_lr=1e-3),
    "dgl": Method("as local, with a hidden layer in every classifier: decoupled greedy learning",
                  "virtual-mlp", "labels", lr=1e-3, synthesizer_lr=1e-3),
    "ff": Method("Forward-Forward: every block tells true labels from false ones"),
    "dfa": Method("control: direct feedback alignment, the output's error by fixed random matrices",
                  lr=1e-3),
    "fa": Method("feedback alignment: backprop with fixed random weights on the way down"),
    "drtp": Method("direct random target projection: the label by a fixed random matrix", "linear",
                   "labels", reads_h=False, synthesizer_lr=1e-3),
    "dtp": Method("difference target propagation: targets for h, by learned inverses",
                  lr=3e-3),
    "late-gradients": Method("the true gradient, some steps late for each block above", late=True),
    "bottom": Method("control: the lower half of the blocks, a new output on top, and backprop"),
}
OTHER_FORMS = {         # what differs where --synthesizer chooses another form than the method's
    "virtual-mlp": {"synthesizer_lr": 1e-3},
    "virtual-conv": {"synthesizer_lr": 3e-3},
    "guess": {"context": "input", "lr": 5e-3, "top": 1.0, "eps": 1e-8, "synthesizer_lr": 5e-3},
}
SGD = {"lr": 0.05, "top": 1.0, "momentum": True}
FOR_MODEL = {           # what differs where --model says so
    "cnn": {"dni": {"eps": 1e-8, "synthesizer_lr": 1e-4},
            "cdni": {"lr": 2e-3, "top": 1.0, "eps": 1e-8, "synthesizer_lr": 1e-5},
            "vfbn": {"synthesizer_lr": 1e-3},
            "local": {"lr": 3e-3}, "dgl": {"lr": 3e-3, "synthesizer": "virtual-conv"}},
    "resnet": {name: SGD for name in METHODS} | {
        "dni": {**SGD, "synthesizer_lr": 1e-5, "scale": 4.0},
        "cdni": {**SGD, "synthesizer_lr": 1e-5, "scale": 4.0},
        "vfbn": {**SGD, "synthesizer": "virtual-resnet", "synthesizer_lr": 5e-3, "scale": 2.0},
        "local": {**SGD, "synthesizer": "virtual-resnet", "synthesizer_lr": 3e-3},
        "dgl": {**SGD, "synthesizer": "virtual-conv", "synthesizer_lr": 3e-3}},
}
FROM_H1 = {"lr": 1e-3, "synthesizer_lr": 3e-3}      # of a guess from the bottom block's output
UNLOCKED = {"lr": 1e-3, "top": 1.0, "eps": 1e-8, "synthesizer_lr": 1e-3}    # synthetic inputs, too


def method_of(options):
    """Return the Method of `options`, with what its form of synthesizer asks for."""
    name = options["method"]
    method = replace(METHODS[name], **FOR_MODEL.get(options.get("model"), {}).get(name, {}))
    if method.synthesizer is None:
        return method
    method = replace(method, **OTHER_FORMS.get(options.get("synthesizer"), {}))
    if options.get("synthesizer") == "guess" and options.get("context") == "h1":
        method = replace(method, **FROM_H1)
    return replace(method, **UNLOCKED) if options.get("unlock") else method


def recipe(options):
    """Return what the method fills in where the user left an option open."""
    method = method_of(options)
    filled = {"lr": method.lr}
    if method.synthesizer is not None:
        filled |= {"synthesizer_lr": method.synthesizer_lr, "synthesizer": method.synthesizer,
                   "context": method.context, "warm_up": 0, "scale": method.scale}
    return filled


def sees(options):
    """Return what the synthesizers of a run may see: ("h", "labels"), or () without any."""
    method, context = method_of(options), options.get("context")
    return () if method.synthesizer is None else (
        ("h",) * method.reads_h + (context,) * (context != "none"))


def build(task, dataset, options):
    """Return the Network for `options`, made from copies of the task's blocks.

    task : blocks, loss;   dataset : for the widths of input and context
    """
    method, seed, shape = method_of(options), options["seed"], dataset.x.shape[1:]
    blocks = group(task.blocks, options.get("cuts") or task.cuts)
    if options["method"] == "bottom":
        blocks = bottom(blocks, dataset, seed)
    if options["method"] == "ff":
        if dataset.n_classes is None:
            raise OptionError("--method ff writes the class into the input, and bits are no class; "
                              "take another method.")
        return forward_forward(blocks, lambda: method.optimizer(options["lr"]), dataset.n_classes,
                               seed)
    top_lr = lambda: method.optimizer(options["lr"], top=True)
    guessers = {} if method.synthesizer is None else {
        "synthesizer": Forms(dataset, options, method.reads_h),
        "synthesizer_lr": lambda: td.Adam(options["synthesizer_lr"]), "warm_up": options["warm_up"]}
    network = td.build(blocks, task.loss, lambda: method.optimizer(options["lr"]), top_lr=top_lr,
                       algorithm=algorithm(blocks, dataset, options), input_shape=shape, **guessers)
    network.modules[0].gives_context = options.get("context") == "h1"
    if options.get("unlock"):
        rng = td.stream(seed, "synthesizer", 1)
        full_unlock(network, lambda *of: synthetic_input(shape, of, rng),
                    guessers["synthesizer_lr"], shape)
    if options.get("readers"):
        copies = (renewed(blocks[-1], td.stream(seed, "readers", k))
                  for k in range(1, options["readers"]))
        with_heads(network, [blocks[-1], *copies], top_lr, options.get("readers_run"), seed)
    return network


def algorithm(blocks, dataset, options):
    """Return the way to run the modules that the options name."""
    seed, method, hs = options["seed"], options["method"], shapes(blocks[:-1], dataset)
    widths = (dataset.x.shape[1:], *shapes(blocks, dataset))
    if METHODS[method].synthesizer is not None:
        if options.get("p_update"):
            return Stochastic(options["p_update"], len(blocks), seed)
        if options.get("lambda") is not None:
            return BPLambda(options["lambda"])
        if options.get("late") is not None:
            n_context = {"labels": dataset.n_out, "input": widths[0]}.get(options["context"], 0)
            return LateTargets(widths, options["batch_size"], options["late"], n_context=n_context)
        return td.update_decoupled
    if method == "dfa":
        return DirectFeedback(dataset.n_out, map(math.prod, hs), seed)
    if method == "fa":
        return FeedbackAlignment(seed)
    if METHODS[method].late:
        late = options.get("late")
        return LateGradients(widths, options["batch_size"], 1 if late is None else late)
    if method == "dtp":
        return difference_target(hs, seed)
    return td.no_backprop if method == "none" else td.backprop


def difference_target(hs, seed):
    """Return the algorithm with an inverse for each block between bottom and top."""
    if len(hs) > 1 and any(len(shape) > 1 for shape in hs):
        raise OptionError("--method dtp has inverses of rows, and images cross the interfaces of "
                          "this network; take another method.")
    rng = td.stream(seed, "synthesizer")
    inverses = [inverse(*above, *below, rng) for below, above in zip(hs, hs[1:])]
    return DifferenceTarget(inverses, [td.Adam(1e-3) for _ in inverses], td.stream(seed, "sample"))


def group(blocks, cuts):
    """Join blocks so that interfaces stand only above those that `cuts` counts, from 1 (None: all).

    Raises OptionError for numbers that do not rise, or are not of blocks below the top.
    """
    if cuts is None:
        return blocks
    if sorted(set(cuts)) != list(cuts) or cuts[0] < 1 or cuts[-1] >= len(blocks):
        raise OptionError(f"--cuts must be rising numbers from 1 to {len(blocks) - 1}, the blocks "
                          f"with an interface above them; got {','.join(map(str, cuts))}.")
    ends = [0, *cuts, len(blocks)]
    return [td.Sequential(*blocks[start:end]) for start, end in zip(ends, ends[1:])]


def bottom(blocks, dataset, seed):
    """Return the lower half of the blocks with a linear output of its own.

    It reads the mean over the image where the network's own does.
    """
    lower, before = blocks[:len(blocks) // 2], []
    shape = shapes(lower, dataset)[-1]
    if len(shape) > 1:
        averages = any(isinstance(layer, td.GlobalAvgPool) for _, layer in blocks[-1].walk())
        before = [td.GlobalAvgPool() if averages else td.Flatten()]
        shape = before[0].output_shape(shape)
    output = td.Linear(*shape, dataset.n_out, td.stream(seed, "weights", 1))
    return [*lower, td.Sequential(*before, output)]


def shapes(blocks, dataset):
    """Return the shape of one h after each block."""
    shape, found = dataset.x.shape[1:], []
    for block in blocks:
        shape = block.output_shape(shape)
        found.append(shape)
    return found


def renewed(layer, rng):
    """Return a copy of a fresh layer with the same weights in another order."""
    layer = deepcopy(layer)
    for _, W, _ in layer.named_parameters():
        W[...] = rng.permutation(W.ravel()).reshape(W.shape)
    return layer
