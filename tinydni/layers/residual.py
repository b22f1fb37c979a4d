"""The identity beside a branch."""

from tinydni import checks
from tinydni.layers.layer import Layer
from tinydni.layers.sequential import Sequential


class Residual(Layer):
    """y = s(x) + f(x),   dx = ds(dy) + df(dy): the gradient arrives by both paths  (He et al. 2016, eq. 1 and 2).

    x (N, D): inputs    f: the branch    s: the shortcut, a layer; None is the identity    y: their sum
    Raises ValueError where the branch and the shortcut give different shapes.
    """

    def __init__(self, *branch, shortcut=None):
        self.branch = branch[0] if len(branch) == 1 and isinstance(branch[0], Layer) else Sequential(*branch)
        self.shortcut = shortcut

    def children(self):
        return [("branch", self.branch)] + ([("shortcut", self.shortcut)] if self.shortcut else [])

    def forward(self, x):
        f = self.branch.forward(x)
        s = self.shortcut.forward(x) if self.shortcut else x
        checks.same_shape(s, f, "Residual: the shortcut of x", "the output of the branch",
                          "They are added: the branch must keep the shape, or a shortcut must change it likewise.")
        return s + f

    def backward(self, dy):
        ds = self.shortcut.backward(dy) if self.shortcut else dy
        return ds + self.branch.backward(dy)

    def skip_dx(self):
        pass        # a branch alone can't know that its sum is not needed

    def output_shape(self, shape):
        return self.branch.output_shape(shape)

    def describe(self):
        return repr(self.branch) + (f", shortcut={self.shortcut!r}" if self.shortcut else "")
