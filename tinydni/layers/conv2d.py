"""The convolution of images with learned kernels."""

import numpy as np

from tinydni import checks
from tinydni.kernels import batch_sum
from tinydni.layers.conv_kernels import correlate, input_gradient, kernel_gradient
from tinydni.layers.layer import Layer
from tinydni.layers.windows import image, image_shape, n_windows


class Conv2D(Layer):
    """Convolution (a correlation, as everywhere in this field)  (LeCun et al. 1998, section II).

    y[n, p, q] = sum over i, j of x[n, s p + i - padding, s q + j - padding] · W[i, j] + b,   x zero outside.

    x (N, H, W, C): images, channels last    y (N, P, Q, M): output images,  P = (H + 2 padding - kernel) // s + 1
    W (kernel, kernel, C, M): kernels        b (M,): biases
    dW[i, j] = sum over n, p, q of x[n, s p + i - padding, s q + j - padding]ᵀ dy[n, p, q],   db = sum of dy over
    n, p, q,   dx = the correlation of dy with the kernels turned round. The loops are in conv_kernels.py.

    stride s: pixels from one window to the next
    padding: pixels of zeros on every side, less than the kernel; "same": (kernel - 1) / 2, with which stride 1
    keeps H and W
    W starts normal with standard deviation `std`, by default sqrt(2 / (kernel² C)) (He et al. 2015, eq. 10), b at zero.
    Raises TypeError or ValueError for sizes that are not positive whole numbers, an even kernel with "same", padding
    that is not less than the kernel, images smaller than the kernel, or an x of another width or dtype than W.
    """

    parameters = ("W", "b")

    def __init__(self, n_in, n_out, rng, kernel=3, stride=1, padding="same", bias=True, std=None, dtype=np.float32):
        self.n_in = checks.positive_int(n_in, "n_in")
        self.n_out = checks.positive_int(n_out, "n_out")
        self.kernel = checks.positive_int(kernel, "kernel")
        self.stride = checks.positive_int(stride, "stride")
        self.padding = self.same_padding() if padding == "same" else checks.positive_int(padding, "padding", minimum=0)
        if self.padding >= kernel:
            raise ValueError(f"padding must be less than kernel, or the outermost windows see no pixel; "
                             f"got padding {padding} and kernel {kernel}.")
        checks.generator(rng)
        std = np.sqrt(2 / (kernel * kernel * n_in)) if std is None else std
        self.W = (rng.standard_normal((kernel, kernel, n_in, n_out)) * std).astype(dtype)
        if bias:
            self.b = np.zeros(n_out, dtype)
        else:
            self.parameters = ("W",)
            self.b = None

    def same_padding(self):
        if self.kernel % 2 == 0:
            raise ValueError(f"padding \"same\" needs an odd kernel; got {self.kernel}. Give padding as a number.")
        return (self.kernel - 1) // 2

    def forward(self, x):
        image(x, self.n_in, self.W.dtype, "Conv2D")
        self.x = x
        *shape, _ = self.output_shape(x.shape[1:])
        y = correlate(self.xp, x, self.W, self.stride, self.offset, shape)
        if self.b is not None:
            y += self.b
        return y

    def backward(self, dy):
        kernel, shape = self.W.shape[:2], self.x.shape[1:3]
        self.dW = kernel_gradient(self.xp, self.x, dy, kernel, self.stride, self.offset)
        if self.b is not None:
            self.db = batch_sum(self.xp, dy.reshape(-1, self.n_out))
        return input_gradient(self.xp, dy, self.W, self.stride, self.offset, shape) if self.needs_dx else None

    @property
    def offset(self):
        return self.padding, self.padding

    def output_shape(self, shape):
        *size, _ = image_shape(shape, "Conv2D")
        return *n_windows(size, self.kernel, self.stride, self.padding, "Conv2D"), self.n_out

    def describe(self):
        return (f"{self.n_in} -> {self.n_out}, kernel={self.kernel}, stride={self.stride}, padding={self.padding}"
                + ("" if self.b is not None else ", bias=False"))
