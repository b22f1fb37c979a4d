"""Virtual forward-backward networks: first and second derivatives, sign, and learning."""

from copy import deepcopy

import fake_device
import numpy as np
import pytest
from conftest import on_devices
from fake_device import count_copies, count_float64, count_synchronisations
from hypothesis import given, settings
from hypothesis import strategies as st

import tinydni as td
from tinydni import backend
from tinydni.activations import ReLU, Sigmoid, Softplus, Tanh
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Residual, Sequential
from tinydni.dni import DNI
from tinydni.dropout import Dropout
from tinydni.gradcheck import assert_gradients
from tinydni.linear import Linear
from tinydni.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from tinydni.models import mlp
from tinydni.optimizers import SGD, Adam
from tinydni.synthesizers import LinearSynthesizer
from tinydni.variants.controls import Frozen
from tinydni.variants.virtual_mlp import VirtualMLP
from tinydni.variants.virtual_network import VirtualNetwork
from tinydni.virtual import VirtualLinear

F64 = np.float64
shapes = st.fixed_dictionaries({"N": st.integers(4, 9), "H": st.integers(2, 6),
                                "K": st.integers(2, 5), "seed": st.integers(0, 2**32 - 1)})
profile = settings(max_examples=15, deadline=None, derandomize=True)


def smooth_network(H, K, rng, *middle):
    """Linear(H, 6), the middle, Linear(6, K) as a virtual network, with a step for float64."""
    net = Sequential(Linear(H, 6, rng, dtype=F64), *middle, Linear(6, K, rng, std=0.4, dtype=F64))
    return VirtualNetwork(net, K, step=1e-5)


FORMS = {
    "linear, classes": lambda H, K, rng: VirtualLinear(H, K, rng, dtype=F64),
    "linear, bits": lambda H, K, rng: VirtualLinear(H, K, rng, output=Sigmoid(), dtype=F64),
    "linear, numbers": lambda H, K, rng: VirtualLinear(H, K, rng, output=Sequential(), dtype=F64),
    "mlp, classes": lambda H, K, rng: VirtualMLP(H, K, rng, hidden=5, dtype=F64),
    "mlp, bits": lambda H, K, rng: VirtualMLP(H, K, rng, hidden=5, output=Sigmoid(), dtype=F64),
    "network, tanh": lambda H, K, rng: smooth_network(H, K, rng, Tanh()),
    "network, batch norm": lambda H, K, rng: smooth_network(H, K, rng, BatchNorm(6, dtype=F64),
                                                            Softplus()),
    "network, residual": lambda H, K, rng: smooth_network(H, K, rng,
                                                          Residual(Linear(6, 6, rng, dtype=F64),
                                                                   Tanh())),
    "network, dropout": lambda H, K, rng: smooth_network(H, K, rng, Tanh(),
                                                        Dropout(0.3, np.random.default_rng(1))),
}
LOSSES = {"classes": SoftmaxCrossEntropy(), "bits": BinaryCrossEntropy(),
          "numbers": MeanSquaredError()}


def build(form, N, H, K, seed):
    """A synthesizer, the h and the context it reads, and a target to learn, all float64."""
    rng = np.random.default_rng(seed)
    synthesizer = FORMS[form](H, K, rng)
    # biases too: nothing hides behind a zero
    for _, parameter, _ in synthesizer.named_parameters():
        parameter += 0.3 * rng.standard_normal(parameter.shape)
    h, target = rng.standard_normal((N, H)), rng.standard_normal((N, H))
    labels = rng.integers(K, size=N)
    context = np.eye(K)[labels]
    if "bits" in form:
        context = rng.integers(2, size=(N, K)).astype(F64)
    if "numbers" in form:
        context = rng.standard_normal((N, K))
    return synthesizer, h, context, target, rng


def error(synthesizer, h, context, target):
    """What `learn` lowers, 1/2 ‖delta_hat - target‖², batch mean, always with one mask."""
    return 0.5 * np.sum((deepcopy(synthesizer).forward(h, context) - target)**2) / len(h)


def slope(function, array, v, step=1e-5):
    """Central difference of function() as `array` moves in place along v."""
    start = array.copy()
    array[...] = start + step * v
    above = function()
    array[...] = start - step * v
    below = function()
    array[...] = start
    return (above - below) / (2 * step)


def cosine(a, b):
    return np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))


# The derivatives ----------------------------------------------------------------------------------

@pytest.mark.parametrize("form", FORMS)
@profile
@given(shape=shapes)
def test_second_order_gradients_agree_with_differences_of_what_is_learned(form, shape):
    synthesizer, h, context, target, rng = build(form, **shape)
    claims = deepcopy(synthesizer)
    claims.learn(h, context, target, SGD(0.0))
    for (path, parameter, _), (_, _, gradient) in zip(synthesizer.named_parameters(),
                                                      claims.named_parameters()):
        v = rng.standard_normal(parameter.shape)
        expected = slope(lambda: error(synthesizer, h, context, target), parameter, v)
        size = np.linalg.norm(gradient) * np.linalg.norm(v) / np.sqrt(v.size)
        assert abs(np.vdot(gradient, v) - expected) <= 1e-6 * max(size, 1e-3), path


@pytest.mark.parametrize("form", FORMS)
def test_the_librarys_own_check_finds_nothing_to_say(form):
    synthesizer, h, context, _, _ = build(form, N=6, H=4, K=3, seed=0)
    assert_gradients(synthesizer, h, context)


@pytest.mark.parametrize("form", FORMS)
@profile
@given(shape=shapes)
def test_the_gradient_with_respect_to_the_context_is_there_for_who_learns_the_context(form, shape):
    synthesizer, h, context, e, rng = build(form, **shape)
    claims = deepcopy(synthesizer)
    claims.forward(h, context)
    assert claims.backward(e) is None
    v = rng.standard_normal(context.shape)
    expected = slope(lambda: np.vdot(e, deepcopy(synthesizer).forward(h, context)), context, v)
    assert np.vdot(claims.dcontext, v) == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("form", [form for form in FORMS if form.startswith(("linear", "mlp"))])
@profile
@given(shape=shapes)
def test_delta_hat_is_the_gradient_of_the_librarys_own_loss_per_example(form, shape):
    synthesizer, h, context, _, rng = build(form, **shape)
    loss = LOSSES[form.split(", ")[1]]
    target = context.argmax(axis=1) if "classes" in form else context

    def summed_loss():
        if isinstance(synthesizer, VirtualMLP):
            z = np.tanh(h @ synthesizer.A + synthesizer.b) @ synthesizer.V + synthesizer.c
        else:
            z = h @ synthesizer.V + synthesizer.c
        return len(h) * loss.forward(z, target)

    delta_hat, v = synthesizer.forward(h, context), rng.standard_normal(h.shape)
    expected = slope(summed_loss, h, v)
    assert np.vdot(delta_hat, v) == pytest.approx(expected, rel=1e-6, abs=1e-7)


# The two forms ------------------------------------------------------------------------------------

def twins(form, H, K, rng, dtype, step):
    """The closed form, and the same network by differences of two backward passes."""
    if form == "linear":
        closed, net = VirtualLinear(H, K, rng, dtype=dtype), Linear(H, K, rng, dtype=dtype)
    else:
        closed = VirtualMLP(H, K, rng, hidden=6, dtype=dtype)
        net = Sequential(Linear(H, 6, rng, dtype=dtype), Tanh(), Linear(6, K, rng, dtype=dtype))
    for (_, own, _), (_, others, _) in zip(net.named_parameters(), closed.named_parameters()):
        own[...] = others
    return closed, VirtualNetwork(net, K, step=step)


@pytest.mark.parametrize("form", ["linear", "mlp"])
@pytest.mark.parametrize("dtype, step, tolerance",
                         [(np.float64, 1e-5, 1e-7), (np.float32, 1e-3, 2e-3)])
@profile
@given(shape=shapes)
def test_closed_form_and_difference_form_agree_on_smooth_networks(form, dtype, step, tolerance,
                                                                  shape):
    N, H, K = shape["N"], shape["H"], shape["K"]
    rng = np.random.default_rng(shape["seed"])
    closed, difference = twins(form, H, K, rng, dtype, step)
    h, e = (rng.standard_normal((N, H)).astype(dtype) for _ in range(2))
    context = np.eye(K, dtype=dtype)[rng.integers(K, size=N)]
    np.testing.assert_allclose(difference.forward(h, context), closed.forward(h, context), rtol=0,
                               atol=1e-5)
    closed.backward(e)
    difference.backward(e)
    for (path, _, exact), (_, _, got) in zip(closed.named_parameters(),
                                             difference.named_parameters()):
        assert np.linalg.norm(got - exact) <= tolerance * max(np.linalg.norm(exact), 0.1), path


# The sign -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("form", FORMS)
def test_learning_lowers_the_error_and_the_opposite_sign_raises_it(form):
    synthesizer, h, context, target, _ = build(form, N=8, H=5, K=3, seed=0)
    taught = deepcopy(synthesizer)
    taught.learn(h, context, target, SGD(0.01))
    both = zip(synthesizer.named_parameters(), taught.named_parameters())
    step = [new - old for (_, old, _), (_, new, _) in both]

    def error_after(sign):
        moved = deepcopy(synthesizer)
        for (_, parameter, _), change in zip(moved.named_parameters(), step):
            parameter += sign * change
        return error(moved, h, context, target)

    assert error_after(1) < error_after(0) < error_after(-1)


def test_a_step_down_delta_hat_lowers_the_loss_and_equation_8_as_printed_raises_it():
    synthesizer, h, context, _, _ = build("linear, classes", N=8, H=5, K=3, seed=1)
    loss, labels = SoftmaxCrossEntropy(), context.argmax(axis=1)

    def loss_at(h):
        return loss.forward(h @ synthesizer.V + synthesizer.c, labels)

    delta_hat = synthesizer.forward(h, context)
    printed = (context - synthesizer.output.forward(h @ synthesizer.V
                                                    + synthesizer.c)) @ synthesizer.V.T
    assert loss_at(h - 0.1 * delta_hat) < loss_at(h) < loss_at(h - 0.1 * printed)


# The exact gradient is within reach ---------------------------------------------------------------

@pytest.mark.parametrize("depth", ["linear", "tanh", "batch norm"])
def test_with_the_weights_of_the_layers_above_the_guess_is_the_true_gradient(depth):
    rng = np.random.default_rng(2)
    h, labels = rng.standard_normal((12, 7)), rng.integers(4, size=12)
    top = {"linear": lambda: Linear(7, 4, rng, dtype=F64),
           "tanh": lambda: Sequential(Linear(7, 6, rng, dtype=F64), Tanh(),
                                      Linear(6, 4, rng, dtype=F64)),
           "batch norm": lambda: Sequential(Linear(7, 6, rng, dtype=F64), BatchNorm(6, dtype=F64),
                                            ReLU(), Linear(6, 4, rng, dtype=F64))}[depth]()
    synthesizer = {"linear": lambda: VirtualLinear(7, 4, rng, dtype=F64),
                   "tanh": lambda: VirtualMLP(7, 4, rng, hidden=6, dtype=F64),
                   "batch norm": lambda: VirtualNetwork(deepcopy(top), 4)}[depth]()
    for (_, own, _), (_, true, _) in zip(synthesizer.named_parameters(), top.named_parameters()):
        own[...] = true
    message, _ = DNI(top, SGD(0.1),
                     loss=SoftmaxCrossEntropy()).forward_and_synthetic_update(h, target=labels)
    delta_hat = synthesizer.forward(h, np.eye(4)[labels])
    np.testing.assert_allclose(delta_hat, len(h) * message, rtol=0, atol=1e-12)
    assert cosine(delta_hat, message) == pytest.approx(1, abs=1e-12)
    weights = [parameter.copy() for _, parameter, _ in synthesizer.named_parameters()]
    # nothing is left to learn
    synthesizer.learn(h, synthesizer.context, len(h) * message, SGD(0.1))
    for old, (path, new, _) in zip(weights, synthesizer.named_parameters()):
        np.testing.assert_allclose(new, old, rtol=0, atol=1e-9, err_msg=path)


# A network of modules -----------------------------------------------------------------------------

def clusters(rng, n=1500, K=4, D=12):
    """A small classification problem: two noisy clusters per class."""
    centres, y = 1.2 * rng.standard_normal((2 * K, D)), rng.integers(2 * K, size=n)
    x = (centres[y] + rng.standard_normal((n, D))).astype(np.float32)
    return x, y % K, np.eye(K, dtype=np.float32)[y % K]


def train(form, steps=300, lr=1e-3, synthesizer_lr=3e-3):
    """A network with two interfaces; the batch cosines at the upper one, the last 50 steps."""
    rng = np.random.default_rng(3)
    x, y, context = clusters(rng)
    net = td.build(mlp([12, 32, 32, 4], rng), SoftmaxCrossEntropy(), lambda: Adam(lr),
                   synthesizer=lambda n: form(n, rng), synthesizer_lr=lambda: Adam(synthesizer_lr))
    cosines, upper = [], net.modules[-2].synthesizer
    for step in range(steps):
        batch = rng.integers(len(x), size=64)
        net.step(x[batch], y[batch], context[batch])
        if step >= steps - 50:
            guess = upper.delta_hat
            # error = guess - true gradient, at the top
            cosines.append(cosine(guess, guess - upper.error))
    return net, np.array(cosines)


@pytest.mark.parametrize("form", [
    lambda n, rng: VirtualLinear(n, 4, rng),
    lambda n, rng: VirtualMLP(n, 4, rng, hidden=32),
    lambda n, rng: VirtualNetwork(Sequential(Linear(n, 32, rng), ReLU(),
                                             Linear(32, 4, rng, std=32**-0.5)), 4),
], ids=["linear", "mlp", "network of ReLUs"])
def test_virtual_networks_find_the_gradient_of_the_top_layer(form):
    _, cosines = train(form)
    assert cosines.mean() >= 0.9


def test_a_linear_synthesizer_with_labels_is_further_from_it():
    _, virtual = train(lambda n, rng: VirtualLinear(n, 4, rng))
    _, linear = train(lambda n, rng: LinearSynthesizer(n, 4))
    assert linear.mean() < virtual.mean() - 0.05


# Frozen -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("inner", [lambda n, rng: VirtualLinear(n, 4, rng),
                                   lambda n, rng: VirtualMLP(n, 4, rng)])
def test_frozen_synthesizers_stay_as_they_started_and_the_blocks_learn_from_them(inner):
    net, _ = train(lambda n, rng: Frozen(inner(n, rng)), steps=1, lr=1e-2)
    first = {key: value.copy() for key, value in net.state().items()}
    net, _ = train(lambda n, rng: Frozen(inner(n, rng)), steps=60, lr=1e-2)
    last = net.state()
    learned = {key for key in first if "synthesizer" in key
               and not np.array_equal(first[key], last[key])}
    assert not learned
    assert np.abs(last["0.block.0.W"] - first["0.block.0.W"]).max() > 0.01
    assert net.synthesizers()[0].loss() > 0
    assert "Frozen(Virtual" in td.plots.summary(net, (12,))


# Masks, statistics, corners -----------------------------------------------------------------------

def test_probes_leave_running_statistics_and_generators_as_one_forward_pass_leaves_them():
    rng = np.random.default_rng(4)
    masks = np.random.default_rng(5)
    net = Sequential(Linear(5, 6, rng), BatchNorm(6), Tanh(), Dropout(0.5, masks),
                     Linear(6, 3, rng))
    alone, synthesizer = deepcopy(net), VirtualNetwork(net, 3)
    h = rng.standard_normal((8, 5)).astype(np.float32)
    alone.forward(h)
    synthesizer.learn(h, np.eye(3, dtype=np.float32)[rng.integers(3, size=8)], h, SGD(0.0))
    for (path, expected), (_, got) in zip(alone.state().items(), net.state().items()):
        np.testing.assert_array_equal(got, expected, err_msg=path)


@pytest.mark.parametrize("h_scale, e_scale", [(0, 1), (1, 0), (0, 0), (1, 1e-25)])
def test_the_difference_form_survives_a_dead_h_and_a_vanished_error(h_scale, e_scale):
    rng = np.random.default_rng(6)
    synthesizer = VirtualNetwork(Linear(5, 3, rng), 3)
    h, e = (scale * rng.standard_normal((8, 5)).astype(np.float32) for scale in (h_scale, e_scale))
    synthesizer.forward(h.astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(3, size=8)])
    synthesizer.backward(e.astype(np.float32))
    for path, _, gradient in synthesizer.named_parameters():
        assert np.isfinite(gradient).all(), path
        assert e_scale == 1 or np.abs(gradient).max() < 1e-15, path


SMALL = {"linear": lambda rng: VirtualLinear(5, 3, rng), "mlp": lambda rng: VirtualMLP(5, 3, rng),
         "bits": lambda rng: VirtualLinear(5, 3, rng, output=Sigmoid()),
         "network": lambda rng: VirtualNetwork(
             Sequential(Linear(5, 6, rng), BatchNorm(6), ReLU(), Linear(6, 3, rng)), 3)}


@on_devices
@pytest.mark.parametrize("form", SMALL)
def test_every_backend_learns_the_same_and_the_host_never_waits(form, xp):
    rng = np.random.default_rng(8)
    data = [rng.standard_normal((8, 5), dtype=np.float32),
            rng.standard_normal((8, 5), dtype=np.float32),
            np.eye(3, dtype=np.float32)[rng.integers(3, size=8)]]
    here, there = SMALL[form](np.random.default_rng(9)), SMALL[form](np.random.default_rng(9)).to(
        xp)
    for synthesizer, module in ((here, np), (there, xp)):
        h, target, context = (backend.asarray(module, array) for array in data)
        optimizer = Adam(0.01)
        with (count_synchronisations() as waits, count_copies() as copied,
              count_float64() as doubles):
            for _ in range(3):
                synthesizer.forward(h, context)
                synthesizer.learn(h, context, target, optimizer)
        assert (waits, copied, doubles) == ([], [], [])
    for (path, expected), (_, got) in zip(here.state().items(), there.state().items()):
        tolerance = 0 if xp in (np, fake_device.xp) else 1e-3
        np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=tolerance, atol=tolerance,
                                   err_msg=path)


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_float32_stays_float32_and_arguments_stay_as_they_are(make):
    rng = np.random.default_rng(7)
    synthesizer = make(rng)
    h, target = (rng.standard_normal((8, 5)).astype(np.float32) for _ in range(2))
    context = np.eye(3, dtype=np.float32)[rng.integers(3, size=8)]
    copies = [array.copy() for array in (h, context, target)]
    synthesizer.learn(h, context, target, Adam(1e-3))
    assert synthesizer.delta_hat.dtype == np.float32 and synthesizer.loss().dtype == np.float32
    for path, parameter, gradient in synthesizer.named_parameters():
        assert parameter.dtype == gradient.dtype == np.float32, path
    for array, copy in zip((h, context, target), copies):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("make", [lambda: VirtualLinear(5, 3, np.random.default_rng(0)),
                                  lambda: VirtualMLP(5, 3, np.random.default_rng(0)),
                                  lambda: VirtualNetwork(Linear(5, 3, np.random.default_rng(0)),
                                                         3)])
def test_wrong_arguments_are_named(make):
    h, context = np.ones((8, 5), np.float32), np.eye(3, dtype=np.float32)[np.zeros(8, int)]
    with pytest.raises(ValueError, match=r"context must be an array of shape \(8, 3\); got None"):
        make().forward(h)
    with pytest.raises(ValueError,
                       match=r"context must be an array of shape \(8, 3\); got \(8, 4\)"):
        make().forward(h, np.ones((8, 4), np.float32))
    with pytest.raises(TypeError, match=r"context has dtype float64"):
        make().forward(h, context.astype(F64))
    with pytest.raises(ValueError, match=r"shape \(N, 5\); got \(8, 6\)"):
        make().forward(np.ones((8, 6), np.float32), context)
    with pytest.raises(ValueError, match="target has shape"):
        make().learn(h, context, np.ones((8, 4), np.float32), SGD(0.1))


def test_virtual_networks_start_with_the_spread_of_their_inputs():
    rng = np.random.default_rng(0)
    assert VirtualLinear(400, 100, rng).V.std() == pytest.approx(1 / 20, rel=0.02)
    mlp = VirtualMLP(400, 100, rng, hidden=100)
    assert mlp.A.std() == pytest.approx(1 / 20, rel=0.02)
    assert mlp.V.std() == pytest.approx(1 / 10, rel=0.02)


def test_wrong_virtual_networks_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match="net must be a layer"):
        VirtualNetwork([Linear(5, 3, rng)], 3)
    with pytest.raises(ValueError, match="step must lie in"):
        VirtualNetwork(Linear(5, 3, rng), 3, step=0)
    with pytest.raises(ValueError, match="output of the virtual network has shape"):
        VirtualNetwork(Linear(5, 4, rng), 3).forward(np.ones((8, 5), np.float32),
                                                     np.ones((8, 3), np.float32))
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        VirtualLinear(5, 3, 0)
