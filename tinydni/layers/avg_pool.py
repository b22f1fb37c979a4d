"""Pooling by the mean."""

from tinydni.layers.layer import Layer
from tinydni.layers.windows import Windows


class AvgPool(Layer):
    """y[n, p, q, c] = the mean of x[n, s p + i - padding, s q + j - padding, c] over i, j = 0 ... kernel - 1.

    dx = dy / kernel² at every pixel of a window; a pixel in several windows gets the sum.

    x (N, H, W, C): images    y (N, P, Q, C): output images,  P = (H + 2 padding - kernel) // s + 1
    kernel: height and width of a window
    stride s: pixels from one window to the next, by default the kernel; windows overlap where it is smaller
    padding: pixels of zeros that are added on every side, at most half of the kernel; the mean counts them
    Raises ValueError for more padding than that, or images smaller than a window.
    """

    def __init__(self, kernel=2, stride=None, padding=0):
        self.windows = Windows(kernel, stride, padding, "AvgPool")

    def forward(self, x):
        frame = self.windows.framed(self.xp, x)
        self.frame_shape = frame.shape
        first, *others = self.windows.taps(frame)
        y = first.copy()
        for tap in others:
            y += tap
        y /= self.windows.kernel**2
        return y

    def backward(self, dy):
        dframe = self.xp.zeros(self.frame_shape, dy.dtype)
        share = dy / self.windows.kernel**2
        for dtap in self.windows.taps(dframe):
            dtap += share
        return self.windows.inner(dframe)

    def output_shape(self, shape):
        return self.windows.output_shape(shape)

    def describe(self):
        return repr(self.windows)
