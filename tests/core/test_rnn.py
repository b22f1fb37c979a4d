"""Recurrent layers: gradients with their states, the fast form beside the plain one."""

import numpy as np
import pytest
from conftest import on_devices
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni import backend, lstm
from tinydni.activations import ReLU
from tinydni.gradcheck import ContractError, assert_gradients, check
from tinydni.linear import Embedding, Linear
from tinydni.lstm import LSTM, column_blocks
from tinydni.recurrent import RNN, Recurrent

several = settings(max_examples=6, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)

LAYERS = {
    "RNN": lambda D, H, rng: RNN(D, H, rng),
    "LSTM": lambda D, H, rng: LSTM(D, H, rng),
    "Recurrent": lambda D, H, rng: Recurrent(Linear(D, 4, rng), LSTM(4, H, rng), Linear(H, 3, rng)),
    "two recurrent layers": lambda D, H, rng: Recurrent(RNN(D, H, rng), LSTM(H, 2, rng),
                                                        Linear(2, 3, rng)),
}
every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


@every_layer
@several
@given(N=st.integers(1, 4), T=st.integers(1, 5), D=st.integers(1, 4), H=st.integers(1, 4),
       seed=seeds)
def test_gradients_for_inputs_states_and_parameters(make, N, T, D, H, seed):
    rng = np.random.default_rng(seed)
    layer = make(D, H, rng)
    assert_gradients(layer, (N, T, D), (N, layer.n_state), rng=rng)


def test_gradients_in_the_form_of_column_blocks():
    rng = np.random.default_rng(0)
    assert_gradients(LSTM(3, 32, rng), (2, 3, 3), (2, 64), rng=rng)


def test_gradients_of_an_embedding_count_every_place():
    rng = np.random.default_rng(1)
    assert_gradients(Embedding(5, 3, rng), rng.integers(5, size=(4, 6)))
    layer = Embedding(5, 3, rng)
    layer.forward(np.array([[2, 2, 0]]))
    layer.backward(np.ones((1, 3, 3), np.float32))
    np.testing.assert_array_equal(layer.dE[:, 0], [1, 0, 2, 0, 0])


class WrongState(RNN):
    """Forgets that the state reaches the output."""

    def backward(self, dy, dend=None):
        dx, dstate = super().backward(dy, dend)
        return dx, 0 * dstate


class NoState(RNN):
    def backward(self, dy, dend=None):
        return super().backward(dy, dend)[0]


def test_the_check_finds_a_wrong_state_gradient():
    report = check(WrongState(3, 4, np.random.default_rng(0)), (5, 6, 3), (5, 4))
    assert not report.ok and "dstate is wrong" in str(report)
    with pytest.raises(ContractError, match="returns dx and dstate"):
        check(NoState(3, 4, np.random.default_rng(0)), (5, 6, 3), (5, 4))


# The formula, step by step

def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gates(z):
    """g, i, f, o of one step."""
    g, *others = np.split(z, 4, axis=1)
    return np.tanh(g), *map(sigmoid, others)


def lstm_step_by_step(layer, x, state):
    """One gate after the other, as the formula stands."""
    H = layer.n_hidden
    h, c, hs = state[:, :H], state[:, H:], []
    for t in range(x.shape[1]):
        z = x[:, t] @ layer.Wx + h @ layer.Wh + layer.b
        g, i, f, o = gates(z)
        c = f * c + i * g
        h = o * np.tanh(c)
        hs.append(h)
    return np.stack(hs, axis=1), np.concatenate([h, c], axis=1)


def lstm_backward_step_by_step(layer, x, state, dy, dend):
    """Backpropagation through time with nothing computed beforehand."""
    H, T = layer.n_hidden, x.shape[1]
    h, c, kept = state[:, :H], state[:, H:], []
    for t in range(T):
        z = x[:, t] @ layer.Wx + h @ layer.Wh + layer.b
        g, i, f, o = gates(z)
        kept.append((h, c, g, i, f, o))
        c = f * c + i * g
        h = o * np.tanh(c)
        kept[-1] += (c,)
    dh, dc = dend[:, :H], dend[:, H:]
    dWx, dWh, db, dx = (np.zeros_like(array) for array in (layer.Wx, layer.Wh, layer.b, x))
    for t in reversed(range(T)):
        h, c, g, i, f, o, new_c = kept[t]
        dh = dh + dy[:, t]
        dc = dc + dh * o * (1 - np.tanh(new_c)**2)
        dz = np.concatenate([dc * i * (1 - g * g), dc * g * i * (1 - i), dc * c * f * (1 - f),
                             dh * np.tanh(new_c) * o * (1 - o)], axis=1)
        dWx, dWh, db = dWx + x[:, t].T @ dz, dWh + h.T @ dz, db + dz.sum(axis=0)
        dx[:, t] = dz @ layer.Wx.T
        dh, dc = dz @ layer.Wh.T, dc * f
    return dx, np.concatenate([dh, dc], axis=1), dWx, dWh, db


@several
@given(N=st.integers(1, 5), T=st.integers(1, 6), H=st.sampled_from([1, 3, 16, 64]), seed=seeds)
def test_the_fast_lstm_is_the_plain_one(N, T, H, seed):
    rng = np.random.default_rng(seed)
    layer = LSTM(3, H, rng, dtype=np.float64)
    x, state, dy, dend = (rng.standard_normal(shape)
                          for shape in ((N, T, 3), (N, 2 * H), (N, T, H), (N, 2 * H)))
    y, end = layer.forward(x, state)
    np.testing.assert_allclose(y, lstm_step_by_step(layer, x, state)[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(end, lstm_step_by_step(layer, x, state)[1], rtol=1e-10, atol=1e-12)
    got = (*layer.backward(dy, dend), layer.dWx, layer.dWh, layer.db)
    for a, b in zip(got, lstm_backward_step_by_step(layer, x, state, dy, dend)):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rows, inner, columns",
                         [(32, 256, 1024), (32, 1024, 256), (4, 7, 48), (3, 5, 6)])
def test_column_blocks_give_the_same_product(rows, inner, columns):
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((rows, inner)), rng.standard_normal((inner, columns))
    y = np.empty((rows, columns))
    np.matmul(x, column_blocks(np, W, rows, inner), out=column_blocks(np, y, rows, inner))
    np.testing.assert_allclose(y, x @ W, rtol=1e-12, atol=1e-12)


# States

@every_layer
def test_a_sequence_in_two_windows_is_the_sequence(make):
    rng = np.random.default_rng(2)
    layer = make(3, 4, rng).to(dtype=np.float64)
    x, dy = rng.standard_normal((5, 7, 3)), rng.standard_normal(
        (5, 7, layer.output_shape((7, 3))[-1]))
    y, end = layer.forward(x)
    dx, dstate = layer.backward(dy)
    whole = {path: gradient.copy() for path, _, gradient in layer.named_parameters()}

    first, middle = layer.forward(x[:, :3])
    second, last = layer.forward(x[:, 3:], middle)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), y, rtol=1e-12)
    np.testing.assert_allclose(last, end, rtol=1e-12)
    dx_second, dmiddle = layer.backward(dy[:, 3:])
    late = {path: gradient.copy() for path, _, gradient in layer.named_parameters()}
    layer.forward(x[:, :3])
    dx_first, dstart = layer.backward(dy[:, :3], dmiddle)
    np.testing.assert_allclose(np.concatenate([dx_first, dx_second], axis=1), dx, rtol=1e-9,
                               atol=1e-12)
    np.testing.assert_allclose(dstart, dstate, rtol=1e-9, atol=1e-12)
    for path, _, gradient in layer.named_parameters():
        np.testing.assert_allclose(gradient + late[path], whole[path], rtol=1e-9, atol=1e-12,
                                   err_msg=path)


@every_layer
def test_no_state_is_a_state_of_zeros(make):
    rng = np.random.default_rng(3)
    layer = make(3, 4, rng)
    x = rng.standard_normal((2, 4, 3)).astype(np.float32)
    zeros = np.zeros((2, layer.n_state), np.float32)
    for a, b in zip(layer.forward(x), layer.forward(x, zeros)):
        np.testing.assert_array_equal(a, b)
    dy = np.ones((2, 4, layer.output_shape((4, 3))[-1]), np.float32)
    for a, b in zip(layer.backward(dy), layer.backward(dy, zeros)):
        np.testing.assert_array_equal(a, b)


@every_layer
def test_float32_stays_float32_and_arguments_stay_as_they_are(make):
    rng = np.random.default_rng(4)
    layer = make(3, 4, rng)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in
              ((2, 4, 3), (2, layer.n_state), (2, 4, layer.output_shape((4, 3))[-1]),
               (2, layer.n_state))]
    for array in arrays:
        array.flags.writeable = False
    x, state, dy, dend = arrays
    found = [*layer.forward(x, state), *layer.backward(dy, dend),
             *(g for _, _, g in layer.named_parameters())]
    assert {array.dtype for array in found} == {np.dtype(np.float32)}


@on_devices
@every_layer
def test_the_same_on_every_backend(make, xp):
    host, device = make(3, 4, np.random.default_rng(5)), make(3, 4, np.random.default_rng(5)).to(xp)
    rng = np.random.default_rng(6)
    x, state, dend = (rng.standard_normal(shape).astype(np.float32)
                      for shape in ((2, 4, 3), (2, host.n_state), (2, host.n_state)))
    dy = rng.standard_normal((2, 4, host.output_shape((4, 3))[-1])).astype(np.float32)

    def send(array):
        return backend.asarray(xp, array)

    expected = [*host.forward(x, state), *host.backward(dy, dend)]
    got = [*device.forward(send(x), send(state)), *device.backward(send(dy), send(dend))]
    for a, b in zip(got, expected):
        np.testing.assert_allclose(backend.to_numpy(a), b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [RNN, LSTM])
def test_weights_start_so_that_inputs_and_states_count_alike(make):
    layer = make(400, 100, np.random.default_rng(0))
    assert layer.Wx.std() == pytest.approx(1 / 20, rel=0.02)
    assert layer.Wh.std() == pytest.approx(1 / 10, rel=0.02)
    assert abs(layer.Wx.mean()) < 1e-3 and abs(layer.Wh.mean()) < 3e-3


def test_the_forget_gate_starts_open():
    layer = LSTM(2, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(layer.b, [0] * 6 + [1] * 3 + [0] * 3)
    assert not LSTM(2, 3, np.random.default_rng(0), forget_bias=0).b.any()


@every_layer
def test_output_shape_is_the_shape_of_y(make):
    layer = make(3, 4, np.random.default_rng(0))
    y, end = layer.forward(np.zeros((2, 5, 3), np.float32))
    assert y.shape == (2, *layer.output_shape((5, 3))) and end.shape == (2, layer.n_state)


def test_the_layer_that_reads_the_data_gives_no_dx():
    rng = np.random.default_rng(0)
    net = Recurrent(LSTM(3, 4, rng), Linear(4, 2, rng))
    net.skip_dx()
    net.forward(np.zeros((2, 5, 3), np.float32))
    dx, dstate = net.backward(np.zeros((2, 5, 2), np.float32))
    assert dx is None and dstate.shape == (2, 8)
    below = Recurrent(Embedding(4, 3, rng), LSTM(3, 4, rng))
    below.forward(np.zeros((2, 5), int))
    assert below.backward(np.zeros((2, 5, 4),
                                   np.float32))[0] is None and below.layers[0].dE is not None


def test_wrong_arguments_are_named():
    rng = np.random.default_rng(0)
    layer = LSTM(3, 4, rng)
    x = np.zeros((2, 5, 3), np.float32)
    for wrong, error, words in [
            ((x[:, 0],), ValueError, r"x must be a sequence \(N, T, 3\)"),
            ((x[:, :0],), ValueError, "T > 0"),
            ((x[:, :, :2],), ValueError, r"\(N, 3\)"),
            ((x, np.zeros((2, 4), np.float32)), ValueError,
             r"a state must have shape \(2, 8\); got \(2, 4\)"),
            ((x, np.zeros((2, 8))), TypeError, "the state has dtype float64"),
            ((x.astype(np.float64),), TypeError, "float64")]:
        with pytest.raises(error, match=words):
            layer.forward(*wrong)
    with pytest.raises(ValueError, match="symbols x must lie in 0 ... 3; got 4"):
        Embedding(4, 2, rng).forward(np.array([[0, 4]]))
    with pytest.raises(TypeError, match="whole numbers"):
        Embedding(4, 2, rng).forward(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="needs a recurrent layer"):
        Recurrent(Linear(3, 4, rng), ReLU())
    with pytest.raises(TypeError, match="must be a layer"):
        Recurrent(LSTM)


@pytest.mark.parametrize("cached", [1, 40, 10**6])
def test_lstm_slopes_of_a_few_steps_at_a_time_are_those_of_all(cached, monkeypatch):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 3, 7, 5))
    gradients = []
    for cache in (lstm.CACHED, cached):
        monkeypatch.setattr(lstm, "CACHED", cache)
        layer = LSTM(5, 5, np.random.default_rng(1), dtype=float)
        layer.forward(x)
        gradients.append([*layer.backward(dy), layer.dWx, layer.dWh, layer.db])
    for found, expected in zip(*gradients):
        np.testing.assert_array_equal(found, expected)
