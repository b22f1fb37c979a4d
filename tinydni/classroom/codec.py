"""How a call crosses from one process to another: plain data only, arrays as raw bytes, nothing that runs when read.

A message is a JSON header and the bytes of its arrays. Arrays, objects, lists and dictionaries are nodes of a graph,
named by their place in it, so that two names of one array stay two names of one array on the other side. This file is
also loaded alone, by the process in which a solution runs: it must not import tinydni.
"""

import json
import math
import struct

import numpy as np

MOST_BYTES = 64 * 2 ** 20
PLAIN = (type(None), bool, int, float, str)


class Unsendable(Exception):
    """A value that does not cross, or a message that is none."""


class Encoder:
    """Values -> (nodes, buffers). `class_of(object)` names the class of an object, as a list of texts.

    received: the Decoder of the request that is answered. What it made takes the first places of the graph, in its
        order, and an array that has not changed since is not sent again
    alive: the objects, in the order of their places
    """

    def __init__(self, class_of, received=None):
        self.class_of, self.nodes, self.buffers = class_of, [], []
        self.alive, self.sent = ([], {}) if received is None else (list(received.live), received.raw)
        self.places = {id(value): place for place, value in enumerate(self.alive)}
        self.nodes += [None] * len(self.alive)
        for place, value in enumerate(self.alive[:]):
            unchanged = place in self.sent and value.tobytes() == self.sent[place]
            self.nodes[place] = ["same"] if unchanged else self.node(value)

    def ref(self, value):
        """The value as it stands in the header: a plain value, or the place of a node."""
        if type(value) in PLAIN:
            return {"v": value}
        if type(value) is tuple:
            return {"t": [self.ref(item) for item in value]}
        if isinstance(value, np.generic):
            return {"n": value.dtype.str, "v": self.number(value)}
        if id(value) not in self.places:
            place = self.places[id(value)] = len(self.nodes)
            self.nodes.append(None)
            self.alive.append(value)            # an id stays one object's only as long as that lives
            self.nodes[place] = self.node(value)
        return self.places[id(value)]

    def number(self, value):
        if value.dtype.kind not in "fiub":
            raise Unsendable(f"a number of {value.dtype}")
        return value.item()

    def node(self, value):
        if isinstance(value, np.ndarray):
            return self.array(value)
        if type(value) is list:
            return ["l", [self.ref(item) for item in value]]
        if type(value) is dict:
            return ["d", [[self.ref(key), self.ref(item)] for key, item in value.items()]]
        return ["o", self.class_of(value), {name: self.named(name, item) for name, item in vars(value).items()}]

    def named(self, name, value):
        try:
            return self.ref(value)
        except Unsendable as error:
            raise Unsendable(f"self.{name}, which is {error}" if "self." not in str(error) else str(error)) from error

    def array(self, value):
        if type(value) is not np.ndarray:
            raise Unsendable(f"a {type(value).__name__}, a class of arrays of its own; only plain NumPy arrays count")
        if value.dtype.kind not in "fiub" or value.dtype.itemsize > 8:
            raise Unsendable(f"an array of {value.dtype}")
        value = np.ascontiguousarray(value) if value.ndim else value
        self.buffers.append(value.tobytes())
        return ["a", value.dtype.str, list(value.shape), len(self.buffers) - 1]


class Decoder:
    """(nodes, buffers) -> values. `make(class_of)` makes an empty object.

    known: the objects that stand for the first nodes. They take over what the message says, in place; the places of
    arrays that are closed for writing and yet changed are kept in `written`.
    """

    def __init__(self, nodes, buffers, make, known=()):
        self.buffers, self.raw = buffers, {}
        self.known, self.written = list(known), []
        if len(nodes) < len(self.known):
            raise Unsendable("a message with too few nodes")
        self.live = [self.known[i] if i < len(self.known) else None for i in range(len(nodes))]
        for place, node in enumerate(nodes):
            if node[0] == "a":
                self.array(place, node)
            elif place >= len(self.known):
                self.live[place] = {"l": list, "d": dict, "o": lambda: make(node[1])}[node[0]]()
        for place, node in enumerate(nodes):
            self.fill(self.live[place], node)

    def array(self, place, node):
        _, dtype, shape, number = node
        dtype, raw = np.dtype(dtype), self.buffers[number]
        self.raw[place] = raw
        if dtype.kind not in "fiub" or len(raw) != dtype.itemsize * math.prod(shape) or min(shape, default=0) < 0:
            raise Unsendable("an array whose size is not what it says")
        value = np.frombuffer(raw, dtype).reshape(shape).copy()
        if place >= len(self.known):
            self.live[place] = value
            return
        old = self.known[place]
        if old.shape != value.shape or old.dtype != value.dtype:
            raise Unsendable("an argument that has another shape or dtype after the call")
        if old.flags.writeable:
            old[...] = value
        else:
            self.written.append(place)

    def fill(self, live, node):
        kind = node[0]
        if kind == "l":
            live[:] = [self.value(item) for item in node[1]]
        elif kind == "d":
            items = [(self.value(key), self.value(item)) for key, item in node[1]]
            live.clear()
            live.update(items)
        elif kind == "o":
            items = {str(name): self.value(item) for name, item in node[2].items()}
            vars(live).clear()
            vars(live).update(items)

    def value(self, ref):
        if isinstance(ref, int):
            return self.live[ref]
        if "t" in ref:
            return tuple(self.value(item) for item in ref["t"])
        if "n" in ref:
            return np.dtype(ref["n"]).type(ref["v"])
        return ref["v"]


def write(stream, header, buffers=()):
    """Sends one message."""
    text = json.dumps({**header, "sizes": [len(buffer) for buffer in buffers]}).encode()
    stream.write(struct.pack("<I", len(text)) + text + b"".join(buffers))
    stream.flush()


def read(stream):
    """Receives one message: (header, buffers). Raises EOFError at the end, Unsendable for what is no message."""
    length, = struct.unpack("<I", exactly(stream, 4))
    if length > MOST_BYTES:
        raise Unsendable("a message that is too long")
    try:
        header = json.loads(exactly(stream, length))
        sizes = header["sizes"]
        if not all(type(size) is int and size >= 0 for size in sizes) or sum(sizes) > MOST_BYTES:
            raise Unsendable("a message that is too long")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unsendable("a message that cannot be read") from error
    return header, [exactly(stream, size) for size in sizes]


def exactly(stream, size):
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
