"""BatchNorm, ReLU, LSTM as loops: the numbers, refusals and state of the plain layers."""

import gc
import pickle
import sys
import weakref
from copy import copy, deepcopy

import fake_device
import numpy as np
import pytest

import tinydni as td
from tinydni.gpu import kernels
from tinydni.gpu.loops import LOOPS, use_loops

pytestmark = pytest.mark.usefixtures("numba")

SHAPES = {"rows": (6, 5), "two rows": (2, 3), "images": (3, 4, 2, 5), "one pixel": (3, 1, 1, 2)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def pair(shape, dtype=np.float64, **options):
    """The plain layers, and the same in loops: BatchNorm and ReLU with random scales."""
    rng = np.random.default_rng(0)
    plain = td.Sequential(td.BatchNorm(shape[-1], dtype=dtype, **options), td.ReLU())
    for name in ("gamma", "beta", "running_mean", "running_var"):
        setattr(plain.layers[0], name, rng.uniform(0.5, 2, shape[-1]).astype(dtype))
    loops = deepcopy(plain)
    use_loops(loops)
    return plain, loops


def data(shape, dtype=np.float64, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def in_loops(*layers):
    """Which of the layers that could work in loops do."""
    return [type(part) in LOOPS.values() for layer in layers for _, part in layer.walk()
            if isinstance(part, (td.BatchNorm, td.ReLU))]


@every_shape
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loops_give_the_numbers_of_the_plain_layers(shape, dtype):
    nets, near = pair(shape, dtype, eps=0.1), {"rtol": 200 * np.finfo(dtype).eps,
                                               "atol": 20 * np.finfo(dtype).eps}
    for seed in range(3):
        x, dy = data(shape, dtype, seed), data(shape, dtype, seed + 10)
        kept = x.copy(), dy.copy()
        ys = [net.forward(x) for net in nets]
        dxs = [net.backward(dy) for net in nets]
        np.testing.assert_allclose(ys[1], ys[0], **near)
        np.testing.assert_allclose(dxs[1], dxs[0], **near)
        for name in ("dgamma", "dbeta", "running_mean", "running_var"):
            plain, loops = (getattr(net.layers[0], name) for net in nets)
            np.testing.assert_allclose(loops, plain, **near, err_msg=name)
            assert loops.dtype == dtype and loops.shape == plain.shape
        assert ys[1].dtype == dxs[1].dtype == dtype and not ys[1].flags.writeable
        np.testing.assert_array_equal(x, kept[0])
        np.testing.assert_array_equal(dy, kept[1])


@every_shape
def test_loops_pass_the_gradient_checks(shape):
    report = td.gradcheck.check_layer(pair(shape)[1], data(shape))
    assert report.ok, report


@pytest.mark.parametrize("size", [(5, 7, 3, 4), (64, 2, 3, 160)], ids=["small", "past the cache"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_lstm_in_loops_gives_the_numbers_of_the_plain_one(dtype, size):
    N, T, D, H = size
    plain = td.LSTM(D, H, np.random.default_rng(0), dtype=dtype)
    loops, near = deepcopy(plain), {"rtol": 100 * np.finfo(dtype).eps,
                                    "atol": 100 * np.finfo(dtype).eps}
    use_loops(loops)
    x, state, dy, dend = (data(shape, dtype, seed) for seed, shape in enumerate(
        ((N, T, D), (N, 2 * H), (N, T, H), (N, 2 * H))))
    found = [(*layer.forward(x, state), *layer.backward(dy, dend), layer.dWx, layer.dWh, layer.db)
             for layer in (plain, loops)]
    assert type(loops) is LOOPS[td.LSTM]
    for expected, got in zip(*found):
        np.testing.assert_allclose(got, expected, **near)
        assert got.dtype == dtype


def test_the_lstm_in_loops_passes_the_gradient_checks():
    layer = td.LSTM(3, 4, np.random.default_rng(0), dtype=np.float64)
    use_loops(layer)
    report = td.gradcheck.check_layer(layer, data((2, 3, 3)))
    assert report.ok, report


def test_an_x_of_any_memory_layout_is_read():
    nets, x, dy = pair((6, 5)), data((5, 6)).T, data((5, 12)).T[::2]
    dy.setflags(write=False)
    np.testing.assert_allclose(nets[1].forward(x), nets[0].forward(x), rtol=1e-12)
    np.testing.assert_allclose(nets[1].backward(dy), nets[0].backward(dy), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype, far", [(np.float32, 1e4), (np.float64, 1e12)])
def test_far_from_zero_no_digit_is_lost(dtype, far):
    """Against the same numbers near zero: no digit of their differences is lost on the way."""
    x, dy = (data((50, 3), dtype) + dtype(far)), data((50, 3), dtype, 2)
    near, loops = pair((50, 3), dtype)
    at = near.forward(x - dtype(far)), near.backward(dy)
    np.testing.assert_allclose(loops.forward(x), at[0], atol=1e-5)
    np.testing.assert_allclose(loops.backward(dy), at[1], atol=1e-5)


def test_in_evaluation_the_running_statistics_count():
    nets, x, dy = [net.eval() for net in pair((6, 5))], data((6, 5)), data((6, 5), seed=2)
    for act in (lambda net: net.forward(x), lambda net: net.backward(dy),
                lambda net: net.forward(x[:1])):
        np.testing.assert_array_equal(act(nets[1]), act(nets[0]))


def test_relu_passes_nan_on_and_no_negative_zero_counts():
    layer = td.ReLU()
    use_loops(layer)
    np.testing.assert_array_equal(layer.forward(np.array([np.nan, -1, -0.0, 0, 2])),
                                  [np.nan, 0, 0, 0, 2])
    np.testing.assert_array_equal(layer.backward(np.ones(5)), [0, 0, 0, 0, 1])


@pytest.mark.parametrize("x, error, what", [
    (np.ones((1, 3), np.float32), ValueError, "one example"),
    (np.ones((4, 2), np.float32), ValueError, "3 features|width"),
    (np.ones((4, 3)), TypeError, "float64"),
    ([[1.0, 2.0, 3.0]], TypeError, "array")])
def test_what_the_plain_layer_refuses_is_refused(x, error, what):
    plain, loops = pair((4, 3), np.float32)
    sentences = []
    for net in (plain, loops):
        with pytest.raises(error) as caught:
            net.forward(x)
        sentences.append(str(caught.value))
    assert sentences[0] == sentences[1]


def test_a_gradient_that_does_not_fit_is_refused():
    for net in pair((4, 3)):
        net.forward(data((4, 3)))
        for layer in net.layers:
            with pytest.raises(ValueError, match="last output's shape"):
                layer.backward(data((4, 2)))
    with pytest.raises(AttributeError, match="call forward first"):
        pair((4, 3))[1].layers[1].backward(data((4, 3)))


def test_a_copy_works_on_its_own():
    net, x = pair((6, 5))[1], data((6, 5))
    twin = deepcopy(net)
    assert in_loops(twin) == [True, True]
    before = net.layers[0].running_mean.copy()
    twin.forward(x)
    np.testing.assert_array_equal(net.layers[0].running_mean, before)
    assert (twin.layers[0].running_mean != before).all()


def test_on_a_device_the_plain_layers_work():
    xp, [plain, loops] = fake_device.xp, pair((6, 5))
    for net in (plain, loops):
        net.to(xp)
        net.y = net.forward(xp.asarray(data((6, 5))))
        net.dx = net.backward(xp.asarray(data((6, 5), seed=2)))
    np.testing.assert_array_equal(loops.y.get(), plain.y.get())
    np.testing.assert_array_equal(loops.dx.get(), plain.dx.get())


@pytest.mark.parametrize("dtype", ["f2", ">f4", "g"])
def test_numbers_that_numba_does_not_know_are_left_to_the_plain_layers(dtype):
    nets, x = pair((4, 3), dtype), data((4, 3)).astype(dtype)
    for plain, loops in zip(*(net.layers for net in nets)):
        y = plain.forward(x)
        dy = data((4, 3), seed=2).astype(dtype if plain is nets[0].layers[0] else y.dtype)
        np.testing.assert_array_equal(loops.forward(x), y)
        np.testing.assert_array_equal(loops.backward(dy), plain.backward(dy))


@pytest.mark.parametrize("dtype", ["f2", "g"])
def test_an_lstm_of_such_numbers_is_left_to_the_plain_one(dtype):
    plain = td.LSTM(2, 3, np.random.default_rng(0)).to(dtype=dtype)
    loops, x = deepcopy(plain), data((2, 4, 2)).astype(dtype)
    use_loops(loops)
    for layer in (plain, loops):
        layer.y, _ = layer.forward(x)
        layer.dx, _ = layer.backward(layer.y)
    np.testing.assert_array_equal(loops.y, plain.y)
    np.testing.assert_array_equal(loops.dx, plain.dx)


def networks():
    """A decoupled network as it is, and fused."""
    def synthesizer(H):
        return td.mlp_synthesizer(H, np.random.default_rng(1), hidden=(6,), dtype=np.float64)

    blocks = td.mlp((5, 4, 4, 3), np.random.default_rng(0), dtype=np.float64)
    nets = [td.build(blocks, td.SoftmaxCrossEntropy(), lambda: td.Adam(0.01),
                     synthesizer=synthesizer, synthesizer_lr=lambda: td.Adam(0.01))
            for _ in range(2)]
    td.gpu.fuse(nets[1])
    return nets


def layers_of(network):
    return [layer for _, layer, _ in network.learners()]


def test_a_fused_network_trains_as_the_plain_one():
    nets, rng = networks(), np.random.default_rng(0)
    assert in_loops(*layers_of(nets[1])) == 8 * [True]
    for _ in range(5):
        x, labels = rng.standard_normal((6, 5)), rng.integers(3, size=6)
        losses = [net.step(x, labels) for net in nets]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)
    states = [net.state() for net in nets]
    assert states[0].keys() == states[1].keys()
    for path, array in states[0].items():
        np.testing.assert_allclose(states[1][path], array, rtol=1e-6, atol=1e-9, err_msg=path)


def test_without_numba_the_layers_stay_plain(monkeypatch):
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    assert in_loops(*layers_of(networks()[1])) == 8 * [False]


def test_a_backward_pass_fits_a_forward_pass_from_before():
    plain, loops = pair((3, 4, 5, 1))[0], pair((3, 4, 5, 1))[0]
    x, dy = data((3, 4, 5, 1)), data((3, 4, 5, 1), seed=2)
    for net in (plain, loops):
        net.forward(x)
    use_loops(loops)
    np.testing.assert_array_equal(loops.backward(dy), plain.backward(dy))


def test_what_is_dropped_is_freed_and_what_is_copied_or_pickled_works():
    net = networks()[1]
    twin = pickle.loads(pickle.dumps(net))
    assert in_loops(*layers_of(twin)) == 8 * [True]
    x, labels = data((6, 5)), np.array([0, 1, 2, 0, 1, 2])
    assert twin.step(x, labels) == net.step(x, labels)
    layer = pair((4, 3))[1].layers[0]
    still = copy(layer).eval().forward(data((4, 3)))
    np.testing.assert_array_equal(still, pair((4, 3))[0].layers[0].eval().forward(data((4, 3))))
    gone, _ = weakref.ref(layer), gc.disable()
    del layer
    gc.enable()
    assert gone() is None


def test_a_numba_that_cannot_be_imported_is_said_and_left_out(monkeypatch):
    monkeypatch.setattr(kernels, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.warns(UserWarning, match="numba is installed, but cannot be imported"):
        nets = networks()
    assert in_loops(*layers_of(nets[1])) == 8 * [False]
