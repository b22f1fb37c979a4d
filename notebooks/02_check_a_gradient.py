# %% [markdown]
# # 2. Check a gradient
#
# **What you'll do.** Measure gradients instead of deriving them, find out how well that can be
# done, and build a checker of a dozen lines. Then break a layer in five ways, see which of them
# still seem to learn, and let the checker catch all five.
#
# **What you'll learn.** Why central differences, why float64, why a random upstream gradient, and
# why one random direction says as much as a thousand single weights; what a kink is, and what no
# gradient check can find.
#
# **What you need.** Notebook 1. Less than a minute.

# %%
import course
import numpy as np

import tinydni as td

SHORT = course.begin()

# %% [markdown]
# ## A slope from two values
#
# The derivative is a limit, and a computer can at least come near it. There are two obvious ways
# to do so:
#
# $$\text{one-sided: } \frac{f(a + \varepsilon) - f(a)}{\varepsilon} \qquad\qquad
# \text{central: } \frac{f(a + \varepsilon) - f(a - \varepsilon)}{2 \varepsilon}$$
#
# How far are they off? Put the series $f(a \pm \varepsilon) = f \pm \varepsilon f' +
# \frac{\varepsilon^2}{2} f'' \pm \frac{\varepsilon^3}{6} f''' + \dots$ into both. In the
# one-sided form $\frac{\varepsilon}{2} f''$ is left over. In the central form the even terms
# cancel, and what is left over is $\frac{\varepsilon^2}{6} f'''$: with ε = 0.001 that is
# thousands of times less. Let's see, for f = tanh, whose derivative 1 - tanh² we know.
#
#
# **Now you.** Write the central difference. The one-sided one stands beside it.
#
# <details><summary>Hint</summary>
#
# f is called twice: one step above a, and one step below.
# </details>
#
# <details><summary>A second hint</summary>
#
# The two points are `2 * step` apart. Mind the brackets around the divisor.
# </details>

# %%
def one_sided(f, a, step):
    return (f(a + step) - f(a)) / step

def central(f, a, step):
    ### BEGIN SOLUTION
    return (f(a + step) - f(a - step)) / (2 * step)
    ### END SOLUTION

course.check("2.1", central)
a, slope = 0.7, 1 - np.tanh(0.7)**2
second, third = (
    -2 * np.tanh(a) * slope,
    (6 * np.tanh(a) ** 2 - 2) * slope,
)  # f'' and f'''

print("                      error      predicted")
for name, error, predicted in (
    ("one-sided", one_sided(np.tanh, a, 1e-3) - slope, 1e-3 / 2 * second),
    ("central  ", central(np.tanh, a, 1e-3) - slope, 1e-6 / 6 * third),
):
    print(f"{name}, ε = 0.001  {error:.4e}  {predicted:.4e}")
    np.testing.assert_allclose(error, predicted, rtol=1e-2)

# %% [markdown]
# Then why not take ε = 10⁻¹²? Because f(a + ε) is rounded. A float64 keeps about 16 digits, so
# the difference in the numerator is uncertain by about 10⁻¹⁶, and dividing by ε blows that up.
# The smaller the step, the worse:

# %%
k = np.arange(1, 13)
steps = 10.0**-k
smallest = 1e-17  # so that a lucky zero can be drawn on a logarithmic axis

def errors(difference, dtype):
    return [
        max(smallest, abs(float(difference(np.tanh, dtype(a), dtype(step))) - slope))
        for step in steps
    ]

curves = {
    "one-sided, float64": errors(one_sided, np.float64),
    "central, float64": errors(central, np.float64),
    "central, float32": errors(central, np.float32),
}
for name, error in curves.items():
    best = int(np.argmin(error))
    print(f"{name:19s} best at ε = 10^-{k[best]}, where the error is {error[best]:.0e}")

picture = td.plots.learning_curve(
    {name: (k, error) for name, error in curves.items()},
    title="Error of a measured slope",
    xlabel="k, for the step ε = 10⁻ᵏ",
    ylabel="error",
)
picture.alt += (
    " From left to right, every curve first falls with the step, by one power of ten "
    "per power of ten for the "
    "one-sided difference and by two for the central one, and then rises again by "
    "rounding."
)
picture

# %% [markdown]
# From left to right: first the leftover of the series shrinks (by one power of ten for each of ε,
# or by two), then rounding takes over and all curves rise. The central difference in float64 is
# best at ε = 10⁻⁵, with a dozen right digits. In float32 five or six digits are the most that can
# be had, at the one best step; a little to either side there are four, three, none. A gradient
# that is wrong by a thousandth could slip through. So:
#
# > **Check in float64, with central differences, at a step of about 10⁻⁵ times the size of the
# > numbers.** What works in float64 works in float32; train in that, later.

# %% [markdown]
# ## What is the slope of a layer?
#
# Here is the layer of notebook 1, with a bias b. It is added to every row of x W.
#
# **Now you.** Write `backward`. It sets `self.dW` and `self.db`, and returns dx.
#
# <details><summary>Hint</summary>
#
# b is used once for every example. The chain rule adds up all the ways.
# </details>
#
# <details><summary>A second hint</summary>
#
# b has the shape (M,), dz has the shape (N, M). Which axis has to go?
# </details>

# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))

class Dense:
    """y = sigmoid(x W + b)."""

    parameters = ("W", "b")

    def __init__(self, n_in, n_out, rng):
        self.W = rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x, self.y = x, sigmoid(x @ self.W + self.b)
        return self.y

    def backward(self, dy):
        ### BEGIN SOLUTION
        dz = dy * self.y * (1 - self.y)
        self.dW = self.x.T @ dz
        self.db = dz.sum(axis=0)
        return dz @ self.W.T
        ### END SOLUTION

course.check("2.2", Dense)

# %% [markdown]
# A slope belongs to a single number, but a layer returns an array and knows nothing of a loss. We
# invent one: take an array `dy` in the shape of y, and let
#
# $$s = \sum_{nm} dy_{nm}\, y_{nm}$$
#
# Then $\partial s / \partial y_{nm} = dy_{nm}$, whatever dy we chose. So `backward(dy)` has to
# return the gradient of s, and s can be measured. Entry by entry, for W:

# %%
def measured_gradient(s, array, step=1e-5):
    """The gradient of the number s() with respect to an array that s reads, entry
    by entry.
    """
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = s()
        array[index] = kept - step
        gradient[index] = (above - s()) / (2 * step)
        array[index] = kept
    return gradient

rng = np.random.default_rng(0)
layer, x, dy = (
    Dense(5, 4, rng),
    rng.standard_normal((6, 5)),
    rng.standard_normal((6, 4)),
)

layer.forward(x)
dx = layer.backward(dy)
for name, array, gradient in (
    ("W", layer.W, layer.dW),
    ("b", layer.b, layer.db),
    ("x", x, dx),
):
    measured = measured_gradient(lambda: np.sum(dy * layer.forward(x)), array)
    print(
        f"d{name}: largest difference from what is measured "
        f"{np.abs(gradient - measured).max():.0e}"
    )
    np.testing.assert_allclose(gradient, measured, rtol=1e-6, atol=1e-9)

# %% [markdown]
# ### Why dy has to be random
#
# It would be simpler to take dy = 1 everywhere, so that s is the sum of y. Here is a layer whose
# author forgot about dy, and what both choices say:

# %%
class ForgetsDy(Dense):
    def backward(self, dy):
        return super().backward(np.ones_like(dy))

layer = ForgetsDy(5, 4, rng)
for name, dy in (
    ("dy = 1", np.ones((6, 4))),
    ("random dy", rng.standard_normal((6, 4))),
):
    layer.forward(x)
    layer.backward(dy)
    claimed = layer.dW
    measured = measured_gradient(lambda: np.sum(dy * layer.forward(x)), layer.W)
    print(f"{name:9s}  largest difference {np.abs(claimed - measured).max():.0e}")

# %% [markdown]
# With dy = 1 the layer passes, and it would never have learnt anything useful. This holds for all
# tests: a special value hides mistakes. A bias of zero and a scale of one are such values, too.

# %% [markdown]
# ## One direction instead of every entry
#
# For a layer of 784 by 256 weights the loop above runs 401,408 forward passes. But if the
# gradient is right, it predicts the change of s in *every* direction v, and one random direction
# involves all entries at once:
#
# $$\langle dW, v \rangle = \sum_{jk} dW_{jk} v_{jk} \approx
# \frac{s(W + \varepsilon v) - s(W - \varepsilon v)}{2\varepsilon}$$
#
# Two passes, whatever the size. Can a wrong gradient pass? Only if its error is perpendicular to
# v, which hardly happens when v is drawn from a normal distribution; three draws in a row make
# sure. Let a gradient be wrong in a single one of 200,704 entries:

# %%
rng = np.random.default_rng(1)
layer, x, dy = (
    Dense(784, 256, rng),
    rng.standard_normal((20, 784)),
    rng.standard_normal((20, 256)),
)
layer.forward(x)
layer.backward(dy)
dW, W, step = layer.dW, layer.W.copy(), 1e-5

wrong = dW.copy()
wrong[100, 17] *= -1

for direction in range(3):
    v = rng.standard_normal(W.shape)
    layer.W = W + step * v
    above = layer.forward(x)
    layer.W = W - step * v
    measured = np.sum(dy * (above - layer.forward(x))) / (
        2 * step
    )  # what cancels, cancels before the sum
    print(
        f"measured {measured:12.7f}    <dW, v> {np.sum(dW * v):12.7f}    one sign "
        f"flipped {np.sum(wrong * v):12.7f}"
    )
    assert abs(np.sum(dW * v) - measured) < 1e-6 * abs(measured)
    assert abs(np.sum(wrong * v) - measured) > 1e-6 * abs(measured)

# %% [markdown]
# The right gradient agrees with the measurement in eight digits, the wrong one in three.
# Gradients come in all sizes, so we compare *relative* errors: the difference, divided by the
# larger of the two sizes.
#
# **Now you.** Write the relative error of two numbers.
#
# <details><summary>Hint</summary>
#
# $|got - measured|\, /\, \max(|got|, |measured|)$
# </details>
#
# <details><summary>A second hint</summary>
#
# `abs` three times, and `max` of two numbers.
# </details>

# %%
def relative_error(got, measured):
    ### BEGIN SOLUTION
    return abs(got - measured) / max(abs(got), abs(measured))
    ### END SOLUTION

course.check("2.3", relative_error)

# %% [markdown]
# And this is our checker:

# %%
def relative_errors(layer, x, rng, step=1e-5):
    """{name of a gradient: relative error along a random direction}, in float64
    with a random dy.
    """
    dy = rng.standard_normal(layer.forward(x).shape)
    gradients = {"x": layer.backward(dy)} | {
        name: getattr(layer, "d" + name) for name in layer.parameters
    }
    found = {}
    for name, gradient in gradients.items():
        array = x if name == "x" else getattr(layer, name)
        v, kept = rng.standard_normal(array.shape), array.copy()
        array += step * v
        above = layer.forward(x)
        array[...] = kept - step * v
        measured = np.sum(dy * (above - layer.forward(x))) / (2 * step)
        array[...] = kept
        found["d" + name] = relative_error(np.sum(gradient * v), measured)
    return found

layer, x = (
    Dense(5, 4, np.random.default_rng(0)),
    np.random.default_rng(1).standard_normal((6, 5)),
)
for name, error in relative_errors(layer, x, np.random.default_rng(2)).items():
    print(f"{name}  relative error {error:.1e}")
    assert error < 1e-6

# %% [markdown]
# The library's `td.gradcheck.check_layer` does just that, along three directions. Only where they
# disagree does it go through the entries one by one, to tell you what is wrong. It takes any
# class that has `forward`, `backward` and `parameters`, so also ours:

# %%
report = td.gradcheck.check_layer(
    Dense(5, 4, np.random.default_rng(0)), (6, 5)
)  # a shape stands for a random x
print(report)
assert report.ok

# %% [markdown]
# ## Break it in five ways
#
# Each of these is a slip that people make. All of them run without an error.

# %%
class FlippedSign(Dense):
    """The gradient of the weights points uphill."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = -self.dW
        return dx

class MeanOverBatch(Dense):
    """Divides by N, though the loss has done so already."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.dW, self.db = self.dW / len(dy), self.db / len(dy)
        return dx

class NoSlope(Dense):
    """Forgets the slope of the sigmoid in what it sends down."""

    def backward(self, dy):
        super().backward(dy)
        return dy @ self.W.T

class AddsUp(Dense):
    """Adds to the gradient of the step before."""

    dW = db = 0

    def backward(self, dy):
        old_dW, old_db = self.dW, self.db
        dx = super().backward(dy)
        self.dW, self.db = old_dW + self.dW, old_db + self.db
        return dx

class StaleInput(Dense):
    """Keeps the first input that it ever saw."""

    first = None

    def forward(self, x):
        y = super().forward(x)
        self.first = x if self.first is None else self.first
        self.x = self.first
        return y

# %% [markdown]
# Guess before you run: which of them can still learn to add? We train the network of notebook 1
# with each.

# %%
data = td.datasets.addition(bits=5)
inputs, targets = data.x.astype(np.float64), data.y.astype(np.float64)

def share_of_right_bits(kind, epochs=100, batch=9, lr=1.0):
    """Trains 10-64-32-6 with layers of this kind.

    Returns the percentage of right bits on sums it never saw.
    """
    rng = np.random.default_rng(0)
    layers = [kind(10, 64, rng), kind(64, 32, rng), kind(32, 6, rng)]
    for epoch in range(epochs):
        for start in range(0, len(inputs), batch):
            h, t = inputs[start:start + batch], targets[start:start + batch]
            for layer in layers:
                h = layer.forward(h)
            dh = (h - t) / len(h)
            for layer in reversed(layers):
                dh = layer.backward(dh)
            for layer in layers:
                layer.W, layer.b = layer.W - lr * layer.dW, layer.b - lr * layer.db
    h = data.x_test
    for layer in layers:
        h = layer.forward(h)
    return 100 * ((h > 0.5) == data.y_test).mean()

kinds = (Dense, FlippedSign, MeanOverBatch, NoSlope, AddsUp, StaleInput)
with np.errstate(over="ignore"):  # exp(-z) may overflow in a layer that runs away
    for kind in kinds:
        print(f"{kind.__name__:14s} {share_of_right_bits(kind):5.1f} % of the bits")

# %% [markdown]
# (Half of the bits is what a coin would get.) Two fail openly. Two learn, but slowly, and you
# would start to change the learning rate. And `NoSlope` learns *faster* than the right
# gradient! The slopes of a sigmoid are never negative, and at most ¼. One would think: leaving
# them out keeps all signs, and only makes the steps larger. Is that so? Think about `dh = dz @
# W.T`, a *sum* over the outputs, before you run this:

# %%
rng = np.random.default_rng(0)
layers = {
    kind: [
        kind(10, 64, np.random.default_rng(1)),
        kind(64, 32, np.random.default_rng(2)),
        kind(32, 6, np.random.default_rng(3)),
    ]
    for kind in (Dense, NoSlope)
}
arrived = {}
for kind, three in layers.items():
    h = inputs
    for layer in three:
        h = layer.forward(h)
    arrived[kind] = [(h - targets) / len(h)]
    for layer in reversed(three):
        arrived[kind].append(layer.backward(arrived[kind][-1]))

for name, right, wrong in zip(("h2", "h1"), arrived[Dense][1:], arrived[NoSlope][1:]):
    print(
        f"d{name}: {100 * np.mean(np.sign(right) == np.sign(wrong)):.0f} % of the "
        f"signs are right without the slopes"
    )
assert (np.sign(arrived[Dense][2]) != np.sign(arrived[NoSlope][2])).any()

# %% [markdown]
# Most signs stay, not all. Within one layer, dz keeps its signs; but dh adds up terms of both
# signs, each with another slope missing, and a sum may change its sign. On this task the larger
# steps help more than the wrong ones harm. What `NoSlope` follows is not the gradient of the loss
# any more, and nobody can say what it will do on the next task. No training curve tells a right
# gradient from a wrong one. The checker does:

# %%
for kind in kinds[1:]:
    report = td.gradcheck.check_layer(kind(5, 4, np.random.default_rng(0)), (6, 5))
    print(report, "\n")
    assert not report.ok

# %% [markdown]
# Read one of the reports slowly. It says which gradient, at which index, what it got and what it
# expected; and it tries to explain. For the last two it ran the class again and again, with less
# and less history, until the mistake was gone.

# %% [markdown]
# ## Kinks
#
# ReLU, max(x, 0), has no derivative at 0. To its left the slope is 0, to its right 1, and a central
# difference across the kink reports ½. Both are "wrong", and there is no mistake in the code:

# %%
relu = td.ReLU()
x = np.array([[0.5, -0.3, 0.0]])
relu.forward(x)
print("claimed slopes ", relu.backward(np.ones_like(x))[0])
print("measured slopes", measured_gradient(lambda: relu.forward(x).sum(), x)[0])
print()
print(td.gradcheck.check_layer(td.ReLU(), np.array([[0.5, -0.3, 0.0]])))

# %% [markdown]
# The checker recognises it, because the one-sided differences from the left and the right
# disagree with each other. The cure is to check at another input. In training nothing bad
# happens: to be exactly at 0 is a rare event.

# %% [markdown]
# ## What a check cannot find
#
# It compares `backward` with `forward`. If `forward` computes the wrong thing, and `backward` is
# its right derivative, all is well as far as it can see. So losses and layers need a second kind
# of test, against values that are worked out on paper.
#
# **Now you.** A layer of your own, from nothing: softplus, f(x) = log(1 + exp(x)). It has no
# parameters.
#
# <details><summary>Hint</summary>
#
# Its derivative is exp(x) / (1 + exp(x)). You know this function.
# </details>
#
# <details><summary>A second hint</summary>
#
# It is the sigmoid of x. Keep x in `forward`, and multiply dy by `sigmoid(self.x)` in `backward`.
# </details>

# %%
class Softplus:
    """y = log(1 + exp(x))."""

    parameters = ()

    def forward(self, x):
        ### BEGIN SOLUTION
        self.x = x
        return np.log(1 + np.exp(x))
        ### END SOLUTION

    def backward(self, dy):
        ### BEGIN SOLUTION
        return dy * sigmoid(self.x)
        ### END SOLUTION

course.check("2.4", Softplus)
print(td.gradcheck.check_layer(Softplus(), (6, 5)))

# %% [markdown]
# Losses have a gradient too. By the contract of the library a loss is a mean over the batch,
# which gets checked as well:

# %%
report = td.gradcheck.check_loss(
    td.SoftmaxCrossEntropy(), (4, 3), np.array([0, 2, 1, 1])
)
print(report)
assert report.ok

# %% [markdown]
# ## On your own
#
# **1.** Your `Softplus` overflows for x = 1000. Write it so that it does not, and check that it
# is still right.
#
# <details><summary>Hint</summary>
#
# log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). The library's `td.Softplus` does so.
# </details>
#
# **2.** Call `td.gradcheck.check_layer(Dense(5, 4, rng), (6, 5), step=1e-1)` and again with
# `step=1e-13`. Explain both reports by the picture of errors above.
#
# <details><summary>Hint</summary>
#
# With the large step the leftover of the series is larger than the tolerance of 10⁻⁶, so a right
# layer is called wrong. The tiny step meets rounding; the checker knows how much rounding to
# expect and does not blame the layer for it. It would not notice a small mistake either.
# </details>
#
# **3.** Why can `MeanOverBatch` learn at all? Find the learning rate with which it does as well
# as `Dense`.
#
# <details><summary>Hint</summary>
#
# In every layer dW and db are N = 9 times too small, while dx is right. So the step is that of a
# learning rate nine times smaller, and lr = 9 makes up for it (up to rounding, which grows as you
# saw in notebook 1). A wrong factor is the mistake that is hardest to see.
# </details>
#
# **4.** Normalise each feature over the batch, `y = (x - x.mean(axis=0)) / x.std(axis=0)`, and
# pretend in `backward` that mean and standard deviation are constants: `dx = dy / x.std(axis=0)`.
# What does the checker say? Look up the full formula in `td.BatchNorm`, and check that.
#
# <details><summary>Hint</summary>
#
# Each x moves the mean and the standard deviation too, and through them the outputs of all other
# examples. The missing terms are of order 1/N: large for the six rows of a check, and easily
# overlooked in training with large batches.
# </details>
#
# **5.** Put `Dense` into a file `dense.py` and, beside it, into `test_dense.py`:
#
#     def test_dense(assert_gradients):
#         assert_gradients(Dense(5, 4, np.random.default_rng(0)), (6, 5))
#
# Run `pytest`. Break `backward`, and run it again.
#
# <details><summary>Hint</summary>
#
# Import `Dense` and NumPy at the top of the test file. The fixture `assert_gradients` comes with
# the installed package, so there is nothing else to import.
# </details>

# %% [markdown]
# ## In practice
#
# - Check while you write: one operation, one check. Ten layers later you would have to search.
# - Small shapes with *different* sizes, such as (6, 5) and 4 outputs, let a transposed product
#   fail at once. With a square matrix it runs through and only the numbers are wrong.
# - Layers with random numbers, such as dropout, have to repeat the same draw in every pass of a
#   check, or the differences measure the random draws.
# - Every layer, loss and synthesizer of tinydni goes through this check in its tests, on shapes
#   that are drawn at random.
#
# ## Further reading
#
# - The guide `docs/gradcheck.md` in this repository: what the checker looks for, and how to use
#   it in a classroom.
# - N. Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, chapter 1, on what rounding
#   does to differences.
# - W. Press and others, *Numerical Recipes*, section 5.7, on the choice of the step.
#
# Next: **3. Guess the gradient.**
