"""The command `tinydni check FILE.py:ClassName`: a gradient check of a class in any file."""

import argparse
import json
import sys

import numpy as np

from tinydni.gradcheck import random_inputs, student_file
from tinydni.gradcheck.checker import check, check_loss
from tinydni.gradcheck.contract import takes_no_argument
from tinydni.gradcheck.gradient_report import Report
from tinydni.gradcheck.student_file import UsageError


def run_check(target: str, args: dict | None = None, inputs: list | tuple | None = None,
              is_loss: bool = False, target_kind: str | None = None, context: tuple | None = None,
              between: tuple | None = None, seed: int = 0) -> Report:
    """Check one class of a file, at random inputs.

    Parameters
    ----------
    target : str
        "FILE.py:ClassName".
    args : dict, optional
        The arguments of its constructor.
    inputs : tuple of int, or list of (shape, low, high)
        The shape of x (of the prediction for a loss, of h for a synthesizer); or of every input,
        and where to draw it from: whole numbers, floats, or None for normal ones.
    is_loss : bool
        It is a loss.
    target_kind : str, optional
        The target of a loss: "labels", "one-hot", "bits" or "values"; by default what the name of
        the class suggests.
    context : tuple of int, optional
        The shape of the context of a synthesizer.
    between : (float, float), optional
        Where to draw inputs that say nothing else.
    seed : int
        Of all random numbers.

    Returns
    -------
    Report

    Raises
    ------
    UsageError
        No check could be made; the message says why, in a sentence.
    """
    rng = np.random.default_rng(seed)
    path, cls = student_file.load(target)
    thing = student_file.construct(path, cls, args or {}, rng)
    if not inputs:
        raise UsageError("--input is missing: the shape of the input, such as --input 6,5.")
    inputs = [(inputs, None, None)] if isinstance(inputs, tuple) else inputs
    if not is_loss and hasattr(thing, "backward") and takes_no_argument(thing.backward):
        raise UsageError(f"{cls.__name__}.backward takes no argument. If it is a loss, add --loss; "
                         "the backward of a layer takes dy.")
    low, high = between or (None, None)
    drawn = [random_inputs.draw(*((shape, low, high) if given[0] is None else (shape, *given)), rng)
             for shape, *given in inputs]
    try:
        with student_file.own_errors_named(path, "the check"):
            if is_loss:
                kind = target_kind or random_inputs.kind_for(cls.__name__)
                labels = random_inputs.draw_target(kind, inputs[0][0], rng)
                report = check_loss(thing, *(drawn if drawn[1:] else (*drawn, labels)), rng=rng)
                if not drawn[1:]:
                    report.notes.append(f"the target holds random {kind} (--target {kind}).")
            else:
                report = check(thing, *drawn, *([context] if context else []), rng=rng)
    except UsageError as error:
        hint = (f"\nThe input has shape {' and '.join(str(shape) for shape, *_ in inputs)}: does it "
                "fit the arguments?") if "forward" in str(error) else ""
        raise UsageError(f"{error}{hint}") from error
    except (TypeError, ValueError) as error:    # what the check itself says, as a ContractError
        raise UsageError(str(error)) from error
    return report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tinydni check`."""
    add = parser.add_argument
    add("target", metavar="FILE.py:CLASS", help="the file, and the class in it")
    add("--args", type=arguments, default={}, metavar="JSON",
        help="""arguments of the constructor, such as '{"n_in": 5, "n_out": 4}'; """
             "an argument rng is given by itself")
    add("--input", type=one_input, required=True, action="append", metavar="SHAPE[:LOW..HIGH]",
        help="shape of the input, such as 6,5: a batch of 6 with 5 features; with a range if it "
             "is not to be normal: 6,5:0.1..0.9, or whole numbers, 6,4:0..9; once for each input")
    add("--loss", action="store_true",
        help="the class is a loss; --input is its prediction's shape")
    add("--target", dest="target_kind", choices=random_inputs.KINDS,
        help="what the target of a loss holds (default: what the name of the class suggests)")
    add("--context", type=shape, metavar="SHAPE", help="shape of the context of a synthesizer")
    add("--between", type=interval, metavar="LOW,HIGH",
        help="draw the inputs uniformly from here, such as 0.1,0.9 (default: normal)")
    add("--seed", type=seed, default=0, help="seed of all random numbers (default 0)")


def main(namespace: argparse.Namespace) -> int:
    """Run the command: 0 if all is right, 1 if something is wrong, 2 if that cannot be told."""
    try:
        report = run_check(namespace.target, namespace.args, namespace.input, namespace.loss,
                           namespace.target_kind, namespace.context, namespace.between,
                           namespace.seed)
    except UsageError as error:
        print(f"tinydni check: {error}", file=sys.stderr)
        return 2
    print(report)
    return 0 if report.ok else 1 if report.wrong else 2


def arguments(text):
    """Read --args."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON ({error}); write "
                                         """'{"n_in": 5, "n_out": 4}'""") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("""it must be an object, such as '{"n_in": 5}'; """
                                         f"got {text!r}")
    return value


def one_input(text):
    """Read --input."""
    try:
        return random_inputs.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; got {text!r}") from error


def shape(text):
    """Read --context."""
    return one_input(text)[0]


def interval(text):
    """Read --between."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not low < high or not np.isfinite([low, high]).all():
        raise argparse.ArgumentTypeError("an interval is LOW,HIGH, such as 0.1,0.9; "
                                         f"got {text!r}")
    return low, high


def seed(text):
    """Read --seed."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"a seed is a whole number of at least 0; got {text!r}")
    return int(text)
