"""The shortcut of a residual block that halves the image and widens the channels, without parameters."""

from tinydni import checks
from tinydni.layers.layer import Layer
from tinydni.layers.windows import image, image_shape


class Subsample(Layer):
    """y = every s-th pixel of x, with channels of zeros added: shortcut A  (He et al. 2016, section 3.3).

    x (N, H, W, C): images    y (N, P, Q, M): output images,  P = ceil(H / s), the size after a convolution with
    stride s and padding "same"
    dx = dy without the added channels at the pixels that were taken, zero at the others
    Raises ValueError for fewer channels out than in.
    """

    def __init__(self, n_in, n_out, stride=2):
        self.n_in = checks.positive_int(n_in, "n_in")
        self.n_out = checks.positive_int(n_out, "n_out", minimum=n_in)
        self.stride = checks.positive_int(stride, "stride")

    def forward(self, x):
        image(x, self.n_in, None, "Subsample")
        self.shape = x.shape
        y = self.xp.zeros((len(x), *self.output_shape(x.shape[1:])), x.dtype)
        y[..., :self.n_in] = x[:, ::self.stride, ::self.stride]
        return y

    def backward(self, dy):
        dx = self.xp.zeros(self.shape, dy.dtype)
        dx[:, ::self.stride, ::self.stride] = dy[..., :self.n_in]
        return dx

    def output_shape(self, shape):
        height, width, _ = image_shape(shape, "Subsample")
        return -(-height // self.stride), -(-width // self.stride), self.n_out

    def describe(self):
        return f"{self.n_in} -> {self.n_out}, stride={self.stride}"
