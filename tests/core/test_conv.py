"""Convolution: its gradients, its fast and its plain forms, and what it must leave alone."""

import tracemalloc

import numpy as np
import pytest
from conftest import on_devices
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinydni import backend, convolution
from tinydni.convolution import Conv2D
from tinydni.gradcheck import assert_gradients
from tinydni.linear import Linear

several = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def convolutions(draw):
    """(layer, x): any kernel, stride and padding, on any images that the kernel fits into."""
    rng = np.random.default_rng(draw(seeds))
    kernel = draw(st.integers(1, 5))
    padding = draw(st.integers(0, kernel - 1))
    H, W = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    assume(min(H, W) + 2 * padding >= kernel)
    C, M = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    layer = Conv2D(C, M, rng, kernel, draw(st.integers(1, 3)), padding, bias=draw(st.booleans()),
                   dtype=np.float64)
    return layer, rng.standard_normal((draw(st.integers(1, 3)), H, W, C))


def by_loops(layer, x):
    """y of the definition, one window at a time."""
    p, s, k = layer.padding, layer.stride, layer.kernel
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    y = np.zeros((len(x), *layer.output_shape(x.shape[1:])), x.dtype)
    for n, row, column, m in np.ndindex(y.shape):
        window = padded[n, s * row:s * row + k, s * column:s * column + k]
        y[n, row, column, m] = np.sum(window * layer.W[..., m])
    return y if layer.b is None else y + layer.b


# Gradients

@several
@given(convolutions())
def test_gradients_agree_with_central_differences(case):
    layer, x = case
    assert_gradients(layer, x)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_of_the_convolutions_of_resnet(stride):
    assert_gradients(Conv2D(4, 5, np.random.default_rng(0), stride=stride), (2, 8, 8, 4))


# What it computes

@several
@given(convolutions())
def test_forward_is_the_definition(case):
    layer, x = case
    np.testing.assert_allclose(layer.forward(x), by_loops(layer, x), rtol=1e-12, atol=1e-12)


def test_a_kernel_of_one_pixel_is_linear():
    rng = np.random.default_rng(0)
    conv, linear = Conv2D(3, 4, rng, kernel=1, dtype=np.float64), Linear(3, 4, rng,
                                                                         dtype=np.float64)
    conv.W[...] = linear.W
    x, dy = rng.standard_normal((2, 5, 6, 3)), rng.standard_normal((2, 5, 6, 4))
    np.testing.assert_allclose(conv.forward(x).reshape(-1, 4), linear.forward(x.reshape(-1, 3)),
                               rtol=1e-13)
    np.testing.assert_allclose(conv.backward(dy).reshape(-1, 3), linear.backward(dy.reshape(-1, 4)),
                               rtol=1e-13)
    np.testing.assert_allclose(conv.dW[0, 0], linear.dW, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 4, 7])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_same_padding_keeps_the_size(size, kernel):
    layer = Conv2D(2, 3, np.random.default_rng(0), kernel)
    assert layer.forward(np.ones((2, size, size + 1, 2), np.float32)).shape == (2, size, size + 1,
                                                                                3)
    assert layer.output_shape((size, size + 1, 2)) == (size, size + 1, 3)


# A few images at a time, and a row of the kernel at a time

def by_columns(layer, x, dy):
    """(y without bias, dW) as products with one matrix of all windows: the plain form."""
    p, s, k = layer.padding, layer.stride, layer.kernel
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(1, 2))[:, ::s, ::s]
    columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, k * k * x.shape[-1])
    M = layer.n_out
    return ((columns @ layer.W.reshape(-1, M)).reshape(dy.shape),
            (columns.T @ dy.reshape(-1, M)).reshape(layer.W.shape))


def by_rows(layer, x, dy):
    """The same as the layer does it."""
    arguments = layer.stride, (layer.padding, layer.padding)
    return (convolution.correlate(np, x, layer.W, *arguments, dy.shape[1:3]),
            convolution.kernel_gradient(np, x, dy, layer.W.shape[:2], *arguments))


@several
@given(convolutions(), seeds)
def test_the_loops_agree_with_the_plain_form(case, seed):
    layer, x = case
    rng = np.random.default_rng(seed)
    dy = rng.standard_normal((len(x), *layer.output_shape(x.shape[1:])))
    for got, expected in zip(by_rows(layer, x, dy), by_columns(layer, x, dy)):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", [1, 700, 2_000, 10**6])
def test_they_agree_for_every_size_of_block(block, monkeypatch):
    """Blocks of one image, of several with a smaller last one, and one block for all."""
    monkeypatch.setattr(convolution, "BLOCK", block)
    rng = np.random.default_rng(0)
    layer = Conv2D(3, 4, rng, stride=2, dtype=np.float64)
    x, dy = rng.standard_normal((7, 8, 8, 3)), rng.standard_normal((7, 4, 4, 4))
    for got, expected in zip(by_rows(layer, x, dy), by_columns(layer, x, dy)):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_the_fast_form_never_holds_all_windows_at_once():
    rng = np.random.default_rng(0)
    layer = Conv2D(16, 16, rng, bias=False)
    x = rng.standard_normal((128, 16, 16, 16), dtype=np.float32)
    layer.forward(x)
    tracemalloc.start()
    try:
        layer.backward(layer.forward(x))
        extra = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert extra < 2 * x.nbytes + 4_000_000, (
        f"{extra / x.nbytes:.1f} times x; all windows would be 9 times x")


# Backends, dtypes, arguments

@on_devices
@pytest.mark.parametrize("kernel, stride", [(3, 1), (3, 2), (2, 2), (1, 2), (5, 1)])
def test_every_backend_computes_what_numpy_computes(kernel, stride, xp):
    rng = np.random.default_rng(0)
    here, there = (Conv2D(2, 3, np.random.default_rng(1), kernel, stride, kernel // 2,
                          dtype=np.float64) for _ in range(2))
    there.to(xp)
    x = rng.standard_normal((3, 7, 6, 2))
    y = here.forward(x)
    dy = rng.standard_normal(y.shape)
    pairs = [(there.forward(backend.asarray(xp, x)), y),
             (there.backward(backend.asarray(xp, dy)), here.backward(dy)),
             (there.dW, here.dW), (there.db, here.db)]
    for got, expected in pairs:
        np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays(dtype, stride):
    layer = Conv2D(2, 3, np.random.default_rng(0), stride=stride, dtype=dtype)
    y = layer.forward(np.ones((2, 6, 6, 2), dtype))
    dx = layer.backward(y)
    assert [a.dtype for a in (layer.W, y, dx, layer.dW, layer.db)] == [dtype] * 5


def test_arguments_are_not_written_to():
    rng = np.random.default_rng(0)
    layer = Conv2D(2, 3, rng)
    x, dy = rng.standard_normal((2, 5, 5, 2), dtype=np.float32), rng.standard_normal((2, 5, 5, 3),
                                                                                     dtype=np.float32)
    x.flags.writeable = dy.flags.writeable = False
    layer.forward(x)
    layer.backward(dy)


def test_arguments_need_not_be_contiguous():
    rng = np.random.default_rng(0)
    layer = Conv2D(2, 3, rng, dtype=np.float64)
    x, dy = rng.standard_normal((2, 5, 2, 6)).swapaxes(2, 3), rng.standard_normal(
        (2, 3, 5, 6)).transpose(0, 2, 3, 1)
    y, dx, dW = layer.forward(x), layer.backward(dy), layer.dW
    np.testing.assert_array_equal(y, layer.forward(x.copy()))
    np.testing.assert_allclose(dx, layer.backward(dy.copy()), rtol=1e-12)
    np.testing.assert_allclose(dW, layer.dW, rtol=1e-12)


def test_the_first_layer_computes_no_gradient_for_the_data():
    layer = Conv2D(2, 3, np.random.default_rng(0))
    layer.skip_dx()
    y = layer.forward(np.ones((2, 5, 5, 2), np.float32))
    assert layer.backward(y) is None and layer.dW.shape == layer.W.shape


def test_weights_start_as_he_says():
    layer = Conv2D(32, 64, np.random.default_rng(0), kernel=3)
    assert layer.W.std() == pytest.approx(np.sqrt(2 / (9 * 32)), rel=0.03) and not layer.b.any()
    assert Conv2D(32, 64, np.random.default_rng(0), std=0.1).W.std() == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize("options, message", [
    ({"kernel": 2}, "odd kernel; got 2"), ({"padding": 3}, "padding must be at most 2; got 3"),
    ({"padding": -1}, "padding must be at least 0"), ({"kernel": 0}, "kernel must be at least 1"),
    ({"stride": 0}, "stride must be at least 1")])
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Conv2D(2, 3, np.random.default_rng(0), **options)


@pytest.mark.parametrize("x, error, message", [
    (np.ones((2, 3, 5, 5), np.float32), ValueError,
     r"\(N, height, width, 2\); got \(2, 3, 5, 5\).*Channels come last"),
    (np.ones((2, 50), np.float32), ValueError, r"\(N, height, width, 2\); got \(2, 50\)"),
    (np.ones((2, 5, 5, 2)), TypeError, "float64.*float32"),
    (np.ones((2, 1, 5, 2), np.float32), ValueError,
     "kernel of 3 does not fit into 1 pixels")])
def test_wrong_images_are_named(x, error, message):
    with pytest.raises(error, match=message):
        Conv2D(2, 3, np.random.default_rng(0), padding=0).forward(x)


def test_a_shape_that_is_none_of_images_is_named():
    with pytest.raises(ValueError, match=r"Conv2D: .*\(height, width, channels\); got \(784,\)"):
        Conv2D(1, 3, np.random.default_rng(0)).output_shape((784,))
