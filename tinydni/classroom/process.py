"""The process in which a solution runs: started with limits, asked, and ended."""

import builtins
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from tinydni.classroom import codec

CPU, WALL, MEMORY = 5, 30, 1024        # seconds of computing, seconds by the clock, MiB, for each task
UNREADABLE = "the answers of the solution's process cannot be read; it wrote to where answers go"
PASSED_ON = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH")


class SolutionError(Exception):
    """A solution raised an error, did what it may not do, or came to its end.

    what: said without the drawn values    detail: the error's own text, which may hold some
    """

    def __init__(self, what, detail="", where=""):
        self.what, self.detail, self.where = what, detail, where
        super().__init__(self.told(detail))

    def told(self, values=""):
        where = f" ({self.where})" if self.where else ""
        return f"{self.what}{f': {values}' if values else ''}{where}."


class SolutionProcess:
    """One process, from its start to `close`.

    file: the name of the submission's file, for messages    show: whether what the solution prints is shown
    cpu, wall: seconds of computing and by the clock    memory: MiB
    end: why no answer comes any more, as SolutionError, or None
    """

    def __init__(self, file, show=False, cpu=CPU, wall=WALL, memory=MEMORY):
        self.file, self.cpu, self.wall, self.memory = file, cpu, wall, memory
        self.end, self.late = None, False
        self.folder = tempfile.TemporaryDirectory()
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {"PYTHONPATH": str(Path(np.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1",
                        "PYTHONHASHSEED": "0", "PYTHONIOENCODING": "utf-8:backslashreplace",
                        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")}
        self.process = subprocess.Popen(
            [sys.executable, "-S", str(Path(__file__).with_name("worker.py"))], cwd=self.folder.name, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None if show else subprocess.DEVNULL,
            start_new_session=True)
        self.clock = threading.Timer(wall, self.too_late)
        self.clock.daemon = True
        self.clock.start()

    def close(self):
        """Ends the process and removes the empty folder in which it ran."""
        self.clock.cancel()
        self.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except BrokenPipeError:         # what could not be sent any more
                pass
        self.folder.cleanup()

    def too_late(self):
        self.late = True
        self.kill()

    def kill(self):
        """Ends the process, and what it may have started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except AttributeError:              # Windows has no process groups
            self.process.kill()
        except (ProcessLookupError, PermissionError):
            pass                            # it has ended by itself

    def request(self, header, name, buffers=()):
        """Sends a request and waits for the answer. Raises SolutionError where it is an error, or none comes."""
        if self.end:
            raise self.end
        try:
            codec.write(self.process.stdin, header, buffers)
            answer, found = codec.read(self.process.stdout)
        except (EOFError, OSError) as error:
            raise self.ended(self.why_gone()) from error
        except codec.Unsendable as error:
            raise self.ended(UNREADABLE) from error
        if "error" in answer:
            raise self.error(name, answer)
        return answer, found

    def ended(self, what):
        self.end = SolutionError(what)
        self.kill()
        return self.end

    def why_gone(self):
        """Why no answer came, in words."""
        code = self.process.wait()
        if self.late:
            return f"it took longer than {self.wall} s: probably an endless loop"
        if code in (-getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0)):
            return f"it computed for more than {self.cpu} s: probably an endless loop"
        return f"it ended its process (exit code {code}) instead of returning"

    def error(self, name, answer):
        """What an error over there means here."""
        kind, message, line = (plain(answer.get(key)) for key in ("error", "message", "line"))
        where = f"{self.file}, line {line}: {plain(answer.get('text'))}" if line.isdecimal() else ""
        if kind == "NotImplementedError":
            return SolutionError(f"{name} is not written yet")
        if kind == "Forbidden":
            return SolutionError(f"{message}, which a solution may not", where=where)
        if kind == "Unsendable":
            return SolutionError(f"{name} {'leaves' if message.startswith('self.') else 'returns'} {message}")
        if kind == "Missing":
            return SolutionError(f"there is no {name} any more")
        if kind == "MemoryError" or "allocate memory" in message:
            return SolutionError(f"{name} asks for more than {self.memory} MiB of memory", where=where)
        if kind in ("SystemExit", "KeyboardInterrupt"):
            return SolutionError(f"{name} exits instead of returning", where=where)
        if kind in ("SyntaxError", "IndentationError", "TabError"):
            return SolutionError(f"it is not Python: {message.partition(' (')[0]}", where=where)
        known = isinstance(getattr(builtins, kind, None), type) or kind in ("LinAlgError", "AxisError")
        return SolutionError(f"{name} raises {kind if known else 'an error of its own'}", message, where)


def plain(text):
    """A text from the other process as one line of printable characters, not too long."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)[:300])
