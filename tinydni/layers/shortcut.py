"""The two halves of a residual block that is cut inside: what crosses the cut is one array, branch and shortcut together."""

from tinydni import checks
from tinydni.layers.layer import Layer
from tinydni.layers.sequential import Sequential


class OpenShortcut(Layer):
    """y = [f(x), x]: the hidden activation of a residual branch, and beside it the shortcut that skips it.

    x (N, D): inputs    f: the lower part of the branch, a layer from D to H    y (N, H + D): outputs
    dx = df(dy[:, :H]) + dy[:, H:]: the message that comes back carries the shortcut's part of the gradient.
    """

    def __init__(self, *branch):
        self.branch = as_layer(branch)

    def children(self):
        return [("branch", self.branch)]

    def forward(self, x):
        f = self.branch.forward(x)
        self.n_branch = f.shape[1]
        return self.xp.concatenate([f, x], axis=1)

    def backward(self, dy):
        dx = self.branch.backward(dy[:, :self.n_branch])
        return dx + dy[:, self.n_branch:] if self.needs_dx else None

    def skip_dx(self):
        self.needs_dx = False
        self.branch.skip_dx()

    def output_shape(self, shape):
        return (self.branch.output_shape(shape)[0] + shape[0],)

    def describe(self):
        return repr(self.branch)


class CloseShortcut(Layer):
    """y = s + f(u),   x = [u, s]: the upper half of a residual block, where the shortcut is added.

    x (N, H + D): what OpenShortcut gave    f: the upper part of the branch, a layer from H to D    y (N, D): outputs
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
        u, s = x[:, :self.n_branch], x[:, self.n_branch:]
        f = self.branch.forward(u)
        checks.same_shape(f, s, "CloseShortcut: the output of the branch", "the shortcut",
                          f"x is [u, s] with {self.n_branch} columns of u; the branch must give the width of s.")
        return s + f

    def backward(self, dy):
        return self.xp.concatenate([self.branch.backward(dy), dy], axis=1)

    def skip_dx(self):
        pass        # what crosses a cut comes from another module, which always asks

    def output_shape(self, shape):
        return (shape[0] - self.n_branch,)

    def describe(self):
        return f"{self.n_branch}, {self.branch!r}"


def as_layer(branch):
    """One layer for a branch that is given as one or as several."""
    return branch[0] if len(branch) == 1 else Sequential(*branch)
