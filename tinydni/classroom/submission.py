"""What a student hands in: a folder or a zip with the assignment's file, as a text or as a notebook."""

import ast
import shutil
import tempfile
import threading
import zipfile
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path

from tinydni.classroom import cells
from tinydni.classroom.process import SolutionError

MOST_BYTES = 20 * 2 ** 20
PARSING = threading.Lock()      # Python 3.11 fails when two threads build a syntax tree at the same time


class Submission:
    """One student's work, cut into its tasks. What is wrong with it is raised when a task asks, as SolutionError.

    folder: where it lies    assignment: what it is a solution of
    """

    def __init__(self, folder, assignment):
        self.folder, self.assignment = Path(folder), assignment
        self.problem, self.sections, self.prelude = None, {}, ""
        try:
            self.path = self.find()
            self.file = self.path.name
            self.read(text_of(self.path))
        except SolutionError as error:
            self.problem, self.file = error, f"{assignment.name}.py"

    def find(self):
        """The file NAME.py, or NAME.ipynb, the one least deep. Raises SolutionError where there is none."""
        for end in (".py", ".ipynb"):
            found = [path for path in self.folder.rglob(f"{self.assignment.name}{end}") if is_real(path, Path.is_file)]
            if found:
                return min(found, key=lambda path: (len(path.parts), path))
        raise SolutionError(f"there is no file {self.assignment.name}.py")

    def read(self, text):
        try:
            found = cells.read_notebook(text) if self.path.suffix == ".ipynb" else cells.read_percent(text)
        except ValueError as error:
            raise SolutionError(f"{self.file}: {error}") from error
        sections = cells.sections(found, self.is_known)
        for section in sections:
            self.sections.setdefault(section.heading.partition(" ")[0], section)
        if not any(task.name in self.sections for task in self.assignment.tasks):
            raise SolutionError(f"{self.file} is not the file that was released: no heading of a task is left in it")
        self.prelude = sections[0].code()

    def is_known(self, heading):
        """Whether a heading is one of the assignment's; a student's own does not cut a task in two."""
        return (heading.partition(" ")[0] in (task.name for task in self.assignment.tasks)
                or heading in (section.heading for section in self.assignment.ending))

    def section(self, task):
        """The source text of a task. Raises SolutionError where it is missing."""
        if self.problem:
            raise self.problem
        if task.name not in self.sections:
            raise SolutionError(f'{self.file} has no heading "## {task.name} ..." any more')
        return self.sections[task.name].code()

    def notes(self, task):
        """Which references the section of a task goes on with."""
        if self.problem or task.name not in self.sections:
            return []
        return [f"goes on with the reference for {name}" for name in references(self.sections[task.name].code())]

    @cached_property
    def checks(self):
        """The parts of their checks.py, or in words why there are none."""
        path = self.path.parent / "checks.py"
        if not path.is_file():
            return "checks.py is missing"
        try:
            return parts(text_of(path))
        except (SolutionError, SyntaxError, ValueError, RecursionError):
            return "checks.py is not what was released, it is not Python"

    def edited(self, task):
        """What was done to the visible checks of a task, in words, or None. They are compared, never run."""
        theirs, ours = self.checks, parts(self.assignment.checks_source)
        if isinstance(theirs, str):
            return theirs
        for check in (check.__name__ for check in task.checks):
            if check not in theirs:
                return f"{check} is deleted in checks.py"
            if theirs[check] != ours[check]:
                return f"{check} is edited in checks.py"
        return None if theirs[""] == ours[""] else "what all checks share is edited in checks.py"


def is_real(path, kind):
    """Whether a path is of the kind, and no link that may lead out of the submission."""
    return kind(path) and not path.is_symlink()


def text_of(path):
    """A file's text. Raises SolutionError where it is too large, cannot be read, or is no text."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SolutionError(f"{path.name} has more than {MOST_BYTES // 2 ** 20} MiB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SolutionError(f"{path.name} cannot be read") from error
    except UnicodeDecodeError as error:
        raise SolutionError(f"{path.name} is not Python: it is no text in UTF-8") from error
    if "\0" in text:
        raise SolutionError(f"{path.name} is not Python: it holds zero bytes")
    return text


def tree_of(source):
    with PARSING:
        return ast.parse(source)


def references(source):
    """The tasks that a source text asks `use_reference` for."""
    try:
        tree = tree_of(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    return sorted({str(call.args[0].value) for call in ast.walk(tree) if isinstance(call, ast.Call)
                   and isinstance(call.func, ast.Name) and call.func.id == "use_reference"
                   and call.args and isinstance(call.args[0], ast.Constant)})


@lru_cache(maxsize=8)
def parts(source):
    """The functions check_... of a file, and under "" all the rest, as texts in which layout and comments are gone."""
    tree, found, rest = tree_of(source), {}, []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("check_"):
            found[node.name] = found.get(node.name, "") + ast.dump(node)
        else:
            rest.append(ast.dump(node))
    return {**found, "": "\n".join(rest)}


def all_in(folder):
    """The submissions of a folder, {student: path}: its folders and its zips, each named after its student.

    Raises FileNotFoundError where there is no such folder, or nothing in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; it should hold a folder or a zip for each student.")
    found = {}
    for path in sorted(folder.iterdir()):
        if (is_real(path, Path.is_dir) or path.suffix == ".zip") and not path.name.startswith((".", "__")):
            name = path.stem if path.suffix == ".zip" else path.name
            if name in found:
                raise FileExistsError(f"{folder} holds {found[name].name} and {path.name}; keep one of them.")
            found[name] = path
    if not found:
        raise FileNotFoundError(f"{folder} holds no folder and no zip; there should be one for each student.")
    return found


def loose_in(folder):
    """The names in a folder of submissions that `all_in` passes over, such as a file that was handed in without its folder."""
    taken = set(all_in(folder).values())
    return sorted(path.name for path in Path(folder).iterdir() if path not in taken and not path.name.startswith((".", "__")))


@contextmanager
def opened(path):
    """Yields the folder of a submission; a zip is unpacked into a temporary one. SolutionError for a broken zip."""
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                unpack(archive, Path(folder))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
            raise SolutionError(f"{path.name} cannot be unpacked") from error
        yield Path(folder)


def unpack(archive, folder):
    """Unpacks Python files and notebooks only, by their last two names, so that no path leads out of the folder."""
    taken = 0
    for member in archive.infolist():
        path = Path(member.filename)
        if member.is_dir() or path.suffix not in (".py", ".ipynb") or "__MACOSX" in path.parts:
            continue
        taken += member.file_size
        if taken > MOST_BYTES:
            raise zipfile.BadZipFile("too large")
        place = folder / Path(*[part for part in path.parts[-2:] if part not in ("..", "/")])
        place.parent.mkdir(exist_ok=True)
        with archive.open(member) as source, open(place, "wb") as target:
            shutil.copyfileobj(source, target)
