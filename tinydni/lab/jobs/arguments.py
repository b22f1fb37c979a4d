"""The options that the training jobs share, and how they are filled, saved and compared."""

import argparse
from functools import partial

from tinydni import backend
from tinydni.lab.jobs import in_workers as workers
from tinydni.lab.jobs.methods import CONTEXTS, METHODS, SYNTHESIZERS, OptionError, recipe

OUTPUTS = ("save", "resume", "figure", "timeline", "json", "quiet", "threads", "main")      # what does not change the run


def whole(minimum):
    """An argparse type: a whole number of at least `minimum`."""
    def parse(text):
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number; got {text!r}") from None
        if value < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}; got {value}")
        return value
    return parse


def number(text, holds, wanted):
    """A number for which `holds`, or the sentence that argparse shows."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number; got {text!r}") from None
    if not holds(value):
        raise argparse.ArgumentTypeError(f"must be {wanted}; got {text}")
    return value


def rate(text):
    """An argparse type: a learning rate or another factor, a finite number above zero."""
    return number(text, lambda value: 0 < value < float("inf"), "above 0 and finite")


def probability(text):
    """An argparse type: a probability above zero."""
    return number(text, lambda value: 0 < value <= 1, "above 0 and at most 1")


def share(text):
    """An argparse type: a number from 0 to 1."""
    return number(text, lambda value: 0 <= value <= 1, "from 0 to 1")


def cuts(text):
    """An argparse type: whole numbers with commas between."""
    return [whole(1)(part) for part in text.split(",")]


def add_training_arguments(parser, defaults):
    """Adds the options of a training job. Those that are not given stay None, so that a recipe can fill them."""
    def add(name, text, group=parser, **kwargs):
        default = defaults.get(name.lstrip("-").replace("-", "_"))
        group.add_argument(name, help=text + (f" (default {default})" if default is not None else ""), **kwargs)

    run = parser.add_argument_group("what to train")
    add("--method", "; ".join(f"{name}: {method.meaning}" for name, method in METHODS.items()), choices=METHODS)
    add("--layers", "number of weight matrices, the output's included", type=whole(2))
    add("--width", "width of the hidden layers", type=whole(1))
    add("--epochs", "passes through the training data", type=whole(1))
    add("--batch-size", "examples per step", type=whole(2))
    add("--seed", "of all random numbers", type=whole(0))
    add("--backend", "where to compute", choices=backend.NAMES)
    add("--capture", "with --backend cupy: repeat the step as one CUDA graph, for networks too small to keep a GPU busy; "
        "not tried on a GPU yet", action="store_const", const=True)
    add("--validation", "hold out the end of the training data and report on it; the test set stays unseen",
        action="store_const", const=True)
    add("--quick", "one epoch on few examples, only to see that everything works", action="store_const", const=True)
    add("--lr", "learning rate of the blocks (default: the method's recipe)", type=rate)
    add("--synthesizer-lr", "learning rate of the synthesizers (default: the method's recipe)", type=rate)
    add("--synthesizer", "form of the synthesizers (default: the method's)", choices=SYNTHESIZERS)
    add("--context", "what the synthesizers see beside h (default: the method's)", choices=CONTEXTS)
    add("--scale", "synthetic gradients are multiplied by this before they enter a block (default: the method's)", type=rate)
    add("--supervised", "virtual networks on images also descend their own loss, with this many times the norm of the "
        "gradient matching (default: not)", type=rate)
    add("--untrained", "freeze the synthesizers as they start", action="store_const", const=True)
    add("--readers", "so many copies of the top block, each with its own weights and loss, read the output below; in use "
        "their mean counts", type=whole(2), metavar="K")
    add("--readers-run", "so many of them, drawn in every step, run (default: all)", type=whole(1), metavar="J")
    add("--warm-up", "steps in which synthesizers learn but are not applied yet", type=whole(0))
    add("--cuts", "interfaces only above these blocks, such as 1,3 (default: above every block)", type=cuts, metavar="LIST")
    add("--p-update", "each block updates with this probability", type=probability, metavar="P")
    add("--unlock", "full unlock: synthetic inputs, too", action="store_const", const=True)
    add("--lambda", "BP(λ): 1 is backprop, 0 is decoupled", type=share, metavar="L")
    add("--measure-gradients", "compare synthetic and true gradients at every interface, before the last step of each epoch, "
        "or before every K-th step", nargs="?", const=True, type=whole(1), metavar="K")
    apart = parser.add_argument_group("workers")
    workers.add_worker_arguments(partial(add, group=apart), whole)
    add_output_arguments(parser)


def add_output_arguments(parser):
    """Adds the options that say where the results of a run go."""
    out = parser.add_argument_group("where results go")
    out.add_argument("--figure", metavar="FILE.png", help="the learning curve (default JOB-METHOD.png)")
    out.add_argument("--json", metavar="FILE.json", help="the result with all options and the history")
    out.add_argument("--save", metavar="FILE.npz", help="the network and all that is needed to go on, after every epoch")
    out.add_argument("--resume", metavar="FILE.npz", help="go on with a run that was saved; its options are in the file")
    out.add_argument("--quiet", action="store_true", help="no progress bar")
    out.add_argument("--threads", type=whole(1), default=1, help="of each matrix product; more than one pays only for large "
                     "networks on idle cores (default 1)")


def training_options(given, defaults):
    """Returns the full options of a run: what was given, then the job's defaults, then the method's recipe.

    given: the parsed arguments, None where the user said nothing
    Raises OptionError where options do not fit together.
    """
    options = {name: value for name, value in given.items() if name not in OUTPUTS}
    for name, value in {"seed": 0, "backend": "numpy", "validation": False, "quick": False, **defaults}.items():
        options[name] = value if options.get(name) is None else options[name]
    for name, value in recipe(options).items():
        options[name] = value if options.get(name) is None else options[name]
    options |= workers.filled(options)
    if options["quick"]:
        options["epochs"] = 1
    if options.get("capture") and options["backend"] != "cupy":
        raise OptionError("--capture is about the launches of a GPU; give --backend cupy with it, or leave it out.")
    return options


def same_options(given, saved, path):
    """Raises OptionError where an option given beside --resume is not what the saved run had."""
    for name, value in given.items():
        if name not in OUTPUTS and value is not None and value != saved.get(name):
            raise OptionError(f"--{name.replace('_', '-')} {value} does not fit {path}, which was made with "
                              f"{saved.get(name)}. Leave it out: --resume takes the options from the file.")
