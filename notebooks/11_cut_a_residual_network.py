# %% [markdown]
# # 11. Cut a residual network
#
# **What you'll do.** Cut residual blocks in the middle, and find out what has to cross the cut.
# Then cut a residual network for CIFAR-10 in two, and let the lower part learn from guesses.
#
# **What you'll learn.** What crosses a cut inside a block; how far a guess gets between the
# halves of a residual network, and beside which controls; which differences between test errors
# mean anything.
#
# **What you need.** Notebooks 1 to 6, 9 and 10. Four minutes. MNIST (11 MB) and CIFAR-10 (170 MB)
# are downloaded once.

# %%
from dataclasses import replace

import course
import numpy as np

import tinydni as td
from tinydni.lab.gradient_quality import measure_gradients

SHORT = course.begin()

digits, MNIST = course.mnist(SHORT)
epochs, n_train, n_test = (
    (1, 640, 200) if SHORT else (3, 12_800, 5_000) if MNIST else (20, 1_437, 360)
)

def part(data):
    """The first n_train images to train on, the first n_test to test on."""
    return replace(
        data,
        x=data.x[:n_train],
        y=data.y[:n_train],
        x_test=data.x_test[:n_test],
        y_test=data.y_test[:n_test],
    )

digits = part(digits)
print(
    f"{digits.name}: {len(digits.x):,} images to train on, {len(digits.x_test):,} to "
    f"test on"
)

# %% [markdown]
# ## A cut inside a block
#
# Where may an interface stand? Between two blocks it is easy: one array crosses, h after the
# addition, and `td.Residual.backward` has both parts of the gradient in the message. *Inside* a
# block, in the middle of the branch, two things have to cross: u, what the branch has made so far,
# and s, the shortcut that passes it by. The library lays them side by side, as one array [u, s]:
#
# | | forward |
# | --- | --- |
# | `OpenShortcut(f)` | `u, s = f(x), x` |
# | `CloseShortcut(g)` | `y = s + g(u)` |
#
# Together they are the block. One synthesizer guesses both gradients, and one message teaches it.
#
# **Now you.** The upper half has y = s + g(u). Its layers have made du from dy already. Write the
# message, the gradient of [u, s].
#
# <details><summary>Hint</summary>
#
# s is only added. What is its gradient?
# </details>
#
# <details><summary>A second hint</summary>
#
# It is dy. Put both side by side: `np.hstack`.
# </details>

# %%
def message_down(du, dy):
    ### BEGIN SOLUTION
    return np.hstack([du, dy])
    ### END SOLUTION

course.check("11.1", message_down)

# %% [markdown]
# The lower half adds both parts again, `dx = df(du) + ds`. Cut or whole, the numbers are the same:

# %%
rng = np.random.default_rng(0)
x, dy = rng.standard_normal((2, 6, 5))
lower = [td.Linear(5, 7, rng, dtype=np.float64), td.Tanh()]
upper = [td.Linear(7, 5, rng, dtype=np.float64)]
whole, below, above = (
    td.Residual(*lower, *upper),
    td.variants.OpenShortcut(*lower),
    td.variants.CloseShortcut(7, *upper),
)

crossing = below.forward(x)
np.testing.assert_allclose(above.forward(crossing), whole.forward(x), rtol=1e-12)
message = above.backward(dy)
np.testing.assert_allclose(below.backward(message), whole.backward(dy), rtol=1e-12)
np.testing.assert_allclose(message, message_down(message[:, :7], dy))
print(
    f"x {x.shape}, what crosses {crossing.shape}: u {crossing[:, :7].shape} and s "
    f"{crossing[:, 7:].shape}"
)

# %% [markdown]
# And the mistake again: "the synthesizer stands behind a layer of the branch, so its target is
# the gradient that comes through the branch." Then ds is missing in the message. Build a network
# of eight residual blocks, each cut inside, and compare the gradients at the cuts, with and
# without ds, under backpropagation:

# %%
WIDTH = 32

def network(blocks, algorithm=td.backprop, lr=2e-3, **options):
    return td.build(
        blocks,
        td.SoftmaxCrossEntropy(),
        lr=lambda: td.Adam(lr),
        algorithm=algorithm,
        **options,
    )

def gradients(net, n=256):
    """The gradient (n, H) at every interface of a network under backpropagation,
    bottom to top.
    """
    h = digits.x[:n]
    for module in net.modules:
        h = module.forward(h)
    dh, found = net.modules[-1].gradient_at_output(h, target=digits.y[:n]), []
    for module in net.modules[:0:-1]:
        dh = module.backward(dh)
        found.append(dh)
    return found[::-1]

class ForgetfulClose(td.variants.CloseShortcut):
    """Sends no gradient for the shortcut."""

    def backward(self, dy):
        message = super().backward(dy)
        message[:, self.n_branch:] = 0
        return message

def cut_blocks(close, n_cuts=8, seed=0):
    """A first layer, n_cuts residual blocks that are each cut inside, a last layer."""
    rng = td.stream(seed, "weights")

    def opened():
        return td.variants.OpenShortcut(td.Linear(WIDTH, WIDTH, rng), td.Tanh())

    def closed():
        return close(WIDTH, td.Linear(WIDTH, WIDTH, rng, std=0.5 / np.sqrt(WIDTH)))

    return [td.Sequential(td.Linear(digits.n_in, WIDTH, rng), td.Tanh(), opened()),
            *(td.Sequential(closed(), opened()) for _ in range(n_cuts - 1)),
            td.Sequential(closed(), td.Linear(WIDTH, 10, rng))]

pairs = list(
    zip(
        gradients(network(cut_blocks(td.variants.CloseShortcut))),
        gradients(network(cut_blocks(ForgetfulClose))),
    )
)
cosines = [np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in pairs]
print("cosine of the forgetful gradient with the right one, by cut, bottom to top:")
print("  ".join(f"{cosine:.2f}" for cosine in cosines))
print("its length, as a share of the right one:")
print("  ".join(f"{np.linalg.norm(b) / np.linalg.norm(a):.4f}" for a, b in pairs))
assert cosines[-1] < 0.6 and np.linalg.norm(pairs[0][1]) < 0.01 * np.linalg.norm(
    pairs[0][0]
)

# %% [markdown]
# At the uppermost cut one half of the array is missing, and it is the larger half. Every cut
# further down loses the larger half of what is left. Now decouple it: at every cut a virtual
# network (notebook 6) learns from the messages, right ones and forgetful ones. Beside them
# backpropagation and the control in which only the last block learns:

# %%
def train(net, data, n_epochs=epochs, schedule=td.LinearDecay, context=None):
    """Trains a network. Returns its history."""
    training = td.Training(
        net,
        data,
        n_epochs,
        batch_size=64,
        seed=0,
        schedule=schedule(n_epochs * (len(data.x) // 64)),
        context=context,
    )
    if net.synthesizers():
        measure_gradients(training)
    return training.run([course.watch("training")])

def vfbn(blocks):
    rng = td.stream(0, "synthesizer")
    return network(
        blocks,
        td.update_decoupled,
        lr=3e-3,
        synthesizer=lambda n_h: td.VirtualLinear(n_h, 10, rng),
        synthesizer_lr=lambda: td.Adam(1e-2),
    )

arms = {
    "backprop": network(cut_blocks(td.variants.CloseShortcut), lr=3e-3),
    "vfbn": vfbn(cut_blocks(td.variants.CloseShortcut)),
    "none": network(cut_blocks(td.variants.CloseShortcut), td.no_backprop, lr=3e-2),
    "vfbn, forgetful": vfbn(cut_blocks(ForgetfulClose)),
}
histories = {
    name: train(net, digits, context=digits.context() if net.synthesizers() else None)
    for name, net in arms.items()
}

last = {name: history["test_error"][-1] for name, history in histories.items()}
assert (
    not MNIST
    or last["backprop"] < last["vfbn"] < last["none"] < last["vfbn, forgetful"]
)
td.plots.learning_curve(
    {
        name: (history["epoch"], history["test_error"])
        for name, history in histories.items()
    },
    title=f"{digits.name}, 8 residual blocks, each cut inside",
    xlabel="epoch",
    ylabel="test error [%]",
)

# %% [markdown]
# With right messages the guesses train all eight pieces, somewhat behind backpropagation. With
# forgetful ones it is worse than not to train them at all: the blocks learn from guesses of
# something that is not the gradient. Here, where both halves are layers, `check_layer` would find
# the mistake. In practice the shortcut is often handed on somewhere beside the interface, and
# then no single `backward` is wrong. So test the parts *together*, against the block that is not
# cut, as we did above.

# %% [markdown]
# ## For images
#
# The residual network for small images has blocks of two convolutions, and a ReLU behind the sum:
# `ReLU(x + f(x))`, f: convolution, `BatchNorm`, `ReLU`, convolution, `BatchNorm`. Three stages;
# at the start of the second and third the image is halved and the channels double. There x and
# f(x) have different shapes, so the shortcut takes every second pixel and adds channels of zeros.
# Its gradient goes the same way back:

# %%
shortcut, image = (
    td.Subsample(2, 4, stride=2),
    np.random.default_rng(0).standard_normal((1, 6, 6, 2)),
)
halved = shortcut.forward(image)
np.testing.assert_array_equal(halved[..., :2], image[:, ::2, ::2])
assert not halved[..., 2:].any()
report = td.gradcheck.check_layer(shortcut, (3, 6, 6, 2))
print(report)
assert report.ok

# %% [markdown]
# CIFAR-10 has 50,000 colour photographs of ten kinds of things, 32 by 32 pixels. Training on it
# properly takes hours. So that it takes minutes, we halve the images to 16 by 16 (each pixel is
# the mean of four), take 12,800 of them, and the smallest network of the family, with 8, 16 and
# 32 channels: eight layers of weights. To test we take 5,000 others out of the training files;
# the official test images are for more serious work.

# %%
try:
    data = td.datasets.cifar10()
except td.datasets.DataError:
    print(
        "CIFAR-10 cannot be had here. The library's small digits stand in for it: "
        "everything runs, the numbers differ."
    )
    data = td.datasets.digits().as_images(8, 8, 1)

CIFAR = data.name == "cifar10" and not SHORT
if data.name == "cifar10":
    data = replace(data, x_test=data.x[20_000:], y_test=data.y[20_000:])
data = part(data)
if data.name == "cifar10":
    data = replace(
        data, x=td.AvgPool(2).forward(data.x), x_test=td.AvgPool(2).forward(data.x_test)
    )
image_shape = data.x.shape[1:]
print(
    f"{data.name}: {len(data.x):,} images to train on, {len(data.x_test):,} to test "
    f"on, {image_shape} each"
)

def halves(seed=0):
    """The network in two parts, cut behind the first block of the second stage."""
    blocks = td.resnet(
        8, td.stream(seed, "weights"), widths=(8, 16, 32), n_channels=image_shape[-1]
    )
    return [td.Sequential(*blocks[:3]), td.Sequential(*blocks[3:])]

shape = image_shape
for number, half in enumerate(halves()):
    for block in half.layers:
        shape = block.output_shape(shape)
        print(
            f"part {number}: "
            f"{', '.join(type(layer).__name__ for layer in block.layers):30s} "
            f"{block.n_parameters():6,} parameters, out {shape}"
        )

# %% [markdown]
# One cut only, in the middle, between two blocks, as in Miyato and others (their network has 110
# layers). What crosses is an image of 16 channels. Two ways to guess its gradient: `cdni`, one
# convolution on [h, label maps] as in notebook 8, and `vfbn`, a small virtual network of a
# convolution, the mean over the image, and a linear layer. Beside them the controls: a lower part
# that keeps its random weights (`none`), and one that learns from the label alone.
#
# The blocks learn by momentum (notebook 4) with a weight decay, as residual networks usually do.
# The learning rate rises in the first tenth of the steps, the **warm-up**, and then falls along
# half a **cosine**, $(1 + \cos(\pi\, \text{share of the way})) / 2$: large steps in the middle,
# small ones at the end.
#
# Two remarks on the rates, which were chosen, from two or three for each method, on training
# images held out for it. *First*, the gradient of one image is spread over a thousand numbers,
# each of them tiny. Adam's steps have the same size however small the gradient, so a convolution
# that learns with the usual 10⁻³ overshoots by far: here that ends in NaN. It takes 10⁻⁵. (In
# notebook 8 a large rate did well, because the blocks learnt by Adam, too, which forgives a guess
# that is too long.) *Second*, a least-squares guess is always too short: where its direction has
# cosine c with the truth, its length is c times the true one. Try it:

# %%
rng = np.random.default_rng(0)
seen, truth = rng.standard_normal((500, 20)), rng.standard_normal((500, 8))
truth += (
    0.3 * seen @ rng.standard_normal((20, 8))
)  # something that can be seen, and something that can't
guess = seen @ np.linalg.lstsq(seen, truth, rcond=None)[0]
cosine, ratio = (
    np.vdot(guess, truth) / np.linalg.norm(guess) / np.linalg.norm(truth),
    np.linalg.norm(guess) / np.linalg.norm(truth),
)
print(f"cosine {cosine:.4f}, length of the guess as a share of the truth {ratio:.4f}")
np.testing.assert_allclose(cosine, ratio)

# %% [markdown]
# (The error of the best guess is perpendicular to the guess, so ⟨g, t⟩ = ⟨g, g⟩; divide
# by |g| |t|.) Hence `Scaled(synthesizer, 2)`: learn as before, and double the guess when
# it is used.

# %%
def momentum(lr):
    return lambda: td.Momentum(lr, 0.9, weight_decay=5e-4)

def virtual(shape, rng, width=32):
    """A convolution, the mean over the image, a linear output."""
    return td.Sequential(
        td.Conv2D(shape[-1], width, rng, bias=False),
        td.BatchNorm(width, momentum=0),
        td.ReLU(),
        td.GlobalAvgPool(),
        td.Linear(width, 10, rng, std=width**-0.5),
    )

def recipe(method, seed=0):
    rng = td.stream(seed, "synthesizer")
    return {
        "backprop": dict(algorithm=td.backprop, lr=momentum(0.15)),
        "vfbn": dict(
            synthesizer=lambda *shape: td.variants.Scaled(
                td.variants.VirtualNetwork(virtual(shape, rng), 10), 2
            ),
            lr=momentum(0.05),
            synthesizer_lr=lambda: td.Adam(5e-3),
        ),
        "cdni": dict(
            synthesizer=lambda *shape: td.variants.Scaled(
                td.variants.conv_synthesizer(shape[-1], rng, n_context=10), 4
            ),
            lr=momentum(0.05),
            synthesizer_lr=lambda: td.Adam(1e-5),
        ),
        "label-only": dict(
            synthesizer=lambda *shape: td.variants.Scaled(
                td.variants.Flattened(
                    td.LinearSynthesizer(
                        int(np.prod(shape)), n_context=10, reads_h=False
                    )
                ),
                2,
            ),
            lr=momentum(0.05),
            synthesizer_lr=lambda: td.Adam(1e-5),
        ),
        "none": dict(algorithm=td.no_backprop, lr=momentum(0.2)),
    }[method]

METHODS, histories, nets = ("backprop", "vfbn", "cdni", "label-only", "none"), {}, {}
for method in METHODS:
    net = nets[method] = td.build(
        halves(), td.SoftmaxCrossEntropy(), input_shape=image_shape, **recipe(method)
    )
    histories[method] = train(
        net,
        data,
        n_epochs=4 if CIFAR else epochs,
        schedule=lambda n: td.CosineDecay(n, warm_up=n // 10),
        context=data.context() if net.synthesizers() else None,
    )
    print(
        f"{method:10s} {histories[method]['test_error'][-1]:5.1f} % of the test images "
        f"wrong"
    )

last = {method: history["test_error"][-1] for method, history in histories.items()}
assert (
    not CIFAR
    or max(last[method] for method in ("backprop", "vfbn", "cdni")) + 2
    < last["none"]
    < 75
)
td.plots.learning_curve(
    {
        method: (histories[method]["epoch"], histories[method]["test_error"])
        for method in METHODS
    },
    title=f"{data.name}, residual network in two parts",
    xlabel="epoch",
    ylabel="test error [%]",
)

# %%
td.plots.learning_curve(
    {
        method: (
            histories[method]["epoch"],
            [found[0]["cosine"] for found in histories[method]["gradients"]],
        )
        for method in ("vfbn", "cdni", "label-only")
    },
    title="Guess beside truth, at the cut",
    xlabel="epoch",
    ylabel="cosine",
)

# %% [markdown]
# - **Guesses train the lower half.** Both methods are clearly better than the random lower half,
#   better than the label alone, and come within a few points of backpropagation, though the lower
#   half has never updated on a gradient from above.
# - **The cosine is an instrument, not a result** (notebook 5). The label alone has a better one
#   than the convolution, and makes a clearly worse network.
# - **Look at the control first**, again: six of ten wrong with a random lower half. By chance it
#   would be nine.
# - **It is a small experiment.** 800 steps, tiny images, one seed. He and others reach 8.75 %
#   with 20 layers, whole images, 64,000 steps. And a classifier of its own for the lower half
#   does as well (exercise 1).
#
# What do the papers say? Miyato and others, with 110 layers and very long training, report 5.15 %
# for backpropagation, 5.76 for a control in which the lower half learns by a backpropagation of
# its own, 5.51 for their virtual network, 5.73 for one that is never trained, 5.71 for a local
# classifier, and 15.6 to 20.5 for the convolutional synthesizers of Jaderberg and others. Which
# of these differences mean anything?
#
# **Now you.** A share p of n images is misread. Other test images would give another share. Write
# its standard error.
#
# <details><summary>Hint</summary>
#
# One image is wrong (1) or right (0). The variance of such a number is p (1 - p).
# </details>
#
# <details><summary>A second hint</summary>
#
# A mean of n numbers has 1/n of the variance. Take the root.
# </details>

# %%
def standard_error(p, n):
    ### BEGIN SOLUTION
    return np.sqrt(p * (1 - p) / n)
    ### END SOLUTION

course.check("11.2", standard_error)

n, p = 10_000, 0.0551
counted = (
    np.random.default_rng(0).binomial(n, p, 2_000) / n
)  # the same network, other test images
print(
    f"formula: {100 * standard_error(p, n):.2f} %    spread of 2,000 imagined test "
    f"sets: {100 * counted.std():.2f} %"
)
np.testing.assert_allclose(counted.std(), standard_error(p, n), rtol=0.05)

# %% [markdown]
# And the *difference* of two networks? If their errors were independent, it would have √2 times
# that. But both see the same images, and many images are hard for both. So count in pairs: b
# images that only the first network misreads, c that only the second does. If both are equally
# good, each of these b + c images is the toss of a coin, and b - c has a spread of √(b + c). The
# number $z = (b - c) / \sqrt{b + c}$ is above 2 or below -2 in one of 20 cases by chance alone.
# This is **McNemar's test** (1947).
#
# **Now you.** Write z from two arrays of True and False: which images each network misreads.
#
# <details><summary>Hint</summary>
#
# b - c is the difference of the two numbers of misread images.
# </details>
#
# <details><summary>A second hint</summary>
#
# b + c is the number of images on which the two differ: `np.sum(wrong_a != wrong_b)`.
# </details>

# %%
def paired_z(wrong_a, wrong_b):
    ### BEGIN SOLUTION
    return (wrong_a.sum() - wrong_b.sum()) / np.sqrt(np.sum(wrong_a != wrong_b))
    ### END SOLUTION

course.check("11.3", paired_z)

wrong = {
    method: net.predict(data.x_test).argmax(axis=1) != data.y_test
    for method, net in nets.items()
}
print("                           differ on   error of the difference [%]       z")
print("                             (b + c)   independent       in pairs")
for a, b in (
    ("vfbn", "backprop"),
    ("cdni", "vfbn"),
    ("label-only", "vfbn"),
    ("none", "label-only"),
):
    n, differ = len(wrong[a]), np.sum(wrong[a] != wrong[b])
    independent = np.hypot(*(standard_error(wrong[m].mean(), n) for m in (a, b)))
    print(
        f"{a:10s} - {b:10s} {differ:12,} {100 * independent:12.2f} "
        f"{100 * np.sqrt(differ) / n:14.2f} "
        f"{paired_z(wrong[a], wrong[b]):12.1f}"
    )
    assert SHORT or np.sqrt(differ) / n < independent

# %% [markdown]
# Counted in pairs the error is smaller, since the two networks share most of their errors: a
# difference that "√2 times" would call chance may be real. In the paper 5.51 and 5.73 differ by
# 22 images of 10,000. For a z of 2 the two networks must not disagree on more than 121 images;
# two networks that are trained separately disagree on far more than that. So the virtual network,
# the untrained one and the local classifier cannot be told apart by single runs; only the
# convolutional synthesizers stand apart. And all of this counts the *images* only. Another seed
# gives another network, and that spread comes on top: docs/results has tables with several seeds.

# %% [markdown]
# ## On your own
#
# **1.** Let the lower half of the CIFAR network learn from a classifier of its own:
# `synthesizer=lambda *shape: td.variants.LocalHead(virtual(shape, rng), 10)`,
# `synthesizer_lr=lambda: td.Adam(3e-3)`. Where does it end, and what follows for `vfbn`?
#
# <details><summary>Hint</summary>
#
# Level with `vfbn`, within the error of the count. The same small network, trained on the labels
# instead of on the messages, does the job here, with a lower cosine. So on this task nobody has
# shown that the *messages* are what matters. A cut that is further down, or more than one, would
# make the task harder for it.
# </details>
#
# **2.** How many images must two networks with 5.51 and 5.15 % errors disagree on, of 10,000, so
# that z is below 2?
#
# <details><summary>Hint</summary>
#
# b - c = 36, and 36 / √(b + c) < 2 for b + c above 324. The two misread 551 and 515 images. So z
# is below 2 if they share fewer than (551 + 515 - 324) / 2 = 371 of them.
# </details>
#
# **3.** Train `backprop` twice, with `halves(0)` and `halves(1)`. On how many test images do the
# two disagree?
#
# <details><summary>Hint</summary>
#
# Compare with the numbers of the table. Two seeds of one method disagree about as much as two
# methods do.
# </details>

# %% [markdown]
# ## In practice
#
# - Say how many images a difference rests on, and count in pairs where two networks saw the same
#   ones.
# - `tinydni train cifar10` trains 20 layers on whole images, with crops and mirrored images;
#   with the options `--method` and `--cuts`.
#
# ## Further reading
#
# - K. He, X. Zhang, S. Ren and J. Sun, *Deep Residual Learning for Image Recognition*, 2016;
#   and *Identity Mappings in Deep Residual Networks*, 2016.
# - Q. McNemar, *Note on the sampling error of the difference between correlated proportions or
#   percentages*, 1947.
# - T. Miyato, D. Okanohara, S. Maeda and M. Koyama, *Synthetic Gradient Methods with Virtual
#   Forward-Backward Networks*, 2017.
#
# Next: **12. Compare two clouds.**
