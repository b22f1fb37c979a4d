"""The hyperbolic tangent."""

from tinydni.layers.layer import Layer


class Tanh(Layer):
    """y = tanh(x),   dx = dy · (1 - y²).

    x (N, M): inputs    y (N, M): outputs in [-1, 1]
    """

    def forward(self, x):
        self.y = self.xp.tanh(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.y * self.y)
