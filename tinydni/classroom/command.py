"""The commands `tinydni assignment list | release | check | grade`."""

import argparse
from pathlib import Path

from tinydni.classroom import assignment as assignments
from tinydni.classroom import nbgrader_form, progress, release


class List:
    """Names the assignments and their tasks."""

    @staticmethod
    def add_arguments(parser):
        pass

    @staticmethod
    def main(arguments):
        for name in assignments.names():
            found = assignments.load(name)
            print(f"{name} {found.title} ({found.points} points)")
            for task in found.tasks:
                print(f"  {task.name} {task.title} ({task.points})")
        return 0


class Release:
    """Writes what students get."""

    @staticmethod
    def add_arguments(parser):
        parser.add_argument("assignment", metavar="NAME", help="such as A1; see tinydni assignment list")
        parser.add_argument("--out", required=True, metavar="FOLDER", help="a new folder")
        parser.add_argument("--format", choices=["files", "nbgrader"], default="files",
                            help="files to edit and check (default), or a course folder for nbgrader")

    @staticmethod
    def main(arguments):
        found = assignments.load(arguments.assignment)
        write = nbgrader_form.write_course if arguments.format == "nbgrader" else release.write_files
        for path in write(found, arguments.out):
            print(path)
        return 0


class Check:
    """Checks tasks in the student's folder."""

    @staticmethod
    def add_arguments(parser):
        parser.add_argument("task", metavar="TASK", help="such as A1.2, or A1 for all of its tasks")

    @staticmethod
    def main(arguments):
        return 0 if progress.check(arguments.task) else 1


class Grade:
    """Grades a folder of submissions."""

    @staticmethod
    def add_arguments(parser):
        from tinydni.classroom.process import CPU, MEMORY, WALL
        parser.add_argument("assignment", metavar="NAME", help="such as A1")
        parser.add_argument("submissions", metavar="SUBMISSIONS",
                            help="a folder that holds a folder or a zip per student")
        parser.add_argument("--out", required=True, metavar="FILE.csv", help="the table of grades")
        parser.add_argument("--secret", metavar="FILE",
                            help="a text that only you know, from which all values are drawn (default: FILE.secret "
                            "beside the table, made when it is not there)")
        parser.add_argument("--report", metavar="FOLDER", help="write a page per student and a summary here")
        parser.add_argument("--gradescope", metavar="FILE.json",
                            help="write the result of the one submission for Gradescope")
        parser.add_argument("--ignore-checks", action="store_true",
                            help="do not compare the students' checks.py with what was released")
        parser.add_argument("--jobs", type=whole, default=2, metavar="N", help="submissions at a time (default 2)")
        parser.add_argument("--cpu", type=whole, default=CPU, metavar="S",
                            help=f"seconds of computing per task (default {CPU})")
        parser.add_argument("--wall", type=whole, default=WALL, metavar="S",
                            help=f"seconds by the clock per task (default {WALL})")
        parser.add_argument("--memory", type=whole, default=MEMORY, metavar="MIB",
                            help=f"memory per task (default {MEMORY} MiB)")

    @staticmethod
    def main(arguments):
        from tinydni.classroom import grade, gradescope, pages
        found = assignments.load(arguments.assignment)
        if Path(arguments.out).suffix != ".csv":
            raise assignments.AssignmentError(f"--out must end in .csv; got {arguments.out}.")
        secret = (grade.secret_of(arguments.secret) if arguments.secret
                  else grade.own_secret(Path(arguments.out).with_suffix(".secret")))
        graded = grade.grade(found, arguments.submissions, arguments.out, secret, arguments.jobs,
                             not arguments.ignore_checks,
                             cpu=arguments.cpu, wall=arguments.wall, memory=arguments.memory)
        print(f"wrote {arguments.out}")
        if arguments.report:
            pages.write_pages(found, graded, arguments.report)
            print(f"wrote {Path(arguments.report) / 'index.html'}")
        if arguments.gradescope:
            if len(graded) != 1:
                raise assignments.AssignmentError(f"--gradescope takes one submission at a time; got {len(graded)}.")
            gradescope.write_results(next(iter(graded.values())), arguments.gradescope)
        return 0


def whole(text):
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it must be a whole number of at least 1; got {text!r}")
    return int(text)


COMMANDS = (("list", "name the assignments and their tasks", List),
            ("release", "write what students get: stubs, statements, checks", Release),
            ("check", "check a task in the folder you are in", Check),
            ("grade", "grade a folder of submissions", Grade))
