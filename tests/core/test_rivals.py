"""The rivals of synthetic gradients, each against its rule written another way."""

import numpy as np
import pytest

import tinydni as td
from tinydni.gradcheck import assert_gradients
from tinydni.random import stream
from tinydni.variants.difference_target import DifferenceTarget, inverse
from tinydni.variants.feedback_alignment import FeedbackAlignment
from tinydni.variants.forward_forward import Goodness, forward_forward, labelled
from tinydni.variants.late_gradients import LateGradients
from tinydni.variants.target_projection import TargetProjection

D, H, K, N = 6, 8, 3, 16
WIDTHS = (D, H, H, H, K)
LR = 0.05


def make(algorithm, lr=LR, dtype=np.float64, hidden=None, **options):
    """Four layers, ReLU without batch normalisation unless `hidden` says so, and plain descent."""
    blocks = td.mlp(WIDTHS, stream(0, "weights"), hidden or (lambda n: [td.ReLU()]), dtype=dtype)
    return td.build(blocks, td.SoftmaxCrossEntropy(), lr, algorithm=algorithm, **options)


def batches(n, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((N, D)), rng.integers(K, size=N)) for _ in range(n)]


def train(network, steps):
    for x, y in steps:
        network.step(x, y)
    return network


def weights(network):
    """(W, b) of every layer, copied."""
    return [(layer.W.copy(), layer.b.copy()) for module in network.modules
            for layer in module.block.layers if isinstance(layer, td.Linear)]


def assert_same(a, b, **tolerance):
    for (W, c), (V, d) in zip(a, b, strict=True):
        np.testing.assert_allclose(W, V, **tolerance)
        np.testing.assert_allclose(c, d, **tolerance)


def softmax_minus_target(z, y):
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return (p - np.eye(K)[y]) / len(z)


def digits_error(network, data, epochs=8, context=None):
    return td.Training(network, data, epochs, 32, 0, context=context).run()["test_error"][-1]


def digits(algorithm, lr=3e-3):
    """A network for the digits, and their data."""
    data, widths = td.datasets.digits(), (64, 32, 32, 10)
    blocks = td.mlp(widths, stream(0, "weights"))
    return td.build(blocks, td.SoftmaxCrossEntropy(), lambda: td.Adam(lr),
                    algorithm=algorithm), data


# Late gradients

def by_the_book(parameters, steps, delay):
    """The same steps from whole histories: nothing is overwritten, everything has its time."""
    parameters = [(W.copy(), b.copy()) for W, b in parameters]
    L, inputs, sent = len(parameters), {}, {}

    def move(k, x, dz):
        W, b = parameters[k]
        parameters[k] = (W - LR * x.T @ dz, b - LR * dz.sum(axis=0))

    for t, (x, y) in enumerate(steps):
        for k in range(L - 1):
            about = t - (L - 1 - k) * delay
            if about >= 0:
                W, b = parameters[k]
                old = inputs[k, about]
                dz = sent[k, about] * (old @ W + b > 0)
                sent[k - 1, about] = dz @ W.T
                move(k, old, dz)
            W, b = parameters[k]
            inputs[k, t] = x
            x = np.maximum(x @ W + b, 0)
        W, b = parameters[-1]
        dz = softmax_minus_target(x @ W + b, y)
        sent[L - 2, t] = dz @ W.T
        move(L - 1, x, dz)
    return parameters


@pytest.mark.parametrize("delay", [1, 3])
def test_late_gradients_are_what_whole_histories_say(delay):
    network, steps = make(LateGradients(WIDTHS, N, delay, dtype=np.float64)), batches(14)
    expected = by_the_book(weights(network), steps, delay)
    assert_same(weights(train(network, steps)), expected, rtol=1e-10, atol=1e-12)


def test_a_block_stands_still_until_its_first_gradient_arrives():
    network = make(LateGradients(WIDTHS, N, dtype=np.float64))
    for t, step in enumerate(batches(5), 1):
        train(network, [step])
        assert [module.optimizer.steps for module in network.modules] == [
            max(0, t - late) for late in (3, 2, 1, 0)]


def test_late_gradients_go_on_after_a_stop():
    steps = batches(12)
    whole = train(make(LateGradients(WIDTHS, N, dtype=np.float64)), steps)
    first = train(make(LateGradients(WIDTHS, N, dtype=np.float64)), steps[:5])
    second = make(LateGradients(WIDTHS, N, dtype=np.float64))
    second.load_state(first.state())
    assert_same(weights(train(second, steps[5:])), weights(whole), rtol=0)


def test_batch_statistics_are_counted_once_though_blocks_run_twice():
    hidden = lambda n: [td.BatchNorm(n, dtype=np.float64), td.ReLU()]
    network = make(LateGradients(WIDTHS, N, dtype=np.float64), lr=0.0, hidden=hidden)
    other, steps = make(td.backprop, lr=0.0, hidden=hidden), batches(9)
    train(network, steps), train(other, steps)
    for a, b in zip(network.modules[:-1], other.modules):
        np.testing.assert_array_equal(a.block.layers[1].running_mean,
                                      b.block.layers[1].running_mean)


def test_late_gradients_learn():
    assert digits_error(*digits(LateGradients((64, 32, 32, 10), 32))) < 6


def test_late_gradients_of_another_network_are_refused_by_their_name():
    with pytest.raises(ValueError, match="LateGradients was made for 3 modules"):
        train(make(LateGradients(WIDTHS[1:], N, dtype=np.float64)), batches(1))
    with pytest.raises(TypeError, match="has dtype float64, but it was made for float32. Say so"):
        train(make(LateGradients(WIDTHS, N)), batches(1))


def test_late_gradients_refuses_synthesizers_that_would_never_learn():
    rng = np.random.default_rng(0)
    net = td.build(td.mlp(WIDTHS, rng, dtype=np.float64), td.SoftmaxCrossEntropy(), 0.1,
                   lambda H: td.LinearSynthesizer(H, dtype=np.float64), 0.1,
                   algorithm=LateGradients(WIDTHS, N, dtype=np.float64))
    with pytest.raises(ValueError, match="nobody guesses"):
        train(net, batches(1))


def test_late_gradients_without_delay_are_refused():
    with pytest.raises(ValueError, match="delay"):
        LateGradients(WIDTHS, N, delay=0)


# Feedback alignment

def test_feedback_alignment_by_the_formula():
    network, (x, y) = make(FeedbackAlignment(0)), batches(1)[0]
    before = weights(network)
    train(network, [(x, y)])
    B, hs = network.algorithm.B, [x]
    for W, b in before[:-1]:
        hs.append(np.maximum(hs[-1] @ W + b, 0))
    dz = softmax_minus_target(hs[-1] @ before[-1][0] + before[-1][1], y)
    expected = []
    for k in reversed(range(len(before))):
        W, b = before[k]
        expected.append((W - LR * hs[k].T @ dz, b - LR * dz.sum(axis=0)))
        dz = (dz @ B[k].T) * (hs[k] > 0)
    assert_same(weights(network), expected[::-1], rtol=1e-10)


def test_with_the_weights_themselves_it_is_backprop():
    network, other, steps = make(FeedbackAlignment(0)), make(td.backprop), batches(3)
    for step in steps:
        network.algorithm.B = [W for W, _ in weights(network)]
        train(network, [step]), train(other, [step])
    assert_same(weights(network), weights(other), rtol=0)


def test_the_kernels_of_a_convolution_have_a_way_down_too():
    blocks = td.cnn((8, 8, 1), K, 3, stream(0, "weights"), 4, kernel=3)
    network = td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, algorithm=FeedbackAlignment(0),
                       input_shape=(8, 8, 1))
    rng = np.random.default_rng(0)
    network.step(rng.standard_normal((4, 8, 8, 1)).astype(np.float32), np.arange(4) % K)
    layers = [module.block.layers[0] for module in network.modules[:-1]]
    assert [B.shape for B in network.algorithm.B[:-1]] == [layer.W.shape for layer in layers]
    assert not np.allclose(network.algorithm.B[0], layers[0].W)


def test_the_way_up_turns_towards_the_way_down():
    """That is why it learns: cosines of W and B, which start near 0."""
    network, data = digits(FeedbackAlignment(0))
    assert digits_error(network, data) < 6
    Ws = [W for W, _ in weights(network)][1:]
    cosines = [np.vdot(W, B) / np.linalg.norm(W) / np.linalg.norm(B)
               for W, B in zip(Ws, network.algorithm.B[1:])]
    assert min(cosines) > 0.1


# Direct random target projection

def test_a_projected_target_is_minus_the_row_of_its_label():
    synthesizer = TargetProjection((H,), K, stream(0, "synthesizer"))
    h, labels = np.zeros((4, H), np.float32), np.array([2, 0, 1, 2])
    context, B = np.eye(K, dtype=np.float32)[labels], synthesizer.B.copy()
    np.testing.assert_array_equal(synthesizer.forward(h, context), -B[labels])
    synthesizer.learn(h, context, np.ones_like(h), 0.1)
    np.testing.assert_array_equal(synthesizer.B, B)


def test_it_stands_in_the_place_of_any_synthesizer():
    data, rng = td.datasets.digits(), stream(0, "synthesizer")
    network = td.build(td.mlp((64, 64, 10), stream(0, "weights")), td.SoftmaxCrossEntropy(),
                       lambda: td.Adam(3e-3), lambda n: TargetProjection((n,), 10, rng), 0.1)
    assert digits_error(network, data, context=data.context()) < 10
    assert any(path.endswith("synthesizer.B") for path in network.state())


# Forward-Forward

def test_the_gradient_of_goodness_agrees_with_central_differences():
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], size=5)
    assert_gradients(Goodness(0.5), rng.standard_normal((5, 4)), signs, rng=rng)


def test_goodness_by_the_formula():
    h, s = np.random.default_rng(1).standard_normal((6, 2, 2, 3)), np.array([1, -1, 1, -1, 1, 1.])
    margins = [s[n] * ((h[n] ** 2).sum() - 0.5 * 12) for n in range(6)]
    assert Goodness(0.5).forward(h, s) == pytest.approx(np.mean(np.log1p(np.exp(
        np.negative(margins)))))


def ff(lr=1e-3, widths=(D, H, H, K)):
    return forward_forward(td.mlp(widths, stream(0, "weights")), lambda: td.Adam(lr), K, 0)


def floats(n):
    return [(x.astype(np.float32), y) for x, y in batches(n)]


def test_real_images_have_their_label_and_false_ones_another():
    network, seen = ff(), []
    bottom = network.modules[0]
    run = bottom.forward_and_synthetic_update
    bottom.forward_and_synthetic_update = lambda h, *rest: seen.append(h) or run(h, *rest)
    for x, y in floats(20):
        network.step(x, y)
        marks = seen[-1][:, :K].argmax(axis=1)
        assert np.array_equal(marks[:N], y) and not np.any(marks[N:] == y)
        np.testing.assert_array_equal(seen[-1][:N, K:], x[:, K:])


def test_the_scores_are_the_goodness_of_every_label():
    network = ff()
    train(network, floats(3))
    x, scores = floats(1)[0][0], []
    network.eval()
    for k in range(K):
        h, score = labelled(np, x, np.full(N, k), K), 0
        for module in network.modules:
            h = module.block.forward(h / np.sqrt((h ** 2).mean(axis=1, keepdims=True) + 1e-8))
            score = score + (h ** 2).mean(axis=1)
        scores.append(score)
    np.testing.assert_allclose(network.predict(x, batch_size=7), np.stack(scores, axis=1),
                               rtol=1e-5)


def test_no_module_hears_from_one_above():
    """With NaN above, the module below takes the step that it takes anyway."""
    network, spoiled = ff(), ff()
    spoiled.modules[1].block.layers[0].W[...] = np.nan
    with np.errstate(invalid="ignore"):
        train(network, floats(2)), train(spoiled, floats(2))
    np.testing.assert_array_equal(network.modules[0].block.layers[0].W,
                                  spoiled.modules[0].block.layers[0].W)


def test_forward_forward_goes_on_after_a_stop():
    steps = floats(8)
    whole, first, second = train(ff(), steps), train(ff(), steps[:3]), ff()
    second.load_state(first.state())
    assert_same(weights(train(second, steps[3:])), weights(whole), rtol=0)


def test_forward_forward_learns():
    data = td.datasets.digits()
    network = forward_forward(td.mlp((64, 64, 64, 10), stream(0, "weights")),
                              lambda: td.Adam(3e-3), 10, 0)
    assert digits_error(network, data, 20) < 12


# Difference target propagation

def dtp(dtype=np.float64, lr=LR, rate=1.0, noise=0.1):
    rng = stream(0, "synthesizer")
    inverses = [inverse(H, H, rng, dtype) for _ in range(2)]
    return make(DifferenceTarget(inverses, [td.SGD(0.05) for _ in inverses], stream(0, "sample"),
                                 rate, noise), lr, dtype)


def test_targets_by_the_formula():
    network, (x, y) = dtp(rate=0.5), batches(1)[0]
    before, hs = weights(network), [x]
    G = [(g.net.W.copy(), g.net.b.copy()) for g in network.algorithm.inverses]
    for W, b in before[:-1]:
        hs.append(np.maximum(hs[-1] @ W + b, 0))
    dz = softmax_minus_target(hs[-1] @ before[-1][0] + before[-1][1], y)
    target = hs[-1] - 0.5 * N * dz @ before[-1][0].T
    expected = [(before[-1][0] - LR * hs[-1].T @ dz, before[-1][1] - LR * dz.sum(axis=0))]
    for k in (2, 1, 0):
        W, b = before[k]
        dz = (hs[k + 1] - target) / N * (hs[k + 1] > 0)
        expected.append((W - LR * hs[k].T @ dz, b - LR * dz.sum(axis=0)))
        if k:
            V, c = G[k - 1]
            target = hs[k] + (target @ V + c) - (hs[k + 1] @ V + c)
    assert_same(weights(train(network, [(x, y)])), expected[::-1], rtol=1e-9, atol=1e-12)


def test_where_the_target_is_h_nothing_below_moves():
    network = dtp()
    network.modules[-1].block.layers[0].W[...] = 0      # the top's gradient at h is zero
    before = weights(network)
    train(network, batches(1))
    assert_same(weights(network)[:-1], before[:-1], rtol=0, atol=1e-15)


def test_an_inverse_learns_to_undo_its_block():
    network = dtp(lr=0.0)
    x = batches(1)[0][0]

    def missed():
        h = network.modules[0].forward(x)
        back = network.algorithm.inverses[0].forward(network.modules[1].forward(h))
        return np.mean((back - h) ** 2) / h.var()
    at_first = missed()
    train(network, batches(400))
    assert missed() < 0.4 * at_first


def test_difference_targets_go_on_after_a_stop():
    steps = batches(10)
    whole, first, second = train(dtp(), steps), train(dtp(), steps[:4]), dtp()
    second.load_state(first.state())
    assert_same(weights(train(second, steps[4:])), weights(whole), rtol=0)


def test_difference_targets_learn():
    rng = stream(0, "synthesizer")
    algorithm = DifferenceTarget([inverse(32, 32, rng)], [td.Adam(1e-3)], stream(0, "sample"))
    assert digits_error(*digits(algorithm)) < 6


# Understanding synthetic gradients (Czarnecki et al. 2017): where a linear guess is enough

def guess_and_truth(loss, target, n=4000):
    """dW of a linear block by the best linear guess from h, and by the true gradient."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, D)) @ rng.standard_normal((D, D))
    block = td.Linear(D, D, rng, dtype=np.float64)
    h, y = block.forward(x), target(x, rng)
    loss.forward(h, y)
    delta, X = n * loss.backward(), np.column_stack([h, np.ones(n)])
    guess = X @ np.linalg.lstsq(X, delta, rcond=None)[0]
    found = []
    for gradient in (guess, delta):
        block.backward(gradient / n)
        found.append(block.dW.copy())
    return found, np.mean((guess - delta) ** 2) / np.mean(delta ** 2)


def test_a_linear_guess_of_a_squared_loss_makes_the_true_step_though_it_misses_the_noise():
    """δ = h - y, and what is linear in h is all that x, a linear map of h, is correlated with."""
    (guessed, true), missed = guess_and_truth(
        td.MeanSquaredError(), lambda x, rng: x[:, ::-1] + 3 * rng.standard_normal(x.shape))
    np.testing.assert_allclose(guessed, true, rtol=1e-8)
    assert missed > 0.2


@pytest.mark.parametrize("loss, target", [
    (td.SoftmaxCrossEntropy(), lambda x, rng: (x @ np.ones((D, D)) + x).argmax(axis=1)),
    (td.BinaryCrossEntropy(), lambda x, rng: (x > 0).astype(float))], ids=["softmax", "bits"])
def test_so_it_does_for_a_log_loss_of_one_batch(loss, target):
    """The normal equations of the guess are the block's own: x = h W⁻¹ spans what h spans."""
    (guessed, true), missed = guess_and_truth(loss, target)
    np.testing.assert_allclose(guessed, true, rtol=1e-6, atol=1e-9)
    assert missed > 0.05


def test_a_block_that_loses_something_of_x_gets_another_step():
    """ReLU: h no longer spans x, and the guess from h alone is not enough."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, D))
    block = td.Sequential(td.Linear(D, D, rng, dtype=np.float64), td.ReLU())
    h = block.forward(x)
    delta, X = h - x[:, ::-1], np.column_stack([h, np.ones(len(h))])
    guess = X @ np.linalg.lstsq(X, delta, rcond=None)[0]
    steps = []
    for gradient in (guess, delta):
        block.backward(gradient)
        steps.append(block.layers[0].dW.copy())
    assert np.linalg.norm(steps[0] - steps[1]) > 0.1 * np.linalg.norm(steps[1])
