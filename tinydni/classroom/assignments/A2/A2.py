# %% [markdown]
# # A2 Normalise and convolve
#
# Two layers without which deep networks for images would hardly train. Batch normalisation makes
# every feature of a batch have mean 0 and variance 1, so that the layers above always see numbers
# of the same size. Its derivative is where many people first lose their way, since every example
# moves the mean and the variance of *all*. Here you go there in three steps: the mean alone, then
# line by line, then in one formula. A convolution is easier: many small products with shared
# weights.
#
# A rule that settles most doubts: **where forward copies, backward adds; where forward adds,
# backward copies.** A mean (M,) that is subtracted from N rows is copied N times.
#
# Letters: N examples, M features. Images are (N, H, W, C): H rows, W columns, C channels. A kernel
# is called W, too, as all weights are. `dx` is the gradient of the loss with respect to `x`, and
# has its shape.
#
# Values are compared to eleven digits. A gradient by differences is not as exact, except for a
# linear function; any other way to compute it is right.

# %%
import numpy as np

from tinydni.classroom import use_reference

# %% [markdown]
# ## A2.1 Centre (1 point)
#
# Write down y[0] for N = 2, and what x[0] does to y[0] and to y[1].

# %%
class Centre:
    """Takes the mean of the batch from every example:  y = x - mean.

    mean[m] = sum over n of x[n, m] / N

    forward(x): x (N, M) -> y (N, M)
    backward(dy): dy (N, M) is the gradient with respect to y; returns dx (N, M). An x[n] reaches
    the loss in two ways: straight, through its own y[n], and through the mean, which is in all rows
    of y.

    Do not write into x or dy: they belong to the caller.
    """

    parameters = ()

    def forward(self, x):
        ### BEGIN SOLUTION
        return x - x.mean(axis=0)
        ### END SOLUTION

    def backward(self, dy):
        ### BEGIN SOLUTION
        return dy - dy.mean(axis=0)
        ### END SOLUTION

# %% [markdown]
# ## A2.2 BatchNorm, line by line (3 points)
#
# One line of backward for every line of forward, from the last to the first. For each line ask two
# things: which shape has the gradient (that of its array), and in how many ways does the array
# reach the loss (as many as there are lines below that use it: their parts are added).

# %%
class BatchNormLines:
    """Batch normalisation, written as six lines. forward is given; you write backward.

        mean  (M,)    mean of x over the batch
        z     (N, M)  x - mean
        var   (M,)    mean of z² over the batch
        s     (M,)    (var + eps) to the power -1/2
        xhat  (N, M)  z s
        y     (N, M)  gamma xhat + beta

    backward(dy): sets self.dbeta, self.dgamma, self.dxhat, self.ds, self.dvar, self.dz, self.dmean,
    each in the shape of its array, and returns dx (N, M). Each holds *all* that its array does to
    the loss: z is used in two lines, and self.dz is the sum of both ways. x, too, is used in two
    lines.

    gamma, beta (M,): scale and shift, learned    eps: a small number that keeps s finite
    """

    parameters = ("gamma", "beta")

    def __init__(self, gamma, beta, eps=1e-5):
        self.gamma, self.beta, self.eps = gamma, beta, eps

    def forward(self, x):
        self.mean = x.mean(axis=0)
        self.z = x - self.mean
        self.var = (self.z ** 2).mean(axis=0)
        self.s = (self.var + self.eps) ** -0.5
        self.xhat = self.z * self.s
        return self.gamma * self.xhat + self.beta

    def backward(self, dy):
        ### BEGIN SOLUTION
        N = len(dy)
        self.dbeta = dy.sum(axis=0)
        self.dgamma = (dy * self.xhat).sum(axis=0)
        self.dxhat = dy * self.gamma
        self.ds = (self.dxhat * self.z).sum(axis=0)
        self.dvar = -0.5 * self.s ** 3 * self.ds
        self.dz = self.dxhat * self.s + 2 * self.z * self.dvar / N
        self.dmean = -self.dz.sum(axis=0)
        return self.dz + self.dmean / N
        ### END SOLUTION

# %% [markdown]
# ## A2.3 BatchNorm, in closed form (3 points)
#
# Put the lines of A2.2 into one another, on paper. Most of it cancels: write the sums over the
# batch that remain as dbeta and dgamma, and one short line for dx is left. It holds two arrays and
# no more. That line is also a picture: from dy, the part that would shift the batch and the part
# that would stretch it are taken out, since y does not change under either.
#
# For one example there is no batch. So the layer also keeps a running mean and variance, and
# predicts with these.

# %%
class BatchNorm:
    """Batch normalisation:  y = gamma xhat + beta,  xhat = (x - mean) s,  s = (var + eps)^(-1/2).

    (Ioffe & Szegedy, "Batch normalization", 2015, algorithm 1.)

    forward(x): x (N, M) -> y (N, M) with the mean and variance of the batch (divided by N). It also
    moves the running statistics, in place, once in each call:  running = (1 - momentum) running +
    momentum batch.  The running variance takes the variance divided by N - 1, which on average is
    that of all examples.
    backward(dy): sets self.dgamma (M,) and self.dbeta (M,), and returns dx (N, M), for what forward
    saw last. The running statistics play no part in it. Write dx in closed form, from gamma, s,
    xhat, dy, dbeta, dgamma and N.
    predict(x): y with the running mean and variance in place of the batch's, also for a single
    example. It changes nothing on self: neither the running statistics, nor what backward needs.

    gamma, beta (M,): learned    running_mean, running_var (M,)
    """

    parameters = ("gamma", "beta")

    def __init__(self, gamma, beta, running_mean, running_var, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = gamma, beta
        self.running_mean, self.running_var = running_mean, running_var
        self.eps, self.momentum = eps, momentum

    def forward(self, x):
        ### BEGIN SOLUTION
        N, mean, var = len(x), x.mean(axis=0), x.var(axis=0)
        self.s = (var + self.eps) ** -0.5
        self.xhat = (x - mean) * self.s
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (var * N / (N - 1) - self.running_var)
        return self.gamma * self.xhat + self.beta
        ### END SOLUTION

    def backward(self, dy):
        ### BEGIN SOLUTION
        self.dbeta = dy.sum(axis=0)
        self.dgamma = (dy * self.xhat).sum(axis=0)
        return self.gamma * self.s * (dy - self.dbeta / len(dy) - self.xhat * self.dgamma / len(dy))
        ### END SOLUTION

    def predict(self, x):
        ### BEGIN SOLUTION
        xhat = (x - self.running_mean) / np.sqrt(self.running_var + self.eps)
        return self.gamma * xhat + self.beta
        ### END SOLUTION

# %% [markdown]
# ## A2.4 A convolution (3 points)
#
# Think of the kernel as kh · kw small matrices, W[i, j]. Each of them is a Linear layer that sees
# the image moved by i rows and j columns, and y is the sum of all. So two loops, over i and j, are
# enough; slices do the rest, and `x[:, i:i + P, j:j + Q] @ W[i, j]` multiplies along the channels
# for all pixels at once. Backward has the same two loops.

# %%
class Conv:
    """A convolution of images (in fact a correlation, as everywhere in this field):

        y[n, p, q] = b + sum over i, j of  frame[n, p + i, q + j] W[i, j],

    where frame is x with zeros around it: a rows above and below, c columns left and right, for
    padding = (a, c).

    forward(x): x (N, H, W, C) -> y (N, P, Q, M),  P = H + 2 a - kh + 1,  Q = W + 2 c - kw + 1.
    np.pad makes frames.
    backward(dy): dy (N, P, Q, M). Sets self.dW (kh, kw, C, M) and self.db (M,), and returns
    dx (N, H, W, C), without the frame. A pixel of x is under several places of the kernel: it gets
    a part of its gradient from each.

    W (kh, kw, C, M): kernels    b (M,): biases    Do not write into x or dy.
    """

    parameters = ("W", "b")

    def __init__(self, W, b, padding=(0, 0)):
        self.W, self.b, self.padding = W, b, padding

    def forward(self, x):
        ### BEGIN SOLUTION
        (kh, kw), (a, c) = self.W.shape[:2], self.padding
        self.frame = np.pad(x, ((0, 0), (a, a), (c, c), (0, 0)))
        P, Q = self.frame.shape[1] - kh + 1, self.frame.shape[2] - kw + 1
        return self.b + sum(self.frame[:, i:i + P, j:j + Q] @ self.W[i, j]
                            for i in range(kh) for j in range(kw))
        ### END SOLUTION

    def backward(self, dy):
        ### BEGIN SOLUTION
        (kh, kw), (a, c), (P, Q) = self.W.shape[:2], self.padding, dy.shape[1:3]
        self.db = dy.sum(axis=(0, 1, 2))
        self.dW, dframe = np.zeros_like(self.W), np.zeros_like(self.frame)
        for i in range(kh):
            for j in range(kw):
                seen = self.frame[:, i:i + P, j:j + Q]
                self.dW[i, j] = np.tensordot(seen, dy, axes=([0, 1, 2], [0, 1, 2]))
                dframe[:, i:i + P, j:j + Q] += dy @ self.W[i, j].T
        H, W = dframe.shape[1] - 2 * a, dframe.shape[2] - 2 * c
        return dframe[:, a:a + H, c:c + W]
        ### END SOLUTION

# %% [markdown]
# ## A2.5 Backward is a convolution, too (1 point)
#
# Which y does the pixel x[p, q] reach, and through which element of the kernel? Write dx[p, q] as a
# sum over i and j, and compare it with the formula of A2.4.

# %%
def turned(W):
    """The kernel with which dx is a convolution of dy:

        dx = Conv(turned(W), zeros, padding=(kh - 1, kw - 1)).forward(dy)
        for  y = Conv(W, b).forward(x).

    W (kh, kw, C, M): the kernel of a layer from C to M channels
    returns an array of shape (kh, kw, M, C); W itself must stay as it is.
    """
    ### BEGIN SOLUTION
    return W[::-1, ::-1].transpose(0, 1, 3, 2)
    ### END SOLUTION

# %% [markdown]
# ## Put together
#
# `python A2.py` learns to tell images of 8 by 8 pixels with a vertical line from those with a
# horizontal one, under noise: a convolution, a batch normalisation, the largest value of each
# channel, and a linear map. In a few seconds the error on images it has not seen falls from about
# half to a few percent. Nothing of this is graded.

# %%
def images(N, rng):
    """N noisy images (N, 8, 8, 1), and whether the line in each is vertical, (N,)."""
    x, vertical = rng.standard_normal((N, 8, 8, 1)), rng.integers(0, 2, N)
    for n in range(N):
        place = rng.integers(0, 8)
        x[(n, slice(None), place) if vertical[n] else (n, place)] += 2
    return x, vertical


def train(steps=200, N=64, M=8, lr=0.2, seed=0):
    rng = np.random.default_rng(seed)
    conv = Conv(rng.standard_normal((5, 5, 1, M)) / 5, np.zeros(M))
    norm = BatchNorm(np.ones(M), np.zeros(M), np.zeros(M), np.ones(M))
    W, b = np.zeros(M), 0.0
    test, truth = images(500, rng)
    for step in range(steps + 1):
        if step % 50 == 0:
            h = conv.forward(test)
            found = norm.predict(h.reshape(-1, M)).reshape(h.shape).max(axis=(1, 2)) @ W + b > 0
            print(f"step {step:3}: {100 * (found != truth).mean():.1f} % of new images wrong")
        x, vertical = images(N, rng)
        h = conv.forward(x)
        pixels = norm.forward(h.reshape(-1, M)).reshape(N, -1, M)
        top, largest = pixels.max(axis=1), pixels.argmax(axis=1)
        dscore = (1 / (1 + np.exp(-top @ W - b)) - vertical) / N
        dpixels = np.zeros_like(pixels)
        np.put_along_axis(dpixels, largest[:, None], (dscore[:, None] * W)[:, None], axis=1)
        conv.backward(norm.backward(dpixels.reshape(-1, M)).reshape(h.shape))
        W -= lr * top.T @ dscore
        b -= lr * dscore.sum()
        for layer in (conv, norm):
            for name in layer.parameters:
                parameter = getattr(layer, name)
                parameter -= lr * getattr(layer, "d" + name)


if __name__ == "__main__":
    train()
