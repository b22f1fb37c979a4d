"""`tinydni plot A.json B.json`: the learning curves of several runs in one picture."""

import json
from pathlib import Path

from tinydni.lab.jobs.job import write_picture
from tinydni.lab.jobs.ranges import OptionError
from tinydni.lab.outputs import Outputs

STEPS = ("epoch", "update")             # what a history counts in


def add_arguments(parser):
    """Add the options of the command."""
    parser.add_argument("files", nargs="+", metavar="FILE.json", help="results of tinydni train; "
                        "each curve has the name of its file")
    parser.add_argument("--of", metavar="NAME", help="what of the history to draw, such as "
                        "train_loss (default: the held-out error, or the measure of the task)")
    parser.add_argument("--figure", default="runs.png", metavar="FILE.png", help="(default "
                        "runs.png)")
    parser.add_argument("--force", action="store_true", help="write over a file that tinydni has "
                        "not made, too")


def main(arguments):
    """Draw. Return the exit code."""
    from tinydni.plots import learning_curve
    Outputs({"figure": arguments.figure}, arguments.files, arguments.force)
    results = {path: history_of(path) for path in arguments.files}
    steps, of = common(results, STEPS, "are counted in"), arguments.of
    of = of or common(results, measures(next(iter(results.values()))), "measure")
    common(results, [of], "hold")
    curves = {label(path, results): (history[steps], history[of])
              for path, history in results.items()}
    write_picture(lambda: learning_curve(curves, xlabel=steps, ylabel=of.replace("_", " ")),
                  arguments.figure)
    print(f"Wrote {arguments.figure}.")
    return 0


def history_of(path):
    """Return the history of a result. Raise OptionError for a file that holds none."""
    try:
        return dict(json.loads(Path(path).read_text(encoding="utf-8"))["history"])
    except (LookupError, TypeError, ValueError):
        raise OptionError(f"{path} is no result of tinydni train, as --json writes it.") from None


def measures(history):
    """Return the names of lists of numbers, those that are not of the training part first."""
    found = [name for name, values in history.items() if name not in STEPS and values
             and all(isinstance(value, (int, float)) for value in values)]
    return sorted(found, key=lambda name: name.startswith("train"))


def common(results, names, do):
    """Return the first name that all results have. Raise OptionError where there is none."""
    for found in names:
        if all(history.get(found) for history in results.values()):
            return found
    raise OptionError(f"the results have nothing in common that they {do}: "
                      + "; ".join(f"{path} has {', '.join(history)}"
                                  for path, history in results.items()) + ".")


def label(path, results):
    """Return the name of a file without its ending, with its folder where two have the same."""
    stems = [Path(other).stem for other in results]
    return Path(path).stem if stems.count(Path(path).stem) == 1 else str(path)
