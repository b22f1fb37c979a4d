"""Layers made of layers: one after the other, or a branch beside a shortcut."""

from collections.abc import Iterable

from tinydni.backend import Array
from tinydni.checks import check_can, check_distinct, check_same_shape
from tinydni.layer import Layer, Shape

__all__ = ["Residual", "Sequential", "one_layer"]


class Sequential(Layer):
    """y = layers[-1](... layers[1](layers[0](x))),   dx by the chain rule in the opposite order."""

    def __init__(self, *layers: Layer):
        for layer in layers:
            check_can(layer, f"{type(self).__name__}: every argument", "a layer", "walk")
        self.layers = layers
        check_distinct([inside for _, inside in self.walk()], type(self).__name__)

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [(str(i), layer) for i, layer in enumerate(self.layers)]

    def forward(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Array) -> Array:
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
            if dy is None:              # the layer that reads the data: nobody is below to tell
                return None
        return dy

    def skip_dx(self) -> None:
        for layer in self.layers:       # up to the first with parameters
            layer.skip_dx()
            if layer.n_parameters():
                break

    def output_shape(self, shape: Shape) -> Shape:
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def describe(self) -> str:
        return ", ".join(map(repr, self.layers))


class Residual(Layer):
    """y = s(x) + f(x),   dx = ds(dy) + df(dy) (He et al. 2016, eq. 1 and 2).

    branch: f, one layer after the other;   shortcut: s, a layer, by default the identity.
    """

    def __init__(self, *branch: Layer, shortcut: Layer | None = None):
        self.branch = one_layer(branch)
        self.shortcut = None if shortcut is None else one_layer((shortcut,))

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("branch", self.branch)] + ([("shortcut", self.shortcut)] if self.shortcut else [])

    def forward(self, x: Array) -> Array:
        f = self.branch.forward(x)
        s = self.shortcut.forward(x) if self.shortcut else x
        check_same_shape(s, f, "Residual: the shortcut of x", "the output of the branch",
                         "They are added: the branch must keep the shape, or a shortcut change it.")
        return s + f

    def backward(self, dy: Array) -> Array:
        ds = self.shortcut.backward(dy) if self.shortcut else dy
        return ds + self.branch.backward(dy)

    def skip_dx(self) -> None:
        pass        # a branch alone cannot know that its sum is not needed

    def output_shape(self, shape: Shape) -> Shape:
        return self.branch.output_shape(shape)

    def describe(self) -> str:
        shortcut = f", shortcut={self.shortcut!r}" if self.shortcut else ""
        return repr(self.branch) + shortcut


def one_layer(layers: tuple[Layer, ...]) -> Layer:
    """Return one layer for a branch that is given as one or as several."""
    alone = len(layers) == 1 and isinstance(layers[0], Layer)
    return layers[0] if alone else Sequential(*layers)
