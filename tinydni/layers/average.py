"""Several layers side by side, and the mean of what they say."""

from tinydni import checks
from tinydni.layers.layer import Layer


class Average(Layer):
    """y = the mean of f(x) over the layers f,   dx = the mean of df(dy): an ensemble in use.

    x: inputs of each layer    y: outputs, which must have one shape
    Raises ValueError for no layers, or outputs of different shapes.
    """

    def __init__(self, *layers):
        if not layers:
            raise ValueError("Average needs at least one layer.")
        self.layers = layers
        checks.distinct([inside for _, inside in self.walk()], "Average")

    def children(self):
        return [(str(i), layer) for i, layer in enumerate(self.layers)]

    def forward(self, x):
        first, *others = (layer.forward(x) for layer in self.layers)
        total = first.copy()
        for y in others:
            checks.same_shape(y, first, "Average: the output of a layer", "that of the first")
            total += y
        total /= len(self.layers)
        return total

    def backward(self, dy):
        share = dy / len(self.layers)
        dxs = [layer.backward(share) for layer in self.layers]
        return None if dxs[0] is None else sum(dxs[1:], dxs[0])

    def skip_dx(self):
        for layer in self.layers:
            layer.skip_dx()

    def output_shape(self, shape):
        return self.layers[0].output_shape(shape)

    def describe(self):
        return f"{len(self.layers)} x {self.layers[0]!r}"
