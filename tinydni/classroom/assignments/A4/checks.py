"""What is asked of the solutions of A4."""

import copy

import numpy as np

from tinydni.classroom.judge import Wrong, right_gradients, same


def check_A4_1_forward(student, reference, draw):
    """p is the softmax of every row, also for large numbers."""
    N, K = draw.sizes(2)
    z = draw.normal(N, K)
    columns = np.exp(z) / np.exp(z).sum(axis=0)
    same("p", student.Softmax().forward(z), reference.Softmax().forward(z),
         {"it runs over the batch (axis 0), not over the classes": columns,
          "it is divided by the sum of all entries, not by that of the row": np.exp(z) / np.exp(z).sum(),
          "the rows are not divided by their sums": np.exp(z)})
    same("p for numbers around 1000", student.Softmax().forward(z + 1000), reference.Softmax().forward(z))


def check_A4_1_backward(student, reference, draw):
    """dz is the gradient of what forward computes."""
    N, K = draw.sizes(2)
    z, dp = draw.normal(N, K), draw.normal(N, K)
    layer, own = student.Softmax(), reference.Softmax()
    layer.forward(z)
    p = own.forward(z)
    same("dz", layer.backward(dp), own.backward(dp),
         {"only the diagonal, p (1 - p), is there: each p depends on all z of its row": dp * p * (1 - p),
          "the sum over the row is forgotten": p * dp,
          "the sum runs over the batch (axis 0)": p * (dp - (p * dp).sum(axis=0)),
          "p is missing inside the sum": p * (dp - dp.sum(axis=1, keepdims=True)),
          "p is missing in front": dp - (p * dp).sum(axis=1, keepdims=True),
          "the mean stands where the sum over the row belongs": p * (dp - (p * dp).mean(axis=1, keepdims=True))})
    right_gradients(student.Softmax(), z, draw=draw)


def check_A4_1_rows(student, reference, draw):
    """Since p stays when a whole row of z grows alike, every row of dz sums to zero."""
    N, K = draw.sizes(2)
    layer = student.Softmax()
    layer.forward(draw.normal(N, K))
    if np.abs(np.sum(layer.backward(draw.normal(N, K)), axis=1)).max() > 1e-9:
        raise Wrong("a row of dz does not sum to zero",
                    "Softmax does not change when all K numbers of a row grow alike.")


def virtual_values(draw):
    """h, context, V, c."""
    N, H, K = draw.sizes(3)
    return draw.normal(N, H), draw.one_hot(N, K), draw.normal(H, K), draw.normal(K)


def check_A4_2_guess(student, reference, draw):
    """delta_hat is the gradient of the virtual network's cross-entropy, example by example."""
    h, context, V, c = virtual_values(draw)
    right = reference.VirtualLinear(V, c).forward(h, context)
    p = reference.Softmax().forward(h @ V + c)
    same("delta_hat", student.VirtualLinear(V, c).forward(h, context), right,
         {"the label is not taken away: u = p": p @ V.T,
          "the bias is forgotten": reference.VirtualLinear(V, 0 * c).forward(h, context),
          "u has no softmax: z - context": (h @ V + c - context) @ V.T,
          "context - p, the gradient of the log-likelihood, which one climbs; the loss goes the other way": -right},
         {"the batch size N": len(h)})


def check_A4_2_second_order(student, reference, draw):
    """dV and dc are the gradients of delta_hat: V is heard in both places where it is used."""
    h, context, V, c = virtual_values(draw)
    e = draw.normal(*h.shape)
    mine, own = (names.VirtualLinear(V, c) for names in (student, reference))
    for guess in (mine, own):
        guess.forward(h, context)
        guess.backward(e)
    u, N = own.u, len(h)
    p, du = u + context, e @ V
    dz = p * (du - (p * du).sum(axis=1, keepdims=True))
    direct, through = e.T @ u, h.T @ dz
    spoilt = u * (du - (u * du).sum(axis=1, keepdims=True))
    for name in ("dV", "dc"):
        if getattr(mine, name, None) is None:
            raise Wrong(f"backward never sets self.{name}")
    sizes = {"the batch size N": N, "the number of features H": h.shape[1], "the number of classes K": len(c)}
    same("dV", mine.dV, own.dV, {
        "only the V of u Vᵀ is heard, and that of z is forgotten: u depends on V, too": direct,
        "only the V of z is heard, and that of u Vᵀ is forgotten": through,
        "the derivative of softmax is missing on the way from u to z": direct + h.T @ du,
        "u stands where p belongs in the derivative of softmax (was the label subtracted in place?)":
            direct + h.T @ spoilt,
        "the gradient of u is p - context once more, not e V": direct + h.T @ u,
        "the two terms are subtracted, not added": direct - through}, sizes)
    same("dc", mine.dc, own.dc, {
        "the derivative of softmax is missing on the way from u to z": du.sum(axis=0),
        "it is the sum of u, the gradient of the loss, not that of delta_hat": u.sum(axis=0),
        "u stands where p belongs in the derivative of softmax (was the label subtracted in place?)":
            spoilt.sum(axis=0)}, sizes)
    right_gradients(student.VirtualLinear(V, c), h, context, draw=draw)


def check_A4_2_learning(student, reference, draw):
    """Taught the guess of another virtual network again and again, it comes nearer to it."""
    h, context, V, c = virtual_values(draw)
    target = reference.VirtualLinear(V, c).forward(h, context)
    guess = student.VirtualLinear(V + 0.3 * draw.normal(*V.shape), c + 0.3 * draw.normal(*c.shape))
    errors = [np.sum((guess.forward(h, context) - target) ** 2)]
    for _ in range(10):
        guess.learn(h, context, target, 0.005)
        errors.append(np.sum((guess.forward(h, context) - target) ** 2))
    if not errors[-1] < errors[0]:
        raise Wrong("the guess goes away from what it is taught", "Then dV and dc are not the gradients of delta_hat.")


def check_A4_2_shift(student, reference, draw):
    """Since delta_hat stays when a column is added to all K columns of V, every row of dV sums to zero."""
    h, context, V, c = virtual_values(draw)
    guess = student.VirtualLinear(V, c)
    guess.forward(h, context)
    guess.backward(draw.normal(*h.shape))
    if np.abs(np.sum(guess.dV, axis=1)).max() > 1e-9:
        raise Wrong("a row of dV does not sum to zero", "p and u Vᵀ stay when all K columns of V grow alike.")


def rnn_values(draw, T=None):
    """(x, state), (Wx, Wh, b)."""
    N, D, H = draw.sizes(3, low=2, high=5)
    T = T or draw.size(3, 4)
    return (draw.normal(N, T, D), draw.normal(N, H)), (draw.normal(D, H), 0.7 * draw.normal(H, H), draw.normal(H))


def through_time(rnn, dy, dend, before=0, slope=1, carry=True, last=True):
    """dWh of a backward pass with one thing changed: which h, which slope, whether the gradient is carried on."""
    dWh, dh, T = 0, dend if last else 0 * dend, dy.shape[1]
    for t in reversed(range(T)):
        dz = (dy[:, t] + dh) * (1 - rnn.h[:, t + slope] ** 2)
        dWh = dWh + rnn.h[:, t + before].T @ dz
        dh = dz @ rnn.Wh.T if carry else 0 * dend
    return dWh


def check_A4_3_parts(student, reference, draw):
    """dWh hears every step, and what comes from beyond the window."""
    (x, state), weights = rnn_values(draw)
    mine, own = (names.RNN(*weights) for names in (student, reference))
    y, end = own.forward(x, state)
    mine.forward(x, state)
    dy, dend = draw.normal(*y.shape), draw.normal(*end.shape)
    found = pair(mine.backward(dy, dend))
    dx, dstate = own.backward(dy, dend)
    for name in ("dWx", "dWh", "db"):
        if getattr(mine, name, None) is None:
            raise Wrong(f"backward never sets self.{name}")
    same("dWh", mine.dWh, own.dWh, {
        "dend is not used: what comes from beyond the window is lost": through_time(own, dy, dend, last=False),
        "h[t], the output of the step, stands where h[t-1], its input, belongs": through_time(own, dy, dend, before=1),
        "the slope 1 - h² is taken at the input of the step, not at its output": through_time(own, dy, dend, slope=0),
        "nothing is carried from a step to the one before": through_time(own, dy, dend, carry=False),
        "only the first step of the window is there: = where += belongs": own.h[:, 0].T @ dz_of(own, dy, dend)[0],
        "only the last step of the window is there": own.h[:, -2].T @ dz_of(own, dy, dend)[-1]},
        {"the batch size N": len(x), "the number of steps T": x.shape[1]})
    dz = dz_of(own, dy, dend)
    sizes = {"the batch size N": len(x), "the number of steps T": x.shape[1]}
    same("dWx", mine.dWx, own.dWx, {}, sizes)
    same("db", mine.db, own.db,
         {"only the first step of the window is there: = where += belongs": dz[0].sum(axis=0)}, sizes)
    same("dx", found[0], dx)
    same("dstate", found[1], dstate, {
        "it is the gradient with respect to z of the first step, not yet sent through Wh": dz[0],
        "it is the gradient of h after the first step": dh_of_first(own, dy, dend)})


def dz_of(rnn, dy, dend):
    """The gradients with respect to what stands inside of tanh, step by step."""
    found, dh = [], dend
    for t in reversed(range(dy.shape[1])):
        found.insert(0, (dy[:, t] + dh) * (1 - rnn.h[:, t + 1] ** 2))
        dh = found[0] @ rnn.Wh.T
    return found


def dh_of_first(rnn, dy, dend):
    return dz_of(rnn, dy, dend)[0] / (1 - rnn.h[:, 1] ** 2)


def pair(found):
    """What backward returned. Raises Wrong unless it is two things."""
    if not isinstance(found, tuple) or len(found) != 2:
        raise Wrong("backward does not return two arrays, dx and dstate")
    return found


def check_A4_3_gradients(student, reference, draw):
    """dx, dstate, dWx, dWh and db are the gradients of what forward computes."""
    (x, state), weights = rnn_values(draw, T=3)
    right_gradients(student.RNN(*weights), x, state, draw=draw)


def check_A4_3_cut(student, reference, draw):
    """A window may be cut in two: dstate of the second half is dend of the first, and their gradients add up."""
    (x, state), weights = rnn_values(draw, T=4)
    whole, first, second = (student.RNN(*weights) for _ in range(3))
    y, end = whole.forward(x, state)
    dy, dend = draw.normal(*y.shape), draw.normal(*end.shape)
    dx, dstate = pair(whole.backward(dy, dend))
    _, middle = first.forward(x[:, :2], state)
    second.forward(x[:, 2:], middle)
    dx_second, between = pair(second.backward(dy[:, 2:], dend))
    dx_first, dstate_first = pair(first.backward(dy[:, :2], between))
    for name, total, parts in (("dWx", whole.dWx, first.dWx + second.dWx), ("dWh", whole.dWh, first.dWh + second.dWh),
                               ("db", whole.db, first.db + second.db), ("dstate", dstate, dstate_first),
                               ("dx", dx, np.concatenate([dx_first, dx_second], axis=1))):
        same(f"{name}, put together from two halves of a window,", parts, total)


def copy_of(names, net):
    """An RNN or a VirtualLinear once more, with copies of its weights."""
    return getattr(names, type(net).__name__)(*(getattr(net, name).copy() for name in net.parameters))


SEQUENCE = ((True, False), (False, False), (False, True), (True, False), (False, True))     # (first, last) per window


def check_A4_4_windows(student, reference, draw):
    """The states, the gradient at a window's end, and what the synthesizer learns are right, window by window."""
    N, D, H, K = draw.sizes(4)
    T, context = draw.size(2, 3), draw.one_hot(N, K)
    rnn = reference.RNN(draw.normal(D, H), 0.7 * draw.normal(H, H), draw.normal(H))
    synthesizer = reference.VirtualLinear(draw.normal(H, K), draw.normal(K))
    rates = draw.number(0.1, 0.3), draw.number(0.02, 0.1), draw.number(0.3, 0.8)
    mine, own = (names.Windows(copy_of(reference, rnn), rates[0], copy_of(reference, synthesizer), *rates[1:])
                 for names in (student, reference))
    for number, (first, last) in enumerate(SEQUENCE, start=1):
        x, dy = draw.normal(N, T, D), draw.normal(N, T, H) / N
        which = f"window {number} ({'first' if first else 'last' if last else 'middle'} of a sequence)"
        same_states(which, mine, own, reference, x, first)
        same_lesson(which, mine, own, reference, dy, context, last)


def same_states(which, mine, own, reference, x, first):
    """Has both run forward through a window, and compares the outputs."""
    before = getattr(own, "end", np.zeros((len(x), len(own.rnn.b))))
    old = getattr(own, "start", before)
    y = own.forward(x, first)

    def outputs(state):
        return copy_of(reference, own.rnn).forward(x, state)[0]

    same(f"y of {which}", mine.forward(x, first), y, {
        "the state of the last sequence is kept, where a sequence begins with zeros": outputs(before),
        "every window begins with zeros": outputs(0 * before),
        "the window begins where the last one began, not where it ended": outputs(old)})


def same_lesson(which, mine, own, reference, dy, context, last):
    """Has both learn from the window, and compares dx, the rnn and the synthesizer with what slips would give."""
    N, scale = len(dy), own.scale
    rnn, synthesizer, start, end = own.rnn, own.synthesizer, own.start, own.end
    guess = copy_of(reference, synthesizer).forward(end, context)
    before = copy_of(reference, synthesizer)
    old = {name: getattr(rnn, name).copy() for name in rnn.parameters}
    right = 0 * guess if last else scale * guess / N
    if last:
        ends = {"nothing follows the last window of a sequence, and yet a guess comes in": scale * guess / N}
    else:
        ends = {"no guess comes in at the end of the window": 0 * guess, "the guess is not divided by N": scale * guess,
                "scale is forgotten": guess / N, "the guess has the wrong sign": -right,
                "the guess is that for the state at the beginning of the window":
                scale * copy_of(reference, synthesizer).forward(start, context) / N}
    heard = {slip: heard_with(reference, rnn, old, own, dy, dend) for slip, dend in ends.items()}
    dstate = heard_with(reference, rnn, old, own, dy, right)["dstate"]
    cut = heard_with(reference, rnn, old, own, dy, 0 * guess)["dstate"]
    learned = {slip: learned_from(reference, synthesizer, state, context, delta, rate) for slip, state, delta, rate in (
        ("it must be N times the gradient of the mean that came back", start, dstate, own.synthesizer_lr),
        ("it learns about the end of the window, not about its beginning", end, N * dstate, own.synthesizer_lr),
        ("what the guess at the next boundary adds to its target is missing", start, N * cut, own.synthesizer_lr),
        ("its target has the wrong sign", start, -N * dstate, own.synthesizer_lr),
        ("its target is multiplied by scale, too", start, scale * N * dstate, own.synthesizer_lr),
        ("its target is divided by scale", start, N * dstate / scale, own.synthesizer_lr),
        ("it learns from its own guess, not from what came back", start, guess, own.synthesizer_lr),
        ("it learns before the first boundary, where it has said nothing" if own.first else
         "the learning rate of the rnn is used", start, N * dstate, own.synthesizer_lr if own.first else own.lr))}
    dx = own.backward(dy, context, last)
    got = mine.backward(dy, context, last)
    late = copy.deepcopy(rnn).backward(dy, right)                    # with the weights as they are by now
    same(f"dx of {which}", got, dx, {slip: found["dx"] for slip, found in heard.items()}
         | {"it is made after the step of the rnn: it needs the weights that made y": late[0]})
    for name in rnn.parameters:
        step = getattr(rnn, name) - old[name]
        same(f"{name} of the rnn after {which}", getattr(mine.rnn, name), getattr(rnn, name),
             {slip: old[name] - own.lr * found[name] for slip, found in heard.items()}
             | {"the rnn takes no step": old[name], "the rnn climbs": old[name] - step,
                "the rnn takes its step twice": old[name] + 2 * step})
    for name in synthesizer.parameters:
        same(f"{name} of the synthesizer after {which}", getattr(mine.synthesizer, name), getattr(synthesizer, name),
             ({} if own.first else {"it does not learn": getattr(before, name)})
             | {slip: found[name] for slip, found in learned.items()}
             | {"it learns from a gradient that is made after the step of the rnn": learned_from(
                 reference, before, start, context, N * late[1], own.synthesizer_lr)[name]})


def heard_with(reference, rnn, old, own, dy, dend):
    """The gradients of a window for another dend: {"dx", "dstate", "Wx", "Wh", "b"}."""
    other = reference.RNN(*old.values())
    other.forward(rnn.x, own.start)
    dx, dstate = other.backward(dy, dend)
    return {"dx": dx, "dstate": dstate, **{name: getattr(other, f"d{name}") for name in other.parameters}}


def learned_from(reference, synthesizer, state, context, delta, rate):
    """The weights of a synthesizer after one step."""
    other = copy_of(reference, synthesizer)
    other.learn(state, context, delta, rate)
    return {name: getattr(other, name) for name in other.parameters}


def check_A4_4_exact(student, reference, draw):
    """With scale 0 nothing crosses a boundary, and with a synthesizer that says nothing it is the same."""
    N, D, H, K = draw.sizes(4)
    values, context = (draw.normal(D, H), 0.7 * draw.normal(H, H), draw.normal(H)), draw.one_hot(N, K)
    guesses = (draw.normal(H, K), draw.normal(K)), (np.zeros((H, K)), np.zeros(K))
    x, dy = draw.normal(N, 2, D), draw.normal(N, 2, H) / N
    found = []
    for weights, scale in zip(guesses, (0.0, 1.0)):
        net = student.Windows(reference.RNN(*(array.copy() for array in values)), 0.2,
                              reference.VirtualLinear(*(array.copy() for array in weights)), 0.1, scale)
        net.forward(x, True)
        found.append(net.backward(dy, context, False))
    same("dx with scale 0", found[0], found[1])


def samples(draw):
    """x (N, D), y (M, D) and the width s."""
    N, M, D = draw.sizes(3)
    return draw.normal(N, D), draw.normal(M, D) + 0.5, draw.number(1, 4)


def check_A4_5_loss(student, reference, draw):
    """loss is the squared discrepancy, with means over all pairs."""
    x, y, s = samples(draw)
    own = reference.MMD(s)
    loss = own.forward(x, y)
    xx, yy, xy = own.kernel(x, x), own.kernel(y, y), own.kernel(x, y)
    N, M = xy.shape
    same("loss", student.MMD(s).forward(x, y), loss, {
        "the mean of k(x, y) is taken once, not twice": xx.mean() + yy.mean() - xy.mean(),
        "the mean of k(x, y) is a sum": xx.mean() + yy.mean() - 2 * xy.sum(),
        "all three means are sums": xx.sum() + yy.sum() - 2 * xy.sum(),
        "a point with itself is left out":
            (xx.sum() - N) / (N * (N - 1)) + (yy.sum() - M) / (M * (M - 1)) - 2 * xy.mean(),
        "k(y, y) is forgotten; it has no gradient, but belongs to the loss": xx.mean() - 2 * xy.mean(),
        "k(x, y) is added, not taken away": xx.mean() + yy.mean() + 2 * xy.mean(),
        "the square root is taken": np.sqrt(loss)})
    same("loss of a sample and itself", 1 + student.MMD(s).forward(x, x), 1.0)


def check_A4_5_gradient(student, reference, draw):
    """dprediction is the gradient of the loss: a point is pushed by its own sample and pulled by the other."""
    x, y, s = samples(draw)
    mine, own = student.MMD(s), reference.MMD(s)
    mine.forward(x, y)
    own.forward(x, y)
    N, M = len(x), len(y)

    def pull(a, b):
        return (own.kernel(a, b)[:, :, None] * (a[:, None] - b)).sum(axis=1) * 4 / s

    push, pulled = pull(x, x) / N ** 2, pull(x, y) / (N * M)
    same("dprediction", mine.backward(), own.backward(), {
        "the own sample is missing: only the pull of the target is there": pulled,
        "the target is missing: only the push of the own sample is there": -push,
        "x[i] stands twice in the double sum of k(x, x), as i and as j: its part is 2 times too small":
            pulled - push / 2,
        "the 2 in front of the mean of k(x, y) is forgotten": pulled / 2 - push,
        "the push and the pull are added": pulled + push,
        "the pull is a sum over the target, not a mean": M * pulled - push,
        "the mean over the target is divided by N, not by M": pulled * M / N - push,
        "the width s is missing": s * (pulled - push)},
        {"the number N of points of x": N, "the number M of points of y": M, "N M": N * M})
    right_gradients(student.MMD(s), x, y, draw=draw)


def check_A4_5_order(student, reference, draw):
    """No point has a partner: loss stays when the points of either sample change places, and moves with neither."""
    x, y, s = samples(draw)
    loss, again = student.MMD(s), student.MMD(s)
    same("loss of the points in another order", again.forward(x[::-1], y[::-1]), loss.forward(x, y))
    same("dprediction of the points in another order", again.backward()[::-1], loss.backward())
    same("loss of both samples, moved by 2", again.forward(x + 2, y + 2), loss.forward(x, y))
