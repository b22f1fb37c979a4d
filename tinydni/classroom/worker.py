"""The process in which one solution runs. It computes what it is asked for and knows nothing of what is expected.

Started as a file, so that tinydni is not loaded here. Requests come over standard input, answers go over standard
output; what the solution prints goes to standard error.
"""

import os
import sys
import types

import codec        # these two lie beside this file
import fence


class Missing(Exception):
    """The function or class that a task asks for is not there."""


class Room:
    """The names that a solution sees, and those of the reference for what it was given."""

    def __init__(self):
        self.fence, self.file, self.lines = fence.Fence(), "", {}

    def furnish(self, setup):
        """Loads the reference of earlier tasks, closes the fence, and loads the solution."""
        self.file, self.target = setup["file"], setup["target"]
        fence.set_limits(setup["cpu"], setup["memory"])
        self.reference = self.run_reference(setup)
        self.targets = {task: self.reference[target] for task, target in setup["earlier"]}
        given = {name: self.reference[name] for _, name in setup["earlier"]}
        self.fence.closed = True
        self.own = {"__name__": "solution"}
        self.run(setup["prelude"], strict=False)
        self.own.update(given)
        self.run(setup["section"], strict=True)

    def run_reference(self, setup):
        names = {"__name__": "reference"}
        stand_in = types.SimpleNamespace(use_reference=self.use_reference)
        sys.modules["tinydni.classroom"] = sys.modules["tinydni"] = stand_in
        for source in setup["reference"]:
            exec(compile(source, "reference", "exec"), names)
        del sys.modules["tinydni.classroom"], sys.modules["tinydni"]
        return names

    def run(self, source, strict):
        self.lines.update(enumerate(source.splitlines(), start=1))
        self.own["__builtins__"] = self.fence.builtins(self.use_reference, strict)
        exec(compile(source, self.file, "exec"), self.own)

    def use_reference(self, task):
        if task not in self.targets:
            self.fence.refuse(f'it uses the reference for {task}')
        return self.targets[task]

    # the border

    def class_of(self, value):
        for origin, names in (("given", self.reference), ("own", self.own)):
            if isinstance(names.get(type(value).__name__), type) and type(value) is names[type(value).__name__]:
                return [origin, type(value).__name__]
        raise codec.Unsendable(f"a {type(value).__name__}; keep numbers, arrays, lists and your own classes")

    def make(self, class_of):
        origin, name = class_of
        return object.__new__((self.reference if origin == "given" else self.own)[name])

    def answer(self, header, buffers):
        """Carries out one request: the answer's header and buffers."""
        if header["do"] == "furnish":
            self.furnish(header)
            return {}, []
        if header["do"] == "finish":
            return {"patched": self.fence.patched(), "deeds": self.fence.deeds}, []
        given = codec.Decoder(header["nodes"], buffers, self.make)
        arguments = [given.value(ref) for ref in header["arguments"]]
        keywords = {name: given.value(ref) for name, ref in header["keywords"].items()}
        if header["do"] == "call":
            if self.target not in self.own:
                raise Missing(self.target)
            function = self.own[self.target]
            if isinstance(function, fence.Absent):
                function()
        else:
            function = getattr(arguments.pop(0), header["do"])
        result = function(*arguments, **keywords)
        encoder = codec.Encoder(self.class_of, given)
        ref = encoder.ref(result)
        return {"result": ref, "nodes": encoder.nodes}, encoder.buffers

    def told(self, error):
        """An exception of the solution, for the other process."""
        line, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.file:
                line = trace.tb_lineno
            trace = trace.tb_next
        if isinstance(error, SyntaxError):
            line = error.lineno
        return {"error": type(error).__name__, "message": str(error)[:500], "line": line,
                "text": self.lines.get(line, "").strip()[:200]}


def main():
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    room = Room()
    while True:
        request = codec.read(requests)
        try:
            header, buffers = room.answer(*request)
        except BaseException as error:      # sys.exit() in a solution, too
            header, buffers = room.told(error), []
        codec.write(answers, header, buffers)


if __name__ == "__main__":
    sys.path.pop(0)
    try:
        main()
    except EOFError:                    # nobody asks any more
        os._exit(0)
