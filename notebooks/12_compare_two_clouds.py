# %% [markdown]
# # 12. Compare two clouds
#
# **What you'll do.** Measure how far two clouds of points are apart, from the definition.
# Differentiate it by hand, check the gradient, and let it pull points to where they belong.
#
# **What you'll learn.** Maximum mean discrepancy and its gradient; how a loss can say nothing
# about single points, and still move them.
#
# **What you need.** Notebooks 1 and 2. Less than a minute. Nothing is downloaded.

# %%
import course
import numpy as np

import tinydni as td

SHORT = course.begin()

# %% [markdown]
# ## How far are two clouds apart?
#
# Let k(a, b) say how near two points are: 1 if they coincide, next to 0 if they are far from each
# other. With d² = ‖a - b‖²,
#
# $$k(a, b) = \sum_s e^{-d^2 / s}, \qquad s \in \{m/2,\; m,\; 2m\}$$
#
# (Three widths, so that near *and* somewhat farther points are felt; the largest value is 3.)
#
# **Now you.** Write k for all pairs of x (N, D) and y (M, D): an array (N, M). The squared
# distances are given.
#
# <details><summary>Hint</summary>
#
# `np.exp` of an array takes every entry. Add up three such arrays.
# </details>
#
# <details><summary>A second hint</summary>
#
# `sum(np.exp(-d2 / s) for s in (m / 2, m, 2 * m))`
# </details>

# %%
def squared_distances(x, y):
    return ((x[:, None] - y[None])**2).sum(axis=2)

def kernel(x, y, m):
    ### BEGIN SOLUTION
    return sum(np.exp(-squared_distances(x, y) / s) for s in (m / 2, m, 2 * m))
    ### END SOLUTION

course.check("12.1", kernel)

# %% [markdown]
# Now look at the mean nearness of pairs of points: both from x, both from y, or one from each. If
# x and y come from the same cloud, all three are alike. If not, a point of x is nearer to its own
# than to the others:
#
# $$L^2 = \operatorname{mean} k(x_i, x_j) + \operatorname{mean} k(y_i, y_j) - 2 \operatorname{mean} k(x_i, y_j)$$
#
# L is called the **maximum mean discrepancy**, MMD. First as it stands, with loops, on a few
# points in the plane:

# %%
def nearness(a, b, m):
    d2 = sum((a - b)**2)
    return sum(np.exp(-d2 / s) for s in (m / 2, m, 2 * m))

def mean_nearness(x, y, m):
    return sum(nearness(a, b, m) for a in x for b in y) / (len(x) * len(y))

def mmd_by_loops(x, y, m):
    return np.sqrt(
        mean_nearness(x, x, m) + mean_nearness(y, y, m) - 2 * mean_nearness(x, y, m)
    )

rng = np.random.default_rng(0)
x, y, m = rng.standard_normal((20, 2)), rng.standard_normal((15, 2)) + 1, 0.7
saved = mmd_by_loops(x, y, m)
print(f"MMD of x and y {saved:.4f}, of x and x {mmd_by_loops(x, x, m):.4f}")

# %% [markdown]
# The same with whole arrays.
#
# **Now you.** Write L from the three kernels: k_xx of all pairs within x, k_yy within y, k_xy
# between them.
#
# <details><summary>Hint</summary>
#
# `k_xx.mean()` is the mean nearness of two points of x.
# </details>
#
# <details><summary>A second hint</summary>
#
# Do not forget the root, and the factor 2.
# </details>

# %%
def mmd_from(k_xx, k_yy, k_xy):
    ### BEGIN SOLUTION
    return np.sqrt(k_xx.mean() + k_yy.mean() - 2 * k_xy.mean())
    ### END SOLUTION

course.check("12.2", mmd_from)

def mmd(x, y, m):
    return mmd_from(kernel(x, x, m), kernel(y, y, m), kernel(x, y, m))

np.testing.assert_allclose(mmd(x, y, m), saved, rtol=1e-12)

# %% [markdown]
# ## Its gradient
#
# We want to know where each $x_i$ should go: dx, the gradient of L. Write $g = \sum_s \frac1s
# e^{-d^2/s}$. One operation per line, and beside it its derivative:
#
# | forward | backward |
# | --- | --- |
# | `d2 = ((x_i - x_j)**2).sum()` | `dx_i += 2 * dd2 * (x_i - x_j)`, &nbsp; `dx_j -= 2 * dd2 * (x_i - x_j)` |
# | `k = sum(exp(-d2 / s))` | `dd2 = -g * dk` |
# | `L2 = k_xx.mean() + k_yy.mean() - 2 * k_xy.mean()` | `dk_xx = dL2 / N²`, &nbsp; `dk_xy = -2 * dL2 / (N M)` |
# | `L = sqrt(L2)` | `dL2 = 1 / (2 * L)` |
#
# A point occurs twice among the pairs of x with x, as the first and as the second, which doubles
# that part. Put together:
#
# $$dx_i = \frac{2}{L} \Bigl[\; \underbrace{\frac{1}{NM} \sum_j g(x_i, y_j)\,(x_i - y_j)}_{\text{towards the others}}
# \;-\; \underbrace{\frac{1}{N^2} \sum_j g(x_i, x_j)\,(x_i - x_j)}_{\text{away from one's own}} \;\Bigr]$$
#
# Going *against* dx, a point is drawn to the points of y and pushed away by those of x. Where
# both are equally dense, the forces cancel.
#
# **Now you.** `pull(x, y, m)` is the sum in the bracket, divided by the number of pairs. Write dx
# with it.
#
# <details><summary>Hint</summary>
#
# You need it twice: for the points of y, and for the points of x itself.
# </details>
#
# <details><summary>A second hint</summary>
#
# `2 / mmd(x, y, m)` times a difference of two pulls.
# </details>

# %%
def pull(x, y, m):
    """The mean over j of g(x_i, y_j) (x_i - y_j), divided by N."""
    g = sum(np.exp(-squared_distances(x, y) / s) / s for s in (m / 2, m, 2 * m))
    return (g[:, :, None] * (x[:, None] - y[None])).sum(axis=1) / (len(x) * len(y))

def mmd_gradient(x, y, m):
    ### BEGIN SOLUTION
    return 2 / mmd(x, y, m) * (pull(x, y, m) - pull(x, x, m))
    ### END SOLUTION

course.check("12.3", mmd_gradient)

class ByHand(td.variants.MMD):
    """Our two functions, in the form in which the checker of notebook 2 wants a
    loss.
    """

    def forward(self, prediction, target):
        self.dprediction = mmd_gradient(prediction, target, self.m)
        return mmd(prediction, target, self.m)

report = td.gradcheck.check_loss(ByHand(m), x, y)
print(report)
assert report.ok

library = td.variants.MMD(m)
np.testing.assert_allclose(library.forward(x, y), saved, rtol=1e-9)
np.testing.assert_allclose(
    library.backward(), mmd_gradient(x, y, m), rtol=1e-7, atol=1e-12
)

# %% [markdown]
# The library's class gives the same numbers. It never makes the array (N, M, D), works in tiles
# that fit in the cache, and takes one `exp` per pair instead of three, since the narrower kernels
# are powers of the widest. From here on we use it.
#
# What does such a gradient do? Forget networks and let the points themselves go downhill: two
# heaps of different size as target, and one heap beside them.

# %%
heaps = np.vstack(
    [0.4 * rng.standard_normal((200, 2)), 0.4 * rng.standard_normal((100, 2)) + (3, 1)]
)
start = 0.4 * rng.standard_normal((300, 2)) + (1, 2)
moved, loss, path = start.copy(), td.variants.MMD(4), []
for step in range(60 if SHORT else 500):
    path.append(loss.forward(moved, heaps))
    moved = moved - 20 * loss.backward()
print(f"MMD {path[0]:.2f} at first, {path[-1]:.2f} in the end")
assert path[-1] < path[0] / (1 if SHORT else 4)

td.plots.cell_scatter(
    heaps,
    start,
    moved,
    np.random.default_rng(0),
    "Points that follow the gradient of the MMD",
    ("target", "points at first", "points in the end"),
)

# %% [markdown]
# The heap divides itself, two thirds to the one and one third to the other, though nobody has
# told a single point where to go.
#
# ## The floor
#
# Do two draws from *one* cloud have the distance 0? Answer first.

# %%
one, two = rng.standard_normal((2, 500, 2))
print(f"two draws from one cloud: MMD {mmd(one, two, 0.7):.3f}")

# %% [markdown]
# Not quite: a point is nearest to itself, k(x, x) = 3, and these pairs stand in the means within
# x and within y, but not in the mean between them. That is the **floor**, below which nothing can
# be read. For a fair mean they have to be left out.
#
# **Now you.** Write the mean of a square kernel k (N, N) without the pairs of a point with itself.
#
# <details><summary>Hint</summary>
#
# Those pairs stand on the diagonal: `np.trace(k)` is their sum.
# </details>
#
# <details><summary>A second hint</summary>
#
# N (N - 1) pairs are left.
# </details>

# %%
def mean_of_others(k):
    ### BEGIN SOLUTION
    return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
    ### END SOLUTION

course.check("12.4", mean_of_others)

draws = rng.standard_normal((40, 2, 100, 2))
unbiased = [
    mean_of_others(kernel(a, a, 0.7))
    + mean_of_others(kernel(b, b, 0.7))
    - 2 * kernel(a, b, 0.7).mean()
    for a, b in draws
]
print(
    f"L² without these pairs, 40 times two draws from one cloud: mean "
    f"{np.mean(unbiased):.4f}, from {min(unbiased):.4f} "
    f"to {max(unbiased):.4f}, below zero {sum(np.array(unbiased) < 0)} times"
)

# %% [markdown]
# Zero on average, to the error of 40 draws. It is often below zero, so that no root can be taken:
# as a loss the first form is more convenient.

# %% [markdown]
# ## On your own
#
# **1.** How does the floor depend on the number of points? Draw twice from one cloud, with N =
# 50, 200 and 800.
#
# <details><summary>Hint</summary>
#
# The pairs of a point with itself have a share of 1/N in the means. So L² falls like 1/N, and L
# like 1/√N.
# </details>
#
# **2.** On the heaps in the plane, take kernels a thousand times narrower,
# `td.variants.MMD(0.004)`, then a thousand times wider, `td.variants.MMD(4000)` with steps
# of 100. Where do the points go?
#
# <details><summary>Hint</summary>
#
# Narrow: to each point only the nearest of its own heap are near at all. They push each other
# away a little, and the heap stays where it is. Wide: k is nearly `3 - c d²`, whose means depend
# on the mean points alone. The heap moves as a whole and rests, undivided, when its mean is
# right, halfway between the targets. That is why m is measured: `td.variants.kernel_width` takes
# the distance to the nearest neighbours.
# </details>
#
# **3.** Is the gradient of L zero where L is at its floor? Look at `mmd_gradient(one, two, 0.7)`.
#
# <details><summary>Hint</summary>
#
# No. Every point is still pulled to where the other draw happens to be denser. A training on a
# small batch follows that noise, and so each update draws a new thousand of cells in notebook 13.
# </details>

# %% [markdown]
# ## In practice
#
# - All pairs of a thousand with a thousand are a million: the MMD costs more than the network in
#   notebook 13.
# - **Assignment A4**, task 5, can be solved now: `tinydni assignment release A4 --out FOLDER`.
#
# ## Further reading
#
# - A. Gretton and others, *A Kernel Two-Sample Test*, 2012: where MMD comes from.
#
# Next: **13. Calibrate blood samples.**
