# %% [markdown]
# # 5. Decouple MNIST
#
# **What you'll do.** Train networks of 3 to 6 layers to read handwritten digits, with a
# synthesizer after every hidden layer. Compare them with backpropagation, with two simple
# methods, and with the table of the paper. Then find out what the synthesizers know.
#
# **What you'll learn.** How much worse a network gets by guessing, and how that grows with depth.
# What the cosine and the length of a guess say. Why a guess from h alone gets worse just when the
# network becomes good, and what helps. Whether it is cheating to show the label.
#
# **What you need.** Notebooks 1 to 4. Six to eight minutes. MNIST is downloaded once, about 11 MB.

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
# A hidden block is `Linear`, `BatchNorm`, `ReLU`, as in notebook 4. The last block is a `Linear`
# alone. Its ten outputs are the logits, and the loss turns them into probabilities. "Six layers"
# means six matrices of weights and so five interfaces, as in the papers. `td.mlp` makes the list
# of blocks. `td.build` makes the network, and `summary` describes it:

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
# Every network here needs two small functions. The **context** of cDNI is the label as a row of
# zeros with a single one, a **one-hot** row. The **test error** is the share of test images that
# the network misreads, in percent.
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
# **Now you.** Write the error in percent, from logits z (N, K) and labels (N,).
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
# We compare five ways to get a gradient. Only little is different between them: the synthesizer,
# or an algorithm that needs none. The last two are **controls**: simple methods without the new
# idea. They show how good a network gets without the new idea.
#
# | | what a hidden block learns from |
# | --- | --- |
# | `backprop` | the true gradient |
# | `cdni` | a guess from h and the label, linear as in notebook 3 |
# | `dni` | a guess from h alone, by a network with one hidden layer |
# | `label-only` | control: a guess from the label alone |
# | `none` | control: nothing. The hidden blocks keep their random weights, and only the last one learns |
#
# If you compare methods, give each its best learning rate. We chose these rates on the last
# 10,000 training images, held out as validation data, before we looked at the test images. A
# small guess is an uncertain guess, but Adam would make a full step of it. A larger `eps`
# prevents that. The top block has the exact gradient. If the lower blocks learn from guesses, the
# top block does better with smaller steps.

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
# Before the digits, here is a task that you can see. There are two classes of points in the
# plane, and each has the shape of a half moon. Four networks of three layers learn to separate
# them. They use the true gradient, a guess from h and the label, a guess from h alone, and hidden
# blocks that never learn. What will the borders between the two classes look like?

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
# Look at the control `none` first. With random hidden layers and a trained output the network
# misreads only about one image in ten. A method has to be better than that before you can say
# that the hidden layers learn. With the label, the error is about that of backpropagation. From h
# alone it is halfway between the two.
#
# ## Six layers
#
# Now there are five synthesizers. Each learns from the messages of a block above, and all but the
# top block use a guess themselves. How far down does the truth come?

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
# The paper trained for 500,000 steps, more than two thousand epochs; we train for three. So we
# cannot expect its numbers, only the same order of the methods. The largest differences are at
# `dni`: 5 % against 1.9 % with three layers, 9 % against 4.3 % with six. Three settings differ.
# The paper takes nearly 200 times as many steps. Its synthesizers are larger: two hidden layers of 1,024,
# while ours have one of 256. And its learning rates are much smaller (3e-5), so the network
# changes slowly and the guessers can follow. We have not run that; on a laptop it would take
# days. docs/from-h-alone.md shows what our network does over 100 epochs, and why longer training
# is not always better.
#
# Each of our numbers comes from a **single run**, with seed 0. How exact is it?
# docs/results/mnist-fcn.md has the same table with five epochs and three seeds (made by `tinydni
# reproduce mnist-fcn`). There the standard deviation over the seeds is 0.02 to 0.1 for `backprop`
# and `cdni`, and 0.1 to 0.5 for the others. Smaller differences say nothing here. You can see
# this:
#
# - **Backpropagation and cDNI lose little with depth.** cDNI starts slower, because the
#   synthesizers learn one after the other, from the top down. Later it is nearly as good.
# - **DNI from h alone** gets worse with every layer, from 5 to nearly 9 %. In the paper it does,
#   too, from 1.9 to 4.3 %.
# - **The label alone is no better than nothing** with three layers. So cDNI does not succeed
#   because of the label alone. It needs h and the label *together*.

# %% [markdown]
# ## What do the synthesizers know?
#
# After every epoch we have compared the guesses with the true gradients, on one batch. The upper
# row shows the cosine of the angle between them. The lower row shows the length of the guess,
# divided by that of the truth.

# %%
td.plots.gradient_quality(
    {method: histories[method, 6] for method in ("cdni", "dni", "label-only")},
    title=f"{data.name}, 6 layers: guess and truth",
)

# %% [markdown]
# At the top (interface 5) a linear guess from h and label is nearly the truth. At every interface
# further down it is a little worse. But the lowest block still learns to read digits, with a
# cosine of less than a half. From h alone the direction is almost lost. Note the *length*, too:
# the guess becomes very short, down to a few hundredths of the truth. The next section explains
# why. (A warning: guesses from the label alone have a better direction than those from h alone,
# and still make a worse network. A good cosine does not prove a good result.)

# %% [markdown]
# ## Why a guess from h alone gets worse
#
# Take the interface below the top block. For softmax and cross-entropy the true gradient there
# is, for each example,
#
# $$\delta = (p(h) - y)\, W^T$$
#
# Here p are the probabilities that the top block computes from h, y is the one-hot label, and W
# are the weights of the top block. In this section y is the label and not an output, as in the
# papers. What is the best guess from h, the one with the smallest squared error? It is the
# average of δ over all examples with this h. It is written $E[\delta \mid h]$, "the expected δ,
# given h".
#
# **Now you.** Write it for N examples, from p (N, K), P (N, K) and W (H, K). P are the true
# probabilities of the labels, given h.
#
# <details><summary>Hint</summary>
#
# p is known if h is known, and W is fixed. Only y is not known. What is the average of a one-hot
# y?
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
# This is zero where **p(h) = P(y | h)**: the network gives each label the probability that it has
# among all images with this h. (If the columns of W are linearly independent, it is zero *only*
# there.) The top block learns just that, and learns it quickly. From then on h says nothing about
# the mean of δ. Suppose that an image looks like a seven, but is none: only the label can show
# that.
#
# We can measure this: how much of δ does a guess from h explain, on images that were not used in
# its fit?
#
# **Now you.** Write the share of δ that a guess explains, R². It is one minus a quotient: the
# squared error of the guess, divided by the sum of the squares of δ.
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
# The next cell checks the formula for δ. Then it measures how much a *linear* function of h
# explains, before and after training by backpropagation:

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
# In the untrained network a guess from h explains most of δ: the probabilities p are wrong, and p
# follows from h. After a single epoch almost nothing is left. (A negative share means that, on
# new images, the fit is worse than a guess of zero.) With h and the label something is left, but
# it also gets less. The few images that still have a large gradient are unusual ones, and no
# linear function describes them.
#
# In notebook 3 the *form* of the guesser was the reason. Is it the reason here, too? The next
# guesser gets 2,000 random ReLUs of h, with which it can follow nearly any curve:

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
# No. Neither form explains anything on new images. The best form that we know explains about a
# tenth (docs/from-h-alone.md). Here the formula is the reason.
#
# ## A weaker statement that sounds the same
#
# A network is called **calibrated** if its confidence is right: of all images that it calls "80 %
# a seven", 80 % are sevens. In symbols, $P(y \mid p) = p$. Is that the same as p(h) = P(y | h)?
# Answer first. Then look at a network that gives the same p for every image: the share of each
# digit in the data. It *is* calibrated, since among all images each digit has this share. How
# much of its δ can a guess from h explain?

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
# A lot. h shows which digit it is, and the constant network does not use it. So "calibrated" is
# the weaker statement: a calibrated p may ignore what h shows. $E[\delta \mid h]$ is zero only if
# the stronger statement is true.
#
# You can test the weaker statement with a table. Sort the test images by the network's confidence
# in its answer, and count how often the answer is right. Remember that such a table shows the
# *weaker* statement only.

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
# The network misreads several images of a hundred, and its confidence says how often. The table
# agrees with the measurement above, but does not replace it. If E[δ | h] is zero, then the best
# guess of δ from h is zero. If a lower block has lost something about the label, no such guess
# will tell it. A guesser that has to be right about *single* images has to know something that
# the network does not know. The label is one possibility. Another one is a guess from the
# network's *input*: see exercise 4.
#
# ## A truth that comes late
#
# From h alone a guess explains almost nothing of δ. So is it useless? Do not believe that yet.
#
# In `dni` only the synthesizer below the top learns from a true gradient. The next one learns
# from a message that is made from a guess, and so on down. But no block waits for what a
# *synthesizer* learns. So a synthesizer may learn late, and from the truth. Under
# `td.variants.LateTargets` the blocks update at once on their guesses, as before. The true
# gradient of each batch goes down behind them, one block in each step. A block keeps its inputs
# until the gradient comes. Then its synthesizer learns from the true gradient, and the block
# itself does not.
#
# **Now you.** The network has L blocks. They have the numbers k = 0 ... L-1, from the bottom. The
# top block knows its gradient at once. How many steps late does the true gradient come to
# block k?
#
# <details><summary>Hint</summary>
#
# The block below the top gets it one step late.
# </details>
#
# <details><summary>A second hint</summary>
#
# Count the blocks above block k.
# </details>

# %%
def steps_late(k, L):
    ### BEGIN SOLUTION
    return L - 1 - k
    ### END SOLUTION

course.check("5.5", steps_late)
L = 6
late_targets = td.variants.LateTargets(
    [data.n_in] + [256] * (L - 1) + [10], batch_size=64
)
assert [len(kept) for kept in late_targets.inputs] == [
    steps_late(k, L) for k in range(L - 1)
]

# %% [markdown]
# The block keeps one batch for every step of delay: the last line of the cell shows this.
#
# Nothing else is different from `dni`: the same network, the same rates, guesses from h alone.
# How will it compare with the 9 % above? And how much of δ will the guesses explain?

# %%
def train_late(layers, callback=lambda training: None, **options):
    """Trains `dni`, with other options. Returns the network and its history."""
    net = td.build(
        blocks(layers), td.SoftmaxCrossEntropy(), **{**recipe("dni"), **options}
    )
    training = td.Training(
        net,
        data,
        epochs,
        batch_size=64,
        seed=0,
        schedule=td.LinearDecay(epochs * (len(data.x) // 64)),
    )
    return net, training.run([course.watch(f"{layers} layers"), callback])

n_look = 5_000 if MNIST else 300
x_look, y_look = data.x_test[:n_look], data.y_test[:n_look]

def weight_gradients(net, images, from_guess):
    """dW of every hidden block on some images, from its guess or from the truth."""
    hs = [x_look[images]]
    for module in net.modules:
        hs.append(module.forward(hs[-1]))
    *below, top = net.modules
    dh = top.backward(top.gradient_at_output(hs[-1], None, y_look[images]))
    found, shares = [], []
    for module, h in zip(reversed(below), hs[-2::-1]):
        guess = module.gradient_at_output(h)
        shares.append(r_squared(guess, dh))
        module.backward(guess if from_guess else dh)
        found.append(module.block.layers[0].dW.copy())
        dh = module.backward(dh)
    return found[::-1], shares[::-1]

def cosine(a, b):
    return np.vdot(a, b) / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30)

PLACES = (30, 100, 300, 780, 1560, 2340) if MNIST else (10, 30, 100)

def looker(found):
    """A callback: at PLACES, compare dW of batches with the true dW of all images."""
    def look(training):
        if training.step not in PLACES:
            return
        net = training.network
        whole, shares = weight_gradients(net, slice(None), from_guess=False)
        means = []
        for from_guess in (True, False):
            cosines = [
                [
                    cosine(dW, true)
                    for dW, true in zip(
                        weight_gradients(
                            net, slice(start, start + 64), from_guess
                        )[0],
                        whole,
                    )
                ]
                for start in range(0, min(n_look, 20 * 64), 64)
            ]
            means.append(np.mean(cosines, axis=0))
        found.append((training.step, shares, *means))
    return look

seen = {"late": [], "guesses of guesses": []}
nets["late", 6], histories["late", 6] = train_late(
    6, looker(seen["late"]), algorithm=late_targets
)
train_late(6, looker(seen["guesses of guesses"]))
print(
    f"test error: guesses of guesses {final_error('dni', 6):.2f} %, "
    f"late truth {final_error('late', 6):.2f} %"
)
print(
    "at the end the guesses of `late` explain this share of δ, interfaces 1 to 5:",
    np.round(seen["late"][-1][1], 3),
)
assert not MNIST or (
    final_error("late", 6) < final_error("dni", 6) / 2
    and max(seen["late"][-1][1]) < 0.05
)

# %% [markdown]
# The error falls to less than half, and the guesses still explain almost nothing! The next
# picture shows how this can be. A block does not use the δ of one image. It adds up over a batch,
# dW = xᵀ dh. In a sum, whatever points into a random direction cancels, and what is common to
# many images stays. So ask for the direction of the *sum*. The curves show the cosine between two
# matrices at the lowest block: dW from one batch of 64, and dW from the true gradients of
# thousands of images.

# %%
steps = [step for step, *_ in seen["late"]]
td.plots.learning_curve(
    {
        "true gradients of the batch": (
            steps,
            [truth[0] for *_, truth in seen["late"]],
        ),
        "late: guesses": (steps, [guess[0] for _, _, guess, _ in seen["late"]]),
        "guesses of guesses": (
            steps,
            [guess[0] for _, _, guess, _ in seen["guesses of guesses"]],
        ),
    },
    title="dW of the lowest block: one batch beside all images",
    xlabel="step",
    ylabel="cosine",
)

# %% [markdown]
# The true gradient of one batch is noisy, too: its cosine with that of all images is 0.1 to
# 0.2. The guesses of `late` reach most of this early, but not at every place, and a quarter at
# the end. The guesses of guesses point to the other side for most of the time. So `late` is not a
# good guess, but a weak signal in the true direction, for every block. That is enough to learn.
#
# In `dni` the label comes in at the top interface alone. What the top synthesizer cannot read from
# its h is never asked of any block below, however much that block knows. The late truth asks every
# block.
#
# Two warnings. If the true gradient comes anyhow, a block could simply wait for it and update
# late, without any guess. That needs no synthesizer, and it was better at every delay that we
# tried (docs/from-h-alone.md). And R² was the wrong question here: before you say that a guess
# "explains nothing", find out which number the method uses.

# %% [markdown]
# ## Is cDNI cheating?
#
# Every synthesizer of cDNI sees the label. Is the comparison with backpropagation fair?
#
# - *The trained network needs no label.* `predict` has no argument for it, and no synthesizer
#   runs. All test errors here are measured in this way.
# - *In training both know the labels.* Backpropagation gets them through the loss, cDNI also
#   through the context.
# - *But every layer gets the label directly.* Then you could also give every layer a small
#   classifier with its own loss. If you claim that synthetic gradients do something, compare them
#   with this **local classifier**, and with the label alone. The label alone failed here. The
#   local classifier is a control in notebook 6.
#
# Here are some images that cDNI still misreads:

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
# `data.context()`). Which of the five curves should it be close to? Check.
#
# <details><summary>Hint</summary>
#
# A context that has nothing to do with the image says nothing, so only a linear guess from h is
# left. It should be about as good as a linear synthesizer without context,
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
# A guess of random direction and full length moves every block in a wrong direction. It takes
# hundreds of steps to unlearn A. With more layers, the lower synthesizers learn for a longer time
# from messages that are random, too. Expect about 9 % instead of 2 with three layers, and 16 %
# instead of 2 with six.
# </details>
#
# **3.** Train `cdni` with six layers for one epoch with batches of 256, then of 64. Why does the
# batch size matter so much more than for `backprop`?
#
# <details><summary>Hint</summary>
#
# The error is about 30 % against 5 %, while that of `backprop` hardly changes. With batches of
# 256 there are four times fewer steps. But the synthesizers need many steps, because they learn
# one after the other: the second from the top can only learn after the first. So the number of
# steps sets the limit, not the number of images.
# </details>
#
# **4.** A guesser has to know something that the network does not know. Take the image instead of
# the label: one `guess = td.variants.Guess(data.n_in, 10, rng)` for all interfaces,
# `synthesizer=lambda n: td.variants.GuessSynthesizer(td.VirtualLinear(n, 10, rng), guess)`,
# `context=data.x`, Adam with 3e-3 everywhere. No synthesizer sees a label. How far does it get
# with six layers?
#
# <details><summary>Hint</summary>
#
# Below 3 %, while h alone has about 9. By the formula above, E[δ | x] is zero only where p is as
# good as any function of x can be. So the guess has to be a better classifier than the network.
# Here it becomes one, from gradients alone. But is that useful? A network as small as the guess,
# trained directly, is as good after seconds.
# </details>
#
# **5.** Show that for squared error with a linear top block, y = hW, it is
# $E[\delta \mid h] = (hW - E[t \mid h])\,W^T$. When does it vanish?
#
# <details><summary>Hint</summary>
#
# δ = (hW - t) Wᵀ, and h is fixed under the average. It is zero where the prediction is the mean
# of the targets given h. Least squares moves the prediction towards just this mean. So for every
# loss of this kind the guess from h gets smaller while the top block learns.
# </details>

# %% [markdown]
# ## In practice
#
# - Choose recipes on validation data: `data.with_validation(10_000)` holds out the end of the
#   training set and hides the test set.
# - Report the controls. If a decoupled network is better than random layers that never learn, its
#   hidden layers have learnt something. If not, only its output layer has.
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
