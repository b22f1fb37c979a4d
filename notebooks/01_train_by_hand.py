# %% [markdown]
# # 1. Train a network by hand
#
# **What you'll do.** Write a network of three layers as one page of arrays. Work out its
# gradients with the chain rule. Train it until it adds pairs of binary numbers that it has never
# seen. Then turn the page into a class, replace the class by the library's layers, and show after
# every change that no number has changed.
#
# **What you'll learn.** What the three passes `forward`, `backward` and `update` do. How the
# gradient of every array follows from one rule. How to rebuild numerical code safely.
#
# **What you need.** NumPy and the chain rule. The notebook runs in less than a minute.

# %%
import inspect

import course
import numpy as np

import tinydni as td

SHORT = course.begin()

# %% [markdown]
# ## Adding, as a network sees it
#
# The inputs are the bits of two numbers from 0 to 31. The targets are the bits of their sum. You
# can check every answer yourself, and nothing has to be downloaded.

# %%
data = td.datasets.addition(bits=5)
print(data.notes[0])

x, t = data.x.astype(np.float64), data.y.astype(np.float64)
x_test, t_test = data.x_test.astype(np.float64), data.y_test.astype(np.float64)

def as_text(bits):
    return "".join(str(int(bit)) for bit in bits)

for n in range(4):
    print(as_text(x[n, :5]), "+", as_text(x[n, 5:]), "=", as_text(t[n]))

# %% [markdown]
# The letters mean the same in all notebooks: `x` holds the inputs, one example per row, shape (N,
# D): N examples of D = 10 bits. `t` holds the targets, shape (N, M), M = 6.
#
# How hard is this? Look at the *last* bit of the sum. It is 1 when exactly one of the two last
# input bits is 1. If you know only one input bit, no matter which, you know nothing about the
# answer:

# %%
every_x, every_t = np.vstack([x, x_test]), np.vstack([t, t_test])
covariance = (every_x - 0.5).T @ (every_t[:, -1] - 0.5) / len(every_x)
print("covariance of the last bit with each input bit:", covariance)

assert (covariance == 0).all()

# %% [markdown]
# The bit is **uncorrelated** with every input bit, and so with every weighted sum of them. Does a
# weighted sum then say *nothing* about it? Answer before you run the next cell. The cell takes
# the sum of the two last input bits. For every value of this sum it counts how often the answer
# is 1:

# %%
last_two, answer = every_x[:, 4] + every_x[:, 9], every_t[:, -1]
for value in (0, 1, 2):
    print(
        f"sum of the two bits {value}: the answer is 1 in "
        f"{100 * answer[last_two == value].mean():.0f} % of the cases"
    )

shares = [
    max(np.mean((last_two > edge) == answer), np.mean((last_two < edge) == answer))
    for edge in (-0.5, 0.5, 1.5)
]
print(
    f"best that one threshold on the sum can do: {100 * max(shares):.0f} % of the "
    f"answers are right"
)
assert max(shares) == 0.75

# %% [markdown]
# The sum *determines* the answer: 1 if it is one, 0 if it is zero or two. But the answer first
# rises and then falls again. Uncorrelated is not the same as independent. One threshold gets 75 %
# of the answers right, and no layer with one threshold per output gets more. Two thresholds are
# enough: "at least one" and "less than two". A hidden layer can make both.
#
# The other bits depend on a *carry*, which can come from any place to their right. So the network
# needs hidden layers that find something like a carry on their own. We take two of them.

# %% [markdown]
# ## Forward
#
# A layer multiplies its input by a matrix of weights. Then the **sigmoid**, σ(z) = 1 / (1 +
# exp(-z)), brings each result between 0 and 1:
#
# | step | shapes |
# | --- | --- |
# | `z1 = x @ W1`, &nbsp; `h1 = sigmoid(z1)` | x (N, 10), W1 (10, 64), h1 (N, 64) |
# | `z2 = h1 @ W2`, &nbsp; `h2 = sigmoid(z2)` | W2 (64, 32), h2 (N, 32) |
# | `z3 = h2 @ W3`, &nbsp; `y = sigmoid(z3)` | W3 (32, 6), y (N, 6) |
#
# To keep the page short we leave the biases out; exercise 2 puts them in. The weights start
# random and small, so that the sums z have a size of 1 or less. We draw them from a normal
# distribution of standard deviation $1/\sqrt{D}$ for a layer with D inputs.

# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def initial_weights():
    rng = np.random.default_rng(0)
    return [
        rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)
        for n_in, n_out in ((10, 64), (64, 32), (32, 6))
    ]

W1, W2, W3 = initial_weights()

h1 = sigmoid(x @ W1)
h2 = sigmoid(h1 @ W2)
y = sigmoid(h2 @ W3)

print("the first sum should be     ", t[0])
print("the untrained network thinks", y[0].round(2))

# %% [markdown]
# ## How wrong is that?
#
# We want one number for that, the **loss**. We take half the squared distance between output and
# target, averaged over the N examples:
#
# $$L = \frac{1}{2N} \sum_{n=1}^{N} \sum_{m=1}^{M} (y_{nm} - t_{nm})^2$$
#
# Outputs of 0.5 everywhere have the loss ½ · 6 · ½² = 0.75. Remember that number: it is the loss
# of a network that knows nothing.
#
# **Now you.** Write the loss as one line of NumPy. The cell says whether it is right, and if not,
# how it is wrong.
#
# <details><summary>Hint</summary>
#
# `(y - t)**2` has the shape (N, M). `np.sum` adds up all its numbers.
# </details>
#
# <details><summary>A second hint</summary>
#
# `len(y)` is N. Do not use `np.mean`: it divides by N · M.
# </details>

# %%
def loss_of(y, t):
    ### BEGIN SOLUTION
    return 0.5 * np.sum((y - t)**2) / len(y)
    ### END SOLUTION

course.check("1.1", loss_of)
print(
    f"all outputs 0.5: {loss_of(np.full_like(t, 0.5), t):.3f}     untrained network: "
    f"{loss_of(y, t):.3f}"
)

# %% [markdown]
# ## Backward
#
# We want to know how the loss changes with each weight. Write `dW` for the array of all $\partial
# L / \partial W_{jk}$; it has the shape of `W`. In the same way `dy`, `dh`, `dz` stand for the
# gradient of the loss with respect to `y`, `h`, `z`. **d + name is always the gradient of the
# loss with respect to that array, and has its shape.**
#
# Only three operations happen in the network, so three derivatives are enough. Each takes the
# gradient at its output and makes the gradient at its input.
#
# **The loss.** $L$ is a sum of squares, so $\partial L/\partial y_{nm} = (y_{nm} - t_{nm}) / N$:
#
#     dy = (y - t) / N
#
# **The sigmoid.** Its slope is $\sigma'(z) = \sigma(z)\,(1 - \sigma(z)) = y\,(1 - y)$. Every
# entry depends on its own z only:
#
#     dz = dy * (y * (1 - y))
#
# **The product** `z = h @ W`, in entries $z_{nk} = \sum_j h_{nj} W_{jk}$. The weight $W_{jk}$
# acts on the loss through column k of z, once for every example, and $\partial z_{nk} / \partial
# W_{jk} = h_{nj}$. The chain rule adds up all these ways:
#
# $$\frac{\partial L}{\partial W_{jk}} = \sum_n h_{nj}\, \frac{\partial L}{\partial z_{nk}}, \qquad
# \frac{\partial L}{\partial h_{nj}} = \sum_k \frac{\partial L}{\partial z_{nk}}\, W_{jk}$$
#
# Both are matrix products again:
#
#     dW = h.T @ dz          (j, n) times (n, k)
#     dh = dz @ W.T          (n, k) times (k, j)
#
# These are all the rules. Now read the forward page from its last line to its first, and write
# one line for each operation.
#
# **Now you.** The last line of the forward page is `y = sigmoid(h2 @ W3)`. Write the four lines
# from the loss down to h2.
#
# <details><summary>Hint</summary>
#
# `dy` comes from the loss, `dz3` from the sigmoid that made y, `dW3` and `dh2` from the product
# `z3 = h2 @ W3`.
# </details>
#
# <details><summary>A second hint</summary>
#
# In the rules above put y for the output of the sigmoid, h2 for h, W3 for W and dz3 for dz.
# </details>

# %%
N = len(x)
### BEGIN SOLUTION
dy = (y - t) / N
dz3 = dy * (y * (1 - y))
dW3 = h2.T @ dz3
dh2 = dz3 @ W3.T
### END SOLUTION

course.check("1.2", (dy, dz3, dW3, dh2), h2=h2, y=y, t=t, W3=W3)

# %% [markdown]
# **Now you.** Do the same for the two layers below: five lines, from h2 down to x.
#
# <details><summary>Hint</summary>
#
# The slope of a sigmoid is made from its *output*: for h2 it is `h2 * (1 - h2)`.
# </details>
#
# <details><summary>A second hint</summary>
#
# The order is dz2, dW2, dh1, dz1, dW1. The gradient of a weight uses what went *into* its layer:
# h1 for W2, x for W1.
# </details>

# %%
### BEGIN SOLUTION
dz2 = dh2 * (h2 * (1 - h2))
dW2 = h1.T @ dz2
dh1 = dz2 @ W2.T
dz1 = dh1 * (h1 * (1 - h1))
dW1 = x.T @ dz1
### END SOLUTION

course.check("1.3", (dz2, dW2, dh1, dz1, dW1), x=x, h1=h1, h2=h2, dh2=dh2, W2=W2)
for name, array, gradient in (("W1", W1, dW1), ("W2", W2, dW2), ("W3", W3, dW3)):
    print(
        f"{name} {array.shape}   d{name} {gradient.shape}   largest entry "
        f"{np.abs(gradient).max():.4f}"
    )

# %% [markdown]
# Can you trust these lines? Measure it. Move a single weight a little up and a little down, run
# forward both times, and see how the loss changes:

# %%
def loss_with(W1, W2, W3):
    return loss_of(sigmoid(sigmoid(sigmoid(x @ W1) @ W2) @ W3), t)

def measured(number, step=1e-5):
    """The slope of the loss for the weight [2, 3] of W1, W2 or W3."""
    losses = []
    for sign in (+1, -1):
        weights = [W1.copy(), W2.copy(), W3.copy()]
        weights[number - 1][2, 3] += sign * step
        losses.append(loss_with(*weights))
    return (losses[0] - losses[1]) / (2 * step)

print(f"measured {measured(1):.10f}")
print(f"dW1[2,3] {dW1[2, 3]:.10f}")
np.testing.assert_allclose(dW1[2, 3], measured(1), rtol=1e-6)

# %% [markdown]
# This weight is in the first layer, so its gradient has passed through many lines. Does the check
# then prove all nine lines of the backward page? Answer first. The next cell puts a mistake into
# `dW3` and into `dW2`, and then checks one weight of each layer.

# %%
sabotaged = {1: dW1, 2: -dW2, 3: 2 * dW3}
for number, gradient in sabotaged.items():
    agrees = bool(np.isclose(gradient[2, 3], measured(number), rtol=1e-6))
    print(
        f"one weight of W{number}: claimed and measured "
        + ("agree" if agrees else "DIFFER")
    )
    assert agrees == (number == 1)

# %% [markdown]
# The check of W1 does not notice the two mistakes. Seven of the nine lines lie on the way to W1.
# No other line uses `dW3` and `dW2`. So check at least one weight of *every* array. Three weights
# of 2,880 are still very few; notebook 2 checks all of them at once.

# %% [markdown]
# ## Update, and the whole page
#
# The gradient points to where the loss grows, so every weight takes a small step against it: `W
# -= lr * dW`. The number `lr` is the **learning rate**. We do not use all 819 examples for one
# step, but batches of 9. An *epoch* is one pass through all of them: 91 steps.

# %%
epochs, batch, lr = 300, 9, 1.0

W1, W2, W3 = initial_weights()
losses = []                                     # of every step, before its update

for epoch in range(epochs):
    for start in range(0, len(x), batch):
        xb, tb = x[start:start + batch], t[start:start + batch]
        # forward
        h1 = sigmoid(xb @ W1)
        h2 = sigmoid(h1 @ W2)
        y = sigmoid(h2 @ W3)
        losses.append(loss_of(y, tb))
        # backward
        dz3 = (y - tb) / len(xb) * (y * (1 - y))
        dz2 = dz3 @ W3.T * (h2 * (1 - h2))
        dz1 = dz2 @ W2.T * (h1 * (1 - h1))
        # update
        W3 -= lr * (h2.T @ dz3)
        W2 -= lr * (h1.T @ dz2)
        W1 -= lr * (xb.T @ dz1)

saved = np.array(losses)  # what every later version has to reproduce
per_epoch = saved.reshape(epochs, -1).mean(axis=1)
for epoch in (1, 10, 50, 100, 150, 200, 300):
    print(f"epoch {epoch:3d}   loss {per_epoch[epoch - 1]:.4f}")

# %%
td.plots.learning_curve(
    {"training loss": (np.arange(1, epochs + 1), per_epoch)},
    title="Learning to add",
    xlabel="epoch",
    ylabel="mean loss of the epoch",
    reference={"all outputs 0.5": 0.75},
)

# %% [markdown]
# The curve does not go down evenly, because the network learns one bit after another (exercise 3
# asks which). And what about the sums that it has never seen?

# %%
y_test = sigmoid(sigmoid(sigmoid(x_test @ W1) @ W2) @ W3)
right = (y_test > 0.5) == t_test
print(
    f"{100 * right.mean():.1f} % of the bits, {right.all(axis=1).sum()} of "
    f"{len(right)} sums are right"
)

assert right.mean() > 0.99

# %% [markdown]
# The network has not stored a table. It has learnt to add.

# %% [markdown]
# ## The same, as a `Layer`
#
# The page repeats everything three times. Each layer does the same three things, so we make a
# class of them. A layer keeps its input and its output from `forward`, since `backward` needs
# both. It keeps `dW` from `backward` until `update`.
#
# **Now you.** Write `backward`. It gets dy, keeps dW, and returns dx. This dx is the dy of the
# layer below.
#
# <details><summary>Hint</summary>
#
# Three lines: dz, self.dW, and what is returned. What forward kept is in `self.x` and `self.y`.
# </details>
#
# <details><summary>A second hint</summary>
#
# Take the lines for dz2, dW2 and dh1, and put dy, self.x, self.y and self.W in.
# </details>

# %%
class Layer:
    def __init__(self, W):
        self.W = W

    def forward(self, x):
        self.x = x
        self.y = sigmoid(x @ self.W)
        return self.y

    def backward(self, dy):
        ### BEGIN SOLUTION
        dz = dy * (self.y * (1 - self.y))
        self.dW = self.x.T @ dz
        return dz @ self.W.T
        ### END SOLUTION

    def update(self, lr):
        self.W -= lr * self.dW

course.check("1.4", Layer)

# %% [markdown]
# Now the training loop is short. Note the order: `backward` goes through all layers *before* any
# layer updates. To compute dx, a layer needs the same W that made its output.

# %%
layers = [Layer(W) for W in initial_weights()]
losses = []

for epoch in range(epochs):
    for start in range(0, len(x), batch):
        h, tb = x[start:start + batch], t[start:start + batch]
        for layer in layers:
            h = layer.forward(h)
        losses.append(loss_of(h, tb))
        dh = (h - tb) / len(h)
        for layer in reversed(layers):
            dh = layer.backward(dh)
        for layer in layers:
            layer.update(lr)

difference = np.abs(np.array(losses) - saved).max()
print(
    f"{len(losses):,} losses, largest difference from the page of arrays: "
    f"{difference:.1e}"
)
np.testing.assert_allclose(losses[:1_000], saved[:1_000], rtol=1e-9)

# %% [markdown]
# This is how to rebuild numerical code: save the numbers, change one thing, compare the numbers.
# (If your `backward` computes in another order, it rounds differently. Then the difference is not
# zero, and can be large at the end. The next section explains why.) A wrong gradient rarely stops
# the program. The network only learns worse, and you would blame the learning rate.

# %% [markdown]
# ## The same, with tinydni
#
# In the library our layer is two layers, since not every product is followed by a sigmoid. They
# hold nothing more than what you have just written. Here are the two `backward` methods from the
# library:

# %%
print(inspect.getsource(td.Linear.backward))
print(inspect.getsource(td.Sigmoid.backward))

# %% [markdown]
# (`batch_sum` is a fast `sum(axis=0)`.) Two things are new. The bias `b` is added to every row,
# so its gradient is the sum over the batch. And the first layer may skip its `dx`, since nobody
# changes the *data*.
#
# `td.build` makes a network from blocks and a loss. A network can be trained in several ways,
# called algorithms. The algorithm of this notebook is `backprop`. Notebook 3 shows another one.

# %%
rng = np.random.default_rng(0)  # the same draws in the same order as above
sizes = ((10, 64), (64, 32), (32, 6))
blocks = [
    td.Sequential(
        td.Linear(
            n_in, n_out, rng, std=1 / np.sqrt(n_in), bias=False, dtype=np.float64
        ),
        td.Sigmoid(),
    )
    for n_in, n_out in sizes
]
net = td.build(blocks, td.MeanSquaredError(), lr, algorithm=td.backprop)

losses = [net.step(x[start:start + batch], t[start:start + batch])
          for epoch in range(epochs) for start in range(0, len(x), batch)]

difference = np.abs(np.array(losses) - saved)
for steps in (100, 1_000, 2_000, len(saved)):
    print(
        f"largest difference in the first {steps:6,} steps: "
        f"{difference[:steps].max():.0e}"
    )
np.testing.assert_allclose(losses[:1_000], saved[:1_000], rtol=1e-9)

# %% [markdown]
# For two thousand steps both agree to the sixteenth digit, and a float64 has no more. Then they
# become different! Nothing is wrong. The library computes the sigmoid as `(1 + tanh(z / 2)) / 2`.
# This is the same function and cannot overflow, but it rounds the last digit differently. While
# the network learns fast, a difference in the sixteenth digit grows with every step. So compare
# *early* steps, and allow only a *tiny* difference. (If your `Layer` did exactly the same
# operations in the same order as the page, there was no difference that could grow.)
#
# The result must not depend on the last digit:

# %%
predicted = net.predict(x_test) > 0.5
assert (predicted == t_test).mean() > 0.99

td.plots.bit_predictions(data.x_test, data.y_test, predicted)

# %% [markdown]
# ## On your own
#
# **1.** Remove the sigmoid from the two hidden layers (keep it in the last). How many bits can
# the network get right now, even if it trains for a very long time?
#
# <details><summary>Hint</summary>
#
# Without sigmoids in between, `x @ W1 @ W2 @ W3` is `x @ (W1 @ W2 @ W3)`: a single layer. The
# last bit is uncorrelated with every weighted sum of the inputs, so least squares finds nothing.
# The same holds for four other bits: half of their answers are right, by chance. Only the first
# bit, worth 32, follows from a weighted sum: is the sum at least 32? But our layers have no bias
# and compare with 0, so they reach about 70 %. Come back after exercise 2: with biases 98 % of
# the first bits are right.
# </details>
#
# **2.** Give `Layer` a bias: `z = x @ W + b`. What are the shape and the gradient of `b`? Nudge
# one entry of `b` to check.
#
# <details><summary>Hint</summary>
#
# `b` has shape (M,) and is used once for every example. The chain rule adds up these ways: `db =
# dz.sum(axis=0)`. If you forget the sum and the batch has one example, `b -= lr * dz` runs
# without an error, and b is wrong.
# </details>
#
# **3.** Which bit of the sum is learnt first, and which last? Record the share of right answers
# for each of the six bits after every epoch, and draw the six curves with `learning_curve`.
#
# <details><summary>Hint</summary>
#
# `((y > 0.5) == tb).mean(axis=0)` has one number per bit; average it over an epoch. The first bit
# asks whether a + b is at least 32. One weighted sum can answer that, and the bit is 95 % right
# after 10 epochs. The second bit takes about 30 epochs. The last one needs two inputs but no
# carry, and takes 50. The three in the middle need a carry *and* the two bits of their own place,
# and take 100 to 160.
# </details>
#
# **4.** In the page of arrays, move the line `W3 -= ...` up, directly below `dz3 = ...`. What is
# wrong now, and how well does the network still learn?
#
# <details><summary>Hint</summary>
#
# The outputs were made by the old W3, but `dz2` is now made from the new one, `W3 - lr * h2.T @
# dz3`. Multiply out: `dh2` becomes `dz3 @ W3.T - lr * (dz3 @ dz3.T) @ h2`. The extra term always
# points against h2. So every step makes every h2 larger, no matter what the target is, until the
# sigmoids stay near 1. About 69 % of the bits come out right. You will see this mistake again in
# notebook 3.
# </details>
#
# **5.** Replace the loss by cross-entropy, $L = -\frac1N \sum t \log y + (1 - t) \log (1 - y)$.
# What happens to `dz3`?
#
# <details><summary>Hint</summary>
#
# `dy = (y - t) / (y * (1 - y)) / N`, and the factor y (1 - y) of the sigmoid cancels: `dz3 = (y -
# t) / N`. An output that is wrong and very near 0 or 1 now gets a large gradient. With squared
# error its gradient is nearly zero. Take a smaller learning rate, such as 0.3; the network then
# needs about a third fewer epochs.
# </details>

# %% [markdown]
# ## In practice
#
# - Frameworks such as PyTorch write the backward page for you. It is still this page: one rule
#   per operation, in reverse order. The arrays of the forward pass are kept in memory until
#   `backward` needs them. That memory limits the size of networks on a GPU.
# - A mean over the batch, as we use it, makes the step independent of the batch size. Some
#   tutorials sum instead: their learning rate is ours divided by N.
# - Our learning rate of 1 is large, because the slopes of three sigmoids in a row make the
#   gradients small. From notebook 4 on the blocks are Linear, BatchNorm and ReLU, and the
#   optimizer is Adam, with rates around 0.001.
# - **Assignment A1**, tasks 1 to 3 and 5, can be solved now: `tinydni assignment release A1 --out
#   FOLDER`.
#
# ## Further reading
#
# - D. Rumelhart, G. Hinton and R. Williams, *Learning representations by back-propagating
#   errors*, Nature, 1986. Four pages; you have just written its equations.
# - A. Trask, *Deep Learning without Backpropagation*, 2017: a tutorial. This notebook and the
#   third one follow its steps, with the same task.
# - I. Goodfellow, Y. Bengio and A. Courville, *Deep Learning*, 2016, section 6.5, for the same in
#   its general form.
#
# Next: **2. Check a gradient.**
