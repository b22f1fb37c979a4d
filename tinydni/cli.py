"""The commands. No logic of their own: each names a function of the library and hands it the arguments."""

import argparse
import os
import sys

from threadpoolctl import threadpool_limits

from tinydni import __version__, backend, checkpoint, datasets, doctor, training
from tinydni.benchmarks import command as bench
from tinydni.classroom import command as classroom
from tinydni.classroom.assignment import AssignmentError
from tinydni.experiments import addition, cifar10, copy_task, digits, mnist, recall, repeat_copy, text, two_rnn
from tinydni.experiments.arguments import OptionError
from tinydni.experiments.cytometry import calibrate
from tinydni.experiments.cytometry import reproduce as cytometry_table
from tinydni.experiments.cytometry import train as cytometry
from tinydni.experiments.tables import bp_lambda, cifar10 as cifar10_table, controls, mnist_fcn, recurrent, unlock, updates, vfbn
from tinydni.gradcheck import command as check

EXPECTED = (OptionError, AssignmentError, backend.BackendError, checkpoint.CheckpointError, datasets.DataError,
            training.DivergedError, FileNotFoundError, FileExistsError, PermissionError)      # a sentence for the user; anything else is a bug and shows where


def parser():
    """The parser of all commands; `main` of the parsed arguments is the function to call."""
    top = argparse.ArgumentParser(prog="tinydni", description="Neural networks that learn without waiting for "
                                  "backpropagation: every layer by hand, on NumPy or CuPy.")
    top.add_argument("--version", action="version", version=f"tinydni {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    jobs = commands.add_parser("train", help="train a network").add_subparsers(required=True, metavar="JOB")
    for job in (addition.JOB, digits.JOB, mnist.JOB, cifar10.JOB, recall.JOB, copy_task.JOB, repeat_copy.JOB, text.JOB, two_rnn.JOB):
        add(jobs, job.name, job.meaning, job)
    add(jobs, cytometry.name, cytometry.meaning, cytometry)

    tables = commands.add_parser("reproduce", help="print a table of a paper beside ours")
    tables = tables.add_subparsers(required=True, metavar="TABLE")
    for table in (*(module.TABLE for module in (mnist_fcn, updates, unlock, bp_lambda, controls, vfbn, cifar10_table)), *recurrent.TABLES):
        add(tables, table.name, table.meaning, table)
    add(tables, cytometry_table.name, cytometry_table.meaning, cytometry_table)

    add(commands, calibrate.name, calibrate.meaning, calibrate)
    add(commands, "bench", bench.MEANING, bench)
    add(commands, "check", "check the gradients of a layer or a loss in a file", check)
    tasks = commands.add_parser("assignment", help="hand out, check and grade the tasks of the course")
    tasks = tasks.add_subparsers(required=True, metavar="ACTION")
    for action, meaning, target in classroom.COMMANDS:
        add(tasks, action, meaning, target)
    add(commands, "doctor", "tell what works on this machine, and why not", doctor)
    return top


def add(commands, name, meaning, target):
    """Adds one command: `target` has add_arguments(parser) and main(arguments) -> exit code."""
    command = commands.add_parser(name, help=meaning, description=meaning)
    target.add_arguments(command)
    command.set_defaults(main=target.main)


def main(argv=None):
    """Runs the command line. Returns the exit code: 0 done, 1 a failed check, 2 wrong use, 130 interrupted."""
    arguments = parser().parse_args(argv)
    try:
        # Two threads that share one busy core wait for each other: small products then take many times as long.
        with threadpool_limits(getattr(arguments, "threads", 1)):
            return arguments.main(arguments)
    except EXPECTED as error:
        print(f"tinydni: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:             # whoever read the output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("\ntinydni: interrupted", file=sys.stderr)
        return 130
