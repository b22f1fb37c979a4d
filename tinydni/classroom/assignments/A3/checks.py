"""What is asked of the solutions of A3."""

import numpy as np

GIVEN = {"A3.1": [], "A3.2": [], "A3.3": ["A3.1"], "A3.4": ["A3.1", "A3.3"], "A3.5": []}


def synthesizers(task, trial):
    """Two synthesizers that hold the same arrays, and N, H and K."""
    N, H, K = trial.sizes("N H K")
    weights = trial.weights((H, H), (K, H), (H,))
    guess, other = (task.make("Synthesizer", *weights) for _ in range(2))
    return guess, other, N, H, K


def check_A3_1_guess(task, trial):
    """delta_hat is h A + context C + b. (1 point)"""
    guess, _, N, H, K = synthesizers(task, trial)
    guess.run("forward", trial.normal(N + 1, H), trial.one_hot(N + 1, K))
    guess.same("delta_hat", "forward", trial.normal(N, H), trial.one_hot(N, K))


def check_A3_1_step(task, trial):
    """learn takes one step down 1/2 ‖delta_hat - delta‖², mean over the batch. (2 points)"""
    guess, other, N, H, K = synthesizers(task, trial)
    guess.run("learn", trial.normal(N, H), trial.one_hot(N, K), trial.normal(N, H),
              trial.number(0.1, 0.5))
    guess.attributes("A C b")
    other.attributes("A C b", "another synthesizer with the same arrays",
                     "Change them in place, with A -= ...: others hold them.")


def check_A3_1_late(task, trial):
    """learn uses the guess for the h and context that it is given, not that of the last forward."""
    guess, _, N, H, K = synthesizers(task, trial)
    guess.run("forward", trial.normal(N, H), trial.one_hot(N, K))
    guess.run("learn", trial.normal(N, H), trial.one_hot(N, K), trial.normal(N, H), 0.3)
    guess.attributes("A C b", "a synthesizer that learns late")


def check_A3_2_start(task, trial):
    """The first guess is zero, the gradient of B is not, and A has the right size."""
    found, (A, B) = task.run("start", trial.normal(*trial.sizes("H U")))
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        return trial.parts("A, B", found, (A, B))
    trial.same("B", found[1], B, "Only zeros in the last layer make the first guess zero.")
    trial.same("A", found[0], A)


def module(task, trial, D, H, K):
    """A DNI module, its block and its synthesizer."""
    block = task.make("Block", 0.5 * trial.normal(D, H), *trial.weights((H,)))
    synthesizer = task.make("Synthesizer", *trial.weights((H, H), (K, H), (H,)))
    lr, rate = trial.number(0.2, 0.6), trial.number(0.1, 0.3)
    return task.make("DNI", block, lr, synthesizer, rate), block, synthesizer


def check_A3_3_messages(task, trial):
    """dx is made with the weights before the update, and h is the block's output. (2 points)"""
    N, D, H, K = trial.sizes("N D H K")
    dni, _, _ = module(task, trial, D, H, K)
    for n in (N, N + 1):
        dni.same("dx, h", "forward_and_synthetic_update", trial.normal(n, D), trial.one_hot(n, K))


def check_A3_3_block(task, trial):
    """The block goes one step down the guessed gradient, the synthesizer none. (1 point)"""
    N, D, H, K = trial.sizes("N D H K")
    dni, block, synthesizer = module(task, trial, D, H, K)
    dni.run("forward_and_synthetic_update", trial.normal(N, D), trial.one_hot(N, K))
    block.attributes("W b", "the block")
    synthesizer.attributes("A C b", "the synthesizer, which learns later,")


def check_A3_3_learning(task, trial):
    """update_synthetic_weights teaches the synthesizer N times what came back. (1 point)"""
    N, D, H, K = trial.sizes("N D H K")
    dni, block, synthesizer = module(task, trial, D, H, K)
    for n in (N + 1, N):
        dni.run("forward_and_synthetic_update", trial.normal(n, D), trial.one_hot(n, K))
    dni.run("update_synthetic_weights", trial.normal(N, H) / N)
    synthesizer.attributes("A C b", "the synthesizer")
    block.attributes("W b", "the block after update_synthetic_weights")


def check_A3_4_step(task, trial):
    """Every message goes to the module right below, and every part takes its step once."""
    N, H, K = trial.sizes("N H K")
    for depth in (3, 1):
        top = task.make("Top", *trial.weights((H, K), (K,)))
        modules, blocks, synthesizers = zip(*(module(task, trial, H, H, K) for _ in range(depth)))
        context, lr = trial.one_hot(N, K), trial.number(0.1, 0.5)
        loss = task.run("step", modules, top, trial.normal(N, H), context, context.argmax(axis=1),
                        lr)
        for k in range(depth):
            blocks[k].attributes("W b", f"the block of module {k} of {depth}")
            synthesizers[k].attributes("A C b", f"the synthesizer of module {k} of {depth}")
        top.attributes("W b", "the top")
        trial.same("the loss", *loss)


def attempt(task, trial, lr):
    """A FirstAttempt, its S at the start, and x and gradients of its shapes."""
    N, D, H = trial.sizes("N D H")
    W, S = trial.normal(D, H), trial.normal(H, H)
    xs, gradients = ([trial.normal(N, n) for _ in range(2)] for n in (D, H))
    return task.make("FirstAttempt", W.copy(), S.copy(), lr), S, xs, gradients


def check_A3_5_slips(task, trial):
    """W goes down the guessed gradient of the loss, and S down its squared error."""
    first, _, xs, gradients = attempt(task, trial, trial.number(0.01, 0.1))
    for x, gradient in zip(xs, gradients):
        first.same("dx, h", "forward_and_synthetic_update", x)
        first.run("update_synthetic_weights", gradient)
        first.attributes("W S")


def check_A3_5_error(task, trial):
    """Taught the same gradient again and again, S comes nearer to it."""
    first, S, (x, _), (gradient, _) = attempt(task, trial, 0.01)
    for _ in range(5):
        first.run("forward_and_synthetic_update", x)
        first.run("update_synthetic_weights", gradient)
    errors = [np.sum((first.own.h @ each - gradient) ** 2) for each in (first.mine.S, S)]
    trial.same("whether the error falls", float(errors[0] < errors[1]), 1.0, "S climbs.")
