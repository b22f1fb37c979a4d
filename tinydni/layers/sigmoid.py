"""The logistic function."""

from tinydni.layers.layer import Layer


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)),   dx = dy · y (1 - y).

    x (N, M): inputs    y (N, M): outputs in [0, 1]

    Computed as (1 + tanh(x/2)) / 2, which is the same function and cannot overflow.
    """

    def forward(self, x):
        self.y = 0.5 * self.xp.tanh(0.5 * x) + 0.5
        return self.y

    def backward(self, dy):
        return dy * (self.y * (1 - self.y))
