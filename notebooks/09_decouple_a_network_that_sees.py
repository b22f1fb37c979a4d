# %% [markdown]
# # 9. Decouple a network that sees
#
# **What you'll do.** Train a convolutional network on MNIST whose layers guess their gradients.
# Compare it with random filters that never learn. Measure why a convolution is a poor guesser of
# gradients.
#
# **What you'll learn.** What a synthesizer for images looks like. Which control you need if
# random filters already recognise a lot. What a convolution is good for.
#
# **What you need.** Notebooks 1 to 6 and 8. Three minutes. MNIST is downloaded once, about 11 MB.

# %%
from dataclasses import replace

import course
import numpy as np

import tinydni as td
from tinydni.lab.gradient_quality import measure_gradients

SHORT = course.begin()

data, MNIST = course.mnist(SHORT, images=True)

# %% [markdown]
# ## A network that sees, decoupled
#
# We take the paper's network for digits. It has three hidden layers. Each is a convolution with
# kernels of 5 by 5, `BatchNorm`, `ReLU` and a pooling that halves the image. Then follows a
# `Linear`. The paper has 64 maps and trains for 500,000 steps. We have 8 maps, 12,800 training
# images and 600 steps, so that it takes only minutes.

# %%
epochs, n_train, n_test = (
    (1, 640, 200) if SHORT else (3, 12_800, 5_000) if MNIST else (20, 1_437, 360)
)
data = replace(
    data,
    x=data.x[:n_train],
    y=data.y[:n_train],
    x_test=data.x_test[:n_test],
    y_test=data.y_test[:n_test],
)
image_shape = data.x.shape[1:]

def blocks(seed=0):
    return td.cnn(
        image_shape,
        10,
        n_layers=4,
        rng=td.stream(seed, "weights"),
        channels=8,
        kernel=5,
    )

shape = image_shape
for block in blocks():
    shape = block.output_shape(shape)
    names = ", ".join(type(layer).__name__ for layer in block.layers)
    print(f"{names:32s} {block.n_parameters():6,} parameters, out {shape}")

# %% [markdown]
# Now the h at an interface is an image, and a synthesizer has to guess an image of gradients. The
# simplest guesser for images is a convolution. It gets the label as *maps*: ten additional
# channels, of which one is 1 everywhere and the others are 0. The linear form of
# `conv_synthesizer` is one convolution of `[h, label maps]`.
#
# **Now you.** Lay h (N, H, W, C) and the maps of the one-hot labels (N, K) side by side: (N, H,
# W, C + K).
#
# <details><summary>Hint</summary>
#
# `labels[:, None, None]` has the shape (N, 1, 1, K). Added to zeros of shape (N, H, W, K) it
# becomes maps.
# </details>
#
# <details><summary>A second hint</summary>
#
# `np.concatenate([h, maps], axis=-1)`
# </details>

# %%
def with_label_maps(h, labels):
    ### BEGIN SOLUTION
    maps = np.zeros((*h.shape[:3], labels.shape[1]), h.dtype) + labels[:, None, None]
    return np.concatenate([h, maps], axis=-1)
    ### END SOLUTION

course.check("9.1", with_label_maps)

# %% [markdown]
# **Now you.** How many parameters does such a convolution have? Its input is h with the label
# maps, its output the gradient of h. The kernels have k by k pixels, and each channel has a bias.
#
# <details><summary>Hint</summary>
#
# n_h + n_classes channels go in, n_h channels come out.
# </details>
#
# <details><summary>A second hint</summary>
#
# Every channel that comes out has a kernel of k · k · (channels that go in) weights, and a bias.
# </details>

# %%
def n_parameters(k, n_h, n_classes):
    ### BEGIN SOLUTION
    return k * k * (n_h + n_classes) * n_h + n_h
    ### END SOLUTION

course.check("9.2", n_parameters)

# %% [markdown]
# The methods are those of notebooks 5 and 6. `cdni` guesses with that convolution. `vfbn` has a
# virtual network: a linear classifier on the whole image. `label-only` sees only the label, and
# in `none` only the last layer learns. We chose all learning rates on the last 10,000 training
# images, for each method, with a separate one for the top block. `none` is best with 0.3, a
# hundred times the usual rate. This is important: with 0.003 it misreads 16 %, and then every
# other method looks very good in comparison.

# %%
def linear_on(shape):
    """A linear virtual network for images: every pixel of every channel has its own
    weights.
    """
    n_in = int(np.prod(shape))
    return td.Sequential(
        td.Flatten(), td.Linear(n_in, 10, td.stream(0, "synthesizer"), std=n_in**-0.5)
    )

def adam(lr, eps=1e-8):
    return lambda: td.Adam(lr, eps=eps)

def recipe(method, seed=0):
    rng = td.stream(seed, "synthesizer")
    return {
        "backprop": dict(algorithm=td.backprop, lr=adam(1e-2)),
        "cdni": dict(
            synthesizer=lambda *shape: td.variants.conv_synthesizer(
                shape[-1], rng, n_context=10
            ),
            lr=adam(5e-3),
            top_lr=adam(1e-2),
            synthesizer_lr=adam(3e-3),
        ),
        "vfbn": dict(
            synthesizer=lambda *shape: td.variants.VirtualNetwork(
                linear_on(shape), 10, step=1e-3
            ),
            lr=adam(5e-3),
            top_lr=adam(1e-2),
            synthesizer_lr=adam(3e-2),
        ),
        "label-only": dict(
            synthesizer=lambda *shape: td.variants.Flattened(
                td.LinearSynthesizer(int(np.prod(shape)), n_context=10, reads_h=False)
            ),
            lr=adam(1e-3),
            top_lr=adam(3e-2),
            synthesizer_lr=adam(1e-3),
        ),
        "none": dict(algorithm=td.no_backprop, lr=adam(3e-1)),
    }[method]

def train(method, seed=0):
    """Trains the network with one of the recipes. Returns it and its history."""
    net = td.build(
        blocks(seed),
        td.SoftmaxCrossEntropy(),
        input_shape=image_shape,
        **recipe(method, seed),
    )
    guesses = method not in ("backprop", "none")
    training = td.Training(net, data, epochs, batch_size=64, seed=seed,
                           schedule=td.LinearDecay(epochs * (n_train // 64)),
                           context=data.context() if guesses else None)
    if guesses:
        measure_gradients(training)
    return net, training.run([course.watch(method)])

METHODS = ("backprop", "vfbn", "cdni", "label-only", "none")
nets, histories = {}, {}
for method in METHODS:
    nets[method], histories[method] = train(method)
    print(
        f"{method:10s} {histories[method]['test_error'][-1]:5.2f} % of the test images "
        f"misread"
    )

# %% [markdown]
# Is a `conv_synthesizer` really just one convolution? Compare the lowest of the trained ones with
# the convolution of notebook 8:

# %%
def forward_offsets(x, W):
    (N, height, width, C), (k, k, C, M) = x.shape, W.shape
    P, Q = height - k + 1, width - k + 1
    y = np.zeros((N, P, Q, M), x.dtype)
    for i, j in np.ndindex(k, k):
        y += x[:, i:i + P, j:j + Q] @ W[i, j]
    return y

synthesizer = nets["cdni"].synthesizers()[0]
h, labels = nets["cdni"].modules[0].forward(data.x[:20]), data.context()[:20]
convolution = synthesizer.net.layers[-1]
frame = np.pad(with_label_maps(h, labels), ((0, 0), (2, 2), (2, 2), (0, 0)))
np.testing.assert_allclose(
    synthesizer.forward(h, labels),
    forward_offsets(frame, convolution.W) + convolution.b,
    atol=1e-5,
)
print(
    f"the lowest synthesizer is one convolution from {frame.shape[-1]} channels to "
    f"{convolution.n_out}, "
    f"with {synthesizer.n_parameters():,} parameters"
)
assert synthesizer.n_parameters() == n_parameters(5, h.shape[-1], 10)

# %%
def last(method):
    return histories[method]["test_error"][-1]

assert (
    not MNIST
    or last("backprop") < last("vfbn") < last("none")
    and last("backprop") < last("cdni") < last("none") + 1
)
td.plots.learning_curve(
    {
        method: (histories[method]["epoch"], histories[method]["test_error"])
        for method in METHODS
    },
    title=f"{data.name}, 4 layers, {n_train:,} images",
    xlabel="epoch",
    ylabel="test error [%]",
)

# %% [markdown]
# Look at the control first:
#
# - **Random filters recognise a lot.** (A *filter* is a kernel.) In `none`, 8 random kernels per
#   layer and one trained output read more than nine digits of ten. The paper has 64 maps, four
#   layers and 500,000 steps. There this control misreads 2.8 %, and backpropagation 0.6 %; with
#   three layers it is 0.9 and 0.8 %. So convolution alone does a large part of the work. Every
#   other method has to be better than this control. That is harder here than in notebook 5.
# - **The virtual network** is halfway between the control and backpropagation, after 600 steps.
# - **A convolution as a guesser** ends a little better than the control, and is much worse in the
#   first epoch. The three synthesizers have to learn one after the other, from the top down
#   (notebook 5), and 600 steps are few for that.
# - **The label alone** is no better than nothing.
#
# One seed and 5,000 images: differences of less than half a point say nothing.

# %%
td.plots.gradient_quality(
    {method: histories[method] for method in ("vfbn", "cdni", "label-only")},
    title=f"{data.name}, 4 layers: guess and truth",
)

# %% [markdown]
# Right below the top block the virtual network can give the truth (notebook 6), and it finds it:
# cosine 1. Further down its direction is still fairly good, while the convolution loses the
# direction. You can see one reason at the top interface. There the gradient at a pixel depends on
# *where* the pixel is, since the top block has different weights for every place. But a
# convolution uses the same rule at every place. How much worse is its guess because of that? Take
# the simplest guess, the mean of δ over all images of a class. Take it once for each place, and
# once for all places together.
#
# **Now you.** Write the mean for each class and place: from delta (N, P, Q, C) and labels y (N,),
# to (K, P, Q, C).
#
# <details><summary>Hint</summary>
#
# `delta[y == k]` are the gradients of the images of class k.
# </details>
#
# <details><summary>A second hint</summary>
#
# `.mean(axis=0)` of each, and `np.stack` for all classes.
# </details>

# %%
def class_means(delta, y):
    ### BEGIN SOLUTION
    return np.stack([delta[y == k].mean(axis=0) for k in range(y.max() + 1)])
    ### END SOLUTION

course.check("9.3", class_means)

net, x, y = nets["cdni"].eval(), data.x[:2000], data.y[:2000]
*below, top = net.modules
for module in below:
    x = module.forward(x)
loss = td.SoftmaxCrossEntropy()
loss.forward(top.forward(x), y)
delta = top.backward(loss.backward()) * len(x)

mean = class_means(delta, y)  # (10, P, Q, C)
guesses = {
    "a mean for each place": mean,
    "one for all places": mean.mean(axis=(1, 2), keepdims=True),
}
explained = {
    name: 1 - np.sum((delta - guess[y]) ** 2) / np.sum(delta**2)
    for name, guess in guesses.items()
}
for name, share in explained.items():
    print(f"share of δ that is explained by {name}: {share:.2f}")
assert (
    not MNIST
    or explained["one for all places"] < 0.5 * explained["a mean for each place"]
)

# %% [markdown]
# The label says a lot about δ, but nearly all of it is different at each place. Using the same
# weights at every place is good for images, but bad for guessing their gradients.
#
# ## What is the convolution good for?
#
# Train a network without convolutions (*fully connected*) on the same images. Then move the test
# images a little, and show them to both networks. Neither has seen moved digits in training.

# %%
rows = replace(
    data, x=data.x.reshape(n_train, -1), x_test=data.x_test.reshape(n_test, -1)
)
flat = td.build(
    td.mlp([rows.n_in, 256, 10], td.stream(0, "weights")),
    td.SoftmaxCrossEntropy(),
    adam(2e-3),
    algorithm=td.backprop,
)
td.Training(
    flat,
    rows,
    epochs,
    batch_size=64,
    seed=0,
    schedule=td.LinearDecay(epochs * (n_train // 64)),
).run([course.watch("fully connected")])

def errors_when_moved(net, pixels):
    """Test error after moving the first 1,000 images to the right by each number of
    pixels [%].
    """
    found = []
    for n in pixels:
        moved = np.roll(data.x_test[:1000], n, axis=2)
        moved[:, :, :n] = data.x.min()  # background comes in from the left
        x = moved if net is not flat else moved.reshape(len(moved), -1)
        found.append(100 * (net.predict(x).argmax(axis=1) != data.y_test[:1000]).mean())
    return found

pixels = range(4) if MNIST else range(3)
curves = {
    "fully connected": flat,
    "convolutional, backprop": nets["backprop"],
    "convolutional, random filters": nets["none"],
}
curves = {
    name: (np.array(pixels), errors_when_moved(net, pixels))
    for name, net in curves.items()
}
assert (
    not MNIST
    or curves["convolutional, backprop"][1][3] < curves["fully connected"][1][3]
)
td.plots.learning_curve(
    curves, title="Digits, moved to the right", xlabel="pixels", ylabel="test error [%]"
)

# %% [markdown]
# You would hardly notice three pixels, but the fully connected network then misreads every second
# digit. The convolutional network gets only a little worse. Even random filters do better on
# moved digits, although on unmoved ones they are not better. The convolutional network still gets
# a little worse, for two reasons. Its last layer has separate weights for every place. And the
# zeros around the image show where the edge is.

# %% [markdown]
# ## On your own
#
# **1.** Remove the label: `conv_synthesizer(shape[-1], rng)`, without context, with
# `lr=adam(1e-3, eps=3e-3)`, `top_lr=adam(3e-2)`, `synthesizer_lr=adam(1e-3)`. Where does it end,
# and why there?
#
# <details><summary>Hint</summary>
#
# It has about 1.5 times as many errors as `none`! The guess from h alone becomes very small
# (notebook 5). What is left changes the filters at random, and the top block has to follow.
# Random filters that do not change are better than random filters that do.
# </details>
#
# **2.** `cdni` shares its guess between all places. Let each place have its own weights instead:
# `td.variants.Flattened(td.LinearSynthesizer(int(np.prod(shape)), n_context=10))`. How many
# weights does the lowest interface have now? Why is that a bad idea?
#
# <details><summary>Hint</summary>
#
# There h has 14 · 14 · 8 = 1,568 numbers. Each gradient is guessed from all of them and ten
# labels: 1,568 · 1,578 + 1,568 weights. That is nearly two and a half million numbers to learn in
# 600 steps. The virtual network has 15,690, and the right form.
# </details>
#
# **3.** Move the images up instead of to the right. Then turn them by 90 degrees (`np.rot90(x,
# axes=(1, 2))`). How well does the convolutional network read both?
#
# <details><summary>Hint</summary>
#
# Moved up is like moved to the right. But it cannot read turned digits: a convolution treats
# shifted images alike, not turned ones.
# </details>

# %% [markdown]
# ## In practice
#
# - `tinydni train mnist --model cnn --method vfbn` trains the network with 64 maps on all images.
# - A convolution before a `BatchNorm` needs no bias (`bias=False`): the mean is subtracted anyway.
#
# ## Further reading
#
# - K. Jarrett and others, *What is the Best Multi-Stage Architecture for Object Recognition?*,
#   2009: how good random filters are.
# - M. Jaderberg and others, *Decoupled Neural Interfaces using Synthetic Gradients*, 2016, table
#   1 and the appendix on convolutional synthesizers.
#
# Next: **10. Go deeper: residual networks.**
