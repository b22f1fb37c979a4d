"""The methods of `--method`: what is trained on which gradient, with the recipe that was chosen on validation data."""

from dataclasses import dataclass

from tinydni.dni import backprop, decouple, top_only, update_decoupled
from tinydni.optimizers import Adam
from tinydni.random import stream
from tinydni.synthesizers import LinearSynthesizer, MLPSynthesizer

SYNTHESIZERS = ("linear", "mlp")
CONTEXTS = ("none", "labels")


@dataclass(frozen=True)
class Method:
    """A schedule, a form of synthesizer, and a recipe.

    schedule: how the modules run    synthesizer: one of SYNTHESIZERS, or None    context: one of CONTEXTS
    reads_h: whether the synthesizer sees the output of its module
    lr: Adam's rate for the blocks    top: times lr is the rate of the block with the loss, whose gradient is exact
    eps: Adam's eps for the blocks below it; a large one keeps small, uncertain gradients from making full steps
    synthesizer_lr: Adam's rate for the synthesizers
    """

    meaning: str
    schedule: callable
    synthesizer: str | None = None
    context: str = "none"
    reads_h: bool = True
    lr: float = 2e-3
    top: float = 1.0
    eps: float = 1e-8
    synthesizer_lr: float | None = None


METHODS = {
    "backprop": Method("the true gradient, passed down through all blocks", backprop, lr=2e-3),
    "dni": Method("synthetic gradients from h alone", update_decoupled, "mlp", lr=1e-3, top=0.3, eps=3e-3,
                  synthesizer_lr=3e-3),
    "cdni": Method("synthetic gradients from h and the label", update_decoupled, "linear", "labels", lr=5e-3, top=0.2, eps=1e-5,
                   synthesizer_lr=1e-3),
    "none": Method("control: only the top block learns", top_only, lr=3e-3),
    "label-only": Method("control: synthetic gradients from the label alone", update_decoupled, "linear", "labels",
                         reads_h=False, lr=5e-3, top=0.2, eps=1e-5, synthesizer_lr=1e-3),
}


def recipe(options):
    """The options of a method that the user left open: a dict to fill them from.

    options: {"method": ..., and perhaps "synthesizer", "context"}
    Raises ValueError for an option that the method does not use.
    """
    method = METHODS[options["method"]]
    if method.synthesizer is None:
        for name in ("synthesizer", "context", "synthesizer_lr", "warm_up"):
            if options.get(name) is not None:
                raise ValueError(f"--{name.replace('_', '-')} does nothing with --method {options['method']}, "
                                 "which has no synthesizer; leave it out.")
        return {"lr": method.lr}
    if not method.reads_h and (options.get("synthesizer") == "mlp" or options.get("context") == "none"):
        raise ValueError("--method label-only is a linear synthesizer that sees the label and nothing else; leave out "
                         "--synthesizer and --context.")
    return {"lr": method.lr, "synthesizer_lr": method.synthesizer_lr, "synthesizer": method.synthesizer,
            "context": method.context, "warm_up": 0}


def build(blocks, loss, n_context, options):
    """Returns the Network for `options`, made from copies of `blocks`.

    n_context: number of columns of the context, if the options ask for it
    """
    method = METHODS[options["method"]]
    parts = {"optimizer": lambda: Adam(options["lr"], eps=method.eps),
             "top_optimizer": lambda: Adam(options["lr"] * method.top)}
    if method.synthesizer is not None:
        parts |= {"synthesizer": synthesizer_maker(method, n_context if options["context"] == "labels" else 0, options),
                  "synthesizer_optimizer": lambda: Adam(options["synthesizer_lr"]), "warm_up": options["warm_up"]}
    return decouple(blocks, loss, schedule=method.schedule, **parts)


def synthesizer_maker(method, n_context, options):
    """A function (n_h) -> synthesizer of the form that the options name."""
    if options["synthesizer"] == "linear":
        return lambda n_h: LinearSynthesizer(n_h, n_context, reads_h=method.reads_h)
    rng = stream(options["seed"], "synthesizer")
    return lambda n_h: MLPSynthesizer(n_h, rng, n_context)


def sees(options):
    """What the synthesizers of a run may see, in words for the report: ("h", "labels"), or () without any."""
    method = METHODS[options["method"]]
    if method.synthesizer is None:
        return ()
    return ("h",) * method.reads_h + ("labels",) * (options["context"] == "labels")
