"""The smooth rectifier."""

from tinydni.layers.layer import Layer


class Softplus(Layer):
    """y = log(1 + exp(x)),   dx = dy · sigmoid(x).

    x (N, M): inputs    y (N, M): outputs, positive

    Computed as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow.
    """

    def forward(self, x):
        self.x = x
        return self.xp.maximum(x, 0) + self.xp.log1p(self.xp.exp(-self.xp.abs(x)))

    def backward(self, dy):
        return dy * (0.5 + 0.5 * self.xp.tanh(0.5 * self.x))
