"""What is asked of the solutions of A2."""

import numpy as np

GIVEN = {"A2.1": [], "A2.2": ["A2.1"], "A2.3": ["A2.1"], "A2.4": [], "A2.5": ["A2.4"]}


def check_A2_1_forward(task, trial):
    """y is x minus its mean over the batch."""
    task.make("Centre").same("y", "forward", trial.normal(*trial.sizes("N M")) + 1)


def check_A2_1_gradients(task, trial):
    """dx is the gradient of the loss, the way through the mean included."""
    N, M = trial.sizes("N M")
    layer = task.make("Centre")
    layer.run("forward", trial.normal(N + 1, M))
    layer.run("forward", trial.normal(N, M) + 1)
    layer.same("dx", "backward", trial.normal(N, M) - 1)


def lines(task, trial):
    """A BatchNormLines, and N and M."""
    N, M = trial.sizes("N M", low=4)
    return task.make("BatchNormLines", trial.uniform(0.5, 2, M), trial.normal(M), 0.1), N, M


def check_A2_2_lines(task, trial):
    """Each line of backward is the gradient of its array, the first one first. (2 points)"""
    layer, N, M = lines(task, trial)
    for n in (N + 1, N):
        layer.run("forward", trial.normal(n, M))
        layer.run("backward", trial.normal(n, M))
    for name in ("dbeta", "dgamma", "dxhat", "ds", "dvar", "dz", "dmean"):
        trial.same(f"self.{name}", getattr(layer.mine, name), getattr(layer.own, name))


def check_A2_2_dx(task, trial):
    """dx is the gradient of the loss with respect to x. (1 point)"""
    layer, N, M = lines(task, trial)
    layer.run("forward", trial.normal(N, M))
    layer.same("dx", "backward", trial.normal(N, M))


def norms(task, trial):
    """Two BatchNorm layers that hold the same running statistics, and N and M."""
    N, M = trial.sizes("N M", low=4)
    gamma, beta, momentum = trial.uniform(0.5, 2, M), trial.normal(M), trial.number(0.1, 0.4)
    mean, var = trial.normal(M).copy(), trial.uniform(0.5, 2, M).copy()
    layer, other = (task.make("BatchNorm", gamma, beta, mean, var, 0.1, momentum)
                    for _ in range(2))
    return layer, other, N, M


def check_A2_3_forward(task, trial):
    """y is normalised with the mean and variance of the batch. (1 point)"""
    layer, _, N, M = norms(task, trial)
    layer.run("forward", trial.normal(N + 1, M))
    layer.same("y", "forward", 2 * trial.normal(N, M) + 1)


def check_A2_3_running(task, trial):
    """The running statistics move by `momentum` of the way, once in each forward, in place."""
    layer, other, N, M = norms(task, trial)
    layer.run("forward", 2 * trial.normal(N, M) + 1)
    layer.run("backward", trial.normal(N, M))
    layer.attributes("running_mean running_var")
    other.attributes("running_mean running_var", "another layer with the same arrays",
                     "Change them in place, with += or *=: others hold them.")


def check_A2_3_predict(task, trial):
    """predict uses the running statistics, takes a single example, and changes nothing."""
    layer, _, N, M = norms(task, trial)
    x, other = trial.normal(N, M), 3 * trial.normal(N, M) - 1
    layer.run("forward", x)
    layer.same("y of predict", "predict", other)
    layer.same("y of predict for one example", "predict", other[:1])
    layer.attributes("running_mean running_var", "a layer after predict")
    layer.same("dx of a backward after predict", "backward", trial.normal(N, M))


def check_A2_3_backward(task, trial):
    """dx, dgamma and dbeta are the gradients of the loss. (2 points)"""
    layer, _, N, M = norms(task, trial)
    layer.run("forward", trial.normal(N + 1, M))
    layer.run("backward", trial.normal(N + 1, M))
    layer.run("forward", 2 * trial.normal(N, M) + 1)
    dx = layer.run("backward", trial.normal(N, M))
    layer.attributes("dbeta dgamma")
    trial.same("dx", *dx)


def convolutions(task, trial):
    """Layers with several paddings, each with two batches of x and dy; as small as can be."""
    (kh, kw), (C, M) = trial.sizes("kh kw", 2, 3), trial.sizes("C M", 2, 4)
    N, (H, width) = trial.size("N", 2, 3), trial.sizes("H W", 4, 6)
    W, b = trial.normal(kh, kw, C, M), trial.normal(M)
    for a, c in ((2, 1), (0, 2), (1, 0)):
        trial.letters.update(a=a, c=c)
        layer = task.make("Conv", W, b, (a, c))
        xs = [trial.normal(N, H, width, C) for _ in range(2)]
        dys = [trial.normal(N, H + 2 * a - kh + 1, width + 2 * c - kw + 1, M) for _ in range(2)]
        yield layer, zip(xs, dys)


def check_A2_4_forward(task, trial):
    """y is the convolution of the framed image with W, plus b. (1 point)"""
    for layer, batches in convolutions(task, trial):
        for x, _ in batches:
            layer.same("y", "forward", x)


def check_A2_4_gradients(task, trial):
    """dx, dW and db are the gradients of the loss. (2 points)"""
    for layer, batches in convolutions(task, trial):
        for x, dy in batches:
            layer.run("forward", x)
            dx = layer.run("backward", dy)
            layer.attributes("db", hint="b is added at every pixel of every image: sum over all "
                             "axes but the last.")
            layer.attributes("dW")
            trial.same("dx", *dx)


def check_A2_5_turned(task, trial):
    """A convolution of dy with turned(W) is dx."""
    (kh, kw), (C, M) = trial.sizes("kh kw", 2, 4), trial.sizes("C M", 2, 4)
    W = trial.normal(kh, kw, C, M)
    got, expected = task.run("turned", W)
    trial.same("turned(W)", got, expected)
    layer, x = task.own.Conv(W, np.zeros(M)), trial.normal(2, kh + 2, kw + 1, C)
    dy = trial.normal(*layer.forward(x).shape)
    back = task.own.Conv(got, np.zeros(C), (kh - 1, kw - 1)).forward(dy)
    trial.same("Conv(turned(W), zeros, padding=(kh - 1, kw - 1)).forward(dy)", back,
               layer.backward(dy))
