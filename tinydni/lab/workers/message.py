"""What workers say to each other: a kind, the number of a batch, and arrays. On a wire it is one block of bytes."""

import json
import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from tinydni import backend


class Kind(IntEnum):
    """What a message is about. Arrays that do not apply, such as a context that nobody uses, are None."""

    INPUT = 0           # (x, context, target): a batch to work on; from below x is the h of the module there
    GRADIENT = 1        # (dh,): the gradient at the output of the module below
    OUTPUT = 2          # (h,): full unlock, what the module below made of the batch; its synthetic input learns from it
    DONE = 3            # (): full unlock, everything about this batch is done
    SHARE = 4           # (gradient,): data parallelism, for the worker that adds up this part of the parameters
    MEAN = 5            # (gradient,): data parallelism, the sum of the shares
    LOSSES = 6          # (losses,): of this batch and those that follow
    SETTLE = 7          # (): let everything arrive, then send the state
    STATE = 8           # named arrays
    LOAD = 9            # named arrays: continue from this state
    RECORDS = 10        # (records,): the timeline, see recorder.py
    RUN = 11            # (text,): what the run is about, for a process that has yet to make its worker
    STOP = 12           # (): the run is over
    END = 13            # (): and there will be no other
    FAILED = 14         # (text,): a worker has raised; its traceback


class Message(NamedTuple):
    """kind: a Kind    step: number of the batch    sender: the worker's number    arrays: tuple of arrays or None"""

    kind: Kind
    step: int
    sender: int
    arrays: tuple = ()


class ProtocolError(RuntimeError):
    """A worker got what it cannot have been sent."""


# Named arrays and text as arrays.

def named(arrays):
    """{name: array} as a tuple of arrays, the names first."""
    return as_bytes(json.dumps(list(arrays))), *arrays.values()


def unnamed(arrays):
    """The {name: array} that `named` took."""
    names, *arrays = arrays
    return dict(zip(json.loads(as_text(names)), arrays, strict=True))


def as_bytes(text):
    """Text as an array of bytes."""
    return np.frombuffer(text.encode(), dtype=np.uint8)


def as_text(array):
    """The text that `as_bytes` took."""
    return array.tobytes().decode()


# A message as a block of bytes: a head of whole numbers, then each array, at multiples of ALIGN bytes.
# Head: MAGIC, kind, step, number of arrays, then for each array the index of its dtype, ndim, shape.

MAGIC = 0x74646E69
ALIGN = 64
DTYPES = tuple(map(np.dtype, ("float32", "float64", "int64", "int32", "uint8", "bool", "float16", "int8", "int16")))
NONE = -1               # the "dtype" of None


def pack(message):
    """A message as bytes (n,), uint8; arrays of a device are copied to the host. The bytes are the caller's own.

    Raises TypeError for an array of a dtype that is not in DTYPES, such as objects, which would need pickle.
    """
    arrays = [None if array is None else backend.to_numpy(array) for array in message.arrays]
    head = [MAGIC, message.kind, message.step, len(arrays)]
    for array in arrays:
        if array is None:
            head.append(NONE)
        elif array.dtype not in DTYPES:
            raise TypeError(f"a message holds {array.dtype}; only {', '.join(map(str, DTYPES))} can be sent.")
        else:
            head += [DTYPES.index(array.dtype), array.ndim, *array.shape]
    start = padded(8 * (len(head) + 1))
    total = start + sum(padded(array.nbytes) for array in arrays if array is not None)
    block = np.empty(total, np.uint8)
    block[:8 * (len(head) + 1)].view(np.int64)[:] = [len(head), *head]
    for array in arrays:
        if array is not None:
            block[start:start + array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
            start += padded(array.nbytes)
    return block


def unpack(block, sender):
    """The Message in a block of bytes; its arrays are views of the block.

    Raises ProtocolError for anything that `pack` does not make.
    """
    try:
        length = int(block[:8].view(np.int64)[0])
        head = block[8:8 * (length + 1)].view(np.int64).tolist()
        magic, kind, step, n_arrays = head[:4]
        if magic != MAGIC or len(head) != length:
            raise ValueError("the head is not one of ours")
        place, start, arrays = 4, padded(8 * (length + 1)), []
        for _ in range(n_arrays):
            if head[place] == NONE:
                arrays.append(None)
                place += 1
                continue
            dtype, ndim = DTYPES[head[place]], head[place + 1]
            shape = head[place + 2:place + 2 + ndim]
            if len(shape) != ndim or min(shape, default=0) < 0:
                raise ValueError(f"no array has the shape {shape}")
            n_bytes = dtype.itemsize * math.prod(shape)
            arrays.append(block[start:start + n_bytes].view(dtype).reshape(shape))
            place, start = place + 2 + ndim, start + padded(n_bytes)
        if start != len(block):
            raise ValueError(f"{len(block)} bytes came where {start} were announced")
        return Message(Kind(kind), step, sender, tuple(arrays))
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise ProtocolError(f"worker {sender} sent {len(block)} bytes that are no message: {error}.") from error


def padded(n_bytes):
    """The next multiple of ALIGN."""
    return -(-n_bytes // ALIGN) * ALIGN
