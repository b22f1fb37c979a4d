"""What was handed in: whose it is, and which of its files is the solution.

The names of Canvas and Moodle are understood, and folders, zips and tars by the same rules. Nothing
is unpacked to the disk, no link is followed, and every size is bounded.
"""

from __future__ import annotations

import io
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath

from tinydni.classroom.assignment import Assignment

MOST_FILES, DEEPEST = 5000, 12
MOST_BYTES, MOST_ARCHIVE = 8 * 2 ** 20, 100 * 2 ** 20
SOURCES = (".py", ".ipynb")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
SKIPPED = {"site-packages", "dist-packages", "node_modules", "__MACOSX", "__pycache__", "venv",
           "env", "Lib"}
CANVAS = re.compile(r"(?P<name>[^_]+)(?P<late>_LATE)?_(?P<id>\d+)_\d+_(?P<file>.+)$")
MOODLE = re.compile(r"(?P<name>[^_]+)(?P<late>)_(?P<id>\d+)_assignsubmission_\w+?_(?P<file>.*)$")


class Unclear(Exception):
    """A submission cannot be read, or it is not clear what of it counts: the instructor decides."""


@dataclass
class Handed:
    """One student's submission.

    student: the name    identity: the number that Canvas or Moodle gives, or ""
    late: whether its name says so    paths: where it lies    system: "canvas", "moodle" or ""
    """

    student: str
    identity: str = ""
    late: bool = False
    paths: list[Path] = field(default_factory=list)
    system: str = ""

    @property
    def time(self) -> float:
        """When the newest of its files was last changed, in seconds."""
        files = [path / file.path for path in self.paths if path.is_dir()
                 for file in in_folder(path)]
        return max(path.lstat().st_mtime for path in files or self.paths)


@dataclass
class File:
    """A file of a submission. path: inside of it    read: returns its bytes, or raises Unclear."""

    path: PurePosixPath
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        """Its name, in letters that can be printed."""
        return printable(self.path.name)

    @property
    def ending(self) -> str:
        """The ending of its name, such as ".py"."""
        return ending(self.path.name)

    @property
    def stem(self) -> str:
        """Its name without the ending."""
        return self.path.name[:-len(self.ending)]


def all_in(folder: str | Path, assignment: Assignment) -> tuple[list[Handed], list[str]]:
    """Return the submissions of a folder, and the names in it that belong to nobody.

    Raises FileNotFoundError where there is no such folder, or nothing in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; it should hold a folder, a zip or "
                                "a file for each student.")
    found: dict[tuple[str, str], Handed] = {}
    left = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__")):
            continue
        handed = whose(path, assignment)
        if handed is None or path.is_symlink():
            left.append(printable(path.name))
        else:
            key = handed.student, handed.identity
            found.setdefault(key, handed).paths.append(path)
            found[key].late |= handed.late
    if not found:
        raise FileNotFoundError(f"{folder} holds no submission of {assignment.name}; there should "
                                "be a folder, a zip or a file for each student.")
    students = [handed.student for handed in found.values()]
    for handed in found.values():                       # two students of the same name
        if students.count(handed.student) > 1:
            handed.student += f" ({handed.identity or printable(handed.paths[0].name)})"
    return list(found.values()), left


def whose(path: Path, assignment: Assignment) -> Handed | None:
    """Return whose a folder or file is, by its name, or None."""
    name, end = printable(path.name), ending(path.name)
    if not (end or path.is_dir()):
        return None
    for system, pattern in (("moodle", MOODLE), ("canvas", CANVAS)):
        if match := pattern.match(name):
            return Handed(match["name"], match["id"], bool(match["late"]), [], system)
    if path.is_dir():
        return Handed(name)
    stem = re.sub(rf"(?i)(^|[ _-]+){assignment.name}(\W.*)?$", "", name[:-len(end)])
    return Handed(stem) if stem else None


def ending(name: str) -> str:
    """Return the ending of a file that may be a submission, such as ".tar.gz", or ""."""
    return next((end for end in (*SOURCES, *ARCHIVES) if name.lower().endswith(end)), "")


def solution_file(handed: Handed, assignment: Assignment) -> tuple[File, str]:
    """Return the file that holds the solutions, and what is to be said about the choice, or "".

    The names A1.py and A1.ipynb come before names with A1 in them, these before others; what lies
    less deep comes first. Raises Unclear where that does not decide.
    """
    loose = all(path.is_file() and ending(path.name) in SOURCES for path in handed.paths)
    if len(handed.paths) > 1 and not (handed.system or loose):
        names = " and ".join(printable(path.name) for path in handed.paths)
        raise Unclear(f"{names} both belong to {handed.student}; keep one of them")
    files = [each for path in handed.paths for each in files_of(path)]
    archives = [each for each in files if each.ending in ARCHIVES][:3]
    found, note = pick(files, assignment)
    while found is None and archives:
        archive = archives.pop(0)
        found, note = pick(in_archive(archive.name, archive.read()), assignment)
    if found is None:
        names = ", ".join(each.name for each in files[:4])
        raise Unclear(f"there is no file with the tasks of {assignment.name}"
                      + (f"; it holds {names}" if names else "; it is empty"))
    return found, note


def pick(files: list[File], assignment: Assignment) -> tuple[File | None, str]:
    """Return the file of those that counts, or None, and a note. The best names are read first."""
    heads = re.compile(rf"## ?{assignment.name}\.\d")
    targets = re.compile("|".join(rf"\b(?:def|class) {task.target}\b" for task in assignment.tasks))
    ranked = sorted(((rank(file, assignment), file) for file in files if file.ending in SOURCES
                     and file.path.name != "checks.py"), key=itemgetter(0))
    left, problem = MOST_ARCHIVE, None
    for key, group in groupby(ranked, itemgetter(0)):
        found: list[tuple[File, str]] = []
        for _, file in group:
            try:
                text = file.read().decode("utf-8", "replace")
            except Unclear as error:
                problem = problem or error
                continue
            left -= len(text)
            if left < 0:
                raise Unclear("it holds too many files that may be the one")
            if heads.search(text) or 2 * len(set(targets.findall(text))) > len(assignment.tasks):
                found.append((file, text))
        if found:
            found = [each for each in found if targets.search(each[1])] or found[:1]
            taken = newest(found)
            others = [each.name for each, _ in found if each is not taken]
            others += [str(each.path) for other, each in ranked if key < other < (2, 0)]
            return taken, f"{taken.name} was read, not {', '.join(others[:3])}" if others else ""
        if problem and key[0] < 2:
            break
    if problem:
        raise problem
    return None, ""


def rank(file: File, assignment: Assignment) -> tuple[int, int]:
    """Return how well a name fits (0 as released, 1 with the assignment in it), and how deep."""
    stem, name = file.stem.lower(), assignment.name.lower()
    holds = re.search(rf"(?<![a-z0-9]){name}(?![a-z0-9])", stem)
    return 0 if stem == name else 1 if holds else 2, len(file.path.parts)


def newest(found: list[tuple[File, str]]) -> File:
    """Return the one of several that counts: of A1-1.py and A1-2.py the last one.

    Raises Unclear where they say different things and no number decides.
    """
    written = [each for each in found if "is not written yet" not in each[1]]
    if len({text for _, text in written}) != 1:
        written = found
    if len({text for _, text in written}) == 1:
        return written[0][0]
    numbered = {}
    for file, _ in written:
        match = re.search(r"(?:-(\d+)| ?\((\d+)\))$", file.stem)
        numbered[int(match[1] or match[2]) if match else 0] = file
    if len(numbered) < len(written) or len({file.ending for file, _ in written}) > 1:
        names = " and ".join(file.name for file, _ in written[:3])
        raise Unclear(f"{names} hold different solutions; keep one of them")
    return numbered[max(numbered)]


# The files of a submission ------------------------------------------------------------------------

def files_of(path: Path) -> list[File]:
    """Return the files of a folder or an archive, or the file itself, the less deep ones first."""
    if path.is_dir():
        return list(in_folder(path))
    if ending(path.name) in ARCHIVES:
        return in_archive(printable(path.name), read(path, MOST_ARCHIVE))
    return [File(PurePosixPath(path.name), partial(read, path, MOST_BYTES))]


def in_folder(folder: Path) -> Iterator[File]:
    """Yield the files under a folder, the less deep ones first."""
    waiting, seen = [(folder, 0)], 0
    while waiting:
        place, depth = waiting.pop(0)
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            if place == folder:
                raise Unclear(f"{printable(folder.name)} cannot be read") from error
            continue
        for entry in entries:
            seen += 1
            if seen > MOST_FILES:
                return
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if depth < DEEPEST and not skipped(entry.name):
                    waiting.append((path, depth + 1))
            elif ending(entry.name) and entry.is_file(follow_symlinks=False):
                inner = PurePosixPath(path.relative_to(folder).as_posix())
                most = MOST_ARCHIVE if ending(entry.name) in ARCHIVES else MOST_BYTES
                yield File(inner, partial(read, path, most))


def in_archive(name: str, data: bytes) -> list[File]:
    """Return the files in a zip or a tar, the less deep ones first."""
    try:
        found = list(in_zip(data) if zipfile.is_zipfile(io.BytesIO(data)) else in_tar(data))
    except Unclear as error:
        raise Unclear(f"{name} {error}") from error
    except Exception as error:                  # damaged archives raise what they like
        raise Unclear(f"{name} cannot be unpacked") from error
    found = [file for file in found if file.ending and not any(map(skipped, file.path.parts))]
    return sorted(found, key=lambda file: len(file.path.parts))


def in_zip(data: bytes) -> Iterator[File]:
    """Yield the files in a zip."""
    archive = zipfile.ZipFile(io.BytesIO(data))

    def unzipped(member: zipfile.ZipInfo) -> bytes:
        try:
            with archive.open(member) as stream:
                return bounded(stream.read(MOST_BYTES + 1), member.filename)
        except (Unclear, MemoryError):
            raise
        except Exception as error:
            raise Unclear(f"{printable(member.filename)} cannot be unpacked") from error

    for number, member in enumerate(archive.infolist()):
        if number > 10 * MOST_FILES:
            raise Unclear(f"holds more than {10 * MOST_FILES} files")
        if not member.is_dir():
            path = PurePosixPath(member.filename.replace("\\", "/"))
            yield File(path, partial(unzipped, member))


def in_tar(data: bytes) -> Iterator[File]:
    """Yield the files in a tar, read one after the other."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|*") as archive:
        for number, member in enumerate(archive):
            if number > MOST_FILES or archive.offset > MOST_ARCHIVE or member.size > MOST_ARCHIVE:
                raise Unclear("holds too much")
            stream = archive.extractfile(member) if ending(member.name) and member.isreg() else None
            if stream:
                content = stream.read(MOST_BYTES + 1)
                yield File(PurePosixPath(member.name), partial(bounded, content, member.name))


def skipped(part: str) -> bool:
    """Whether a folder or file of this name holds nothing that a student wrote."""
    return part in SKIPPED or part.startswith(".") and part != ".."


def read(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file. Raise Unclear where it is none, too large, or closed."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
                     | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(fd, "rb") as stream:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Unclear(f"{printable(path.name)} is no file")
            return bounded(stream.read(most + 1), path.name, most)
    except OSError as error:
        raise Unclear(f"{printable(path.name)} cannot be read") from error


def bounded(data: bytes, name: str, most: int = MOST_BYTES) -> bytes:
    """Return the bytes. Raise Unclear where they are too many."""
    if len(data) > most:
        raise Unclear(f"{printable(PurePosixPath(name).name)} has more than {most // 2 ** 20} MiB")
    return data


def printable(name: str) -> str:
    """Return a name in letters that can be written into a page or a table."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "�" for letter in text)
