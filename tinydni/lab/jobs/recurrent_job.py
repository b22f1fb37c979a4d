"""A training job on sequences: as any job, but counted in windows and measured in its own units."""

import argparse
from functools import cached_property

from tinydni import backend
from tinydni.lab.jobs import arguments
from tinydni.lab.jobs import recurrent_methods as methods
from tinydni.lab.jobs.job import Job, Run
from tinydni.lab.recurrent_training import RecurrentTraining

COMMON = {"seed": 0, "backend": "numpy", "quick": False, "each_window": False}
QUICK = 300         # updates of --quick


class RecurrentJob(Job):
    """A job of `tinydni train` with a recurrent network.

    Job(name, meaning, defaults, task, scores, show), where
    task: function (options) -> SequenceTask    scores: function (history, network, task) -> named results
    show: function (network, task) that prints what the trained network does    unit: of the first measure
    """

    offered = tuple(methods.METHODS)        # the methods that make sense
    left_out = ()                           # options that do not
    build = staticmethod(methods.build)     # function (task, options) -> network

    def add_arguments(self, parser):
        """Adds the options of this job to an argparse parser."""
        add = adder(parser.add_argument_group("what to train"), self.defaults, self.left_out)
        add("--method", "; ".join(f"{name}: {methods.METHODS[name]}" for name in self.offered), choices=self.offered)
        add("--window", "steps that are backpropagated through", type=arguments.whole(1), metavar="T")
        add("--scale", "factor of the synthetic gradient", type=arguments.share, metavar="G")
        add("--synthesizer", "form of the synthesizers", choices=("linear", "mlp"))
        add("--aux", "a second head of the synthesizer foretells the next boundary's gradient", action="store_const", const=True)
        add("--each-window", "update after every window, or once per sequence with the sum of its windows",
            action=argparse.BooleanOptionalAction)
        add("--layers", "LSTM layers; with dni and cdni decoupled in depth, too", type=arguments.whole(1))
        add("--width", "width of each", type=arguments.whole(1))
        add("--updates", "windows to learn from", type=arguments.whole(1))
        add("--batch-size", "sequences at a time", type=arguments.whole(2))
        add("--lr", "learning rate of the network", type=arguments.rate)
        add("--synthesizer-lr", "learning rate of the synthesizers", type=arguments.rate)
        add("--seed", "of all random numbers", type=arguments.whole(0))
        add("--backend", "where to compute", choices=backend.NAMES)
        add("--quick", f"{QUICK} updates, only to see that everything works", action="store_const", const=True)
        self.extra(parser)
        arguments.add_output_arguments(parser)
        parser.set_defaults(timeline=None)      # of workers, which these jobs have not

    def main(self, given):
        """Runs the job for the command line, from parsed arguments. Returns the exit code."""
        return self.train(given)

    def options(self, given):
        """The full options of a run: what was given, then the job's defaults, then the method's recipe."""
        options = {name: value for name, value in given.items() if name not in arguments.OUTPUTS and value is not None}
        options = {"method": self.defaults["method"], **options}
        filled = methods.recipe(options)
        used = {name: value for name, value in self.defaults.items()
                if name not in methods.RECIPE or name in filled}
        if options["method"] == "backprop":
            used.pop("window", None)
        options = {**COMMON, **filled, **used, **options}
        if options["quick"]:
            options["updates"] = QUICK
        return options

    def run(self, options):
        """A fresh run with full options."""
        return RecurrentRun(self, options)


def adder(group, defaults, left_out):
    """A function that adds an option with its default in the help; the value stays None where nothing is said."""
    def add(name, text, **kwargs):
        option = name.lstrip("-").replace("-", "_")
        if name in left_out:
            group.set_defaults(**{option: None})
            return
        default = {**COMMON, **methods.RECIPE, **defaults}.get(option)
        group.add_argument(name, help=text + (f" (default {default})" if default is not None else ""), **kwargs)
    return add


def described(module):
    """A recurrent module in a line: its block and its interfaces."""
    parts = [f"  {module.block!r}"]
    if module.synthesizer is not None:
        parts.append(f"interface above: {module.synthesizer!r}")
    if module.boundary is not None:
        parts.append(f"boundary in time: {module.boundary.synthesizer!r}")
    return ", ".join(parts)


class RecurrentRun(Run):
    """One run of a RecurrentJob with full options: network, training, result."""

    def __init__(self, job, options):
        self.job, self.options = job, options
        xp = backend.get(options["backend"])
        self.task = job.task(options)
        self.network = job.build(self.task, options).to(xp)
        self.training = RecurrentTraining(self.network, self.task, options["updates"])
        self.seconds = 0.0

    @cached_property
    def scores(self):
        """The named results of the finished run."""
        return self.job.scores(self.training.history, self.network, self.task)

    def result(self):
        """The result as `--json` writes it."""
        options = {name: value for name, value in self.options.items() if name not in ("method", "seed", "backend")}
        return {"experiment": self.job.name, "method": self.options["method"], "options": options,
                "seed": self.options["seed"], "backend": self.options["backend"],
                "sees": list(methods.sees(self.options, self.task)), "notes": list(self.task.notes),
                "seconds": round(self.seconds, 3), "history": self.training.history,
                **self.scores}

    def head(self):
        """What is about to be trained, in a few lines."""
        options, seen = self.options, " and ".join(methods.sees(self.options, self.task))
        window = f"windows of {options['window']} steps" if "window" in options else "whole sequences"
        update = "after each window" if options["each_window"] else "once per sequence"
        return "\n".join([*self.task.notes, "", *map(described, self.network.modules),
                          f"  {self.network.n_parameters():,} parameters", "",
                          f"{self.job.name}, {options['method']}: {methods.METHODS[options['method']]}"
                          + (f". In training the synthesizers see {seen}; in use they are gone." if seen else "."),
                          f"{options['updates']} updates, {window}, batches of {options['batch_size']}, "
                          f"the network moves {update}, seed {options['seed']}, {options['backend']}."])

    def table(self, result):
        """The learning curve and the scores, as text."""
        history = self.training.history
        names = list(history)
        rows = list(zip(*history.values()))
        shown = rows if len(rows) <= 12 else [rows[round(i * (len(rows) - 1) / 9)] for i in range(10)]
        widths = [max(len(name), 9) for name in names]
        lines = ["  ".join(name.replace("_", " ").rjust(width) for name, width in zip(names, widths))]
        lines += ["  ".join((f"{value:.4f}" if isinstance(value, float) else str(value)).rjust(width)
                            for value, width in zip(row, widths)) for row in shown]
        scores = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in self.scores.items())
        return "\n".join([*lines, "", f"{scores}, after {self.seconds:.0f} s."])

    def figure(self, path):
        """Draws the learning curve. Returns the paths."""
        from tinydni.plots import learning_curve, save
        history, measure = self.training.history, self.task.measures[0]
        window = f", T = {self.options['window']}" if "window" in self.options else ""
        title = f"{self.job.name}: {self.options['method']}{window}"
        save(learning_curve({self.options["method"]: (history["update"], history[measure])}, title=title,
                            xlabel="update", ylabel=self.job.unit), path)
        return [path]
