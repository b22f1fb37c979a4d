"""The solution of one task, as a check sees it: names whose work is done in the worker's room."""

from __future__ import annotations

import builtins
import contextlib
import signal
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinydni.classroom import worker
from tinydni.classroom.sandbox import Isolation, Nothing

CPU, WALL, MEMORY = 5, 15, 1024     # seconds of computing, seconds by the clock, MiB; of a task
ANSWER, TEXT, ALL = 2 ** 23, 2 ** 14, 2 ** 28       # bytes of an answer, its header, all answers
DTYPES = {"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"}
KNOWN = {"tinydni", "torch", "tensorflow", "jax", "scipy", "sklearn", "pandas", "autograd"}


class SolutionError(Exception):
    """A solution raised an error, or came to its end.

    what: said without any word of the solution    detail: the text of its error, for the student
    ended: whether nothing more can be asked
    """

    def __init__(self, what: str, detail: str = "", ended: bool = False):
        self.what, self.detail, self.ended = what, detail, ended
        super().__init__(f"{what}{f': {detail}' if detail else ''}.")


class Thing:
    """An object of the solution, or all its names: attributes and calls go to the room.

    handle: its number in the room; None, the names: the task's target and what is given for it
    """

    def __init__(self, solution: Solution, handle: int | None, name: str):
        vars(self).update(_solution=solution, _handle=handle, _name=name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._solution.request("get", self._handle, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._solution.request("set", self._handle, name, [value])

    def __call__(self, *arguments: Any) -> Any:
        return self._solution.request("call", self._handle, self._name, arguments)


class Solution:
    """What a check asks, turned into requests, and the answers into plain values.

    ask(header, buffers) -> (header, buffers): what carries out a request
    file, lines: the name of the submission's file, and how many lines it has
    """

    def __init__(self, ask: Callable, file: str, lines: int, memory: int = MEMORY):
        self.ask, self.file, self.lines, self.memory = ask, file, lines, memory
        self.sent: list[np.ndarray] = []
        self.numbers: dict[int, int] = {}
        self.notes: set[str] = set()
        self.end: SolutionError | None = None
        self.names = Thing(self, None, "")

    def request(self, do: str, handle: int | None, name: str, arguments: Sequence = (),
                **setup: Any) -> Any:
        """Carry out one request. Raise SolutionError where it fails."""
        if self.end:
            raise self.end
        buffers: list[bytes] = []
        header = {"do": do, "of": handle, "name": name,
                  "arguments": [self.encoded(value, buffers) for value in arguments], **setup}
        try:
            answer, found = self.ask(header, buffers)
            self.notes |= {str(note) for note in answer.get("notes", ())}
            if "e" not in answer:
                return self.decoded(answer["v"], iter(found), name)
        except SolutionError as error:
            self.end = error
            raise
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration, RecursionError,
                OverflowError):
            self.end = SolutionError("its answers cannot be read", ended=True)
            raise self.end from None
        raise self.error(do, handle, name, answer)

    def encoded(self, value: Any, buffers: list[bytes]) -> dict[str, Any]:
        if isinstance(value, Thing):
            return {"h": value._handle}
        if isinstance(value, tuple):
            return {"s": [self.encoded(each, buffers) for each in value]}
        if not isinstance(value, np.ndarray):
            return {"n": value}
        if id(value) in self.numbers:
            return {"a": self.numbers[id(value)]}
        self.sent.append(value)                     # kept, so that its id stays its own
        self.numbers[id(value)] = len(self.sent)
        buffers.append(value.tobytes())
        return {"a": len(self.sent), "dtype": value.dtype.str, "shape": value.shape,
                "writable": value.flags.writeable}

    def decoded(self, part: dict[str, Any], buffers: Any, name: str) -> Any:
        """Return a number, an array, a tuple, or a Thing. Trust nothing about it."""
        if "n" in part:
            number = part["n"]
            if number is not None and (type(number) not in (bool, int, float)
                                       or type(number) is int and abs(number) >= 2 ** 63):
                raise ValueError
            return number
        if "a" in part:
            shape = tuple(part["shape"])
            if part["a"] not in DTYPES or len(shape) > 8 or not all(type(n) is int for n in shape):
                raise ValueError
            return np.frombuffer(next(buffers), part["a"]).reshape(shape)
        if "s" in part:
            if len(part["s"]) > worker.LONGEST:
                raise ValueError
            return tuple(self.decoded(each, buffers, name) for each in part["s"])
        handle = part.get("h", -1)
        return Thing(self, int(handle), name)

    def error(self, do: str, handle: int | None, name: str, answer: dict[str, Any]
              ) -> SolutionError:
        """Return what an exception of the solution means, in words of our own."""
        kind, text, line = str(answer["e"]), str(answer.get("text")), answer.get("line")
        known = type(line) is int and 0 < line <= self.lines
        where = f" ({self.file}, line {line})" if known else ""
        if do == "get" and kind == "NameError" and handle is None and not known:
            return SolutionError(f"there is no {name} any more")
        if do == "get" and kind == "AttributeError" and handle is not None and not known:
            return SolutionError(f"there is no {name}: is self.{name} set, or the method there?")
        if kind == "NotImplementedError":
            return SolutionError(f"{name} is not written yet")
        if kind == "ReferenceUsed":
            return SolutionError("it uses the reference for this task")
        if "read-only" in text:
            return SolutionError("it writes into an array that it was given"
                                 f"{where}. The array belongs to the caller: make a new one")
        if kind == "MemoryError" or "allocate memory" in text:
            return SolutionError(f"{name} asks for more than {self.memory} MiB of memory{where}")
        if kind in ("SystemExit", "KeyboardInterrupt"):
            return SolutionError(f"{name} exits instead of returning{where}")
        if kind in ("SyntaxError", "IndentationError", "TabError"):
            return SolutionError(f"it is not Python{where}", plain(text.partition(" (")[0]))
        if "broadcast" in text or "matmul" in text or "not aligned" in text:
            return SolutionError(f"{name} puts arrays together whose shapes do not fit{where}",
                                 plain(text))
        own = isinstance(getattr(builtins, kind, None), type) or kind == "LinAlgError"
        return SolutionError(f"{name} raises {kind if own else 'an error of its own'}{where}",
                             plain(text))

    def remarks(self) -> list[str]:
        """Return which modules that are not there the solution has asked for."""
        asked = sorted(root for root in KNOWN if f"import {root}" in self.notes)
        found = [f"it imports {root}, which is not there in grading" for root in asked]
        if "prelude" in self.notes:
            found.append("its first cell is not Python; the released one took its place")
        return found


def plain(text: str) -> str:
    """Return a text as one line of printable characters, not too long."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:300])


class Inside:
    """A room in this process, without any sandbox, as `tinydni assignment check` uses it.

    Use it in a `with` block. A computation is stopped after `cpu` seconds, where the system can.
    """

    def __init__(self, cpu: int = CPU):
        self.room, self.cpu = worker.Room(), cpu

    def __enter__(self) -> Inside:
        self.kept = contextlib.ExitStack()
        for kept in (np.errstate(), np.printoptions(), warnings.catch_warnings()):
            self.kept.enter_context(kept)       # a first cell may set all three
        main = threading.current_thread() is threading.main_thread()
        self.clock = main and hasattr(signal, "setitimer") and (
            signal.getsignal(signal.SIGPROF) in (signal.SIG_DFL, signal.SIG_IGN))
        if self.clock:
            signal.signal(signal.SIGPROF, stop)
            signal.setitimer(signal.ITIMER_PROF, self.cpu)
        return self

    def __exit__(self, *_: Any) -> None:
        self.kept.close()
        if self.clock:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, signal.SIG_DFL)

    def ask(self, header: dict[str, Any], buffers: list[bytes]) -> tuple[dict, list]:
        """Carry out one request."""
        try:
            return self.room.answer(header, buffers)
        except TimeUp:
            raise SolutionError(f"it computed for more than {self.cpu} s: probably an endless loop",
                                ended=True) from None


class TimeUp(BaseException):
    """A computation in this process took too long."""


def stop(*_: Any) -> None:
    """Stop what runs, by an exception."""
    raise TimeUp


class Outside:
    """A room in an isolated process. Use it in a `with` block.

    isolation: what starts it    cpu, wall: seconds of computing, and by the clock    memory: MiB
    """

    def __init__(self, isolation: Isolation | None = None, cpu: int = CPU, wall: int = WALL,
                 memory: int = MEMORY):
        self.isolation = isolation or Nothing()
        self.limits = {"cpu": cpu, "memory": memory}
        self.wall, self.late, self.left = wall, False, ALL

    def __enter__(self) -> Outside:
        self.process = self.isolation.start()
        self.clock = threading.Timer(self.wall, self.too_late)
        self.clock.daemon = True
        self.clock.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.clock.cancel()
        self.isolation.end(self.process)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()                      # type: ignore[union-attr]
            except BrokenPipeError:                 # what could not be sent any more
                pass

    def too_late(self) -> None:
        self.late = True
        self.isolation.end(self.process)

    def ask(self, header: dict[str, Any], buffers: list[bytes]) -> tuple[dict, list]:
        """Send a request and wait for its answer. Raise SolutionError where none comes."""
        try:
            worker.send(self.process.stdin, header, buffers)
            answer, found = worker.receive(self.process.stdout, TEXT, min(ANSWER, self.left))
            self.left -= sum(map(len, found)) + 100
            return answer, found
        except (EOFError, OSError):
            raise SolutionError(self.why(), ended=True) from None

    def why(self) -> str:
        if self.late:
            return f"it took longer than {self.wall} s: probably an endless loop"
        self.process.wait()
        if self.process.returncode in (-9, -24, 137, 152):
            return f"it computed for more than {self.limits['cpu']} s: probably an endless loop"
        return "it ended its process instead of returning"
