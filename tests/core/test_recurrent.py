"""Windows in time: exact with an oracle, truncated without; in depth; two networks that talk."""

import copy
import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from conftest import on_devices

import tinydni as td
from tinydni import backend
from tinydni.gradcheck import assert_gradients
from tinydni.linear import Linear
from tinydni.losses import MeanSquaredError, SoftmaxCrossEntropy
from tinydni.lstm import LSTM
from tinydni.recurrent import Recurrent
from tinydni.recurrent_dni import Boundary, RecurrentModule, RecurrentNetwork, cut
from tinydni.synthesizers import LinearSynthesizer
from tinydni.variants.auxiliary import AuxiliarySynthesizer
from tinydni.variants.two_clocks import Sender, TwoClocks, TwoClocksWindow

N, L, D, H, K = 6, 11, 3, 5, 4


class Oracle:
    """A boundary that tells the true gradient, in the place of a guess."""

    def __init__(self):
        self.truth, self.asked, self.learned = [], 0, []

    def gradient(self, state, context=None):
        self.asked += 1
        return self.truth.pop(0)

    def learn(self, state, context, dstate, last):
        self.learned.append((state, context, dstate, last))


def block(seed=0, out=K):
    rng = np.random.default_rng(seed)
    return Recurrent(LSTM(D, H, rng), Linear(H, out, rng)).to(dtype=np.float64)


def sequence(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, L, D)), rng.integers(K, size=(N, L)), np.array([1, 4, 5, 10])


def network(boundary=None, each_window=False, seed=0, lr=0.1):
    return RecurrentNetwork([RecurrentModule(block(seed), td.SGD(lr), boundary,
                                             loss=SoftmaxCrossEntropy(), each_window=each_window)])


def linear(scale=1.0, n_context=0, lr=0.01, n=2 * H):
    return Boundary(LinearSynthesizer(n, n_context, dtype=np.float64), td.SGD(lr), scale)


def train(net, windows):
    return [net.step(window) for window in windows]


def weights(net):
    return {path: array.copy() for module in net.modules
            for path, array, _ in module.block.named_parameters()}


def same(a, b, rtol=1e-12):
    for path in a:
        np.testing.assert_allclose(a[path], b[path], rtol=rtol, atol=1e-13, err_msg=path)


def true_gradients(net, x, target, asked, ends):
    """The gradient at the states where windows end, by backpropagation over all the rest."""
    found, layer, loss = [], copy.deepcopy(net.modules[0].block), SoftmaxCrossEntropy()
    for end in ends:
        _, state = layer.forward(x[:, :end])
        y, _ = layer.forward(x[:, end:], state)
        later = asked[asked >= end] - end
        dy = np.zeros_like(y)
        loss.forward(y[:, later].reshape(-1, K), target[:, later + end].ravel())
        dy[:, later] = loss.backward().reshape(N, len(later), K) * len(later) / len(asked)
        found.append(layer.backward(dy)[1])
    return found


# One network, its windows in time

@pytest.mark.parametrize("first_size", [None, 1, 2])
def test_with_an_oracle_at_the_boundaries_windows_are_full_backpropagation(first_size):
    x, target, asked = sequence()
    whole, windowed = network(), network(Oracle())
    losses = train(whole, cut(x, target, asked, L))
    windows = cut(x, target, asked, 3, first_size=first_size)
    ends = np.cumsum([window.x.shape[1] for window in windows])[:-1]
    truth = true_gradients(windowed, x, target, asked, ends)
    windowed.modules[0].boundary.truth = list(truth)
    np.testing.assert_allclose(sum(train(windowed, windows)), losses[0], rtol=1e-12)
    same(weights(windowed), weights(whole))
    learned = windowed.modules[0].boundary.learned      # and what M would learn is the truth, too
    assert len(learned) == len(truth)
    for (_, _, dstate, _), true in zip(learned, truth):
        np.testing.assert_allclose(dstate, true, rtol=1e-9, atol=1e-13)


def test_without_a_boundary_it_is_truncated():
    x, target, asked = sequence()
    truncated, whole = network(), network()
    before = weights(truncated)
    train(truncated, cut(x, target, asked, 3)), train(whole, cut(x, target, asked, L))
    sums, layer, loss = {}, copy.deepcopy(network().modules[0].block), SoftmaxCrossEntropy()
    state = None
    for window in cut(x, target, asked, 3):
        y, state = layer.forward(window.x, state)
        dy = np.zeros_like(y)
        if len(window.asked):
            loss.forward(y[:, window.asked].reshape(-1, K), window.target[:, window.asked].ravel())
            dy[:, window.asked] = loss.backward().reshape(N, -1, K) * len(window.asked) / len(asked)
        layer.backward(dy)
        for path, _, gradient in layer.named_parameters():
            sums[path] = sums.get(path, 0) + gradient
    same({path: before[path] - 0.1 * gradient for path, gradient in sums.items()},
         weights(truncated))
    assert not np.allclose(weights(truncated)["0.Wh"], weights(whole)["0.Wh"], rtol=1e-6)


def test_a_fresh_zero_synthesizer_is_truncation():
    x, target, asked = sequence()
    fresh, truncated = network(linear()), network()
    # one boundary, asked once
    train(fresh, cut(x, target, asked, 6)), train(truncated, cut(x, target, asked, 6))
    same(weights(fresh), weights(truncated))


def test_nothing_comes_from_beyond_the_end_of_a_sequence():
    """The oracle is asked at every boundary, not at the end; the first state learns nothing."""
    x, target, asked = sequence()
    oracle = Oracle()
    oracle.truth = [np.zeros((N, 2 * H))] * 3
    train(network(oracle), cut(x, target, asked, 3))
    assert oracle.asked == 3 and len(oracle.learned) == 3
    assert [last for *_, last in oracle.learned] == [False, False, True]
    oracle.truth = []
    train(network(oracle), cut(x, target, asked, L))
    assert oracle.asked == 3 and len(oracle.learned) == 3


def test_the_target_includes_what_was_guessed_at_the_end():
    """Bootstrapping: without a loss, the target is the guess at the end, carried back."""
    x, target, _ = sequence()
    net = network(linear(scale=0.5), lr=0.0)
    M = net.modules[0].boundary.synthesizer
    M.A[...] = np.random.default_rng(1).standard_normal(M.A.shape)
    targets = []
    M.learn = lambda h, context, target, optimizer: targets.append(target)
    windows = cut(x, target, [10], 3)
    train(net, windows)
    layer = copy.deepcopy(net.modules[0].block)
    _, first = layer.forward(x[:, :3])
    y, second = layer.forward(x[:, 3:6], first)
    _, dfirst = layer.backward(np.zeros_like(y), 0.5 * (second @ M.A) / N)
    np.testing.assert_allclose(targets[0], dfirst * N, rtol=1e-12)


def test_the_synthesizer_learns_about_the_state_and_context_of_its_boundary():
    x, target, asked = sequence()
    contexts = np.random.default_rng(3).standard_normal((N, L + 1, 2))
    oracle = Oracle()
    oracle.truth = [np.zeros((N, 2 * H))] * 3
    net = network(oracle, lr=0.0)
    seen = []
    gradient = oracle.gradient
    oracle.gradient = lambda state, context: seen.append((state, context)) or gradient(
        state, context)
    train(net, cut(x, target, asked, 3, contexts, first_size=2))
    for (state, context, _, _), (asked_state, asked_context), end in zip(oracle.learned, seen,
                                                                         (2, 5, 8)):
        assert state is asked_state and context is asked_context
        np.testing.assert_array_equal(context, contexts[:, end])


def test_the_scale_multiplies_what_is_applied():
    rng = np.random.default_rng(0)
    full, part = linear(), linear(scale=0.1)
    full.synthesizer.A[...] = part.synthesizer.A[...] = rng.standard_normal((2 * H, 2 * H))
    state = rng.standard_normal((N, 2 * H))
    np.testing.assert_allclose(part.gradient(state), 0.1 * full.gradient(state), rtol=1e-12)
    np.testing.assert_allclose(full.gradient(state), full.synthesizer.forward(state) / N,
                               rtol=1e-12)
    with pytest.raises(ValueError, match="scale must lie in"):
        linear(scale=1.5)


@pytest.mark.parametrize("each_window", [False, True])
def test_one_update_per_window_or_per_sequence(each_window):
    x, target, asked = sequence()
    net = network(each_window=each_window)
    before, changes = weights(net), []
    for window in cut(x, target, asked, 3):
        net.step(window)
        changes.append(any((weights(net)[path] != before[path]).any() for path in before))
    assert changes == ([True] * 4 if each_window else [False, False, False, True])
    assert net.modules[0].optimizer.steps == (4 if each_window else 1)


def test_windows_cover_the_sequence():
    x, target, asked = sequence()
    windows = cut(x, target, asked, 4, first_size=2)
    assert [window.x.shape[1] for window in windows] == [2, 4, 4, 1]
    assert [list(window.asked) for window in windows] == [[1], [2, 3], [], [0]]
    assert [(window.first, window.last) for window in windows] == [(True, False), (False,) * 2,
                                                                   (False,) * 2, (False, True)]
    assert {window.weight for window in windows} == {1 / 4}
    np.testing.assert_array_equal(np.concatenate([window.x for window in windows], axis=1), x)


def test_a_boundary_learns_what_truncation_cannot():
    """The sign of the first input is asked for three windows later; M knows it in training."""

    def loss_after_training(boundary):
        rng = np.random.default_rng(0)
        block = Recurrent(LSTM(1, 8, np.random.default_rng(1)),
                          Linear(8, 2, np.random.default_rng(2)))
        net = RecurrentNetwork([RecurrentModule(block, td.Adam(0.02, clip_norm=1.0), boundary,
                                                loss=SoftmaxCrossEntropy())])
        losses = []
        for _ in range(500):
            y = rng.integers(2, size=32)
            x = rng.standard_normal((32, 8, 1)).astype(np.float32)
            x[:, 0, 0] = 2.0 * y - 1
            labels = np.repeat(y[:, None], 9, axis=1)
            losses.append(sum(train(net, cut(x, labels[:, 1:], [7], 2,
                                             np.eye(2, dtype=np.float32)[labels]))))
        return np.mean(losses[-20:])

    guessed = loss_after_training(Boundary(LinearSynthesizer(16, 2), td.Adam(0.003)))
    assert guessed < 0.1 < 0.4 < loss_after_training(None)


# The auxiliary task

def test_gradients_of_the_auxiliary_synthesizer():
    rng = np.random.default_rng(0)
    assert_gradients(AuxiliarySynthesizer(3, rng, 2, hidden=4), (6, 3), (6, 2), rng=rng)


def test_the_second_head_learns_the_next_guess():
    rng = np.random.default_rng(0)
    M = AuxiliarySynthesizer(3, rng, hidden=8, dtype=np.float64)
    h, target, later = rng.standard_normal((16, 3)), rng.standard_normal(
        (16, 3)), rng.standard_normal((16, 3))
    M.later = later
    M.learn(h, None, target, td.SGD(0.1))
    last = M.net.layers[-1]
    hidden = np.maximum(h @ M.net.layers[0].W + M.net.layers[0].b, 0)
    np.testing.assert_allclose(last.dW, hidden.T @ np.concatenate([-target, -later], axis=1) / 16,
                               rtol=1e-10)
    M.later = None
    # nothing said about later: the second head rests
    M.learn(h, None, target, td.SGD(0.0))
    assert not last.dW[:, 3:].any() and last.dW[:, :3].any()


def test_the_second_head_hears_the_guess_at_the_next_boundary_and_zero_at_the_end():
    x, target, asked = sequence()
    rng = np.random.default_rng(0)
    M = AuxiliarySynthesizer(2 * H, rng, hidden=8, dtype=np.float64)
    M.net.layers[-1].W[...] = rng.standard_normal((8, 4 * H))
    net = network(Boundary(M, td.SGD(0.01), 1.0))
    said, heard = [], []
    learn, gradient = M.learn, net.modules[0].boundary.gradient
    M.learn = lambda h, c, t, o: heard.append(M.later.copy()) or learn(h, c, t, o)
    net.modules[0].boundary.gradient = lambda state, context: said.append(
        N * gradient(state, context)) or said[-1] / N
    train(net, cut(x, target, asked, 3))
    np.testing.assert_allclose(heard[:2], said[1:], rtol=1e-12)
    assert not heard[2].any() and heard[0].any()


@on_devices
def test_the_same_on_every_backend(xp):
    """Both kinds of network, with all interfaces, after a few windows."""
    def nets():
        aux = Boundary(AuxiliarySynthesizer(2 * H, np.random.default_rng(0), 2, hidden=8),
                       td.SGD(0.1), 0.5)
        depth = LinearSynthesizer(H, 2, dtype=np.float64)
        yield stack(depth=depth, boundaries=(linear(n_context=2), aux))
        yield two(synthesizer=LinearSynthesizer(P, 1 + 2 * H), sees_receiver=2 * H)

    x, target, asked = sequence()
    contexts = np.random.default_rng(3).standard_normal((N, L + 1, 2)).astype(np.float32)
    windows = [cut(x.astype(np.float32), target, asked, 4, contexts) * 2,
               [single(two_window(1, 3, last=False)), single(two_window(2, 3, first=False))]]
    for host, device, steps in zip(nets(), nets(), windows):
        host.to(dtype=np.float32), device.to(dtype=np.float32).to(xp)
        for window in steps:
            loss = float(device.step(window.to(xp)))
            np.testing.assert_allclose(loss, host.step(window), rtol=1e-4, atol=1e-6)
        expected = host.state()
        for path, array in device.state().items():
            np.testing.assert_allclose(backend.to_numpy(array), expected[path], rtol=1e-3,
                                       atol=1e-5, err_msg=path)


def single(window):
    """A window in float32."""
    arrays = {name: value.astype(np.float32) for name, value in vars(window).items()
              if isinstance(value, np.ndarray) and value.dtype == np.float64}
    return dataclasses.replace(window, **arrays)


# Two layers, decoupled in depth and in time

def stack(seed=0, depth=None, boundaries=(None, None)):
    rng = np.random.default_rng(seed)
    bottom, top = LSTM(D, H, rng, dtype=np.float64), Recurrent(LSTM(H, H, rng),
                                                               Linear(H, K, rng)).to(
                                                                   dtype=np.float64)
    return RecurrentNetwork([
        RecurrentModule(bottom, td.SGD(0.1), boundaries[0],
                        depth or LinearSynthesizer(H, dtype=np.float64), td.SGD(0.01)),
        RecurrentModule(top, td.SGD(0.1), boundaries[1], loss=SoftmaxCrossEntropy())])


class TrueMessage:
    """A synthesizer in depth that knows the answer."""

    def __init__(self, truth):
        self.truth = truth

    def forward(self, h, context=None):
        return self.truth

    def learn(self, h, context, target, optimizer):
        self.target = target


def test_a_stack_with_true_messages_is_full_backpropagation():
    x, target, asked = sequence()
    net = stack()
    joint = RecurrentNetwork([RecurrentModule(
        Recurrent(*copy.deepcopy([net.modules[0].block, *net.modules[1].block.layers])),
                                              td.SGD(0.1), loss=SoftmaxCrossEntropy())])
    window, = cut(x, target, asked, L)
    top = copy.deepcopy(net.modules[1])
    message, _ = top.forward_and_synthetic_update(
        replace(window, x=net.modules[0].block.forward(x)[0]))
    depth = TrueMessage(message.reshape(N * L, H) * N)
    net.modules[0].synthesizer = depth
    net.step(window), joint.step(window)
    np.testing.assert_allclose(depth.target, depth.truth, rtol=1e-12)
    same(dict(enumerate(weights(joint).values())),
         dict(enumerate([*weights_of(net.modules[0]), *weights_of(net.modules[1])])))


def weights_of(module):
    return [array for _, array, _ in module.block.named_parameters()]


def test_a_lower_layer_does_not_wait_for_the_one_above():
    x, target, asked = sequence()
    healthy, poisoned = (stack(boundaries=(linear(), linear())) for _ in range(2))
    windows = cut(x, target, asked, 3)
    for net in (healthy, poisoned):
        for window in windows[:2]:
            net.step(window)
    for array in weights_of(poisoned.modules[1]):
        array[...] = np.nan
    y = [net.modules[0].forward_and_synthetic_update(windows[2])[1].x
         for net in (healthy, poisoned)]
    np.testing.assert_array_equal(*y)
    for a, b in zip(weights_of(healthy.modules[0]), weights_of(poisoned.modules[0])):
        np.testing.assert_array_equal(a, b)


def test_a_module_needs_one_source_of_gradient():
    for sources in ({}, {"loss": SoftmaxCrossEntropy(), "synthesizer": LinearSynthesizer(K),
                         "synthesizer_lr": td.SGD(0.1)}):
        with pytest.raises(ValueError, match="either a loss or a synthesizer"):
            RecurrentModule(block(), td.SGD(0.1), **sources)


@pytest.mark.parametrize("each_window", [False, True])
def test_a_run_continues_between_two_windows(each_window):
    """Saved between two sequences, or in the middle of one that updates after each window."""
    x, target, asked = sequence()
    windows = cut(x, target, asked, 3) * 2
    at = 2 if each_window else 4
    whole, first, second = (network(linear(), each_window) for _ in range(3))
    train(whole, windows), train(first, windows[:at])
    second.load_state(copy.deepcopy(first.state()))
    train(second, windows[at:])
    assert first.state().keys() == second.state().keys()
    for path, array in whole.state().items():
        np.testing.assert_array_equal(second.state()[path], array, err_msg=path)


# Two networks at different clock rates

P, TICK = 2, 3


def two(locked=False, synthesizer=None, seed=0, sees_receiver=0, lr=0.1):
    fast = Sender(block(seed, 1 + P), td.SGD(lr), 1, TICK, MeanSquaredError(),
                  synthesizer=synthesizer, synthesizer_lr=td.SGD(0.01) if synthesizer else None)
    fast.sees_receiver = sees_receiver
    rng = np.random.default_rng(seed + 1)
    slow = Recurrent(LSTM(P, H, rng), Linear(H, 1, rng)).to(dtype=np.float64)
    return TwoClocks(fast, RecurrentModule(slow, td.SGD(lr), loss=MeanSquaredError()), locked)


def two_window(seed=0, T=6, first=True, last=True):
    rng = np.random.default_rng(seed)
    return TwoClocksWindow(rng.standard_normal((N, T, D)), rng.standard_normal((N, T, 1)),
                           np.arange(T), 1 / T, first=first,
                           last=last, slow_target=rng.standard_normal((N, T // TICK, 1)),
                           slow_weight=TICK / T,
                           message_context=rng.standard_normal((N, T // TICK, 1)))


def total_loss(net, window):
    (fast, slow), _ = net.predict(window.x)
    return sum(weight * ((y - target)**2).sum() / (2 * N) for y, target, weight in
               ((fast, window.target, window.weight),
                (slow, window.slow_target, window.slow_weight)))


def test_locked_the_gradient_goes_through_the_messages():
    window = two_window()
    net = two(locked=True)
    before, loss = weights_of(net.modules[0])[0].copy(), total_loss(net, window)
    np.testing.assert_allclose(net.step(window), loss, rtol=1e-12)
    step = (before - weights_of(net.modules[0])[0]) / 0.1
    v, moved = np.random.default_rng(5).standard_normal(step.shape), []
    for sign in (1, -1):
        probe = two(locked=True)
        weights_of(probe.modules[0])[0][...] += sign * 1e-6 * v
        moved.append(total_loss(probe, window))
    np.testing.assert_allclose((step * v).sum(), (moved[0] - moved[1]) / 2e-6, rtol=1e-6)


class KnowsTheAnswer(TrueMessage):
    def forward(self, h, context=None):
        return self.truth.reshape(len(h), P)


def test_with_the_true_answer_guessed_the_sender_does_as_if_it_had_waited():
    window, locked = two_window(), two(locked=True)
    answer = copy.deepcopy(locked)
    y = answer.modules[0].forward(window).x
    dmessages, _ = answer.slow_step(y, window)
    free = two(synthesizer=KnowsTheAnswer(dmessages * N))
    np.testing.assert_allclose(free.step(window), locked.step(window), rtol=1e-12)
    for a, b in zip(free.modules, locked.modules):
        for p, q in zip(weights_of(a), weights_of(b)):
            np.testing.assert_allclose(p, q, rtol=1e-12)
    np.testing.assert_allclose(free.modules[0].synthesizer.target, (dmessages * N).reshape(-1, P),
                               rtol=1e-12)


def test_the_sender_updates_before_the_slow_network_ticks():
    window = two_window()
    healthy, poisoned = (two(synthesizer=LinearSynthesizer(P, 1, dtype=np.float64))
                         for _ in range(2))
    for array in weights_of(poisoned.modules[1]):
        array[...] = np.nan
    for net in (healthy, poisoned):
        net.modules[0].synthesizer.A[...] = 1.0
        net.modules[0].forward_and_synthetic_update(window)
    for a, b in zip(weights_of(healthy.modules[0]), weights_of(poisoned.modules[0])):
        np.testing.assert_array_equal(a, b)
    # without a synthesizer the messages train nobody
    silent = two()
    silent.modules[0].forward_and_synthetic_update(window)
    np.testing.assert_array_equal(weights_of(silent.modules[0])[-2][:, 1:],
                                  weights_of(two().modules[0])[-2][:, 1:])
    assert (weights_of(healthy.modules[0])[-2][:, 1:] != weights_of(two().modules[0])[-2][
        :, 1:]).any()


def test_the_sender_learns_what_the_receiver_answers_and_may_see_its_last_state():
    net = two(synthesizer=LinearSynthesizer(P, 1 + 2 * H, dtype=np.float64), sees_receiver=2 * H)
    fast, slow = net.modules
    contexts = []
    learn = fast.synthesizer.learn
    fast.synthesizer.learn = lambda h, c, t, o: contexts.append((c, t)) or learn(h, c, t, o)
    net.step(two_window(1, 3, first=True, last=False))
    known = slow.state_at_end.copy()
    net.step(two_window(2, 3, first=False))
    assert not contexts[0][0][:, 1:].any()
    np.testing.assert_array_equal(contexts[1][0][:, 1:], known)
    np.testing.assert_array_equal(contexts[1][0][:, :1], two_window(2, 3).message_context[:, 0])
    assert contexts[1][1].any() and fast.synthesizer.C.any()
