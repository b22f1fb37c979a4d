# %% [markdown]
# # 8. See images: convolution by hand
#
# **What you'll do.** Write a convolution as four plain loops, with its backward pass in the same
# loops. Make it hundreds of times faster in three steps, and compare each step with the numbers
# of the loops. Then add pooling.
#
# **What you'll learn.** How to write a convolution as matrix products, and where its gradients
# come from. Why the order of the loops decides the speed. How to rewrite code and keep its
# numbers.
#
# **What you need.** Notebooks 1 and 2. One minute. MNIST is downloaded once, about 11 MB.

# %%
import inspect
import time

import course
import numpy as np

import tinydni as td
from tinydni import convolution

SHORT = course.begin()

data, MNIST = course.mnist(SHORT, images=True)

# %% [markdown]
# ## One small window, everywhere
#
# The networks so far took an image as a row of 784 numbers. They do not know which pixels are
# neighbours. If you shuffled the pixels, in the same way in all images, they would learn just as
# well. They also have to learn the same thing again for every place in the image.
#
# A convolution solves both problems. It takes a small window of weights, lays it on the image,
# multiplies, adds up, and moves on by one pixel. Images x have the shape (N, H, W, C). Each pixel
# has C channels: C = 1 for grey, 3 for colours, more inside a network. The **kernel** W has the
# shape (k, k, C, M): M windows of k by k pixels. The result is an image again, with M channels,
# which are also called **maps**:
#
# $$y_{npqm} = \sum_{i=0}^{k-1} \sum_{j=0}^{k-1} \sum_{c} x_{n,\,p+i,\,q+j,\,c}\; W_{ijcm}$$
#
# As a program this is four loops, over all entries of y. What is inside the innermost loop?
#
# **Now you.** Write y[n, p, q] for all maps m. Given are the `window` of the image, shape (k, k,
# C), and the kernels W (k, k, C, M). Return M numbers.
#
# <details><summary>Hint</summary>
#
# For one map: multiply the window with `W[..., m]`, number by number, and add up.
# </details>
#
# <details><summary>A second hint</summary>
#
# `[np.sum(window * W[..., m]) for m in range(W.shape[-1])]`, or `np.tensordot(window, W, axes=3)`.
# </details>

# %%
def one_place(window, W):
    ### BEGIN SOLUTION
    return np.array([np.sum(window * W[..., m]) for m in range(W.shape[-1])])
    ### END SOLUTION

course.check("8.1", one_place)

def forward_loops(x, W):
    (N, height, width, C), (k, k, C, M) = x.shape, W.shape
    y = np.zeros((N, height - k + 1, width - k + 1, M), x.dtype)
    for n in range(N):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                for m in range(M):
                    y[n, p, q, m] = np.sum(x[n, p:p + k, q:q + k] * W[..., m])
    return y

# %% [markdown]
# (In mathematics a convolution first rotates the kernel by half a turn. What everybody uses in
# deep learning is called a *correlation* there.) Before the kernels learn anything, here are
# three that we made by hand:

# %%
kernels = {
    "ink below,\nnone above": np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]]),
    "ink at the right,\nnone at the left": np.array(
        [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]
    ),
    "the mean of the\nwindow: a blur": np.full((3, 3), 1 / 9),
}
digit = (data.x_test[:1] - data.x_test.min()).astype(
    np.float64
)  # zero is paper, the rest is ink
maps = forward_loops(digit, np.stack(list(kernels.values()), axis=-1)[:, :, None])

def show(images, captions, alt):
    """Images (height, width) side by side, each on its own scale: orange below
    zero, white at zero, purple above.
    """
    picture = td.plots.Picture(1.75 * len(images), 2.2, alt)
    for k, (image, caption) in enumerate(zip(images, captions)):
        axes = picture.add_axes(
            ((k + 0.05) / len(images), 0.03, 0.9 / len(images), 0.72)
        )
        largest = np.abs(image).max()
        axes.imshow(image, cmap="PuOr", vmin=-largest, vmax=largest)
        axes.set(xticks=[], yticks=[])
        axes.set_title(caption, fontsize=9)
    return picture

show(
    [digit[0, ..., 0], *np.moveaxis(maps[0], -1, 0)],
    ["a digit", *kernels],
    "A handwritten digit, and beside it three images made from it by kernels of 3 by 3 "
    "pixels. The first is positive along "
    "upper edges of strokes and negative along lower ones, the second does so for left "
    "and right edges, and the third is "
    "the digit, blurred.",
)

# %% [markdown]
# Nine numbers find edges, at every place of the image. If the image is *shifted*, the result is
# shifted, too. This is the main reason to use convolutions, so we test it.

# %%
rng = np.random.default_rng(0)
image, kernel = rng.standard_normal((1, 12, 12, 2)), rng.standard_normal((3, 3, 2, 4))
shifted = np.roll(image, (2, 1), axis=(1, 2))  # two down, one to the right
np.testing.assert_array_equal(
    forward_loops(shifted, kernel)[:, 2:, 1:], forward_loops(image, kernel)[:, :-2, :-1]
)

n_shared, n_dense = 5 * 5 * 1 * 8 + 8, 28 * 28 * (24 * 24 * 8) + 24 * 24 * 8
print(
    f"8 maps of an image of 28 x 28 by kernels of 5 x 5: {n_shared} weights and "
    f"biases. As a Linear layer: {n_dense:,}"
)

# %% [markdown]
# ## Backward, in the same loops
#
# Look at the innermost line. The number y[n, p, q, m] is a sum of products of one window and one
# kernel. So the rule for a product is enough. The kernel gets the gradient at that number times
# the window. The window gets that gradient times the kernel. Every kernel is used at many places,
# and every pixel is in many windows: the chain rule adds up all these ways.
#
# **Now you.** Write the two lines in the loops.
#
# <details><summary>Hint</summary>
#
# The window of this place is `x[n, p:p + k, q:q + k]`, the kernel of this map is `W[..., m]`.
# </details>
#
# <details><summary>A second hint</summary>
#
# Both lines have `+=`, and both have the factor `dy[n, p, q, m]`.
# </details>

# %%
def backward_loops(x, W, dy):
    dx, dW, k = np.zeros_like(x), np.zeros_like(W), len(W)
    for n, p, q, m in np.ndindex(dy.shape):                     # the same four loops
        ### BEGIN SOLUTION
        dW[..., m] += dy[n, p, q, m] * x[n, p:p + k, q:q + k]
        dx[n, p:p + k, q:q + k] += dy[n, p, q, m] * W[..., m]
        ### END SOLUTION
    return dx, dW

course.check("8.2", backward_loops)

class Convolution:
    """A layer from a forward and a backward function, for the checker of notebook 2."""

    parameters = ("W",)

    def __init__(self, forms, W):
        self.forms, self.W = forms, W

    def forward(self, x):
        self.x = x
        return self.forms[0](x, self.W)

    def backward(self, dy):
        dx, self.dW = self.forms[1](self.x, self.W, dy)
        return dx

report = td.gradcheck.check_layer(
    Convolution((forward_loops, backward_loops), rng.standard_normal((3, 3, 2, 4))),
    (2, 5, 6, 2),
)
print(report)
assert report.ok

# %% [markdown]
# The loops are right, so we compare everything that follows with their numbers. We take images of
# a size that occurs inside the network of notebook 9, save y, dx and dW, and measure the time.
# (We measure processor time, because other programs change it only a little.)

# %%
k, C, M = 5, 8, 16
x, W, dy = (
    rng.standard_normal((16, 18, 18, C)),
    rng.standard_normal((k, k, C, M)),
    rng.standard_normal((16, 14, 14, M)),
)

def seconds(forms, x, W, dy, repeats):
    """Processor time of one forward and one backward pass, the best of several."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        forms[0](x, W), forms[1](x, W, dy)
        times.append(time.process_time() - start)
    return min(times)

def rounded(ratio):
    """Two digits at most: clocks do not know more."""
    return f"{float(f'{ratio:.1g}' if ratio >= 20 else f'{ratio:.2g}'):,.3g}"

saved = forward_loops(x, W), *backward_loops(x, W, dy)
FORMS, took = {"four loops": (forward_loops, backward_loops)}, {}
took["four loops"] = seconds(FORMS["four loops"], x, W, dy, repeats=1)

def same_numbers(name, forward, backward):
    """Asserts that a form gives the saved numbers, and says how much faster it does
    so.
    """
    for what, got, expected in zip(
        ("y", "dx", "dW"), (forward(x, W), *backward(x, W, dy)), saved
    ):
        np.testing.assert_allclose(
            got, expected, rtol=1e-9, atol=1e-9, err_msg=f"{name}: {what}"
        )
    FORMS[name] = forward, backward
    took[name] = seconds(FORMS[name], x, W, dy, repeats=20)
    print(
        f"{name}: the same numbers, about {rounded(took['four loops'] / took[name])} "
        f"times as fast as four loops"
    )

# %% [markdown]
# ## Without two of the loops: a matrix product
#
# The loop over m multiplies the same window with every kernel. The loop over n does the same for
# every image. Write a window as a row of k · k · C numbers. Then N windows are a matrix, M
# kernels are a matrix, and both loops are one product. Its gradients are those of notebook 1, `dW
# = h.T @ dz` and `dh = dz @ W.T`, with the windows as h. Two loops are left, over the places:

# %%
def forward_places(x, W):
    (N, height, width, C), (k, k, C, M) = x.shape, W.shape
    y = np.empty((N, height - k + 1, width - k + 1, M), x.dtype)
    for p, q in np.ndindex(y.shape[1:3]):
        windows = x[:, p:p + k, q:q + k]
        y[:, p, q] = windows.reshape(N, -1) @ W.reshape(-1, M)
    return y

def backward_places(x, W, dy):
    dx, dW, (k, k, C, M) = np.zeros_like(x), np.zeros_like(W), W.shape
    for p, q in np.ndindex(dy.shape[1:3]):
        windows = x[:, p:p + k, q:q + k]
        dW += (windows.reshape(len(x), -1).T @ dy[:, p, q]).reshape(W.shape)
        dx[:, p : p + k, q : q + k] += (dy[:, p, q] @ W.reshape(-1, M).T).reshape(
            windows.shape
        )
    return dx, dW

same_numbers("two loops over places", forward_places, backward_places)

# %% [markdown]
# This is about a hundred times faster, and the next steps will add less. Python now does
# something 196 times instead of 50,176 times, and does more each time.
#
# ## No loop: all windows in one matrix
#
# Copy the windows of *all* places into one large matrix: then only one product is left. Most
# courses teach this form; it is called *im2col*. What about the backward pass? If a number is
# copied, its gradient is the sum of the gradients of all copies. Each pixel was copied once for
# every offset (i, j), its place in a window. So `backward` has a loop again, a short one:

# %%
def columns_of(x, k):
    """All windows, copied: (N, P, Q, k · k · C)."""
    windows = np.lib.stride_tricks.sliding_window_view(
        x, (k, k), axis=(1, 2)
    )  # (N, P, Q, C, k, k), not yet a copy
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(*windows.shape[:3], -1)

def forward_columns(x, W):
    return columns_of(x, len(W)) @ W.reshape(-1, W.shape[-1])

def backward_columns(x, W, dy):
    (N, P, Q, M), (k, k, C, M) = dy.shape, W.shape
    rows = dy.reshape(-1, M)
    dW = columns_of(x, k).reshape(len(rows), -1).T @ rows
    dcolumns = (rows @ W.reshape(-1, M).T).reshape(N, P, Q, k, k, C)
    dx = np.zeros_like(x)
    for i, j in np.ndindex(k, k):
        dx[:, i : i + P, j : j + Q] += dcolumns[
            :, :, :, i, j
        ]  # what the copies at offset (i, j) have to say
    return dx, dW.reshape(W.shape)

same_numbers("all windows in one matrix", forward_columns, backward_columns)
print(f"x has {x.size:,} numbers, the matrix of its windows {columns_of(x, k).size:,}")

# %% [markdown]
# This is only a little faster, or not at all! The product itself is fast. But the matrix is
# nearly k² times as large as the image. Writing and reading it takes as long as multiplying it. A
# computer moves numbers more slowly than it multiplies them.
#
# ## The other two loops: offsets
#
# The short loop in `backward`, over the offsets, is a good idea for `forward`, too. Look at the
# formula again, with the sums over i and j *outside*:
#
# $$y = \sum_{i} \sum_{j} \; x^{(ij)}\, W_{ij}, \qquad x^{(ij)} = x[:, i:i+P, j:j+Q]$$
#
# For one offset (i, j), *every* place of y uses the same (C, M) matrix W[i, j]. The pixels that
# belong to it are the image itself, shifted by (i, j). In NumPy this is a *view* of the same
# memory, not a copy. So a convolution is k² matrix products with shifted images. The rule of
# notebook 1 gives two lines for the gradients: `dW[i, j] = x_ij.T @ dy`, summed over images and
# places, and `dx_ij += dy @ W[i, j].T`.
#
# **Now you.** Write the line inside the loop over the offsets.
#
# <details><summary>Hint</summary>
#
# The shifted image is `x[:, i:i + P, j:j + Q]`, of shape (N, P, Q, C).
# </details>
#
# <details><summary>A second hint</summary>
#
# `y += ... @ W[i, j]`: the product with a (C, M) matrix takes the last axis.
# </details>

# %%
def forward_offsets(x, W):
    (N, height, width, C), (k, k, C, M) = x.shape, W.shape
    P, Q = height - k + 1, width - k + 1
    y = np.zeros((N, P, Q, M), x.dtype)
    for i, j in np.ndindex(k, k):
        ### BEGIN SOLUTION
        y += x[:, i:i + P, j:j + Q] @ W[i, j]
        ### END SOLUTION
    return y

course.check("8.3", forward_offsets)

def backward_offsets(x, W, dy):
    dx, dW, (N, P, Q, M) = np.zeros_like(x), np.empty_like(W), dy.shape
    for i, j in np.ndindex(W.shape[:2]):
        dW[i, j] = np.tensordot(x[:, i:i + P, j:j + Q], dy, axes=((0, 1, 2), (0, 1, 2)))
        dx[:, i:i + P, j:j + Q] += dy @ W[i, j].T
    return dx, dW

same_numbers("offsets", forward_offsets, backward_offsets)

# %% [markdown]
# This form is shorter than all before, has no arrays larger than x and y, and is about as fast as
# the others. Remember this one.
#
# ## The form in the library
#
# `td.Conv2D` has two small improvements. It works on a few images at a time, as many as fit into
# the processor's fastest memory. And it makes one product from the k products of a kernel *row*;
# for that it copies the windows of this row only. Here is the loop that is left. `row_blocks`
# returns the images and, for each row i of the kernel, the pixels that belong to it:

# %%
print(inspect.getsource(convolution.correlate))

def forward_library(x, W):
    k = len(W)
    return convolution.correlate(
        np, x, W, 1, (0, 0), (x.shape[1] - k + 1, x.shape[2] - k + 1)
    )  # stride 1, no frame

def backward_library(x, W, dy):
    return convolution.input_gradient(
        np, dy, W, 1, (0, 0), x.shape[1:3]
    ), convolution.kernel_gradient(np, x, dy, W.shape[:2], 1, (0, 0))

same_numbers("library", forward_library, backward_library)

# %% [markdown]
# Which form is best depends on the sizes. So we measure three cases: the one above; a batch of
# 64; and small kernels on large images, as in a residual network (notebook 10). All are float32,
# as in training.

# %%
def narrow(*shape):
    return rng.standard_normal(shape).astype(np.float32)

sizes = {
    "16 images, 14 x 14, kernel 5": (
        narrow(16, 18, 18, 8),
        narrow(5, 5, 8, 16),
        narrow(16, 14, 14, 16),
    ),
    "64 images, 14 x 14, kernel 5": (
        narrow(64, 18, 18, 8),
        narrow(5, 5, 8, 16),
        narrow(64, 14, 14, 16),
    ),
    "64 images, 32 x 32, kernel 3": (
        narrow(64, 34, 34, 16),
        narrow(3, 3, 16, 16),
        narrow(64, 32, 32, 16),
    ),
}
print("time, as a multiple of the library's")
for size, arrays in sizes.items():
    seconds_of = {
        name: seconds(forms, *arrays, repeats=5)
        for name, forms in FORMS.items()
        if name != "four loops"
    }
    print(
        f"{size}:   "
        + ",   ".join(
            f"{name} {value / seconds_of['library']:.1f}"
            for name, value in seconds_of.items()
        )
    )

# %% [markdown]
# Expect 1 to 5 here, and some hundreds for the four loops. Which form is second best depends on
# the sizes and on the computer. With many images the two loops over places are fast, since each
# of their products is large. The matrix of all windows gets slower as it grows.

# %% [markdown]
# ## Two useful facts
#
# **dx is a convolution, too.** Each dy adds to all pixels of its window, times the kernel. So
# each pixel collects the dy around it. That is a convolution of dy, with the kernel rotated by
# half a turn and its two channel axes swapped. Outside of the edges there is no dy, so we put
# zeros around it:

# %%
around = ((0, 0), (k - 1, k - 1), (k - 1, k - 1), (0, 0))
turned = W[::-1, ::-1].transpose(0, 1, 3, 2)
np.testing.assert_allclose(
    forward_offsets(np.pad(dy, around), turned), saved[1], rtol=1e-9, atol=1e-9
)

# %% [markdown]
# **Zeros around the image** keep its size: with (k - 1) / 2 of them on every side y is as large
# as x (`padding="same"`, the library's default). This is called **padding**. The zeros are
# constants, so nobody needs their gradient, and `backward` cuts it off:

# %%
same, edge = td.Conv2D(C, M, rng, kernel=k, bias=False, dtype=np.float64), (k - 1) // 2
frame = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
dy_same = rng.standard_normal((*x.shape[:3], M))
dframe, dW = backward_offsets(frame, same.W, dy_same)

np.testing.assert_allclose(
    same.forward(x), forward_offsets(frame, same.W), rtol=1e-9, atol=1e-9
)
np.testing.assert_allclose(
    same.backward(dy_same), dframe[:, edge:-edge, edge:-edge], rtol=1e-9, atol=1e-9
)
np.testing.assert_allclose(same.dW, dW, rtol=1e-9, atol=1e-9)
print("with a frame of zeros: the same y, dx and dW as td.Conv2D")

# %% [markdown]
# ## Pooling
#
# Often it is enough to know roughly where an edge is. **Pooling** looks at the outputs in small
# windows, here 3 by 3, and keeps one number of each: the largest, or the mean. The windows move
# on by s = 2 pixels instead of one, so the image gets half as large. The number s is called the
# **stride**.
#
# **Now you.** How many windows of size k fit side by side, with stride s, on an image of this
# size with a frame of `padding` zeros on every side?
#
# <details><summary>Hint</summary>
#
# With its frame the image has `size + 2 * padding` pixels. The first window starts at 0; the last
# one must still fit.
# </details>
#
# <details><summary>A second hint</summary>
#
# Count how often the window moves by s pixels, `(... - k) // s`, and add the first window.
# </details>

# %%
def n_windows(size, k, s, padding):
    ### BEGIN SOLUTION
    return (size + 2 * padding - k) // s + 1
    ### END SOLUTION

course.check("8.4", n_windows)

# %% [markdown]
# The loop over the offsets works again. The pixels that belong to offset (i, j) are `x[:,
# i:i+s*P:s, j:j+s*Q:s]`. For the mean every pixel has the same share, forward and backward: `y +=
# x_ij / k**2` and `dx_ij += dy / k**2`.
#
# **Now you.** And for the maximum? Write the line that adds to dx_ij.
#
# <details><summary>Hint</summary>
#
# The largest pixel of a window gets all of dy, the others nothing.
# </details>
#
# <details><summary>A second hint</summary>
#
# `x_ij == self.y` is True where this offset holds the largest.
# </details>

# %%
def taps(x, k, s):
    """For each offset of the window the pixels that it meets, as views (N, P, Q, C)."""
    P, Q = ((size - k) // s + 1 for size in x.shape[1:3])
    return [x[:, i:i + s * P:s, j:j + s * Q:s] for i, j in np.ndindex(k, k)]

class Largest:
    """Pooling by the largest value."""

    parameters = ()

    def __init__(self, k, s):
        self.k, self.s = k, s

    def forward(self, x):
        self.x, self.y = x, np.max(taps(x, self.k, self.s), axis=0)
        return self.y

    def backward(self, dy):
        dx = np.zeros_like(self.x)
        for x_ij, dx_ij in zip(taps(self.x, self.k, self.s), taps(dx, self.k, self.s)):
            ### BEGIN SOLUTION
            dx_ij += dy * (x_ij == self.y)
            ### END SOLUTION
        return dx

course.check("8.5", Largest)

report = td.gradcheck.check_layer(Largest(3, 2), (2, 7, 9, 3))
print(report)
assert report.ok

ours, theirs, images = (
    Largest(3, 2),
    td.MaxPool(3, stride=2),
    rng.standard_normal((4, 9, 9, 3)),
)
np.testing.assert_array_equal(ours.forward(images), theirs.forward(images))
dpooled = rng.standard_normal(ours.y.shape)
np.testing.assert_allclose(ours.backward(dpooled), theirs.backward(dpooled), rtol=1e-12)

# %% [markdown]
# If two pixels of a window are equally large, both get the whole dy here. After a ReLU many
# pixels are equal, namely zero. So the library's `MaxPool` gives dy to the first of them alone.
# (The windows overlap. A pixel that is the largest in two windows gets both dy, therefore the
# `+=`.)

# %% [markdown]
# ## On your own
#
# **1.** A layer `td.Conv2D(8, 16, rng, kernel=3, stride=2, padding=1)` gets images of 28 by 28
# with 8 channels. How large is what comes out, and how many parameters does it have? Ask the
# layer.
#
# <details><summary>Hint</summary>
#
# With its frame the image has 30 by 30 pixels, and a window starts at every second one. That
# makes (28 + 2 · 1 - 3) // 2 + 1 = 14 windows in each direction, with 16 channels. The layer has
# 3 · 3 · 8 · 16 = 1,152 weights and 16 biases. `layer.output_shape((28, 28, 8))`,
# `layer.n_parameters()`.
# </details>
#
# **2.** Write a class `Mean` like `Largest`, from the two lines for the mean above, and check it.
#
# <details><summary>Hint</summary>
#
# `forward`: `np.mean(taps(x, self.k, self.s), axis=0)`. `backward`: for every `dx_ij` add `dy /
# self.k**2`; x itself is not needed, only its shape. Compare with `td.AvgPool(3, stride=2)`.
# </details>
#
# **3.** Give `forward_offsets` and `backward_offsets` a stride s, and compare with
# `td.Conv2D(C, M, rng, kernel=k, stride=2, padding=0)`.
#
# <details><summary>Hint</summary>
#
# P = (height - k) // s + 1, and the pixels of offset (i, j) are `x[:, i:i + s * P:s, j:j + s *
# Q:s]`, in all three places. Nothing else changes. Pixels that are in no window get dx = 0.
# </details>

# %% [markdown]
# ## In practice
#
# - Images are (N, H, W, C) in tinydni. The C numbers of a pixel are side by side in memory, so
#   matrix products with shifted views are fast. PyTorch's default is (N, C, H, W);
#   `x.transpose(0, 2, 3, 1)` changes it to ours.
# - On a GPU memory is fast and calls are slow. There the one large matrix is better again: see
#   notebook 15, and `row_blocks` in the library.
# - A convolution before a `BatchNorm` needs no bias (`bias=False`): the mean is subtracted
#   anyway.
# - **Assignment A2**, tasks 4 and 5, can be solved now: `tinydni assignment release A2 --out
#   FOLDER`.
#
# ## Further reading
#
# - Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, *Gradient-Based Learning Applied to Document
#   Recognition*, 1998: the digits, the convolutions, and why.
# - V. Dumoulin and F. Visin, *A guide to convolution arithmetic for deep learning*, 2016: sizes,
#   strides and frames in pictures.
#
# Next: **9. Decouple a network that sees.**
