"""Layers that make images smaller, or rows of them. They have no parameters."""

import math
from collections.abc import Iterator

from tinydni.backend import Array
from tinydni.checks import check_floats, check_gradient, check_positive_int
from tinydni.convolution import check_images, image_shape, n_windows
from tinydni.layer import Layer, Shape, read_only

__all__ = ["AvgPool", "Flatten", "GlobalAvgPool", "MaxPool", "Subsample"]


class Pool(Layer):
    """The windows of a pooling: kernel · kernel pixels, every `stride` pixels (s; None: kernel).

    x (N, H, W, C);   y (N, P, Q, C), P = (H + 2 padding - kernel) // s + 1;   padding: pixels that
    are added on every side, at most half of the kernel.
    """

    border = 0.0
    description = "kernel={kernel}, stride={stride}, padding={padding}"

    def __init__(self, kernel: int = 2, stride: int | None = None, padding: int = 0):
        kernel = self.kernel = check_positive_int(kernel, "kernel")
        self.stride = kernel if stride is None else check_positive_int(stride, "stride")
        self.padding = check_positive_int(padding, "padding", 0, kernel // 2)

    def framed(self, x: Array) -> Array:
        """Return images with their border: (N, H + 2 padding, W + 2 padding, C)."""
        check_images(x, None, None, type(self).__name__)
        self.output_shape(x.shape[1:])      # raises where no window fits
        p, (N, H, W, C) = self.padding, x.shape
        if p == 0:
            return x
        frame = self.xp.full((N, H + 2 * p, W + 2 * p, C), self.border, x.dtype)
        frame[:, p:-p, p:-p] = x
        return frame

    def inner(self, frame: Array) -> Array:
        """Return the images in their frame: (N, H, W, C)."""
        p = self.padding
        return frame[:, p:-p, p:-p] if p else frame

    def taps(self, frame: Array) -> Iterator[Array]:
        """Yield, for each place in the window, the pixels that it meets: views (N, P, Q, C)."""
        s, k = self.stride, self.kernel
        P, Q = ((n - k) // s + 1 for n in frame.shape[1:3])
        for i in range(k):
            for j in range(k):
                yield frame[:, i:i + s * P:s, j:j + s * Q:s]

    def output_shape(self, shape: Shape) -> Shape:
        *size, C = image_shape(shape, type(self).__name__)
        return *n_windows(size, self.kernel, self.stride, self.padding, type(self).__name__), C


class MaxPool(Pool):
    """y[n, p, q, c] = the largest x[n, s p + i - padding, s q + j - padding, c] of a window.

    dx = dy at the pixel that was the largest of its window, else 0; the first of several that are
    equally large. A pixel in several windows gets the sum. Padding is never the largest.
    """

    border = -math.inf

    def forward(self, x: Array) -> Array:
        self.frame = self.framed(x)
        first, *others = self.taps(self.frame)
        y = first.copy()
        for tap in others:
            self.xp.maximum(y, tap, out=y)
        self.y = read_only(y)
        return y

    def backward(self, dy: Array) -> Array:
        check_gradient(dy, self.y.shape, self.y.dtype, "MaxPool")
        dframe = self.xp.zeros_like(self.frame)
        unclaimed = self.xp.ones(dy.shape, bool)    # windows whose largest pixel was not met yet
        for tap, dtap in zip(self.taps(self.frame), self.taps(dframe)):
            largest = tap == self.y
            largest &= unclaimed
            unclaimed ^= largest
            dtap += dy * largest
        return self.inner(dframe)


class AvgPool(Pool):
    """y[n, p, q, c] = the mean of x[n, s p + i - padding, s q + j - padding, c] over a window.

    dx = dy / kernel² at every pixel of a window, summed where windows overlap. Padding is zero, and
    the mean counts it.
    """

    def forward(self, x: Array) -> Array:
        frame = self.framed(x)
        self.frame_shape = frame.shape
        first, *others = self.taps(frame)
        y = first.copy()
        for tap in others:
            y += tap
        y /= self.kernel**2
        self.y_shape, self.dtype = y.shape, y.dtype
        return y

    def backward(self, dy: Array) -> Array:
        check_gradient(dy, self.y_shape, self.dtype, "AvgPool")
        dframe = self.xp.zeros(self.frame_shape, dy.dtype)
        share = dy / self.kernel**2
        for dtap in self.taps(dframe):
            dtap += share
        return self.inner(dframe)


class GlobalAvgPool(Layer):
    """y[n, c] = the mean of x[n, :, :, c],   dx = dy / (H W) at every pixel.

    x (N, H, W, C);   y (N, C).   (Lin et al. 2014, section 3.2)
    """

    def forward(self, x: Array) -> Array:
        check_images(x, None, None, "GlobalAvgPool")
        self.shape, self.dtype = x.shape, x.dtype
        return x.mean(axis=(1, 2))

    def backward(self, dy: Array) -> Array:
        N, H, W, C = self.shape
        check_gradient(dy, (N, C), self.dtype, "GlobalAvgPool")
        dx = self.xp.empty(self.shape, dy.dtype)
        dx[...] = (dy / (H * W))[:, None, None]
        return dx

    def output_shape(self, shape: Shape) -> Shape:
        return image_shape(shape, "GlobalAvgPool")[-1:]


class Subsample(Layer):
    """y = every s-th pixel of x, with channels of zeros added (He et al. 2016, section 3.3, A).

    The shortcut of a residual block that halves the image and widens the channels.
    x (N, H, W, C);   y (N, P, Q, M), P = ceil(H / s), as after a convolution of padding "same".
    """

    description = "{n_in} -> {n_out}, stride={stride}"

    def __init__(self, n_in: int, n_out: int, stride: int = 2):
        self.n_in = check_positive_int(n_in, "n_in")
        self.n_out = check_positive_int(n_out, "n_out", minimum=n_in)
        self.stride = check_positive_int(stride, "stride")

    def forward(self, x: Array) -> Array:
        check_images(x, self.n_in, None, "Subsample")
        self.shape, self.dtype = x.shape, x.dtype
        y = self.xp.zeros((len(x), *self.output_shape(x.shape[1:])), x.dtype)
        y[..., :self.n_in] = x[:, ::self.stride, ::self.stride]
        return y

    def backward(self, dy: Array) -> Array:
        y_shape = (self.shape[0], *self.output_shape(self.shape[1:]))
        check_gradient(dy, y_shape, self.dtype, "Subsample")
        dx = self.xp.zeros(self.shape, dy.dtype)
        dx[:, ::self.stride, ::self.stride] = dy[..., :self.n_in]
        return dx

    def output_shape(self, shape: Shape) -> Shape:
        height, width, _ = image_shape(shape, "Subsample")
        return -(-height // self.stride), -(-width // self.stride), self.n_out


class Flatten(Layer):
    """y = x with all axes but the first laid end to end;   dx = dy in the shape of x."""

    def forward(self, x: Array) -> Array:
        check_floats(x, "Flatten")
        self.shape, self.dtype = x.shape, x.dtype
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy: Array) -> Array:
        N, M = self.shape[0], math.prod(self.shape[1:])
        check_gradient(dy, (N, M), self.dtype, "Flatten")
        return dy.reshape(self.shape)

    def output_shape(self, shape: Shape) -> Shape:
        if None in shape:
            raise ValueError(f"Flatten: the shape must be known; got {shape}. Say input_shape=...")
        return (math.prod(shape),)
