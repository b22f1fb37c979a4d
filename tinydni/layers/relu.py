"""The rectifier."""

from tinydni.layers.layer import Layer


class ReLU(Layer):
    """y = max(x, 0),   dx = dy where x > 0, else 0.

    x (N, M): inputs    y (N, M): outputs

    Written as a product with the mask x > 0, which `backward` needs anyway: faster than `maximum`, and NaN in
    stays NaN out, so that diverged training shows.
    """

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask
