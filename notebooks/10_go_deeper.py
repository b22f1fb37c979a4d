# %% [markdown]
# # 10. Go deeper: residual networks
#
# **What you'll do.** Stack 24 layers and see how the gradient gets smaller and smaller on its way
# down. Repair that with one plus sign. Split the network into 16 million paths. Then leave out a
# part of the gradient on purpose, and measure how much worse the network gets.
#
# **What you'll learn.** Why networks of blocks y = x + f(x) can be deep. By which paths a
# gradient reaches the bottom. How a loss can get smaller although the gradient is wrong.
#
# **What you need.** Notebooks 1 to 5. One minute. MNIST is downloaded once, 11 MB.

# %%
import inspect
import math
from dataclasses import replace

import course
import numpy as np

import tinydni as td

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
# ## One plus sign
#
# A block of an ordinary network computes something new from its input, y = f(x). A **residual
# block** *adds* something to its input. The path of x itself is called the **shortcut**; f is the
# **branch**:
#
# | | forward |
# | --- | --- |
# | plain | `y = f(x)` |
# | residual | `y = x + f(x)` |
#
# x is used twice, so the chain rule adds up two ways. The way over the shortcut has the
# derivative 1.
#
# **Now you.** Write the class: `forward` and `backward`. `branch` is a layer with the same two
# methods.
#
# <details><summary>Hint</summary>
#
# `self.branch.backward(dy)` is the gradient through the branch.
# </details>
#
# <details><summary>A second hint</summary>
#
# Through the shortcut it is dy itself. Add the two.
# </details>

# %%
class Residual:
    """y = x + f(x)."""

    parameters = ()

    def __init__(self, branch):
        self.branch = branch

    def forward(self, x):
        ### BEGIN SOLUTION
        return x + self.branch.forward(x)
        ### END SOLUTION

    def backward(self, dy):
        ### BEGIN SOLUTION
        return dy + self.branch.backward(dy)
        ### END SOLUTION

course.check("10.1", Residual)

def branch(width, size, rng, dtype=np.float32):
    """tanh(x W + b) with weights of standard deviation size / sqrt(width)."""
    return td.Sequential(
        td.Linear(width, width, rng, std=size / np.sqrt(width), dtype=dtype), td.Tanh()
    )

f = branch(5, 1.0, np.random.default_rng(0), np.float64)
report = td.gradcheck.check_layer(Residual(f), (6, 5))
print(report)
assert report.ok

x, dy = np.random.default_rng(1).standard_normal((2, 6, 5))
theirs = td.Residual(f)
np.testing.assert_array_equal(Residual(f).forward(x), theirs.forward(x))
np.testing.assert_array_equal(Residual(f).backward(dy), theirs.backward(dy))
print(inspect.getsource(td.Residual.backward))

# %% [markdown]
# (The checker has found the layers inside the branch. The library's `Residual` can also have a
# layer in the shortcut, for blocks that change the shape. Notebook 11 uses one.)
#
# ## What arrives at the bottom
#
# We take a first layer, 24 blocks of width 32, and a last layer. How long is the gradient below
# each block? We try weights of standard deviation 1 / √32, which is about right for tanh, and
# half of that:

# %%
WIDTH, DEPTH = 32, 24

def deep_blocks(kind, size, seed=0):
    """A first layer, DEPTH blocks, a last layer."""
    rng = td.stream(seed, "weights")
    return [
        td.Sequential(td.Linear(digits.n_in, WIDTH, rng), td.Tanh()),
        *(kind(branch(WIDTH, size, rng)) for _ in range(DEPTH)),
        td.Linear(WIDTH, 10, rng),
    ]

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

lengths = {
    f"{name}, {size:g} / √32": [
        np.linalg.norm(dh) for dh in gradients(network(deep_blocks(kind, size)))
    ]
    for name, kind in (("plain", td.Sequential), ("residual", td.Residual))
    for size in (1.0, 0.5)
}
for name, length in lengths.items():
    print(
        f"{name:20s} below the last layer {length[-1]:.0e}, below the lowest block "
        f"{length[0]:.0e}"
    )
assert lengths["plain, 0.5 / √32"][0] < 1e-5 * lengths["plain, 0.5 / √32"][-1]
assert 0.5 < lengths["residual, 0.5 / √32"][0] / lengths["residual, 0.5 / √32"][-1] < 50

td.plots.learning_curve(
    {name: (np.arange(DEPTH + 1), length) for name, length in lengths.items()},
    title="The gradient on its way down",
    xlabel="block that it has come to: 24 is the top, 0 the bottom",
    ylabel="length of the gradient",
)

# %% [markdown]
# In the plain network every block multiplies the gradient by a factor. If this is about ½, less
# than 10⁻⁷ of the gradient is left below 24 blocks. With weights of just the right size the
# gradient stays large enough, but training changes the weights. In the residual network the
# gradient arrives with both sizes, and has even grown.
#
# ## Sixteen million paths
#
# Why? Write $A_l$ for the backward pass of branch l. It maps the gradient above the branch to the
# gradient below it. For a given x this is a linear map. A plain network sends the gradient
# through all of them, one after the other. A residual network does this:
#
# $$dh_0 = (1 + A_1)(1 + A_2) \cdots (1 + A_{24})\; dh_{24}$$
#
# Multiply out. At every block a path goes either over the shortcut or through the branch. That
# makes 2²⁴ paths, and the gradient at the bottom is the sum over all of them:
#
# $$dh_0 = dh_{24} + \sum_l A_l\, dh_{24} + \sum_{l < m} A_l A_m\, dh_{24} + \dots$$
#
# The first term is the unchanged gradient at the top: it goes past all branches. We sort the
# 16,777,216 paths by the number k of branches that they go through. For that we need not compute
# each path. We keep one sum for each k. At a block every sum has two parts: what goes past the
# branch (same k), and what goes through it (k + 1).
#
# **Now you.** `past[k]` is the sum over the paths of k branches above this block. `through[k]` is
# the same sum after it went through the branch of this block. Write the list of the new sums, for
# k = 0, 1, ... (leave out the last k of `through`).
#
# <details><summary>Hint</summary>
#
# A path of k branches has either gone past this branch, with k already, or through it, with k - 1
# before.
# </details>
#
# <details><summary>A second hint</summary>
#
# For k = 0 there is only `past[0]`. For the others `past[k] + through[k - 1]`.
# </details>

# %%
def sums_below(past, through):
    ### BEGIN SOLUTION
    return [past[0]] + [past[k] + through[k - 1] for k in range(1, len(past))]
    ### END SOLUTION

course.check("10.2", sums_below)

# %% [markdown]
# **Now you.** How many paths go through exactly k of the branches, in a network of this depth?
#
# <details><summary>Hint</summary>
#
# A path is a choice of k branches. The order does not matter.
# </details>
#
# <details><summary>A second hint</summary>
#
# It is a binomial coefficient: `math.comb`.
# </details>

# %%
def number_of_paths(depth, k):
    ### BEGIN SOLUTION
    return math.comb(depth, k)
    ### END SOLUTION

course.check("10.3", number_of_paths)

# %%
net = network(deep_blocks(td.Residual, 0.5))
truth = gradients(net)
by_length = [truth[-1]] + [
    np.zeros_like(truth[-1]) for _ in range(DEPTH)
]  # sums over paths of k = 0, 1, ... branches
for module in net.modules[-2:0:-1]:  # from the top block down
    through = [module.block.branch.backward(dh) for dh in by_length]
    by_length = sums_below(by_length, through)

np.testing.assert_array_equal(by_length[0], truth[-1])  # the path past everything
np.testing.assert_allclose(
    sum(by_length), truth[0], rtol=1e-3, atol=1e-6
)  # all paths together are the gradient

n_paths = np.array([number_of_paths(DEPTH, k) for k in range(DEPTH + 1)])
assert n_paths.sum() == 2**DEPTH
for k in (0, 1, 2, 4, 8, 12, 24):
    print(
        f"{n_paths[k]:11,.0f} paths through {k:2d} branches, length of their sum "
        f"{np.linalg.norm(by_length[k]):.4f}"
    )

td.plots.learning_curve(
    {
        "length of the sum": (
            np.arange(DEPTH + 1),
            [np.linalg.norm(part) for part in by_length],
        )
    },
    title="The gradient at the bottom, path by path",
    xlabel="branches that a path goes through",
    ylabel="length of the gradient",
)

# %% [markdown]
# Nearly all of the gradient comes by short paths, through one to six branches out of 24. There
# are many more long paths, but each branch on the way makes the gradient shorter. A residual
# network behaves like very many shallow networks together, and it learns like them.
#
# ## Training it; and a mistake
#
# Now we lose the shortcut's gradient: we just forget `dy +`. The forward pass is that of the
# residual network, the backward pass that of the plain one:

# %%
class Forgetful(td.Residual):
    """Adds the shortcut, and forgets it on the way back."""

    def backward(self, dy):
        return self.branch.backward(dy)

report = td.gradcheck.check_layer(
    Forgetful(branch(5, 1.0, np.random.default_rng(0), np.float64)), (6, 5)
)
print(report)
assert not report.ok

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
    return training.run([course.watch("training")])

histories = {
    name: train(network(deep_blocks(kind, 0.5)), digits)
    for name, kind in (
        ("residual", td.Residual),
        ("forgetful", Forgetful),
        ("plain", td.Sequential),
    )
}
histories["one Linear layer"] = train(
    network([td.Linear(digits.n_in, 10, td.stream(0, "weights"))]), digits
)

last = {name: history["test_error"][-1] for name, history in histories.items()}
for name, error in last.items():
    print(f"{name:16s} {error:5.1f} % of the test images misread")
assert (
    not MNIST
    or last["residual"] < last["one Linear layer"] < last["forgetful"] < last["plain"]
)

td.plots.learning_curve(
    {
        name: (history["epoch"], history["test_error"])
        for name, history in histories.items()
    },
    title=f"{digits.name}, {DEPTH + 2} layers",
    xlabel="epoch",
    ylabel="test error [%]",
)

# %% [markdown]
# With one forgotten term a network of 26 layers is much worse than a single `Linear`. And there
# is no error message, and the loss goes down. The forgetful network still *has* its shortcuts. So
# its top blocks see the image, through a first layer that never learns, and they learn something
# from it. The plain network learns nothing at all.

# %% [markdown]
# ## On your own
#
# **1.** Train the residual network of 24 blocks again, then remove one block in the middle of it:
# `del net.modules[12]`. What is the test error of what is left?
#
# <details><summary>Hint</summary>
#
# About 10 %; it was 9 with all blocks. Without the lowest block it is 13. Every block only adds
# something, so the blocks above can still use the rest. In a plain network you cannot remove a
# block: the next one gets its whole input from it.
# </details>
#
# **2.** The opposite mistake: `backward` calls `self.branch.backward(dy)`, so that the branch
# learns, but returns only dy. Is that as bad? What does each branch learn from now?
#
# <details><summary>Hint</summary>
#
# It is not as bad: about 10 % instead of 9. The gradient at the top now reaches every block
# unchanged. So each branch learns as if all blocks above it were the identity. With branches as
# small as these that is nearly true. It is still not the gradient of the loss, and `check_layer`
# says so.
# </details>
#
# **3.** Put a `td.BatchNorm(width)` between `Linear` and `Tanh` of each branch. Can the plain
# network be trained now?
#
# <details><summary>Hint</summary>
#
# Yes: its error is about 13 %, while before it learnt nothing. `BatchNorm` brings the size of the
# outputs back to 1 in every block, and so the gradient keeps its size, too. The residual network
# with `BatchNorm` has about 9 %. So the shortcut is good for something else than the gradient,
# too.
# </details>
#
# **4.** How many of the 2²⁴ paths go through at most six branches? How large a part of the
# gradient do the others make?
#
# <details><summary>Hint</summary>
#
# `n_paths[:7].sum()` is 190,051, one path in 88. The others are missing in `sum(by_length[:7])`:
# the length of `truth[0] - sum(by_length[:7])` is about a sixth of that of `truth[0]`.
# </details>

# %% [markdown]
# ## In practice
#
# - In the first paper of He and others a ReLU follows the sum, so it also acts on the shortcut.
#   Where its slope is 0, no gradient passes. In a second paper they moved it into the branch, and
#   trained 1,001 layers.
# - Let each branch start small: the last `BatchNorm` with gamma = 0, or small weights. Then the
#   network starts as the identity, for any depth. Notebook 13 uses that, and there nearly all of
#   the gradient comes over the shortcut.
#
# ## Further reading
#
# - K. He, X. Zhang, S. Ren and J. Sun, *Deep Residual Learning for Image Recognition*, 2016;
#   and *Identity Mappings in Deep Residual Networks*, 2016.
# - A. Veit, M. Wilber and S. Belongie, *Residual Networks Behave Like Ensembles of Relatively
#   Shallow Networks*, 2016: the paths.
#
# Next: **11. Cut a residual network.**
