"""Layers: gradients, what they compute, what they keep, and what they must leave alone."""

import copy

import numpy as np
import pytest
from conftest import on_devices
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni import backend
from tinydni.activations import ReLU, Sigmoid, Softmax, Softplus, Tanh
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Residual, Sequential
from tinydni.dropout import Dropout
from tinydni.gradcheck import assert_gradients
from tinydni.layer import Layer, batch_dot, batch_sum
from tinydni.linear import Embedding, Linear
from tinydni.pooling import Flatten

several = settings(max_examples=6, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def with_statistics(layer, D, rng):
    """Gives BatchNorm running statistics and scales that are neither zero nor one."""
    layer.forward((1 + 2 * rng.standard_normal((16, D))).astype(np.float32))
    return layer


def random_scales(D, rng):
    layer = BatchNorm(D)
    layer.gamma += rng.random(D, dtype=np.float32)
    layer.beta += rng.random(D, dtype=np.float32)
    return layer


# Every layer as a function of the width D of its input and a generator.
LAYERS = {
    "Linear": lambda D, rng: Linear(D, 3, rng),
    "Linear without bias": lambda D, rng: Linear(D, 3, rng, bias=False),
    "ReLU": lambda D, rng: ReLU(),
    "Sigmoid": lambda D, rng: Sigmoid(),
    "Tanh": lambda D, rng: Tanh(),
    "Softplus": lambda D, rng: Softplus(),
    "Softmax": lambda D, rng: Softmax(),
    "Flatten": lambda D, rng: Flatten(),
    "BatchNorm": random_scales,
    "BatchNorm in evaluation": lambda D, rng: with_statistics(random_scales(D, rng), D, rng).eval(),
    "Dropout": lambda D, rng: Dropout(0.4, rng),
    "Dropout in evaluation": lambda D, rng: Dropout(0.4, rng).eval(),
    "Sequential": lambda D, rng: Sequential(Linear(D, 4, rng), BatchNorm(4), Softplus(),
                                            Linear(4, 2, rng)),
    "Residual": lambda D, rng: Residual(Linear(D, 4, rng), Tanh(), Linear(4, D, rng)),
    "Residual inside": lambda D, rng: Sequential(
        Linear(D, 3, rng), Residual(Sequential(BatchNorm(3), Sigmoid()), Dropout(0.3, rng)),
        Linear(3, 2, rng)),
}
every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


def away_from_zero(rng, shape, dtype=np.float64):
    """Random numbers at least 0.1 away from zero, where ReLU has its kink."""
    x = rng.standard_normal(shape)
    return (x + 0.1 * np.sign(x)).astype(dtype)


def read_only(array):
    array.flags.writeable = False
    return array


# Gradients

@every_layer
@several
@given(N=st.integers(4, 7), D=st.integers(1, 5), seed=seeds)
def test_gradients_agree_with_central_differences(make, N, D, seed):
    rng = np.random.default_rng(seed)
    assert_gradients(make(D, rng), away_from_zero(rng, (N, D)), rng=rng)


def test_gradients_of_flatten_arrive_in_the_shape_of_images():
    assert_gradients(Flatten(), (3, 2, 4, 5))


def test_a_smooth_deep_network_has_right_gradients_in_every_layer():
    rng = np.random.default_rng(3)
    layers = [layer for _ in range(4) for layer in (Linear(5, 5, rng), BatchNorm(5), Tanh())]
    assert_gradients(Sequential(*layers), rng.standard_normal((6, 5)))


# What every layer promises

@every_layer
def test_no_layer_writes_into_its_arguments(make):
    rng = np.random.default_rng(0)
    x, layer = read_only(away_from_zero(rng, (6, 4), np.float32)), make(4, rng)
    y = layer.forward(x)
    layer.backward(read_only(rng.standard_normal(y.shape).astype(np.float32)))
    layer.update(0.1)


@every_layer
def test_backward_twice_gives_the_same_gradients(make):
    rng = np.random.default_rng(0)
    layer = make(4, rng)
    dy = np.float32(rng.standard_normal(layer.forward(away_from_zero(rng, (6, 4),
                                                                     np.float32)).shape))
    first = [layer.backward(dy).copy(),
             *(gradient.copy() for _, _, gradient in layer.named_parameters())]
    second = [layer.backward(dy), *(gradient for _, _, gradient in layer.named_parameters())]
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_that_goes_in_comes_out_everywhere(make, dtype):
    rng = np.random.default_rng(0)
    layer = make(4, rng).to(dtype=dtype)
    y = layer.forward(away_from_zero(rng, (6, 4), dtype))
    dx = layer.backward(rng.standard_normal(y.shape).astype(dtype))
    layer.update(0.1)
    arrays = {"y": y, "dx": dx}
    for path, parameter, gradient in layer.named_parameters():
        arrays |= {path: parameter, "gradient of " + path: gradient}
    arrays |= {path: array for path, array in layer.state().items() if "rng" not in path}
    assert {name: array.dtype for name, array in arrays.items()} == dict.fromkeys(arrays, dtype)


@on_devices
@every_layer
def test_every_backend_computes_what_numpy_computes(make, xp):
    rng = np.random.default_rng(0)
    x = away_from_zero(rng, (6, 4))
    here, there = (make(4, np.random.default_rng(1)).to(dtype=np.float64) for _ in range(2))
    there.to(xp)
    y = here.forward(x)
    dy = rng.standard_normal(y.shape)
    dx = here.backward(dy)
    here.update(0.1)

    y_there = there.forward(backend.asarray(xp, x))
    dx_there = there.backward(backend.asarray(xp, dy))
    there.update(0.1)
    pairs = [(y_there, y), (dx_there, dx), *zip(there.state().values(), here.state().values())]
    for got, expected in pairs:
        np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=1e-11, atol=1e-12)


@every_layer
def test_output_shape_is_the_shape_of_y(make):
    rng = np.random.default_rng(0)
    layer = make(4, rng)
    assert layer.forward(away_from_zero(rng, (6, 4),
                                        np.float32)).shape == (6, *layer.output_shape((4,)))


@every_layer
def test_a_saved_state_makes_a_twin_equal(make):
    rng = np.random.default_rng(0)
    x = away_from_zero(rng, (6, 4), np.float32)
    layer, twin = make(4, rng), make(4, np.random.default_rng(9))
    layer.forward(x)
    layer.backward(np.ones_like(layer.forward(x)))
    layer.update(0.1)
    twin.load_state({name: array.copy() for name, array in layer.state().items()})
    np.testing.assert_array_equal(twin.forward(x), layer.forward(x))


@every_layer
def test_a_layer_can_be_copied_after_it_was_moved(make):
    rng = np.random.default_rng(0)
    x, layer = away_from_zero(rng, (6, 4)), make(4, rng).to(dtype=np.float64)
    twin = copy.deepcopy(layer)
    np.testing.assert_array_equal(twin.forward(x), layer.forward(x))


# Written once, in Layer

def test_parameters_have_paths_in_order_and_are_counted():
    rng = np.random.default_rng(0)
    net = Sequential(Linear(3, 4, rng), Residual(Linear(4, 4, rng, bias=False)), BatchNorm(4))
    assert [path for path, _, _ in net.named_parameters()] == ["0.W", "0.b", "1.branch.W",
                                                               "2.gamma", "2.beta"]
    assert all(gradient is None for _, _, gradient in net.named_parameters())
    assert net.n_parameters() == 3 * 4 + 4 + 4 * 4 + 4 + 4


def test_update_with_a_number_is_gradient_descent_in_place():
    rng = np.random.default_rng(0)
    layer = Linear(3, 2, rng)
    layer.backward(layer.forward(np.ones((4, 3), np.float32)))
    W, expected = layer.W, layer.W - np.float32(0.5) * layer.dW
    layer.update(0.5)
    assert layer.W is W
    np.testing.assert_array_equal(layer.W, expected)


@pytest.mark.parametrize("number", [1, 0.5, np.float32(0.5), np.float64(0.5)], ids=repr)
def test_update_takes_any_kind_of_number(number):
    layer = Linear(3, 2, np.random.default_rng(0))
    layer.backward(layer.forward(np.ones((4, 3), np.float32)))
    b = layer.b.copy()
    layer.update(number)
    np.testing.assert_array_equal(layer.b, b - np.float32(number) * layer.db)


@pytest.mark.parametrize("layer", [Linear(3, 2, np.random.default_rng(0)), BatchNorm(3),
                                   Sequential(Tanh(), Linear(3, 2, np.random.default_rng(0)))],
                         ids=repr)
def test_update_before_backward_says_what_is_missing(layer):
    with pytest.raises(RuntimeError, match="never set: call backward first"):
        layer.update(0.1)


def test_train_and_eval_reach_every_layer_inside():
    rng = np.random.default_rng(0)
    net = Sequential(Linear(3, 3, rng), Residual(Sequential(Dropout(0.5, rng), BatchNorm(3))))
    assert {layer.training for _, layer in net.walk()} == {True}
    assert {layer.training for _, layer in net.eval().walk()} == {False}
    assert {layer.training for _, layer in net.train().walk()} == {True}


def test_to_moves_parameters_and_statistics_and_forgets_gradients():
    rng = np.random.default_rng(0)
    net = Sequential(Linear(3, 4, rng), BatchNorm(4))
    net.backward(net.forward(rng.standard_normal((5, 3), dtype=np.float32)))
    net.to(dtype=np.float64)
    assert {array.dtype for array in net.state().values()} == {np.dtype(np.float64)}
    assert all(gradient is None for _, _, gradient in net.named_parameters())


def test_a_saved_state_that_does_not_fit_is_refused_and_changes_nothing():
    rng = np.random.default_rng(0)
    net = Sequential(Linear(3, 4, rng), BatchNorm(4))
    before = {name: array.copy() for name, array in net.state().items()}
    missing = {name: array + 1 for name, array in before.items() if name != "1.beta"}
    with pytest.raises(KeyError, match=r"missing \['1.beta'\], unknown \[\]"):
        net.load_state(missing)
    with pytest.raises(KeyError, match=r"missing \[\], unknown \['2.W'\]"):
        net.load_state({**before, "2.W": before["0.W"]})
    with pytest.raises(ValueError,
                       match=r"1.beta in state must be float32 \(4,\); got float32 \(5,\)"):
        net.load_state({**{name: array + 1 for name, array in before.items()},
                        "1.beta": np.zeros(5, np.float32)})
    with pytest.raises(ValueError,
                       match=r"0.W in state must be float32 \(3, 4\); got float64 \(3, 4\)"):
        net.load_state({**before, "0.W": before["0.W"].astype(np.float64)})
    for name, array in net.state().items():
        np.testing.assert_array_equal(array, before[name])


# Linear

def test_linear_starts_with_the_spread_of_he_and_a_zero_bias():
    layer = Linear(400, 300, np.random.default_rng(0))
    assert layer.W.std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert abs(layer.W.mean()) < 1e-3 and not layer.b.any()
    assert Linear(400, 300, np.random.default_rng(0),
                  std=0.5).W.std() == pytest.approx(0.5, rel=0.02)


def test_symbols_start_with_a_spread_of_one_or_what_is_asked():
    table = Embedding(300, 200, np.random.default_rng(0)).E
    assert table.std() == pytest.approx(1, rel=0.02) and abs(table.mean()) < 0.02
    assert Embedding(300, 200, np.random.default_rng(0), std=0.3).E.std() == pytest.approx(
        0.3, rel=0.02)


def test_a_symbol_is_its_row_and_gets_the_gradients_of_all_its_places():
    layer = Embedding(4, 2, np.random.default_rng(0), dtype=np.float64)
    x = np.array([[0, 3, 3], [1, 3, 0]])
    np.testing.assert_array_equal(layer.forward(x), [[layer.E[k] for k in row] for row in x])
    dy = np.arange(12.0).reshape(2, 3, 2)
    assert layer.backward(dy) is None
    np.testing.assert_array_equal(layer.dE, [dy[0, 0] + dy[1, 2], dy[1, 0], [0, 0],
                                             dy[0, 1] + dy[0, 2] + dy[1, 1]])
    assert layer.output_shape((3,)) == (3, 2)


def test_linear_is_a_product_and_a_bias():
    layer = Linear(2, 2, np.random.default_rng(0), dtype=np.float64)
    layer.W[...], layer.b[...] = [[1, 2], [3, 4]], [10, 20]
    np.testing.assert_array_equal(layer.forward(np.array([[1., 1.], [0., 2.]])),
                                  [[14, 26], [16, 28]])


# Activations

@pytest.mark.parametrize("layer, at_minus, at_plus", [
    (ReLU(), 0, 1000), (Sigmoid(), 0, 1), (Tanh(), -1, 1), (Softplus(), 0, 1000),
    (Softmax(), 0, 1)], ids=repr)
def test_activations_do_not_overflow(layer, at_minus, at_plus):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = layer.forward(np.array([[-1000, 1000]], np.float32))
        dx = layer.backward(np.ones_like(y))
    np.testing.assert_allclose(y, [[at_minus, at_plus]], rtol=0, atol=1e-30)
    assert np.isfinite(dx).all()


@pytest.mark.parametrize("layer, function", [
    (ReLU(), lambda x: np.maximum(x, 0)), (Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    (Tanh(), np.tanh), (Softplus(), lambda x: np.log(1 + np.exp(x))),
    (Softmax(), lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True))],
    ids=["ReLU", "Sigmoid", "Tanh", "Softplus", "Softmax"])
def test_activations_are_the_functions_of_their_names(layer, function):
    x = np.linspace(-5, 5, 24).reshape(6, 4)
    np.testing.assert_allclose(layer.forward(x), function(x), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("layer", [ReLU(), Sigmoid(), Tanh(), Softplus()], ids=repr)
def test_activations_let_nan_through_so_that_diverged_training_shows(layer):
    assert np.isnan(layer.forward(np.array([[np.nan, 1]], np.float32))).tolist() == [[True, False]]


# BatchNorm

@several
@given(N=st.integers(2, 30), D=st.integers(1, 4), seed=seeds)
def test_batchnorm_gives_every_feature_the_mean_beta_and_the_spread_gamma(N, D, seed):
    rng = np.random.default_rng(seed)
    layer = random_scales(D, rng).to(dtype=np.float64)
    x = 5 + 100 * rng.standard_normal((N, D))
    y = layer.forward(x)
    np.testing.assert_allclose(y.mean(axis=0), layer.beta, atol=1e-9)
    np.testing.assert_allclose(y.std(axis=0), layer.gamma * x.std(axis=0)
                               / np.sqrt(x.var(axis=0) + 1e-5), rtol=1e-9)


def test_batchnorm_counts_a_batch_once_per_forward_pass_and_never_in_backward():
    rng = np.random.default_rng(0)
    layer, mean, var = BatchNorm(3, momentum=0.1, dtype=np.float64), np.zeros(3), np.ones(3)
    for _ in range(3):
        x = 2 + 3 * rng.standard_normal((8, 3))
        layer.backward(layer.forward(x))
        mean, var = 0.9 * mean + 0.1 * x.mean(axis=0), 0.9 * var + 0.1 * x.var(axis=0, ddof=1)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-12)


def test_batchnorm_in_evaluation_treats_every_example_alone_and_counts_nothing():
    rng = np.random.default_rng(0)
    layer = with_statistics(random_scales(3, rng), 3, rng).to(dtype=np.float64).eval()
    before, x = {name: array.copy()
                 for name, array in layer.state().items()}, rng.standard_normal((5, 3))
    together = layer.forward(x)
    alone = np.concatenate([layer.forward(x[i:i + 1]) for i in range(5)])
    expected = layer.gamma * (x - layer.running_mean) / np.sqrt(layer.running_var
                                                                + 1e-5) + layer.beta
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together, expected, rtol=1e-12)
    for name, array in layer.state().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("mean", [1e4, 1e5])
def test_batchnorm_of_a_batch_far_from_zero_keeps_its_digits(mean):
    x = (mean + np.random.default_rng(0).standard_normal((500, 3))).astype(np.float32)
    exact = x.astype(np.float64)
    expected = (exact - exact.mean(axis=0)) / np.sqrt(exact.var(axis=0) + 1e-5)
    layer = BatchNorm(3, momentum=1)
    np.testing.assert_allclose(layer.forward(x), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.running_var, exact.var(axis=0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(layer.running_mean, exact.mean(axis=0), rtol=1e-6)


def test_batchnorm_refuses_a_batch_of_one_in_training():
    with pytest.raises(ValueError, match="x has one example; use 2 or more.*eval"):
        BatchNorm(3).forward(np.ones((1, 3), np.float32))


def test_batchnorm_stays_float32_whatever_the_kind_of_its_numbers():
    layer = BatchNorm(3, eps=np.float64(1e-5), momentum=np.float64(0.1))
    y = layer.forward(np.random.default_rng(0).standard_normal((6, 3), dtype=np.float32))
    assert y.dtype == layer.backward(y).dtype == np.float32


# Dropout

def test_dropout_keeps_the_expectation():
    x = np.ones((200, 100), np.float32)
    y = Dropout(0.25, np.random.default_rng(0)).forward(x)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert y.mean() == pytest.approx(1, abs=0.01)


def test_dropout_draws_the_same_masks_from_the_same_seed_and_new_ones_every_time():
    x = np.ones((8, 8), np.float32)
    first, again = (Dropout(0.5, np.random.default_rng(4)) for _ in range(2))
    masks = [first.forward(x) for _ in range(2)]
    np.testing.assert_array_equal(masks, [again.forward(x) for _ in range(2)])
    assert (masks[0] != masks[1]).any()


def test_dropout_in_evaluation_and_with_p_0_is_the_identity_and_draws_nothing():
    rng = np.random.default_rng(0)
    state, x = copy.deepcopy(rng.bit_generator.state), np.ones((3, 3), np.float32)
    for layer in (Dropout(0.5, rng).eval(), Dropout(0, rng)):
        np.testing.assert_array_equal(layer.forward(x), x)
        np.testing.assert_array_equal(layer.backward(x), x)
    assert rng.bit_generator.state == state


# Containers

def test_residual_adds_the_gradient_of_both_paths():
    class Double(Layer):
        def forward(self, x):
            return 2 * x

        def backward(self, dy):
            return 2 * dy

    layer = Residual(Double())
    x = np.ones((2, 3))
    np.testing.assert_array_equal(layer.forward(x), 3 * x)
    np.testing.assert_array_equal(layer.backward(x), 3 * x)


def test_the_layer_that_reads_the_data_gives_no_dx_but_the_same_gradients():
    rng = np.random.default_rng(0)
    net = Sequential(Flatten(), Linear(4, 3, rng), Tanh(), Linear(3, 2, rng))
    x, dy = np.ones((5, 2, 2), np.float32), np.ones((5, 2), np.float32)
    net.forward(x)
    assert net.backward(dy).shape == x.shape
    expected = [gradient.copy() for _, _, gradient in net.named_parameters()]
    net.skip_dx()
    net.forward(x)
    assert net.backward(dy) is None
    for (_, _, gradient), before in zip(net.named_parameters(), expected):
        np.testing.assert_array_equal(gradient, before)


def test_skipping_dx_leaves_a_residual_branch_alone():
    rng = np.random.default_rng(0)
    net = Sequential(Residual(Linear(3, 3, rng)), Linear(3, 2, rng))
    net.skip_dx()
    net.forward(np.ones((4, 3), np.float32))
    assert net.backward(np.ones((4, 2), np.float32)).shape == (4, 3)


def test_flatten_lays_images_end_to_end_and_back():
    layer, x = Flatten(), np.arange(24.).reshape(2, 3, 4)
    y = layer.forward(x)
    assert y.shape == (2, 12) and layer.output_shape((3, 4)) == (12,)
    np.testing.assert_array_equal(layer.backward(y), x)


# Kernels

@several
@given(N=st.integers(1, 40), M=st.integers(1, 40), seed=seeds)
@pytest.mark.parametrize("dtype, rtol", [(np.float32, 1e-4), (np.float64, 1e-12)])
def test_kernels_equal_their_plain_forms(dtype, rtol, N, M, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.random((2, N, M)).astype(dtype)
    for got, plain in ((batch_sum(np, x), x.sum(axis=0)),
                       (batch_dot(np, x, y), (x * y).sum(axis=0))):
        assert got.dtype == dtype and got.shape == (M,)
        np.testing.assert_allclose(got, plain, rtol=rtol)


def test_kernels_run_on_every_backend(xp):
    x = np.random.default_rng(0).random((5, 3))
    on_device = backend.asarray(xp, x)
    np.testing.assert_allclose(backend.to_numpy(batch_sum(xp, on_device)), x.sum(axis=0),
                               rtol=1e-12)
    np.testing.assert_allclose(backend.to_numpy(batch_dot(xp, on_device, on_device)),
                               (x * x).sum(axis=0), rtol=1e-12)


# Wrong arguments: the message names the argument, what was got, and what is right.

rng = np.random.default_rng(0)
f32 = np.float32
WRONG = {
    "a width that does not fit": (
        lambda: Linear(3, 2, rng).forward(np.ones((4, 5), f32)),
        ValueError, r"Linear: x must have shape \(N, 3\); got \(4, 5\)"),
    "one example without a batch axis": (
        lambda: Linear(3, 2, rng).forward(np.ones(3, f32)),
        ValueError, r"x must have shape \(N, 3\); got \(3,\)"),
    "an axis too many": (
        lambda: Linear(3, 2, rng).forward(np.ones((3, 3, 3), f32)),
        ValueError, r"x must have shape \(N, 3\); got \(3, 3, 3\)"),
    "float64 data for float32 weights": (
        lambda: Linear(3, 2, rng).forward(np.ones((4, 3))),
        TypeError, "x has dtype float64, but the parameters are float32.*astype"),
    "float64 data for BatchNorm": (
        lambda: BatchNorm(3).forward(np.ones((4, 3))),
        TypeError, "x has dtype float64, but the parameters are float32.*astype"),
    "whole numbers": (
        lambda: Linear(3, 2, rng).forward(np.ones((4, 3), int)), TypeError,
        "x must be an array of float32 or float64; got ndarray of int64"),
    "a size of zero": (lambda: Linear(0, 2, rng), ValueError, "n_in must be at least 1; got 0"),
    "a negative size": (lambda: Linear(3, -2, rng), ValueError, "n_out must be at least 1; got -2"),
    "a size that is not whole": (
        lambda: Linear(3, 2.5, rng),
        TypeError, "n_out must be a whole number; got 2.5"),
    "a negative number of features": (
        lambda: BatchNorm(-1),
        ValueError, "n_features must be at least 1; got -1"),
    "eps of zero": (lambda: BatchNorm(3, eps=0), ValueError, r"eps must lie in \(0, inf\); got 0"),
    "a momentum above one": (
        lambda: BatchNorm(3, momentum=1.5),
        ValueError, r"momentum must lie in \[0, 1\]; got 1.5"),
    "a seed in place of a generator": (
        lambda: Linear(3, 2, 0),
        TypeError, "rng must be a numpy.random.Generator; got 0.*default_rng"),
    "dropout of everything": (lambda: Dropout(1, rng), ValueError,
                              r"p must lie in \[0, 1\); got 1"),
    "dropout without a generator": (
        lambda: Dropout(0.5, None),
        TypeError, "rng must be a numpy.random.Generator; got None"),
    "a function in Sequential": (
        lambda: Sequential(np.tanh),
        TypeError, "Sequential: every argument must be a layer; got <ufunc 'tanh'>"),
    "a function in Residual": (lambda: Residual(np.tanh), TypeError,
                               "argument must be a layer; got <ufunc 'tanh'>"),
    "one layer in two places": (
        lambda: (lambda act: Sequential(act, Linear(3, 3, rng), act))(Tanh()), ValueError,
        r"Tanh\(\) stands in two places"),
    "a branch that changes the shape": (
        lambda: Residual(Linear(3, 2, rng)).forward(np.ones((4, 3), f32)), ValueError,
        r"x has shape \(4, 3\), but the output of the branch has shape \(4, 2\).*keep the shape"),
}


@pytest.mark.parametrize("call, error, message", WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
