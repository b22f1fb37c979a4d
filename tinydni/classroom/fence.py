"""What a solution may do: compute. It loads no other modules, opens no files, starts nothing, and has its limits.

The fence is made of Python, so it keeps out mistakes and simple tricks, not an attacker who knows the interpreter; what
keeps the grade right is that the expected values are never in this process. Loaded without tinydni, as worker.py is.
"""

import builtins
import os
import sys
import sysconfig
import types

import numpy as np
import numpy.fft
import numpy.linalg
import numpy.random

MODULES = {"numpy", "math", "cmath", "numbers", "itertools", "functools", "operator", "collections", "dataclasses",
           "typing", "abc", "enum", "copy", "__future__"}
UNSEEN = ("tinydni", "ctypes", "_ctypes", "subprocess", "socket")      # modules that nothing in this process may load
REFUSED = ("os.", "subprocess.", "socket.", "ctypes.", "shutil.", "pty.", "gc.", "signal.", "tempfile.", "glob.",
           "fcntl.", "mmap.", "resource.", "sys.settrace", "sys.setprofile", "sys.addaudithook", "webbrowser.",
           "urllib.")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NUMPY = np.__path__[0] + os.sep
PYTHON = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
WATCHED = (np, np.linalg, np.random, np.fft, builtins)


class Forbidden(BaseException):
    """A solution did what it may not do. Not an Exception, so that `except Exception` does not hide it."""


class Fence:
    """Builtins for a solution, and a hook that the interpreter asks before it opens or starts anything.

    deeds: what was tried and refused, also where the solution caught the refusal
    """

    def __init__(self):
        self.deeds, self.closed = [], False
        self.before = [dict(vars(module)) for module in WATCHED]
        sys.addaudithook(self.hook)

    def refuse(self, deed):
        self.deeds.append(deed)
        raise Forbidden(deed)

    def hook(self, event, arguments):
        if not self.closed:
            return
        if event == "import" and arguments[0].partition(".")[0] in UNSEEN:
            self.refuse(f"it imports {arguments[0]}")
        if event in ("open", "os.listdir", "os.scandir"):       # Python and NumPy load parts of their own at first use
            if not is_part_of_python(arguments[0]) or event == "open" and arguments[2] & WRITING:
                self.refuse("it opens a file")
        elif event.startswith(REFUSED):
            self.refuse(f"it calls {event}")

    def builtins(self, use_reference, strict):
        """The builtins of a solution.

        strict: whether a module that is not allowed is refused at once; if not, it is refused when it is used
        """

        def load(name, globals=None, locals=None, fromlist=(), level=0):
            root = name.partition(".")[0]
            if root in MODULES and level == 0:
                return builtins.__import__(name, globals, locals, fromlist, level)
            if name == "tinydni.classroom" and set(fromlist or ["?"]) <= {"use_reference", "check", "assert_task"}:
                return types.SimpleNamespace(use_reference=use_reference, check=nothing, assert_task=nothing)
            if strict:
                self.refuse(f"it imports {name}")
            return Absent(self, name if fromlist else root)

        def nothing(*_):
            """In place of a check cell of a notebook."""

        def no_files(*_, **__):
            self.refuse("it opens a file")

        return {**vars(builtins), "__import__": load, "open": no_files, "input": no_files, "exit": sys.exit,
                "quit": sys.exit, "breakpoint": nothing}

    def patched(self):
        """The names in NumPy and Python that are not what they were, as texts."""
        found = []
        for module, before in zip(WATCHED, self.before):
            now = vars(module)
            for name in sorted(before.keys() | now.keys()):
                loaded = name not in before and isinstance(now[name], types.ModuleType)     # when it was first used
                if not (before.get(name) is now.get(name) or loaded or name == "_" or name.startswith("__")):
                    found.append(f"{module.__name__}.{name}")
        return found


def is_part_of_python(path):
    """Whether a path leads into NumPy or the standard library, and not to what else is installed there."""
    if not isinstance(path, str) or ".." in path:
        return False
    path = os.path.join(path, "")
    return path.startswith(NUMPY) or (path.startswith(PYTHON) and "-packages" not in path)


class Absent:
    """A module, or what is in it, that a file loads at its beginning and a solution may not use."""

    def __init__(self, fence, name):
        self.__dict__.update(_fence=fence, _name=name)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(self._fence, f"{self._name}.{name}")

    def __call__(self, *_, **__):
        self._fence.refuse(f"it uses {self._name}")

    def __mro_entries__(self, bases):
        self._fence.refuse(f"it uses {self._name}")


def set_limits(cpu, memory):
    """Limits of this process: seconds of computing, MiB of memory, no files, no further processes."""
    try:
        import resource
    except ImportError:                 # Windows has none of these; the clock of the other process still runs
        return
    for kind, most in ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_AS, memory * 2 ** 20), (resource.RLIMIT_FSIZE, 0),
                       (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, 0)):
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):   # a system that does not know this one
            pass
