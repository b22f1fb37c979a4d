"""The options of all jobs: one table, which the parser, the checks and `--help` read."""

import argparse
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from tinydni import backend
from tinydni.lab.jobs import recurrent
from tinydni.lab.jobs.forms import SYNTHESIZERS
from tinydni.lab.jobs.methods import CONTEXTS, METHODS
from tinydni.lab.jobs.option import Option, dashed
from tinydni.lab.jobs.ranges import (
    PROBABILITY,
    RATE,
    SHARE,
    THREADS,
    OptionError,
    shares,
    whole,
    whole_numbers,
)
from tinydni.lab.workers import MODES
from tinydni.lab.workers.transports import TRANSPORTS

# What an option takes: a reader, a tuple of choices, a file, or words for argparse.
FLAG: dict = {"action": "store_const", "const": True}
SWITCH: dict = {"action": argparse.BooleanOptionalAction}
EVERY: dict = {"nargs": "?", "const": True, "type": whole(1), "metavar": "K"}
PICTURE, JSON, STATE = "FILE.png", "FILE.json", "FILE.npz"

# What is said where options do not fit, by condition: see option.py.
WITH = "method=" + "|".join(name for name, method in METHODS.items() if method.synthesizer)
GUESSES = {WITH: "--{option} does nothing with --method {method}, which has no synthesizer; "
                 "leave it out."}
IN_TIME = {"method=dni|cdni": "--{option} does nothing with --method {method}; leave it out."}
WAYS = {f"{one}&{other}": f"{dashed(one)} and {dashed(other)} are different ways to run the "
                          "modules; choose one."
        for one, other in combinations(("p_update", "lambda", "unlock", "late"), 2)}
ONE_LOOP = {"workers": "--{option} is a way to run the modules in one loop; leave out --workers."}
FORMS = {
    "method=label-only|local|dgl|drtp": "--method {method} has a fixed form; leave out "
                                        "--synthesizer and --context.",
    "synthesizer=virtual-linear|virtual-mlp|virtual-conv|virtual-resnet&context!=labels":
        "--synthesizer {synthesizer} compares its virtual output with the label: it needs "
        "--context labels.",
    "synthesizer=guess&context!=input|h1":
        "--synthesizer guess makes its guess from the network's input, or from the output of the "
        "bottom block: it needs --context input or h1.",
    "context=h1&unlock": "--context h1 is the output of the bottom block, for which no block waits "
                         "with --unlock; leave one of them out.",
    "synthesizer=guess&workers": "--synthesizer guess shares one guess between all interfaces, "
                                 "which workers cannot; leave out --workers."}
MODE = "--method {method} cannot run with --mode {mode}: free and lock-step are for methods with " \
       "synthesizers and for late-gradients, locked and data-parallel for backprop."
DECOUPLED = "method=" + "|".join(name for name, method in METHODS.items() if method.decoupled)
IN_ONE_LOOP = "method=" + "|".join(name for name, method in METHODS.items()
                                   if not method.decoupled and name != "backprop")
IN_WORKERS = {DECOUPLED + "&mode=locked|data-parallel": MODE,
              "method=backprop&mode=free|lock-step": MODE,
              IN_ONE_LOOP: "--method {method} runs in one loop; leave out --workers."}
OF_WORKERS = {"workers": "--{option} {value} is about workers: say how many, with --workers N."}


def meanings(choices: Mapping[str, str]) -> str:
    """Say what each choice means."""
    return "; ".join(f"{name}: {meaning}" for name, meaning in choices.items())


METHOD = meanings({name: method.meaning for name, method in METHODS.items()})
IN_TIME_METHOD = meanings(recurrent.METHODS)
ALL, ROWS, TIME = "feedforward recurrent", "feedforward", "recurrent"
O = Option
OPTIONS = {
    "what to train": (
        O(ROWS, "method", tuple(METHODS), METHOD),
        O(TIME, "method", tuple(recurrent.METHODS), IN_TIME_METHOD),
        O("text", "method", ("truncated", "dni", "cdni"), IN_TIME_METHOD.partition("; ")[2]),
        O("mnist", "model", ("fcn", "cnn"), "fully connected; or convolutional, --width channels "
          "in every layer, by default 64, and 3 epochs"),
        O("cifar10", "model", ("resnet", "cnn", "fcn"), "residual, --width channels in its first "
          "stage and one interface in its middle; convolutional, by default 3 layers of 128 "
          "channels; fully connected, by default 3 layers of 1000"),
        O("mnist digits cifar10", "start", ("he", "looks-linear"), "weights of a fully connected "
          "network: He's, or mirrored pairs, with which it starts as a linear, invertible code "
          "(default he)", {},
          {"model=cnn|resnet": "--start is for fully connected networks; leave it out."}),
        O("addition", "bits", whole(1, 31), "bits of each number"),
        O("recall", "distractors", whole(1, 10**6), "symbols that pass in between"),
        O("copy repeat-copy", "ahead", whole(1, 10**4), "targets ahead that the synthesizers of "
          "cdni see"),
        O("text", "ahead", whole(1, 10**4), "characters ahead that the synthesizers of cdni see"),
        O("two-rnn", "tick", whole(1, 24), "digits between two ticks of the slow network"),
        O(ROWS, "layers", whole(2, 1000), "number of weight matrices, the output's included"),
        O(TIME, "layers", whole(1, 100), "LSTM layers; with dni and cdni decoupled in depth, too"),
        O(ROWS, "width", whole(1, 10**6), "width of the hidden layers"),
        O(TIME, "width", whole(1, 10**6), "width of each layer"),
        O(ROWS, "epochs", whole(1), "passes through the training data"),
        O(TIME, "updates", whole(1), "windows to learn from"),
        O(TIME, "window", whole(1, 10**6), "steps that are backpropagated through",
          excludes={"method=backprop": "--window does nothing with --method backprop; "
                                       "leave it out."}),
        O(TIME, "each_window", SWITCH, "update after every window, or once per sequence with the "
          "sum of its windows", default=False),
        O(ROWS, "batch_size", whole(2), "examples per step"),
        O(TIME, "batch_size", whole(2, 10**6), "sequences at a time"),
        O(ALL, "seed", whole(0, 2**63 - 1), "of all random numbers", default=0),
        O(ALL, "backend", backend.NAMES, "where to compute", default="numpy"),
        O(ROWS, "capture", FLAG, "with --backend cupy: repeat the step as one CUDA graph, for "
          "networks too small to keep a GPU busy; not tried on a GPU yet",
          {"backend=cupy": "--capture is about the launches of a GPU; give --backend cupy with it, "
                           "or leave it out."}, ONE_LOOP),
        O(ROWS, "validation", FLAG, "hold out the end of the training data and report on it; the "
          "test set stays unseen", default=False),
        O(ROWS, "quick", FLAG, "one epoch on few examples, only to see that everything works",
          default=False),
        O(TIME, "quick", FLAG, "few updates, only to see that everything works", default=False),
        O(ROWS, "lr", RATE, "learning rate of the blocks (default: the method's recipe)"),
        O(TIME, "lr", RATE, "learning rate of the network"),
        O(ROWS, "synthesizer_lr", RATE, "learning rate of the synthesizers (default: the method's "
          "recipe)", GUESSES),
        O(TIME, "synthesizer_lr", RATE, "learning rate of the synthesizers", IN_TIME, {}, 1e-3),
        O(ROWS, "synthesizer", tuple(SYNTHESIZERS), "form of the synthesizers: "
          f"{meanings(SYNTHESIZERS)} (default: the method's)", GUESSES, FORMS),
        O(TIME, "synthesizer", ("linear", "mlp"), "form of the synthesizers: linear, or "
          "with a hidden layer", IN_TIME, {}, "linear"),
        O(ROWS, "hidden", whole_numbers(1, 10**6), "widths of the hidden layers of mlp "
          "synthesizers, such as 1024,1024 (default 256)",
          {"synthesizer=mlp": "--hidden is for --synthesizer mlp; loss and virtual-mlp have one "
                              "hidden layer of 256, others none: leave it out."},
          {"model=cnn|resnet": "--hidden is for fully connected networks; leave it out."}),
        O(ROWS, "context", tuple(CONTEXTS), "what the synthesizers see beside h: "
          f"{meanings(CONTEXTS)} (default: the method's)", GUESSES, FORMS),
        O(ROWS, "drops", shares, "rates stay, and are divided by 10 at these shares of the run, "
          "such as 0.6,0.8 (default: they fall all the way, linearly or as a cosine)"),
        O(ROWS, "scale", RATE, "synthetic gradients are multiplied by this before they enter a "
          "block (default: the method's)", GUESSES),
        O(TIME, "scale", SHARE, "factor of the synthetic gradient", IN_TIME, {}, 0.1),
        O("recall copy repeat-copy", "lambda", SHARE, "BP(λ): the boundary learns from so "
          "much of what comes after the next window; 0 is a plain synthetic gradient", IN_TIME,
          {"aux": "--lambda and --aux are different ways to look further ahead; choose one."}),
        O(TIME, "aux", FLAG, "a second head of the synthesizer foretells the next boundary's "
          "gradient", IN_TIME, {"synthesizer=linear": "--aux is a second head on a hidden layer: "
                                                      "it needs --synthesizer mlp."}),
        O(ROWS, "supervised", RATE, "virtual networks on images also descend their own loss, with "
          "this many times the norm of the gradient matching (default: not)", GUESSES),
        O(ROWS, "untrained", FLAG, "freeze the synthesizers as they start", GUESSES),
        O(ROWS, "readers", whole(2, 1000), "so many copies of the top block, each with its own "
          "weights and loss, read the output below; at inference their mean counts", {},
          {"method=dfa": "--method dfa sends down the one error of one output; leave out "
                         "--readers.",
           "method=ff": "--method ff has no output that could be copied; leave out --readers."}),
        O(ROWS, "readers_run", whole(1, 1000), "so many of them, drawn in every step, run "
          "(default: all)",
          {"readers": "--readers-run {value} runs some of several readers in a step: say how many "
                      "there are, with --readers K."},
          {"readers_run>readers": "--readers-run {value} runs some of several readers in a step: "
                                  "at most --readers {readers}.",
           "mode=data-parallel": "--readers-run draws the readers of a step, and every worker of "
                                 "--mode data-parallel would draw others; leave it out."}),
        O(ROWS, "warm_up", whole(0), "steps in which synthesizers learn but are not applied yet",
          GUESSES),
        O(ROWS, "cuts", whole_numbers(1, 1000), "interfaces only above these blocks, such as 1,3 "
          "(default: above every block)", {},
          {"mode=data-parallel": "--cuts does nothing with --mode data-parallel, where every "
                                 "worker holds the whole network; leave it out.",
           "method=backprop|bottom&workers=None": GUESSES[WITH]}),
        O(ROWS, "p_update", PROBABILITY, "each block updates with this probability", GUESSES,
          ONE_LOOP | WAYS),
        O(ROWS, "unlock", FLAG, "full unlock: synthetic inputs, too", GUESSES, WAYS),
        O(ROWS, "lambda", SHARE, "BP(λ): 1 is backprop, 0 is decoupled", GUESSES,
          ONE_LOOP | WAYS),
        O(ROWS, "late", {**EVERY, "const": 1, "type": whole(0, 1000)}, "synthesizers learn from "
          "the true gradient, or blocks do with --method late-gradients, K steps late for each "
          "module above (alone: 1)", {DECOUPLED: GUESSES[WITH]}, WAYS | {
              "workers&late!=1": "--late {late}: between workers a message takes the time that it "
                                 "takes; give --late alone, or leave out --workers.",
              "method=late-gradients&late=0": "--late 0 with --method late-gradients is --method "
                                              "backprop; take that, or --late 1 and more.",
              "context=h1": "--late runs a block again later, and --context h1 would be another "
                            "by then; leave one of them out.",
              "untrained": "--late is what synthesizers learn from, and with --untrained they do "
                           "not learn; leave one of them out.",
              "capture": "--late and --capture: a graph repeats one step, and what arrives late "
                         "is about another one each time; leave one of them out."}),
        O(ROWS, "measure_gradients", EVERY, "compare synthetic and true gradients at every "
          "interface, before the last step of each epoch, or before every K-th step", GUESSES)),
    "workers": (
        O(ROWS, "workers", whole(2, 1024), "spread the modules over this many workers (default: "
          "one loop)", {}, IN_WORKERS),
        O(ROWS, "transport", TRANSPORTS, "threads of this process; or mpi, where the processes "
          "that mpiexec starts are the workers (default threads)", OF_WORKERS),
        O(ROWS, "mode", MODES, "free: nobody waits for a gradient; lock-step: the numbers of one "
          "loop (what comes late: within an epoch); locked: backpropagation over the same workers; "
          "data-parallel: backpropagation, each worker with the whole network and a share of every "
          "batch (default free, or locked for backprop)", OF_WORKERS),
        O(ROWS, "timeline", PICTURE, "before training, record some batches of locked, decoupled "
          "and unlocked workers, and draw who does what when",
          {"workers": "--timeline draws workers: say how many, with --workers N."})),
    "where results go": (
        O(ALL, "figure", PICTURE, "the learning curve (default JOB-METHOD.png)"),
        O(ALL, "json", JSON, "the result with all options and the history; - is the terminal"),
        O(ALL, "save", STATE, "the network and all that is needed to go on, after every epoch"),
        O(ALL, "resume", STATE, "go on with a run that was saved; its options are in the file"),
        O(ALL, "force", FLAG, "write over files that tinydni has not made, too"),
        O(ALL, "quiet", FLAG, "no progress bar"),
        O(ALL, "threads", THREADS, "of each matrix product; more than one pays only for large "
          "networks on idle cores", default=1)),
}
OUTPUTS = {"timeline", *(row.name for row in OPTIONS["where results go"])}


def table_of(job: Any) -> dict[str, Option]:
    """Return the rows of a job by name; its own go before those of its family."""
    rows = [row for group in OPTIONS.values() for row in group]
    return {row.name: row for who in (job.family, job.name) for row in rows
            if who in row.jobs.split()}


def add_arguments(job: Any, parser: Any) -> None:
    """Add the options of a job to an argparse parser, with its defaults in the help."""
    mine = table_of(job)
    for title, rows in OPTIONS.items():
        group = None
        for row in rows:
            if mine.get(row.name) is not row:
                continue
            if row.name in job.left_out:
                parser.set_defaults(**{row.name: None})
                continue
            group = group or parser.add_argument_group(title)
            row.add(group, job.defaults.get(row.name, row.default))


def filled(job: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the full options of a run: what is given, then the job's defaults, then the method's.

    A default that does not fit the rest, such as a window of --method backprop, is left out.
    """
    rows = table_of(job)
    options = {name: value for name, value in given.items() if name not in OUTPUTS | {"main"}}
    model = options.get("model") or job.defaults.get("model")
    defaults = {**job.defaults, **job.variants.get(model, {})}
    options["method"] = options.get("method") or defaults["method"]

    def fill(found, fits=lambda name, value: True):
        for name, value in found.items():
            if options.get(name) is None and fits(name, value):
                options[name] = value

    def fits(name, value):
        return name not in rows or not rows[name].objection(options | {name: value})

    fill(defaults, fits)
    fill(job.recipe(options))
    fill({row.name: row.default for row in rows.values()
          if row.default is not None and row.name not in OUTPUTS}, fits)
    if options["quick"]:
        options |= dict([job.quick])
    return options


def check(job: Any, given: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise OptionError for something given that does not fit the full options."""
    for name, row in table_of(job).items():
        if given.get(name) is not None and given[name] is not False:
            said = row.objection(options)
            if said:
                raise OptionError(said)


def check_saved(job: Any, given: Mapping[str, Any], saved: Any, path: str) -> None:
    """Raise OptionError where the options of a saved run are not whole, or are not those given."""
    rows = table_of(job)
    if not isinstance(saved, dict):
        raise OptionError(f"{path} holds no options; it is not whole.")
    for name, value in saved.items():
        if name not in rows or not rows[name].can_be(value):
            raise OptionError(f"{path} has {dashed(name)} {value!r}, which this tinydni does not "
                              "know; train again, or use the tinydni that saved it.")
    kind = {name: saved[name] for name in ("method", "model") if name in saved}
    lacking = filled(job, kind).keys() - saved.keys()
    if lacking:
        raise OptionError(f"{path} lacks {dashed(min(lacking))}; it is not whole.")
    for name, value in given.items():
        if name in rows and name not in OUTPUTS and value not in (None, saved.get(name)):
            raise OptionError(f"{dashed(name)} {value} does not fit {path}, which was made with "
                              f"{saved.get(name)}. Leave it out: --resume takes the options from "
                              "the file.")
    if given.get("timeline"):
        check(job, {"timeline": given["timeline"]}, saved)
