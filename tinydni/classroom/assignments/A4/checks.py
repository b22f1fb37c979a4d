"""What is asked of the solutions of A4."""

import numpy as np

GIVEN = {"A4.1": [], "A4.2": ["A4.1"], "A4.3": [], "A4.4": ["A4.1", "A4.2", "A4.3"], "A4.5": []}


def check_A4_1_forward(task, trial):
    """p is the softmax of every row, also for large numbers."""
    z = trial.normal(*trial.sizes("N K"))
    layer = task.make("Softmax")
    layer.same("p", "forward", z)
    for far in (np.sign(z[:, :1]), np.sign(z[:1])):             # rows, then columns
        layer.same("p for numbers around 1000", "forward", z + 1000 * far)


def check_A4_1_backward(task, trial):
    """dz is the gradient of the loss with respect to z."""
    N, K = trial.sizes("N K")
    layer = task.make("Softmax")
    for n in (N + 1, N):
        layer.run("forward", trial.normal(n, K))
        layer.same("dz", "backward", trial.normal(n, K))


def virtual(task, trial):
    """A VirtualLinear, and N, H and K."""
    N, H, K = trial.sizes("N H K")
    return task.make("VirtualLinear", *trial.weights((H, K), (K,))), N, H, K


def check_A4_2_guess(task, trial):
    """delta_hat is the gradient of the virtual network's cross-entropy. (1 point)"""
    guess, N, H, K = virtual(task, trial)
    for n in (N + 1, N):
        guess.same("delta_hat", "forward", trial.normal(n, H), trial.one_hot(n, K))


def check_A4_2_second_order(task, trial):
    """dV and dc are the gradients of delta_hat: V is heard in both places. (2 points)"""
    guess, N, H, K = virtual(task, trial)
    for n in (N + 1, N):
        guess.run("forward", trial.normal(n, H), trial.one_hot(n, K))
        guess.run("backward", trial.normal(n, H))
        guess.attributes("dV dc")


def check_A4_2_learning(task, trial):
    """Several steps of learn, which is given, lead where they should."""
    guess, N, H, K = virtual(task, trial)
    for _ in range(3):
        guess.run("learn", trial.normal(N, H), trial.one_hot(N, K), trial.normal(N, H), 0.1)
    guess.attributes("V c")


def recurrent(task, trial):
    """An RNN, its x and state, and the shapes of dy and dend."""
    (N, D, H), T = trial.sizes("N D H", 2, 5), trial.size("T", 3, 4)
    rnn = task.make("RNN", trial.normal(D, H), 0.7 * trial.normal(H, H), trial.normal(H))
    return rnn, (trial.normal(N, T, D), trial.normal(N, H)), (N, T, H), (N, H)


def check_A4_3_weights(task, trial):
    """dWx, dWh and db hear every step, and what comes from beyond the window. (2 points)"""
    rnn, inputs, dy, dend = recurrent(task, trial)
    for _ in range(2):
        rnn.run("forward", *inputs)
        rnn.run("backward", trial.normal(*dy), trial.normal(*dend))
        rnn.attributes("dWh dWx db")


def check_A4_3_inputs(task, trial):
    """dx and dstate are the gradients of the loss. (1 point)"""
    rnn, inputs, dy, dend = recurrent(task, trial)
    rnn.run("forward", *inputs)
    rnn.same("dx, dstate", "backward", trial.normal(*dy), trial.normal(*dend))


WINDOWS = ((True, False), (False, False), (False, True), (True, False), (False, True))


def windows(task, trial):
    """Windows, its rnn and its synthesizer, and N, T, D, H, K."""
    (N, D, H, K), T = trial.sizes("N D H K"), trial.size("T", 2, 3)
    Wx, Wh, b = trial.weights((D, H), (H, H), (H,))
    rnn = task.make("RNN", Wx, 0.7 * Wh, b)
    guess = task.make("VirtualLinear", *trial.weights((H, K), (K,)))
    net = task.make("Windows", rnn, trial.number(0.1, 0.3), guess, trial.number(0.02, 0.1),
                    trial.number(0.3, 0.8))
    return net, rnn, guess, (N, T, D, H, K)


def check_A4_4_states(task, trial):
    """The outputs are right, window by window. (1 point)"""
    net, _, _, (N, T, D, H, K) = windows(task, trial)
    for number, (first, _) in enumerate(WINDOWS, start=1):
        net.same(f"y of window {number}", "forward", trial.normal(N, T, D), first)


def check_A4_4_learning(task, trial):
    """dx, the rnn and the synthesizer are right, window by window. (2 points)"""
    net, rnn, guess, (N, T, D, H, K) = windows(task, trial)
    for number, (first, last) in enumerate(WINDOWS, start=1):
        context = trial.one_hot(N, K)
        place = "first" if first else "last" if last else "middle"
        which = f"window {number} ({place} of a sequence)"
        net.run("forward", trial.normal(N, T, D), first)
        net.same(f"dx of {which}", "backward", trial.normal(N, T, H) / N, context, last)
        rnn.attributes("Wx Wh b", f"the rnn after {which}")
        guess.attributes("V c", f"the synthesizer after {which}")


def discrepancy(task, trial):
    """An MMD, and points x (N, D) and y (M, D)."""
    N, M, D = trial.sizes("N M D")
    x, y = trial.normal(N, D), trial.normal(M, D) + 0.5
    return task.make("MMD", trial.number(1, 4)), x, y


def check_A4_5_loss(task, trial):
    """loss is the squared discrepancy, with means over all pairs. (1 point)"""
    loss, x, y = discrepancy(task, trial)
    loss.same("loss", "forward", x, y)
    loss.same("loss of the points in another order", "forward", x[::-1], y[::-1])


def check_A4_5_gradient(task, trial):
    """dprediction is the gradient of the loss. (2 points)"""
    loss, x, y = discrepancy(task, trial)
    loss.run("forward", y, x)
    loss.run("forward", x, y)
    loss.same("dprediction", "backward")
