"""The methods of the recurrent jobs: what a window is told about the time after it."""

from functools import partial

import numpy as np

import tinydni as td
from tinydni.variants.auxiliary import AuxiliarySynthesizer
from tinydni.variants.lambda_returns import LambdaReturns

METHODS = {
    "backprop": "full backpropagation through time: the window is the whole sequence",
    "truncated": "backpropagation through the window alone; nothing comes from beyond its end",
    "dni": "a synthetic gradient at the window's end, from the state alone",
    "cdni": "a synthetic gradient at the window's end, from the state and the targets to come",
}
DECOUPLED = ("dni", "cdni")
CLIP_NORM = 1.0


def recipe(options):
    """Return what another option asks for where the user left one open."""
    return {"synthesizer": "mlp"} if options.get("aux") else {}


def sees(options, task):
    """Return what the synthesizers of a run may see, in words; () without any."""
    if options["method"] not in DECOUPLED:
        return ()
    return (task.reads,) + (task.context_name,) * (options["method"] == "cdni")


def build(task, options):
    """Return the RecurrentNetwork for `options`.

    backprop, truncated: all LSTM layers in one module;   dni, cdni: one module for each, with an
    interface above it, and boundaries in time.
    """
    method, H, rate = options["method"], options["width"], options.get("synthesizer_lr")
    rng, each_window = td.stream(options["seed"], "weights"), bool(options["each_window"])
    widths = [task.n_in] + [H] * options["layers"]
    cores = [td.LSTM(n_in, n_out, rng) for n_in, n_out in zip(widths, widths[1:])]
    readout = td.Linear(H, task.n_out, rng, std=1 / np.sqrt(H))
    cores[0].skip_dx()

    lam = options.get("lambda")
    make = td.RecurrentModule if lam is None else partial(LambdaReturns, lam)

    def module(block, *boundary, **parts):
        return make(block, td.Adam(options["lr"], clip_norm=CLIP_NORM), *boundary,
                    each_window=each_window, **parts)

    if method not in DECOUPLED:
        return td.RecurrentNetwork([module(td.Recurrent(*cores, readout), loss=task.loss)])
    rng, n_context = td.stream(options["seed"], "synthesizer"), task.n_context * (method == "cdni")
    boundaries = [td.Boundary(synthesizer(core.n_state, n_context, rng, options), td.Adam(rate),
                              options["scale"]) for core in cores]
    below = [module(core, boundary, synthesizer=td.LinearSynthesizer(H, n_context),
                    synthesizer_lr=td.Adam(rate))
             for core, boundary in zip(cores[:-1], boundaries)]
    top = module(td.Recurrent(cores[-1], readout), boundaries[-1], loss=task.loss)
    return td.RecurrentNetwork([*below, top])


def synthesizer(n_state, n_context, rng, options):
    """Return the synthesizer of one boundary in time."""
    if options.get("aux"):
        return AuxiliarySynthesizer(n_state, rng, n_context)
    if options["synthesizer"] == "mlp":
        return td.mlp_synthesizer(n_state, rng, n_context, hidden=(128,))
    return td.LinearSynthesizer(n_state, n_context)
