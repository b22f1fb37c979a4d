"""What is asked of the solutions of A4."""

import numpy as np

GIVEN = {"A4.1": [], "A4.2": ["A4.1"], "A4.3": [], "A4.4": ["A4.1", "A4.2", "A4.3"], "A4.5": []}


def check_A4_1_forward(student, reference, trial):
    """p is the softmax of every row, also for large numbers."""
    z = trial.normal(*trial.sizes("N K"))
    layer = trial.both(lambda names: names.Softmax(), student, reference)
    layer.same("p", "forward", z)
    for far in (np.sign(z[:, :1]), np.sign(z[:1])):             # rows, then columns
        layer.same("p for numbers around 1000", "forward", z + 1000 * far)


def check_A4_1_backward(student, reference, trial):
    """dz is the gradient of the loss with respect to z."""
    N, K = trial.sizes("N K")
    layer = trial.both(lambda names: names.Softmax(), student, reference)
    for n in (N + 1, N):
        layer.run("forward", trial.normal(n, K))
        layer.same("dz", "backward", trial.normal(n, K))


def virtual(trial, student, reference):
    """A VirtualLinear, and N, H and K."""
    N, H, K = trial.sizes("N H K")
    V, c = trial.normal(H, K), trial.normal(K)
    guess = trial.both(lambda names: names.VirtualLinear(V.copy(), c.copy()), student, reference)
    return guess, N, H, K


def check_A4_2_guess(student, reference, trial):
    """delta_hat is the gradient of the virtual network's cross-entropy. (1 point)"""
    guess, N, H, K = virtual(trial, student, reference)
    for n in (N + 1, N):
        guess.same("delta_hat", "forward", trial.normal(n, H), trial.one_hot(n, K))


def check_A4_2_second_order(student, reference, trial):
    """dV and dc are the gradients of delta_hat: V is heard in both places. (2 points)"""
    guess, N, H, K = virtual(trial, student, reference)
    for n in (N + 1, N):
        guess.run("forward", trial.normal(n, H), trial.one_hot(n, K))
        guess.run("backward", trial.normal(n, H))
        guess.attributes("dV dc")


def check_A4_2_learning(student, reference, trial):
    """Several steps of learn, which is given, lead where they should."""
    guess, N, H, K = virtual(trial, student, reference)
    for _ in range(3):
        guess.run("learn", trial.normal(N, H), trial.one_hot(N, K), trial.normal(N, H), 0.1)
    guess.attributes("V c")


def rnn_values(trial):
    """(x, state), (Wx, Wh, b), and the shapes of dy and dend."""
    (N, D, H), T = trial.sizes("N D H", 2, 5), trial.size("T", 3, 4)
    inputs = trial.normal(N, T, D), trial.normal(N, H)
    return inputs, (trial.normal(D, H), 0.7 * trial.normal(H, H), trial.normal(H)), (N, T, H)


def check_A4_3_weights(student, reference, trial):
    """dWx, dWh and db hear every step, and what comes from beyond the window. (2 points)"""
    inputs, weights, (N, T, H) = rnn_values(trial)
    rnn = trial.both(lambda names: names.RNN(*weights), student, reference)
    for _ in range(2):
        rnn.run("forward", *inputs)
        rnn.run("backward", trial.normal(N, T, H), trial.normal(N, H))
        rnn.attributes("dWh dWx db")


def check_A4_3_inputs(student, reference, trial):
    """dx and dstate are the gradients of the loss. (1 point)"""
    inputs, weights, (N, T, H) = rnn_values(trial)
    rnn = trial.both(lambda names: names.RNN(*weights), student, reference)
    rnn.run("forward", *inputs)
    rnn.same("dx, dstate", "backward", trial.normal(N, T, H), trial.normal(N, H))


WINDOWS = ((True, False), (False, False), (False, True), (True, False), (False, True))


def windows(trial, student, reference):
    """Windows, its rnn and its synthesizer, and N, T, D, H, K."""
    (N, D, H, K), T = trial.sizes("N D H K"), trial.size("T", 2, 3)
    Wx, Wh, b = trial.normal(D, H), 0.7 * trial.normal(H, H), trial.normal(H)
    V, c = trial.normal(H, K), trial.normal(K)
    rates = trial.number(0.1, 0.3), trial.number(0.02, 0.1), trial.number(0.3, 0.8)

    def make(names):
        rnn = names.RNN(Wx.copy(), Wh.copy(), b.copy())
        guess = names.VirtualLinear(V.copy(), c.copy())
        return names.Windows(rnn, rates[0], guess, *rates[1:]), rnn, guess

    return *trial.both(make, student, reference), (N, T, D, H, K)


def check_A4_4_states(student, reference, trial):
    """The outputs are right, window by window. (1 point)"""
    net, _, _, (N, T, D, H, K) = windows(trial, student, reference)
    for number, (first, _) in enumerate(WINDOWS, start=1):
        net.same(f"y of window {number}", "forward", trial.normal(N, T, D), first)


def check_A4_4_learning(student, reference, trial):
    """dx, the rnn and the synthesizer are right, window by window. (2 points)"""
    net, rnn, guess, (N, T, D, H, K) = windows(trial, student, reference)
    for number, (first, last) in enumerate(WINDOWS, start=1):
        context = trial.one_hot(N, K)
        place = "first" if first else "last" if last else "middle"
        which = f"window {number} ({place} of a sequence)"
        net.run("forward", trial.normal(N, T, D), first)
        net.same(f"dx of {which}", "backward", trial.normal(N, T, H) / N, context, last)
        rnn.attributes("Wx Wh b", f"the rnn after {which}")
        guess.attributes("V c", f"the synthesizer after {which}")


def samples(trial):
    """x (N, D), y (M, D) and the width s."""
    N, M, D = trial.sizes("N M D")
    return trial.normal(N, D), trial.normal(M, D) + 0.5, trial.number(1, 4)


def check_A4_5_loss(student, reference, trial):
    """loss is the squared discrepancy, with means over all pairs. (1 point)"""
    x, y, s = samples(trial)
    loss = trial.both(lambda names: names.MMD(s), student, reference)
    loss.same("loss", "forward", x, y)
    loss.same("loss of the points in another order", "forward", x[::-1].copy(), y[::-1].copy())


def check_A4_5_gradient(student, reference, trial):
    """dprediction is the gradient of the loss. (2 points)"""
    x, y, s = samples(trial)
    loss = trial.both(lambda names: names.MMD(s), student, reference)
    loss.run("forward", y, x)
    loss.run("forward", x, y)
    loss.same("dprediction", "backward")
