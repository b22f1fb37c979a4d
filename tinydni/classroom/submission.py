"""A student's file, cut into its tasks. It is read as text here and never parsed or run."""

from __future__ import annotations

import re

from tinydni.classroom import cells
from tinydni.classroom.assignment import Assignment, Task


class SubmissionError(Exception):
    """A file, or a part of it, is not what was released."""


class Submission:
    """The text of one student. What is wrong with it is raised when a task asks for its part.

    file: its name    data: its bytes    assignment: what it is a solution of
    """

    def __init__(self, file: str, data: bytes, assignment: Assignment):
        self.file, self.assignment = file, assignment
        self.problem: SubmissionError | None = None
        self.sections: dict[str, cells.Section] = {}
        self.prelude, self.whole, self.lines = "", "", 1
        read = cells.read_notebook if file.lower().endswith(".ipynb") else cells.read_percent
        try:
            found = read(text_of(file, data))
        except SubmissionError as error:
            self.problem = error
            return
        except ValueError as error:
            self.problem = SubmissionError(f"{file}: {error}")
            return
        sections = cells.sections(found, self.is_known)
        for section in sections:
            self.sections.setdefault(section.heading.partition(" ")[0], section)
        self.prelude = sections[0].code()
        self.whole = cells.Section("", found).code()
        self.lines = self.whole.count("\n") + 1

    def is_known(self, heading: str) -> bool:
        """Whether a heading is one of the assignment's; a student's own cuts no task in two."""
        return (heading.partition(" ")[0] in (task.name for task in self.assignment.tasks)
                or heading in (section.heading for section in self.assignment.ending))

    def section(self, task: Task) -> str:
        """Return the source text of a task: what stands under its heading, or the whole file."""
        if self.problem:
            raise self.problem
        if task.name in self.sections:
            return self.sections[task.name].code()
        if not re.search(rf"\b{task.target}\b", self.whole):
            raise SubmissionError(f'{self.file} has no heading "## {task.name} ..." and no '
                                  f"{task.target} any more")
        return self.whole

    def notes(self, task: Task) -> list[str]:
        """Return which references the section of a task goes on with."""
        if self.problem:
            return []
        if task.name not in self.sections:
            return [f'the heading "## {task.name} ..." is gone; the whole file was read']
        code = self.sections[task.name].code()
        return [f"goes on with the reference for {earlier.name}" for earlier in task.earlier
                if re.search(rf"use_reference\(\s*[\"']{re.escape(earlier.name)}[\"']", code)]


def text_of(file: str, data: bytes) -> str:
    """Return the text of a file. Raise SubmissionError where it is none."""
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in data and not wide:
        raise SubmissionError(f"{file} is not Python: it holds zero bytes")
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1252"):      # an editor of Windows
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            pass
    raise SubmissionError(f"{file} is not Python: it is no text")
