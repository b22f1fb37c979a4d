"""The commands. No logic of their own: each names a function of the library and hands it the arguments."""

import argparse
import os
import sys

from threadpoolctl import threadpool_limits

from tinydni import __version__, backend, datasets, training
from tinydni.lab import files
from tinydni.lab import doctor
from tinydni.lab.benchmarks import command as bench
from tinydni.lab.benchmarks import simulate as bench_simulate
from tinydni.lab.benchmarks import workers as bench_workers
from tinydni.classroom import command as classroom
from tinydni.classroom.assignment import AssignmentError
from tinydni.lab.jobs import addition, cifar10, copy_task, digits, mnist, recall, repeat_copy, text, two_rnn
from tinydni.lab.jobs.arguments import OptionError
from tinydni.lab.cytometry import calibrate
from tinydni.lab.cytometry import train_cytometry as cytometry
from tinydni.lab.tables import everything
from tinydni.gradcheck import check_command as check

# A sentence for the user; anything else is a bug and shows where.
EXPECTED = (OptionError, AssignmentError, backend.BackendError, files.CheckpointError, datasets.DataError,
            training.DivergedError, FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError,
            PermissionError)

OWN_BENCHMARKS = (bench_workers, bench_simulate)        # those with options of their own, beside the workloads of bench


def parser():
    """The parser of all commands; `main` of the parsed arguments is the function to call."""
    top = argparse.ArgumentParser(prog="tinydni", description="Neural networks that learn without waiting for "
                                  "backpropagation: every layer by hand, on NumPy or CuPy.")
    top.add_argument("--version", action="version", version=f"tinydni {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    jobs = commands.add_parser("train", help="train a network").add_subparsers(required=True, metavar="JOB")
    for job in (addition.JOB, digits.JOB, mnist.JOB, cifar10.JOB, recall.JOB, copy_task.JOB, repeat_copy.JOB, text.JOB,
                two_rnn.JOB):
        add(jobs, job.name, job.meaning, job)
    add(jobs, cytometry.name, cytometry.meaning, cytometry)

    tables = commands.add_parser("reproduce", help="print a table of a paper beside ours")
    tables = tables.add_subparsers(required=True, metavar="TABLE")
    for table in (*everything.TABLES, everything):
        add(tables, table.name, table.meaning, table)

    add(commands, calibrate.name, calibrate.meaning, calibrate)
    add(commands, "bench", bench.MEANING, bench)
    for benchmark in OWN_BENCHMARKS:
        add(commands, f"bench {benchmark.name}", benchmark.meaning, benchmark)
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
    command.set_defaults(main=target.main, parser=command)


def two_words_joined(words):
    """The words of a command line, with a command of two words, such as "bench workers", as one."""
    two = " ".join(words[:2])
    return [two, *words[2:]] if two in [f"bench {benchmark.name}" for benchmark in OWN_BENCHMARKS] else words


def main(argv=None):
    """Runs the command line. Returns the exit code: 0 done, 1 a failed check, 2 wrong use, 130 interrupted."""
    arguments, unknown = parser().parse_known_args(two_words_joined(sys.argv[1:] if argv is None else argv))
    command = vars(arguments).pop("parser")
    if unknown:                         # argparse itself would show the usage of `tinydni`, which names no option
        command.error(f"unrecognized arguments: {' '.join(unknown)}; see {command.prog} --help")
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
