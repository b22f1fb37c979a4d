"""Functions that act on every number by itself, and softmax, which acts on every row."""

from tinydni.backend import Array
from tinydni.layer import Layer

__all__ = ["ReLU", "Sigmoid", "Softmax", "Softplus", "Tanh"]


class ReLU(Layer):
    """Rectifier: y = max(x, 0),   dx = dy where x > 0, else 0. NaN stays NaN."""

    def forward(self, x: Array) -> Array:
        self.mask = x > 0
        return x * self.mask

    def backward(self, dy: Array) -> Array:
        return dy * self.mask


class Sigmoid(Layer):
    """Logistic function: y = 1 / (1 + exp(-x)) = (1 + tanh(x/2)) / 2,   dx = dy · y (1 - y)."""

    def forward(self, x: Array) -> Array:
        self.y = 0.5 * self.xp.tanh(0.5 * x) + 0.5
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (self.y * (1 - self.y))


class Tanh(Layer):
    """Hyperbolic tangent: y = tanh(x),   dx = dy · (1 - y²)."""

    def forward(self, x: Array) -> Array:
        self.y = self.xp.tanh(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (1 - self.y * self.y)


class Softplus(Layer):
    """Smooth rectifier: y = log(1 + exp(x)),   dx = dy · sigmoid(x).

    Computed as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow.
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return self.xp.maximum(x, 0) + self.xp.log1p(self.xp.exp(-self.xp.abs(x)))

    def backward(self, dy: Array) -> Array:
        return dy * (0.5 + 0.5 * self.xp.tanh(0.5 * self.x))


class Softmax(Layer):
    """From logits to probabilities: y = exp(x) / sum of exp(x) over the last axis.

    dx = y · (dy - sum of dy · y).   x (N, K): logits;   y (N, K): probabilities.

    A classifier does not end in it: SoftmaxCrossEntropy takes the logits. It is for probabilities
    that a network goes on to use. The largest logit is subtracted first: exp cannot overflow.
    """

    def forward(self, x: Array) -> Array:
        y = self.xp.exp(x - x.max(axis=-1, keepdims=True))
        y /= y.sum(axis=-1, keepdims=True)
        self.y = y
        return y

    def backward(self, dy: Array) -> Array:
        return self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))
