"""The methods of the recurrent jobs: what a window is told about the time after it."""

import numpy as np

from tinydni.recurrent_dni import Boundary
from tinydni.recurrent_dni import RecurrentModule, RecurrentNetwork
from tinydni.lab.jobs.methods import OptionError
from tinydni.linear import Linear
from tinydni.lstm import LSTM
from tinydni.recurrent import Recurrent
from tinydni.optimizers import Adam
from tinydni.random import stream
from tinydni.synthesizers import LinearSynthesizer, mlp_synthesizer
from tinydni.variants.auxiliary import AuxiliarySynthesizer

METHODS = {
    "backprop": "full backpropagation through time: the window is the whole sequence",
    "truncated": "backpropagation through the window alone; nothing comes from beyond its end",
    "dni": "a synthetic gradient at the window's end, from the state alone",
    "cdni": "a synthetic gradient at the window's end, from the state and the targets to come",
}
DECOUPLED = ("dni", "cdni")
RECIPE = {"synthesizer": "linear", "synthesizer_lr": 1e-3, "scale": 0.1}      # where job and user say nothing
CLIP_NORM = 1.0


def recipe(options):
    """What the method fills in where the user left an option open.

    Raises OptionError for an option that the method does not use, or options that exclude one another.
    """
    method = options["method"]
    unused = () if method in DECOUPLED else ("scale", "aux", "synthesizer", "synthesizer_lr")
    for option in unused + ("window",) * (method == "backprop"):
        if options.get(option) is not None:
            raise OptionError(f"--{option.replace('_', '-')} does nothing with --method {method}; leave it out.")
    if options.get("aux") and options.get("synthesizer") not in (None, "mlp"):
        raise OptionError("--aux is a second head on a hidden layer: it needs --synthesizer mlp.")
    if method not in DECOUPLED:
        return {}
    return {**RECIPE, "synthesizer": "mlp"} if options.get("aux") else RECIPE


def build(task, options):
    """The RecurrentNetwork for `options`.

    backprop and truncated: all LSTM layers in one module. dni and cdni: one module for each, with an interface above
    it, and boundaries in time.
    """
    method, H, n_layers = options["method"], options["width"], options["layers"]
    rng = stream(options["seed"], "weights")
    cores = [LSTM(n_in, H, rng) for n_in in [task.n_in] + [H] * (n_layers - 1)]
    readout = Linear(H, task.n_out, rng, std=1 / np.sqrt(H))
    cores[0].skip_dx()
    optimizer = lambda: Adam(options["lr"], clip_norm=CLIP_NORM)
    each_window = bool(options["each_window"])
    if method not in DECOUPLED:
        return RecurrentNetwork([RecurrentModule(Recurrent(*cores, readout), optimizer(), loss=task.loss,
                                                 each_window=each_window)])
    rng, n_context = stream(options["seed"], "synthesizer"), task.n_context if method == "cdni" else 0
    modules = []
    for core in cores:
        boundary = Boundary(synthesizer(core.n_state, n_context, rng, options), Adam(options["synthesizer_lr"]),
                            options["scale"])
        if core is cores[-1]:
            modules.append(RecurrentModule(Recurrent(core, readout), optimizer(), boundary, loss=task.loss,
                                           each_window=each_window))
        else:
            modules.append(RecurrentModule(core, optimizer(), boundary, LinearSynthesizer(H, n_context),
                                           Adam(options["synthesizer_lr"]), each_window=each_window))
    return RecurrentNetwork(modules)


def synthesizer(n_state, n_context, rng, options):
    """The synthesizer of one boundary in time."""
    if options.get("aux"):
        return AuxiliarySynthesizer(n_state, rng, n_context)
    if options["synthesizer"] == "mlp":
        return mlp_synthesizer(n_state, rng, n_context, hidden=(128,))
    return LinearSynthesizer(n_state, n_context)


def sees(options, task):
    """What the synthesizers of a run may see, in words: ("the state", ...), or () without any."""
    if options["method"] not in DECOUPLED:
        return ()
    return (task.reads,) + (task.context_name,) * (options["method"] == "cdni")
