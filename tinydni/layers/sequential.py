"""Layers one after the other."""

from tinydni import checks
from tinydni.layers.layer import Layer


class Sequential(Layer):
    """y = layers[-1](... layers[1](layers[0](x))),   dx by the chain rule in the opposite order.

    x (N, D): input of the first layer    y (N, M): output of the last
    """

    def __init__(self, *layers):
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential takes layers; got {layer!r}.")
        self.layers = layers
        checks.distinct([inside for _, inside in self.walk()], "Sequential")

    def children(self):
        return [(str(i), layer) for i, layer in enumerate(self.layers)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
            if dy is None:              # the layer that reads the data: there is nobody below to tell
                return None
        return dy

    def skip_dx(self):
        for layer in self.layers:
            layer.skip_dx()
            if layer.n_parameters():
                break

    def output_shape(self, shape):
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def describe(self):
        return ", ".join(map(repr, self.layers))
