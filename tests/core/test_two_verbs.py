"""Modules in a loop of six lines train, are saved and moved; a number is an optimizer."""

import fake_device
import numpy as np
import pytest

import tinydni as td

K = 10


def modules(dtype=np.float32, lr=0.1):
    """Three modules for the digits, as in the README."""
    blocks = td.mlp((64, 16, 16, K), np.random.default_rng(0), dtype=dtype)
    guessing = [td.DNI(block, lr=lr, synthesizer=td.LinearSynthesizer(16, K, dtype=dtype),
                       synthesizer_lr=lr) for block in blocks[:2]]
    return [*guessing, td.DNI(blocks[2], lr=lr, loss=td.SoftmaxCrossEntropy())]


def loop(made, steps, seed=0, xp=np, dtype=np.float32):
    """The six lines. Returns the losses."""
    data, losses = td.datasets.digits(), []
    x, labels = data.x.astype(dtype), data.context().astype(dtype)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        batch = rng.integers(len(x), size=32)
        h, context, target = (td.backend.asarray(xp, array[batch]) for array in (x, labels, data.y))
        for below, module in zip([None, *made], made):
            dx, h = module.forward_and_synthetic_update(h, context, target)
            if below is not None:
                below.update_synthetic_weights(dx)
        losses.append(float(made[-1].loss_value))
    return losses


def test_the_loop_learns_the_digits():
    losses = loop(modules(), 300)
    assert np.mean(losses[-20:]) < 0.3 * losses[0]


def test_modules_are_saved_and_put_back():
    whole, first, second = modules(), modules(), modules()
    losses = loop(whole, 5) + loop(whole, 5, seed=1)
    loop(first, 5)
    for module, twin in zip(first, second):
        twin.load_state(module.state())
    assert loop(second, 5, seed=1) == losses[5:]


def test_modules_are_moved_to_another_backend_and_dtype():
    here, there = modules(np.float64), modules()
    there = [module.to(fake_device.xp, np.float64) for module in there]
    for module, twin in zip(here, there):
        module.load_state(twin.state())
    np.testing.assert_allclose(loop(here, 5, dtype=np.float64),
                               loop(there, 5, xp=fake_device.xp, dtype=np.float64), rtol=1e-10)


def test_a_network_of_the_modules_is_the_loop():
    by_hand, network = modules(), td.Network(modules())
    data, rng, losses = td.datasets.digits(), np.random.default_rng(0), []
    for _ in range(5):
        batch = rng.integers(len(data.x), size=32)
        losses.append(float(network.step(data.x[batch], data.y[batch], data.context()[batch])))
    assert losses == loop(by_hand, 5)


@pytest.mark.parametrize("made", [
    lambda lr: td.build(td.mlp((64, 16, K), np.random.default_rng(0)), td.SoftmaxCrossEntropy(), lr,
                        lambda n: td.LinearSynthesizer(n, K), lr),
    lambda lr: td.Network(modules(lr=lr() if callable(lr) else lr))], ids=["build", "DNI"])
def test_a_learning_rate_is_plain_gradient_descent(made):
    data = td.datasets.digits()
    batch = data.x[:32], data.y[:32], data.context()[:32]
    states = []
    for lr in (0.1, lambda: td.SGD(0.1)):
        network = made(lr)
        for _ in range(3):
            network.step(*batch)
        states.append(network.state())
    for path, array in states[0].items():
        if not path.endswith("steps"):          # one optimizer for all counts their steps together
            np.testing.assert_array_equal(array, states[1][path], err_msg=path)


def test_a_boundary_and_a_recurrent_module_take_a_learning_rate():
    lstm = td.LSTM(3, 4, np.random.default_rng(0))
    boundary = td.Boundary(td.LinearSynthesizer(8), 0.1)
    module = td.RecurrentModule(lstm, 0.2, boundary, loss=td.MeanSquaredError())
    assert [(optimizer.lr, type(optimizer)) for _, _, optimizer in module.learners()] == [
        (0.2, td.SGD), (0.1, td.SGD)]


def test_full_unlock_and_heads_take_a_learning_rate():
    rng = np.random.default_rng(0)
    network = td.variants.full_unlock(
        td.Network(modules()), lambda n: td.variants.input_synthesizer(64, n, rng, hidden=()), 0.3)
    td.variants.with_heads(network, [td.Linear(16, K, rng) for _ in range(2)], 0.2)
    rates = {path: (type(optimizer), optimizer.lr) for path, _, optimizer in network.learners()}
    assert rates == {
        **{f"{i}.{part}": (td.SGD, 0.1) for i in range(2) for part in ("block", "synthesizer")},
        **{f"2.heads.{i}.block": (td.SGD, 0.2) for i in range(2)},
        **{f"algorithm.{i}.input_synthesizer": (td.SGD, 0.3) for i in (1, 2)}}


def test_what_a_module_and_a_network_are_is_printed():
    text = repr(td.Network(modules()))
    assert text.startswith("Network(update_decoupled:\n  0: DNI(Sequential(Linear(64 -> 16)")
    assert text.count("LinearSynthesizer(16 + 10 context -> 16)") == 2
    assert "SGD(lr=0.1), SoftmaxCrossEntropy()" in text


# A recurrent network obeys its arguments

def windows(seed=0):
    rng = np.random.default_rng(seed)
    x, target = (rng.standard_normal((4, 6, n)) for n in (3, 2))
    return td.cut(x, target, range(6), 3)


def recurrent(**options):
    rng = np.random.default_rng(0)
    below = td.RecurrentModule(td.LSTM(3, 4, rng, dtype=np.float64), 0.1,
                               td.Boundary(td.LinearSynthesizer(8, dtype=np.float64), 0.1),
                               td.LinearSynthesizer(4, dtype=np.float64), 0.1, each_window=True)
    block = td.Recurrent(td.LSTM(4, 4, rng, dtype=np.float64),
                         td.Linear(4, 2, rng, dtype=np.float64))
    top = td.RecurrentModule(block, 0.1, loss=td.MeanSquaredError(), each_window=True)
    return td.RecurrentNetwork([below, top], **options)


def trained(network, sequences=2):
    for seed in range(sequences):
        for window in windows(seed):
            network.step(window)
    return network


def block_of(network, i):
    return {path: array.copy() for path, array, _ in network.modules[i].block.named_parameters()}


def test_a_recurrent_network_obeys_its_warm_up():
    start, warm = recurrent(), trained(recurrent(warm_up=100))
    for path, array in block_of(start, 0).items():
        np.testing.assert_array_equal(block_of(warm, 0)[path], array)       # the block below waits
    assert (block_of(start, 1)["0.Wx"] != block_of(warm, 1)["0.Wx"]).any()  # the top learns
    assert warm.modules[0].synthesizer.A.any() and warm.modules[0].boundary.synthesizer.A.any()
    assert (block_of(start, 0)["Wx"] != block_of(trained(recurrent(warm_up=1)), 0)["Wx"]).any()


def test_in_the_warm_up_a_boundary_says_nothing():
    silent, none = recurrent(warm_up=100), recurrent(warm_up=100)
    for network in (silent, none):
        network.modules[1].boundary = td.Boundary(td.LinearSynthesizer(8, dtype=np.float64), 0.1)
    silent.modules[1].boundary.synthesizer.b[:] = 5.0
    trained(silent), trained(none)
    for path, array in block_of(silent, 1).items():
        np.testing.assert_array_equal(array, block_of(none, 1)[path], err_msg=path)


def test_a_recurrent_network_obeys_its_algorithm():
    """Under backprop the true gradient comes down, and synthesizers in depth do not learn."""
    network = trained(recurrent(algorithm=td.backprop))
    assert not network.modules[0].synthesizer.A.any()
    joint = np.random.default_rng(0)
    blocks = [td.LSTM(3, 4, joint, dtype=np.float64), td.LSTM(4, 4, joint, dtype=np.float64),
              td.Linear(4, 2, joint, dtype=np.float64)]
    module = td.RecurrentModule(td.Recurrent(*blocks), 0.1, loss=td.MeanSquaredError(),
                                each_window=True)
    own, other = recurrent(algorithm=td.backprop), td.RecurrentNetwork([module])
    own.modules[0].boundary = None
    trained(own), trained(other)
    np.testing.assert_allclose(own.modules[0].block.Wx, blocks[0].Wx, rtol=1e-12)
    np.testing.assert_allclose(own.modules[1].block.layers[1].W, blocks[2].W, rtol=1e-12)
