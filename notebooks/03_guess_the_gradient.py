# %% [markdown]
# # 3. Guess the gradient
#
# **What you'll do.** Train the adding network without sending the gradient through it: every
# layer guesses its own gradient. The first attempt, as it was published, explodes. You will find
# its mistakes, one after the other, until it learns as well as backpropagation. In the end the
# library's modules give the same numbers as yours.
#
# **What you'll learn.** What the locks of backpropagation are. What a synthetic gradient is, and
# which two messages pass between two blocks. Which learning rates are stable. Why a guess gets so
# much better when it may look at the label. In which linear networks a guess changes nothing.
#
# **What you need.** Notebooks 1 and 2. Less than two minutes.

# %%
import course
import numpy as np

import tinydni as td
from tinydni.lab.gradient_quality import gradient_quality

SHORT = course.begin()

epochs, batch, lr = 10 if SHORT else 300, 9, 1.0

data = td.datasets.addition(bits=5)
x, t = data.x.astype(np.float64), data.y.astype(np.float64)
print(data.notes[0])

# %% [markdown]
# ## The locks
#
# Here is the network of notebook 1 as the library draws it. Black arrows go forward. The dashed
# orange line is the gradient on its way back.

# %%
sizes = ((10, 64), (64, 32), (32, 6))

def initial_blocks():
    rng = np.random.default_rng(0)
    return [
        td.Sequential(
            td.Linear(
                n_in, n_out, rng, std=1 / np.sqrt(n_in), bias=False, dtype=np.float64
            ),
            td.Sigmoid(),
        )
        for n_in, n_out in sizes
    ]

locked = td.build(initial_blocks(), td.MeanSquaredError(), lr, algorithm=td.backprop)
td.plots.draw_network(locked)

# %% [markdown]
# Suppose that each block runs on its own computer. How long does the lowest computer wait? It
# computes its h. Then it waits until the forward pass has reached the top *and* the gradient has
# come all the way back. A reason to wait is called a **lock**. There are three:
#
# - **Forward lock.** A block cannot run before the block below has given it its input.
# - **Update lock.** A block cannot update before all blocks above have run forward.
# - **Backward lock.** A block cannot update before all blocks above have run backward.
#
# Backpropagation has all three. This notebook removes the last two.

# %% [markdown]
# ## One step, in time
#
# The film shows three blocks that get one batch after the other. On the left you see
# backpropagation: each block waits for the gradient. On the right you see what this notebook
# builds: each block learns at once, and messages go one block down. The film is drawn from two
# recorded runs (`python notebooks/make_film.py`). Each action starts when the arrays that it
# needs are there. In the film every action takes the same time. In reality a guess costs a little
# extra.
#
# ![Three blocks, twice. At the left the output of block 1 goes up to block 2 and to block 3, then the true gradient comes down block by block, and each block learns only then; meanwhile the others wait. At the right each block runs, guesses and learns as soon as an output reaches it, and sends a message to the block below; soon all three are busy all the time.](one_step.gif)
#
# ## The idea
#
# The block needs the gradient *now*. So it guesses. Each block gets a small model M, a
# **synthesizer**. It looks at the output h and says what the gradient there will probably be:
#
# $$\hat\delta = M(h) \approx \delta$$
#
# Here δ is the true gradient of each example's *own* loss. The guess δ̂ is called a **synthetic
# gradient**. The block updates with the guess at once, as if it were true. From what does M
# learn? From the block above. That block gets h, makes a guess at its own output, and computes
# from it the gradient at its input. It sends this down, a **message** of the shape of h:
#
#     dx = dz @ W.T
#
# M compares the message with its own guess, and improves by gradient descent on the squared
# difference. Note that the message itself comes from a guess, that of the block above. Only the
# top block sees the loss and knows the truth. From there the truth moves down, one block per
# step. The place between two blocks is called an **interface**. The output h crosses it on the
# way up, the message on the way down.
#
# Which array has which unit? This table holds for the whole course:
#
# | letter | what it is | unit |
# | --- | --- | --- |
# | x, h, y | input, output of a hidden block, output of the network | one row for each of N examples |
# | t, c | target, and context: what a synthesizer may see in addition to h | one row for each example |
# | `dh`, `dx`, the **message** | gradient of the *mean* loss of the batch | has 1/N inside |
# | δ, `delta` | gradient of each example's *own* loss | δ = N · dh |
# | δ̂, `delta_hat` | the guess of a synthesizer | the same as δ |
# | update of a block | `dh = delta_hat / N`, then as in notebook 1 | |
# | target of a synthesizer | `delta = N * message` | |
#
# Messages have the unit of backpropagation, so a block does not need to know who sends them.
# Synthesizers guess δ. So their weights do not depend on the size of the batch.

# %% [markdown]
# ## First attempt
#
# This is the code of A. Trask's tutorial of 2017, in our letters. M is one matrix S, and the
# guess is `h @ S`. We start from our own random weights. We average over a batch of 9 with
# learning rate 1; the tutorial takes sums, with 0.1. Three class attributes mark the places that
# we will have to change.

# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))

class FirstAttempt:
    """A block y = sigmoid(x W) that updates on the guess h S of its gradient."""

    sign_W = +1                                 # of the step that W takes
    sign_S = +1                                 # of the step that S takes
    message_first = False  # whether the message is made before the update

    def __init__(self, n_in, n_out, rng, lr_S=1.0):
        self.W = rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)
        self.S = 0.1 * rng.standard_normal((n_out, n_out))
        self.lr_S = lr_S

    def forward_and_synthetic_update(self, x):
        self.h = sigmoid(x @ self.W)
        self.delta_hat = self.h @ self.S
        dz = self.delta_hat * self.h * (1 - self.h)
        message = dz @ self.W.T
        self.W = self.W + self.sign_W * lr * x.T @ dz / len(x)
        if not self.message_first:
            message = dz @ self.W.T
        return message, self.h

    def update_synthetic_weights(self, true_gradient):
        error = self.delta_hat - true_gradient
        self.S = self.S + self.sign_S * self.lr_S * self.h.T @ error / len(error)

# %% [markdown]
# We take two such blocks, and on top an ordinary layer with the true gradient of the loss. One
# step goes once from bottom to top:

# %%
def run(kind, lr_S=1.0, n_steps=300):
    """Trains for some steps.

    Returns the size of the largest entry of S in the second block, and the loss, per
    step.
    """
    rng = np.random.default_rng(0)
    one, two = kind(10, 64, rng, lr_S), kind(64, 32, rng, lr_S)
    W = rng.standard_normal((32, 6)) / np.sqrt(32)
    largest, losses = [], []
    with np.errstate(all="ignore"):             # we want to see how far it goes
        for step in range(n_steps):
            start = step * batch % len(x)
            xb, tb = x[start:start + batch], t[start:start + batch]
            _, h1 = one.forward_and_synthetic_update(xb)
            delta_1, h2 = two.forward_and_synthetic_update(h1)
            one.update_synthetic_weights(delta_1)
            y = sigmoid(h2 @ W)
            dz = (y - tb) * y * (1 - y)
            delta_2 = dz @ W.T
            W = W - lr * h2.T @ dz / batch
            two.update_synthetic_weights(delta_2)
            largest.append(np.abs(two.S).max())
            losses.append(0.5 * np.sum((y - tb)**2) / batch)
            if not np.isfinite(largest[-1]):
                break
    return np.array(largest), np.array(losses)

curves = {
    f"learning rate of S {lr_S:g}": run(FirstAttempt, lr_S, n_steps=120)[0]
    for lr_S in (1, 0.1, 0.01)
}
for name, largest in curves.items():
    print(
        f"{name:22s}  largest entry of S: {largest[0]:.2f} at first, {largest[10]:.1e} "
        f"after 10 steps, "
        f"{largest[100]:.1e} after 100"
    )
assert all(largest[-1] > 1e6 * largest[0] for largest in curves.values())

td.plots.learning_curve(
    {name: (np.arange(len(largest)), largest) for name, largest in curves.items()},
    title="First attempt",
    xlabel="step",
    ylabel="largest entry of S",
)

# %% [markdown]
# A straight line on a logarithmic axis means exponential growth. A smaller learning rate makes
# the explosion slower, but does not stop it. So the size of the step cannot be the only mistake.

# %% [markdown]
# ## Mistake one: S climbs
#
# S should go *down* the error $E = \frac{1}{2N} \lVert h S - \delta \rVert^2$, whose gradient is
# $\frac1N h^T (h S - \delta)$. With the plus sign, it climbs. What does one step do to the error
# on the same batch? Let $e = hS - \delta$ be the error before the step, and a the learning rate:
#
# $$e' = h \left(S \pm \tfrac{a}{N} h^T e\right) - \delta = \left(1 \pm \tfrac{a}{N} h h^T\right) e$$
#
# The matrix $\frac1N h h^T$ has eigenvalues λ ≥ 0, the same as those of $\frac1N h^T h$ (and
# zeros). Along each eigenvector the error is multiplied by 1 ± aλ in every step. With plus it
# grows, **for every a > 0**. We measure that: keep one batch of outputs fixed, choose some δ, and
# take 50 steps uphill.
#
# **Now you.** Write one step of S in the *right* direction: down the error E, on the batch h, δ,
# with learning rate a. Return the new S.
#
# <details><summary>Hint</summary>
#
# What S guesses now is `h @ S`. The error of the guess is `h @ S - delta`.
# </details>
#
# <details><summary>A second hint</summary>
#
# The gradient is `h.T @ error / len(h)`. Go against it.
# </details>

# %%
def step_of_S(S, h, delta, a):
    ### BEGIN SOLUTION
    return S - a * h.T @ (h @ S - delta) / len(h)
    ### END SOLUTION

course.check("3.1", step_of_S)

rng = np.random.default_rng(0)
h, delta = sigmoid(rng.standard_normal((batch, 64))), rng.standard_normal((batch, 64))
lambda_max = np.linalg.eigvalsh(h.T @ h / batch)[-1]

def growth_per_step(sign, a, n_steps=50):
    """The factor by which the error grows in the last of some steps on the frozen
    batch.
    """
    S, sizes = np.zeros((64, 64)), []
    for step in range(n_steps):
        sizes.append(np.linalg.norm(h @ S - delta))
        S = step_of_S(S, h, delta, -sign * a)  # a negative learning rate climbs
    return sizes[-1] / sizes[-2]

a = 0.01
print(f"largest eigenvalue λ = {lambda_max:.2f}")
print(
    f"uphill with a = {a}: grows by {growth_per_step(+1, a):.4f} per step, predicted 1 "
    f"+ aλ = {1 + a * lambda_max:.4f}"
)
np.testing.assert_allclose(growth_per_step(+1, a), 1 + a * lambda_max, rtol=1e-3)

# %% [markdown]
# ## Mistake two: W climbs, too
#
# δ is the gradient of the loss, with `y - t` at the top, so W has to go against it. The next cell
# replaces M by a perfect guesser, and takes one step with each sign:

# %%
rng = np.random.default_rng(0)
W, W_top = (
    rng.standard_normal((10, 32)) / np.sqrt(10),
    rng.standard_normal((32, 6)) / np.sqrt(32),
)

def loss_with(W):
    return 0.5 * np.sum((sigmoid(sigmoid(x @ W) @ W_top) - t)**2) / len(x)

h, y = sigmoid(x @ W), sigmoid(sigmoid(x @ W) @ W_top)
delta = ((y - t) * y * (1 - y)) @ W_top.T       # the truth
dW = x.T @ (delta * h * (1 - h)) / len(x)
print(
    f"before {loss_with(W):.5f}    W - lr dW {loss_with(W - lr * dW):.5f}    W + lr dW "
    f"{loss_with(W + lr * dW):.5f}"
)
assert loss_with(W - lr * dW) < loss_with(W) < loss_with(W + lr * dW)

# %% [markdown]
# ## Mistake three: the message comes too late
#
# The message `dz @ W.T` is made after the update, with a W that did not make h. In exercise 4 of
# notebook 1 the network could not learn because of that. So the message has to come first.
#
# Now all three are repaired. Does it work?

# %%
class AllRepaired(FirstAttempt):
    sign_W = sign_S = -1
    message_first = True

for lr_S in (1, 0.1, 0.01):
    largest, losses = run(AllRepaired, lr_S)
    print(
        f"learning rate of S {lr_S:<5g} after {len(largest):3d} steps: largest entry "
        f"of S {largest[-1]:.1e}, loss {losses[-1]:.2f}"
    )

# %% [markdown]
# With a learning rate of 1 it still explodes! But now a smaller one helps.

# %% [markdown]
# ## The largest learning rate
#
# With the minus sign each step multiplies the error along an eigenvector by 1 - aλ. The error
# shrinks if this factor lies between -1 and 1. That means
#
# $$a < \frac{2}{\lambda_{\max}}$$
#
# With a larger a, each step goes too far, and ends with a larger error on the other side. At half
# of the limit, a = 1/λ, the error along that eigenvector is gone in one step.
#
# The next cell makes pictures with a slider: it changes the learning rate a. On the left are
# eight steps along the eigenvector with the largest λ of a batch. On the right is the size of the
# factor, |1 - aλ|, for the two largest eigenvalues. It has to stay below 1 for *all* eigenvalues,
# so the largest λ sets the limit. Answer before you move the slider: where does the error change
# its sign in every step, and where does it grow? (If you see a picture but no slider, run the
# cell.)

# %%
h, delta = sigmoid(rng.standard_normal((batch, 64))), rng.standard_normal((batch, 64))
eigenvalues = np.linalg.eigvalsh(h.T @ h / batch)[::-1]
course.learning_rates(eigenvalues[:2])

# %% [markdown]
# **Now you.** Write this limit, 2/λmax, for a batch h. Below it the error shrinks.
#
# <details><summary>Hint</summary>
#
# `np.linalg.eigvalsh` of the matrix $\frac1N h^T h$ returns its eigenvalues, the largest one last.
# </details>
#
# <details><summary>A second hint</summary>
#
# `2 / np.linalg.eigvalsh(...)[-1]`
# </details>

# %%
def largest_rate(h):
    ### BEGIN SOLUTION
    return 2 / np.linalg.eigvalsh(h.T @ h / len(h))[-1]
    ### END SOLUTION

course.check("3.2", largest_rate)
limit = largest_rate(h)
lambda_max = 2 / limit
print(f"λmax = {lambda_max:.2f}, limit 2/λmax = {limit:.4f}")
for share in (0.5, 0.9, 1.1, 2.0):
    factor = growth_per_step(-1, share * limit)
    print(
        f"a = {share} of the limit: the error changes by a factor {factor:.3f} per step"
    )
    assert (factor > 1) == (share > 1)

# %% [markdown]
# (Below the limit, the factors are just under 1. The error that is left after 50 steps lies along
# eigenvectors with a small λ, and there learning is slow.)
#
# Why is one eigenvalue so large? The outputs of a sigmoid lie around ½, so all rows of h have a
# large part in common. With 64 outputs λ is about 64 · ½² = 16. Nearly all of it comes from the
# mean of h, which says nothing about the differences between examples. So outputs with mean zero
# help, such as those of tanh. And in a wider layer the learning rate of S has to be smaller.

# %%
print(
    f"λmax of h: {lambda_max:.2f}    of h minus ½: "
    f"{np.linalg.eigvalsh((h - 0.5).T @ (h - 0.5) / batch)[-1]:.2f}    "
    f"64 · ½² = {64 / 4:.0f}"
)

# %% [markdown]
# While the network learns, many outputs move close to 0 or 1, and λmax grows. It is never larger
# than the sum of all eigenvalues, which is 64 times the mean of h². If half of the outputs are 1
# and half are 0, this sum is 32. So we take a learning rate of 0.05, which is below 2/32.

# %% [markdown]
# ## What may a guess be made from?
#
# Our final class is different in two points. First, all weights of the synthesizer start at zero.
# So the first guess is "no gradient", and a block does not move until its synthesizer has learnt
# something. Second, the guess may look at a **context** c in addition to h:
#
# $$\hat\delta = h A + c\, C + b$$
#
# The gradient at an output depends on how wrong the network is, and that depends on the *target*.
# So the natural context is the target itself, also called the label. The tutorial ends with this
# idea, too. (The target is needed in training only. When you use the trained network there is no
# gradient, so you need no synthesizer and no label.)
#
# **Now you.** Write the last method: A, C and b learn from the message `true_gradient`, which is
# `dh`. Look up the units in the table above.
#
# <details><summary>Hint</summary>
#
# The error of the guess, for each example, is `self.delta_hat - N * true_gradient`. The mean over
# the batch divides it by N.
# </details>
#
# <details><summary>A second hint</summary>
#
# A meets h, C meets the context, b meets 1 in every example: `self.b -= self.lr_S *
# error.sum(axis=0)`.
# </details>

# %%
class Decoupled:
    """A block h = sigmoid(x W) with a linear synthesizer of its gradient from h,
    from a context, or from both.
    """

    def __init__(
        self, n_in, n_out, n_context, rng, reads_h=True, reads_context=True, lr_S=0.05
    ):
        self.W = rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)
        self.A, self.C, self.b = (
            np.zeros((n_out, n_out)),
            np.zeros((n_context, n_out)),
            np.zeros(n_out),
        )
        self.reads_h, self.reads_context, self.lr_S = reads_h, reads_context, lr_S

    def forward_and_synthetic_update(self, x, context):
        h = sigmoid(x @ self.W)
        self.h, self.context = (
            h * self.reads_h,
            context * self.reads_context,
        )  # what M sees
        self.delta_hat = self.h @ self.A + self.context @ self.C + self.b
        dz = self.delta_hat / len(x) * (h * (1 - h))
        message = dz @ self.W.T                 # before the update
        self.W -= lr * (x.T @ dz)               # down
        return message, h

    def update_synthetic_weights(self, true_gradient):
        ### BEGIN SOLUTION
        N = len(true_gradient)
        error = (self.delta_hat - N * true_gradient) / N
        self.A -= self.lr_S * (self.h.T @ error)                    # down
        self.C -= self.lr_S * (self.context.T @ error)
        self.b -= self.lr_S * error.sum(axis=0)
        ### END SOLUTION

course.check("3.3", Decoupled)

# %% [markdown]
# Now the experiment. We train the same network four times: M reads h, or the label, or both, and
# the fourth network uses backpropagation.

# %%
def train(seed=0, **reads):
    """Trains 10-64-32-6.

    Returns the losses of all steps and the percentage of wrong bits on unseen sums per
    epoch.
    """
    rng = np.random.default_rng(seed)
    one, two = Decoupled(10, 64, 6, rng, **reads), Decoupled(64, 32, 6, rng, **reads)
    W = rng.standard_normal((32, 6)) / np.sqrt(32)
    losses, wrong = [], []
    for epoch in course.watch("epoch").over(range(epochs)):
        for start in range(0, len(x), batch):
            xb, tb = x[start:start + batch], t[start:start + batch]
            _, h1 = one.forward_and_synthetic_update(xb, tb)
            message, h2 = two.forward_and_synthetic_update(h1, tb)
            one.update_synthetic_weights(message)
            y = sigmoid(h2 @ W)
            losses.append(0.5 * np.sum((y - tb)**2) / len(xb))
            dz = (y - tb) / len(xb) * (y * (1 - y))
            message = dz @ W.T
            W -= lr * (h2.T @ dz)
            two.update_synthetic_weights(message)
        said = sigmoid(sigmoid(data.x_test @ one.W) @ two.W) @ W > 0
        wrong.append(100 * (said != data.y_test).mean())
    return np.array(losses), wrong

def train_backprop():
    """The locked network, trained as in notebook 1."""
    wrong = []
    locked = td.build(
        initial_blocks(), td.MeanSquaredError(), lr, algorithm=td.backprop
    )
    for epoch in course.watch("epoch").over(range(epochs)):
        for start in range(0, len(x), batch):
            locked.step(x[start:start + batch], t[start:start + batch])
        wrong.append(
            100
            * (
                (locked.predict(data.x_test.astype(np.float64)) > 0.5) != data.y_test
            ).mean()
        )
    return wrong

saved, both = train()
wrong = {
    "from h": train(reads_context=False)[1],
    "from the label": train(reads_h=False)[1],
    "from h and label": both,
    "backprop": train_backprop(),
}
for name, curve in wrong.items():
    print(f"{name:17s} {100 - curve[-1]:5.1f} % of the bits of unseen sums are right")
assert (
    SHORT
    or wrong["from h and label"][-1]
    < 1
    < 10
    < wrong["from the label"][-1]
    < wrong["from h"][-1]
)

td.plots.learning_curve(
    {name: (np.arange(1, epochs + 1), curve) for name, curve in wrong.items()},
    title="Guessed gradients",
    xlabel="epoch",
    ylabel="wrong bits of unseen sums [%]",
)

# %% [markdown]
# - From **h alone** the network learns almost nothing. The next section asks why.
# - From the **label alone** it learns something: "outputs like yours should be higher when the
#   answer has this bit".
# - From **both** it gets all or nearly all bits right, and needs no more epochs than
#   backpropagation. And no gradient ever passes through more than one block. The papers call this
#   **cDNI**: conditional decoupled neural interfaces.
#
# One run proves little. Here are two more:

# %%
for seed in (1, 2):
    curve = train(seed=seed)[1]
    print(f"seed {seed}: {100 - curve[-1]:.1f} % of the bits of unseen sums are right")
    assert SHORT or curve[-1] < 1

# %% [markdown]
# ## Why h alone fails here
#
# You may want to answer: "h does not show what the answer should be." Can that be true? There are
# 1,024 pairs of numbers. If their 1,024 outputs h are all different, then h shows which pair it
# is, and so it shows the answer. Then the best guess from h is δ itself. The next cell counts the
# different h. After that it fits three guessers and measures how much of δ they explain, on sums
# that were not used in the fit. The first is a linear function of h. The second is a smooth
# function of the *same* h: a mean over similar h, by a kernel. The third is a linear function of
# h and the label. The network is one that learns by backpropagation.

# %%
every_x, every_t = (
    np.vstack([a, b.astype(np.float64)])
    for a, b in ((x, data.x_test), (t, data.y_test))
)
probe = td.build(initial_blocks(), td.MeanSquaredError(), lr, algorithm=td.backprop)
for epoch in course.watch("epoch").over(range(min(epochs, 60))):
    for start in range(0, len(x), batch):
        probe.step(x[start:start + batch], t[start:start + batch])

h1 = probe.modules[0].forward(every_x)
h2 = probe.modules[1].forward(h1)
y = probe.modules[2].forward(h2)
delta = probe.modules[2].backward(
    y - every_t
)  # of each example's own loss, at interface 2
order = np.random.default_rng(1).permutation(len(delta))
fitted, held_out = order[:512], order[512:]

def explained(guess):
    """Share of δ that is explained on the sums that were held out."""
    return 1 - np.sum((guess - delta[held_out])**2) / np.sum(delta[held_out]**2)

def linear(*features, penalty=0.1):
    F = np.hstack([*features, np.ones((len(delta), 1))])
    A = F[fitted].T @ F[fitted] + penalty * np.eye(F.shape[1])
    return explained(F[held_out] @ np.linalg.solve(A, F[fitted].T @ delta[fitted]))

def kernel(h, penalty=0.1):
    d2 = ((h[:, None] - h[None])**2).sum(axis=2)
    K = np.exp(-d2 / (np.median(d2) / 8))
    weights = np.linalg.solve(
        K[np.ix_(fitted, fitted)] + penalty * np.eye(len(fitted)), delta[fitted]
    )
    return explained(K[np.ix_(held_out, fitted)] @ weights)

shares = {
    "linear, from h": linear(h2),
    "by a kernel, from the same h": kernel(h2),
    "linear, from h and label": linear(h2, every_t),
}
print(
    f"{len(delta):,} pairs of numbers, {len(np.unique(h2.round(9), axis=0)):,} "
    f"different h"
)
for name, share in shares.items():
    print(f"{name:29s} explains {100 * share:3.0f} % of δ")
assert (
    SHORT
    or shares["linear, from h"]
    < 0.3
    < 0.5
    < shares["by a kernel, from the same h"]
    < shares["linear, from h and label"]
)

# %% [markdown]
# So this answer is false on this task. h does show the answer, and a guesser can read most of δ
# from it, but not with a *linear* function. The form of the guesser is the limit. With h and the
# label together a linear function is enough, because the gradient is nearly linear in y - t.
#
# (Notebook 5, on handwritten digits, finds the opposite: there h alone really says almost nothing
# about δ, for any form of guesser that we try. A reason that is true on one task can be false on
# the next.)
#
# ## The same, with the library
#
# This is what we have built. Compare it with the first picture: the orange line reaches only the
# top synthesizer, and the dotted green lines go down by one block. Every block updates at once.

# %%
free = td.build(
    initial_blocks(),
    td.MeanSquaredError(),
    lr,
    synthesizer=lambda n: td.LinearSynthesizer(n, n_context=6, dtype=np.float64),
    synthesizer_lr=0.05,
)
td.plots.draw_network(free)

# %% [markdown]
# `td.DNI` (a *decoupled neural interface*, in short a **module**) is our class `Decoupled`, for
# any block and any synthesizer. It has the same two methods.
# `module.forward_and_synthetic_update(h, context, target)` returns the message dx and the output
# h; `module.update_synthetic_weights(dx)` lets its synthesizer learn.
#
# **Now you.** Write one step of the network: a loop over the modules, bottom to top.
#
# <details><summary>Hint</summary>
#
# The h of one module is the input of the next. The message dx of a module is for the one *below*
# it.
# </details>
#
# <details><summary>A second hint</summary>
#
# Start with `h, below = x, None`. At the end of each round, `below = module`. The lowest module
# has no module below it, and its dx is None.
# </details>

# %%
def one_step(modules, x, target, context):
    ### BEGIN SOLUTION
    h, below = x, None
    for module in modules:
        dx, h = module.forward_and_synthetic_update(h, context, target)
        if below is not None:
            below.update_synthetic_weights(dx)
        below = module
    ### END SOLUTION

course.check("3.4", one_step)

# %% [markdown]
# `free.step` does just that. It starts from the same weights as ours, so it has to give the same
# numbers, up to rounding. As in notebook 1, rounding errors grow after thousands of steps, so we
# compare the first thousand.

# %%
free = td.build(
    initial_blocks(),
    td.MeanSquaredError(),
    lr,
    synthesizer=lambda n: td.LinearSynthesizer(n, n_context=6, dtype=np.float64),
    synthesizer_lr=0.05,
)
losses, cosines = [], []
for epoch in course.watch("epoch").over(range(epochs)):
    for start in range(0, len(x), batch):
        tb = t[start:start + batch]
        losses.append(free.step(x[start:start + batch], tb, context=tb))
    cosines.append(
        [found["cosine"] or 0 for found in gradient_quality(free, x, t, context=t)]
    )

n = min(1_000, len(saved))
print(
    f"largest difference in the first {n:,} losses: "
    f"{np.abs(np.array(losses) - saved)[:n].max():.0e}"
)
np.testing.assert_allclose(losses[:n], saved[:n], rtol=1e-9)

right = (free.predict(data.x_test.astype(np.float64)) > 0.5) == data.y_test
print(f"{100 * right.mean():.1f} % of the bits of unseen sums are right")
assert SHORT or right.mean() > 0.99

# %% [markdown]
# ## How good are the guesses?
#
# `gradient_quality` runs an ordinary backward pass on a copy of the network. It takes all guesses
# of a batch as one long vector, and all true gradients as a second one. Then it reports, among
# other things, the **cosine** of the angle between the two. A cosine of 1 is the right direction;
# 0 means that the guess says nothing about the direction.

# %%
one, two = np.array(cosines).T
td.plots.learning_curve({"interface 1, above block 1": (np.arange(1, epochs + 1), one),
                "interface 2, below the top": (np.arange(1, epochs + 1), two)},
               title="Guess and truth", xlabel="epoch", ylabel="cosine")

# %% [markdown]
# The guesses are far from perfect, and still good enough. A step helps if it points downhill on
# average, even if the angle is large. This is the most surprising fact about synthetic gradients.
# Notebook 5 comes back to it.

# %% [markdown]
# ## Where a guess changes nothing
#
# When does a network that guesses end at the same weights as backpropagation? W. Czarnecki and
# others (2017) asked this first, and for linear networks there are exact answers. So take two
# matrices without sigmoids, and squared error:
#
# $$h = x W, \qquad y = h V, \qquad \delta = (h V - t)\, V^T$$
#
# This δ is a linear function of h and t. So a linear synthesizer that sees both can be exact.
#
# **Now you.** Return the pair A (H, H), C (K, H) with h A + t C = δ, from V (H, K).
#
# <details><summary>Hint</summary>
#
# Multiply out: (h V - t) Vᵀ has one part with h and one with t.
# </details>
#
# <details><summary>A second hint</summary>
#
# The part with h is `h @ (V @ V.T)`. What is t multiplied by? Keep the sign.
# </details>

# %%
def exact_guess(V):
    ### BEGIN SOLUTION
    return V @ V.T, -V.T
    ### END SOLUTION

course.check("3.5", exact_guess)

# %% [markdown]
# A *linear* guess from h *alone* is not exact: it does not see t. We take the best one that
# there is, by least squares. How much of δ does it explain? And how far is the step of W that it
# makes, xᵀδ̂, from the true step xᵀδ? Answer for 64 outputs h, then for 3. There are 10 inputs x.

# %%
x0, t0 = x - 0.5, t - 0.5  # the same sums, around zero

def linear_net(width, c=None):
    """10-width-6 without sigmoids. c: width of the context; None: backpropagation."""
    rng = np.random.default_rng(0)
    linear_blocks = [
        td.Linear(n_in, n_out, rng, std=n_in**-0.5, bias=False, dtype=np.float64)
        for n_in, n_out in ((10, width), (width, 6))
    ]
    guessing = dict(
        synthesizer=lambda n: td.LinearSynthesizer(n, c, dtype=np.float64),
        synthesizer_lr=0.2,
    )
    how = dict(algorithm=td.backprop) if c is None else guessing
    return td.build(linear_blocks, td.MeanSquaredError(), 0.1, **how)

def at_interface(net):
    """h, and δ of all examples."""
    bottom, top = net.modules
    h = bottom.forward(x0)
    dh = top.backward(top.gradient_at_output(top.forward(h), target=t0))
    return h, len(x0) * dh

def size(a):
    return np.linalg.norm(a)

for width in (64, 3):
    net = linear_net(width, c=6)
    h, delta = at_interface(net)
    W, V = (module.block.W for module in net.modules)
    missed = h @ np.linalg.lstsq(h, delta, rcond=None)[0] - delta  # by the best from h
    share = 1 - size(missed)**2 / size(delta)**2
    off = size(x0.T @ missed) / size(x0.T @ delta)
    lost = np.abs(h @ np.linalg.pinv(W) - x0).max()
    print(
        f"{width} outputs: a guess from h explains {100 * share:.0f} % of δ, its step "
        f"is off by {100 * off:.2g} %\n    hᵀ(δ̂ - δ) is {size(h.T @ missed):.0e}, and "
        f"x from h by a matrix is off by up to {lost:.1g}"
    )
    synthesizer = net.modules[0].synthesizer
    synthesizer.A[...], synthesizer.C[...] = exact_guess(V)
    wrong_by = np.abs(synthesizer.forward(h, t0) - delta).max()
    print(f"    from h and label, with your A and C, δ is off by {wrong_by:.0e}")
    assert wrong_by < 1e-12 and 0.4 < share < 0.6 and (off < 1e-9) == (width == 64)

# %% [markdown]
# Both explain about half of δ. But with 64 outputs the step of W is the true one, up to rounding.
# The reason is in the equations of least squares: what the guess misses is not correlated with h,
# hᵀ(δ̂ - δ) = 0. From 64 outputs a matrix gives the 10 inputs back. So what the guess misses is
# not correlated with x either, and the step does not contain it. From 3 outputs no matrix gives x
# back, and the step is another one.
#
# Now we train. In both sizes the synthesizers start at zero and learn while the network does. The
# lowest loss that any matrix from x to t can have is known: least squares. Two matrices with 3
# outputs between make a matrix of rank 3. The best of these leaves out the smallest directions of
# the best fit.

# %%
fit = x0 @ np.linalg.lstsq(x0, t0, rcond=None)[0]
left_out = np.linalg.svd(fit)[1][3:]
best = {64: 0.5 * np.sum((fit - t0)**2) / len(x0)}
best[3] = best[64] + 0.5 * np.sum(left_out**2) / len(x0)
curves, at_end = {}, {}
for width in (64, 3):
    for name, c in (("backprop", None), ("h and label", 6), ("h alone", 0)):
        net = linear_net(width, c)
        curves[name, width] = [
            net.step(x0, t0, context=t0 if c else None) for _ in range(1000)
        ]
        h, delta = at_interface(net)
        true_step, from_y = x0.T @ delta, h.T @ (net.predict(x0) - t0)
        print(
            f"{width:2d} outputs, {name:12s} loss {curves[name, width][-1]:.4f}, "
            f"true step of W {size(true_step) / len(x0):.5f}",
            end="",
        )
        if c == 0:
            guessed = x0.T @ net.modules[0].synthesizer.forward(h)
            at_end[width] = [size(a) / len(x0) for a in (true_step, guessed, from_y)]
            print(f", guessed {size(guessed) / len(x0):.5f}", end="")
        print()
print(f"least squares: any matrix {best[64]:.4f}, of rank 3 {best[3]:.4f}")
true, guessed, from_y = at_end[3]
print(f"3 outputs, h alone: hᵀ(y - t) / N is {from_y:.5f}")
assert all(curves[name, 64][-1] - best[64] < 1e-6 for name in ("backprop", "h alone"))
assert curves["h and label", 3][-1] - best[3] < 0.002
assert curves["h alone", 3][-1] - best[3] > 0.05
assert true > 0.1 and guessed < 1e-4 and from_y < 1e-4

td.plots.learning_curve(
    {
        name: (np.arange(1000), curves[name, 3])
        for name in ("backprop", "h and label", "h alone")
    },
    title="Two matrices, 3 outputs between",
    xlabel="step",
    ylabel="loss",
    reference={"least squares, rank 3": best[3]},
)

# %% [markdown]
# With 64 outputs all three find the solution of least squares. With 3 outputs, guesses from h and
# label come as near to it as backpropagation does. From h alone W comes to rest at a loss far
# above, hardly better than the 0.75 of a network that always says zero. It is no solution: the
# true step is still large there, but the guessed step is zero. Here is why. The top block has
# learned until its error is not correlated with h, hᵀ(y - t) = 0. Then no linear function of h
# says anything about δ = (y - t) Vᵀ, and the best guess is zero. Every W has such a V. So this
# system has resting places that backpropagation does not have.
#
# All of this is about linear networks. With sigmoids h does not give x back by a matrix, and δ is
# not linear in h and t. The network above learned all the same, but no proof of this kind says
# so.

# %% [markdown]
# ## On your own
#
# **1.** Flip only one of the two signs in `FirstAttempt` and run it with learning rates of 1
# and 0.01 for S. Which of the two mistakes makes S explode for every learning rate?
#
# <details><summary>Hint</summary>
#
# Make subclasses, such as `AllRepaired`. If S climbs, it explodes for every learning rate: that
# is the factor 1 + aλ. If only W climbs, the synthesizer learns well at 0.01, and W follows its
# good guesses in the wrong direction. S stays small, and the loss rises above that of a network
# that knows nothing.
# </details>
#
# **2.** Find the largest learning rate of S with which `train()` still works, by doubling it from
# 0.05. Compare it with 2/λmax, where λmax is that of all inputs of M, `[h, c, 1]` side by side.
#
# <details><summary>Hint</summary>
#
# Measure λmax on the whole training set, with the h of the first block at the start. The columns
# of c and the column of ones have a mean, too, so λmax is larger than 16. In training λ changes,
# and one batch can have a larger λ than the average. So learning may already fail a little below
# the limit.
# </details>
#
# **3.** Does it matter in `Decoupled` when the message comes? Move the line below the update.
#
# <details><summary>Hint</summary>
#
# Here it hardly matters: learning is a little slower. The extra term grows with the square of the
# guesses, and these start at zero and stay small. In notebook 1 the same mistake was in the *top*
# layer, where the gradient is large, and the network could not learn. A mistake that is harmless
# in one place is still a mistake.
# </details>
#
# **4.** Start A and C at random, with standard deviation 0.2, instead of at zero. Is it worse?
#
# <details><summary>Hint</summary>
#
# Not on this task. It even learns a little faster, since the blocks move from the start. In
# deeper networks the random errors add up from block to block, and there the start is important.
# Try it again with MNIST, after notebook 5.
# </details>
#
# **5.** The weights of block 1 stay exactly where they are in the first two steps. Why two?
#
# <details><summary>Hint</summary>
#
# In step 1 both synthesizers say zero, so neither block moves. The top sends a true message, so M
# of block 2 learns. But the message from block 2 to block 1 was made from a zero guess, so it is
# zero. In step 2 block 2 guesses, moves, and sends something; then M of block 1 learns, for the
# first time. In step 3 block 1 moves.
# </details>

# %% [markdown]
# ## In practice
#
# - Published code for this method often trains every synthesizer on the full true gradient, from
#   a complete backward pass. That works, but then every block still waits. The idea of the method
#   is to learn from the message of the next block alone.
# - With Adam in place of plain gradient descent you need not search for a learning rate below
#   2/λmax, because the size of its steps does not depend on λ. The next notebook builds Adam.
# - We predict gradients of each example's own loss. If we predicted the gradient of the mean, the
#   target would be N times smaller. Then the synthesizer's weights and its learning rate would
#   depend on the batch size.
#
# ## Further reading
#
# - M. Jaderberg and others, *Decoupled Neural Interfaces using Synthetic Gradients*, 2016: the
#   paper. You have just built its section 2.
# - A. Trask, *Deep Learning without Backpropagation*, 2017: the tutorial. Compare its class with
#   yours.
# - W. Czarnecki and others, *Understanding Synthetic Gradients and Decoupled Neural Interfaces*,
#   2017: proofs for linear networks, and what deep ones learn inside.
# - T. Lillicrap and others, *Random synaptic feedback weights support error backpropagation for
#   deep learning*, 2016: even a fixed random matrix in place of `W.T` can train a network.
#
# Next: **4. Build the layers.**
