"""One BLAS thread for each worker: more of them than cores get into each other's way, and wait in spinning loops."""

import contextlib
import os

VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def one_blas_thread():
    """A context in which the matrix products of this process use one thread each.

    The library that NumPy multiplies with reads its environment only when it is loaded; threadpoolctl can tell it later.
    Raises RuntimeError where threadpoolctl is missing and the environment does not say so either.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        if any(os.environ.get(name) == "1" for name in VARIABLES):
            return contextlib.nullcontext()
        raise RuntimeError("several workers need one BLAS thread each: pip install threadpoolctl, or set "
                           "OPENBLAS_NUM_THREADS=1 before the start.") from None
    return threadpool_limits(1, "blas")
