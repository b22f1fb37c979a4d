"""Matrix products in a CUDA graph: CuPy refuses to capture them, cuBLAS itself does not.

CuPy 13 and 14 raise NotImplementedError for every call to cuBLAS on a stream that captures (issue
6290 of CuPy), since they do not check under which conditions it is right. A product of float
matrices with its factors on the host, all that a training step needs, can be captured (manual of
cuBLAS, section "CUDA graphs support"). So while a capture lasts, the functions by which CuPy
multiplies such matrices are replaced by the same call to the same library: one product, one for
each matrix of two batches, and one for each matrix of a batch with the same other one.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from tinydni import backend

WORKSPACE = 32 * 2**20      # memory for cuBLAS, as its manual advises for large devices [bytes]

INT, LONG, POINTER = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
SIZES, COEFFICIENT = [INT] * 5, [POINTER]       # two transpositions and m, n, k; alpha or beta
MATRIX = [POINTER, INT, INT]                    # address, type, leading dimension
MATRICES = [POINTER, INT, INT, LONG]            # and stride
POINTERS = [POINTER, INT]                       # addresses of the matrices, leading dimension
BATCH = SIZES + COEFFICIENT + 2 * POINTERS + COEFFICIENT + POINTERS + [INT]
ARGUMENTS: dict[str, list[Any]] = {             # after the handle; the same in CuPy and in C
    "gemmEx": SIZES + COEFFICIENT + 2 * MATRIX + COEFFICIENT + MATRIX + [INT, INT],
    "gemmStridedBatchedEx": (SIZES + COEFFICIENT + 2 * MATRICES + COEFFICIENT + MATRICES
                             + [INT, INT, INT]),
    "sgemmBatched": BATCH, "dgemmBatched": BATCH,
}
COMPUTE_TYPE = {0: 68, 1: 70}       # of cuBLAS 11, for what was float32 and float64 before


@contextmanager
def captured_products(xp: Any, stream: Any) -> Iterator[None]:
    """Let products of float32 and float64 matrices be captured on `stream` in this context.

    No other thread may compute meanwhile. Memory for cuBLAS to work in is taken from the pool in
    use, which has to live as long as the graph.
    """
    cupys = import_module(f"{backend.name_of(xp)}_backends.cuda.libs.cublas")
    library, workspace = library_of(cupys), xp.empty(WORKSPACE, dtype="uint8")
    refusing = {name: getattr(cupys, name) for name in ARGUMENTS}
    try:
        for name in ARGUMENTS:
            setattr(cupys, name, direct(library, name, stream.ptr, workspace.data.ptr))
        yield
    finally:
        for name, function in refusing.items():
            setattr(cupys, name, function)


def library_of(cupys: Any) -> ctypes.CDLL:
    """Return the cuBLAS that CuPy itself is linked with: its extension module finds it."""
    return ctypes.CDLL(cupys.__file__)


def direct(library: Any, name: str, stream: int, workspace: int) -> Callable[..., None]:
    """Return a function of cuBLAS with the arguments of CuPy's, on a stream and in a workspace."""
    function = getattr(library, "cublas" + name[0].upper() + name[1:])

    def call(handle: Any, *args: Any) -> None:
        if name.endswith("Ex"):
            *args, compute_type, algorithm = args       # type: ignore[assignment]
            args = (*args, COMPUTE_TYPE.get(compute_type, compute_type), algorithm)
        handle = POINTER(handle)
        check_status(library.cublasSetStream_v2(handle, POINTER(stream)))
        check_status(library.cublasSetWorkspace_v2(handle, POINTER(workspace),
                                                   ctypes.c_size_t(WORKSPACE)))
        check_status(function(handle, *(kind(value) for kind, value
                                        in zip(ARGUMENTS[name], args, strict=True))))
    return call


def check_status(status: int) -> None:
    """Raise RuntimeError where cuBLAS reports a failure."""
    if status != 0:
        raise RuntimeError(f"cuBLAS failed with status {status} while a step was captured; "
                           "leave out capture.")
