# %% [markdown]
# # 2. Check a gradient
#
# **What you'll do.** Measure gradients instead of deriving them, and find out how exact that is.
# Build a gradient checker of a dozen lines. Then break a layer in five ways, see which of them
# still seem to learn, and let the checker find all five.
#
# **What you'll learn.** Why a check uses central differences, float64, and a random gradient from
# above. Why one random direction says as much as a thousand single weights. What a kink is, and
# what no gradient check can find.
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
# The derivative is a limit. A computer can come near it, in two simple ways:
#
# $$\text{one-sided: } \frac{f(a + \varepsilon) - f(a)}{\varepsilon} \qquad\qquad
# \text{central: } \frac{f(a + \varepsilon) - f(a - \varepsilon)}{2 \varepsilon}$$
#
# How large is their error? Put the series $f(a \pm \varepsilon) = f \pm \varepsilon f' +
# \frac{\varepsilon^2}{2} f'' \pm \frac{\varepsilon^3}{6} f''' + \dots$ into both. In the
# one-sided form the error is about $\frac{\varepsilon}{2} f''$. In the central form the even
# terms cancel, and the error is about $\frac{\varepsilon^2}{6} f'''$. With ε = 0.001 that is
# thousands of times less. We try it with f = tanh, because we know its derivative, 1 - tanh².
#
#
# **Now you.** Write the central difference. The one-sided one is given.
#
# <details><summary>Hint</summary>
#
# f is called twice: one step above a, and one step below.
# </details>
#
# <details><summary>A second hint</summary>
#
# The two points are `2 * step` apart. The divisor needs brackets.
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
# the difference in the numerator has an error of about 10⁻¹⁶. Dividing by ε makes this error
# larger. The smaller the step, the larger the error:

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
# Read the picture from left to right. First the error of the series gets smaller: by one power of
# ten for each power of ε, or by two. Then the rounding error becomes larger than it, and all
# curves rise. The central difference in float64 is best at ε = 10⁻⁵, with about twelve right
# digits. In float32 you get five or six digits at the best step, and four, three or none at the
# steps around it. A gradient that is wrong by a thousandth might not be noticed. So:
#
# > **Check in float64, with central differences, at a step of about 10⁻⁵ times the size of the
# > numbers.** Code that is right in float64 is right in float32. Use float32 later, for training.

# %% [markdown]
# ## What is the slope of a layer?
#
# Here is the layer of notebook 1, with a bias b. It is added to every row of x W.
#
# **Now you.** Write `backward`. It sets `self.dW` and `self.db`, and returns dx.
#
# <details><summary>Hint</summary>
#
# b is used once for every example. The chain rule adds up all these ways.
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
# Only a single number has a slope, but a layer returns an array and knows no loss. So we make up
# a loss s. Take an array `dy` in the shape of y, and let
#
# $$s = \sum_{nm} dy_{nm}\, y_{nm}$$
#
# Then $\partial s / \partial y_{nm} = dy_{nm}$, for every dy that we choose. So `backward(dy)`
# has to return the gradient of s, and s can be measured. Entry by entry, for W:

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
# It would be simpler to take dy = 1 everywhere; then s is the sum of y. Here is a layer whose
# author forgot to multiply by dy. Look what both choices say:

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
# With dy = 1 the layer passes the check, but it could never learn anything useful. All tests have
# this problem: special values hide mistakes. A bias of zero and a scale of one are such values,
# too.

# %% [markdown]
# ## One direction instead of every entry
#
# For a layer of 784 by 256 weights the loop above runs 401,408 forward passes. But if the
# gradient is right, it predicts the change of s in *every* direction v. One random direction uses
# all entries at once:
#
# $$\langle dW, v \rangle = \sum_{jk} dW_{jk} v_{jk} \approx
# \frac{s(W + \varepsilon v) - s(W - \varepsilon v)}{2\varepsilon}$$
#
# That takes two passes, for an array of any size. Can a wrong gradient pass the check? Only if
# its error is perpendicular to v. This almost never happens when v is drawn from a normal
# distribution, and with three draws it is practically impossible. In the next cell one of 200,704
# entries is wrong:

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
# Gradients can be large or small, so we compare *relative* errors: the difference, divided by the
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
# This is our checker:

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
# The library's `td.gradcheck.check_layer` does the same, along three directions. If they
# disagree, it checks the entries one by one, to tell you what is wrong. It takes any class that
# has `forward`, `backward` and `parameters`, so also ours:

# %%
report = td.gradcheck.check_layer(
    Dense(5, 4, np.random.default_rng(0)), (6, 5)
)  # a shape stands for a random x
print(report)
assert report.ok

# %% [markdown]
# ## Break it in five ways
#
# People really make each of these mistakes. All of them run without an error message.

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
# (By chance, half of the bits are right.) Two of them clearly do not learn. Two learn, but
# slowly, and you would start to change the learning rate. And `NoSlope` learns *faster* than the
# right gradient! The slopes of a sigmoid are never negative, and at most ¼. So you may think that
# without them all signs stay the same, and only the steps get larger. Is that true? Think about
# `dh = dz @ W.T`, a *sum* over the outputs, before you run this:

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
# Most signs stay the same, but not all. Within one layer, dz keeps its signs. But dh adds up
# positive and negative terms, and in each of them another slope is missing. So the sum can change
# its sign. On this task the larger steps help more than the wrong signs harm. But `NoSlope` does
# not follow the gradient of the loss any more, and nobody can say what it will do on the next
# task. A training curve cannot show you whether a gradient is right. The checker can:

# %%
for kind in kinds[1:]:
    report = td.gradcheck.check_layer(kind(5, 4, np.random.default_rng(0)), (6, 5))
    print(report, "\n")
    assert not report.ok

# %% [markdown]
# Read one of the reports slowly. It says which gradient is wrong, at which index, what it got and
# what it expected. Then it tries to explain the mistake. For the last two classes it ran the
# class several times, with fewer and fewer earlier passes, until the mistake was gone.

# %% [markdown]
# ## Kinks
#
# ReLU, max(x, 0), has no derivative at 0. Left of 0 the slope is 0, right of it 1. Such a point
# is a **kink**. A central difference across the kink gives ½. The two disagree, and still there
# is no mistake in the code:

# %%
relu = td.ReLU()
x = np.array([[0.5, -0.3, 0.0]])
relu.forward(x)
print("claimed slopes ", relu.backward(np.ones_like(x))[0])
print("measured slopes", measured_gradient(lambda: relu.forward(x).sum(), x)[0])
print()
print(td.gradcheck.check_layer(td.ReLU(), np.array([[0.5, -0.3, 0.0]])))

# %% [markdown]
# The checker notices the kink, because the one-sided differences from the left and from the right
# disagree. Then check at another input. For training a kink is no problem: an input is almost
# never exactly 0.

# %% [markdown]
# ## What a check cannot find
#
# A check compares `backward` with `forward`. If `forward` computes the wrong thing, and
# `backward` is its right derivative, the check finds nothing. So losses and layers need a second
# kind of test, against values that you have computed on paper.
#
# **Now you.** Write a whole layer yourself: softplus, f(x) = log(1 + exp(x)). It has no
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
# Losses have a gradient, too. In this library every loss is a mean over the batch, and the
# checker tests that as well:

# %%
report = td.gradcheck.check_loss(
    td.SoftmaxCrossEntropy(), (4, 3), np.array([0, 2, 1, 1])
)
print(report)
assert report.ok

# %% [markdown]
# ## On your own
#
# **1.** Your `Softplus` overflows for x = 1000. Write a form that does not, and check that it is
# still right.
#
# <details><summary>Hint</summary>
#
# log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). The library's `td.Softplus` uses this.
# </details>
#
# **2.** Call `td.gradcheck.check_layer(Dense(5, 4, rng), (6, 5), step=1e-1)` and again with
# `step=1e-13`. Explain both reports with the picture of the errors above.
#
# <details><summary>Hint</summary>
#
# With the large step the error of the series is larger than the tolerance of 10⁻⁶, so the checker
# calls a right layer wrong. With the tiny step the rounding error is large. The checker knows how
# much rounding to expect, and does not call the layer wrong for it. But it would not notice a
# small mistake either.
# </details>
#
# **3.** Why can `MeanOverBatch` learn at all? Find the learning rate with which it does as well
# as `Dense`.
#
# <details><summary>Hint</summary>
#
# In every layer dW and db are N = 9 times too small, while dx is right. So the steps are those of
# a learning rate that is nine times smaller. With lr = 9 they are the right ones again, up to
# rounding, which grows as you saw in notebook 1. A wrong factor is the hardest mistake to see.
# </details>
#
# **4.** Normalise each feature over the batch, `y = (x - x.mean(axis=0)) / x.std(axis=0)`. In
# `backward` treat mean and standard deviation as constants: `dx = dy / x.std(axis=0)`. What does
# the checker say? Look up the full formula in `td.BatchNorm`, and check that.
#
# <details><summary>Hint</summary>
#
# Each x also moves the mean and the standard deviation, and through them the outputs of all other
# examples. The missing terms are of order 1/N. They are large for the six rows of a check, but in
# training with large batches you easily miss them.
# </details>
#
# **5.** Put `Dense` into a file `dense.py`. In the same folder, write this into `test_dense.py`:
#
#     def test_dense(assert_gradients):
#         assert_gradients(Dense(5, 4, np.random.default_rng(0)), (6, 5))
#
# Run `pytest`. Break `backward`, and run it again.
#
# <details><summary>Hint</summary>
#
# Import `Dense` and NumPy at the top of the test file. pytest finds `assert_gradients` by itself
# (a *fixture* of the installed package), so you need no other import.
# </details>

# %% [markdown]
# ## In practice
#
# - Check while you write: one operation, one check. If you wait until there are ten layers, you
#   have to search for the mistake.
# - Take small shapes with *different* sizes, such as (6, 5) and 4 outputs: then a transposed
#   product stops with an error. With a square matrix it runs, and only the numbers are wrong.
# - Layers with random numbers, such as dropout, must draw the same numbers in every pass of a
#   check. Otherwise the differences measure the random draws.
# - The tests of tinydni check every layer, loss and synthesizer in this way, on random shapes.
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
