# %% [markdown]
# # 11. Cut a residual network
#
# **What you'll do.** Cut residual blocks in the middle, and find out which arrays have to cross
# the cut. Then cut a residual network for CIFAR-10 in two, and let the lower part learn from
# guesses.
#
# **What you'll learn.** What crosses a cut inside a block. How good guesses are between the two
# halves of a residual network, compared with controls. Which differences between test errors mean
# anything.
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
# Where can an interface be? Between two blocks it is easy: one array crosses, the h after the
# addition. The message of `td.Residual.backward` has both parts of the gradient. *Inside* a
# block, in the middle of the branch, two arrays have to cross: u, the output of the first half of
# the branch, and s, the shortcut. The library lays them side by side, as one array [u, s]:
#
# | | forward |
# | --- | --- |
# | `OpenShortcut(f)` | `u, s = f(x), x` |
# | `CloseShortcut(g)` | `y = s + g(u)` |
#
# Together they are the block. One synthesizer guesses both gradients, and learns from one
# message.
#
# **Now you.** The upper half computes y = s + g(u). Its layers have already made du from dy.
# Write the message, the gradient of [u, s].
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
# The lower half adds both parts again, `dx = df(du) + ds`. The numbers are the same with and
# without the cut:

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
# Here is the mistake of notebook 10 again: "the synthesizer comes after a layer of the branch, so
# its target is the gradient through the branch." Then ds is missing in the message. The next cell
# builds a network of eight residual blocks, each cut inside. It compares the gradients at the
# cuts, with and without ds, under backpropagation:

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
# At the top cut the larger part of the gradient is missing. At every cut further down, the larger
# part of the rest is lost again. Now decouple the network. At every cut a virtual network
# (notebook 6) learns from the messages: once from right ones, and once from those without ds
# (`forgetful`). We compare with backpropagation, and with the control in which only the last
# block learns:

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
# With right messages the guesses train all parts, a little worse than backpropagation. Without ds
# the result is worse than without any training of these blocks: they learn from guesses of
# something that is not the gradient. Here both halves are layers, so `check_layer` would find the
# mistake. Other programs often pass the shortcut on outside of the interface, and then no single
# `backward` is wrong. So test the parts *together*, and compare with the block that is not cut,
# as we did above.

# %% [markdown]
# ## For images
#
# The residual network for small images has blocks `ReLU(x + f(x))`. The branch f is: convolution,
# `BatchNorm`, `ReLU`, convolution, `BatchNorm`. There are three stages. At the start of the
# second and the third stage the image gets half as large, and the number of channels doubles.
# There x and f(x) have different shapes. So the shortcut takes every second pixel and adds
# channels of zeros. Its gradient goes back in the same way:

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
# CIFAR-10 has 50,000 colour photographs of ten kinds of things, 32 by 32 pixels. Full training
# takes hours. To make it minutes, we use images of 16 by 16 (each pixel is the mean of four) and
# 12,800 of them. We take the smallest network of this kind, with 8, 16 and 32 channels: eight
# layers of weights. We test on 5,000 other images from the training files, and do not use the
# official test images.

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
# There is one cut only, in the middle, between two blocks, as in Miyato and others (their network
# has 110 layers). An image of 16 channels crosses it. We guess its gradient in two ways. `cdni`
# is one convolution on [h, label maps], as in notebook 9. `vfbn` is a small virtual network: a
# convolution, the mean over the image, and a linear layer. The controls are a lower part that
# keeps its random weights (`none`), and one that learns from the label alone.
#
# The blocks learn by momentum (notebook 4) with weight decay, as is usual for residual networks.
# The learning rate rises in the first tenth of the steps, the **warm-up**. Then it falls like
# half a **cosine**, $(1 + \cos(\pi\, \text{share of the steps})) / 2$. So the steps are small at
# the start, large in the middle, and small at the end.
#
# We chose the rates from two or three for each method, on training images held out for this. Two
# remarks on them. *First*, the gradient of one image is spread over a thousand very small
# numbers. Adam's steps have the same size for small and large gradients. So a convolution that
# learns with the usual 10⁻³ goes much too far, and here it ends in NaN. It needs 10⁻⁵. (In
# notebook 9 a large rate was good, because there the blocks learnt by Adam, too, and then the
# length of a guess is not important.) *Second*, a guess by least squares is always too short: if
# its direction has cosine c with the truth, its length is c times the true length. Try it:

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
# (The error of the best guess g is perpendicular to g. So ⟨g, t⟩ = ⟨g, g⟩ for the truth t; divide
# by |g| |t|.) Therefore we use `Scaled(synthesizer, 2)`: it learns as before, but the block gets
# twice the guess.

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
    title="Guess and truth, at the cut",
    xlabel="epoch",
    ylabel="cosine",
)

# %% [markdown]
# - **Guesses train the lower half.** Both methods are clearly better than the random lower half,
#   and better than the label alone. They are only a few points worse than backpropagation,
#   although the lower half has never used a gradient from above for an update.
# - **A good cosine does not prove a good result** (notebook 5). The label alone has a better
#   cosine than the convolution, and makes a clearly worse network.
# - **Look at the control first**, again: with a random lower half, six of ten images are wrong.
#   By chance it would be nine.
# - **It is a small experiment**, with 800 steps, small images and one seed. He and others reach
#   8.75 % with 20 layers, whole images and 64,000 steps. And a lower half with its own classifier
#   is just as good (exercise 1).
#
# What do the papers say? Miyato and others used 110 layers and trained for a long time. They
# report 5.15 % for backpropagation and 5.51 % for their virtual network. A virtual network that
# is never trained has 5.73, and a local classifier 5.71. A control in which the lower half learns
# by its own backpropagation has 5.76. The convolutional synthesizers of Jaderberg and others have
# 15.6 to 20.5. Which of these differences mean anything?
#
# **Now you.** A network misreads a share p of n images. With other test images the share would be
# a little different. Write its standard error: the standard deviation of p over many test sets.
#
# <details><summary>Hint</summary>
#
# Each image is wrong (1) or right (0). The variance of such a number is p (1 - p).
# </details>
#
# <details><summary>A second hint</summary>
#
# The mean of n numbers has 1/n of the variance. Take the root.
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
# And the *difference* of two networks? If their errors were independent, its standard error would
# be √2 times as large. But both see the same images, and many images are hard for both. So count
# in pairs: the first network alone misreads b images, the second alone c. Suppose that both
# networks are equally good. Then each of these b + c images belongs to b or c by chance, and b -
# c has a standard deviation of √(b + c). The number $z = (b - c) / \sqrt{b + c}$ is above 2 or
# below -2 in one of 20 cases by chance alone. This is **McNemar's test** (1947).
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
# Counted in pairs the standard error is smaller, since the two networks share most of their
# errors. So a difference that looks like chance with "√2 times" may be real. In the paper 5.51
# and 5.73 differ by 22 images of 10,000. For a z of 2 the two networks may disagree on at most
# 121 images. Two networks that are trained separately disagree on many more. So single runs
# cannot show a difference between the virtual network, the untrained one and the local
# classifier. Only the convolutional synthesizers are clearly different. And all this concerns the
# choice of the *images* only. Another seed gives another network, which makes the error larger
# still: docs/results has tables with several seeds.

# %% [markdown]
# ## On your own
#
# **1.** Let the lower half of the CIFAR network learn from its own classifier:
# `synthesizer=lambda *shape: td.variants.LocalHead(virtual(shape, rng), 10)`,
# `synthesizer_lr=lambda: td.Adam(3e-3)`. How good does it get, and what does that say about
# `vfbn`?
#
# <details><summary>Hint</summary>
#
# It is as good as `vfbn`, within the standard error. Here the same small network, trained on the
# labels instead of on the messages, is good enough, with a lower cosine. So on this task nobody
# has shown that the *messages* are important. With a cut further down, or with several cuts, the
# local classifier would have a harder task.
# </details>
#
# **2.** Two networks have errors of 5.51 and 5.15 %, on 10,000 images. On how many images must
# they disagree, so that z is below 2?
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
# - Say how many images a difference is based on. If two networks saw the same images, count in
#   pairs.
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
