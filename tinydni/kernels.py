"""The few inner loops whose fast form is worth a name; each says its plain form, and a test compares the two."""

from functools import lru_cache

from tinydni import backend

MOST_MULTIPLICATIONS = 600_000      # of a product that OpenBLAS computes without copying its matrices first


@lru_cache(maxsize=64)
def ones(xp, n, dtype):
    """The row of ones (n,), made once for each n."""
    return xp.ones(n, dtype)


def batch_sum(xp, x):
    """Sum over the batch. Plain form: x.sum(axis=0).

    As a product with a row of ones it is a matrix-vector product, 2.5 times as fast as the reduction.

    x (N, M): any array    returns (M,)
    """
    return ones(xp, len(x), x.dtype) @ x


def batch_dot(xp, x, y):
    """Sum over the batch of products. Plain form: (x * y).sum(axis=0), without the temporary array.

    x, y (N, M): any arrays    returns (M,)
    """
    return xp.einsum("ij,ij->j", x, y)


def column_blocks(xp, a, n_rows, n_inner, width=64):
    """A view (B, rows, columns / B) of a matrix (rows, columns), for x @ a block of columns by block of columns.

    With Wb and yb such views of W and y, matmul(x, Wb, out=yb) is y = x @ W. Plain form: B = 1, one product. The
    BLAS of NumPy copies a large matrix before it multiplies; a block that is small enough it takes where it lies. In
    a recurrent layer, whose batch is a few rows, that saves half of the time. A GPU gets the plain form.

    n_rows, n_inner: of x, which decide how wide a block may be
    """
    while width > 16 and n_rows * n_inner * width > MOST_MULTIPLICATIONS:
        width //= 2
    n_blocks = a.shape[1] // width if backend.is_host(xp) and a.shape[1] % width == 0 else 1
    return a.reshape(len(a), n_blocks, -1).transpose(1, 0, 2)


def fuses(xp):
    """Tells whether a chain of elementwise operations can be one kernel of `xp`, as with CuPy; else there is the plain form."""
    return hasattr(xp, "ElementwiseKernel")


@lru_cache(maxsize=64)
def chain(xp, name, inputs, outputs, body):
    """A kernel that runs `body` for every element: one launch, and every array is read and written once.

    body: assignments between semicolons that are C and Python alike. All names are of one type T, arrays or numbers; a
    number is as good as an array. What is in `outputs` may be read, too, and is then changed in place.
    inputs, outputs: names, in the order in which the kernel takes its arguments
    Plain form: the optimizer's `rule`, whose chains these are. In C a literal must be whole, or it makes a float a double.
    """
    declared = (", ".join(f"T {each}" for each in names) for names in (inputs, outputs))
    return xp.ElementwiseKernel(*declared, body, name)
