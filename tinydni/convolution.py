"""The convolution of images with learned kernels. Images are (N, H, W, C), channels last."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.backend import Array, is_host
from tinydni.layer import Layer, Shape, batch_sum, normal, zeros

__all__ = ["Conv2D"]

BLOCK = 250_000     # numbers in the windows of one block: 1 MB in float32, a core's level-2 cache


class Conv2D(Layer):
    """Convolution (a correlation, as everywhere in this field) (LeCun et al. 1998, section II).

    y[n, p, q] = sum over i, j of x[n, s p + i - padding, s q + j - padding] · W[i, j] + b,
    dW[i, j] = sum over n, p, q of x[n, s p + i - padding, s q + j - padding]ᵀ dy[n, p, q],
    db = sum of dy over n, p, q,   dx = the correlation of dy with the kernels turned round.
    x (N, H, W, C), zero outside;   y (N, P, Q, M), P = (H + 2 padding - kernel) // s + 1;
    W (kernel, kernel, C, M);   b (M,).

    Parameters
    ----------
    n_in, n_out : C and M
    rng : draws W, normal; b starts at zero
    kernel, stride : height and width of a kernel; s, pixels from one window to the next
    padding : zeros on every side, fewer than kernel; "same", (kernel - 1) / 2, keeps H and W
    bias, dtype : whether there is a b; of the parameters
    std : standard deviation of W, by default sqrt(2 / (kernel² C)) (He et al. 2015, eq. 10)
    """

    parameters: tuple[str, ...] = ("W", "b")
    description = "{n_in} -> {n_out}, kernel={kernel}, stride={stride}, padding={padding}"

    def __init__(self, n_in: int, n_out: int, rng: np.random.Generator, kernel: int = 3,
                 stride: int = 1, padding: int | str = "same", bias: bool = True,
                 std: float | None = None, dtype: Any = np.float32):
        n_in = self.n_in = checks.check_positive_int(n_in, "n_in")
        n_out = self.n_out = checks.check_positive_int(n_out, "n_out")
        kernel = self.kernel = checks.check_positive_int(kernel, "kernel")
        self.stride = checks.check_positive_int(stride, "stride")
        if isinstance(padding, str) and padding == "same":
            if kernel % 2 == 0:
                raise ValueError(f'padding "same" needs an odd kernel; got {kernel}.')
            padding = (kernel - 1) // 2
        self.padding = checks.check_positive_int(padding, "padding", 0, kernel - 1)
        self.offset = self.padding, self.padding    # of the first window, before the image
        std = np.sqrt(2 / (kernel * kernel * n_in)) if std is None else std
        self.W = normal(rng, (kernel, kernel, n_in, n_out), std, dtype)
        self.b = zeros((n_out,), dtype) if checks.check_bool(bias, "bias") else None
        if not bias:
            self.parameters = ("W",)
            self.description += ", bias=False"

    def forward(self, x: Array) -> Array:
        check_images(x, self.n_in, self.W.dtype, "Conv2D")
        self.x = x
        *shape, _ = self.output_shape(x.shape[1:])
        y = correlate(self.xp, x, self.W, self.stride, self.offset, tuple(shape))
        if self.b is not None:
            y += self.b
        return y

    def backward(self, dy: Array) -> Array:
        kernel, shape = self.W.shape[:2], self.x.shape[1:3]
        y_shape = (len(self.x), *self.output_shape(self.x.shape[1:]))
        checks.check_gradient(dy, y_shape, self.W.dtype, "Conv2D")
        self.dW = kernel_gradient(self.xp, self.x, dy, kernel, self.stride, self.offset)
        if self.b is not None:
            self.db = batch_sum(self.xp, dy.reshape(-1, self.n_out))
        if not self.needs_dx:
            return None
        return input_gradient(self.xp, dy, self.W, self.stride, self.offset, shape)

    def output_shape(self, shape: Shape) -> Shape:
        *size, _ = image_shape(shape, "Conv2D")
        return *n_windows(size, self.kernel, self.stride, self.padding, "Conv2D"), self.n_out


# The inner loops. A matrix of all windows, nine times the image for a 3 x 3 kernel, would cost more
# time than the product with it. So `row_blocks` takes a few images at a time, and only the windows
# of one kernel row. Row i of the kernel meets what row 0 meets i pixels further down.

def correlate(xp: Any, x: Array, W: Array, stride: int, offset: Shape, shape: Shape) -> Array:
    """y[n, p, q] = sum over i, j of x[n, s p + i - top, s q + j - left] · W[i, j], shape (P, Q)."""
    kh, kw, C, M = W.shape
    y = xp.empty((len(x), shape[0] * shape[1], M), x.dtype)
    first, *others = W.reshape(kh, kw * C, M)
    for block, (row, *rows) in row_blocks(xp, x, (kh, kw), stride, offset, shape):
        xp.matmul(row, first, out=y[block])
        for row, w in zip(rows, others):
            y[block] += row @ w
    return y.reshape(len(x), *shape, M)


def kernel_gradient(xp: Any, x: Array, dy: Array, kernel: Shape, stride: int,
                    offset: Shape) -> Array:
    """dW[i, j] = sum over n, p, q of x[n, s p + i - top, s q + j - left]ᵀ · dy[n, p, q]."""
    (kh, kw), (N, P, Q, M), C = kernel, dy.shape, x.shape[-1]
    dW = xp.zeros((kh, kw * C, M), x.dtype)
    dy = dy.reshape(N, P * Q, M)
    for block, rows in row_blocks(xp, x, (kh, kw), stride, offset, (P, Q)):
        for i, row in enumerate(rows):
            dW[i] += (row.transpose(0, 2, 1) @ dy[block]).sum(axis=0)
    return dW.reshape(kh, kw, C, M)


def input_gradient(xp: Any, dy: Array, W: Array, stride: int, offset: Shape,
                   shape: Shape) -> Array:
    """dx[n, s p + i - top, s q + j - left] sums dy[n, p, q] · W[i, j]ᵀ, shape (H, W)."""
    (N, P, Q, M), (kh, kw, C, _), (top, left), (H, width) = dy.shape, W.shape, offset, shape
    if stride == 1:                 # the same as a correlation, which takes fewer passes
        turned = W[::-1, ::-1].transpose(0, 1, 3, 2)
        return correlate(xp, dy, turned, 1, (kh - 1 - top, kw - 1 - left), shape)
    size = max(stride * (P - 1) + kh, top + H), max(stride * (Q - 1) + kw, left + width)
    frame = xp.zeros((N, *size, C), dy.dtype)
    n = max(1, BLOCK // (P * Q * (C + M))) if is_host(xp) else N
    for start in range(0, N, n):
        few, part = frame[start:start + n], dy[start:start + n].reshape(-1, M)
        for i, j in np.ndindex(kh, kw):
            meant = few[:, i:i + stride * P:stride, j:j + stride * Q:stride]
            meant += (part @ W[i, j].T).reshape(-1, P, Q, C)
    return frame[:, top:top + H, left:left + width]


def row_blocks(xp: Any, x: Array, kernel: Shape, stride: int, offset: Shape,
               shape: Shape) -> Iterator[tuple[slice, list[Array]]]:
    """Yield which images, and what row i of the kernel meets there, rows[i] (n, P · Q, kw · C).

    The frame holds a few images (a device takes all) with their border. Its lines lie in `stride`
    groups: those that row i meets, one for every p, follow each other, and P · Q is one axis.
    """
    (kh, kw), (P, Q), (N, *size, C) = kernel, shape, x.shape
    n_lines = P + (kh - 1) // stride                    # in each group
    n = max(1, min(N, BLOCK // (stride * n_lines * Q * kw * C))) if is_host(xp) else N
    frame = xp.zeros((n, stride * n_lines, stride * (Q - 1) + kw, C), x.dtype)
    image, line, pixel, number = frame.strides
    windows = xp.lib.stride_tricks.as_strided(
        frame, (n, stride, n_lines, Q, kw * C),
        (image, line, stride * line, stride * pixel, number))
    copies = xp.empty(windows.shape, x.dtype)
    rows = [copies[:, i % stride, i // stride:i // stride + P].reshape(n, P * Q, kw * C)
            for i in range(kh)]
    inner = frame[:, offset[0]:offset[0] + size[0], offset[1]:offset[1] + size[1]]
    x = x[:, :inner.shape[1], :inner.shape[2]]
    for start in range(0, N, n):
        block = slice(start, min(start + n, N))
        k = block.stop - block.start
        inner[:k] = x[block]
        copies[:k] = windows[:k]
        yield block, [row[:k] for row in rows]


# Where windows lie: shared with pooling.

def check_images(x: Array, n_channels: int | None, dtype: Any, owner: str) -> None:
    """Raise unless `x` is (N, H, W, n_channels) with the owner's dtype; None: any."""
    checks.check_floats(x, owner)
    if x.ndim != 4 or n_channels not in (None, x.shape[-1]):
        raise ValueError(f"{owner}: x must have shape (N, height, width, {n_channels or 'C'}); got "
                         f"{x.shape}. Channels come last: x.transpose(0, 2, 3, 1).")
    checks.check_features(x, x.shape[-1], dtype, owner)


def image_shape(shape: Shape, owner: str) -> Shape:
    """Return `shape` if it is (height, width, channels)."""
    if len(shape) != 3:
        raise ValueError(f"{owner}: an image's shape is (height, width, channels); got {shape}.")
    return shape


def n_windows(size: Any, kernel: int, stride: int, padding: int, owner: str) -> Shape:
    """Count the windows along each axis of size (H, W). Raise ValueError if none fits."""
    if min(size) + 2 * padding < kernel:
        raise ValueError(f"{owner}: a kernel of {kernel} does not fit into {min(size)} pixels.")
    return tuple((pixels + 2 * padding - kernel) // stride + 1 for pixels in size)
