# %% [markdown]
# # 6. Look through a virtual network
#
# **What you'll do.** Build a synthesizer that has the *form* of a gradient. It is a small extra
# network on top of h, with the label at its end, and the gradient of this network is the guess.
# Derive how it learns: that takes the gradient of a gradient. Check it in two ways, and train
# MNIST with it.
#
# **What you'll learn.** Why the right form is better than many parameters. How to differentiate a
# gradient by hand. How a central difference of two backward passes does the same for any network.
# Which comparisons you need before you call a method good.
#
# **What you need.** Notebooks 1 to 5. Three to four minutes.

# %%
import inspect

import course
import numpy as np

import tinydni as td
from tinydni.lab.gradient_quality import measure_gradients

SHORT = course.begin()

# %% [markdown]
# ## What a gradient looks like
#
# The linear synthesizer of the last notebooks is `h A + y C + b`, with the one-hot label y. It
# knows nothing about gradients of classifiers. It has to learn from examples what all of them
# have in common, and some of it a linear function cannot even express:
#
# - the gradient is **zero** for an example that is classified rightly and with confidence;
# - it is **bounded**, since probabilities are;
# - right below a *linear* top, δ = (p - y) Wᵀ, so all gradients of a batch lie in a space of few
#   dimensions.
#
# How many dimensions? And is that true at the interfaces further down, too? Say what you expect,
# for a network of five layers with a width of 256, ten classes and 256 examples. Then look at the
# rank of the δ of a batch.

# %%
digits = td.datasets.digits()
blocks = td.mlp(
    (digits.n_in, 256, 256, 256, 256, 10), td.stream(0, "weights"), dtype=np.float64
)
net = td.build(blocks, td.SoftmaxCrossEntropy(), 1e-3, algorithm=td.backprop)
h = digits.x[:256].astype(np.float64)
for module in net.modules:
    h = module.forward(h)
delta, ranks = 256 * net.modules[-1].gradient_at_output(h, target=digits.y[:256]), []
for module in net.modules[:0:-1]:
    delta = module.backward(delta)
    ranks.append(int(np.linalg.matrix_rank(delta)))
print("rank of δ at the interfaces, bottom to top:", ranks[::-1])
assert ranks[0] == 9 and min(ranks[1:]) > 200

# %% [markdown]
# The rank right below the top is nine: one less than the number of classes, since p and y both
# sum to 1. But this is true only there. One block further down, each example has its own pattern
# of ReLUs with slope 1 and slope 0. So each example multiplies the gradient by another matrix.
# The gradients then have the largest rank that 256 examples can have: 255, since `BatchNorm`
# subtracts the mean.
#
# T. Miyato and others had the idea to build this knowledge into the guesser. Let v be a **virtual
# network** from h to K logits. It can be any network. We use it in the place of everything above
# h. The gradient of its loss is our guess:
#
# $$\hat\delta = \frac{\partial\, \ell(v(h), y)}{\partial h}$$
#
# The simplest v is linear, z = hV + c. For cross-entropy, with p = softmax(z), notebook 4 has the
# derivative:
#
# $$\hat\delta = u V^T, \qquad u = p - y$$
#
# (The paper prints y - p. That is the gradient of the log-likelihood, which should grow. We use
# the loss, which should get smaller.)
#
# **Now you.** Write δ̂ from h (N, H), V (H, K), c (K,) and the one-hot labels y (N, K). `softmax`
# is given.
#
# <details><summary>Hint</summary>
#
# The logits are `h @ V + c`. u is softmax of them, minus y.
# </details>
#
# <details><summary>A second hint</summary>
#
# Then the gradient of the product: `u @ V.T`.
# </details>

# %%
def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

def virtual_guess(h, V, c, y):
    ### BEGIN SOLUTION
    return (softmax(h @ V + c) - y) @ V.T
    ### END SOLUTION

course.check("6.1", virtual_guess)

# %% [markdown]
# Right below a linear top block this form can give the truth itself: with V = W the virtual
# network *is* the top block.

# %%
rng = np.random.default_rng(0)
N, H, K = 500, 20, 4
h = rng.standard_normal((N, H))
W = 2 * rng.standard_normal((H, K)) / np.sqrt(H)  # of the true top block
labels = np.array(
    [rng.choice(K, p=p) for p in softmax(h @ W)]
)  # drawn by its own probabilities
y = np.eye(K)[labels]

loss, top = td.SoftmaxCrossEntropy(), td.Linear(H, K, rng, bias=False, dtype=np.float64)
top.W[...] = W
loss.forward(top.forward(h), labels)
delta = top.backward(loss.backward()) * N  # the truth, by the library

guess = virtual_guess(h, W, np.zeros(K), y)
print(
    f"largest difference between the truth and the guess with V = W: "
    f"{np.abs(delta - guess).max():.0e}"
)
np.testing.assert_allclose(guess, delta, atol=1e-12)

# %% [markdown]
# The virtual network also does not have the problem of a guess from h alone (notebook 5), because
# it uses the label.
#
# ## Learning it: the gradient of a gradient
#
# V starts random. It has to come near the truth, so we go down the error
#
# $$E = \tfrac{1}{2N} \lVert \hat\delta - \delta \rVert^2$$
#
# Let $e = (\hat\delta - \delta)/N$ be the gradient at the output of the synthesizer, as `dy` is
# for a layer. We look for the gradient of $\langle e, \hat\delta \rangle$, the sum of all
# products of entries, with respect to V. Write the forward page, one operation per line, and read
# it from the last line to the first:
#
#     z = h @ V + c
#     p = softmax(z)
#     u = p - y
#     delta_hat = u @ V.T
#
# From the last line, `du = e @ V`. The third line changes nothing: `dp = du`. The second is new:
# we need the backward pass of softmax, with $\partial p_k / \partial z_l = p_k ([k = l] - p_l)$.
#
# **Now you.** Multiply by du, sum over k, and write dz from p and du, both (N, K).
#
# <details><summary>Hint</summary>
#
# $dz_l = \sum_k du_k\, p_k ([k = l] - p_l) = du_l\, p_l - p_l \sum_k du_k\, p_k$
# </details>
#
# <details><summary>A second hint</summary>
#
# The sum is `(du * p).sum(axis=1, keepdims=True)`.
# </details>

# %%
def through_softmax(p, du):
    ### BEGIN SOLUTION
    return p * (du - (du * p).sum(axis=1, keepdims=True))
    ### END SOLUTION

course.check("6.2", through_softmax)

# %% [markdown]
# **Now you.** V is used twice on the page: in the first line and in the last one. So `dV` has two
# parts. Write it from e, u, h and dz.
#
# <details><summary>Hint</summary>
#
# First line: `z = h @ V`. Last line: `delta_hat = u @ V.T`. Both parts have the shape (H, K) of
# V.
# </details>
#
# <details><summary>A second hint</summary>
#
# The part from the first line is `h.T @ dz`. The part from the last line is `e.T @ u`.
# </details>

# %%
def gradient_of_V(e, u, h, dz):
    ### BEGIN SOLUTION
    return e.T @ u + h.T @ dz
    ### END SOLUTION

course.check("6.3", gradient_of_V)

# %% [markdown]
# The part `h.T @ dz` comes from the change of the *probabilities* with V. It is called the
# second-order part.

# %%
class Virtual:
    """delta_hat = (softmax(h V + c) - y) V.T."""

    parameters = ("V", "c")

    def __init__(self, n_h, n_classes, rng):
        self.V, self.c = (
            rng.standard_normal((n_h, n_classes)) / np.sqrt(n_h),
            np.zeros(n_classes),
        )

    def forward(self, h, y):
        self.h, self.p = h, softmax(h @ self.V + self.c)
        self.u = self.p - y
        return self.u @ self.V.T

    def backward(self, e):
        du = e @ self.V
        dz = through_softmax(self.p, du)
        self.dV = gradient_of_V(e, self.u, self.h, dz)
        self.dc = dz.sum(axis=0)

report = td.gradcheck.check_synthesizer(
    Virtual(6, 3, np.random.default_rng(0)), (8, 6), np.eye(3)[[0, 2, 1, 1, 0, 2, 2, 0]]
)
print(report)
assert report.ok

# %% [markdown]
# The checker of notebook 2 moves V and c and measures `delta_hat`. Our formula is right. The
# library's `VirtualLinear` has the same lines:

# %%
ours, theirs = (
    Virtual(H, K, np.random.default_rng(1)),
    td.VirtualLinear(H, K, np.random.default_rng(1), dtype=np.float64),
)
e = rng.standard_normal((N, H)) / N
for synthesizer in (ours, theirs):
    synthesizer.forward(h, y)
    synthesizer.backward(e)
for name in ("V", "c"):
    np.testing.assert_allclose(
        getattr(theirs, "d" + name), getattr(ours, "d" + name), rtol=1e-9, atol=1e-12
    )
print(inspect.getsource(td.VirtualLinear.backward))

# %% [markdown]
# ## Does it find the truth?
#
# We try four guessers for the small top block above: our virtual network; the same without its
# second-order part; the same with the wrong sign, so that it goes *up*; and the best linear guess
# from [h, y, 1], for comparison.

# %%
def fit(sign=-1, second_order=True, lr=0.3, n_steps=100):
    """E in every step."""
    guesser, errors = Virtual(H, K, np.random.default_rng(1)), []
    for step in range(n_steps):
        e = (guesser.forward(h, y) - delta) / N
        errors.append(0.5 * N * np.sum(e**2))
        guesser.backward(e)
        guesser.V = guesser.V + sign * lr * (
            guesser.dV if second_order else e.T @ guesser.u
        )
        guesser.c = guesser.c + sign * lr * guesser.dc * second_order
    return np.array(errors)

features = np.hstack([h, y, np.ones((N, 1))])
linear = features @ np.linalg.lstsq(features, delta, rcond=None)[0]
best_linear = 0.5 * np.sum((linear - delta)**2) / N

errors = {
    "virtual": fit(),
    "without second order": fit(second_order=False),
    "uphill": fit(sign=+1, n_steps=12),
}
assert (
    errors["virtual"][-1] < 0.01 < best_linear
    and errors["uphill"][-1] > errors["uphill"][0]
)
td.plots.learning_curve(
    {name: (np.arange(len(error)), error) for name, error in errors.items()},
    title="Matching a gradient",
    xlabel="step",
    ylabel="squared error E",
    reference={"guess zero": 0.5 * np.sum(delta**2) / N, "best linear": best_linear},
)

# %% [markdown]
# With 84 numbers the virtual network finds the truth. The linear guess has 500 numbers and cannot
# find it. The second-order part is *right*, but here it changes little. With a hidden layer in
# the virtual network it is a bit more important (exercise 2). Going uphill fails, as in notebook
# 3.

# %% [markdown]
# ## Any virtual network, by a difference
#
# For every other v we would have to derive a page like ours. There is a shorter way. The inner
# product $\langle e, \hat\delta \rangle = \langle e, \partial \ell / \partial h \rangle$ is a
# directional derivative: the slope of the summed loss as h moves along e. We may take derivatives
# in any order. So its gradient with respect to V is the slope of the *ordinary* weight gradient,
# as h moves along e:
#
# $$\frac{\partial}{\partial V} \langle e, \hat\delta \rangle
# = \frac{d}{d\varepsilon}\, \frac{\partial \ell}{\partial V}(h + \varepsilon e)
# \approx \frac{dV(h + \varepsilon e) - dV(h - \varepsilon e)}{2 \varepsilon}$$
#
# That takes two ordinary backward passes, for any network.
#
# **Now you.** Write this difference. `dV` is given: a function of h.
#
# <details><summary>Hint</summary>
#
# It is the central difference of notebook 2, with arrays.
# </details>
#
# <details><summary>A second hint</summary>
#
# h moves along e: `h + step * e` and `h - step * e`.
# </details>

# %%
def second_order(dV, h, e, step):
    ### BEGIN SOLUTION
    return (dV(h + step * e) - dV(h - step * e)) / (2 * step)
    ### END SOLUTION

course.check("6.4", second_order)

# %% [markdown]
# Try it on ours, where `dV` of the ordinary loss is `h.T @ (p - y)`:

# %%
def ordinary_dV(h, V, c):
    """The gradient of the summed cross-entropy of a linear classifier."""
    return h.T @ (softmax(h @ V + c) - y)

ours.forward(h, y)
e = rng.standard_normal((N, H))
ours.backward(e)
by_difference = second_order(lambda h: ordinary_dV(h, ours.V, ours.c), h, e, step=1e-5)
error = np.abs(by_difference - ours.dV).max() / np.abs(ours.dV).max()
print(f"closed form and difference of two passes: relative error {error:.0e}")
assert error < 1e-6

# %% [markdown]
# The library has it as `VirtualNetwork`, for any layers. With one hidden layer of tanh there is
# also a closed form, `VirtualMLP`, a page of formulas. Same weights, same numbers:

# %%
closed = td.variants.VirtualMLP(
    H, K, np.random.default_rng(2), hidden=16, dtype=np.float64
)
layers = [
    td.Linear(H, 16, rng, dtype=np.float64),
    td.Tanh(),
    td.Linear(16, K, rng, dtype=np.float64),
]
layers[0].W[...], layers[2].W[...] = closed.A, closed.V
general = td.variants.VirtualNetwork(td.Sequential(*layers), K, step=1e-5)

guesses = [synthesizer.forward(h, y) for synthesizer in (closed, general)]
np.testing.assert_allclose(*guesses, rtol=1e-9, atol=1e-12)
for synthesizer in (closed, general):
    synthesizer.backward(e)
for name, by_hand, by_difference in (
    ("first matrix", closed.dA, layers[0].dW),
    ("second matrix", closed.dV, layers[2].dW),
):
    error = np.abs(by_difference - by_hand).max() / np.abs(by_hand).max()
    print(f"{name}: relative error of the difference {error:.0e}")
    assert error < 1e-6

# %% [markdown]
# ## MNIST
#
# We train six layers, as in notebook 5, by cDNI, by backpropagation, and in four new ways:
#
# | | what a hidden block learns from |
# | --- | --- |
# | `vfbn` | a linear virtual network, trained on the messages ("virtual forward-backward network" in the paper) |
# | `vfbn, one hidden` | a virtual network with a hidden layer of 256 |
# | `vfbn, untrained` | the same linear form, random, and never trained |
# | `local` | a classifier of its own: the same form, but trained as a classifier, on the labels, not on the messages |
#
# The last two are controls. Without them you could not say whether *learning the gradient* does
# anything.

# %%
data, MNIST = course.mnist(SHORT)
epochs = 1 if SHORT else 3 if MNIST else 40

# %%
def adam(lr, eps=1e-8):
    return lambda: td.Adam(lr, eps=eps)

def recipe(method, seed=0):
    rng = td.stream(seed, "synthesizer")
    return {
        "backprop": dict(algorithm=td.backprop, lr=adam(2e-3)),
        "cdni": dict(
            synthesizer=lambda n: td.LinearSynthesizer(n, n_context=10),
            lr=adam(5e-3, eps=1e-5),
            top_lr=adam(1e-3),
            synthesizer_lr=adam(1e-3),
        ),
        "vfbn": dict(
            synthesizer=lambda n: td.VirtualLinear(n, 10, rng),
            lr=adam(3e-3),
            synthesizer_lr=adam(1e-3),
        ),
        "vfbn, one hidden": dict(
            synthesizer=lambda n: td.variants.VirtualMLP(n, 10, rng, hidden=256),
            lr=adam(3e-3),
            synthesizer_lr=adam(1e-3),
        ),
        "vfbn, untrained": dict(
            synthesizer=lambda n: td.variants.Frozen(td.VirtualLinear(n, 10, rng)),
            lr=adam(1e-3),
            synthesizer_lr=adam(1e-3),
        ),
        "local": dict(
            synthesizer=lambda n: td.variants.LocalHead(
                td.Linear(n, 10, rng, std=n**-0.5), 10
            ),
            lr=adam(1e-3),
            synthesizer_lr=adam(1e-3),
        ),
    }[method]

def train(method, layers=6, seed=0):
    """Trains one network. Returns its history."""
    blocks = td.mlp(
        [data.n_in] + [256] * (layers - 1) + [10], td.stream(seed, "weights")
    )
    net = td.build(blocks, td.SoftmaxCrossEntropy(), **recipe(method, seed))
    training = td.Training(net, data, epochs, batch_size=64, seed=seed,
                           schedule=td.LinearDecay(epochs * (len(data.x) // 64)),
                           context=data.context() if net.synthesizers() else None)
    if net.synthesizers():
        measure_gradients(training)
    return training.run([course.watch(method)])

METHODS = ("backprop", "vfbn", "vfbn, one hidden", "local", "cdni", "vfbn, untrained")
histories = {method: train(method) for method in METHODS}
for method in METHODS:
    print(
        f"{method:16s} {histories[method]['test_error'][-1]:5.2f} % of the test images "
        f"misread"
    )

last = {method: history["test_error"][-1] for method, history in histories.items()}
assert (
    not MNIST
    or max(last["vfbn"], last["local"], last["cdni"]) < last["vfbn, untrained"] + 0.3
)
assert not MNIST or last["vfbn"] < last["backprop"] + 0.8

td.plots.learning_curve(
    {
        method: (history["epoch"], history["test_error"])
        for method, history in histories.items()
    },
    title=f"{data.name}, 6 layers",
    xlabel="epoch",
    ylabel="test error [%]",
)

# %%
td.plots.gradient_quality(
    {
        method: histories[method]
        for method in ("vfbn", "cdni", "local", "vfbn, untrained")
    },
    title=f"{data.name}, 6 layers: guess and truth",
)

# %% [markdown]
# - **The virtual network is close to backpropagation from the first epoch on**: its guesses have
#   a good direction early. They are nearly the truth at interface 5, and clearly better than
#   those of cDNI at all interfaces. Even with a random V, an example that the virtual network
#   classifies rightly gets no change.
# - **The untrained form works, too**, but not as well. Its fixed random weights are a classifier.
#   The block below learns to make an h that this classifier reads rightly.
# - **And the local classifier** is nearly as good as the others without any message, although its
#   cosine is lower. This task is so easy that layers can learn well on their own, and then the
#   cosine is not important. To see differences between the methods you need deeper networks that
#   are cut in few places.
#
# ## Why the virtual network is good
#
# It is not better because it is larger. It has 2,570 numbers per interface, and the linear
# synthesizer has 68,352. It has the right *form*: zero where there is nothing to learn, bounded,
# and exact at the top. Only one thing is left to learn: which directions of h are important for
# the classes?

# %% [markdown]
# ## On your own
#
# **1.** With squared error and a linear virtual network, z = hV and u = z - y. Derive `dV` for δ̂
# = u Vᵀ. What replaces the softmax line?
#
# <details><summary>Hint</summary>
#
# p is z itself, so dz = du: `dV = e.T @ u + h.T @ (e @ V)`. In the library it is
# `VirtualLinear(..., output=td.Sequential())`, with nothing between z and p; check both against
# one another.
# </details>
#
# **2.** How large is the second-order part with a hidden layer? In `VirtualMLP.backward`, the
# first-order part of dA is `e.T @ m`. Measure its cosine with the full dA, for the e of real
# learning.
#
# <details><summary>Hint</summary>
#
# `np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))`. After `closed.backward(e)` the full
# gradient is `closed.dA`, and the first-order part is `e.T @ closed.m`. Take e = (guess - truth)
# / N, as in learning. The cosine is 0.97 here; for the linear form it is above 0.99. (A random e
# gives another number.)
# </details>
#
# **3.** Give `VirtualNetwork` a hidden layer of ReLU instead of tanh, and compare its gradient
# for steps of 10⁻¹ to 10⁻⁶ with one another. Why is smaller not better?
#
# <details><summary>Hint</summary>
#
# ReLU is straight except at its kink, so f'' is zero everywhere else. With smaller steps fewer
# examples cross a kink, and each crossing counts with 1/ε. At 10⁻³ or 10⁻⁴ (it depends on the
# weights) the gradient is several times longer than at 10⁻¹, and has another direction. With even
# smaller steps no example crosses a kink any more, and the kinks are not seen at all. A step of
# 0.03 to 0.1 times the size of h averages over many. The library's default is 0.1.
# </details>
#
# **4.** Start V of every `VirtualLinear` at zero. Does it learn? And `VirtualMLP` with both A and
# V at zero?
#
# <details><summary>Hint</summary>
#
# The linear form guesses zero at first, but `dV = e.T @ u` is not zero where the message is not.
# Below the top the message is the truth, so V moves in the first step. The next interface gets a
# message in the second step, and so on: one interface per step. With two zero matrices m, q and
# dm are all zero. Then every gradient is zero, and nothing ever changes. Of several layers in a
# row only one may start at zero.
# </details>
#
# **5.** Train `vfbn` with 3 layers and a synthesizer learning rate of zero, and compare with
# `vfbn, untrained`. What else differs between the two recipes?
#
# <details><summary>Hint</summary>
#
# `Frozen` never learns either. So the difference is the learning rate of the blocks, 3e-3 and
# 1e-3. Look for such hidden differences before you compare two methods.
# </details>

# %% [markdown]
# ## In practice
#
# - The virtual network can be any network. For images, take two small convolutions, with
#   `VirtualNetwork`. It needs a second derivative, so it should be smooth: use tanh or softplus
#   instead of ReLU.
# - It starts small and random, never at zero. A `BatchNorm` in it always uses the statistics of
#   the batch.
# - **Assignment A4**, tasks 1 and 2, can be solved now: `tinydni assignment release A4 --out
#   FOLDER`.
# - A difference of two passes costs about four passes of the virtual network. That is little,
#   since this network is small.
#
# ## Further reading
#
# - T. Miyato, D. Okanohara, S. Maeda and M. Koyama, *Synthetic Gradient Methods with Virtual
#   Forward-Backward Networks*, 2017: three pages.
# - B. Pearlmutter, *Fast Exact Multiplication by the Hessian*, 1994: the derivative along a
#   direction, from two backward passes or exactly.
# - A. Nøkland and L. Eidnes, *Training Neural Networks with Local Error Signals*, 2019: how good
#   the local classifier gets.
#
# Next: **7. Unlock everything.**
