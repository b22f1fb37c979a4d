# %% [markdown]
# # 5. Decouple MNIST
#
# **What you'll do.** Train networks of 3 to 6 layers to read handwritten digits, with a
# synthesizer after every hidden layer; put them beside backpropagation, beside two controls, and
# beside the table of the paper; then look into the synthesizers and see what they know.
#
# **What you'll learn.** What it costs to guess, and how that grows with depth; what cosine and
# length of a guess say; why a guess from h alone fades just when the network becomes good;
# whether it is cheating to show the label.
#
# **What you need.** Notebooks 1 to 4. Four to six minutes. MNIST is downloaded once, about 11 MB.

# %%
import course
import numpy as np

import tinydni as td
from tinydni.lab.gradient_quality import measure_gradients
from tinydni.lab.tables.images import PAPER

SHORT = course.begin()

data, MNIST = course.mnist(SHORT)
epochs = 1 if SHORT else 3 if MNIST else 40

# %% [markdown]
# ## Blocks
#
# A hidden block is `Linear`, `BatchNorm`, `ReLU`: a matrix of weights, outputs brought to mean 0
# and variance 1 over the batch, and max(·, 0). The last block is a `Linear` alone, whose ten
# outputs the loss turns into probabilities. "Six layers" means six matrices of weights and so
# five interfaces, as in the papers. `td.mlp` makes the list of blocks, and `summary` shows what
# we get from `td.build`:

# %%
def blocks(layers, seed=0):
    return td.mlp([data.n_in] + [256] * (layers - 1) + [10], td.stream(seed, "weights"))

net = td.build(
    blocks(3),
    td.SoftmaxCrossEntropy(),
    lr=lambda: td.Adam(5e-3),
    synthesizer=lambda n: td.LinearSynthesizer(n, n_context=10),
    synthesizer_lr=lambda: td.Adam(1e-3),
)
print(td.plots.summary(net, (data.n_in,)))

# %% [markdown]
# ## Recipes
#
# First two small things that every network here needs. The **context** of cDNI is the label, as a
# row of zeros with a single one. And the **test error** is the share of test images that are
# misread, in percent.
#
# **Now you.** Write the one-hot rows, shape (N, K), for labels 0 ... K-1.
#
# <details><summary>Hint</summary>
#
# Row k of `np.eye(K)` is the one-hot row of the class k.
# </details>
#
# <details><summary>A second hint</summary>
#
# An array can be indexed by an array of whole numbers: `np.eye(K)[...]`.
# </details>

# %%
def one_hot(labels, K):
    ### BEGIN SOLUTION
    return np.eye(K)[labels]
    ### END SOLUTION

course.check("5.1", one_hot)
np.testing.assert_array_equal(one_hot(data.y[:100], 10), data.context()[:100])

# %% [markdown]
# **Now you.** And the error in percent, from logits z (N, K) and labels (N,).
#
# <details><summary>Hint</summary>
#
# The answer of the network is the class with the largest logit: `z.argmax(axis=1)`.
# </details>
#
# <details><summary>A second hint</summary>
#
# The mean of an array of True and False is the share of True.
# </details>

# %%
def percent_wrong(z, labels):
    ### BEGIN SOLUTION
    return 100 * np.mean(z.argmax(axis=1) != labels)
    ### END SOLUTION

course.check("5.2", percent_wrong)

# %% [markdown]
# Five ways to get a gradient. Note how little differs: a synthesizer, or an algorithm that needs
# none.
#
# | | what a hidden block learns from |
# | --- | --- |
# | `backprop` | the true gradient |
# | `cdni` | a guess from h and the label, linear as in notebook 3 |
# | `dni` | a guess from h alone, by a network with one hidden layer |
# | `label-only` | control: a guess from the label alone |
# | `none` | control: nothing. The hidden blocks keep their random weights, and only the last one learns |
#
# If you compare methods, give each its best learning rate. These were chosen with the last
# 10,000 training images as validation data, before the test images were looked at. A guess is
# least certain where it is small, and Adam would blow it up to a full step: its `eps` limits
# that. And where the lower blocks learn from guesses, the top block, whose gradient is exact,
# does better with smaller steps.

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
        "label-only": dict(
            synthesizer=lambda n: td.LinearSynthesizer(n, n_context=10, reads_h=False),
            lr=adam(5e-3, eps=1e-5),
            top_lr=adam(1e-3),
            synthesizer_lr=adam(1e-3),
        ),
        "dni": dict(
            synthesizer=lambda n: td.mlp_synthesizer(n, rng),
            lr=adam(1e-3, eps=3e-3),
            top_lr=adam(3e-4),
            synthesizer_lr=adam(3e-3),
        ),
        "none": dict(algorithm=td.no_backprop, lr=adam(3e-3)),
    }[method]

def train(method, layers, epochs=epochs, seed=0):
    """Trains one network. Returns it and its history."""
    net = td.build(
        blocks(layers, seed), td.SoftmaxCrossEntropy(), **recipe(method, seed)
    )
    training = td.Training(
        net,
        data,
        epochs,
        batch_size=64,
        seed=seed,
        schedule=td.LinearDecay(epochs * (len(data.x) // 64)),  # all rates fall to zero
        context=data.context() if method in ("cdni", "label-only") else None,
    )
    if net.synthesizers():
        measure_gradients(training)
    return net, training.run([course.watch(f"{method}, {layers} layers")])

# %% [markdown]
# ## Four methods on a plane
#
# Before the digits, something that can be seen. Two classes of points lie in the plane, each a
# half moon. Four networks of three layers learn to tell them apart: by the true gradient, by a
# guess from h and the label, by a guess from h alone, and with hidden blocks that never learn.
# What will the borders between the two classes look like?

# %%
def moons(n, rng):
    """Points (n, 2) in two half moons, and which moon each belongs to."""
    label, angle = rng.integers(0, 2, n), np.pi * rng.random(n)
    x = np.stack(
        [
            np.cos(angle) + label - 0.5,
            np.sin(angle) * (1 - 2 * label) + 0.5 * label - 0.25,
        ],
        axis=1,
    )
    return (x + 0.12 * rng.standard_normal((n, 2))).astype(np.float32), label

points, moon = moons(600, np.random.default_rng(0))
both = np.eye(2, dtype=np.float32)[moon]
small = dict(
    blocks=td.mlp((2, 16, 16, 2), np.random.default_rng(1)),
    loss=td.SoftmaxCrossEntropy(),
)
fast = adam(1e-2)
four = {
    "backprop": td.build(**small, lr=fast, algorithm=td.backprop),
    "cdni": td.build(
        **small,
        lr=fast,
        synthesizer=lambda n: td.LinearSynthesizer(n, n_context=2),
        synthesizer_lr=fast,
    ),
    "dni": td.build(
        **small,
        lr=fast,
        synthesizer=lambda n: td.LinearSynthesizer(n),
        synthesizer_lr=fast,
    ),
    "none": td.build(**small, lr=fast, algorithm=td.no_backprop),
}
grid = np.stack(
    np.meshgrid(np.linspace(-2, 2, 80), np.linspace(-1.4, 1.4, 60)), axis=-1
).astype(np.float32)
moments = (1, 3, 10, 40)  # epochs at which to look
picture = td.plots.Picture(
    9,
    6.8,
    "Sixteen small maps of the plane with two half moons of points, four for each "
    "method, after 1, 3, 10 and 40 epochs. The border between the two colours bends "
    "into the "
    "gap between the moons soonest for backpropagation and for a guess from h and the "
    "label.",
)
for row, (name, net) in enumerate(four.items()):
    for epoch in range(1, moments[-1] + 1):
        order = td.stream(0, "order", epoch).permutation(600)
        for rows in order.reshape(-1, 30):
            net.step(points[rows], moon[rows], both[rows] if name == "cdni" else None)
        if epoch in moments:
            column = moments.index(epoch)
            axes = picture.add_axes(
                (0.08 + 0.23 * column, 0.75 - 0.235 * row, 0.21, 0.21)
            )
            z = net.predict(grid.reshape(-1, 2)).reshape(*grid.shape[:2], 2)
            axes.contourf(
                grid[..., 0],
                grid[..., 1],
                z[..., 1] - z[..., 0],
                levels=[-1e9, 0, 1e9],
                colors=["#fdd9b5", "#d5d0ea"],
            )
            axes.scatter(*points.T, c=np.where(moon, "#5e3c99", "#e66101"), s=1)
            axes.set(xticks=[], yticks=[])
            if row == 0:
                axes.set_title(f"epoch {epoch}", fontsize=9)
            if column == 0:
                axes.set_ylabel(name, fontsize=10)
    wrong = percent_wrong(net.predict(points), moon)
    print(
        f"{name:9s} {wrong:4.1f} % of the points on the wrong side after {moments[-1]} "
        f"epochs"
    )
picture

# %% [markdown]
# ## Three layers

# %%
METHODS = ("backprop", "cdni", "dni", "label-only", "none")
nets, histories = {}, {}
for method in METHODS:
    nets[method, 3], histories[method, 3] = train(method, 3)
    print(
        f"{method:10s} 3 layers: {histories[method, 3]['test_error'][-1]:5.2f} % of "
        f"the test images misread"
    )
assert (
    percent_wrong(nets["cdni", 3].predict(data.x_test), data.y_test)
    == histories["cdni", 3]["test_error"][-1]
)

def final_error(method, layers):
    return histories[method, layers]["test_error"][-1]

assert not MNIST or final_error("cdni", 3) < 2.5 < final_error("dni", 3) < final_error(
    "none", 3
)

# %% [markdown]
# Look at the control first. Random hidden layers with a trained output already misread only one
# image in ten or so: *that* is where "learning" begins. With the label the guesses bring the
# error to about the level of backpropagation. From h alone it is halfway.
#
# ## Six layers
#
# Now five synthesizers, each of which learns from the messages of a block that itself relies on a
# guess. How far does the truth come down?

# %%
for method in METHODS:
    nets[method, 6], histories[method, 6] = train(method, 6)
for layers in (4, 5):
    for method in ("backprop", "cdni", "dni", "none"):
        _, histories[method, layers] = train(method, layers)

assert not MNIST or (
    final_error("backprop", 6) < final_error("cdni", 6) + 0.5
    and final_error("cdni", 6) < 3 < final_error("dni", 6) < final_error("none", 6)
)

td.plots.learning_curve(
    {
        method: (histories[method, 6]["epoch"], histories[method, 6]["test_error"])
        for method in METHODS
    },
    title=f"{data.name}, 6 layers",
    xlabel="epoch",
    ylabel="test error [%]",
)

# %%
rows = [
    {
        "row": f"{layers} layers",
        "column": method,
        "mean": final_error(method, layers),
        "std": None,
        "seeds": 1,
        "paper": PAPER[method].get(layers) if MNIST else None,
    }
    for layers in (3, 4, 5, 6)
    for method in METHODS
    if (method, layers) in histories
]
td.plots.results_table(
    rows,
    title=f"{data.name}: guessed gradients at every hidden layer",
    unit=f"Test error [%] after {epochs} epochs",
)

# %% [markdown]
# The paper trained 500,000 steps, more than two thousand epochs; ours are three. Its figures are
# a direction, not a target. The largest gap is at `dni` with three layers: about 5 % here, 1.9 %
# in the paper. Three things differ. The paper takes nearly 200 times as many steps. Its
# synthesizers are larger, two hidden layers of 1,024 where ours have one of 256. And its rates
# are much smaller (3e-5), so that the network moves slowly and the guessers can follow. We have
# not run that; on a laptop it would take days. What ours does over 100 epochs, and why longer is
# not simply better, stands in docs/from-h-alone.md.
#
# Each of our numbers is of a **single run**, with seed 0. How much that means, the same table
# with five epochs and three seeds tells (docs/results/mnist-fcn.md, made by `tinydni reproduce
# mnist-fcn`): the standard deviation over the seeds is 0.02 to 0.1 for `backprop` and `cdni`,
# and 0.1 to 0.5 for the others. Smaller differences say nothing here. What can be seen:
#
# - **Backpropagation and cDNI lose little with depth.** cDNI starts slower, since the chain of
#   synthesizers has to fill from the top, and then catches up.
# - **DNI from h alone** gets worse with every layer, from 5 to nearly 9 %, and it does so in the
#   paper, from 1.9 to 4.3 %.
# - **The label alone is no better than nothing** with three layers. So the success of cDNI does
#   not come from the label alone: h and label are needed *together*.

# %% [markdown]
# ## What do the synthesizers know?
#
# After every epoch we have compared the guesses with the true gradients, on one batch. The upper
# row shows the cosine of the angle between them, the lower row how long the guess is in
# comparison.

# %%
td.plots.gradient_quality(
    {method: histories[method, 6] for method in ("cdni", "dni", "label-only")},
    title=f"{data.name}, 6 layers: guess beside truth",
)

# %% [markdown]
# Right below the loss (interface 5) a linear guess from h and label is nearly the truth. Every
# interface further down loses something. But the lowest block, with a cosine of less than a half,
# still learns to see. From h alone the direction is all but lost, and note the *length*: the
# guess does not only point elsewhere, it vanishes, down to a few hundredths of the truth. That
# calls for an explanation. (A warning: guesses from the label alone have the better
# direction than those from h alone, and make the worse network. The cosine is an instrument, not
# a result.)

# %% [markdown]
# ## Why a guess from h alone fades
#
# Take the interface below the top block. For softmax and cross-entropy the true gradient there
# is, for each example,
#
# $$\delta = (p(h) - y)\, W^T$$
#
# with the probabilities p that the top block makes of h, the one-hot label y, and the weights W
# of the top block. The best guess from h, in the sense of least squares, is the average of δ over
# everything that h leaves open. It is written $E[\delta \mid h]$, "the expected δ, given h".
#
# **Now you.** Write it for N examples: from p (N, K), the true probabilities P of the labels
# given h (N, K), and W (H, K).
#
# <details><summary>Hint</summary>
#
# p depends on h alone, and so does W. Only y is left open. What is the average of a one-hot y?
# </details>
#
# <details><summary>A second hint</summary>
#
# It is P. Put it in the place of y.
# </details>

# %%
def expected_delta(p, P, W):
    ### BEGIN SOLUTION
    return (p - P) @ W.T
    ### END SOLUTION

course.check("5.3", expected_delta)

# %% [markdown]
# $$E[\delta \mid h] = \bigl(p(h) - P(y \mid h)\bigr)\, W^T$$
#
# This is zero where **p(h) = P(y | h)**: where, for every h, the network gives the labels the
# probabilities that they have among all images with that h. (If the columns of W are linearly
# independent, it is zero *only* there.) The top block learns just that, and does so quickly. From
# then on h holds no information about δ: which of the sevens is none, only the label tells.
#
# This can be measured: how much of δ a guess from h explains, on images that it was not fitted to.
#
# **Now you.** Write the share of δ that a guess explains, R²: one minus the squared error of the
# guess over the sum of the squares of δ.
#
# <details><summary>Hint</summary>
#
# Two sums over all entries, `np.sum(...**2)`.
# </details>
#
# <details><summary>A second hint</summary>
#
# A guess of zero explains nothing, and has R² = 0. The right guess has 1.
# </details>

# %%
def r_squared(guess, delta):
    ### BEGIN SOLUTION
    return 1 - np.sum((guess - delta)**2) / np.sum(delta**2)
    ### END SOLUTION

course.check("5.4", r_squared)

# %% [markdown]
# First the formula, and how much a *linear* function of h explains, before and after training by
# backpropagation:

# %%
def top_interface(net, n=20_000):
    """h and delta (N, H) at the interface below the top, p and y (N, 10), on
    training images.
    """
    h, y = data.x[:n], data.context()[:n]
    *below, top = net.modules
    for module in below:
        h = module.forward(h)
    loss = td.SoftmaxCrossEntropy()
    loss.forward(top.forward(h), data.y[:n])
    delta = top.backward(loss.backward()) * len(h)
    W = top.block.layers[0].W
    np.testing.assert_allclose(delta, (loss.p - y) @ W.T, atol=1e-4)  # the formula
    return h, delta, loss.p, y

def share_explained(inputs, delta):
    """R² of the linear guess that is best on the first half of the images, on the
    second half.
    """
    features, half = (
        np.hstack([*inputs, np.ones((len(delta), 1))]).astype(np.float64),
        len(delta) // 2,
    )
    products = features[:half].T @ features[:half] + 1e-3 * half * np.eye(
        features.shape[1]
    )
    fit = np.linalg.solve(products, features[:half].T @ delta[:half])
    return r_squared(features[half:] @ fit, delta[half:])

fresh = td.build(blocks(3), td.SoftmaxCrossEntropy(), **recipe("backprop"))
after_one, _ = train("backprop", 3, epochs=1)
explained = {}
print("share of δ that is explained by    h      label  both     size of δ")
for name, net in (
    ("untrained", fresh),
    ("after 1 epoch", after_one),
    (f"after {epochs} epochs", nets["backprop", 3]),
):
    h, delta, p, y = top_interface(net)
    explained[name] = [share_explained(inputs, delta) for inputs in ([h], [y], [h, y])]
    print(
        f"{name:32s}"
        + "".join(f"{share:7.2f}" for share in explained[name])
        + f"      {np.sqrt(np.mean(delta**2)):.4f}"
    )

assert (
    not MNIST or explained["untrained"][0] > 0.4 and explained["after 1 epoch"][0] < 0.1
)
assert not MNIST or explained["after 1 epoch"][2] > explained["after 1 epoch"][0] + 0.1

# %% [markdown]
# In the untrained network most of δ can be read off h: its confidence is nonsense, and p alone
# tells by how much. After a single epoch next to nothing is left (a negative share means: on new
# images the fit is worse than saying zero). With the label there is something left, and it gets
# less too: the few images that still have a gradient are the odd ones, and no linear function
# describes them.
#
# In notebook 3 the *form* of the guesser was to blame. Is it here, too? Give a guesser 2,000
# random ReLUs of h, with which it can follow nearly any curve:

# %%
h, delta, p, y = top_interface(nets["backprop", 3], 20_000 if MNIST else 1_400)
rng = np.random.default_rng(0)
bends = np.maximum(
    (h - h.mean(axis=0))
    @ rng.standard_normal((h.shape[1], 2_000 if MNIST else 200))
    / 16
    + rng.standard_normal(2_000 if MNIST else 200),
    0,
)
curved = share_explained([h, bends], delta)
print(
    f"share of δ that is explained from h: linear {share_explained([h], delta):.2f}, "
    f"with random ReLUs {curved:.2f}"
)
assert not MNIST or curved < 0.15

# %% [markdown]
# No. Neither form finds anything on new images. The best form that we know of finds about a tenth
# (docs/from-h-alone.md). Here the reason is the formula.
#
# ## A weaker statement, which sounds the same
#
# Networks are often called **calibrated** if their confidence is right: of all images with "80 %
# a seven", 80 % are sevens. In symbols $P(y \mid p) = p$. Is that p(h) = P(y | h)? Answer first.
# Then look at a network that says the same for every image, the share of each digit in the data.
# It *is* calibrated: of all images, those shares are each digit. How much of its δ can be guessed
# from h?

# %%
constant = y.mean(axis=0) + 0 * p
W = nets["backprop", 3].modules[-1].block.layers[0].W
from_h = share_explained([h], (constant - y) @ W.T)
print(
    f"a network that always says the same: a linear guess from h explains {from_h:.2f} "
    f"of its δ"
)
assert not MNIST or from_h > 0.4

# %% [markdown]
# A lot. h knows which digit it is, and the constant network does not use it. So calibrated is the
# weaker statement: p may throw away what h knows. To be zero, $E[\delta \mid h]$ needs the
# stronger one.
#
# Confidence can be looked at in bins. We sort test images by the network's confidence in its
# answer, and count how often the answer is right. Remember what such a table shows: the *weaker*
# statement.

# %%
net = nets["dni", 3]
p = np.exp(
    net.predict(data.x_test)
)  # of the DNI network: it can't do without this either
p /= p.sum(axis=1, keepdims=True)
confidence, right = p.max(axis=1), p.argmax(axis=1) == data.y_test
print("confidence of the answer   images   mean confidence   answers that are right")
for low, high in ((0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 0.99), (0.99, 1.01)):
    chosen = (low <= confidence) & (confidence < high)
    if chosen.sum():
        print(
            f"{low:10.2f} to {min(high, 1):.2f} {chosen.sum():14,} "
            f"{100 * confidence[chosen].mean():15.0f} % "
            f"{100 * right[chosen].mean():20.0f} %"
        )
print(
    f"all together: mean confidence {100 * confidence.mean():.1f} %, right "
    f"{100 * right.mean():.1f} %"
)
assert not MNIST or abs(confidence.mean() - right.mean()) < 0.03

# %% [markdown]
# It misreads several images of a hundred, and it *knows* how often. The table agrees with the
# measurement above, and does not replace it. What follows from E[δ | h] = 0 is hard: a
# synthesizer that sees nothing but h can ask for nothing more. What a lower block has lost of the
# label, nobody above will ask for. A guesser needs to know something that the network does not.
# (The label is one such thing. A second one: a guess from the network's *input*. See exercise 4.)

# %% [markdown]
# ## Is cDNI cheating?
#
# The label goes into every synthesizer. Is the comparison with backpropagation fair?
#
# - *When the network is used, no label takes part.* `predict` has no argument for it, and no
#   synthesizer is asked. All test errors here are made that way.
# - *In training both know the labels.* Backpropagation gets them through the loss, cDNI also
#   through the context.
# - *But it is one more supervised signal, at every layer.* One might as well put a small
#   classifier there, with a loss of its own. If you claim that synthetic gradients do something,
#   compare with that, and with the label alone. The label alone failed here; the local classifier
#   is the control of notebook 6.
#
# And what does cDNI misread in the end?

# %%
td.plots.misread_digits(
    data.x_test,
    data.y_test,
    nets["cdni", 3].predict(data.x_test).argmax(axis=1),
    count=16,
)

# %% [markdown]
# ## On your own
#
# **1.** Give `train("cdni", 3)` a context of random labels (shuffle the rows of
# `data.context()`). Which of the five curves should it come close to? Check.
#
# <details><summary>Hint</summary>
#
# A context that has nothing to do with the image says nothing, and a linear guess from h is left.
# So it should do about as well as a linear synthesizer without context,
# `td.LinearSynthesizer(n)`. Random permutations come from `td.stream(0,
# "sample").permutation(len(data.x))`.
# </details>
#
# **2.** In `cdni`, set A of every synthesizer to random numbers of standard deviation 0.1 before
# training (`net.modules[i].synthesizer.A[...] = ...`). What happens with three, what with six
# layers?
#
# <details><summary>Hint</summary>
#
# A guess of random direction and full length sends every block off into nowhere, for the hundreds
# of steps that it takes to unlearn A. The higher the stack, the longer the lower synthesizers
# learn from messages that are noise themselves: expect about 9 % instead of 2 with three layers,
# and 16 % instead of 2 with six.
# </details>
#
# **3.** Train `cdni` with six layers for one epoch with batches of 256, then of 64. Why does the
# batch size matter so much more than for `backprop`?
#
# <details><summary>Hint</summary>
#
# About 30 % against 5 %, while `backprop` does not care. With batches of 256 there are four times
# fewer steps, and the message needs many steps to fill the chain: the second synthesizer from the
# top can only learn once the first has learnt. The number of synthesizer steps is the bottleneck,
# not the number of images.
# </details>
#
# **4.** A guesser needs to know something that the network does not. Instead of the label, let it
# be the image: one `guess = td.variants.Guess(data.n_in, 10, rng)` for all interfaces,
# `synthesizer=lambda n: td.variants.GuessSynthesizer(td.VirtualLinear(n, 10, rng), guess)`,
# `context=data.x`, Adam with 3e-3 everywhere. No synthesizer sees a label. How far does it get
# with six layers?
#
# <details><summary>Hint</summary>
#
# Below 3 %, where h alone has about 9. By the same formula as above, E[δ | x] vanishes only where
# p is as good as any function of x can be. So the guess must be a better classifier than the
# network, and here it becomes one, from gradients alone. Whether that is useful is another
# question: a network that small, trained directly, gets there in seconds.
# </details>
#
# **5.** Show that for squared error with a linear top block, y = hW, it is
# $E[\delta \mid h] = (hW - E[t \mid h])\,W^T$. When does it vanish?
#
# <details><summary>Hint</summary>
#
# δ = (hW - t) Wᵀ, and h is fixed under the average. It vanishes where the prediction is the mean
# of the targets given h, which is what least squares aims at: for every loss of this kind the
# guess from h fades when the top block has done its work.
# </details>

# %% [markdown]
# ## In practice
#
# - Choose recipes on validation data: `data.with_validation(10_000)` holds out the end of the
#   training set and hides the test set.
# - Report the controls. A decoupled network that beats frozen random layers has learnt something;
#   one that does not has only an output layer.
# - From the command line: `tinydni train mnist --method cdni --layers 6 --measure-gradients`.
#
# ## Further reading
#
# - M. Jaderberg and others, *Decoupled Neural Interfaces using Synthetic Gradients*, 2016,
#   section 3.1 and table 1.
# - W. Czarnecki and others, *Understanding Synthetic Gradients and Decoupled Neural Interfaces*,
#   2017: what such networks learn inside.
# - C. Guo and others, *On Calibration of Modern Neural Networks*, 2017.
#
# Next: **6. Look through a virtual network.**
