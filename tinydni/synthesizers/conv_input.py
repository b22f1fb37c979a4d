"""The synthesizer of an image that the module below would send, made from the network's own input."""

import numpy as np

from tinydni.layers import BatchNorm, Conv2D, Layer, ReLU, Sequential
from tinydni.synthesizers.synthesizer import Synthesizer


class ConvInputSynthesizer(Synthesizer, Layer):
    """h_hat = net(x): InputSynthesizer where images go in and images come out.

    net = Conv2D with a stride s that makes an image of the size of h, BatchNorm, ReLU, then Conv2D 3 x 3, ReLU. The
    first kernel is 2 s + 1 wide, so that it sees every pixel.

    x (N, H, W, C): the network's input    h_hat (N, P, Q, M): goes to the module as if it came from below
    x_shape, h_shape: (H, W, C) and (P, Q, M)    width: channels between the two convolutions
    Raises ValueError where no stride leads from H, W to P, Q.
    """

    sees = ("x",)

    def __init__(self, x_shape, h_shape, rng, width=32, dtype=np.float32):
        (*size, n_in), (*wanted, n_out) = x_shape, h_shape
        s = stride_between(size, wanted)
        self.net = Sequential(
            Conv2D(n_in, width, rng, 2 * s + 1, stride=s, bias=False, dtype=dtype),
            BatchNorm(width, momentum=0, dtype=dtype), ReLU(), Conv2D(width, n_out, rng, dtype=dtype), ReLU())
        self.net.skip_dx()
        self.shapes = f"{' x '.join(map(str, x_shape))} -> {' x '.join(map(str, h_shape))}"

    def children(self):
        return [("net", self.net)]

    def forward(self, x, context=None):
        self.h, self.context = x, context
        self.delta_hat = self.net.forward(x)
        return self.delta_hat

    def backward(self, dh_hat):
        self.net.backward(dh_hat)

    def describe(self):
        return self.shapes


def stride_between(size, wanted):
    """The stride with which a convolution of padding "same" makes images of size (P, Q) from (H, W)."""
    for s in range(1, max(size) + 1):
        if [-(-pixels // s) for pixels in size] == list(wanted):
            return s
    raise ValueError(f"no stride makes images of {tuple(wanted)} pixels from images of {tuple(size)}, so that there is no "
                     "synthetic input of this kind; put the interface where the image has been halved.")
