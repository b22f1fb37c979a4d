"""The two halves of a residual block that is cut inside: what crosses the cut is one array, branch and shortcut together."""

from tinydni import checks
from tinydni.layers.layer import Layer
from tinydni.layers.sequential import Sequential


class OpenShortcut(Layer):
    """y = [f(x), s(x)]: the hidden activation of a residual branch, and beside it the shortcut that skips it.

    x (N, D) or images (N, P, Q, D): inputs
    f: the lower part of the branch, a layer from D to H    s: the shortcut, a layer to S; None is the identity, S = D
    y (N, H + S), or images (N, P', Q', H + S): outputs, side by side along the last axis
    dx = df(dy[..., :H]) + ds(dy[..., H:]): the message that comes back carries the shortcut's part of the gradient.
    Raises ValueError where f and s give images of different sizes.
    """

    def __init__(self, *branch, shortcut=None):
        self.branch = as_layer(branch)
        self.shortcut = shortcut

    def children(self):
        return [("branch", self.branch)] + ([("shortcut", self.shortcut)] if self.shortcut else [])

    def forward(self, x):
        f = self.branch.forward(x)
        s = self.shortcut.forward(x) if self.shortcut else x
        checks.same_shape(f[..., 0], s[..., 0], "OpenShortcut: a channel of the branch", "one of the shortcut",
                          "They lie side by side: where the branch changes the size of images, a shortcut must, too.")
        self.n_branch = f.shape[-1]
        return self.xp.concatenate([f, s], axis=-1)

    def backward(self, dy):
        du, ds = dy[..., :self.n_branch], dy[..., self.n_branch:]
        dx = self.branch.backward(du)
        if self.shortcut:
            ds = self.shortcut.backward(ds)
        return dx + ds if self.needs_dx else None

    def skip_dx(self):
        self.needs_dx = False
        for _, layer in self.children():
            layer.skip_dx()

    def output_shape(self, shape):
        *size, H = self.branch.output_shape(shape)
        S = self.shortcut.output_shape(shape)[-1] if self.shortcut else shape[-1]
        return *size, H + S

    def describe(self):
        return repr(self.branch) + (f", shortcut={self.shortcut!r}" if self.shortcut else "")


class CloseShortcut(Layer):
    """y = s + f(u),   x = [u, s]: the upper half of a residual block, where the shortcut is added.

    x (N, H + S) or images (N, P, Q, H + S): what OpenShortcut gave
    f: the upper part of the branch, a layer from H to S    y (N, S), or images (N, P, Q, S): outputs
    n_branch: H, the width of u
    dx = [df(dy), dy]

    CloseShortcut(H, g)(OpenShortcut(f)(x)) is Residual(f, g)(x), with an interface in between.
    Raises ValueError where f(u) does not have the shape of s.
    """

    def __init__(self, n_branch, *branch):
        self.n_branch = checks.positive_int(n_branch, "n_branch")
        self.branch = as_layer(branch)

    def children(self):
        return [("branch", self.branch)]

    def forward(self, x):
        u, s = x[..., :self.n_branch], x[..., self.n_branch:]
        f = self.branch.forward(u)
        checks.same_shape(f, s, "CloseShortcut: the output of the branch", "the shortcut",
                          f"x is [u, s] with {self.n_branch} columns of u; the branch must give the shape of s.")
        return s + f

    def backward(self, dy):
        return self.xp.concatenate([self.branch.backward(dy), dy], axis=-1)

    def skip_dx(self):
        pass        # what crosses a cut comes from another module, which always asks

    def output_shape(self, shape):
        return *shape[:-1], shape[-1] - self.n_branch

    def describe(self):
        return f"{self.n_branch}, {self.branch!r}"


def as_layer(branch):
    """One layer for a branch that is given as one or as several."""
    return branch[0] if len(branch) == 1 else Sequential(*branch)
