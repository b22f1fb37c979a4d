"""Functions that act on every number by itself, and softmax, which acts on every row.

The output is kept for backward, and therefore read-only.
"""

from typing import Any

from tinydni.backend import Array
from tinydni.checks import check_floats, check_gradient, check_positive_int
from tinydni.layer import Layer, read_only

__all__ = ["ReLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "sigmoid"]

EXPONENTS = {2: 11.0, 4: 88.0, 8: 709.0}    # the largest of exp, by the bytes of a number


class ReLU(Layer):
    """Rectifier: y = max(x, 0),   dx = dy where x > 0, else 0. NaN stays NaN."""

    def forward(self, x: Array) -> Array:
        check_floats(x, "ReLU")
        self.y = read_only(self.xp.maximum(x, 0))
        return self.y

    def backward(self, dy: Array) -> Array:
        check_gradient(dy, self.y.shape, self.y.dtype, "ReLU")
        return dy * (self.y > 0)


def sigmoid(xp: Any, x: Array) -> Array:
    """Return 1 / (1 + exp(-x)); exp is kept from overflowing, and both tails keep their digits."""
    e = xp.maximum(x, -EXPONENTS[x.dtype.itemsize])
    xp.negative(e, out=e)
    xp.exp(e, out=e)
    e += 1
    return xp.reciprocal(e, out=e)


class Sigmoid(Layer):
    """Logistic function: y = 1 / (1 + exp(-x)),   dx = dy · y (1 - y)."""

    def forward(self, x: Array) -> Array:
        check_floats(x, "Sigmoid")
        self.y = read_only(sigmoid(self.xp, x))
        return self.y

    def backward(self, dy: Array) -> Array:
        check_gradient(dy, self.y.shape, self.y.dtype, "Sigmoid")
        return dy * (self.y * (1 - self.y))


class Tanh(Layer):
    """Hyperbolic tangent: y = tanh(x),   dx = dy · (1 - y²)."""

    def forward(self, x: Array) -> Array:
        check_floats(x, "Tanh")
        self.y = read_only(self.xp.tanh(x))
        return self.y

    def backward(self, dy: Array) -> Array:
        check_gradient(dy, self.y.shape, self.y.dtype, "Tanh")
        return dy * (1 - self.y * self.y)


class Softplus(Layer):
    """Smooth rectifier: y = log(1 + exp(x)),   dx = dy · sigmoid(x).

    Computed as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow.
    """

    def forward(self, x: Array) -> Array:
        check_floats(x, "Softplus")
        self.x = x
        return self.xp.maximum(x, 0) + self.xp.log1p(self.xp.exp(-self.xp.abs(x)))

    def backward(self, dy: Array) -> Array:
        check_gradient(dy, self.x.shape, self.x.dtype, "Softplus")
        return dy * sigmoid(self.xp, self.x)


class Softmax(Layer):
    """From logits to probabilities: y = exp(x) / sum of exp(x) over the last axis.

    dx = y · (dy - sum of dy · y).   x (N, K): logits;   y (N, K): probabilities.

    A classifier does not end in it: SoftmaxCrossEntropy takes the logits. It is for probabilities
    that a network goes on to use. The largest logit is subtracted first: exp cannot overflow.
    """

    def forward(self, x: Array) -> Array:
        check_floats(x, "Softmax")
        check_positive_int(x.shape[-1], "Softmax: the last axis of x")
        y = self.xp.exp(x - x.max(axis=-1, keepdims=True))
        y /= y.sum(axis=-1, keepdims=True)
        self.y = read_only(y)
        return self.y

    def backward(self, dy: Array) -> Array:
        check_gradient(dy, self.y.shape, self.y.dtype, "Softmax")
        return self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))
