"""What is asked of the solutions of A1."""

import numpy as np

GIVEN = {"A1.1": [], "A1.2": [], "A1.3": [], "A1.4": [], "A1.5": ["A1.2"]}


def check_A1_1_double(task, trial):
    """double(x) is 2 x, for any x."""
    task.same("double(x)", "double", trial.normal(*trial.sizes("N D")))


def check_A1_2_forward(task, trial):
    """y is x W + b. (1 point)"""
    N, D, M = trial.sizes("N D M")
    layer = task.make("Linear", trial.normal(D, M), trial.normal(M))
    for n in (N + 1, N):
        layer.same("y", "forward", trial.normal(n, D))


def check_A1_2_gradients(task, trial):
    """dx, dW and db are the gradients of the loss. (2 points)"""
    N, D, M = trial.sizes("N D M")
    layer = task.make("Linear", trial.normal(D, M), trial.normal(M))
    for n in (N, N + 1):
        layer.run("forward", trial.normal(n, D))
        layer.same("dx", "backward", trial.normal(n, M))
        layer.attributes("dW db")


def check_A1_2_halves(task, trial):
    """Two layers side by side, each on half of a batch, have the gradients of their own halves."""
    N, D, M = trial.sizes("N D M")
    W, b = trial.normal(D, M), trial.normal(M)
    layers = [task.make("Linear", W, b) for _ in range(2)]
    for layer in layers:
        layer.run("forward", trial.normal(N, D))
    for layer in layers:
        layer.same("dx of one of two layers", "backward", trial.normal(N, M))
    for layer in layers:
        layer.attributes("dW db", "one of two layers")


def check_A1_3_forward(task, trial):
    """y is 1 / (1 + exp(-x)), also where exp(-x) is infinite. (1 point)"""
    x = trial.normal(*trial.sizes("N M"))
    layer = task.make("Sigmoid")
    layer.same("y", "forward", x)
    layer.same("y for x = -1000 and 1000", "forward", 1000 * np.sign(x))


def check_A1_3_gradients(task, trial):
    """dx is the gradient of the loss with respect to x. (1 point)"""
    N, M = trial.sizes("N M")
    layer = task.make("Sigmoid")
    layer.run("forward", trial.normal(N + 1, M))
    layer.run("forward", trial.normal(N, M))
    layer.same("dx", "backward", trial.normal(N, M))


def check_A1_4_loss(task, trial):
    """loss is the mean of -log p of the right class, also for large predictions. (1 point)"""
    N, K = trial.sizes("N K")
    prediction, target = trial.normal(N, K), trial.labels(N, K)
    loss = task.make("SoftmaxCrossEntropy")
    loss.same("loss", "forward", prediction, target)
    loss.same("loss for predictions around 1000", "forward", prediction + 1000, target)
    for far in ((np.arange(N) % 2)[:, None], np.eye(K)[0]):     # rows, then columns
        loss.same("loss for predictions around 0 and 1000", "forward", prediction + 1000 * far,
                  target)


def check_A1_4_gradient(task, trial):
    """dprediction is the gradient of the mean loss, and asking twice gives the same. (2 points)"""
    N, K = trial.sizes("N K")
    loss = task.make("SoftmaxCrossEntropy")
    loss.run("forward", trial.normal(N + 1, K), trial.labels(N + 1, K))
    loss.run("forward", trial.normal(N, K), trial.labels(N, K))
    loss.same("dprediction", "backward")
    loss.same("dprediction of a second backward", "backward")


def check_A1_5_step(task, trial):
    """Every parameter moves by -lr times its gradient, in place, and the gradients stay."""
    D, M = trial.sizes("D M")
    W, b, dW, db = trial.weights((D, M), (M,), (D, M), (M,))
    layer, other = (task.make("Linear", W, b) for _ in range(2))
    layer.set(dW=dW, db=db)
    task.run("update", layer, trial.number(0.1, 0.9))
    layer.attributes("W b dW db")
    other.attributes("W b", "another layer with the same arrays",
                     "Change them in place, with W -= ... or W[...] = ...: others hold them.")
