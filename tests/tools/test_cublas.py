"""Products in a capture: CuPy's arguments reach the C library as they were."""

import ctypes
import types

import pytest

from tinydni.gpu import cublas


@pytest.mark.parametrize("name, numbers", [
    ("gemmEx", [0, 1, 3, 4, 5, 2**40, 2**41, 0, 6, 2**42, 0, 7, 2**43, 2**44, 0, 8, 68, -1]),
    ("gemmStridedBatchedEx", [0, 1, 3, 4, 5, 2**40, 2**41, 0, 6, 2**33, 2**42, 0, 7, 2**34, 2**43,
                              2**44, 0, 8, 2**35, 9, 68, -1]),
    ("sgemmBatched", [0, 1, 3, 4, 5, 2**40, 2**41, 6, 2**42, 7, 2**43, 2**44, 8, 9]),
])
def test_a_call_reaches_the_library_as_it_was(name, numbers):
    """Through C: a callback stands for the function of cuBLAS."""
    got = []
    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p,
                                *cublas.ARGUMENTS[name])(lambda *args: got.append(args) or 0)
    stream = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p,
                              ctypes.c_void_p)(lambda *args: got.append(args) or 0)
    space = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 2,
                             ctypes.c_size_t)(lambda *args: got.append(args) or 0)
    library = types.SimpleNamespace(cublasSetStream_v2=stream, cublasSetWorkspace_v2=space,
                                    **{"cublas" + name[0].upper() + name[1:]: function})
    cublas.direct(library, name, 2**45, 2**46)(2**47, *numbers)
    assert got == [(2**47, 2**45), (2**47, 2**46, cublas.WORKSPACE),
                   tuple([2**47, *(number or 0 for number in numbers)])]
    if not name.endswith("Ex"):
        return
    # float32, as CuPy says it of batches
    cublas.direct(library, name, 2**45, 2**46)(2**47, *numbers[:-2], 0, -1)
    assert got[-1][-2:] == (68, -1)


def test_a_failure_of_the_library_is_an_error():
    with pytest.raises(RuntimeError, match="cuBLAS failed with status 13"):
        cublas.check_status(13)
