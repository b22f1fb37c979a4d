"""A training job: from the options of the command line to a trained network and its report."""

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tinydni.lab import files
from tinydni.lab.jobs import methods, parallel, recurrent
from tinydni.lab.jobs.options import add_arguments, check, check_saved, filled
from tinydni.lab.jobs.ranges import OptionError
from tinydni.lab.jobs.run import FeedforwardRun, RecurrentRun, beside
from tinydni.lab.outputs import Outputs, claimed, keep
from tinydni.optimizers import LinearDecay


@dataclass
class Task:
    """What differs between jobs: the data, the network, and how to measure it.

    Parameters
    ----------
    dataset : see tinydni.datasets
    blocks, loss : fresh layers, bottom to top, and the loss of the top
    error : function (prediction, target) -> percent wrong
    cuts : blocks with an interface above them, counted from 1; None, all
    schedule : function (number of steps) -> scale of the learning rates by step
    synthesizer_schedule : the same for those of the synthesizers, if theirs differs
    augment : see Training
    held_out : one in so many training examples is held out by --validation
    """

    dataset: Any
    blocks: list
    loss: Any
    error: Callable
    cuts: list | None = None
    schedule: Callable = LinearDecay
    synthesizer_schedule: Callable | None = None
    augment: Callable | None = None
    held_out: int = 6


@dataclass
class Job:
    """A job of `tinydni train`: a network of blocks, over epochs of a data set.

    Parameters
    ----------
    name, meaning : for the command line
    defaults : of the options;   variants : others, for a value of --model
    task : function (options) -> Task
    scores : function (run) -> named results
    show : function (run) that prints a few predictions after training
    unit : of what the picture shows
    left_out : options of its family that make no sense
    """

    name: str
    meaning: str
    defaults: dict
    task: Callable
    scores: Callable
    show: Callable
    unit: str = "of the images"
    variants: dict = field(default_factory=dict)
    left_out: tuple = ()

    family, recipe = "feedforward", staticmethod(methods.recipe)
    run_class: ClassVar[type] = FeedforwardRun
    quick = ("epochs", 1)               # of --quick

    def add_arguments(self, parser):
        """Add the options of this job to an argparse parser."""
        add_arguments(self, parser)

    def options(self, given):
        """Return the full options of a run; `given` may hold None where nothing was said."""
        full = filled(self, given)
        full |= parallel.filled(full)
        check(self, {**given, "workers": full.get("workers")}, full)
        return full

    def bytes_needed(self, options):
        """Estimate the memory of a run: weights with their gradients, a batch in all layers."""
        n, width, batch = options["layers"], options["width"], options["batch_size"]
        taps, pixels, wider = {"cnn": (25, 256, 1), "resnet": (9, 1024, 4)}.get(
            options.get("model"), (1, 1, 1))
        return 16 * n * taps * (wider * width)**2 + 4 * batch * pixels * width * (taps + 4 * n)

    def run(self, options):
        """Return a fresh run with full options."""
        needed, here = self.bytes_needed(options), memory()
        if needed > here:
            raise OptionError(f"a run of these sizes needs about {needed / 1e9:,.0f} GB, and this "
                              f"machine has {here / 1e9:,.0f}; take a smaller --width, "
                              "--batch-size or the like.")
        return self.run_class(self, options)

    def main(self, arguments):
        """Run the job for the command line, from parsed arguments. Return the exit code."""
        return parallel.main(self, vars(arguments))

    def train(self, given):
        """Train, or go on, and report. Return the exit code."""
        state, info = self.saved(given) if given["resume"] else (None, None)
        full = info["options"] if info else self.options(given)
        usual = f"{self.name}-{full['method']}"
        figure = given["figure"] or usable("figure", f"{usual}.png")
        save = given["save"] or (given["resume"] and usable("resume", given["resume"]))
        outputs = self.outputs(given, figure, full)
        with claimed(save), outputs.text_beside(given["json"]):
            run = self.run(full)
            if info:
                run.go_on(state, info, given["resume"])
            print(run.head(), flush=True)
            if given.get("timeline") and not outputs.attempt(
                    parallel.draw_timelines, self, run.options, given["timeline"]):
                given["timeline"] = None
            run.train(given["quiet"], save)
            if run.finished:
                return self.report(run, given, outputs, figure, save or f"{usual}.npz")
            place = keep(run.save, save or f"{usual}.npz")
            words = parallel.command(run.options, f"train {self.name} --resume {place}")
            print(f"\nStopped in {run.training.place()}; what was learned is in {place}.\n"
                  f"Go on with: {words}")
            return 130

    def saved(self, given):
        """Return (state, info) of the file of --resume, whose options fit this job."""
        path = given["resume"]
        state, info = files.load(path)
        if not isinstance(info, dict) or info.get("experiment") != self.name:
            raise OptionError(f"{path} does not hold a run of 'train {self.name}'.")
        check_saved(self, given, info.get("options"), path)
        return state, info

    def outputs(self, given, figure, full):
        """Return the Outputs of a run, all of them proved writable."""
        resume, save, timeline = given["resume"], given["save"], given.get("timeline")
        if resume and save and os.path.realpath(save) == os.path.realpath(resume):
            save = None                 # it goes on in the file that it came from
        paths = {"json": given["json"], "save": save, "figure": figure, "timeline": timeline}
        if figure and full.get("measure_gradients"):
            paths["figure (gradients)"] = beside(figure)
        return Outputs(paths, [resume], given["force"])

    def report(self, run, given, outputs, figure, state):
        """Write and print all results, those first that are hardest to get again."""
        written, json, checkpoints = [], given["json"], run.checkpoints
        if json and outputs.attempt(lambda: outputs.write_json(json, run.result())):
            written.append(json)
        if checkpoints and not checkpoints.failed:
            written.append(state)
        elif checkpoints or (json and not written):
            outputs.failed, place = True, keep(run.save, state)
            print(f"tinydni: the run is kept in {place}. This writes its results again:\n"
                  f"tinydni train {self.name} --resume {place} --json FILE", file=sys.stderr)
        for path, draw in (run.pictures(figure) if figure else {}).items():
            if outputs.attempt(write_picture, draw, path):
                written.append(path)
        print(run.table())
        self.show(run)
        written += [given["timeline"]] if given.get("timeline") else []
        if written:
            print("Wrote " + ", ".join(map(str, written)) + ".")
        return int(outputs.failed)


class RecurrentJob(Job):
    """A job of `tinydni train` with a recurrent network, over the sequences of a SequenceTask."""

    family, recipe = "recurrent", staticmethod(recurrent.recipe)
    run_class: ClassVar[type] = RecurrentRun
    quick = ("updates", 300)
    build = staticmethod(recurrent.build)   # function (task, options) -> network

    def options(self, given):
        """Return the full options of a run: only those that say something."""
        full = filled(self, given)
        check(self, given, full)
        return {name: value for name, value in full.items() if value is not None}

    def bytes_needed(self, options):
        """Estimate the memory of a run: weights with their gradients, a batch at all steps."""
        n, width, batch = options["layers"], options["width"], max(1000, options["batch_size"])
        steps, ahead = options.get("distractors", 24), 65 * options.get("ahead", 0)
        return 128 * n * width**2 + 4 * batch * steps * (8 * n * width + ahead)

    def main(self, arguments):
        """Run the job for the command line, from parsed arguments. Return the exit code."""
        return self.train(vars(arguments))


def usable(option, path):
    """Return a path that nobody has asked for, or None where nothing can be written there."""
    try:
        Outputs({option: path})
    except OptionError as reason:
        print(f"Nothing is written to {path}. {reason}", file=sys.stderr)
        return None
    return path


def write_picture(draw, path):
    """Draw a picture and save it."""
    from tinydni.plots import save
    save(draw(), path)


def memory():
    """Return the memory that this process may have [bytes], as far as the system tells."""
    total, limit = 2**36, ""
    with contextlib.suppress(AttributeError, OSError, ValueError):      # of systems that do not
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    return min(total, int(limit)) if limit.isdecimal() else total
