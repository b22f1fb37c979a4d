"""The commands. No logic of their own: each names a part of the library and hands it the words."""

import argparse
import importlib
import re

from threadpoolctl import threadpool_limits

from tinydni import __version__, backend, training
from tinydni.classroom import command as classroom
from tinydni.classroom.assignment import AssignmentError
from tinydni.gradcheck import check_command as check
from tinydni.lab import course, doctor, plot_command
from tinydni.lab.benchmarks import bench_command as bench
from tinydni.lab.benchmarks import bench_workers as workers
from tinydni.lab.benchmarks import gpu_day, simulate
from tinydni.lab.cytometry import calibrate
from tinydni.lab.cytometry import train_cytometry as cytometry
from tinydni.lab.jobs.ranges import OptionError
from tinydni.lab.tables import everything
from tinydni.lab.workers import WorkerError
from tinydni.lab.workers.transports.mpi import MPIError

# A sentence for the user; anything else is a bug and shows where.
EXPECTED = (OptionError, AssignmentError, WorkerError, MPIError, backend.BackendError,
            training.DivergedError, OSError, MemoryError)

JOBS = (*(importlib.import_module(f"tinydni.lab.jobs.{name}").JOB for name in (
    "addition", "digits", "mnist", "cifar10", "recall", "copy_task", "repeat_copy", "text",
    "two_rnn")), cytometry)
OWN_BENCHMARKS = (workers, simulate)        # with options of their own, beside those of bench


def parser():
    """Return the parser of all commands; `main` of the parsed arguments is the function to call."""
    top = argparse.ArgumentParser(prog="tinydni", description="Neural networks that learn without "
                                  "waiting for backpropagation: every layer by hand, on NumPy or "
                                  "CuPy.")
    top.add_argument("--version", action="version", version=f"tinydni {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    jobs = add_group(commands, "train", "JOB", "train a network")
    tables = add_group(commands, "reproduce", "TABLE", "print a table of a paper beside ours")
    for group, targets in ((jobs, JOBS), (tables, (*everything.TABLES, everything)),
                           (commands, (calibrate, course, gpu_day, plot_command))):
        for target in targets:
            add(group, target.name, target.meaning, target)
    add(commands, "bench", bench.MEANING, bench)
    for benchmark in OWN_BENCHMARKS:
        add(commands, f"bench {benchmark.name}", benchmark.meaning, benchmark)
    add(commands, "check", "check the gradients of a layer or a loss in a file", check)
    tasks = add_group(commands, "assignment", "ACTION",
                      "hand out, check and grade the tasks of the course")
    for action, meaning, target in classroom.COMMANDS:
        add(tasks, action, meaning, target)
    add(commands, "doctor", "tell what works on this machine, and why not", doctor)
    return top


def add_group(commands, name, metavar, meaning):
    """Add a command that has commands of its own."""
    return commands.add_parser(name, help=meaning).add_subparsers(required=True, metavar=metavar)


def add(commands, name, meaning, target):
    """Add one command: `target` has add_arguments(parser) and main(arguments) -> exit code."""
    command = commands.add_parser(name, help=meaning, description=meaning)
    target.add_arguments(command)
    command.set_defaults(main=target.main, parser=command)


def run(words):
    """Parse the words of a command line and run the command. Return its exit code."""
    if " ".join(words[:2]) in [f"bench {benchmark.name}" for benchmark in OWN_BENCHMARKS]:
        words = [" ".join(words[:2]), *words[2:]]
    top = parser()
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
