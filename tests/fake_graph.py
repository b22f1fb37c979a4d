"""CUDA graphs on the device that is not there: what a stream captures, a graph repeats.

Importing this gives the `xp` of fake_device.py a `cuda`, with Stream, MemoryPool, using_allocator
and get_current_stream, as far as a captured step needs them. Between begin_capture and end_capture,
as with CuPy on a GPU:

- nothing is computed. New memory holds NaN (zeros for whole numbers) until the graph is launched,
  and arrays that exist keep their values;
- every operation is kept with its arguments as they are: numbers by value, arrays by the place of
  their memory. A launch repeats the operations on whatever that memory then holds, and writes into
  the memory of the results;
- waiting for the device and copying from the host raise RuntimeError, and the capture is lost;
- a product of matrices raises NotImplementedError, as every call to cuBLAS does in CuPy 13 and 14,
  unless the caller has put other functions into the place of those in `cublas`, which stands for
  cupy_backends.cuda.libs.cublas;
- memory comes from the pool in use. Outside of a pool of its own a capture is refused: others would
  get the memory of the graph. A graph whose pool is gone cannot be launched.

What is not modelled: memory that is freed within a capture and used again; other capture modes.

What a card tells of itself is made up, and the clock of its events is that of the host.
"""

import contextlib
import math
import sys
import time
import types
import weakref

import fake_device
import numpy as np
from fake_device import made, note

PRODUCTS = {"dot", "matmul", "einsum", "tensordot", "inner"}

streams, pools = [], []                     # those in use, the innermost last


class Recorder:
    """Takes down operations instead of computing them."""

    def __init__(self):
        self.operations, self.error = [], None

    def refuse(self, what):
        """What cannot be captured. The capture is lost with it."""
        self.error = RuntimeError(f"the current stream is capturing, so {what} is disallowed")
        raise self.error

    def record(self, function, args, keywords, writes):
        """One operation. Returns the arrays in which its results will be."""
        if not pools:
            self.refuse("memory of the default pool, which would be handed to others,")
        copies = {id(array): array.copy() for array in writes}
        with np.errstate(all="ignore"):
            result = function(*swapped(args, copies), **swapped(keywords, copies))
        if function.__name__ in PRODUCTS and np.size(result) > 1 and np.asarray(
            result).dtype.kind == "f":
            name, n_arguments = multiplication(function, args, np.asarray(result).dtype)
            getattr(cublas, name)(HANDLE, *[1] * n_arguments)
        result = in_memory(swapped(result, {id(copy): array for array in writes
                                            for copy in [copies[id(array)]]}))
        new = made(result, (*args, *keywords.values()))
        for array in new:
            array[...] = np.nan if array.dtype.kind == "f" else 0
        if new or writes:
            self.operations.append((function, args, keywords, result))
        return result


class Graph:
    """What was captured. `pool`: whose memory it works on."""

    def __init__(self, operations, pool):
        self.operations, self.pool = operations, weakref.ref(pool)

    def launch(self, stream=None):
        if self.pool() is None:
            raise RuntimeError("the graph works on the memory of a pool that is gone")
        note("launch", "graph")
        for function, args, keywords, result in self.operations:
            for there, now in zip(arrays(result), arrays(in_memory(function(*args, **keywords))),
                                  strict=True):
                if there is not now and not np.may_share_memory(there, now):
                    there[...] = now

    def upload(self, stream=None):
        """Nothing that shows."""


class Stream:
    """cupy.cuda.Stream: work goes to the stream in whose `with` it stands."""

    ptr = 1

    def __init__(self, null=False, non_blocking=False):
        self.can_capture, self.recorder = non_blocking, None

    def __enter__(self):
        streams.append(self)
        follow()
        return self

    def __exit__(self, *error):
        streams.pop()
        follow()

    def begin_capture(self, mode=None):
        if not self.can_capture:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        self.recorder = Recorder()
        follow()

    def end_capture(self):
        recorder, self.recorder = self.recorder, None
        follow()
        if recorder.error:
            raise RuntimeError("cudaErrorStreamCaptureInvalidated")
        return Graph(recorder.operations, pools[-1])


def follow():
    """Whatever is computed from now on belongs to the innermost stream."""
    fake_device.recorder = streams[-1].recorder if streams else None


class MemoryPool:
    """cupy.cuda.MemoryPool."""

    def malloc(self, size):
        raise NotImplementedError("the fake device does not hand out bare memory")


@contextlib.contextmanager
def using_allocator(allocator):
    """cupy.cuda.using_allocator, for the malloc of a pool."""
    pools.append(allocator.__self__)
    try:
        yield
    finally:
        pools.pop()


# The card -----------------------------------------------------------------------------------------

class Event:
    """cupy.cuda.Event."""

    def record(self, stream=None):
        self.time = time.perf_counter()

    def synchronize(self):
        """Nothing: all work is done at once here."""


class CUDARuntimeError(RuntimeError):
    """What CuPy raises."""


runtime = types.SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError, driverGetVersion=lambda: 13000, getDevice=lambda: 0,
    runtimeGetVersion=lambda: 13000,
    getDeviceProperties=lambda device: {"name": b"a fake card", "totalGlobalMem": 2**30})


# cuBLAS -------------------------------------------------------------------------------------------

HANDLE = 7


def multiplication(function, factors, dtype):
    """The function of cuBLAS by which CuPy makes a product, and how many arguments it gets.

    A batch of matrices by one matrix is not one product there: the matrix is repeated by address.
    """
    batches = [np.shape(factor)[:-2] for factor in factors if isinstance(factor, np.ndarray)]
    if function.__name__ != "matmul" or not any(batches):
        return "gemmEx", 18
    if len({math.prod(batch) for batch in batches}) == 1:
        return "gemmStridedBatchedEx", 22
    return f"{'s' if dtype == np.float32 else 'd'}gemmBatched", 14


def refusing(*args):
    """Any function of CuPy's cublas module: it looks whether the stream captures."""
    if fake_device.recorder is not None:
        raise NotImplementedError(
            "calling cuBLAS API during stream capture is currently unsupported")


def library(calls=None):
    """The C library: every call succeeds. The list has their names."""
    calls = [] if calls is None else calls
    return types.SimpleNamespace(**{
        name: lambda *args, name=name: calls.append(name) or 0 for name in (
            "cublasSetStream_v2", "cublasSetWorkspace_v2", "cublasGemmEx",
            "cublasGemmStridedBatchedEx", "cublasSgemmBatched", "cublasDgemmBatched")})


def module(name, **contents):
    """A module that an import finds."""
    made = sys.modules[name] = types.ModuleType(name)
    vars(made).update(contents)
    return made


for _name in ("fake_backends", "fake_backends.cuda", "fake_backends.cuda.libs"):
    module(_name, __path__=[])
cublas = module("fake_backends.cuda.libs.cublas", gemmEx=refusing, gemmStridedBatchedEx=refusing,
                sgemmBatched=refusing, dgemmBatched=refusing)


# Arrays in arguments and results ------------------------------------------------------------------

def swapped(value, copies):
    """The same value with other arrays in the place of some: {id: array}."""
    if isinstance(value, dict):
        return {key: swapped(part, copies) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        make = getattr(type(value), "_make", type(value))
        return make(swapped(part, copies) for part in value)
    return copies.get(id(value), value)


def in_memory(value):
    """A result in which numbers of NumPy are arrays, as they are on a device."""
    if isinstance(value, (list, tuple)):
        return [in_memory(part) for part in value]
    return np.array(value) if isinstance(value, np.generic) else value


def arrays(value):
    """All arrays in a result."""
    if isinstance(value, (list, tuple)):
        return [array for part in value for array in arrays(part)]
    return [value] if isinstance(value, np.ndarray) else []


fake_device.xp.cuda = types.SimpleNamespace(
    Stream=Stream, Graph=Graph, MemoryPool=MemoryPool, using_allocator=using_allocator,
    get_current_stream=lambda: streams[-1] if streams else Stream(null=True),
    Event=Event, get_elapsed_time=lambda start, end: 1e3 * (end.time - start.time),
    Device=lambda: types.SimpleNamespace(synchronize=lambda: None), is_available=lambda: True,
    runtime=runtime)
