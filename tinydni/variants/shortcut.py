"""The two halves of a residual block that is cut inside: one array crosses the cut."""

from collections.abc import Iterable

from tinydni.backend import Array
from tinydni.checks import check_positive_int, check_same_shape
from tinydni.containers import one_layer
from tinydni.layer import Layer, Shape

__all__ = ["CloseShortcut", "OpenShortcut"]


class OpenShortcut(Layer):
    """y = [f(x), s(x)]: the hidden activation of a residual branch, beside it the shortcut.

    dx = df(dy[..., :H]) + ds(dy[..., H:]): the message that comes back carries the shortcut's part.
    x (N, D) or images (N, P, Q, D);   y (N, H + S), or images, side by side along the last axis.

    Parameters
    ----------
    *branch : f, the lower part of the branch, from D to H features
    shortcut : s, a layer to S; None is the identity, S = D

    Raises
    ------
    ValueError
        Where f and s give images of different sizes.
    """

    def __init__(self, *branch: Layer, shortcut: Layer | None = None):
        self.branch = one_layer(branch)
        self.shortcut = None if shortcut is None else one_layer((shortcut,))

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("branch", self.branch)] + ([("shortcut", self.shortcut)] if self.shortcut else [])

    def forward(self, x: Array) -> Array:
        f = self.branch.forward(x)
        s = self.shortcut.forward(x) if self.shortcut else x
        check_same_shape(f[..., 0], s[..., 0], "OpenShortcut: a channel of the branch",
                         "one of the shortcut", "They lie side by side: where the branch changes "
                         "the size of images, a shortcut must, too.")
        self.n_branch = f.shape[-1]
        return self.xp.concatenate([f, s], axis=-1)

    def backward(self, dy: Array) -> Array:
        du, ds = dy[..., :self.n_branch], dy[..., self.n_branch:]
        dx = self.branch.backward(du)
        if self.shortcut:
            ds = self.shortcut.backward(ds)
        return dx + ds if self.needs_dx else None

    def skip_dx(self) -> None:
        self.needs_dx = False
        for _, layer in self.children():
            layer.skip_dx()

    def output_shape(self, shape: Shape) -> Shape:
        *size, H = self.branch.output_shape(shape)
        S = self.shortcut.output_shape(shape)[-1] if self.shortcut else shape[-1]
        return *size, H + S

    def describe(self) -> str:
        return repr(self.branch) + (f", shortcut={self.shortcut!r}" if self.shortcut else "")


class CloseShortcut(Layer):
    """y = s + f(u),   x = [u, s]: the upper half of a residual block; dx = [df(dy), dy].

    x (N, H + S) or images (N, P, Q, H + S): what OpenShortcut gave;   y (N, S), or images.
    CloseShortcut(H, g)(OpenShortcut(f)(x)) is Residual(f, g)(x), with an interface in between.

    Parameters
    ----------
    n_branch : H, the width of u
    *branch : f, the upper part of the branch, from H to S features

    Raises
    ------
    ValueError
        Where f(u) does not have the shape of s.
    """

    def __init__(self, n_branch: int, *branch: Layer):
        self.n_branch = check_positive_int(n_branch, "n_branch")
        self.branch = one_layer(branch)

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [("branch", self.branch)]

    def forward(self, x: Array) -> Array:
        u, s = x[..., :self.n_branch], x[..., self.n_branch:]
        f = self.branch.forward(u)
        check_same_shape(f, s, "CloseShortcut: the output of the branch", "the shortcut",
                         f"x is [u, s] with {self.n_branch} columns of u; the branch must give "
                         "the shape of s.")
        return s + f

    def backward(self, dy: Array) -> Array:
        return self.xp.concatenate([self.branch.backward(dy), dy], axis=-1)

    def skip_dx(self) -> None:
        pass        # what crosses a cut comes from another module, which always asks

    def output_shape(self, shape: Shape) -> Shape:
        return *shape[:-1], shape[-1] - self.n_branch

    def describe(self) -> str:
        return f"{self.n_branch}, {self.branch!r}"
