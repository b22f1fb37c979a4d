# %% [markdown]
# # 4. Build the layers
#
# **What you'll do.** Write the five parts of every later network: `Linear`, `ReLU`, `BatchNorm`,
# softmax with cross-entropy, and `Adam`. Derive each part, write it and check it. Then build a
# network from your own parts alone, compare it with the library, number by number, and decouple
# it.
#
# **What you'll learn.** Where the gradient of `BatchNorm` comes from. Why a classifier ends in
# logits. What Adam divides by, and why. That you can write every part of the library yourself.
#
# **What you need.** Notebooks 1 to 3. Less than a minute. Nothing is downloaded.

# %%
import course
import numpy as np

import tinydni as td

SHORT = course.begin()

# %% [markdown]
# ## Linear, and where its weights start
#
# In notebook 1 a layer was a product and a sigmoid. From now on these are two layers. In notebook
# 2 you have written the product with its bias. Here it is a layer of its own, y = x W + b:

# %%
class Linear:
    parameters = ("W", "b")

    def __init__(self, n_in, n_out, rng, std=None):
        std = np.sqrt(2 / n_in) if std is None else std
        self.W = std * rng.standard_normal((n_in, n_out))
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.W.T

print(td.gradcheck.check_layer(Linear(5, 4, np.random.default_rng(0)), (6, 5)))

# %% [markdown]
# Why √(2 / n_in)? Let the inputs have mean square 1. Each output is a sum of n_in products, so
# its mean square is n_in · std². With std = √(1 / n_in) that is 1. But a ReLU after it (see
# below) sets half of the outputs to zero, and half of the mean square is lost. The factor 2
# corrects this (He and others, 2015). Look at ten layers:

# %%
rng = np.random.default_rng(0)
for name, factor in (("√(1 / n_in)", 1), ("√(2 / n_in)", 2), ("√(4 / n_in)", 4)):
    h = rng.standard_normal((1000, 256))
    for _ in range(10):
        h = np.maximum(Linear(256, 256, rng, std=np.sqrt(factor / 256)).forward(h), 0)
    print(f"std = {name}: mean square after ten layers {np.mean(h**2):.1e}")

# %% [markdown]
# ## ReLU
#
# The **rectifier** is y = max(x, 0). The sigmoid has a slope of ¼ at most. A ReLU has the slope 1
# where x is positive, so gradients do not get smaller on their way down.
#
# **Now you.** Write `forward` and `backward`.
#
# <details><summary>Hint</summary>
#
# Where x is negative, y does not change with x: the slope is 0. Else it is 1.
# </details>
#
# <details><summary>A second hint</summary>
#
# Keep `self.mask = x > 0` in `forward`. A mask times a number is the number, or 0.
# </details>

# %%
class ReLU:
    parameters = ()

    def forward(self, x):
        ### BEGIN SOLUTION
        self.mask = x > 0
        return x * self.mask
        ### END SOLUTION

    def backward(self, dy):
        ### BEGIN SOLUTION
        return dy * self.mask
        ### END SOLUTION

course.check("4.1", ReLU)

# %% [markdown]
# ## BatchNorm
#
# While a network learns, the mean and the size of each layer's outputs change, and the layer
# above has to follow. **Batch normalisation** (Ioffe and Szegedy, 2015) brings every feature to
# mean 0 and variance 1 over the batch. Then it multiplies by a scale gamma and adds a shift beta,
# which are learned:
#
# $$\hat x = \frac{x - \operatorname{mean}(x)}{\sqrt{\operatorname{var}(x) + \varepsilon}}, \qquad
# y = \gamma\, \hat x + \beta$$
#
# Mean and variance are taken over the N examples, for every feature separately. The small number
# ε prevents a division by zero if a feature is constant.
#
# **Now you.** Write x̂ for an x of shape (N, M).
#
# <details><summary>Hint</summary>
#
# `x.mean(axis=0)` has one number for each feature. So has `x.var(axis=0)`.
# </details>
#
# <details><summary>A second hint</summary>
#
# ε is under the root: `np.sqrt(x.var(axis=0) + eps)`.
# </details>

# %%
def normalised(x, eps):
    ### BEGIN SOLUTION
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    ### END SOLUTION

course.check("4.2", normalised)

# %% [markdown]
# The backward pass has three parts, since x acts on x̂ in three ways: directly, through the mean,
# and through the variance. Write $s = 1/\sqrt{\operatorname{var} + \varepsilon}$. The gradient at
# x̂ is $g = \gamma\, dy$.
#
# - *Directly:* $s\, g_n$.
# - *Through the mean.* Every example has a share of 1/N in the mean, and the mean is subtracted
#   from all of them: $-s \cdot \frac1N \sum_k g_k$.
# - *Through the variance.* $\partial \operatorname{var} / \partial x_n = \frac2N (x_n -
#   \operatorname{mean})$, and $\partial \hat x_k / \partial \operatorname{var} = -\frac12 (x_k -
#   \operatorname{mean})\, s^3$. Multiply, sum over k, and put x̂ for s (x - mean): $-s\, \hat x_n
#   \cdot \frac1N \sum_k g_k \hat x_k$.
#
# What does that mean? Moving a feature of all examples by the same amount does not change x̂. So
# that part of the gradient is removed. The same is true for multiplying the feature of all
# examples by one number.
#
# **Now you.** Put the three parts together: dx from dy, x̂, s and gamma.
#
# <details><summary>Hint</summary>
#
# All three have the factor gamma · s. In the bracket stand dy, a mean of dy, and x̂ times a mean.
# </details>
#
# <details><summary>A second hint</summary>
#
# `gamma * s * (dy - dy.mean(axis=0) - x_hat * ...)`, and the last mean is that of `dy * x_hat`.
# </details>

# %%
def batchnorm_dx(dy, x_hat, s, gamma):
    ### BEGIN SOLUTION
    return gamma * s * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    ### END SOLUTION

course.check("4.3", batchnorm_dx)

# %% [markdown]
# One thing is left. A trained network may get one image alone, and then there is no batch. So
# while the layer learns, it keeps a running mean and a running variance: `new = 0.9 * old + 0.1 *
# batch`. Afterwards it uses these. Here is the whole layer:

# %%
class BatchNorm:
    parameters = ("gamma", "beta")
    training, eps = True, 1e-5

    def __init__(self, n):
        self.gamma, self.beta = np.ones(n), np.zeros(n)
        self.mean, self.var = np.zeros(n), np.ones(n)           # running

    def forward(self, x):
        if not self.training:
            return (
                self.gamma * (x - self.mean) / np.sqrt(self.var + self.eps) + self.beta
            )
        N = len(x)
        self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
        self.var = 0.9 * self.var + 0.1 * x.var(axis=0) * N / (N - 1)
        self.s = 1 / np.sqrt(x.var(axis=0) + self.eps)
        self.x_hat = normalised(x, self.eps)
        return self.gamma * self.x_hat + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.x_hat).sum(axis=0), dy.sum(axis=0)
        return batchnorm_dx(dy, self.x_hat, self.s, self.gamma)

report = td.gradcheck.check_layer(BatchNorm(4), (6, 4))
print(report)
assert report.ok

# %% [markdown]
# ## Softmax and cross-entropy
#
# Which of ten digits is in an image? The network returns ten numbers of any size, the **logits**
# z. **Softmax** turns them into probabilities: all positive, with sum 1,
#
# $$p_k = \frac{e^{z_k}}{\sum_l e^{z_l}}$$
#
# A logit of 1,000 would overflow. But adding one number to all logits of an example changes
# nothing, so we subtract the largest first.
#
# **Now you.** Write softmax for logits of shape (N, K).
#
# <details><summary>Hint</summary>
#
# `z.max(axis=1, keepdims=True)` has the shape (N, 1) and can be subtracted from z.
# </details>
#
# <details><summary>A second hint</summary>
#
# `e = np.exp(z - ...)`, then divide by `e.sum(axis=1, keepdims=True)`.
# </details>

# %%
def softmax(z):
    ### BEGIN SOLUTION
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
    ### END SOLUTION

course.check("4.4", softmax)

# %% [markdown]
# The loss is the **cross-entropy**. It is large if the network gives the right answer t a small
# probability:
#
# $$L = -\frac1N \sum_n \log p_{n, t_n}$$
#
# A network that knows nothing has p = 1/10 and a loss of log 10 = 2.30. For the gradient at the
# logits, write $\log p_t = z_t - \log \sum_l e^{z_l}$. The derivative of the first term by $z_k$
# is 1 if k = t, else 0. The derivative of the logarithm is $e^{z_k} / \sum_l e^{z_l} = p_k$.
#
# **Now you.** Write dz from p (N, K) and the labels (N,), whole numbers.
#
# <details><summary>Hint</summary>
#
# With the minus of the loss, dz is p minus the one-hot label, and the loss is a mean.
# </details>
#
# <details><summary>A second hint</summary>
#
# `np.eye(K)[labels]` has one row for each example, with a 1 in the column of its class.
# </details>

# %%
def cross_entropy_dz(p, labels):
    ### BEGIN SOLUTION
    return (p - np.eye(p.shape[1])[labels]) / len(p)
    ### END SOLUTION

course.check("4.5", cross_entropy_dz)

class CrossEntropy:
    def forward(self, z, labels):
        self.p, self.labels = softmax(z), labels
        return -np.log(self.p[np.arange(len(z)), labels]).mean()

    def backward(self):
        return cross_entropy_dz(self.p, self.labels)

report = td.gradcheck.check_loss(CrossEntropy(), (4, 3), np.array([0, 2, 1, 1]))
print(report)
assert report.ok

# %% [markdown]
# ## Adam, one line at a time
#
# So far every weight p took the step `p -= lr * dp`. That is plain gradient descent, or SGD. The
# table shows other rules, and how Adam combines two of them.
#
# | name | rule | what for |
# | --- | --- | --- |
# | **Momentum** | `m = b1 * m + dp`, &nbsp; `p -= lr * m` | steps that point the same way add up, steps that change sign cancel |
# | **RMSProp** | `v = b2 * v + (1 - b2) * dp**2`, &nbsp; `p -= lr * dp / (sqrt(v) + eps)` | every weight has steps of about the same size, however small its gradient |
# | **Adam** | both, with a correction for the first steps | see below |
# | **Weight decay** | `dp += decay * p` first | weights that the loss does not need get smaller slowly |
#
# In Adam m and v are *means*, in which the newest value counts with 1 - b1 and 1 - b2. They start
# at zero, so in the first steps they are too small. After t steps all gradients together count
# with 1 - b1ᵗ only, so Adam divides by that:
#
# $$m \leftarrow b_1 m + (1 - b_1)\, dp, \quad v \leftarrow b_2 v + (1 - b_2)\, dp^2, \quad
# p \leftarrow p - lr\, \frac{m / (1 - b_1^t)}{\sqrt{v / (1 - b_2^t)} + \varepsilon}$$
#
# **Now you.** Write one step, number t = 1, 2, 3, ... Return the new p, m and v.
#
# <details><summary>Hint</summary>
#
# First the two means, then the step with the *new* means.
# </details>
#
# <details><summary>A second hint</summary>
#
# `p = p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)`
# </details>

# %%
def adam_step(p, dp, m, v, t, lr, b1=0.9, b2=0.999, eps=1e-8):
    ### BEGIN SOLUTION
    m = b1 * m + (1 - b1) * dp
    v = b2 * v + (1 - b2) * dp**2
    p = p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return p, m, v
    ### END SOLUTION

course.check("4.6", adam_step)

# %% [markdown]
# In the very first step m / (1 - b1) is dp, and v / (1 - b2) is dp². What is the size of the step
# then? Answer before you run this:

# %%
for dp in (1e-6, 1.0, 1e3):
    p, _, _ = adam_step(0.0, dp, 0.0, 0.0, 1, lr=0.01)
    print(f"gradient {dp:7g}: the first step is {p:.4f}")

# %% [markdown]
# It is the learning rate, for every gradient. So one learning rate is good enough for many
# layers. It also means that a *random* gradient moves a weight as far as a good one. Remember
# this when gradients are guessed.
#
# ## A network of your own parts
#
# We still need a stack of layers, with the two loops of notebook 1, and Adam for every parameter.

# %%
class Stack:
    """Layers one above the other, with their Adam."""

    def __init__(self, *layers):
        self.layers, self.state, self.t = layers, {}, 0

    def forward(self, h):
        for layer in self.layers:
            h = layer.forward(h)
        return h

    def backward(self, dh):
        for layer in reversed(self.layers):
            dh = layer.backward(dh)
        return dh

    def update(self, lr):
        self.t += 1
        for i, layer in enumerate(self.layers):
            for name in layer.parameters:
                p, dp = getattr(layer, name), getattr(layer, "d" + name)
                m, v = self.state.get((i, name), (0 * p, 0 * p))
                p, m, v = adam_step(p, dp, m, v, self.t, lr)
                setattr(layer, name, p)
                self.state[i, name] = m, v

data = td.datasets.digits()
x, t, x_test = data.x.astype(np.float64), data.y, data.x_test.astype(np.float64)
print(data.notes[0])

WIDTH = 64

def stacks(rng):
    """Three layers of weights: two hidden blocks, and the logits."""
    return [Stack(Linear(data.n_in, WIDTH, rng), BatchNorm(WIDTH), ReLU()),
            Stack(Linear(WIDTH, WIDTH, rng), BatchNorm(WIDTH), ReLU()),
            Stack(Linear(WIDTH, 10, rng))]

def batches(epoch, size=50):
    order = td.stream(0, "order", epoch).permutation(len(x))
    return [order[start:start + size] for start in range(0, len(x) - size + 1, size)]

blocks, loss, losses = stacks(np.random.default_rng(0)), CrossEntropy(), []
for epoch in range(2):
    for rows in batches(epoch):
        h = x[rows]
        for block in blocks:
            h = block.forward(h)
        losses.append(loss.forward(h, t[rows]))
        dh = loss.backward()
        for block in reversed(blocks):
            dh = block.backward(dh)
        for block in blocks:
            block.update(lr=1e-3)

twin = td.build(
    td.mlp((data.n_in, WIDTH, WIDTH, 10), np.random.default_rng(0), dtype=np.float64),
    td.SoftmaxCrossEntropy(),
    lambda: td.Adam(1e-3),
    algorithm=td.backprop,
)
theirs = [twin.step(x[rows], t[rows]) for epoch in range(2) for rows in batches(epoch)]
print(
    f"{len(losses)} steps, loss {losses[0]:.3f} at first, {losses[-1]:.3f} in the end; "
    f"largest difference from the library {np.abs(np.array(losses) - theirs).max():.0e}"
)
np.testing.assert_allclose(losses, theirs, rtol=1e-6)

# %% [markdown]
# ## And decoupled
#
# Now combine notebook 3 with this one. A module is a stack with a linear synthesizer that sees h
# and the label, and starts at zero. The stack updates with the guess. The synthesizer learns from
# the message of the module above. It uses Adam, too.

# %%
class Module:
    """A block that guesses the gradient at its output from h and the label (cDNI)."""

    def __init__(self, block, n_h):
        self.block, self.S, self.state, self.t = (
            block,
            np.zeros((n_h + 10 + 1, n_h)),
            (0.0, 0.0),
            0,
        )

    def forward_and_synthetic_update(self, x, label, lr):
        h = self.block.forward(x)
        self.seen = np.hstack([h, label, np.ones((len(h), 1))])
        self.delta_hat = self.seen @ self.S
        dx = self.block.backward(
            self.delta_hat / len(h)
        )  # the message, made before the update
        self.block.update(lr)
        return dx, h

    def update_synthetic_weights(self, dh, lr):
        N, self.t = len(dh), self.t + 1
        dS = self.seen.T @ (self.delta_hat - N * dh) / N
        self.S, *self.state = adam_step(self.S, dS, *self.state, self.t, lr)

def train(epochs, lr=3e-3, lr_S=1e-3):
    """Returns the three blocks."""
    one, two, top = stacks(np.random.default_rng(0))
    one, two, labels, loss = (
        Module(one, WIDTH),
        Module(two, WIDTH),
        np.eye(10)[t],
        CrossEntropy(),
    )
    for epoch in course.watch("epoch").over(range(epochs)):
        for rows in batches(epoch):
            _, h1 = one.forward_and_synthetic_update(x[rows], labels[rows], lr)
            dh1, h2 = two.forward_and_synthetic_update(h1, labels[rows], lr)
            one.update_synthetic_weights(dh1, lr_S)
            loss.forward(top.forward(h2), t[rows])              # the top sees the loss
            dh2 = top.backward(loss.backward())
            top.update(lr)
            two.update_synthetic_weights(dh2, lr_S)
    return one.block, two.block, top

def percent_wrong(blocks, x, labels):
    h = x
    for block in blocks:
        for layer in block.layers:
            layer.training = False  # BatchNorm: running statistics
        h = block.forward(h)
    return 100 * np.mean(h.argmax(axis=1) != labels)

wrong = percent_wrong(train(3 if SHORT else 60), x_test, data.y_test)
print(
    f"cDNI of your own parts: {wrong:.1f} % of {len(x_test)} test images misread; "
    f"chance "
    f"would have 90 %"
)
assert SHORT or wrong < 6

# %% [markdown]
# No gradient has passed through more than one block, and you wrote every part. From here on we
# use the library's parts. They compute the same, and add float32, speed, checks, and the use of a
# GPU.

# %% [markdown]
# ## On your own
#
# **1.** Train the same network on MNIST, with `td.datasets.mnist()`, a width of 256, and 5
# epochs. It should misread less than 3 %.
#
# <details><summary>Hint</summary>
#
# Change `data`, WIDTH and the number of epochs. Let the learning rates fall to zero over the run:
# `lr * (1 - step / n_steps)`. Such a rule is called a **schedule**. Take batches of 64. It takes
# a minute or two, and ends below 2 %.
# </details>
#
# **2.** In `batchnorm_dx`, leave out the part through the variance. Run the gradient check. Then
# train with it. Does it learn?
#
# <details><summary>Hint</summary>
#
# The check fails at once. In training you hardly see it: the error in the end is about 1 %
# instead of half a percent, on 360 images. This is why we check gradients: a training curve does
# not show such a mistake.
# </details>
#
# **3.** What does the bias of a `Linear` do if a `BatchNorm` follows? Look at its gradient.
#
# <details><summary>Hint</summary>
#
# The bias moves the mean, and the mean is subtracted. So it changes nothing, and its gradient is
# zero, up to rounding. That is why convolutions before a `BatchNorm` have `bias=False` from
# notebook 8 on.
# </details>
#
# **4.** Let one synthesizer start with random numbers of standard deviation 0.1, instead of
# zeros. What happens?
#
# <details><summary>Hint</summary>
#
# Adam takes full steps on gradients that mean nothing, until the synthesizer has learnt. If both
# synthesizers start at random, about 5 % of the images are misread after 20 epochs instead of 1
# %. After 60 epochs there is no difference any more.
# </details>

# %% [markdown]
# ## In practice
#
# - In every framework softmax and cross-entropy together are one loss, on logits. As two layers
#   they would divide by probabilities that may be zero.
# - `BatchNorm` computes something else while it learns than afterwards. The most frequent mistake
#   is to forget `eval()`, which switches from the batch to the running mean and variance.
# - **Assignments A1 and A3**, and A2.1 to A2.3, can be solved after this notebook: `tinydni
#   assignment release A3 --out FOLDER`.
#
# ## Further reading
#
# - S. Ioffe and C. Szegedy, *Batch Normalization*, 2015. D. Kingma and J. Ba, *Adam*, 2015.
# - K. He and others, *Delving Deep into Rectifiers*, 2015: the factor 2.
#
# Next: **5. Decouple MNIST.**
