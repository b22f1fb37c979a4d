"""The command `tinydni check FILE.py:ClassName`: a gradient check of a class in any file."""

import argparse
import json
import re
import sys

import numpy as np

from tinydni.gradcheck import student_file
from tinydni.gradcheck.checker import check, check_loss
from tinydni.gradcheck.contract import takes_no_argument
from tinydni.gradcheck.gradient_report import Report
from tinydni.gradcheck.student_file import UsageError

KINDS = ("labels", "one-hot", "bits", "values")
NUMBER = r"(-?\d+|-?\d*\.?\d+(?:e-?\d+)?|-?\d+\.\d*)"
FORM = re.compile(rf"([\d,]+)(?::{NUMBER}\.\.{NUMBER})?")


def run_check(target: str, args: dict, inputs: list, is_loss: bool = False,
              target_kind: str | None = None, context: tuple | None = None,
              between: tuple = (None, None), seed: int = 0) -> Report:
    """Check one class of a file, at random inputs; the arguments are the command's options.

    Raises UsageError, in a sentence, if no check could be made.
    """
    rng = np.random.default_rng(seed)
    path, cls = student_file.load(target)
    thing = student_file.construct(path, cls, args, rng)
    if not is_loss and hasattr(thing, "backward") and takes_no_argument(thing.backward):
        raise UsageError(f"{cls.__name__}.backward takes no argument. If it is a loss, add --loss; "
                         "the backward of a layer takes dy.")
    drawn = [draw(shape, between if low is None else (low, high), rng)
             for shape, low, high in inputs]
    shapes = [shape for shape, _, _ in inputs]
    try:
        with student_file.own_errors_named(path, "the check"):
            if not is_loss:
                return check(thing, *drawn, *([context] if context else []), rng=rng)
            if drawn[1:]:
                return check_loss(thing, drawn[0], drawn[1], rng)
            kind = target_kind or kind_for(cls.__name__)
            labels = draw_target(kind, shapes[0], rng)
            report = check_loss(thing, drawn[0], labels, rng)
            report.notes.append(f"the target holds random {kind} (--target {kind}).")
            return report
    except (TypeError, ValueError) as error:    # what the check itself says, as a ContractError
        hint = (f"\nThe input has shape {' and '.join(map(str, shapes))}: does it fit the "
                "arguments?") * (isinstance(error, UsageError) and "forward" in str(error))
        raise UsageError(f"{error}{hint}") from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tinydni check`."""
    add = parser.add_argument
    add("target", metavar="FILE.py:CLASS", help="the file, and the class in it")
    add("--args", type=arguments, default={}, metavar="JSON",
        help="""arguments of the constructor, such as '{"n_in": 5, "n_out": 4}'; """
             "an argument rng is given by itself")
    add("--input", type=shape_of, required=True, action="append",
        metavar="SHAPE[:LOW..HIGH]",
        help="shape of the input, such as 6,5: a batch of 6 with 5 features; with a range if it "
             "is not to be normal: 6,5:0.1..0.9, or whole numbers, 6,4:0..9; once for each input")
    add("--loss", action="store_true",
        help="the class is a loss; --input is its prediction's shape")
    add("--target", dest="target_kind", choices=KINDS,
        help="what the target of a loss holds (default: what the name of the class suggests)")
    add("--context", type=lambda text: shape_of(text)[0], metavar="SHAPE",
        help="shape of the context of a synthesizer")
    add("--between", type=interval, default=(None, None), metavar="LOW,HIGH",
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


def shape_of(text):
    """Read --input, "6,5", "6,5:0.1..0.9" or "6,4:0..9", as (shape, low, high)."""
    form = FORM.fullmatch(text.strip("() ").replace(" ", ""))
    if form:
        shape = tuple(int(n) for n in form[1].split(",") if n)
        low, high = (end and (int(end) if end.lstrip("-").isdecimal() else float(end))
                     for end in form.groups()[1:])
        if shape and min(shape) > 0 and (low is None or low < high):
            return shape, low, high
    raise argparse.ArgumentTypeError(
        "a shape is a list of positive numbers, such as 6,5, perhaps with where to draw from: "
        f"6,5:0.1..0.9, or whole numbers, 6,4:0..9; got {text!r}")


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


def interval(text):
    """Read --between."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not -np.inf < low < high < np.inf:
        raise argparse.ArgumentTypeError("an interval is LOW,HIGH, such as 0.1,0.9; "
                                         f"got {text!r}")
    return low, high


def seed(text):
    """Read --seed."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"a seed is a whole number of at least 0; got {text!r}")
    return int(text)


def draw(shape, between, rng):
    """Draw an input: whole numbers from low to high, floats between them, or normal ones."""
    low, high = between
    if low is None:
        return rng.standard_normal(shape)
    if isinstance(low, int) and isinstance(high, int):
        return rng.integers(low, high + 1, shape)
    return rng.uniform(low, high, shape)


def kind_for(class_name):
    """Guess the kind of target from the name of a loss: "BinaryCrossEntropy" takes bits."""
    name = class_name.lower().replace("_", "")
    if any(part in name for part in ("binary", "bce", "logistic")):
        return "bits"
    if any(part in name for part in ("entropy", "softmax", "nll", "likelihood")):
        return "labels"
    return "values"


def draw_target(kind, shape, rng):
    """Draw a target for predictions (N, ..., K): labels (N, ...), or an array of the same shape."""
    if kind == "labels":
        return rng.integers(0, shape[-1], shape[:-1])
    if kind == "one-hot":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if kind == "bits":
        return rng.integers(0, 2, shape).astype(np.float64)
    return rng.standard_normal(shape)
