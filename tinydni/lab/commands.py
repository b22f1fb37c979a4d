"""The commands. No logic of their own: each names a part of the library and hands it the words."""

import argparse
import importlib
import re
from types import SimpleNamespace

from threadpoolctl import threadpool_limits

from tinydni import __version__, backend, training

JOBS = ("addition", "digits", "mnist", "cifar10", "recall", "copy_task", "repeat_copy", "text",
        "two_rnn")


def module(path):
    """Import a module of the package: only what a command needs."""
    return importlib.import_module(f"tinydni.{path}")


def jobs():
    """Return the commands of `train`."""
    return [*(module(f"lab.jobs.{name}").JOB for name in JOBS),
            module("lab.cytometry.train_cytometry")]


def tables():
    """Return the commands of `reproduce`."""
    everything = module("lab.tables.everything")
    return [*everything.TABLES, everything]


def tasks():
    """Return the commands of `assignment`."""
    return [SimpleNamespace(name=name, meaning=meaning, add_arguments=target.add_arguments,
                            main=target.main)
            for name, meaning, target in module("classroom.command").COMMANDS]


COMMANDS = {        # command: (meaning, its module), or (meaning, its commands, their name)
    "train": ("train a network", jobs, "JOB"),
    "reproduce": ("print a table of a paper beside ours", tables, "TABLE"),
    "calibrate": ("move a sample of cells onto the distribution of a reference (CSV or FCS files)",
                  "lab.cytometry.calibrate"),
    "course": ("write the notebooks of the course, with the answers left to you", "lab.course"),
    "plot": ("draw the results of several runs, as --json writes them, in one picture",
             "lab.plot_command"),
    "bench": ("time training steps beside PyTorch's and others', with the same weights, in turns",
              "lab.benchmarks.bench_command"),
    "bench workers": ("how fast two workers are: threads, and under mpiexec -n 2 processes, beside "
                      "one loop on one core", "lab.benchmarks.bench_workers"),
    "bench simulate": ("predict the speed of many workers over slow links, from costs measured "
                       "here", "lab.benchmarks.simulate"),
    "gpu-day": ("test, time and train on a GPU for so many minutes, the most important first",
                "lab.benchmarks.gpu_day"),
    "check": ("check the gradients of a layer or a loss in a file", "gradcheck.check_command"),
    "assignment": ("hand out, check and grade the tasks of the course", tasks, "ACTION"),
    "doctor": ("tell what works on this machine, and why not", "lab.doctor"),
}


def expected():
    """Return the errors that are a sentence for the user; anything else is a bug."""
    return (module("lab.jobs.ranges").OptionError, module("classroom.assignment").AssignmentError,
            module("lab.workers").WorkerError, module("lab.workers.transports.mpi").MPIError,
            backend.BackendError, training.DivergedError, OSError, MemoryError)


def parser(wanted=None):
    """Return the parser; `main` of the parsed arguments is the function to call.

    wanted : the only command whose options are there; None, all
    """
    top = argparse.ArgumentParser(prog="tinydni", description="Neural networks that learn without "
                                  "waiting for backpropagation: every layer by hand, on NumPy or "
                                  "CuPy.")
    top.add_argument("--version", action="version", version=f"tinydni {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name, (meaning, where, *metavar) in COMMANDS.items():
        if wanted not in (None, name):
            commands.add_parser(name, help=meaning)
        elif metavar:
            group = commands.add_parser(name, help=meaning).add_subparsers(
                required=True, metavar=metavar[0])
            for target in where():
                add(group, target.name, target.meaning, target)
        else:
            add(commands, name, meaning, module(where))
    return top


def add(commands, name, meaning, target):
    """Add one command: `target` has add_arguments(parser) and main(arguments) -> exit code."""
    command = commands.add_parser(name, help=meaning, description=meaning)
    target.add_arguments(command)
    command.set_defaults(main=target.main, parser=command)


def run(words):
    """Parse the words of a command line and run the command. Return its exit code."""
    if words[:1] == ["bench"] and " ".join(words[:2]) in COMMANDS:
        words = [" ".join(words[:2]), *words[2:]]
    top = parser(words[0] if words else "")
    for word in words:
        if re.fullmatch(r"--[\w-]+=--", word):      # on which argparse of Python 3.11 stumbles
            top.error(f"argument {word[:-3]}: expected one argument")
    arguments, unknown = top.parse_known_args(words)
    command = vars(arguments).pop("parser")
    if unknown:         # argparse itself would show the usage of `tinydni`, which names no option
        command.error(f"unrecognized arguments: {' '.join(unknown)}; see {command.prog} --help")
    # Threads that share one busy core wait for each other: small products take many times as long.
    with threadpool_limits(getattr(arguments, "threads", None) or 1):
        return arguments.main(arguments)
