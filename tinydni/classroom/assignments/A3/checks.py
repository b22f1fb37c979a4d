"""What is asked of the solutions of A3."""

import numpy as np

GIVEN = {"A3.1": [], "A3.2": [], "A3.3": ["A3.1"], "A3.4": ["A3.1", "A3.3"], "A3.5": []}


def synthesizers(trial, student, reference, H, K):
    """Two synthesizers that hold the same arrays."""
    A, C, b = trial.normal(H, H), trial.normal(K, H), trial.normal(H)

    def make(names):
        weights = A.copy(), C.copy(), b.copy()
        return names.Synthesizer(*weights), names.Synthesizer(*weights)

    return trial.both(make, student, reference)


def check_A3_1_guess(student, reference, trial):
    """delta_hat is h A + context C + b. (1 point)"""
    N, H, K = trial.sizes("N H K")
    guess, _ = synthesizers(trial, student, reference, H, K)
    guess.run("forward", trial.normal(N + 1, H), trial.one_hot(N + 1, K))
    guess.same("delta_hat", "forward", trial.normal(N, H), trial.one_hot(N, K))


def check_A3_1_step(student, reference, trial):
    """learn takes one step down 1/2 ‖delta_hat - delta‖², mean over the batch. (2 points)"""
    N, H, K = trial.sizes("N H K")
    guess, other = synthesizers(trial, student, reference, H, K)
    guess.run("learn", trial.normal(N, H), trial.one_hot(N, K), trial.normal(N, H),
              trial.number(0.1, 0.5))
    guess.attributes("A C b")
    other.attributes("A C b", "another synthesizer with the same arrays",
                     "Change them in place, with A -= ...: others hold them.")


def check_A3_1_late(student, reference, trial):
    """learn uses the guess for the h and context that it is given, not that of the last forward."""
    N, H, K = trial.sizes("N H K")
    guess, _ = synthesizers(trial, student, reference, H, K)
    guess.run("forward", trial.normal(N, H), trial.one_hot(N, K))
    guess.run("learn", trial.normal(N, H), trial.one_hot(N, K), trial.normal(N, H), 0.3)
    guess.attributes("A C b", "a synthesizer that learns late")


def check_A3_2_start(student, reference, trial):
    """The first guess is zero, the gradient of B is not, and A has the right size."""
    H, U = trial.sizes("H U")
    random = trial.normal(H, U)
    A, B = reference.start(random)
    found = student.start(random)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        return trial.parts("A, B", found, (A, B))
    trial.same("B", found[1], B, "Only zeros in the last layer make the first guess zero.")
    trial.same("A", found[0], A)


def values_of(trial, D, H, K):
    """The weights and learning rates of a module."""
    return (0.5 * trial.normal(D, H), trial.normal(H), trial.normal(H, H), trial.normal(K, H),
            trial.normal(H), trial.number(0.2, 0.6), trial.number(0.1, 0.3))


def module_of(names, values):
    """A module with its block and its synthesizer."""
    W, b, A, C, c, lr, rate = values
    block = names.Block(W.copy(), b.copy())
    synthesizer = names.Synthesizer(A.copy(), C.copy(), c.copy())
    return names.DNI(block, lr, synthesizer, rate), block, synthesizer


def check_A3_3_messages(student, reference, trial):
    """dx is made with the weights before the update, and h is the block's output. (2 points)"""
    N, D, H, K = trial.sizes("N D H K")
    values = values_of(trial, D, H, K)
    module, _, _ = trial.both(lambda names: module_of(names, values), student, reference)
    for n in (N, N + 1):
        x, context = trial.normal(n, D), trial.one_hot(n, K)
        module.same("dx, h", "forward_and_synthetic_update", x, context)


def check_A3_3_block(student, reference, trial):
    """The block goes one step down the guessed gradient, the synthesizer none. (1 point)"""
    N, D, H, K = trial.sizes("N D H K")
    values = values_of(trial, D, H, K)
    parts = trial.both(lambda names: module_of(names, values), student, reference)
    module, block, synthesizer = parts
    module.run("forward_and_synthetic_update", trial.normal(N, D), trial.one_hot(N, K))
    block.attributes("W b", "the block")
    synthesizer.attributes("A C b", "the synthesizer, which learns later,")


def check_A3_3_learning(student, reference, trial):
    """update_synthetic_weights teaches the synthesizer N times what came back. (1 point)"""
    N, D, H, K = trial.sizes("N D H K")
    values = values_of(trial, D, H, K)
    parts = trial.both(lambda names: module_of(names, values), student, reference)
    module, block, synthesizer = parts
    for n in (N + 1, N):
        module.run("forward_and_synthetic_update", trial.normal(n, D), trial.one_hot(n, K))
    module.run("update_synthetic_weights", trial.normal(N, H) / N)
    synthesizer.attributes("A C b", "the synthesizer")
    block.attributes("W b", "the block after update_synthetic_weights")


def check_A3_4_step(student, reference, trial):
    """Every message goes to the module right below, and every part takes its step once."""
    N, H, K = trial.sizes("N H K")
    W, b = trial.normal(H, K), trial.normal(K)
    values = [values_of(trial, H, H, K) for _ in range(3)]
    context, lr = trial.one_hot(N, K), trial.number(0.1, 0.5)
    target = context.argmax(axis=1)
    for depth in (3, 1):
        def make(names, depth=depth):
            parts = [part for each in values[:depth] for part in module_of(names, each)]
            return names.Top(W.copy(), b.copy()), *parts

        top, *parts = trial.both(make, student, reference)
        x, modules = trial.normal(N, H), parts[::3]
        mine = student.step(tuple(part.mine for part in modules), top.mine, x, context, target, lr)
        own = reference.step([part.own for part in modules], top.own, x, context, target, lr)
        for k in range(depth):
            parts[3 * k + 1].attributes("W b", f"the block of module {k} of {depth}")
            parts[3 * k + 2].attributes("A C b", f"the synthesizer of module {k} of {depth}")
        top.attributes("W b", "the top")
        trial.same("the loss", mine, own)


def check_A3_5_slips(student, reference, trial):
    """W goes down the guessed gradient of the loss, and S down its squared error."""
    N, D, H = trial.sizes("N D H")
    W, S, lr = trial.normal(D, H), trial.normal(H, H), trial.number(0.01, 0.1)
    attempt = trial.both(lambda names: names.FirstAttempt(W.copy(), S.copy(), lr), student,
                         reference)
    for _ in range(2):
        attempt.same("dx, h", "forward_and_synthetic_update", trial.normal(N, D))
        attempt.run("update_synthetic_weights", trial.normal(N, H))
        attempt.attributes("W S")


def check_A3_5_error(student, reference, trial):
    """Taught the same gradient again and again, S comes nearer to it."""
    N, D, H = trial.sizes("N D H")
    W, S = trial.normal(D, H), trial.normal(H, H)
    attempt = trial.both(lambda names: names.FirstAttempt(W.copy(), S.copy(), 0.01), student,
                         reference)
    x, gradient = trial.normal(N, D), trial.normal(N, H)
    for _ in range(5):
        attempt.run("forward_and_synthetic_update", x)
        attempt.run("update_synthetic_weights", gradient)
    errors = [np.sum((attempt.own.h @ each - gradient) ** 2) for each in (attempt.mine.S, S)]
    trial.same("whether the error falls", float(errors[0] < errors[1]), 1.0, "S climbs.")
