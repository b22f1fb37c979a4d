"""What is asked of the solutions of A3."""

import numpy as np

from tinydni.classroom.judge import Wrong, same


def make_synthesizer(names, draw, H, K):
    """A synthesizer with random weights."""
    return names.Synthesizer(draw.normal(H, H).copy(), draw.normal(K, H).copy(), draw.normal(H).copy())


def copied(names, synthesizer):
    """The same synthesizer once more, from the solution or from the reference."""
    return names.Synthesizer(synthesizer.A.copy(), synthesizer.C.copy(), synthesizer.b.copy())


def check_A3_1_guess(student, reference, draw):
    """delta_hat is h A + context C + b."""
    N, H, K = draw.sizes(3)
    own, h, context = make_synthesizer(reference, draw, H, K), draw.normal(N, H), draw.one_hot(N, K)
    same("delta_hat", copied(student, own).forward(h, context), own.forward(h, context),
         {"the bias is forgotten": h @ own.A + context @ own.C, "the context is forgotten": h @ own.A + own.b,
          "h is forgotten": context @ own.C + own.b, "A is transposed": h @ own.A.T + context @ own.C + own.b})


def check_A3_1_step(student, reference, draw):
    """learn takes one step down 1/2 ‖delta_hat - delta‖², mean over the batch, in A, C and b."""
    N, H, K = draw.sizes(3)
    before, lr = make_synthesizer(reference, draw, H, K), draw.number(0.1, 0.5)
    h, context, delta = draw.normal(N, H), draw.one_hot(N, K), draw.normal(N, H)
    mine, own = copied(student, before), copied(reference, before)
    held = mine.A
    mine.learn(h, context, delta, lr)
    own.learn(h, context, delta, lr)
    for name in own.parameters:
        old, step = getattr(before, name), getattr(own, name) - getattr(before, name)
        same(f"the step of {name}", getattr(mine, name) - old, step,
             {f"it climbs: the step of {name} has the wrong sign": -step,
              f"{name} is not learned": 0 * step, f"{name} is replaced by its step": step - old,
              "the learning rate is forgotten": step / lr,
              "the derivative of a square without the 1/2 in front of it, a factor 2 too much": 2 * step,
              "the mean runs over the features, too": step / H},
             {"the batch size N": N, "the number of features H": H})
    if mine.A is not held:
        raise Wrong("learn puts a new array in the place of A", "Change it in place, with A -= ...: others hold it.")


def check_A3_1_late(student, reference, draw):
    """learn uses the guess for the h and context that it is given, not that of the last forward."""
    N, H, K = draw.sizes(3)
    before = make_synthesizer(reference, draw, H, K)
    mine, own = copied(student, before), copied(reference, before)
    h, context, delta = draw.normal(N, H), draw.one_hot(N, K), draw.normal(N, H)
    other = draw.normal(N, H), draw.one_hot(N, K)
    stale = before.A - 0.3 * h.T @ (own.forward(*other) - delta) / N
    own.learn(h, context, delta, 0.3)
    mine.forward(*other)
    mine.learn(h, context, delta, 0.3)
    same("A after a late delta", mine.A, own.A,
         {"the guess is that of the last forward, which saw another h (stale)": stale})


def check_A3_1_halves(student, reference, draw):
    """A step on a batch that holds every example twice is the step on the batch."""
    N, H, K = draw.sizes(3)
    once = make_synthesizer(student, draw, H, K)
    twice = copied(student, once)
    h, context, delta = draw.normal(N, H), draw.one_hot(N, K), draw.normal(N, H)
    once.learn(h, context, delta, 0.3)
    twice.learn(np.tile(h, (2, 1)), np.tile(context, (2, 1)), np.tile(delta, (2, 1)), 0.3)
    same("A after a step on every example twice", twice.A, once.A)


def check_A3_2_start(student, reference, draw):
    """The first guess is zero, and the gradient of B is not."""
    H, U, N = draw.sizes(3)
    random = draw.normal(H, U)
    found = student.start(random)
    if not isinstance(found, tuple) or len(found) != 2:
        raise Wrong("start does not return two arrays, A and B")
    A, B = found
    for name, got, right in zip("AB", found, reference.start(random)):
        if got is None or np.shape(got) != right.shape:
            raise Wrong(f"{name} has shape {np.shape(got)}, expected {right.shape}")
    hidden = np.maximum(draw.normal(N, H) @ A, 0)
    if not A.any() and not B.any():
        raise Wrong("A and B are both zero",
                    "Two zero layers never learn: the gradient of each is a product with the other.")
    if np.abs(hidden @ B).max() > 0:
        raise Wrong("the first guess is not zero", "Only the last layer, B, may and must start at zero.")
    if not hidden.any():
        raise Wrong("the gradient of B is zero",
                    "A is zero, so the hidden layer says nothing; only B may start at zero.")
    same("A", A, reference.start(random)[0], {
        "the standard deviation is 1, not sqrt(2 / H)": random,
        "the variance is used for the standard deviation": random * 2 / H,
        "U stands where H belongs: H numbers go into the hidden layer": random * np.sqrt(2 / U)})


def pair(found):
    """What forward_and_synthetic_update returned. Raises Wrong unless it is two things."""
    if not isinstance(found, tuple) or len(found) != 2:
        raise Wrong("forward_and_synthetic_update does not return two arrays, dx and h")
    return found


def make_module(names, reference, values):
    """A module of the solution or the reference with given weights; its block and synthesizer are the reference's."""
    W, b, A, C, c, lr, synthesizer_lr = values
    return names.DNI(reference.Block(W.copy(), b.copy()), lr,
                     reference.Synthesizer(A.copy(), C.copy(), c.copy()), synthesizer_lr)


def module_values(draw, D, H, K):
    return (0.5 * draw.normal(D, H), draw.normal(H), draw.normal(H, H), draw.normal(K, H), draw.normal(H),
            draw.number(0.2, 0.6), draw.number(0.1, 0.3))


def check_A3_3_messages(student, reference, draw):
    """forward_and_synthetic_update returns dx, made with the weights before the update, and h."""
    N, D, H, K = draw.sizes(4)
    values, x, context = module_values(draw, D, H, K), draw.normal(N, D), draw.one_hot(N, K)
    mine, own = (make_module(names, reference, values) for names in (student, reference))
    dx, h = own.forward_and_synthetic_update(x, context)
    found = pair(mine.forward_and_synthetic_update(x, context))
    if [np.shape(array) for array in found] == [h.shape, dx.shape]:
        raise Wrong("forward_and_synthetic_update returns h and dx in the wrong order", "dx comes first, then h.")
    delta_hat = reference.Synthesizer(*values[2:5]).forward(h, context)
    dz = delta_hat / N * (1 - h ** 2)
    same("h", found[1], h, {"h is made once more after the update": np.tanh(x @ own.block.W + own.block.b)})
    same("dx", found[0], dx, {
        "the message is made after the update: it needs the weights that made h": dz @ own.block.W.T,
        "it is the guess at h, not yet sent through the block": delta_hat / N},
         {"the batch size N": N, "the number of features H": H})


def check_A3_3_block(student, reference, draw):
    """The block goes one step down the guessed gradient; the synthesizer does not move yet."""
    N, D, H, K = draw.sizes(4)
    values, x, context = module_values(draw, D, H, K), draw.normal(N, D), draw.one_hot(N, K)
    mine, own = (make_module(names, reference, values) for names in (student, reference))
    for module in (mine, own):
        module.forward_and_synthetic_update(x, context)
    for name, old in zip(("W", "b"), values):
        step = getattr(own.block, name) - old
        same(f"the step of the block's {name}", getattr(mine.block, name) - old, step,
             {"the block climbs: its step has the wrong sign": -step, "the block is not updated": 0 * step,
              "the block is updated twice": 2 * step,
              "the synthesizer's learning rate is used": step * values[6] / values[5]},
             {"the batch size N": N, "the number of features H": H})
    for name, old in zip(("A", "C", "b"), values[2:5]):
        if not np.array_equal(getattr(mine.synthesizer, name), old):
            raise Wrong(f"forward_and_synthetic_update changes {name} of the synthesizer",
                        "It learns in update_synthetic_weights only, from the gradient that comes back.")


def check_A3_3_learning(student, reference, draw):
    """update_synthetic_weights teaches the synthesizer N times the gradient that came back, and nothing else moves."""
    N, D, H, K = draw.sizes(4)
    values, context, gradient = module_values(draw, D, H, K), draw.one_hot(N, K), draw.normal(N, H) / N
    inputs = draw.normal(N, D), draw.normal(N, D)
    mine, own = (make_module(names, reference, values) for names in (student, reference))
    for x in inputs:
        for module in (mine, own):
            module.forward_and_synthetic_update(x, context)
    W = own.block.W.copy()
    first = reference.Block(*values[:2]).forward(inputs[0])
    for module in (mine, own):
        module.update_synthetic_weights(gradient)
    lr, steps = values[6], {}

    def learned(h, delta, rate=lr):
        other = reference.Synthesizer(*(array.copy() for array in values[2:5]))
        other.learn(h, context, delta, rate)
        return {name: getattr(other, name) for name in other.parameters}

    h = own.h
    for meaning, others in {
            "the target is the gradient of the mean: it must be N times that, one per example": learned(h, gradient),
            "the target is divided by N, where it must be multiplied": learned(h, gradient / N),
            "the target has the wrong sign": learned(h, -N * gradient),
            "the synthesizer climbs away from the target": learned(h, N * gradient, -lr),
            "the h of the first step is used, not that of the last": learned(first, N * gradient),
            "h is made once more, with the weights after the update": learned(
                np.tanh(inputs[1] @ own.block.W + own.block.b), N * gradient),
            "the synthesizer does not learn": dict(zip(own.synthesizer.parameters, values[2:5])),
            "the block's learning rate is used": learned(h, N * gradient, values[5])}.items():
        for name in others:
            steps.setdefault(name, {})[meaning] = others[name]
    for name in own.synthesizer.parameters:
        same(f"{name} of the synthesizer", getattr(mine.synthesizer, name), getattr(own.synthesizer, name), steps[name])
    same("W of the block after update_synthetic_weights", mine.block.W, W)


def check_A3_4_step(student, reference, draw):
    """Every message goes to the module right below, and every part of the network takes its step once."""
    N, H, K = draw.sizes(3)
    values, top = [module_values(draw, H, H, K) for _ in range(3)], (draw.normal(H, K), draw.normal(K))
    x, context, lr = draw.normal(N, H), draw.one_hot(N, K), draw.number(0.1, 0.5)
    target = context.argmax(axis=1)

    def network(depth):
        modules = [make_module(reference, reference, each) for each in values[:depth]]
        return modules, reference.Top(*(array.copy() for array in top))

    for depth in (3, 1):
        (mine, my_top), (own, own_top) = network(depth), network(depth)
        loss = student.step(mine, my_top, x, context, target, lr)
        right = reference.step(own, own_top, x, context, target, lr)
        messages = messages_of(*network(depth), x, context, target, lr)
        for k in range(depth):
            alone = make_module(reference, reference, values[k])
            alone.forward_and_synthetic_update(x, context)
            same(f"W of the block of module {k}", mine[k].block.W, own[k].block.W, {
                "this module never runs": values[k][0],
                "it gets the network's input, not the output of the module below": alone.block.W})
            for i, name in enumerate(own[k].synthesizer.parameters, start=2):
                def taught(message):
                    return getattr(taught_by(network(depth)[0], k, x, context, message).synthesizer, name)
                same(f"{name} of the synthesizer of module {k} of {depth}", getattr(mine[k].synthesizer, name),
                     getattr(own[k].synthesizer, name), {
                         "no message reaches it": values[k][i], "its own message teaches it": taught(messages[k]),
                         "the message of the top teaches it, not that of the module right above": taught(messages[-1])})
        same("W of the top", my_top.W, own_top.W, {"the top never runs": top[0]})
        same("the loss", loss, right)


def messages_of(modules, top, x, context, target, lr):
    """The messages that the modules, bottom to top, and then the top give back."""
    found = []
    for module in modules:
        dx, x = module.forward_and_synthetic_update(x, context)
        found.append(dx)
    return [*found, top.forward_and_update(x, target, lr)]


def taught_by(modules, k, x, context, message):
    """Module k of a fresh network after one step, with this message for its synthesizer."""
    for module in modules[:k + 1]:
        _, x = module.forward_and_synthetic_update(x, context)
    modules[k].update_synthetic_weights(message)
    return modules[k]


def check_A3_5_slips(student, reference, draw):
    """W goes down the guessed gradient of the loss, and S down its squared error."""
    N, D, H = draw.sizes(3)
    W, S, lr = draw.normal(D, H), draw.normal(H, H), draw.number(0.01, 0.1)
    x, gradient = draw.normal(N, D), draw.normal(N, H)
    mine, own = (names.FirstAttempt(W.copy(), S.copy(), lr) for names in (student, reference))
    messages = [module.forward_and_synthetic_update(x) for module in (mine, own)]
    for module in (mine, own):
        module.update_synthetic_weights(gradient)
    for name, got, right in zip(("dx", "h"), *map(pair, messages)):
        same(name, got, right, {"it was right before, and is minus that now": -right})
    for name, old in (("W", W), ("S", S)):
        step = getattr(own, name) - old
        same(f"the step of {name}", getattr(mine, name) - old, step,
             {f"{name} climbs": -step, f"{name} takes no step at all": 0 * step}, {"the batch size N": N})


def check_A3_5_error(student, reference, draw):
    """Taught the same gradient again and again, S comes nearer to it."""
    N, D, H = draw.sizes(3)
    module = student.FirstAttempt(draw.normal(D, H), draw.normal(H, H).copy(), 0.0)
    x, gradient = draw.normal(N, D), draw.normal(N, H)
    module.W = module.W.copy()
    errors = []
    for _ in range(10):
        module.lr = 0.0                                     # W stays, so that the task of S does
        _, h = module.forward_and_synthetic_update(x)
        errors.append(np.linalg.norm(h @ module.S - gradient))
        module.lr = 1 / np.linalg.norm(h) ** 2              # below 2 / the largest eigenvalue of hᵀh
        module.update_synthetic_weights(gradient)
    if errors[-1] >= errors[0]:
        raise Wrong("the guess goes away from what it is taught", "S climbs.")
