"""What is asked of the solutions of A2."""

import numpy as np

GIVEN = {"A2.1": [], "A2.2": ["A2.1"], "A2.3": ["A2.1"], "A2.4": [], "A2.5": ["A2.4"]}
LINES = "dbeta dgamma dxhat ds dvar dz dmean"


def check_A2_1_forward(student, reference, trial):
    """y is x minus its mean over the batch."""
    x = trial.normal(*trial.sizes("N M"))
    trial.both(lambda names: names.Centre(), student, reference).same("y", "forward", x + 1)


def check_A2_1_gradients(student, reference, trial):
    """dx is the gradient of the loss, the way through the mean included."""
    N, M = trial.sizes("N M")
    layer = trial.both(lambda names: names.Centre(), student, reference)
    layer.run("forward", trial.normal(N + 1, M))
    layer.run("forward", trial.normal(N, M) + 1)
    layer.same("dx", "backward", trial.normal(N, M) - 1)


def check_A2_2_lines(student, reference, trial):
    """Each line of backward is the gradient of its array, the first one first. (2 points)"""
    N, M = trial.sizes("N M", low=4)
    gamma, beta = trial.uniform(0.5, 2, M), trial.normal(M)
    layer = trial.both(lambda names: names.BatchNormLines(gamma, beta, 0.1), student, reference)
    for n in (N + 1, N):
        layer.run("forward", trial.normal(n, M))
        layer.run("backward", trial.normal(n, M))
    for name in LINES.split():
        trial.same(f"self.{name}", getattr(layer.mine, name), getattr(layer.own, name))


def check_A2_2_dx(student, reference, trial):
    """dx is the gradient of the loss with respect to x. (1 point)"""
    N, M = trial.sizes("N M", low=4)
    gamma, beta = trial.uniform(0.5, 2, M), trial.normal(M)
    layer = trial.both(lambda names: names.BatchNormLines(gamma, beta, 0.1), student, reference)
    layer.run("forward", trial.normal(N, M))
    layer.same("dx", "backward", trial.normal(N, M))


def norm(trial, student, reference):
    """Two BatchNorm layers that hold the same running statistics, and N and M."""
    N, M = trial.sizes("N M", low=4)
    gamma, beta, momentum = trial.uniform(0.5, 2, M), trial.normal(M), trial.number(0.1, 0.4)
    mean, var = trial.normal(M), trial.uniform(0.5, 2, M)

    def make(names):
        running = mean.copy(), var.copy()
        return tuple(names.BatchNorm(gamma, beta, *running, 0.1, momentum) for _ in range(2))

    return *trial.both(make, student, reference), N, M


def check_A2_3_forward(student, reference, trial):
    """y is normalised with the mean and variance of the batch. (1 point)"""
    layer, _, N, M = norm(trial, student, reference)
    layer.run("forward", trial.normal(N + 1, M))
    layer.same("y", "forward", 2 * trial.normal(N, M) + 1)


def check_A2_3_running(student, reference, trial):
    """The running statistics move by `momentum` of the way, once in each forward, in place."""
    layer, other, N, M = norm(trial, student, reference)
    layer.run("forward", 2 * trial.normal(N, M) + 1)
    layer.run("backward", trial.normal(N, M))
    layer.attributes("running_mean running_var")
    other.attributes("running_mean running_var", "another layer with the same arrays",
                     "Change them in place, with += or *=: others hold them.")


def check_A2_3_predict(student, reference, trial):
    """predict uses the running statistics, takes a single example, and changes nothing."""
    layer, _, N, M = norm(trial, student, reference)
    x, other = trial.normal(N, M), 3 * trial.normal(N, M) - 1
    layer.run("forward", x)
    layer.same("y of predict", "predict", other)
    layer.same("y of predict for one example", "predict", other[:1].copy())
    layer.attributes("running_mean running_var", "a layer after predict")
    layer.same("dx of a backward after predict", "backward", trial.normal(N, M))


def check_A2_3_backward(student, reference, trial):
    """dx, dgamma and dbeta are the gradients of the loss. (2 points)"""
    layer, _, N, M = norm(trial, student, reference)
    layer.run("forward", trial.normal(N + 1, M))
    layer.run("backward", trial.normal(N + 1, M))
    layer.run("forward", 2 * trial.normal(N, M) + 1)
    dy = trial.normal(N, M)
    got, dx = layer.mine.backward(dy), layer.own.backward(dy)
    layer.attributes("dbeta dgamma")
    trial.same("dx", got, dx)


def convs(trial, student, reference):
    """Layers with several paddings, each with two batches of x and dy; as small as can be."""
    (kh, kw), (C, M) = trial.sizes("kh kw", 2, 3), trial.sizes("C M", 2, 4)
    N, (H, width) = trial.size("N", 2, 3), trial.sizes("H W", 4, 6)
    W, b = trial.normal(kh, kw, C, M), trial.normal(M)
    for padding in ((2, 1), (0, 2), (1, 0)):
        trial.letters.update(a=padding[0], c=padding[1])
        layer = trial.both(lambda names, padding=padding: names.Conv(W, b, padding), student,
                           reference)
        xs = [trial.normal(N, H, width, C) for _ in range(2)]
        shape = N, H + 2 * padding[0] - kh + 1, width + 2 * padding[1] - kw + 1, M
        yield layer, xs, [trial.normal(*shape) for _ in range(2)]


def check_A2_4_forward(student, reference, trial):
    """y is the convolution of the framed image with W, plus b. (1 point)"""
    for layer, xs, _ in convs(trial, student, reference):
        for x in xs:
            layer.same("y", "forward", x)


def check_A2_4_gradients(student, reference, trial):
    """dx, dW and db are the gradients of the loss. (2 points)"""
    for layer, xs, dys in convs(trial, student, reference):
        for x, dy in zip(xs, dys):
            layer.run("forward", x)
            got, dx = layer.mine.backward(dy), layer.own.backward(dy)
            trial.same("db", layer.mine.db, layer.own.db, "b is added at every pixel of every "
                       "image: sum over all axes but the last.")
            layer.attributes("dW")
            trial.same("dx", got, dx)


def check_A2_5_turned(student, reference, trial):
    """A convolution of dy with turned(W) is dx."""
    (kh, kw), (C, M) = trial.sizes("kh kw", 2, 4), trial.sizes("C M", 2, 4)
    W = trial.normal(kh, kw, C, M)
    got = student.turned(W)
    trial.same("turned(W)", got, reference.turned(W))
    layer, x = reference.Conv(W, np.zeros(M)), trial.normal(2, kh + 2, kw + 1, C)
    dy = trial.normal(*layer.forward(x).shape)
    back = reference.Conv(got, np.zeros(C), (kh - 1, kw - 1)).forward(dy)
    trial.same("Conv(turned(W), zeros, padding=(kh - 1, kw - 1)).forward(dy)", back,
               layer.backward(dy))
