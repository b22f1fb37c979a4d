"""Optimizers: the formulas of their papers, state, weight decay, clipping and schedules."""

import inspect
import pickle
import re
from copy import deepcopy

import fake_device
import numpy as np
import pytest
from building import Saved
from conftest import BACKENDS, on_devices
from fake_device import count_launches
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni import SoftmaxCrossEntropy, backend, backprop, build, mlp
from tinydni.activations import ReLU, Tanh
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Sequential
from tinydni.gpu import kernels
from tinydni.gpu.kernels import FUSED, fuse
from tinydni.layer import Layer
from tinydni.linear import Linear
from tinydni.optimizers import (
    SGD,
    Adam,
    Constant,
    CosineDecay,
    LinearDecay,
    Momentum,
    RMSProp,
    StepDecay,
)

several = settings(max_examples=8, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)

RULES = {"SGD": SGD, "Momentum": Momentum, "RMSProp": RMSProp, "Adam": Adam}
DEVICES = {name: module for name, module in BACKENDS.items() if name != "numpy"}


def fused(optimizer):
    """The same optimizer with its rule in one launch, or one loop."""
    twin = deepcopy(optimizer)
    twin.__class__ = FUSED[type(optimizer)]
    return twin


every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


class Point(Layer):
    """A layer that is nothing but a place: W (D,) and a gradient that the test sets."""

    parameters = ("W",)

    def __init__(self, W):
        self.W = W


def trained(rng, n_in=3, n_out=2):
    """A small network in which every gradient is set."""
    net = Sequential(Linear(n_in, 4, rng), BatchNorm(4), Linear(4, n_out, rng))
    set_gradients(net, rng)
    return net


def set_gradients(net, rng):
    net.forward(rng.standard_normal((6, 3), dtype=np.float32))
    net.backward(rng.standard_normal((6, 2), dtype=np.float32))


# The rules, written down as their papers do, one number at a time

def by_sgd(p, gradients, lr):
    for dp in gradients:
        p = p - lr * dp
    return p


def by_momentum(p, gradients, lr, mu):
    v = 0
    for dp in gradients:
        v = mu * v + dp
        p = p - lr * v
    return p


def by_rmsprop(p, gradients, lr, rho, eps):
    v = 0
    for dp in gradients:
        v = rho * v + (1 - rho) * dp ** 2
        p = p - lr * dp / (np.sqrt(v) + eps)
    return p


def by_adam(p, gradients, lr, b1, b2, eps):
    m = v = t = 0
    for dp in gradients:
        t = t + 1
        m = b1 * m + (1 - b1) * dp
        v = b2 * v + (1 - b2) * dp ** 2
        m_hat = m / (1 - b1 ** t)
        v_hat = v / (1 - b2 ** t)
        p = p - lr * m_hat / (np.sqrt(v_hat) + eps)
    return p


LITERAL = {
    "SGD": (SGD, by_sgd, {}),
    "Momentum": (Momentum, by_momentum, {"mu": 0.8}),
    "RMSProp": (RMSProp, by_rmsprop, {"rho": 0.7, "eps": 1e-3}),
    "Adam": (Adam, by_adam, {"b1": 0.9, "b2": 0.999, "eps": 1e-8}),
    "Adam, large eps": (Adam, by_adam, {"b1": 0.5, "b2": 0.9, "eps": 0.1}),
    "Adam without state": (Adam, by_adam, {"b1": 0, "b2": 0, "eps": 1e-8}),
}


@pytest.mark.parametrize("rule, literal, options", LITERAL.values(), ids=LITERAL)
@several
@given(n_steps=st.integers(1, 30), lr=st.sampled_from([0, 0.001, 0.1, 2]), seed=seeds)
def test_a_rule_is_the_algorithm_of_its_paper(rule, literal, options, n_steps, lr, seed):
    rng = np.random.default_rng(seed)
    start, gradients = rng.standard_normal(5), rng.standard_normal((n_steps, 5))
    point, optimizer = Point(start.copy()), rule(lr, **options)
    for gradient in gradients:
        point.dW = gradient
        point.update(optimizer)
    np.testing.assert_allclose(point.W, literal(start, gradients, lr, **options), rtol=1e-10,
                               atol=1e-12)


@on_devices
@every_rule
def test_every_backend_takes_the_steps_of_numpy(rule, xp):
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(5), rng.standard_normal((4, 5))
    here, there = Point(start.copy()), Point(start.copy()).to(xp)
    options = {"weight_decay": 0.1, "clip_norm": 1.5}
    optimizers = rule(0.1, **options), rule(0.1, **options)
    for gradient in gradients:
        here.dW, there.dW = gradient, backend.asarray(xp, gradient)
        here.update(optimizers[0])
        there.update(optimizers[1])
    np.testing.assert_allclose(backend.to_numpy(there.W), here.W, rtol=1e-12)


@every_rule
def test_parameters_are_written_in_place_and_gradients_are_not(rule):
    rng = np.random.default_rng(0)
    net = trained(rng)
    before = {path: (array, array.copy()) for path, array, _ in net.named_parameters()}
    for _, _, gradient in net.named_parameters():
        gradient.flags.writeable = False
    net.update(rule(0.1, weight_decay=0.1, clip_norm=0.1))
    for path, array, _ in net.named_parameters():
        assert array is before[path][0]
        assert (array != before[path][1]).any(), path


@every_rule
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_and_state_keep_the_dtype_of_the_layer(rule, dtype):
    rng = np.random.default_rng(0)
    net, optimizer = Sequential(Linear(3, 2, rng, dtype=dtype)), rule(0.1, weight_decay=0.1,
                                                                      clip_norm=1.0)
    for scale in (1, np.float64(0.5)):
        optimizer.scale = scale
        net.backward(net.forward(rng.standard_normal((6, 3)).astype(dtype)))
        net.update(optimizer)
    state = {name: array for name, array in Saved(optimizer, net).state().items() if "/" in name}
    assert len(state) == 2 * len(rule.state_names)
    assert {array.dtype for array in [*state.values(), net.layers[0].W,
                                      net.layers[0].b]} == {np.dtype(dtype)}


@every_rule
def test_the_scale_of_a_schedule_multiplies_the_step(rule):
    rng = np.random.default_rng(0)
    start, gradient = rng.standard_normal(5), rng.standard_normal(5)
    moves = []
    for scale in (1, 0.25, 0):
        point, optimizer = Point(start.copy()), rule(0.1)
        point.dW, optimizer.scale = gradient, scale
        point.update(optimizer)
        moves.append(point.W - start)
    np.testing.assert_allclose(moves[1], moves[0] / 4, rtol=1e-12)
    assert moves[0].all() and not moves[2].any()


@every_rule
def test_a_rule_goes_down(rule):
    point, optimizer = Point(np.array([3., -2.])), rule(0.05)
    for _ in range(200):
        point.dW = point.W.copy()               # the gradient of |W|² / 2
        point.update(optimizer)
    assert np.linalg.norm(point.W) < 0.1


# One launch for each parameter

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_rule
@pytest.mark.parametrize("name", DEVICES)
def test_a_rule_in_one_launch_is_the_rule(name, rule, dtype):
    xp, optimizer, rng = DEVICES[name], rule(0.1), np.random.default_rng(0)
    host = [np.abs(rng.standard_normal((3, 4))).astype(dtype)
            for _ in range(2 + len(optimizer.state_names))]
    plain, in_one, with_arrays = ([backend.asarray(xp, array.copy()) for array in host]
                                 for _ in range(3))
    numbers = optimizer.numbers(3)
    optimizer.rule(xp, *plain, *numbers)
    with count_launches() as launches:
        fused(optimizer).rule(xp, *in_one, *numbers)
    fused(optimizer).rule(xp, *with_arrays, *(xp.asarray(number, dtype) for number in numbers))
    if name == "fake":
        assert len(launches) == 1
    for expected, *others in zip(plain, in_one, with_arrays):
        for got in others:
            np.testing.assert_allclose(got.get(), expected.get(),
                                       rtol=0 if name == "fake" else 1e-5)
    assert not np.array_equal(plain[0].get(), host[0])


@every_rule
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rule_in_one_loop_is_the_rule(numba, rule, dtype):
    rng = np.random.default_rng(0)
    blocks = [Sequential(Linear(5, 4, rng, dtype=dtype), Tanh()), Linear(4, 3, rng, dtype=dtype)]
    nets = [build(blocks, SoftmaxCrossEntropy(), lambda: rule(0.01, weight_decay=0.1),
                  algorithm=backprop) for _ in range(2)]
    fuse(nets[1])
    # Descent is two operations: a loop would gain nothing in a small net.
    assert type(nets[1].modules[0].optimizer) is (SGD if rule is SGD else FUSED[rule])
    for _ in range(5):
        x, labels = rng.standard_normal((6, 5)).astype(dtype), rng.integers(3, size=6)
        for net in nets:
            net.step(x, labels)
    for path, array in nets[0].state().items():
        np.testing.assert_array_equal(array, nets[1].state()[path], err_msg=path)


@every_rule
@pytest.mark.parametrize("layout", [np.asfortranarray, lambda W: np.repeat(W, 2, axis=1)[:, ::2]],
                         ids=["columns", "every second column"])
def test_a_parameter_of_any_memory_layout_learns_in_a_loop(numba, rule, layout):
    """PyTorch's weights, transposed, are such an array: a flat copy of it must not learn alone."""
    optimizer, rng = rule(0.1), np.random.default_rng(0)
    plain = [layout(rng.uniform(1, 2, (3, 4)).astype(np.float32))
             for _ in range(2 + len(optimizer.state_names))]
    loops, numbers = [layout(array.copy()) for array in plain], optimizer.numbers(3)
    assert not any(array.flags.c_contiguous for array in loops)
    optimizer.rule(np, *plain, *numbers)
    fused(optimizer).rule(np, *loops, *numbers)
    for expected, got in zip(plain, loops):
        np.testing.assert_array_equal(got, expected)


def arrays_of(optimizer, dtype=np.float32):
    """p, dp and the state, at random."""
    rng = np.random.default_rng(0)
    return [rng.uniform(1, 2, (3, 4)).astype(dtype) for _ in range(2 + len(optimizer.state_names))]


@every_rule
def test_a_loop_never_leaves_its_arrays(numba, rule):
    """A gradient or a parameter of another shape is refused, as the plain rule refuses it."""
    optimizer = rule(0.1)
    for i in range(len(arrays_of(optimizer))):
        arrays = arrays_of(optimizer)
        arrays[i] = np.ones((2, 2), np.float32)
        for each in (optimizer, fused(optimizer)):
            with pytest.raises(ValueError, match="broadcast"):
                each.rule(np, *arrays, *optimizer.numbers(3))


@every_rule
@pytest.mark.parametrize("dtype", ["f2", ">f4", "g"])
def test_numbers_that_a_loop_does_not_know_are_left_to_the_plain_rule(numba, rule, dtype):
    optimizer, arrays = rule(0.1), [arrays_of(rule(0.1), dtype) for _ in range(2)]
    for each, own in zip((optimizer, fused(optimizer)), arrays):
        each.rule(np, *own, *optimizer.numbers(3))
    for expected, got in zip(*arrays):
        np.testing.assert_array_equal(got, expected)


@every_rule
def test_a_fused_rule_follows_its_optimizer_and_does_without_numba(numba, rule, monkeypatch):
    optimizer = rule(0.1)
    twin = pickle.loads(pickle.dumps(fused(optimizer)))
    for each in (optimizer, twin):
        for name in ("mu", "rho", "b1"):
            if hasattr(each, name):
                setattr(each, name, 0.5)
    for gone in (False, True):
        if gone:
            kernels.kernel_of.cache_clear()
            monkeypatch.setattr(kernels, "find_spec", lambda name: None)
        arrays = [arrays_of(optimizer) for _ in range(2)]
        for each, own in zip((optimizer, twin), arrays):
            each.rule(np, *own, *optimizer.numbers(3))
        for expected, got in zip(*arrays):
            np.testing.assert_array_equal(got, expected)
    kernels.kernel_of.cache_clear()


def test_without_numba_nothing_is_fused_on_a_cpu(monkeypatch):
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    net = build(mlp([2, 2], np.random.default_rng(0)), SoftmaxCrossEntropy(), lambda: Adam(0.1),
                algorithm=backprop)
    assert fuse(net) is net and type(net.modules[0].optimizer) is Adam


@every_rule
def test_the_bodies_of_kernels_have_no_literal_that_would_make_a_float_a_double(rule):
    body = inspect.getclosurevars(FUSED[rule].rule).nonlocals["body"]
    assert not re.search(r"\d\.|\.\d|\*\*", body)
    assert body.count(";") == len(rule.state_names)             # one assignment for each array


def test_a_kernel_refuses_two_types():
    xp = fake_device.xp
    kernel = kernels.kernel_of(SGD, xp, ("rate",), "p -= rate * dp")
    with pytest.raises(TypeError, match="type is mismatched"):
        kernel(xp.ones(2, dtype=np.float32), 0.1, xp.ones(2))
    assert kernels.kernel_of(SGD, xp, ("rate",), "p -= rate * dp") is kernel


# State

@every_rule
def test_a_saved_state_continues_bit_for_bit(rule):
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((8, 5), dtype=np.float32)
    whole, optimizer = Point(np.ones(5, np.float32)), rule(0.1)
    for gradient in gradients[:4]:
        whole.dW = gradient
        whole.update(optimizer)
    part, fresh = Point(whole.W.copy()), rule(0.1)
    Saved(fresh, part).load_state(Saved(optimizer, whole).state())
    for gradient in gradients[4:]:
        for point, own in ((whole, optimizer), (part, fresh)):
            point.dW = gradient
            point.update(own)
    np.testing.assert_array_equal(part.W, whole.W)


@pytest.mark.parametrize("saved, loading", [(SGD, Adam), (Momentum, Adam), (Adam, SGD),
                                            (Adam, RMSProp)])
def test_the_state_of_another_rule_is_refused(saved, loading):
    point, optimizer, other = Point(np.ones(5)), saved(0.1), loading(0.1)
    point.dW = np.ones(5)
    point.update(optimizer)
    with pytest.raises(KeyError, match="saved state does not fit.*missing.*unknown"):
        Saved(other, point).load_state(Saved(optimizer, point).state())
    assert other.steps == 0


def test_the_state_for_another_layer_is_refused():
    rng, optimizer = np.random.default_rng(0), Adam(0.1)
    net = trained(rng)
    net.update(optimizer)
    with pytest.raises(KeyError, match="saved state does not fit"):
        Saved(Adam(0.1), Linear(3, 2, rng)).load_state(Saved(optimizer, net).state())


def test_state_belongs_to_one_layer():
    rng, optimizer = np.random.default_rng(0), Adam(0.1)
    trained(rng).update(optimizer)
    with pytest.raises(RuntimeError,
                       match=r"Adam\(lr=0.1\) is of another layer; make one"):
        trained(rng).update(optimizer)


def test_plain_descent_has_no_state_and_may_be_shared():
    rng, optimizer = np.random.default_rng(0), SGD(0.1)
    nets = trained(rng), trained(rng)
    before = [net.layers[0].W.copy() for net in nets]
    for net in nets:
        net.update(optimizer)
    assert all((net.layers[0].W != W).all() for net, W in zip(nets, before))


@every_rule
def test_a_gradient_that_was_never_set_is_named_and_nothing_moves(rule):
    rng, optimizer = np.random.default_rng(0), rule(0.1)
    net = Sequential(Linear(3, 4, rng), Linear(4, 2, rng))
    net.layers[0].dW, net.layers[0].db = np.ones((3, 4), np.float32), np.ones(4, np.float32)
    before = net.layers[0].W.copy()
    with pytest.raises(RuntimeError,
                       match="gradient of '1.W' was never set: call backward first"):
        net.update(optimizer)
    np.testing.assert_array_equal(net.layers[0].W, before)
    assert optimizer.steps == 0


# Weight decay

def test_weight_decay_pulls_weights_but_neither_biases_nor_scales():
    rng = np.random.default_rng(0)
    net = trained(rng)
    for _, array, gradient in net.named_parameters():
        array += 1
        gradient[...] = 0
    before = {path: array.copy() for path, array, _ in net.named_parameters()}
    net.update(SGD(0.5, weight_decay=0.2))
    for path, array, _ in net.named_parameters():
        shrunk = np.float32(0.9) * before[path] if path.endswith("W") else before[path]
        np.testing.assert_allclose(array, shrunk, rtol=1e-6, err_msg=path)


def test_weight_decay_is_part_of_the_gradient_that_the_rule_sees():
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(5), rng.standard_normal((6, 5))
    with_decay, by_hand = Point(start.copy()), Point(start.copy())
    optimizers = Adam(0.1, weight_decay=0.3), Adam(0.1)
    for gradient in gradients:
        with_decay.dW, by_hand.dW = gradient, gradient + 0.3 * by_hand.W
        with_decay.update(optimizers[0])
        by_hand.update(optimizers[1])
    np.testing.assert_array_equal(with_decay.W, by_hand.W)


# Clipping

@several
@given(seed=seeds, limit=st.sampled_from([0.01, 1, 1000]))
def test_clipping_scales_the_common_norm_of_a_layer_tree_to_its_limit(seed, limit):
    rng = np.random.default_rng(seed)
    net = trained(rng)
    before = [array.copy() for _, array, _ in net.named_parameters()]
    gradients = [gradient.copy() for _, _, gradient in net.named_parameters()]
    norm = np.sqrt(sum(np.sum(gradient.astype(np.float64) ** 2) for gradient in gradients))
    net.update(SGD(1, clip_norm=limit))
    for (path, array, _), start, gradient in zip(net.named_parameters(), before, gradients):
        np.testing.assert_allclose(array, start - gradient * min(1, limit / norm), rtol=1e-4,
                                   atol=1e-5, err_msg=path)


def test_clipping_leaves_a_zero_gradient_and_a_layer_without_parameters_alone():
    point = Point(np.ones(3, np.float32))
    point.dW = np.zeros(3, np.float32)
    point.update(SGD(1, clip_norm=0.1))
    assert point.W.tolist() == [1, 1, 1]
    Sequential(ReLU()).update(SGD(1, clip_norm=0.1))


# Schedules

def test_constant_is_one():
    assert [Constant()(step) for step in (0, 5, 10**6)] == [1, 1, 1]


def test_linear_decay_goes_from_one_to_zero_and_stays_there():
    scale = LinearDecay(4)
    assert [scale(step) for step in (0, 1, 2, 3, 4, 9)] == [1, 0.75, 0.5, 0.25, 0, 0]


def test_cosine_decay_rises_in_its_warm_up_and_falls_to_zero():
    scale = CosineDecay(10, warm_up=2)
    np.testing.assert_allclose([scale(step) for step in (0, 1, 2, 6, 10, 99)],
                               [0.5, 1, 1, 0.5, 0, 0], atol=1e-15)
    np.testing.assert_allclose([CosineDecay(4)(step) for step in range(5)],
                               (1 + np.cos(np.pi * np.arange(5) / 4)) / 2)


def test_step_decay_drops_at_its_boundaries():
    scale = StepDecay((20, 10), gamma=0.1)
    np.testing.assert_allclose([scale(step) for step in (0, 9, 10, 19, 20, 99)],
                               [1, 1, 0.1, 0.1, 0.01, 0.01])
    assert StepDecay((10,))(10) == 0.1


# Wrong arguments

WRONG = {
    "a negative rate": (lambda: SGD(-0.1), ValueError, r"lr must lie in \[0, inf\); got -0.1"),
    "a rate that is NaN": (lambda: Adam(float("nan")), ValueError, "lr must lie in .*; got nan"),
    "a rate that is infinite": (lambda: Adam(float("inf")), ValueError,
                                "lr must lie in .*; got inf"),
    "a rate as text": (lambda: SGD("0.1"), TypeError, "lr must be a number; got '0.1'"),
    "a momentum of one": (lambda: Momentum(0.1, mu=1), ValueError,
                          r"mu must lie in \[0, 1\); got 1"),
    "rho below zero": (lambda: RMSProp(0.1, rho=-0.1), ValueError,
                       r"rho must lie in \[0, 1\); got -0.1"),
    "b1 of one": (lambda: Adam(0.1, b1=1), ValueError, r"b1 must lie in \[0, 1\); got 1"),
    "b2 of one": (lambda: Adam(0.1, b2=1.0), ValueError, r"b2 must lie in \[0, 1\); got 1.0"),
    "eps of zero": (lambda: Adam(0.1, eps=0), ValueError, r"eps must lie in \(0, inf\); got 0"),
    "a negative weight decay": (
        lambda: SGD(0.1, weight_decay=-1),
        ValueError, r"weight_decay must lie in \[0, inf\); got -1"),
    "a clip norm of zero": (
        lambda: SGD(0.1, clip_norm=0),
        ValueError, r"clip_norm must lie in \(0, inf\); got 0"),
    "a decay over no steps": (lambda: LinearDecay(0), ValueError,
                              "n_steps must be at least 1; got 0"),
    "a warm-up as long as the run": (
        lambda: CosineDecay(3, 3),
        ValueError, "warm_up must be at most 2; got 3"),
    "a boundary that is not whole": (
        lambda: StepDecay((1.5,)),
        TypeError, "boundaries must be a whole number; got 1.5"),
    "a drop by more than one": (
        lambda: StepDecay((3,), gamma=2),
        ValueError, r"gamma must lie in \(0, 1\]; got 2"),
}


@pytest.mark.parametrize("call, error, message", WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_saving_does_not_change_what_an_optimizer_moves():
    """Which layers are inside is read in the first step, and not again by a save."""
    rng = np.random.default_rng(0)
    net, late = trained(rng), Linear(2, 2, rng)
    optimizer = Adam(0.1)
    optimizer.step(net)
    net.layers = (*net.layers, late)
    before = late.W.copy()
    paths = [path for path, _ in optimizer.arrays(net)]
    set_gradients(net, rng)
    optimizer.step(net)
    np.testing.assert_array_equal(late.W, before)
    assert paths == [path for path, _ in optimizer.arrays(net)]
