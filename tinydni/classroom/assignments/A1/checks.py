"""What is asked of the solutions of A1."""

import numpy as np

GIVEN = {"A1.1": [], "A1.2": [], "A1.3": [], "A1.4": [], "A1.5": ["A1.2"]}


def check_A1_1_double(student, reference, trial):
    """double(x) is 2 x, for any x."""
    x = trial.normal(*trial.sizes("N D"))
    trial.same("double(x)", student.double(x), reference.double(x))


def linear(trial, student, reference):
    """A Linear layer that has seen another batch before, N and D and M."""
    N, D, M = trial.sizes("N D M")
    W, b = trial.normal(D, M), trial.normal(M)
    layer = trial.both(lambda names: names.Linear(W, b), student, reference)
    layer.run("forward", trial.normal(N + 1, D))
    layer.run("backward", trial.normal(N + 1, M))
    return layer, N, D, M


def check_A1_2_forward(student, reference, trial):
    """y is x W + b. (1 point)"""
    N, D, M = trial.sizes("N D M")
    W, b = trial.normal(D, M), trial.normal(M)
    layer = trial.both(lambda names: names.Linear(W, b), student, reference)
    for n in (N + 1, N):
        layer.same("y", "forward", trial.normal(n, D))


def check_A1_2_gradients(student, reference, trial):
    """dx, dW and db are the gradients of the loss. (2 points)"""
    layer, N, D, M = linear(trial, student, reference)
    layer.run("forward", trial.normal(N, D))
    layer.same("dx", "backward", trial.normal(N, M))
    layer.attributes("dW db")


def check_A1_2_halves(student, reference, trial):
    """Two layers side by side, each on half of a batch, have the gradients of their own halves."""
    N, D, M = trial.sizes("N D M")
    W, b = trial.normal(D, M), trial.normal(M)

    def make(names):
        return names.Linear(W, b), names.Linear(W, b)

    layers = trial.both(make, student, reference)
    for layer in layers:
        layer.run("forward", trial.normal(N, D))
    for layer in layers:
        layer.same("dx of one of two layers", "backward", trial.normal(N, M))
    for layer in layers:
        layer.attributes("dW db", "one of two layers")


def check_A1_3_forward(student, reference, trial):
    """y is 1 / (1 + exp(-x)), also where exp(-x) is infinite. (1 point)"""
    x = trial.normal(*trial.sizes("N M"))
    layer = trial.both(lambda names: names.Sigmoid(), student, reference)
    layer.same("y", "forward", x)
    layer.same("y for x = -1000 and 1000", "forward", 1000 * np.sign(x))


def check_A1_3_gradients(student, reference, trial):
    """dx is the gradient of the loss with respect to x. (1 point)"""
    N, M = trial.sizes("N M")
    layer = trial.both(lambda names: names.Sigmoid(), student, reference)
    layer.run("forward", trial.normal(N + 1, M))
    layer.run("forward", trial.normal(N, M))
    layer.same("dx", "backward", trial.normal(N, M))


def check_A1_4_loss(student, reference, trial):
    """loss is the mean of -log p of the right class, also for large predictions. (1 point)"""
    N, K = trial.sizes("N K")
    prediction, target = trial.normal(N, K), trial.labels(N, K)
    loss = trial.both(lambda names: names.SoftmaxCrossEntropy(), student, reference)
    loss.same("loss", "forward", prediction, target)
    loss.same("loss for predictions around 1000", "forward", prediction + 1000, target)
    for far in ((np.arange(N) % 2)[:, None], np.eye(K)[0]):     # rows, then columns
        loss.same("loss for predictions around 0 and 1000", "forward", prediction + 1000 * far,
                  target)


def check_A1_4_gradient(student, reference, trial):
    """dprediction is the gradient of the mean loss, and asking twice gives the same. (2 points)"""
    N, K = trial.sizes("N K")
    loss = trial.both(lambda names: names.SoftmaxCrossEntropy(), student, reference)
    loss.run("forward", trial.normal(N + 1, K), trial.labels(N + 1, K))
    loss.run("forward", trial.normal(N, K), trial.labels(N, K))
    loss.same("dprediction", "backward")
    loss.same("dprediction of a second backward", "backward")


def check_A1_5_step(student, reference, trial):
    """Every parameter moves by -lr times its gradient, in place, and the gradients stay."""
    D, M = trial.sizes("D M")
    W, b, dW, db = trial.normal(D, M), trial.normal(M), trial.normal(D, M), trial.normal(M)
    lr = trial.number(0.1, 0.9)

    def make(names):
        weights = W.copy(), b.copy()
        layer, other = names.Linear(*weights), names.Linear(*weights)
        layer.dW, layer.db = dW.copy(), db.copy()
        return layer, other

    layer, other = trial.both(make, student, reference)
    student.update(layer.mine, lr)
    reference.update(layer.own, lr)
    layer.attributes("W b dW db")
    other.attributes("W b", "another layer with the same arrays",
                     "Change them in place, with W -= ... or W[...] = ...: others hold them.")
