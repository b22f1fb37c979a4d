"""One run of a job: network, training and result, through interruption and resumption."""

import math
import time
import zlib
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

import tinydni as td
from tinydni import backend
from tinydni.gpu import CapturedStep, check_can_be_captured, fuse
from tinydni.lab import files
from tinydni.lab.callbacks import Checkpoints, Progress, stop_on_interrupt
from tinydni.lab.doctor import versions
from tinydni.lab.gradient_quality import measure_gradients
from tinydni.lab.jobs import methods, parallel, recurrent
from tinydni.lab.jobs.ranges import OptionError
from tinydni.lab.products import write_product_buffer
from tinydni.lab.recurrent_training import RecurrentTraining
from tinydni.plots.summary import summary
from tinydni.training import Training

QUICK = (6400, 1000)        # training and held-out examples of --quick
ROWS = 12                   # of a table on the screen


class Run:
    """A run with full options. What differs between the families of jobs is in two subclasses.

    Raises
    ------
    OptionError
        Where no network can be made of the options.

    Attributes
    ----------
    task, network, training : what it is made of
    sees : what the synthesizers see, in words, such as ("h", "labels");   meaning : of the method
    data, notes : arrays that a resumed run must find again, and sentences about them
    length : how long it is, in words
    columns : of the table on the screen;   score : how a score is written there
    seconds : spent in training so far, earlier parts of a resumed run included [s]
    """

    def __init__(self, job, options):
        self.job, self.options, self.seconds = job, options, 0.0
        write_product_buffer()
        try:
            self.make(backend.get(options["backend"]))
        except OptionError:
            raise
        except ValueError as error:
            raise OptionError(f"these options do not fit together: {error}") from None

    def train(self, quiet=False, save=None):
        """Train to the end, or to Ctrl-C. With `save`, write the run there after every epoch."""
        progress = Progress(self.training, quiet)
        self.checkpoints = Checkpoints(lambda: self.save(save)) if save else None
        try:
            with stop_on_interrupt(self.training):
                self.training.run([progress, self.clock(), *filter(None, [self.checkpoints])])
        finally:
            progress.close()
        return self

    def clock(self):
        """Return a callback that keeps `seconds`."""
        before, start = self.seconds, time.perf_counter()

        def tick(training):
            self.seconds = before + time.perf_counter() - start
        return tick

    def save(self, path):
        """Write everything that is needed to go on."""
        files.save(path, self.network.state(), {
            "experiment": self.job.name, "options": self.options, "seconds": self.seconds,
            "data": self.fingerprint, "position": self.training.position()})

    def go_on(self, state, info, path):
        """Take the state and the position of a saved run, and see that they fit."""
        if info.get("data") != self.fingerprint:
            raise files.CheckpointError(f"{path} was trained on other data than are here now; give "
                                        "it those, or train again.")
        fresh = self.training.position()
        try:
            position, self.seconds = info["position"], float(info["seconds"])
            numbers = [position[name] for name in fresh if name not in ("history", "task")]
            if not all(math.isfinite(n) and n >= 0 for n in numbers):
                raise ValueError("its place is no number")
            if position["history"].keys() != fresh["history"].keys():
                raise ValueError("its history is another")
            self.network.load_state(state)
            self.training.go_to(position)
            if not self.is_within():
                raise ValueError("its place is beyond the end")
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise files.CheckpointError(f"{path} does not hold a whole run: {error}.") from None

    @property
    def finished(self):
        """Whether the training came to its end."""
        return self.training.finished

    @cached_property
    def fingerprint(self):
        """A number that tells whether the data are the same."""
        number = 0
        for array in self.data:
            number = zlib.crc32(np.ascontiguousarray(array).data, number)
        return number

    @cached_property
    def scores(self):
        """The named results of the finished run."""
        return self.job.scores(self)

    def result(self):
        """Return the result as `--json` writes it."""
        apart = ("method", "seed", "backend")
        options = {name: value for name, value in self.options.items() if name not in apart}
        return {"experiment": self.job.name, "options": options,
                **{name: self.options[name] for name in apart}, "sees": list(self.sees),
                "notes": list(self.notes), "versions": versions(),
                "seconds": round(self.seconds, 3),
                "history": self.training.history, **self.scores,
                **parallel.report(self.options, self.training)}

    def head(self):
        """Say what is about to be trained, in a few lines."""
        options, seen = self.options, " and ".join(self.sees)
        seen = seen and f" In training the synthesizers see {seen}; at inference they are gone."
        return "\n".join([*self.notes, "", *self.description(), "",
                          f"{self.job.name}, {options['method']}: {self.meaning}.{seen}",
                          f"{self.length}, seed {options['seed']}, {options['backend']}."])

    def table(self):
        """Return the learning curve and the scores, as text."""
        rows = list(zip(*(self.training.history[name] for name in self.columns)))
        if len(rows) > ROWS:
            rows = [rows[round(i * (len(rows) - 1) / (ROWS - 3))] for i in range(ROWS - 2)]
        texts = [[name.replace("_", " ") for name in self.columns]]
        texts += [[f"{value:.4f}" if isinstance(value, float) else str(value) for value in row]
                  for row in rows]
        lines = ["  ".join(text.rjust(max(9, len(head))) for text, head in zip(line, texts[0]))
                 for line in texts]
        scores = ", ".join(f"{name.replace('_', ' ')} {self.score.format(value)}"
                           for name, value in self.scores.items())
        return "\n".join([*lines, "", f"{scores}, after {self.seconds:.0f} s."])

    def curve(self, x, y, detail, ylabel):
        """Return the picture of one list of the history over another."""
        from tinydni.plots import learning_curve
        method, history = self.options["method"], self.training.history
        return learning_curve({method: (history[x], history[y])}, xlabel=x, ylabel=ylabel,
                              title=f"{self.job.name}: {method}{detail}")


class FeedforwardRun(Run):
    """A run over epochs of a data set."""

    score = "{:.2f} %"

    def make(self, xp):
        """Make everything that the options say."""
        options, task = self.options, self.job.task(self.options)
        self.task, dataset = task, task.dataset
        if options["validation"]:
            dataset = dataset.with_validation(len(dataset.x) // task.held_out)
        if options["quick"]:
            n, m = QUICK
            dataset = replace(dataset, x=dataset.x[:n], y=dataset.y[:n],
                              x_test=dataset.x_test[:m], y_test=dataset.y_test[:m])
        n_steps = options["epochs"] * (len(dataset.x) // options["batch_size"])
        check_length(options, n_steps, len(dataset.x))
        seen = {"labels": dataset.context, "input": lambda: dataset.x}
        context = seen.get(options.get("context"), lambda: None)()
        build = lambda options: fuse(methods.build(task, dataset, options).to(xp))
        make = Training
        if options.get("workers"):
            parallel.check_shares(options)
            options = self.options = parallel.with_cuts(options, build, dataset, context)
            make = partial(parallel.training, options)
        self.network = build(options)
        if options.get("capture"):
            try:
                check_can_be_captured(self.network)
            except ValueError as error:
                raise OptionError(f"--capture: {error}") from None
            make = partial(Training, step=CapturedStep(self.network))
        schedule, of_synthesizers = schedules(task, options, n_steps)
        self.training = make(self.network, dataset, options["epochs"], options["batch_size"],
                             options["seed"], schedule, task.error, context, of_synthesizers,
                             task.augment)
        every = options.get("measure_gradients")
        if every:
            measure_gradients(self.training, None if every is True else every)
        self.columns = ("epoch", "train_loss", self.training.held_out_error)
        self.sees, self.meaning = methods.sees(options), methods.METHODS[options["method"]].meaning
        self.data, self.notes, n = (dataset.x, dataset.y), dataset.notes, options["epochs"]
        self.length = f"{n} epoch{'s' * (n > 1)} of batches of {options['batch_size']}"

    def is_within(self):
        """Tell whether the training is at a place of its own run."""
        training = self.training
        return (training.batch < training.n_batches and training.step <= training.n_steps
                and len(training.history["epoch"]) == training.epoch)

    def description(self):
        """Describe the network."""
        return [summary(self.network, self.training.dataset.x.shape[1:])]

    def pictures(self, path):
        """Return {path: function that draws}: the errors, and the cosines if measured."""
        from tinydni.plots import learning_curve
        layers, history = f", {self.options['layers']} layers", self.training.history
        what = self.training.held_out_error.replace("_", " ")
        found = {path: lambda: self.curve("epoch", self.training.held_out_error, layers,
                                          f"{what} [% {self.job.unit}]")}
        if "gradients" in history:
            cosines = {f"interface {i}": (history["gradients_at"],
                                          [at["cosine"] or 0.0 for at in column])
                       for i, column in enumerate(zip(*history["gradients"]), 1)}
            title = f"{self.job.name}: {self.options['method']}{layers}: synthetic beside true"
            found[beside(path)] = lambda: learning_curve(
                cosines, title=f"{title} gradient", xlabel="epoch", ylabel="batch cosine")
        return found


def beside(path):
    """Return where the picture of the gradients lies, beside that of the errors."""
    return str(Path(path).with_stem(Path(path).stem + "-gradients"))


def schedules(task, options, n_steps):
    """Return the schedules of the blocks and, if theirs is another, of the synthesizers."""
    if options.get("drops"):
        return td.StepDecay(max(1, round(share * n_steps)) for share in options["drops"]), None
    made = task.synthesizer_schedule and task.synthesizer_schedule(n_steps)
    return task.schedule(n_steps), made


def check_length(options, n_steps, n_examples):
    """Raise OptionError for options that are larger than the data, or longer than the run."""
    if options["batch_size"] > n_examples:
        raise OptionError("--batch-size must be at most the number of training examples, "
                          f"{n_examples}; got {options['batch_size']}.")
    for name in ("warm_up", "measure_gradients"):
        if (options.get(name) or 0) > n_steps:
            raise OptionError(f"--{name.replace('_', '-')} must be at most the steps of the run, "
                              f"{n_steps}; got {options[name]}.")


class RecurrentRun(Run):
    """A run over the sequences of a task, counted in windows, measured in the task's own units."""

    score = "{:.4g}"

    def make(self, xp):
        """Make everything that the options say."""
        options = self.options
        self.task = task = self.job.task(options)
        self.network = fuse(self.job.build(task, options).to(xp))
        self.training = RecurrentTraining(self.network, task, options["updates"])
        self.columns = tuple(self.training.history)
        self.sees = recurrent.sees(options, task)
        self.meaning = recurrent.METHODS[options["method"]]
        self.data, self.notes, T = task.data(), task.notes, options.get("window")
        self.length = (f"{options['updates']} updates, "
                       f"{f'windows of {T} steps' if T else 'whole sequences'}, batches of "
                       f"{options['batch_size']}, the network moves "
                       f"{'after each window' if options['each_window'] else 'once per sequence'}")

    def is_within(self):
        """Tell whether the training is at a place of its own run."""
        training = self.training
        return len(training.history["update"]) <= training.evaluations

    def description(self):
        """Describe the network: a line for each module, with its interfaces."""
        for module in self.network.modules:
            parts = [f"  {module.block!r}"]
            if module.synthesizer is not None:
                parts.append(f"interface above: {module.synthesizer!r}")
            if module.boundary is not None:
                parts.append(f"boundary in time: {module.boundary.synthesizer!r}")
            yield ", ".join(parts)
        yield f"  {self.network.n_parameters():,} parameters"

    def pictures(self, path):
        """Return {path: function that draws}: the first measure of the task."""
        window = f", T = {self.options['window']}" if "window" in self.options else ""
        return {path: lambda: self.curve("update", self.task.measures[0], window, self.job.unit)}
