"""The inner loops of a convolution, each in a plain form and in a form that is fast on a CPU.

correlate         y[n, p, q] = sum over i, j of x[n, s p + i - top, s q + j - left] · W[i, j],  s the stride
kernel_gradient   dW[i, j] = sum over n, p, q of x[n, s p + i - top, s q + j - left]ᵀ · dy[n, p, q]
input_gradient    dx, a correlation of dy with the kernel turned round

where x is zero outside of the image. The plain form, `by_columns`, copies all windows into one matrix and makes one
product: right for a device, and the reference of the tests. On a CPU that matrix, nine times the image for a 3x3
kernel, costs more time than the product. There the fast form, `by_rows`, takes a few images at a time and only the
windows of one kernel row: three times the image, in the cache, in products that are small enough for BLAS to skip
its packing. Rows of kernels share them: row i of the kernel meets what row 0 meets i pixels further down.

x (N, H, W, C): images    W (kh, kw, C, M): kernel    y (N, P, Q, M): output images    dW, dx, dy: their gradients
offset (top, left): how far the first window begins before the image    shape (P, Q): the number of windows
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinydni import backend
from tinydni.layers.windows import framed, overlap_of_images

BLOCK = 250_000     # numbers in the windows of one block: 1 MB in float32, the level-2 cache of a core


def correlate(xp, x, W, stride, offset, shape):
    """y (N, P, Q, M): the kernel laid on every window of the images."""
    form = correlate_by_rows if backend.is_host(xp) else correlate_by_columns
    return form(xp, x, W, stride, offset, shape)


def kernel_gradient(xp, x, dy, kernel, stride, offset):
    """dW (kh, kw, C, M) for kernel (kh, kw)."""
    form = kernel_gradient_by_rows if backend.is_host(xp) else kernel_gradient_by_columns
    return form(xp, x, dy, kernel, stride, offset)


def input_gradient(xp, dy, W, stride, offset, shape):
    """dx (N, H, W, C) for shape (H, W).

    The pixels s a + r of the padded image, phase r of s, meet only the elements s i + r of the kernel, along both
    axes: dx[s a + r, s b + u] = sum over i, j of dy[a - i, b - j] · W[s i + r, s j + u]ᵀ. So dx is made of s² plain
    correlations, one for each phase, with its part of the kernel turned round; with stride 1 there is one.
    """
    s, (kh, kw) = stride, W.shape[:2]
    dx = None if s == 1 else xp.zeros((len(dy), *shape, W.shape[2]), dy.dtype)      # a stride may skip pixels
    for r in range(min(s, kh)):
        for u in range(min(s, kw)):
            rows, P, top = phase(r, s, kh, offset[0], shape[0])
            columns, Q, left = phase(u, s, kw, offset[1], shape[1])
            if P and Q:                             # an image of one pixel has none in some phases
                turned = W[r::s, u::s][::-1, ::-1].transpose(0, 1, 3, 2)
                part = correlate(xp, dy, turned, 1, (top, left), (P, Q))
                if s == 1:
                    return part
                dx[:, rows, columns] = part
    return dx


def phase(r, stride, kernel, before, size):
    """Along one axis, the pixels of x in phase r: (their slice, their number, how far the first begins before dy)."""
    first = (r - before) % stride
    n_taps = len(range(r, kernel, stride))
    return slice(first, None, stride), len(range(first, size, stride)), n_taps - 1 - (first + before - r) // stride


# The plain form: one matrix of all windows, one product.

def windows_of(xp, x, kernel, stride, offset, shape):
    """All windows, copied side by side: (N · P · Q, kh · kw · C)."""
    (kh, kw), (P, Q), C = kernel, shape, x.shape[-1]
    frame = framed(xp, x, offset, (stride * (P - 1) + kh, stride * (Q - 1) + kw))
    windows = xp.lib.stride_tricks.sliding_window_view(frame, (kh, kw), axis=(1, 2))[:, ::stride, ::stride]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kh * kw * C)


def correlate_by_columns(xp, x, W, stride, offset, shape):
    *kernel, C, M = W.shape
    columns = windows_of(xp, x, kernel, stride, offset, shape)
    return (columns @ W.reshape(-1, M)).reshape(len(x), *shape, M)


def kernel_gradient_by_columns(xp, x, dy, kernel, stride, offset):
    C, M = x.shape[-1], dy.shape[-1]
    columns = windows_of(xp, x, kernel, stride, offset, dy.shape[1:3])
    return (columns.T @ dy.reshape(-1, M)).reshape(*kernel, C, M)


# The fast form: a few images at a time, one product for each row of the kernel.

def row_blocks(x, kernel, stride, offset, shape):
    """Yields (block, rows): which images, and for each row i of the kernel what it meets, rows[i] (n, P · Q, kw · C).

    The frame holds a few images with their border; its lines are kept in `stride` groups, so that the lines which
    row i meets, one for every p, follow each other and P · Q is one axis without a copy.
    """
    (kh, kw), (P, Q), (N, *size, C) = kernel, shape, x.shape
    n_lines = P + (kh - 1) // stride                    # in each group
    n = max(1, min(N, BLOCK // (stride * n_lines * Q * kw * C)))
    frame = np.zeros((n, stride * n_lines, stride * (Q - 1) + kw, C), x.dtype)
    image, line, pixel, number = frame.strides
    windows = as_strided(frame, (n, stride, n_lines, Q, kw * C),
                         (image, line, stride * line, stride * pixel, number), writeable=False)
    copies = np.empty(windows.shape, x.dtype)
    rows = [copies[:, i % stride, i // stride:i // stride + P].reshape(n, P * Q, kw * C) for i in range(kh)]
    in_frame, in_x = overlap_of_images(size, offset, frame.shape[1:3])
    inner, x = frame[in_frame], x[in_x]
    for start in range(0, N, n):
        block = slice(start, min(start + n, N))
        k = block.stop - block.start
        inner[:k] = x[block]
        copies[:k] = windows[:k]
        yield block, [row[:k] for row in rows]


def correlate_by_rows(xp, x, W, stride, offset, shape):
    kh, kw, C, M = W.shape
    y = np.empty((len(x), shape[0] * shape[1], M), x.dtype)
    first, *others = W.reshape(kh, kw * C, M)
    for block, (row, *rows) in row_blocks(x, (kh, kw), stride, offset, shape):
        np.matmul(row, first, out=y[block])
        for row, w in zip(rows, others):
            y[block] += row @ w
    return y.reshape(len(x), *shape, M)


def kernel_gradient_by_rows(xp, x, dy, kernel, stride, offset):
    (kh, kw), (N, P, Q, M), C = kernel, dy.shape, x.shape[-1]
    dW = np.zeros((kh, kw * C, M), x.dtype)
    dy = dy.reshape(N, P * Q, M)
    for block, rows in row_blocks(x, kernel, stride, offset, (P, Q)):
        for i, row in enumerate(rows):
            dW[i] += (row.transpose(0, 2, 1) @ dy[block]).sum(axis=0)
    return dW.reshape(kh, kw, C, M)
