"""A training job: from options to a trained network and its report, through interruption and resumption."""

import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tinydni import backend
from tinydni.lab import files
from tinydni.lab.callbacks import Checkpoints, Progress, stop_on_interrupt
from tinydni.gpu import CapturedStep, check_can_be_captured, fuse
from tinydni.lab.gradient_quality import measure_gradients
from tinydni.lab.jobs import arguments, methods
from tinydni.lab.jobs import in_workers as workers
from tinydni.lab.files import check_folder, write_json
from tinydni.optimizers import LinearDecay
from tinydni.plots.summary import summary
from tinydni.training import Training

QUICK = (6400, 1000)        # training and held-out examples of --quick


@dataclass
class Task:
    """What differs between jobs: the data, the network, and how to measure it.

    dataset: see tinydni.datasets    blocks: fresh layers, bottom to top    loss: for the top
    error: function (prediction, target) -> percent wrong
    cuts: blocks with an interface above them, counted from 1; None: all
    schedule: function (number of steps) -> factor of the learning rates by step
    synthesizer_schedule: the same for those of the synthesizers, if theirs differs
    augment: see Training    held_out: one in so many training examples is held out by --validation
    """

    dataset: object
    blocks: list
    loss: object
    error: callable
    cuts: list | None = None
    schedule: callable = LinearDecay
    synthesizer_schedule: callable = None
    augment: callable = None
    held_out: int = 6


@dataclass
class Job:
    """A job of `tinydni train`.

    name, meaning: for the command line    defaults: of the options
    task: function (options) -> Task    scores: function (train error, held-out error, held_out) -> named results
    show: function (network, task) that prints a few predictions after training
    unit: of what is counted as wrong    extra: function (parser) that adds options of this job alone
    variants: other defaults for a value of --model    apart: whether workers can run it
    """

    name: str
    meaning: str
    defaults: dict
    task: callable
    scores: callable
    show: callable
    unit: str = "of the images"
    extra: callable = lambda parser: None
    variants: dict = field(default_factory=dict)
    apart: bool = True

    def add_arguments(self, parser):
        """Adds the options of this job to an argparse parser."""
        self.extra(parser)
        arguments.add_training_arguments(parser, self.defaults)

    def options(self, given):
        """The full options of a run; `given` maps their names to values, None where nothing was said."""
        if not self.apart and (given.get("workers") or given.get("transport")):
            raise arguments.OptionError(f"'train {self.name}' changes its images at random in every step, which workers do not; "
                                        "leave out --workers and --transport.")
        return arguments.training_options(given, {**self.defaults, **self.variants.get(given.get("model"), {})})

    def run(self, options):
        """A fresh run with full options."""
        return Run(self, options)

    def main(self, given):
        """Runs the job for the command line, from parsed arguments. Returns the exit code."""
        return workers.main(self, given)

    def train(self, given):
        """Trains, or goes on, and reports. Returns the exit code."""
        figure = given.figure or f"{self.name}-{given.method or self.defaults['method']}.png"
        check_outputs({"figure": figure, "timeline": given.timeline}, given.json, given.save)
        run = self.resumed(given) if given.resume else self.run(self.options(vars(given)))
        print(run.head(), flush=True)
        if given.timeline:
            workers.draw_timelines(self, run.options, given.timeline)
        save = given.save or given.resume
        run.train(given.quiet, save)
        if not run.training.finished:
            save = save or f"{self.name}-{run.options['method']}.npz"
            run.save(save)
            print(f"\nStopped in {run.training.place()}; what was learned is in {save}.\n"
                  f"Go on with: {workers.command(run.options, f'train {self.name} --resume {save}')}")
            return 130
        result = run.result()
        print(run.table(result))
        self.show(run.network, run.task)
        figures = run.figure(figure)
        if given.json:
            write_json(given.json, result)
        print("Wrote " + ", ".join(str(path) for path in (*figures, given.timeline, given.json, save) if path) + ".")
        return 0

    def resumed(self, given):
        """The run that was saved in the file of --resume, at the point where it stopped."""
        state, info = files.load(given.resume)
        if not isinstance(info, dict) or info.get("experiment") != self.name:
            raise arguments.OptionError(f"{given.resume} does not hold a run of 'train {self.name}'.")
        arguments.same_options(vars(given), info["options"], given.resume)
        run = self.run(info["options"])
        run.network.load_state(state)
        run.training.go_to(info["position"])
        run.seconds = info["seconds"]
        return run


def check_outputs(pictures, *files):
    """Raises, before a long run and not after it, where a result could not be written. pictures: {option: path or None}"""
    from tinydni.plots import check_path
    for option, path in pictures.items():
        try:
            if path:
                check_path(path)
        except ValueError as error:
            raise arguments.OptionError(f"--{option}: {error}") from None
    for path in files:
        if path:
            check_folder(path)


def context(dataset, options):
    """The array that the synthesizers see beside h for the training part, or None."""
    return {"labels": dataset.context, "input": lambda: dataset.x}.get(options.get("context"), lambda: None)()


def capturing(network, *args, **options):
    """The Training of a network whose step is captured. Raises OptionError where it cannot be."""
    try:
        check_can_be_captured(network)
    except ValueError as error:
        raise arguments.OptionError(f"--capture: {error}") from None
    return Training(network, *args, step=CapturedStep(network), **options)


class Run:
    """One run of a job with full options: network, training, result.

    seconds: time spent in training so far, earlier parts of a resumed run included [s]
    """

    def __init__(self, job, options):
        self.job, self.options = job, options
        xp = backend.get(options["backend"])
        self.task = job.task(options)
        dataset = self.task.dataset
        if options["validation"]:
            dataset = dataset.with_validation(len(dataset.x) // self.task.held_out)
        if options["quick"]:
            n, m = QUICK
            dataset = replace(dataset, x=dataset.x[:n], y=dataset.y[:n], x_test=dataset.x_test[:m],
                              y_test=dataset.y_test[:m])
        if options["batch_size"] > len(dataset.x):
            raise arguments.OptionError(f"--batch-size must be at most the number of training examples, {len(dataset.x)}; "
                                        f"got {options['batch_size']}.")
        build = lambda options: fuse(methods.build(self.task, dataset, options).to(xp))
        if options.get("workers"):
            options = self.options = workers.with_cuts(options, build, dataset, context(dataset, options))
        self.network = build(options)
        n_steps, task = max(1, options["epochs"] * (len(dataset.x) // options["batch_size"])), self.task
        make = partial(workers.training, options) if options.get("workers") else Training
        if options.get("capture"):
            make = capturing
        self.training = make(self.network, dataset, options["epochs"], options["batch_size"], options["seed"],
                             task.schedule(n_steps), task.error, context(dataset, options),
                             task.synthesizer_schedule and task.synthesizer_schedule(n_steps), task.augment)
        if options.get("measure_gradients"):
            measure_gradients(self.training, None if options["measure_gradients"] is True else options["measure_gradients"])
        self.seconds = 0.0

    def train(self, quiet=False, save=None):
        """Trains to the end, or to Ctrl-C. With `save`, the run is written there after every epoch."""
        progress = Progress(self.training, quiet)
        watchers = [progress, self.clock()] + ([Checkpoints(lambda: self.save(save))] if save else [])
        try:
            with stop_on_interrupt(self.training):
                self.training.run(watchers)
        finally:
            progress.close()
        return self

    def clock(self):
        """A callback that keeps `seconds`."""
        before, start = self.seconds, time.perf_counter()

        def tick(training):
            self.seconds = before + time.perf_counter() - start
        return tick

    def save(self, path):
        """Writes everything that is needed to go on."""
        files.save(path, self.network.state(), {
            "experiment": self.job.name, "options": self.options, "seconds": self.seconds,
            "position": self.training.position()})

    def result(self):
        """The result as `--json` writes it."""
        training, held_out = self.training, self.training.dataset.held_out
        options = {name: value for name, value in self.options.items() if name not in ("method", "seed", "backend")}
        return {"experiment": self.job.name, "method": self.options["method"], "options": options,
                "seed": self.options["seed"], "backend": self.options["backend"], "sees": list(methods.sees(self.options)),
                "notes": list(training.dataset.notes), "seconds": round(self.seconds, 3), "history": training.history,
                **self.job.scores(training.train_error(), training.history[f"{held_out}_error"][-1], held_out),
                **workers.report(self.options, training)}

    def head(self):
        """What is about to be trained, in a few lines."""
        options = self.options
        sees = " and ".join(methods.sees(options))
        return "\n".join([*self.training.dataset.notes, "", summary(self.network, self.training.dataset.x.shape[1:]), "",
                          f"{self.job.name}, {options['method']}: {methods.METHODS[options['method']].meaning}"
                          + (f". In training the synthesizers see {sees}; in use they are gone." if sees else "."),
                          f"{options['epochs']} epoch{'s' * (options['epochs'] > 1)} of batches of {options['batch_size']}, seed {options['seed']}, "
                          f"{options['backend']}."])

    def table(self, result):
        """The learning curve and the scores, as text."""
        history, held_out = self.training.history, self.training.dataset.held_out
        rows = list(zip(history["epoch"], history["train_loss"], history[f"{held_out}_error"]))
        shown = rows if len(rows) <= 12 else [rows[round(i * (len(rows) - 1) / 9)] for i in range(10)]
        lines = [f"epoch  train loss  {held_out} error %"]
        lines += [f"{epoch:5d}  {loss:10.4f}  {error:{len(held_out) + 8}.2f}" for epoch, loss, error in shown]
        scores = ", ".join(f"{name.replace('_', ' ')} {value:.2f} %" for name, value in result.items()
                           if name.endswith(("_error", "_accuracy")))
        return "\n".join([*lines, "", f"{scores}, after {self.seconds:.0f} s."])

    def figure(self, path):
        """Draws the learning curve, and the cosines at the interfaces if they were measured. Returns the paths."""
        from tinydni.plots import learning_curve, save
        history, held_out = self.training.history, self.training.dataset.held_out
        title = f"{self.job.name}: {self.options['method']}, {self.options['layers']} layers"
        save(learning_curve({self.options["method"]: (history["epoch"], history[f"{held_out}_error"])}, title=title,
                            xlabel="epoch", ylabel=f"{held_out} error [% {self.job.unit}]"), path)
        if "gradients" not in history:
            return [path]
        cosines = {f"interface {i}": (history["gradients_at"], [found["cosine"] or 0.0 for found in column])
                   for i, column in enumerate(zip(*history["gradients"]), 1)}
        beside = Path(path).with_stem(Path(path).stem + "-gradients")
        save(learning_curve(cosines, title=f"{title}: synthetic beside true gradient", xlabel="epoch",
                            ylabel="batch cosine"), beside)
        return [path, beside]
