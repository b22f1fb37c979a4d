"""The guess synthesizer: no label reaches it, who trains it, why h alone is not enough."""

from copy import deepcopy

import fake_device
import numpy as np
import pytest
from building import build
from conftest import on_devices
from fake_device import count_copies, count_synchronisations
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni import backend
from tinydni.activations import Softmax, Tanh
from tinydni.algorithms import no_backprop
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Sequential
from tinydni.gradcheck import assert_gradients
from tinydni.linear import Linear
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.models import mlp
from tinydni.optimizers import SGD, Adam, LinearDecay
from tinydni.synthesizers import LinearSynthesizer, mlp_synthesizer
from tinydni.variants.guess import Guess, GuessSynthesizer
from tinydni.variants.virtual_mlp import VirtualMLP
from tinydni.variants.virtual_network import VirtualNetwork
from tinydni.virtual import VirtualLinear

F64 = np.float64
profile = settings(max_examples=15, deadline=None, derandomize=True)

FORMS = {
    "linear": lambda H, K, rng: VirtualLinear(H, K, rng, dtype=F64),
    "mlp": lambda H, K, rng: VirtualMLP(H, K, rng, hidden=5, dtype=F64),
    "network": lambda H, K, rng: VirtualNetwork(
        Sequential(Linear(H, 6, rng, dtype=F64), BatchNorm(6, dtype=F64), Tanh(),
                   Linear(6, K, rng, dtype=F64)), K,
        step=1e-5),
}


def network(rng, layers=3, width=8, codes=3, lr=0.01, dtype=np.float32):
    """Blocks 6 -> width -> ... -> 4 with a guess from the input at every interface."""
    guess = Guess(6, codes, rng, hidden=7, dtype=dtype)
    blocks = mlp([6] + [width] * (layers - 1) + [4], rng, dtype=dtype)
    return build(blocks, SoftmaxCrossEntropy(), lambda: Adam(lr),
                    lambda n: GuessSynthesizer(VirtualLinear(n, codes, rng, dtype=dtype), guess),
                 lambda: Adam(lr))


def batch(rng, N=16, dtype=np.float32):
    return rng.standard_normal((N, 6)).astype(dtype), rng.integers(4, size=N)


def copies(arrays):
    return {name: array.copy() for name, array in arrays.items()}


# Gradients ----------------------------------------------------------------------------------------

@profile
@given(N=st.integers(1, 5), K=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_softmax_gradients(N, K, seed):
    x = np.random.default_rng(seed).standard_normal((N, K))
    assert_gradients(Softmax(), x)
    np.testing.assert_allclose(Softmax().forward(x + 1e4).sum(axis=1), 1)


@pytest.mark.parametrize("form", FORMS)
@profile
@given(N=st.integers(4, 8), D=st.integers(2, 5), H=st.integers(2, 5), K=st.integers(2, 4),
       seed=st.integers(0, 2**32 - 1))
def test_gradients_of_virtual_network_and_guess_agree_with_differences_of_what_is_learned(form, N,
                                                                                          D, H, K,
                                                                                          seed):
    rng = np.random.default_rng(seed)
    synthesizer = GuessSynthesizer(FORMS[form](H, K, rng), Guess(D, K, rng, hidden=4, dtype=F64))
    # the guess too starts away from zero
    for _, parameter, _ in synthesizer.named_parameters():
        parameter += 0.5 * rng.standard_normal(parameter.shape)
    h, target, x = rng.standard_normal((N, H)), rng.standard_normal((N, H)), rng.standard_normal(
        (N, D))

    def error_at(path, move):
        moved = deepcopy(synthesizer)
        dict((p, array) for p, array, _ in moved.named_parameters())[path][...] += move
        return 0.5 * np.sum((moved.forward(h, x) - target)**2) / N

    claims = deepcopy(synthesizer)
    claims.learn(h, x, target, SGD(0.0))
    paths = [path for path, _, _ in claims.named_parameters()]
    assert sum(path.startswith("guess") for path in paths) == 6
    for path, parameter, gradient in claims.named_parameters():
        v = rng.standard_normal(parameter.shape)
        expected = (error_at(path, 1e-5 * v) - error_at(path, -1e-5 * v)) / 2e-5
        size = np.linalg.norm(gradient) * np.linalg.norm(v) / np.sqrt(v.size)
        assert abs(np.vdot(gradient, v) - expected) <= 1e-6 * max(size, 1e-3), path


# Who sees what, and when --------------------------------------------------------------------------

def test_the_label_reaches_only_the_top_block_and_the_guess_that_learns_from_its_message():
    rng = np.random.default_rng(0)
    net, (x, y) = network(rng, layers=4), batch(rng)
    twin = deepcopy(net)
    net.step(x, y, x)
    twin.step(x, (y + 1) % 4, x)
    same = {path for path in net.state() if np.array_equal(net.state()[path], twin.state()[path])}
    assert {path for path in net.state() if path.startswith(("0.", "1.", "2.block"))} <= same
    assert same.isdisjoint({"2.synthesizer.virtual.V", "2.synthesizer.guess.net.4.W",
                            "3.block.0.W"})


def test_no_synthesizer_is_ever_handed_the_label(monkeypatch):
    rng = np.random.default_rng(1)
    net, (x, y) = network(rng), batch(rng)
    seen = []
    forward = Guess.forward
    monkeypatch.setattr(Guess, "forward", lambda self, context: seen.append(context)
                        or forward(self, context))
    for _ in range(3):
        net.step(x, y, x)
    assert seen and all(context is x for context in seen)
    for synthesizer in net.synthesizers():
        assert synthesizer.context is x
        assert synthesizer.virtual.context.shape == (
            16, 3) and synthesizer.virtual.context.dtype == np.float32


def test_only_the_interface_nearest_the_loss_owns_trains_and_saves_the_guess():
    rng = np.random.default_rng(2)
    net, (x, y) = network(rng, layers=4), batch(rng)
    lower, middle, upper = net.synthesizers()
    assert [synthesizer.trains_guess for synthesizer in (lower, middle, upper)] == [False, False,
                                                                                    True]
    assert {path.split(".guess.")[0] for path in net.state() if ".guess." in path} == {
        "2.synthesizer", "2.synthesizer.optimizer"}
    guess = upper.guess
    net.step(x, y, x)
    before = copies(guess.state())
    lower.learn(lower.h, x, rng.standard_normal((16, 8)).astype(np.float32), SGD(1.0))
    middle.learn(middle.h, x, rng.standard_normal((16, 8)).astype(np.float32), SGD(1.0))
    assert all(np.array_equal(array, before[path]) for path, array in guess.state().items())
    upper.learn(upper.h, x, rng.standard_normal((16, 8)).astype(np.float32), SGD(1.0))
    assert not np.array_equal(guess.state()["net.4.W"], before["net.4.W"])


def test_the_guess_is_made_once_per_step_and_with_the_weights_that_the_step_before_has_left(
    monkeypatch):
    rng = np.random.default_rng(3)
    net, (x, y) = network(rng, layers=5), batch(rng)
    guess, made = net.synthesizers()[0].guess, []
    forward = guess.net.forward
    monkeypatch.setattr(guess.net, "forward", lambda x: made.append(forward(x)) or made[-1])
    # the same array every time, as when a data set is one batch
    for step in range(3):
        expected = forward(x)
        net.step(x, y, x)
        assert len(made) == step + 1
        for synthesizer in net.synthesizers():
            np.testing.assert_array_equal(synthesizer.virtual.context, expected)
    assert not np.array_equal(made[1], made[2])


def test_a_late_target_teaches_the_guess_about_its_own_examples():
    rng = np.random.default_rng(4)
    synthesizer = GuessSynthesizer(VirtualLinear(5, 3, rng), Guess(6, 3, rng, hidden=7))
    (x, _), (others, _) = batch(rng), batch(rng)
    h, target = (rng.standard_normal((16, 5)).astype(np.float32) for _ in range(2))
    at_once, late = deepcopy(synthesizer), synthesizer
    at_once.learn(h, x, target, SGD(0.1))
    late.forward(h, x)
    late.guess.forward(others)                  # another interface has gone on to the next batch
    late.learn(h, x, target, SGD(0.1))
    for path, array in late.state().items():
        np.testing.assert_array_equal(array, at_once.state()[path], err_msg=path)


def test_without_a_context_the_bottom_module_guesses_from_its_own_output():
    rng = np.random.default_rng(5)
    synthesizer = GuessSynthesizer(VirtualLinear(6, 3, rng), Guess(6, 3, rng, hidden=7))
    h, _ = batch(rng)
    np.testing.assert_array_equal(deepcopy(synthesizer).forward(h),
                                  deepcopy(synthesizer).forward(h, h))


def test_images_are_read_as_rows_of_numbers():
    rng = np.random.default_rng(6)
    guess = Guess(6, 3, rng)
    x, _ = batch(rng)
    np.testing.assert_array_equal(guess.forward(x.reshape(16, 2, 3)).copy(), guess.forward(x))


@on_devices
def test_every_backend_learns_the_same_and_the_host_never_waits(xp):
    data, states = batch(np.random.default_rng(7)), []
    for module in (np, xp):
        net = network(np.random.default_rng(8)).to(module)
        x, y = (backend.asarray(module, array) for array in data)
        with count_synchronisations() as waits, count_copies() as copied:
            for _ in range(3):
                net.step(x, y, x)
        assert (waits, copied) == ([], [])
        states.append({path: backend.to_numpy(array) for path, array in net.state().items()})
    tolerance = 0 if xp in (np, fake_device.xp) else 1e-3
    for path, expected in states[0].items():
        np.testing.assert_allclose(states[1][path], expected, rtol=tolerance, atol=tolerance,
                                   err_msg=path)


def test_float32_stays_float32():
    rng = np.random.default_rng(7)
    net, (x, y) = network(rng), batch(rng)
    net.step(x, y, x)
    for path, array in net.state().items():
        assert array.dtype in (np.float32, np.int64), path
    for synthesizer in net.synthesizers():
        assert synthesizer.delta_hat.dtype == np.float32
        assert all(gradient.dtype == np.float32
                   for _, _, gradient in synthesizer.named_parameters())


def test_wrong_arguments_are_named():
    rng = np.random.default_rng(8)
    with pytest.raises(ValueError,
                       match="the guess has 4 codes, but the virtual network takes a context of 3"):
        GuessSynthesizer(VirtualLinear(5, 3, rng), Guess(6, 4, rng))
    with pytest.raises(ValueError, match="n_codes must be at least 2"):
        Guess(6, 1, rng)
    synthesizer = GuessSynthesizer(VirtualLinear(5, 3, rng), Guess(6, 3, rng))
    h = np.ones((16, 5), np.float32)
    with pytest.raises(ValueError, match=r"Guess: x must have 6 features .* got \(16, 5\)"):
        synthesizer.forward(h)
    with pytest.raises(ValueError, match=r"an array of shape \(16, 3\); got \(4, 3\)"):
        synthesizer.forward(h, np.ones((4, 6), np.float32))


# The lesson of docs/from-h-alone.md: why h alone is not enough ------------------------------------

def population(rng):
    """All of a small world: x = (a, b), of which the module below has kept h = a. Returns x, h, y,
    each value of (a, b) with its labels in their exact proportions, so that means over the rows are
    expectations."""
    a, b, y = [], [], []
    for i in range(4):
        for j in range(4):
            counts = rng.multinomial(20, rng.dirichlet([0.5] * 3))
            y += [k for k in range(3) for _ in range(counts[k])]
            a, b = a + [i] * 20, b + [j] * 20
    a, b, y = np.array(a), np.array(b), np.array(y)
    return np.concatenate([np.eye(4)[a], np.eye(4)[b]], axis=1), np.eye(4)[a], y, 4 * a + b, a


def gradient_at(h, head, y):
    """The true gradient at the interface, per example, and the loss."""
    loss = SoftmaxCrossEntropy()
    value = loss.forward(head.forward(h), y)
    return len(h) * head.backward(loss.backward()), value


def expectation(delta, groups):
    """E[delta | group], for every row."""
    return np.array([delta[groups == g].mean(axis=0) for g in range(groups.max() + 1)])[groups]


def explained(guess, delta):
    """The share of the squared gradient that a guess explains."""
    return 1 - np.sum((delta - guess)**2) / np.sum(delta**2)


def heads():
    """The world, a head as it starts, and the same head as good as any function of h can be."""
    rng = np.random.default_rng(3)
    x, h, y, group_x, group_h = population(rng)
    start = Linear(4, 3, rng, dtype=F64)
    trained = deepcopy(start)
    for _ in range(2000):
        gradient_at(h, trained, y)
        trained.update(2.0)
    return x, h, y, group_x, group_h, start, trained


def test_at_a_calibrated_head_the_gradient_expected_from_h_vanishes_and_that_from_x_does_not():
    x, h, y, group_x, group_h, start, trained = heads()
    delta, _ = gradient_at(h, start, y)
    # early on, h tells a good part
    assert explained(expectation(delta, group_h), delta) > 0.25
    delta, _ = gradient_at(h, trained, y)
    size = np.sqrt(np.mean(delta**2))
    # calibrated given h: nothing is left ...
    assert np.abs(expectation(delta, group_h)).max() < 1e-9 * size
    # ... though x could still tell
    assert explained(expectation(delta, group_x), delta) > 0.3
    most_likely = expectation(np.eye(3)[y], group_x).argmax(axis=1)
    wrong, best = (trained.forward(h).argmax(axis=1) != y).mean(), (most_likely != y).mean()
    # and though the net is far from the best
    assert wrong > best + 0.15


def learned(synthesizer, h, context, delta, steps=400):
    optimizer = Adam(0.02)
    for _ in range(steps):
        synthesizer.learn(h, context, delta, optimizer)
    return explained(synthesizer.forward(h, context), delta)


def test_no_synthesizer_of_h_learns_anything_there_and_a_guess_from_x_does_without_any_label():
    x, h, y, group_x, _, _, trained = heads()
    delta, _ = gradient_at(h, trained, y)
    possible = explained(expectation(delta, group_x), delta)
    rng = np.random.default_rng(10)
    assert abs(learned(LinearSynthesizer(4, dtype=F64), h, None, delta)) < 1e-6
    assert abs(learned(mlp_synthesizer(4, rng, hidden=(16,), dtype=F64), h, None, delta)) < 0.01
    guess = Guess(8, 3, rng, hidden=16, dtype=F64)
    assert learned(GuessSynthesizer(VirtualLinear(4, 3, rng, dtype=F64), guess), h, x,
                   delta) > 0.95 * possible


def clusters(rng, n=3000, K=4, D=12):
    """Four noisy clusters per class."""
    centres, which = rng.standard_normal((4 * K, D)), rng.integers(4 * K, size=n)
    return (centres[which] + 0.5 * rng.standard_normal((n, D))).astype(np.float32), which % K


def error_of(method, seed=0, steps=500):
    """The error [%] on fresh examples of five layers, without any label below the top."""
    rng = np.random.default_rng(seed)
    x, y = clusters(rng)
    guess, guesses = Guess(32 if method == "guess from h1" else 12, 4, rng,
                           hidden=32), method.startswith("guess")
    synthesizer = {True: lambda n: GuessSynthesizer(VirtualLinear(n, 4, rng), guess),
                   False: lambda n: mlp_synthesizer(n, rng, hidden=(32,))}[guesses]
    options = {"algorithm": no_backprop} if method == "none" else {
        "synthesizer": synthesizer, "synthesizer_lr": lambda: Adam(0.01 if guesses else 0.003),
        "bottom_context": method == "guess from h1"}
    # each at its best
    lr = 0.003 if method in ("guess from x", "none") else 0.001
    net = build(mlp([12, 32, 32, 32, 32, 4], rng), SoftmaxCrossEntropy(), lambda: Adam(lr),
                **options)
    decay = LinearDecay(steps)
    for step in range(steps):
        net.scale_learning_rates(decay(step))
        index = rng.integers(2000, size=64)
        net.step(x[index], y[index], x[index] if method == "guess from x" else None)
    return 100 * (net.predict(x[2000:]).argmax(axis=1) != y[2000:]).mean()


def test_five_layers_learn_from_a_guess_what_they_do_not_learn_from_h_alone():
    errors = {method: error_of(method) for method in ("guess from x", "guess from h1", "h alone",
                                                      "none")}
    assert errors["guess from x"] < 3 and errors["guess from h1"] < 8, errors
    assert errors["guess from h1"] + 2 < errors["h alone"] < errors["none"] - 5, errors
