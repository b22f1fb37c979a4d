# %% [markdown]
# # A1 Warm up
#
# A network is a stack of small functions. Each knows two things: how to compute its output, and how
# a gradient that arrives at its output goes on to its input and to its weights. Here you write the
# few that the rest of the course stands on, and train a small network with them at the end.
#
# Letters: N examples in a batch, D numbers go in, M come out, K classes. `dW` is the gradient of
# the loss with respect to `W`, and has its shape.
#
# Values are compared to eleven digits. A gradient by differences is not as exact, except for a
# linear function; any other way to compute it is right.

# %%
import numpy as np

from tinydni.classroom import use_reference

# %% [markdown]
# ## A1.1 Edit and check (1 point)

# %%
def double(x):
    """Return 2 x. This task is here so that you go once through editing and checking.

    Run  tinydni assignment check A1.1  and read what it says. Replace the line that raises
    NotImplementedError, save, and run it again.

    x (N, D): any array    returns (N, D): a new array; x itself must stay as it is
    """
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %% [markdown]
# ## A1.2 Linear (3 points)
#
# To find `backward`, write one entry of y as a sum, and ask for each entry of x, W and b which
# entries of y it moves, and by how much. Then look for the product of matrices that does all these
# sums at once. The shapes leave few choices.

# %%
class Linear:
    """The affine map  y = x W + b,  with b added to every row.

    forward(x): x (N, D) -> y (N, M). Keep on self what backward will need.
    backward(dy): dy (N, M) is the gradient of the loss with respect to y. Set self.dW (D, M) and
    self.db (M,), and return dx (N, D). All three are sums over what dy says of each example: no
    mean is taken here, the loss has done so.

    W (D, M): weights    b (M,): biases
    Do not write into x or dy: they belong to the caller.
    """

    parameters = ("W", "b")

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        ### BEGIN SOLUTION
        self.x = x
        return x @ self.W + self.b
        ### END SOLUTION

    def backward(self, dy):
        ### BEGIN SOLUTION
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T
        ### END SOLUTION

# %% [markdown]
# ## A1.3 Sigmoid (2 points)

# %%
class Sigmoid:
    """The logistic function  y = 1 / (1 + exp(-x)),  entry by entry.

    forward(x): x (N, M) -> y (N, M). It must hold for x = -1000 and x = 1000, too, where y is 0 and
    1: exp(1000) is infinite. Hint: the same function is (1 + tanh(x / 2)) / 2.
    backward(dy): returns dx (N, M). The derivative is easiest to write with y itself.
    """

    parameters = ()

    def forward(self, x):
        ### BEGIN SOLUTION
        self.y = (1 + np.tanh(x / 2)) / 2
        return self.y
        ### END SOLUTION

    def backward(self, dy):
        ### BEGIN SOLUTION
        return dy * self.y * (1 - self.y)
        ### END SOLUTION

# %% [markdown]
# ## A1.4 Softmax cross-entropy (3 points)
#
# Softmax and cross-entropy are one function here, because their common gradient is so simple.
# Derive it: what is the derivative of log(sum of exp(a)) with respect to one a?

# %%
class SoftmaxCrossEntropy:
    """loss = mean over the N examples of  -log p[n, target[n]],   p = softmax(prediction).

    The softmax runs over the K classes of each example.

    forward(prediction, target): prediction (N, K), any numbers; target (N,), whole numbers from 0
    to K - 1 -> loss, one number. It must hold for predictions of 1000, too: softmax stays the same
    when a number is subtracted from a whole row.
    backward(): returns dprediction (N, K), the gradient of that mean at what forward saw last.
    """

    def forward(self, prediction, target):
        ### BEGIN SOLUTION
        shifted = prediction - prediction.max(axis=1, keepdims=True)
        self.p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
        self.target = target
        own = shifted[np.arange(len(target)), target]
        return (np.log(np.exp(shifted).sum(axis=1)) - own).mean()
        ### END SOLUTION

    def backward(self):
        ### BEGIN SOLUTION
        onehot = np.eye(self.p.shape[1])[self.target]
        return (self.p - onehot) / len(self.p)
        ### END SOLUTION

# %% [markdown]
# ## A1.5 Update (1 point)

# %%
def update(layer, lr):
    """One step down the gradient, for every parameter of a layer:  W becomes W - lr dW.

    layer: has the names of its learned arrays in layer.parameters, such as ("W", "b"), and the
    gradient of each under "d" and its name: layer.dW, layer.db. (getattr(layer, "d" + name) reads
    one.)
    lr: the learning rate, a number above 0

    Change the arrays in place: others may hold the same array, and must see the new values. The
    gradients stay as they are.
    """
    ### BEGIN SOLUTION
    for name in layer.parameters:
        parameter = getattr(layer, name)
        parameter -= lr * getattr(layer, "d" + name)
    ### END SOLUTION

# %% [markdown]
# ## Put together
#
# `python A1.py` trains two layers on points of two colours, the inner ones and those of a ring
# around them. The error falls from about a half to a few percent. Nothing of this is graded.

# %%
def train(steps=2000, lr=1.0, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, 200)
    angle, radius = rng.uniform(0, 2 * np.pi, 200), 1 + target + 0.2 * rng.standard_normal(200)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    layers = [Linear(rng.standard_normal((2, 16)), np.zeros(16)), Sigmoid(),
              Linear(0.25 * rng.standard_normal((16, 2)), np.zeros(2))]
    loss = SoftmaxCrossEntropy()
    for step in range(steps + 1):
        h = x
        for layer in layers:
            h = layer.forward(h)
        if step % 500 == 0:
            print(f"step {step:4}: loss {loss.forward(h, target):.3f}, "
                  f"wrong {100 * (h.argmax(axis=1) != target).mean():.1f} %")
        loss.forward(h, target)
        dh = loss.backward()
        for layer in reversed(layers):
            dh = layer.backward(dh)
        for layer in layers:
            update(layer, lr)


if __name__ == "__main__":
    train()
