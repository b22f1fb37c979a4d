"""Late targets: what arrives, when, about which batch; and the start that looks linear."""

import numpy as np
import pytest
from building import build

import tinydni as td
from tinydni.dni import to_dh
from tinydni.random import stream
from tinydni.variants.late_targets import LateTargets
from tinydni.variants.looks_linear import looks_linear

D, H, K, N, LAYERS = 6, 8, 3, 16, 4
WIDTHS = (D, *[H] * (LAYERS - 1), K)


def make(n_context=0, lr=0.01, **options):
    """Four layers with batch normalisation, under LateTargets or under another algorithm."""
    algorithm = options.pop("algorithm", None)
    algorithm = algorithm or LateTargets(WIDTHS, N, n_context=n_context, **options)
    rng = stream(0, "synthesizer")
    network = build(td.mlp(WIDTHS, stream(0, "weights")), td.SoftmaxCrossEntropy(),
                    lambda: td.Adam(lr), lambda n: td.mlp_synthesizer(n, rng, n_context, (12,)),
                    lambda: td.Adam(0.01), algorithm=algorithm)
    return network


def batches(n, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((N, D)).astype(np.float32), rng.integers(K, size=N))
            for _ in range(n)]


def train(network, steps):
    for x, y in steps:
        network.step(x, y)
    return network


def spy(network):
    """Note (h, context, dh) of all that each synthesizer is given to learn."""
    learned = [[] for _ in network.modules[:-1]]
    for module, notes in zip(network.modules, learned):
        def learn(h, context, dh, notes=notes, learn=module.learn):
            notes.append((h.copy(), context if context is None else context.copy(), dh.copy()))
            learn(h, context, dh)
        module.learn = learn
    return learned


def true_messages(network, x, y):
    """h and the gradient of the batch-mean loss at it, for every interface, by backpropagation."""
    hs = [x]
    for module in network.modules:
        hs.append(module.forward(hs[-1]))
    dh, found = network.modules[-1].gradient_at_output(hs[-1], None, y), []
    for module, h in zip(network.modules[:0:-1], hs[-2::-1]):
        dh = module.backward(dh)
        found.append((h, dh))
    return found[::-1]


def still(network):
    """Let no block move, so that a late gradient is the gradient."""
    for module in network.modules:
        module.optimizer.scale = 0.0
    return network


# Without delay

def test_without_delay_the_targets_are_the_true_gradients():
    network, steps = train(make(delay=0), batches(3)), batches(2, seed=1)
    learned = spy(network)
    for i, (x, y) in enumerate(steps):
        expected = true_messages(make_twin(network), x, y)
        network.step(x, y)
        for notes, (h, dh) in zip(learned, expected):
            np.testing.assert_array_equal(notes[i][0], h)
            np.testing.assert_allclose(notes[i][2], dh, rtol=1e-5, atol=1e-9)


def make_twin(network):
    """A copy that can be run without changing the original."""
    twin = make(delay=0)
    twin.load_state(network.state())
    return twin


def test_without_delay_the_loss_of_a_synthesizer_is_that_of_gradient_quality():
    from tinydni.lab.gradient_quality import gradient_quality
    network = train(make(delay=0), batches(3))
    (x, y), = batches(1, seed=1)
    quality = gradient_quality(network, x, y)
    network.step(x, y)
    losses = [float(synthesizer.loss()) for synthesizer in network.synthesizers()]
    assert losses == pytest.approx([found["loss"] for found in quality], rel=1e-5)


def test_without_delay_and_with_nothing_but_guesses_it_is_update_decoupled():
    a = train(make(delay=0, share=1.0), batches(6)).state()
    b = train(make(algorithm=td.update_decoupled), batches(6)).state()
    for path in b:
        np.testing.assert_allclose(a[path], b[path], rtol=1e-6, atol=1e-8, err_msg=path)


def test_without_delay_a_block_that_warms_up_stays():
    network = make(delay=0)
    network.warm_up = 2
    before = network.modules[1].block.layers[0].W.copy()
    train(network, batches(2))
    np.testing.assert_array_equal(network.modules[1].block.layers[0].W, before)
    train(network, batches(1))
    assert not np.array_equal(network.modules[1].block.layers[0].W, before)


# With delay

@pytest.mark.parametrize("delay", [1, 3])
def test_a_message_needs_delay_steps_from_module_to_module(delay):
    network, steps = still(make(delay=delay)), batches(12)
    learned = spy(network)
    for t, (x, y) in enumerate(steps):
        network.step(x, y)
        for k, notes in enumerate(learned):
            lag = (LAYERS - 1 - k) * delay
            assert len(notes) == max(0, t + 1 - lag)


@pytest.mark.parametrize("delay", [1, 3])
def test_what_arrives_is_the_true_gradient_of_the_batch_that_it_is_about(delay):
    """Blocks stand still, so that the gradient late is the gradient."""
    network, steps = still(make(delay=delay)), batches(12)
    learned = spy(network)
    train(network, steps)
    for i, (x, y) in enumerate(steps):
        for notes, (h, dh) in zip(learned, true_messages(network, x, y)):
            if i < len(notes):
                np.testing.assert_allclose(notes[i][0], h, rtol=1e-5, atol=1e-6)
                np.testing.assert_allclose(notes[i][2], dh, rtol=1e-4, atol=1e-8)


def test_the_top_s_message_is_exact_and_one_step_old_though_blocks_move():
    network, steps = make(), batches(4)
    learned = spy(network)
    expected = []
    for x, y in steps:
        expected.append(true_messages_of_twin(network, x, y)[-1][1])
        network.step(x, y)
    for (_, _, dh), truth in zip(learned[-1], expected):
        np.testing.assert_allclose(dh, truth, rtol=1e-5, atol=1e-9)


def true_messages_of_twin(network, x, y):
    """The same, on a copy. The top reads h before it is updated, and so does the copy."""
    twin = make()
    twin.load_state(network.state())
    return true_messages(twin, x, y)


def test_a_share_of_guess_is_mixed_into_what_is_passed_down():
    share = 0.25
    network, (x, y), (x2, y2) = still(make(share=share)), *batches(2)
    for synthesizer in network.synthesizers():          # a guess that is not zero
        synthesizer.net.layers[-1].b += 1
        synthesizer.update = lambda lr: None
    learned = spy(network)
    train(network, [(x, y), (x2, y2), *batches(3, seed=2)])
    (h, true), *_ = true_messages(network, x, y)[::-1]
    above = network.modules[-2]
    above.forward(network_h(network, x, LAYERS - 2))
    guess = to_dh(above.synthesizer.forward(h))
    expected = above.backward((1 - share) * true + share * guess)
    np.testing.assert_allclose(learned[-2][0][2], expected, rtol=1e-4, atol=1e-8)


def network_h(network, x, k):
    """The input of module k."""
    for module in network.modules[:k]:
        x = module.forward(x)
    return x


def test_a_context_comes_with_the_batch_that_it_belongs_to():
    network = make(n_context=K)
    learned = spy(network)
    steps = batches(7)
    for x, y in steps:
        network.step(x, y, np.eye(K, dtype=np.float32)[y])
    for notes in learned:
        for (_, context, _), (_, y) in zip(notes, steps):
            np.testing.assert_array_equal(context.argmax(axis=1), y)


def test_blocks_update_as_under_update_decoupled_until_a_message_arrives():
    """The first messages below the top but one: nothing has arrived, so no guess has changed."""
    network = train(make(), batches(3))
    for k in range(LAYERS - 1):
        arrived = 3 - (LAYERS - 1 - k)
        assert network.modules[k].synthesizer_optimizer.steps == max(0, arrived)
    assert [module.optimizer.steps for module in network.modules] == [3] * LAYERS


def test_batch_statistics_are_counted_once():
    late, once = make(lr=1e-3), make(algorithm=td.no_backprop)
    for module in late.modules:
        module.optimizer.scale = 0.0
    for module in once.modules:
        module.optimizer.scale = 0.0
    steps = batches(8)
    a, b = train(late, steps).state(), train(once, steps).state()
    statistics = [path for path in a if "running" in path and ".block." in path]
    assert statistics
    for path in statistics:
        np.testing.assert_array_equal(a[path], b[path])


# No update waits

@pytest.mark.parametrize("poisoned", range(1, LAYERS))
def test_no_update_waits_for_a_module_above(poisoned):
    """What lies above is spoiled: the blocks below take the step that they take anyway."""
    network, spoiled = train(make(), batches(8)), train(make(), batches(8))
    for module in spoiled.modules[poisoned:]:
        module.block.layers[0].W[...] = np.nan
    step = batches(1, seed=1)
    a = train(network, step)
    with np.errstate(invalid="ignore"):
        b = train(spoiled, step)
    for k in range(poisoned):
        x, y = a.modules[k].block.state(), b.modules[k].block.state()
        assert all(np.array_equal(x[path], y[path]) for path in x)


def test_the_control_without_delay_does_wait():
    """Otherwise the test above could not fail: here the guess learns after a pass through all."""
    network, spoiled = make(delay=0), make(delay=0)
    spoiled.modules[-1].block.layers[0].W[...] = np.nan
    with np.errstate(invalid="ignore"):
        a, b = train(network, batches(2)), train(spoiled, batches(2))
    assert not np.isnan(a.modules[0].block.layers[0].W).any()
    assert np.isnan(b.modules[0].block.layers[0].W).any()


# Saved, moved, refused

@pytest.mark.parametrize("done", [1, 2, 7])
def test_a_resumed_run_is_the_uninterrupted_one(done):
    steps = batches(12)
    whole = train(make(share=0.2, delay=2), steps).state()
    first = train(make(share=0.2, delay=2), steps[:done])
    second = make(share=0.2, delay=2)
    second.load_state(first.state())
    resumed = train(second, steps[done:]).state()
    assert whole.keys() == resumed.keys()
    assert all(np.array_equal(whole[path], resumed[path]) for path in whole)


def test_what_is_under_way_is_part_of_the_state():
    """Otherwise the test above could not fail."""
    steps = batches(8)
    first = train(make(), steps)
    second = make()
    second.load_state({path: value * 0 if "messages" in path else value
                       for path, value in first.state().items()})
    a, b = train(first, batches(2, seed=1)).state(), train(second, batches(2, seed=1)).state()
    assert not all(np.array_equal(a[path], b[path]) for path in a)


def test_it_moves_to_another_dtype():
    network = make().to(dtype=np.float64)
    x, y = batches(1)[0]
    train(network, [(x.astype(np.float64), y)] * 5)
    assert all(kept.dtype == np.float64 for kept in network.algorithm.inputs)


def test_it_learns():
    data = td.datasets.digits()
    widths, rng = (64, 32, 32, 10), np.random.default_rng(0)
    network = td.build(td.mlp(widths, rng), td.SoftmaxCrossEntropy(), lambda: td.Adam(3e-3),
                       td.LinearSynthesizer, lambda: td.Adam(3e-3),
                       algorithm=LateTargets(widths, 32))
    history = td.Training(network, data, 10, 32, seed=0).run()
    assert history["test_error"][-1] < 8


@pytest.mark.parametrize("change, words", [
    (lambda net: net.modules.pop(1), "made for 4 modules"),
    (lambda net: setattr(net.modules[0], "gives_context", True), "no context"),
    (lambda net: setattr(net.modules[1], "loss", td.SoftmaxCrossEntropy()), "no loss"),
    (lambda net: setattr(net.modules[1], "block", td.Sequential(
        net.modules[1].block, td.Dropout(0.5, np.random.default_rng(0)))), "random")])
def test_what_it_cannot_run_is_refused(change, words):
    network = make()
    change(network)
    with pytest.raises(ValueError, match=words):
        network.step(*batches(1)[0])


def test_a_batch_of_another_size_is_refused():
    network = make()
    x, y = batches(1)[0]
    with pytest.raises(ValueError, match="batch_size"):
        network.step(x[:-1], y[:-1])


# The start that looks linear

def outputs(blocks, x):
    found = []
    for block in blocks:
        x = block.forward(x)
        found.append(x)
    return found


def share_missed(x, y):
    """The share of the variance of y that no affine map of x explains."""
    X = np.column_stack([x, np.ones(len(x))])
    y = y - y.mean(axis=0)
    return np.sum((y - X @ np.linalg.lstsq(X, y, rcond=None)[0])**2) / np.sum(y**2)


def start(make):
    x = np.random.default_rng(1).standard_normal((400, 5))
    *hidden, logits = outputs(make((5, 16, 16, 16, 3), np.random.default_rng(0), dtype=float), x)
    return x, hidden, logits


def test_the_code_at_every_height_is_an_affine_map_of_x_and_x_of_it():
    x, hidden, _ = start(looks_linear)
    for h in hidden:
        code = h[:, :8] - h[:, 8:]
        assert share_missed(x, code) < 1e-4         # BatchNorm's eps: not to the last digit
        assert share_missed(code, x) < 1e-4


def test_with_he_s_start_it_is_not():
    x, hidden, _ = start(td.mlp)
    assert share_missed(x, hidden[-1][:, :8] - hidden[-1][:, 8:]) > 0.1


def test_hidden_units_are_mirrored_and_the_halves_orthonormal():
    first, second, narrow, top = (block.layers[0].W for block in looks_linear(
        (5, 16, 16, 8, 3), np.random.default_rng(0), dtype=float))
    np.testing.assert_array_equal(first[:, :8], -first[:, 8:])
    for W in (second, narrow):
        n_in, n_out = W.shape[0] // 2, W.shape[1] // 2
        B = W[:n_in, :n_out]
        np.testing.assert_array_equal(W, np.block([[B, -B], [-B, B]]))
        np.testing.assert_allclose(B.T @ B, np.eye(n_out), atol=1e-12)
    assert top.shape == (8, 3)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="even"):
        looks_linear((5, 7, 3), np.random.default_rng(0))
