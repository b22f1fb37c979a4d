"""From images to rows."""

import math

from tinydni.layers.layer import Layer


class Flatten(Layer):
    """y = x with all axes but the first laid end to end;   dx = dy in the shape of x.

    x (N, ...): inputs    y (N, M): outputs, M the product of the other axes
    """

    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy):
        return dy.reshape(self.shape)

    def output_shape(self, shape):
        if None in shape:
            raise ValueError(f"Flatten: the shape of one example must be known; got {shape}. Say it: input_shape=(...).")
        return (math.prod(shape),)
