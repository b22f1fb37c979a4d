"""Pooling by the largest value."""

from tinydni.layers.layer import Layer
from tinydni.layers.windows import Windows


class MaxPool(Layer):
    """y[n, p, q, c] = the largest x[n, s p + i - padding, s q + j - padding, c],   i, j = 0 ... kernel - 1.

    dx = dy at the pixel that was the largest of its window, else 0; a pixel in several windows gets the sum. Where
    several pixels of a window are equally large, the first, line by line, gets all of dy.

    x (N, H, W, C): images    y (N, P, Q, C): output images,  P = (H + 2 padding - kernel) // s + 1
    kernel: height and width of a window
    stride s: pixels from one window to the next, by default the kernel; windows overlap where it is smaller
    padding: pixels that are added on every side, at most half of the kernel; they are never the largest
    Raises ValueError for more padding than that, or images smaller than a window.
    """

    def __init__(self, kernel=2, stride=None, padding=0):
        self.windows = Windows(kernel, stride, padding, "MaxPool")

    def forward(self, x):
        self.frame = self.windows.framed(self.xp, x, border=-self.xp.inf)
        first, *others = self.windows.taps(self.frame)
        y = first.copy()
        for tap in others:
            self.xp.maximum(y, tap, out=y)
        self.y = y
        return y

    def backward(self, dy):
        dframe = self.xp.zeros_like(self.frame)
        unclaimed = self.xp.ones(dy.shape, bool)            # windows whose largest pixel was not met yet
        for tap, dtap in zip(self.windows.taps(self.frame), self.windows.taps(dframe)):
            largest = tap == self.y
            largest &= unclaimed
            unclaimed ^= largest
            dtap += dy * largest
        return self.windows.inner(dframe)

    def output_shape(self, shape):
        return self.windows.output_shape(shape)

    def describe(self):
        return repr(self.windows)
