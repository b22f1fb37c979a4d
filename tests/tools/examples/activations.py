"""Activations with a mistake each."""

import numpy as np


class ForgotDerivative:
    """backward hands dy down as it came."""

    def forward(self, x):
        return np.tanh(x)

    def backward(self, dy):
        return dy


class WithoutHalf:
    """y = x² / 2, but backward takes the derivative of x²."""

    def forward(self, x):
        self.x = x
        return 0.5 * x ** 2

    def backward(self, dy):
        return 2 * self.x * dy


class Zeros:
    """backward was never written."""

    def forward(self, x):
        return x ** 3

    def backward(self, dy):
        return np.zeros_like(dy)


class Logarithm:
    """Right, but not defined for negative inputs."""

    def forward(self, x):
        self.x = x
        return np.log(x)

    def backward(self, dy):
        return dy / self.x


class Remembers:
    """forward keeps its first output for ever."""

    y = None

    def forward(self, x):
        if self.y is None:
            self.y = x ** 2
        self.x = x
        return self.y

    def backward(self, dy):
        return 2 * self.x * dy


class Noise:
    """forward draws from NumPy's global generator, which nobody can set back."""

    def forward(self, x):
        self.mask = np.random.rand(*x.shape) > 0.5
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask
