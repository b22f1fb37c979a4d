"""The room in which a solution runs: it computes what it is asked and knows no expected value.

In grading, this file is started alone in a sandbox that holds Python, NumPy and nothing else. For
`tinydni assignment check` its Room is used in the student's own process, without any sandbox.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import json
import os
import struct
import sys
import types
from typing import Any

import numpy as np

DEEPEST, LONGEST = 2, 16            # nested sequences, and the items of one, that are answered
HERE = {"numpy", "tinydni", *sys.stdlib_module_names}


class Absent:
    """In place of a module that is not there, such as matplotlib: all that it does is idle."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        return Absent()

    def __setattr__(self, name: str, value: Any) -> None:
        pass

    def __call__(self, *arguments: Any, **_: Any) -> Any:
        alone = len(arguments) == 1 and callable(arguments[0])
        return arguments[0] if alone else Absent()                  # a decorator, or a call

    def __enter__(self) -> Absent:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def __mro_entries__(self, bases: Any) -> tuple:
        return ()


class ReferenceUsed(Exception):
    """The solution of a task asks for the reference of this task or a later one."""


class Room:
    """The names that a solution sees, and the objects that it has made."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self.arrays: dict[int, np.ndarray] = {}
        self.notes: set[str] = set()
        self.first: BaseException | None = None
        self.file = ""

    # what the solution is

    def furnish(self, setup: dict[str, Any]) -> None:
        """Load what is given, then the student's first cell, then the task.

        Every statement is run by itself. One that fails costs nothing that does not depend on it.
        """
        self.file, self.target = setup["file"], setup["target"]
        given: dict[str, Any] = {"__name__": "given", "use_reference": self.use_reference}
        given["__builtins__"] = self.builtins()
        for source in setup["given"]:
            exec(compile(source, "given", "exec"), given)
        self.given = {name: given[name] for name in setup["names"]}
        self.targets = {task: given[name] for task, name in setup["earlier"].items()}
        self.own: dict[str, Any] = {"__name__": "solution", "__builtins__": self.builtins()}
        try:
            self.run(setup["prelude"])
        except Exception:
            self.notes.add("prelude")
            self.run(setup["released"])
        self.first = None
        self.own.update({name: given[name] for name in setup["earlier"].values()})
        self.run(setup["section"])

    def run(self, source: str) -> None:
        flags = 0
        for node in ast.parse(source, self.file).body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                for alias in node.names:
                    flags |= getattr(__future__, alias.name).compiler_flag
            module = ast.Module([node], [])
            try:
                exec(compile(module, self.file, "exec", flags, dont_inherit=True), self.own)
            except (Exception, SystemExit) as error:
                self.first = self.first or error

    def builtins(self) -> dict[str, Any]:
        def load(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (),
                 level: int = 0) -> Any:
            root = name.partition(".")[0]
            if root == "tinydni" and name.startswith("tinydni.classroom"):
                part = types.SimpleNamespace(use_reference=self.use_reference, check=idle,
                                             assert_task=idle)
                return part if fromlist else types.SimpleNamespace(classroom=part)
            if root in HERE - {"tinydni"} or level:
                return builtins.__import__(name, globals, locals, fromlist, level)
            self.notes.add(f"import {root}")
            return Absent()

        return {**vars(builtins), "__import__": load}

    def use_reference(self, task: str) -> Any:
        if task not in self.targets:
            self.notes.add("reference")
            raise ReferenceUsed(task)
        return self.targets[task]

    # what it is asked

    def answer(self, header: dict[str, Any], buffers: list) -> tuple[dict[str, Any], list]:
        """Carry out one request. Return the answer's header and its buffers."""
        try:
            found = self.carry_out(header, iter(buffers))
            answers: list[bytes] = []
            value = self.encoded(found, answers)
            return {"v": value, "notes": sorted(self.notes)[:20]}, answers
        except (Exception, SystemExit) as error:
            return {**self.told(error), "notes": sorted(self.notes)[:20]}, []

    def carry_out(self, header: dict[str, Any], buffers: Any) -> Any:
        do = header["do"]
        if do == "furnish":
            if header["limits"]:
                set_limits(**header["limits"])
            return self.furnish(header)
        if do == "probe":
            import importlib.util
            return [importlib.util.find_spec("tinydni") is None, True]
        name, arguments = header["name"], [self.decoded(each, buffers)
                                           for each in header["arguments"]]
        if header["of"] is None:
            return self.named(name)
        thing = self.things[header["of"]]
        if do == "get":
            return getattr(thing, name)
        if do == "set":
            return setattr(thing, name, *arguments)
        return thing(*arguments)

    def named(self, name: str) -> Any:
        if name != self.target:
            return self.given[name]
        if name not in self.own:
            raise self.first or NameError(name)
        return self.own[name]

    def decoded(self, part: dict[str, Any], buffers: Any) -> Any:
        if "n" in part:
            return part["n"]
        if "h" in part:
            return self.things[part["h"]]
        if "s" in part:
            return tuple(self.decoded(each, buffers) for each in part["s"])
        if part["a"] not in self.arrays:            # the same array again is the same one here, too
            array = np.frombuffer(next(buffers), part["dtype"]).reshape(part["shape"]).copy()
            array.setflags(write=part["writable"])
            self.arrays[part["a"]] = array
        return self.arrays[part["a"]]

    def encoded(self, value: Any, buffers: list, depth: int = 0) -> dict[str, Any]:
        if value is None or type(value) is float or (
                type(value) in (bool, int) and abs(value) < 2 ** 63):
            return {"n": value}
        if isinstance(value, (np.ndarray, np.generic)):
            array = np.array(value, order="C", subok=False)
            if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
                buffers.append(array.tobytes())
                return {"a": array.dtype.newbyteorder("=").str, "shape": array.shape}
            return {"t": "complex" if array.dtype.kind == "c" else "object"}
        if isinstance(value, (tuple, list)) and len(value) <= LONGEST and depth < DEEPEST:
            return {"s": [self.encoded(each, buffers, depth + 1) for each in value]}
        if isinstance(value, Absent):
            return {"t": "absent"}
        self.things.append(value)
        return {"h": len(self.things) - 1}

    def told(self, error: BaseException) -> dict[str, Any]:
        """Describe an exception of the solution: its type, its line, and its text."""
        line, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.file:
                line = trace.tb_lineno
            trace = trace.tb_next
        if isinstance(error, SyntaxError):
            line = error.lineno
        try:
            text = str(error)[:300]
        except Exception:
            text = ""
        return {"e": type(error).__name__, "line": line, "text": text}


def idle(*_: Any) -> None:
    """In place of a check cell of a notebook."""


def set_limits(cpu: int, memory: int) -> None:
    """Limit this process: seconds of computing, MiB of memory, no files."""
    try:
        import resource
    except ImportError:                             # Windows: only the clock of the other side runs
        return
    for name, most in (("CPU", cpu), ("AS", memory * 2 ** 20), ("FSIZE", 0), ("CORE", 0),
                       ("NPROC", 0), ("NOFILE", 64), ("MEMLOCK", 0), ("MSGQUEUE", 0)):
        kind = getattr(resource, f"RLIMIT_{name}", None)
        try:
            if kind is not None:
                resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):               # a system that does not know this one
            pass


def send(stream: Any, header: dict[str, Any], buffers: list) -> None:
    """Write the length of the header, the header with the lengths of the buffers, the buffers."""
    text = json.dumps({**header, "b": [len(each) for each in buffers]}).encode()
    stream.write(struct.pack("<I", len(text)) + text)
    for each in buffers:
        stream.write(each)
    stream.flush()


def receive(stream: Any, most_text: int = 2 ** 26, most: int = 2 ** 28) -> tuple[dict, list]:
    """Read what `send` wrote. Raise EOFError at the end, ValueError where it is something else."""
    def exactly(n: int) -> bytes:
        found = stream.read(n)
        if len(found) < n:
            raise EOFError
        return found

    length, = struct.unpack("<I", exactly(4))
    if length > most_text:
        raise ValueError("too long")
    header = json.loads(exactly(length))
    sizes = header.pop("b")
    if not all(type(n) is int and n >= 0 for n in sizes) or sum(sizes) > most:
        raise ValueError("too long")
    return header, [exactly(n) for n in sizes]


def main() -> None:
    """Answer requests from standard input until nobody asks any more."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)                                   # what the solution prints goes nowhere
    room = Room()
    while True:
        try:
            request = receive(requests)
        except EOFError:
            os._exit(0)
        send(answers, *room.answer(*request))


if __name__ == "__main__":
    main()
