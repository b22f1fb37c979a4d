# %% [markdown]
# # 12. Compare two clouds
#
# **What you'll do.** Measure how different two clouds of points are. Differentiate this measure
# by hand, check the gradient, and let it pull the points of one cloud to the other.
#
# **What you'll learn.** What the maximum mean discrepancy is, and its gradient. How a loss can
# compare whole clouds only, and still move every single point.
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
# Let k(a, b) say how near two points are: large if they are the same, nearly 0 if they are far
# from each other. Such a function is called a **kernel** (it is not the kernel of a convolution).
# With d² = ‖a - b‖²,
#
# $$k(a, b) = \sum_s e^{-d^2 / s}, \qquad s \in \{m/2,\; m,\; 2m\}$$
#
# (There are three widths, so that near points *and* points a little further away count. The
# largest value is 3.)
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
# Now look at the mean of k over pairs of points: both from x, both from y, or one from each. If x
# and y come from the same cloud, the three means are nearly the same. If not, a point of x is
# nearer to other points of x than to points of y:
#
# $$L^2 = \operatorname{mean} k(x_i, x_j) + \operatorname{mean} k(y_i, y_j) - 2 \operatorname{mean} k(x_i, y_j)$$
#
# L is called the **maximum mean discrepancy**, MMD. Here it is with loops, on a few points in the
# plane:

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
# Now the same with whole arrays.
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
# Do not forget the root and the factor 2.
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
# Where should each $x_i$ move? We need dx, the gradient of L. Write $g = \sum_s \frac1s
# e^{-d^2/s}$. The table has one operation per line, with its derivative:
#
# | forward | backward |
# | --- | --- |
# | `d2 = ((x_i - x_j)**2).sum()` | `dx_i += 2 * dd2 * (x_i - x_j)`, &nbsp; `dx_j -= 2 * dd2 * (x_i - x_j)` |
# | `k = sum(exp(-d2 / s))` | `dd2 = -g * dk` |
# | `L2 = k_xx.mean() + k_yy.mean() - 2 * k_xy.mean()` | `dk_xx = dL2 / N²`, &nbsp; `dk_xy = -2 * dL2 / (N M)` |
# | `L = sqrt(L2)` | `dL2 = 1 / (2 * L)` |
#
# In the pairs of x with x each point occurs twice, as the first and as the second. This doubles
# that part. Together:
#
# $$dx_i = \frac{2}{L} \Bigl[\; \underbrace{\frac{1}{NM} \sum_j g(x_i, y_j)\,(x_i - y_j)}_{\text{towards the others}}
# \;-\; \underbrace{\frac{1}{N^2} \sum_j g(x_i, x_j)\,(x_i - x_j)}_{\text{away from one's own}} \;\Bigr]$$
#
# A step *against* dx moves a point towards the points of y and away from those of x. Where both
# are equally dense, the two parts cancel.
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
# The library's class gives the same numbers. It is faster, because it works on small parts that
# fit into the processor's fastest memory. It also needs one `exp` per pair instead of three: the
# narrower kernels are powers of the widest. From here on we use it.
#
# What does such a gradient do? We need no network to see that: the points themselves move
# downhill. The target is two groups of points, of different size. The points to be moved start as
# one group next to them.

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
# The group divides itself: two thirds go to the one target and one third to the other. But
# nothing in the loss says where a single point should go.
#
# ## The floor
#
# Do two draws from *one* cloud have the distance 0? Answer first.

# %%
one, two = rng.standard_normal((2, 500, 2))
print(f"two draws from one cloud: MMD {mmd(one, two, 0.7):.3f}")

# %% [markdown]
# No, not exactly. A point is nearest to itself, k(x, x) = 3. Such pairs are in the means within x
# and within y, but not in the mean between them. So even two equal clouds have a small MMD, the
# **floor**. A distance near the floor says nothing. For a fair mean we have to leave these pairs
# out.
#
# **Now you.** Write the mean of a square kernel k (N, N) without the pairs of a point with itself.
#
# <details><summary>Hint</summary>
#
# Those pairs are on the diagonal: `np.trace(k)` is their sum.
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
# It is zero on average, as exactly as 40 draws can show. But it is often below zero, and then
# there is no root. So as a loss the first form is more practical.

# %% [markdown]
# ## On your own
#
# **1.** How does the floor depend on the number of points? Draw twice from one cloud, with N =
# 50, 200 and 800.
#
# <details><summary>Hint</summary>
#
# The pairs of a point with itself have a share of 1/N in the means. So L² gets smaller like 1/N,
# and L like 1/√N.
# </details>
#
# **2.** Take the groups in the plane, and kernels that are a thousand times narrower,
# `td.variants.MMD(0.004)`. Then take kernels that are a thousand times wider,
# `td.variants.MMD(4000)`, with steps of 100. Where do the points go?
#
# <details><summary>Hint</summary>
#
# Narrow kernels: for each point only the nearest points of its own group count. They push each
# other away a little, and the group stays where it is. Wide kernels: k is nearly `3 - c d²`, and
# its means depend only on the means of the clouds. The group moves as a whole and does not
# divide. It stops between the two targets, where its mean is right. So m has to fit the data:
# `td.variants.kernel_width` takes it from the distance to the nearest neighbours.
# </details>
#
# **3.** Is the gradient of L zero where L is at its floor? Look at `mmd_gradient(one, two, 0.7)`.
#
# <details><summary>Hint</summary>
#
# No. Every point is still pulled to places where the other draw is denser by chance. If we
# trained on one small batch, the network would follow this noise. So in notebook 13 every update
# draws a thousand new cells.
# </details>

# %% [markdown]
# ## In practice
#
# - A thousand points and a thousand points make a million pairs. In notebook 13 the MMD takes
#   more time than the network.
# - **Assignment A4**, task 5, can be solved now: `tinydni assignment release A4 --out FOLDER`.
#
# ## Further reading
#
# - A. Gretton and others, *A Kernel Two-Sample Test*, 2012: where MMD comes from.
#
# Next: **13. Calibrate blood samples.**
