# %% [markdown]
# # A3 Synthetic gradients
#
# In backpropagation a layer that has computed its output waits: all layers above it have to run,
# forward and backward, before it hears how it should change. Here it does not wait. A small model
# beside it, the synthesizer, looks at the output and guesses the gradient; the layer updates on the
# guess at once. When the layer above has done the same, its own message comes down, and the
# synthesizer learns from that. (Jaderberg et al., "Decoupled neural interfaces using synthetic
# gradients", 2016, section 2.)
#
# Three things go wrong in most first attempts: the order, the sign, and the scale. So here is what
# everything means:
#
# - `dh` (N, H) is the gradient of the loss with respect to h, where the loss is a *mean* over the N
#   examples of a batch. Messages between layers are of this kind.
# - `delta` (N, H) is the gradient of each example's own loss: N times `dh`. Synthesizers speak this
#   language, so that what they have learned does not depend on the batch size. `delta_hat` is the
#   guess of it.
# - `context` (N, K) is what else is known in training, here the labels as rows with a single one.
#
# Values are compared to eleven digits. A gradient by differences is not as exact, except for a
# linear function; any other way to compute it is right.

# %%
import numpy as np

from tinydni.classroom import use_reference


class Block:
    """A layer  h = tanh(x W + b),  given. x (N, D), h (N, H), W (D, H), b (H,)"""

    parameters = ("W", "b")

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.W + self.b)
        return self.h

    def backward(self, dh):
        """Sets dW and db, and returns dx (N, D), all with the weights as they are now."""
        dz = dh * (1 - self.h ** 2)
        self.dW, self.db = self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W.T

    def update(self, lr):
        """One step down the gradient, in place."""
        self.W -= lr * self.dW
        self.b -= lr * self.db


class Top:
    """The last layer with its loss, given: the mean softmax cross-entropy of  x W + b."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward_and_update(self, x, target, lr):
        """One step. target (N,): labels. Returns dx (N, D), and keeps the loss in self.loss."""
        y = x @ self.W + self.b
        p = np.exp(y - y.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        own = np.arange(len(x)), target
        self.loss = -np.log(p[own]).mean()
        p[own] -= 1
        dy = p / len(x)
        dx = dy @ self.W.T
        self.W -= lr * x.T @ dy
        self.b -= lr * dy.sum(axis=0)
        return dx

# %% [markdown]
# ## A3.1 A guess that learns (3 points)
#
# The guess is an affine map, so learning it is linear regression, one step at a time. Write the
# loss for one example, and take its derivative with respect to one entry of A; the rest is shapes.

# %%
class Synthesizer:
    """The linear synthesizer  delta_hat = h A + context C + b.

    h (N, H): output of a block    context (N, K): labels as rows with a single one
    delta_hat (N, H): the guess
    A (H, H), C (K, H), b (H,): learned

    forward(h, context) returns delta_hat.
    learn(h, context, delta, lr) takes one step of gradient descent, in place, on

        1/2 ‖delta_hat - delta‖²,  summed over the H features, mean over the N examples,

    where delta_hat is the guess for *this* h and context: the last forward may have seen others.
    delta (N, H) is what came back from above, a number like any other: nothing flows into it, nor
    into h or context, and none of them may be written to.
    """

    parameters = ("A", "C", "b")

    def __init__(self, A, C, b):
        self.A, self.C, self.b = A, C, b

    def forward(self, h, context):
        ### BEGIN SOLUTION
        return h @ self.A + context @ self.C + self.b
        ### END SOLUTION

    def learn(self, h, context, delta, lr):
        ### BEGIN SOLUTION
        error = (self.forward(h, context) - delta) / len(h)
        self.A -= lr * h.T @ error
        self.C -= lr * context.T @ error
        self.b -= lr * error.sum(axis=0)
        ### END SOLUTION

# %% [markdown]
# ## A3.2 A start from nothing (1 point)
#
# Before a synthesizer has learned anything, the best guess is "no gradient". A linear one simply
# starts at zero. One with a hidden layer can't: work out the gradients of its two matrices when
# both are zero.

# %%
def start(random):
    """The first weights of a synthesizer with a hidden layer,  delta_hat = relu(h A) B.

    Its first guess must be zero for every h, and yet it must be able to learn: the gradient of B
    must not be zero.

    random (H, U): draws from the standard normal distribution
    returns A (H, U), random with standard deviation sqrt(2 / H), and B (U, H)
    """
    ### BEGIN SOLUTION
    H, U = random.shape
    return random * np.sqrt(2 / H), np.zeros((U, H))
    ### END SOLUTION

# %% [markdown]
# ## A3.3 The module: order, sign, scale (4 points)
#
# The message that goes down says how the loss changes with x, through the weights *that made h*.
# After the update there are others.

# %%
class DNI:
    """A block with a synthesizer at its output: it learns without waiting.

    block: with h = forward(x), dx = backward(dh), update(lr)    lr: its learning rate
    synthesizer: with delta_hat = forward(h, context), learn(h, context, delta, lr)
    synthesizer_lr: its learning rate

    forward_and_synthetic_update(x, context) returns (dx, h):
        h (N, H) is the block's output for x (N, D);
        the synthesizer guesses delta_hat, and dh = delta_hat / N is the guessed gradient of the
        batch-mean loss;
        dx (N, D) is the gradient that dh gives at x, with the weights that made h: the message for
        the module below;
        then the block takes its step. The synthesizer does not: its teacher has not spoken yet.
    update_synthetic_weights(true_gradient): true_gradient (N, H) came back from the module above.
        It is a dh, the gradient of the batch-mean loss at the h of the last step; the synthesizer
        learns from the delta that belongs to it.
    """

    def __init__(self, block, lr, synthesizer, synthesizer_lr):
        self.block, self.lr = block, lr
        self.synthesizer, self.synthesizer_lr = synthesizer, synthesizer_lr

    def forward_and_synthetic_update(self, x, context):
        ### BEGIN SOLUTION
        self.h, self.context = self.block.forward(x), context
        delta_hat = self.synthesizer.forward(self.h, context)
        dx = self.block.backward(delta_hat / len(x))
        self.block.update(self.lr)
        return dx, self.h
        ### END SOLUTION

    def update_synthetic_weights(self, true_gradient):
        ### BEGIN SOLUTION
        delta = len(true_gradient) * true_gradient
        self.synthesizer.learn(self.h, self.context, delta, self.synthesizer_lr)
        ### END SOLUTION

# %% [markdown]
# ## A3.4 The loop (2 points)

# %%
def step(modules, top, x, context, target, lr):
    """One training step of a whole network: every module learns as soon as it has run.

    Going up, a module gets the output of the one below and gives back a message dx. The message of
    a module belongs to the module right below it, whose synthesizer learns from it; that of the top
    belongs to the last module. The message of the first module belongs to nobody.

    modules: DNI modules, bottom to top, at least one
    top: a Top, with dx = forward_and_update(x, target, lr)
    x (N, D): input of the first module    context (N, K), target (N,): the labels in two forms
    returns the loss, which the top keeps in top.loss
    """
    ### BEGIN SOLUTION
    below = None
    for module in modules:
        dx, x = module.forward_and_synthetic_update(x, context)
        if below is not None:
            below.update_synthetic_weights(dx)
        below = module
    below.update_synthetic_weights(top.forward_and_update(x, target, lr))
    return top.loss
    ### END SOLUTION

# %% [markdown]
# ## A3.5 Two slips in a tutorial (2 points)
#
# In 2017 a blog post by A. Trask made many people try synthetic gradients. Its class, retold in our
# letters, has two slips, and whoever copies it sees numbers without end. Find them with pencil and
# paper: write down in which direction each of the two steps goes.

# %%
class FirstAttempt:
    """A block  h = sigmoid(x W)  whose gradient is guessed as  delta_hat = h S.

    W (D, H): weights    S (H, H): the synthesizer    lr: of both
    The gradients here are sums over the batch, as in the tutorial, and there is no context.

    Both W and S should go down the gradient: W that of the loss, S that of
    1/2 ‖h S - true_gradient‖². Correct what is wrong and leave the rest.
    """

    def __init__(self, W, S, lr):
        self.W, self.S, self.lr = W, S, lr

    def forward_and_synthetic_update(self, x):
        self.h = 1 / (1 + np.exp(-(x @ self.W)))
        self.delta_hat = self.h @ self.S
        dz = self.delta_hat * self.h * (1 - self.h)
        dx = dz @ self.W.T
        ### BEGIN SOLUTION
        self.W -= self.lr * x.T @ dz
        ### INSTEAD
        # self.W += self.lr * x.T @ dz
        ### END SOLUTION
        return dx, self.h

    def update_synthetic_weights(self, true_gradient):
        error = self.delta_hat - true_gradient
        ### BEGIN SOLUTION
        self.S -= self.lr * self.h.T @ error
        ### INSTEAD
        # self.S += self.lr * self.h.T @ error
        ### END SOLUTION

# %% [markdown]
# ## Put together
#
# `python A3.py` trains two modules and a top on three arms of a spiral. No layer ever waits for
# another. The loss falls from about 1 to below 0.02. Nothing of this is graded.

# %%
def train(steps=1500, seed=0):
    rng = np.random.default_rng(seed)
    N, K, width = 150, 3, 32
    target = rng.integers(0, K, N)
    radius = rng.uniform(0.2, 1, N)
    angle = 2 * np.pi * target / K + 3 * radius + 0.1 * rng.standard_normal(N)
    x = 2 * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    context = np.eye(K)[target]
    modules = [DNI(Block(rng.standard_normal((n, width)) / np.sqrt(n), np.zeros(width)), 0.3,
                   Synthesizer(np.zeros((width, width)), np.zeros((K, width)), np.zeros(width)),
                   0.03)
               for n in (2, width)]
    top = Top(rng.standard_normal((width, K)) / np.sqrt(width), np.zeros(K))
    for number in range(steps + 1):
        loss = step(modules, top, x, context, target, 0.3)
        if number % 500 == 0:
            print(f"step {number:4}: loss {loss:.3f}")


if __name__ == "__main__":
    train()
