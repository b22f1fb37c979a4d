"""A solution in a process of its own, as seen from here: its functions and classes, whose work is done over there."""

import functools
import inspect
from types import SimpleNamespace

from tinydni.classroom import codec
from tinydni.classroom.judge import Wrong
from tinydni.classroom.process import UNREADABLE, SolutionError, SolutionProcess, plain


class Remote:
    """An object of a class of the solution. Its attributes are here; its methods run over there, with all of them."""


class Opaque:
    """An object of a class that the solution made for itself: carried along, never asked."""


class Solution:
    """The solution of one task in a process of its own. Use it in a `with` block.

    assignment, task: what is solved    prelude, section: the source text of the submission
    options: file, show and the limits, as SolutionProcess takes them
    Raises SolutionError where the source cannot be loaded.
    """

    def __init__(self, assignment, task, prelude, section, **options):
        self.task, self.reference = task, assignment.given(task)
        self.target, self.opaque, self.options = vars(assignment.reference)[task.target], {}, options
        earlier = assignment.earlier(task)
        self.setup = {"prelude": prelude, "section": section, "target": task.target,
                      "earlier": [[each.name, each.target] for each in earlier],
                      "reference": [part.code() for part in (assignment.prelude, *(each.section for each in earlier))]}

    def __enter__(self):
        self.process = SolutionProcess(**self.options)
        try:
            self.process.request({"do": "furnish", "file": self.process.file, "cpu": self.process.cpu,
                                  "memory": self.process.memory, **self.setup}, self.task.name)
        except BaseException:
            self.process.close()
            raise
        return self

    def __exit__(self, *_):
        self.process.close()

    # what a check sees

    def student(self):
        """The names that a check may use: this task's from the solution, those of earlier tasks from the reference."""
        return SimpleNamespace(**{**vars(self.reference), self.task.target: self.stand_in})

    @functools.cached_property
    def stand_in(self):
        """The function or class that looks like that of the reference and runs that of the solution."""
        target = self.target
        if not inspect.isclass(target):
            @functools.wraps(target)
            def function(*arguments, **keywords):
                return self.call("call", target, target.__name__, arguments, keywords)
            return function

        def start(this, *arguments, **keywords):
            made = self.call("call", target, target.__name__, arguments, keywords)
            if type(made) is not type(this):
                raise Wrong(f"{target.__name__}(...) makes a {type(made).__name__}")
            vars(this).update(vars(made))

        members = {"__init__": functools.wraps(target.__init__)(start)}
        for name, value in vars(target).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                members[name] = self.method(name, value)
            elif not callable(value) and not name.startswith("_"):
                members[name] = value           # such as `parameters`
        return type(target.__name__, (Remote,), members)

    def method(self, name, function):
        @functools.wraps(function)
        def method(this, *arguments, **keywords):
            return self.call(name, function, name, (this, *arguments), keywords)
        return method

    # one call

    def call(self, do, function, name, arguments, keywords):
        """Has a function or a method carried out over there, and takes over what it changed."""
        encoder = codec.Encoder(self.class_of)
        refs = [encoder.ref(argument) for argument in arguments]
        named = {key: encoder.ref(value) for key, value in keywords.items()}
        header = {"do": do, "nodes": encoder.nodes, "arguments": refs, "keywords": named}
        answer, buffers = self.process.request(header, name, encoder.buffers)
        try:
            decoder = codec.Decoder(answer["nodes"], buffers, self.make, encoder.alive)
            result = decoder.value(answer["result"])
        except codec.Unsendable as error:
            raise SolutionError(f"{name} answers with {error}") from error
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, StopIteration) as error:
            raise self.process.ended(UNREADABLE) from error
        if decoder.written:
            raise Wrong(f"{name} writes into {self.argument(function, arguments, encoder.alive[decoder.written[0]])}",
                        "The array belongs to the caller, who may still need it: make a new array, or work on a copy.")
        return result

    def argument(self, function, arguments, array):
        """The name of the argument that is this array."""
        for name, value in zip(inspect.signature(function).parameters, arguments):
            if value is array:
                return name
        return "an array that was given to it"

    def class_of(self, value):
        if isinstance(value, (Remote, Opaque)):
            return ["own", type(value).__name__]
        name = type(value).__name__
        if getattr(self.reference, name, None) is type(value):
            return ["given", name]
        raise codec.Unsendable(f"a {name}")

    def make(self, class_of):
        origin, name = class_of
        if origin == "given" and isinstance(getattr(self.reference, name, None), type):
            return object.__new__(getattr(self.reference, name))
        if origin == "own" and name == self.task.target:
            return object.__new__(self.stand_in)
        return object.__new__(self.opaque.setdefault(name, type(str(name), (Opaque,), {})))

    def finish(self):
        """Asks at the end what the solution tried or changed besides computing. Raises SolutionError for that."""
        if self.process.end:
            return
        answer, _ = self.process.request({"do": "finish"}, self.task.name)
        if answer.get("deeds"):
            raise SolutionError(f"{plain(answer['deeds'][0])}, which a solution may not")
        if answer.get("patched"):
            raise SolutionError(f"it changes {', '.join(map(plain, answer['patched'][:3]))}, which a solution may not")
