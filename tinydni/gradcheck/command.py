"""The command `tinydni check FILE.py:ClassName`: a gradient check of a class that knows nothing of this library."""

import argparse
import json
import sys

import numpy as np

from tinydni.gradcheck import studentfile, targets
from tinydni.gradcheck.checker import check, check_loss, takes_no_argument
from tinydni.gradcheck.studentfile import UsageError


def run_check(target, args=None, input_shape=None, is_loss=False, target_kind=None, context=None, between=None,
              seed=0):
    """Checks one class of a file, at random inputs.

    target: "FILE.py:ClassName"    args: the arguments of its constructor, a dictionary
    input_shape: the shape of x (of the prediction for a loss, of h for a synthesizer)
    is_loss: it is a loss; its target is drawn as `target_kind` says ("labels", "one-hot", "bits" or "values";
        by default what the name of the class suggests)
    context: the shape of the context of a synthesizer    between: (low, high) of the input; normal by default

    Returns a Report. Raises UsageError, in a sentence, if no check could be made.
    """
    rng = np.random.default_rng(seed)
    path, cls = studentfile.load(target)
    thing = studentfile.construct(path, cls, args or {}, rng)
    if input_shape is None:
        raise UsageError("--input is missing: the shape of the input, such as --input 6,5.")
    if not is_loss and hasattr(thing, "backward") and takes_no_argument(thing.backward):
        raise UsageError(f"{cls.__name__}.backward takes no argument. If it is a loss, add --loss; the backward of a "
                         "layer takes dy.")
    x = rng.standard_normal(input_shape) if between is None else rng.uniform(*between, input_shape)
    try:
        with studentfile.own_errors_named(path, "the check"):
            if is_loss:
                kind = target_kind or targets.kind_for(cls.__name__)
                report = check_loss(thing, x, targets.draw(kind, input_shape, rng), rng=rng)
                report.notes.append(f"the target holds random {kind} (--target {kind}).")
            else:
                report = check(thing, x, *([context] if context else []), rng=rng)
    except UsageError as error:
        hint = f"\nThe input has shape {input_shape}: does it fit the arguments?" if "forward" in str(error) else ""
        raise UsageError(f"{error}{hint}") from error
    except (TypeError, ValueError) as error:       # what the check itself says, such as a ContractError
        raise UsageError(str(error)) from error
    return report


def add_arguments(parser):
    """Adds the options of `tinydni check`."""
    parser.add_argument("target", metavar="FILE.py:CLASS", help="the file, and the class in it")
    parser.add_argument("--args", type=arguments, default={}, metavar="JSON",
                        help="""arguments of the constructor, such as '{"n_in": 5, "n_out": 4}'; """
                             "an argument rng is given by itself")
    parser.add_argument("--input", type=shape, required=True, metavar="SHAPE",
                        help="shape of the input, such as 6,5: a batch of 6 with 5 features")
    parser.add_argument("--loss", action="store_true", help="the class is a loss; --input is its prediction's shape")
    parser.add_argument("--target", dest="target_kind", choices=targets.KINDS,
                        help="what the target of a loss holds (default: what the name of the class suggests)")
    parser.add_argument("--context", type=shape, metavar="SHAPE", help="shape of the context of a synthesizer")
    parser.add_argument("--between", type=interval, metavar="LOW,HIGH",
                        help="draw the input uniformly from here, such as 0.1,0.9 for probabilities (default: normal)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of all random numbers (default 0)")


def main(namespace):
    """Runs the command. Returns 0 if all is right, 1 if something is wrong, 2 if the check could not be made."""
    try:
        report = run_check(namespace.target, namespace.args, namespace.input, namespace.loss, namespace.target_kind,
                           namespace.context, namespace.between, namespace.seed)
    except UsageError as error:
        print(f"tinydni check: {error}", file=sys.stderr)
        return 2
    print(report)
    return 0 if report.ok else 1


def arguments(text):
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"""{text!r} is not JSON ({error}); write '{{"n_in": 5, "n_out": 4}}'""")
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"""it must be an object, such as '{{"n_in": 5}}'; got {text!r}""")
    return value


def shape(text):
    try:
        sizes = tuple(int(n) for n in text.strip("()").split(",") if n.strip())
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"a shape is a list of positive numbers, such as 6,5; got {text!r}")
    return sizes


def interval(text):
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not low < high:
        raise argparse.ArgumentTypeError(f"an interval is LOW,HIGH, such as 0.1,0.9; got {text!r}")
    return low, high


def seed(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is a whole number of at least 0; got {text!r}")
    return int(text)
