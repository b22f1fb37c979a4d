"""The identity beside a branch."""

from tinydni import checks
from tinydni.layers.layer import Layer
from tinydni.layers.sequential import Sequential


class Residual(Layer):
    """y = x + f(x),   dx = dy + df(dy): the gradient arrives by both paths  (He et al. 2016, eq. 1).

    x (N, D): inputs    f: the branch, a layer from D to D    y (N, D): outputs
    Raises ValueError where the branch changes the shape.
    """

    def __init__(self, *branch):
        self.branch = branch[0] if len(branch) == 1 else Sequential(*branch)

    def children(self):
        return [("branch", self.branch)]

    def forward(self, x):
        f = self.branch.forward(x)
        checks.same_shape(x, f, "Residual: x", "the output of the branch", "A residual branch must keep the shape.")
        return x + f

    def backward(self, dy):
        return dy + self.branch.backward(dy)

    def skip_dx(self):
        pass        # a branch alone can't know that its sum is not needed

    def describe(self):
        return repr(self.branch)
