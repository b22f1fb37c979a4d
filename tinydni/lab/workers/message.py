"""What workers say to each other: a kind, the number of a batch, and arrays; on a wire, bytes."""

import json
import math
import traceback
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinydni import backend


class Kind(IntEnum):
    """What a message is about. Arrays that do not apply, such as an unused context, are None."""

    INPUT = 0           # (x, context, target): a batch to work on; from below, x is the h there
    GRADIENT = 1        # (dh,): gradient of the batch-mean loss at the output of the module below
    OUTPUT = 2          # (h,): full unlock, from which the synthetic input above learns
    DONE = 3            # (): full unlock, everything about this batch is done
    SHARE = 4           # (gradient,): data parallelism, for the worker that adds up this part
    MEAN = 5            # (gradient,): data parallelism, the sum of the shares
    LOSSES = 6          # (losses,): of this batch and those that follow
    SETTLE = 7          # (): let everything arrive, then send the state
    STATE = 8           # named arrays
    LOAD = 9            # named arrays: continue from this state
    RUN = 10            # (text,): what the run is about, for a process that is yet to make a worker
    STOP = 11           # (): the run is over
    END = 12            # (): and there will be no other
    FAILED = 13         # (text,): a worker has raised; the exception in one line
    INTERRUPTED = 14    # (): a process was told to stop, by Ctrl-C or a batch system
    ASK = 15            # (): are you there?
    HERE = 16           # (): I am


class Message(NamedTuple):
    """step: number of the batch    sender: the worker's number    arrays: arrays or None."""

    kind: Kind
    step: int
    sender: int
    arrays: tuple[Any, ...] = ()


class ProtocolError(RuntimeError):
    """A worker got what it cannot have been sent."""


# Named arrays and text as arrays.

def named(arrays: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return {name: array} as a tuple of arrays, the names first."""
    return as_bytes(json.dumps(list(arrays))), *arrays.values()


def unnamed(arrays: Sequence[Any]) -> dict[str, Any]:
    """Return the {name: array} that `named` took."""
    names, *arrays = arrays
    return dict(zip(json.loads(as_text(names)), arrays, strict=True))


def as_bytes(text: str) -> np.ndarray:
    """Return text as an array of bytes."""
    return np.frombuffer(text.encode(), dtype=np.uint8)


def as_text(array: np.ndarray) -> str:
    """Return the text that `as_bytes` took."""
    return array.tobytes().decode()


# A message as a block of bytes: a head of whole numbers, then arrays, at multiples of ALIGN bytes.
# Head: its length, MAGIC, kind, step; of each array the index of its dtype, ndim, shape. (A head of
# JSON would be shorter to write, and take longer than all else.)

MAGIC, ALIGN = 0x74646E69, 64
DTYPES = tuple(map(np.dtype, ("float32", "float64", "int64", "int32", "uint8", "bool", "float16",
                              "int8", "int16")))
NONE = -1               # the "dtype" of None


def pack(message: Message) -> np.ndarray:
    """Return a message as bytes (n,), uint8; arrays of a device are copied to the host.

    Raises TypeError for a dtype that is not in DTYPES, such as objects, which would need pickle.
    """
    head, sent = [0, MAGIC, message.kind, message.step], []
    for array in message.arrays:
        if array is None:
            head.append(NONE)
            continue
        if array.dtype not in DTYPES:
            raise TypeError(f"a message holds {array.dtype}; only {', '.join(map(str, DTYPES))} "
                            "can be sent.")
        head += [DTYPES.index(array.dtype), array.ndim, *array.shape]
        sent.append(backend.to_numpy(array))
    head[0], start = len(head), padded(8 * len(head))
    block = np.empty(start + sum(padded(array.nbytes) for array in sent), np.uint8)
    block[:8 * len(head)].view(np.int64)[:] = head
    for array in sent:
        block[start:start + array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
        start += padded(array.nbytes)
    return block


def unpack(block: np.ndarray, sender: int) -> Message:
    """Return the Message in a block of bytes; its arrays are views of the block.

    Raises ProtocolError for anything that `pack` does not make.
    """
    try:
        length = int(block[:8].view(np.int64)[0])
        _, magic, kind, step, *head = block[:8 * length].view(np.int64).tolist()
        if magic != MAGIC or len(head) != length - 4:
            raise ValueError("the head is not one of ours")
        arrays: list[np.ndarray | None] = []
        start = padded(8 * length)
        while head:
            index = head.pop(0)
            if index == NONE:
                arrays.append(None)
                continue
            dtype, ndim = DTYPES[index], head.pop(0)
            shape, head = head[:ndim], head[ndim:]
            if index < 0 or len(shape) != ndim or min(shape, default=0) < 0:
                raise ValueError(f"no array has the shape {shape}")
            n_bytes = dtype.itemsize * math.prod(shape)
            arrays.append(block[start:start + n_bytes].view(dtype).reshape(shape))
            start += padded(n_bytes)
        if start != len(block):
            raise ValueError(f"{len(block)} bytes came where {start} were announced")
        return Message(Kind(kind), step, sender, tuple(arrays))
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise ProtocolError(f"worker {sender} sent {len(block)} bytes that are no message: "
                            f"{error}.") from error


def padded(n_bytes: int) -> int:
    """Return the next multiple of ALIGN."""
    return -(-n_bytes // ALIGN) * ALIGN


def failure(worker: int, step: int, error: BaseException) -> Message:
    """Return the message that a worker has raised: the exception in one line, and where it was."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
    return Message(Kind.FAILED, step, worker, (as_bytes(text),))
