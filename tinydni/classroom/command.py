"""The commands `tinydni assignment list | release | check | grade`."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tinydni.classroom import assignment as assignments
from tinydni.classroom import files, grade, pages, progress, release, results, sandbox
from tinydni.classroom.collect import Unclear, solution_file
from tinydni.classroom.similar import similar
from tinydni.classroom.solution import CPU, MEMORY, WALL
from tinydni.classroom.submission import Submission


def list_all(_: Any) -> int:
    """Print a line for each assignment and each task."""
    for name in assignments.names():
        found = assignments.load(name)
        print(f"{name} {found.title} ({found.points} points)")
        for task in found.tasks:
            print(f"  {task.name} {task.title} ({task.points})")
    return 0


def write_released(arguments: Any) -> int:
    """Write what students get, and print the names of the files."""
    found = assignments.load(arguments.assignment)
    write = release.write_files if arguments.format == "files" else release.write_course
    for path in write(found, arguments.out):
        print(path)
    return 0


def check_own(arguments: Any) -> int:
    """Print what is wrong with tasks in the student's folder."""
    return 0 if progress.check(arguments.task) else 1


def grade_all(arguments: Any) -> int:
    """Grade, and write what is asked for. Return 1 where a submission was not graded."""
    out = Path(arguments.out)
    if out.suffix != ".csv":
        raise assignments.AssignmentError(f"--out must end in .csv; got {out}.")
    found = assignments.load(arguments.assignment)
    roster = results.read_table(arguments.roster) if arguments.roster else []
    remarks = results.read_table(arguments.remarks) if arguments.remarks else []
    isolation = sandbox.choose(arguments.isolation, arguments.image)
    print(f"Isolation: {isolation.meaning}.")
    secret = (grade.secret_of(arguments.secret) if arguments.secret
              else grade.own_secret(out.with_suffix(".secret")))
    graded = grade.grade(found, arguments.submissions, out.with_suffix(".json"), secret,
                         isolation, arguments.jobs, cpu=arguments.cpu, wall=arguments.wall,
                         memory=arguments.memory)
    if arguments.deadline:
        for handed, result in graded:
            results.add_lateness(result, handed.time, arguments.deadline, arguments.late)
    everyone = results.add_roster([result for _, result in graded], roster)
    results.add_remarks(everyone, remarks, found)
    files.write_rows(out, results.table(found, everyone))
    print(f"wrote {out}")
    if arguments.canvas:
        files.write_rows(arguments.canvas, results.canvas(found, everyone, roster))
    if arguments.moodle:
        files.write_rows(arguments.moodle, results.moodle(found, everyone))
    if arguments.gradescope:
        if len(graded) != 1:
            raise assignments.AssignmentError("--gradescope takes one submission at a time; "
                                              f"got {len(graded)}.")
        files.write_json(arguments.gradescope, results.gradescope(everyone[0]))
    if arguments.anonymous:
        path = out.with_suffix(".codes.csv")
        files.write_rows(path, [["code", "student"], *([each.code(secret), each.student]
                                                       for each in everyone)])
        print(f"wrote {path}, which says whose code is whose")
    pairs = print_similar(found, graded) if arguments.similar else None
    if arguments.report:
        pages.write_pages(found, everyone, arguments.report, isolation.meaning, pairs, secret,
                          arguments.anonymous)
        print(f"wrote {Path(arguments.report) / 'index.html'}")
    return 1 if any(result.problem for _, result in graded) else 0


def print_similar(found: Any, graded: list) -> list[tuple[float, str, str]]:
    """Print the pairs of submissions that are the same up to names, and return them."""
    texts = {}
    for handed, _ in graded:
        try:
            file, _ = solution_file(handed, found)
            texts[handed.student] = Submission(file.name, file.read(), found)
        except Unclear:
            pass
    pairs = similar(texts, found)
    for share, one, other in pairs[:20]:
        print(f"similar: {one} and {other}, {100 * share:.0f} %")
    if len(pairs) > 20:
        print(f"and {len(pairs) - 20} pairs more, see the report")
    return pairs


def whole(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it must be a whole number of at least 1; got {text!r}")
    return int(text)


def moment(text: str) -> datetime:
    """Return a date with or without a time, in the zone of this machine unless it names one."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"it must be a time such as 2026-01-31T23:59; got {text!r}") from None


def release_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tinydni assignment release`."""
    add = parser.add_argument
    add("assignment", metavar="NAME", help="such as A1; see tinydni assignment list")
    add("--out", required=True, metavar="FOLDER", help="a new folder")
    add("--format", choices=["files", "nbgrader"], default="files",
        help="files to edit and check (default), or a course for nbgrader")


def grade_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tinydni assignment grade`."""
    add = parser.add_argument
    add("assignment", metavar="NAME", help="such as A1")
    add("submissions", metavar="SUBMISSIONS",
        help="a folder that holds a folder, a zip or a file per student")
    add("--out", required=True, metavar="FILE.csv", help="the table of grades")
    add("--secret", metavar="FILE",
        help="a text that only you know, from which all values are drawn (default: FILE.secret "
             "beside the table, made when it is not there)")
    add("--isolation", choices=sandbox.CHOICES,
        help="what keeps the students' code in (default: bubblewrap, or else a container); none "
             "keeps nothing")
    add("--image", default=sandbox.IMAGE, help=f"of the container (default {sandbox.IMAGE})")
    add("--report", metavar="FOLDER", help="write a page per student and a summary here")
    add("--anonymous", action="store_true", help="codes stand for the names on the pages")
    add("--similar", action="store_true", help="list pairs that are the same up to names")
    add("--roster", metavar="FILE.csv",
        help="all students: an export of Canvas or Moodle, or a table with names")
    add("--remarks", metavar="FILE.csv",
        help="your remarks and changed points: columns student, task, points, remark")
    add("--deadline", type=moment, metavar="TIME", help="such as 2026-01-31T23:59")
    add("--late", type=float, default=0, metavar="PERCENT",
        help="of the points, for each day after the deadline that has begun (default 0)")
    add("--canvas", metavar="FILE.csv", help="write what Canvas imports")
    add("--moodle", metavar="FILE.csv", help="write what Moodle imports")
    add("--gradescope", metavar="FILE.json",
        help="write the result of the one submission for Gradescope")
    add("--jobs", type=whole, default=2, metavar="N", help="submissions at a time (default 2)")
    add("--cpu", type=whole, default=CPU, metavar="S",
        help=f"seconds of computing per task (default {CPU})")
    add("--wall", type=whole, default=WALL, metavar="S",
        help=f"seconds by the clock per task (default {WALL})")
    add("--memory", type=whole, default=MEMORY, metavar="MIB",
        help=f"memory per task (default {MEMORY} MiB)")


def check_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tinydni assignment check`."""
    parser.add_argument("task", metavar="TASK", help="such as A1.2, or A1 for all of its tasks")


COMMANDS = [(name, meaning, SimpleNamespace(main=main, add_arguments=options))
            for name, meaning, main, options in (
    ("list", "name the assignments and their tasks", list_all, lambda parser: None),
    ("release", "write what students get: stubs, statements, checks", write_released,
     release_options),
    ("check", "check a task in the folder you are in", check_own, check_options),
    ("grade", "grade a folder of submissions", grade_all, grade_options))]
