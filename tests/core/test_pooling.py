"""Pooling: its gradients, the pixels that count, and what is done with equal ones."""

import numpy as np
import pytest
from conftest import on_devices
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinydni import backend
from tinydni.gradcheck import assert_gradients
from tinydni.pooling import AvgPool, GlobalAvgPool, MaxPool, Subsample

several = settings(max_examples=15, deadline=None, derandomize=True)


def distinct(rng, shape):
    """Random numbers of which no two are nearer than 0.1: no pixel ties with another."""
    return 0.1 * rng.permutation(np.prod(shape)).reshape(shape) - 3


@st.composite
def pooled_images(draw):
    """(kernel, stride, padding, x)."""
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    padding = draw(st.integers(0, kernel // 2))
    shape = [draw(st.integers(1, n)) for n in (3, 7, 7, 3)]
    assume(min(shape[1:3]) + 2 * padding >= kernel)
    return kernel, stride, padding, distinct(np.random.default_rng(draw(st.integers(0, 2**32 - 1))),
                                             shape)


both = pytest.mark.parametrize("pool, reduce, border",
                               [(MaxPool, np.max, -np.inf), (AvgPool, np.mean, 0)],
                               ids=["MaxPool", "AvgPool"])


@both
@several
@given(case=pooled_images())
def test_gradients_agree_with_central_differences(pool, reduce, border, case):
    *windows, x = case
    assert_gradients(pool(*windows), x)


@both
@several
@given(case=pooled_images())
def test_forward_is_the_definition(pool, reduce, border, case):
    k, s, p, x = case
    layer = pool(k, s, p)
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=border)
    expected = np.empty((len(x), *layer.output_shape(x.shape[1:])))
    for i, j in np.ndindex(expected.shape[1:3]):
        expected[:, i, j] = reduce(padded[:, s * i:s * i + k, s * j:s * j + k], axis=(1, 2))
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-13)


def test_the_windows_of_the_papers_overlap():
    """3x3 every 2 pixels: the image halves, and a pixel between two windows hears from both."""
    layer = AvgPool(3, stride=2, padding=1)
    assert layer.output_shape((28, 28, 64)) == (14, 14, 64)
    layer.forward(np.zeros((1, 4, 4, 1)))
    dx = layer.backward(np.full((1, 2, 2, 1), 9.0))
    np.testing.assert_array_equal(dx[0, :, :, 0],
                                  [[1, 2, 1, 1], [2, 4, 2, 2], [1, 2, 1, 1], [1, 2, 1, 1]])


def test_of_equal_pixels_the_first_gets_the_gradient():
    layer = MaxPool(2)
    layer.forward(np.array([[7.0, 7.0], [7.0, 7.0]])[None, :, :, None])
    np.testing.assert_array_equal(layer.backward(np.full((1, 1, 1, 1), 5.0))[0, :, :, 0],
                                  [[5, 0], [0, 0]])


def test_all_of_the_gradient_arrives_where_windows_overlap_and_tie():
    layer = MaxPool(3, stride=2, padding=1)
    x = np.random.default_rng(0).integers(0, 2, (4, 8, 8, 3)).astype(np.float64)
    dy = np.random.default_rng(1).standard_normal(layer.forward(x).shape)
    assert layer.backward(dy).sum() == pytest.approx(dy.sum())


def test_nan_stays_to_be_seen():
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 1, 1, 0] = np.nan
    assert np.isnan(MaxPool(2).forward(x)).sum() == np.isnan(AvgPool(2).forward(x)).sum() == 1


# The layers without windows

def test_gradients_of_global_avg_pool_and_subsample():
    assert_gradients(GlobalAvgPool(), (3, 4, 5, 2))
    assert_gradients(Subsample(2, 5), (2, 5, 4, 2))
    assert_gradients(Subsample(2, 2, stride=3), (2, 5, 4, 2))


def test_global_avg_pool_is_the_mean_of_each_channel():
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 2))
    np.testing.assert_allclose(GlobalAvgPool().forward(x), x.mean(axis=(1, 2)), rtol=1e-13)
    assert GlobalAvgPool().output_shape((4, 5, 2)) == (2,)


def test_subsample_takes_every_second_pixel_and_adds_zeros():
    x = np.random.default_rng(0).standard_normal((3, 5, 4, 2))
    y = Subsample(2, 5).forward(x)
    assert y.shape == (3, 3, 2, 5) == (3, *Subsample(2, 5).output_shape((5, 4, 2)))
    np.testing.assert_array_equal(y[..., :2], x[:, ::2, ::2])
    assert not y[..., 2:].any()


# Backends, dtypes, arguments

LAYERS = {"MaxPool": lambda: MaxPool(3, 2, 1), "MaxPool without border": lambda: MaxPool(2),
          "AvgPool": lambda: AvgPool(3, 2, 1), "GlobalAvgPool": GlobalAvgPool,
          "Subsample": lambda: Subsample(2, 4)}
every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


@on_devices
@every_layer
def test_every_backend_computes_what_numpy_computes(make, xp):
    rng = np.random.default_rng(0)
    here, there = make(), make().to(xp)
    x = distinct(rng, (2, 6, 7, 2))
    y = here.forward(x)
    dy = rng.standard_normal(y.shape)
    np.testing.assert_allclose(backend.to_numpy(there.forward(backend.asarray(xp, x))), y,
                               rtol=1e-12)
    np.testing.assert_allclose(backend.to_numpy(there.backward(backend.asarray(xp, dy))),
                               here.backward(dy), rtol=1e-12)


@every_layer
def test_float32_stays_and_arguments_are_not_written_to(make):
    layer = make()
    x = np.random.default_rng(0).standard_normal((2, 6, 7, 2), dtype=np.float32)
    x.flags.writeable = False
    y = layer.forward(x)
    dy = y.copy()
    dy.flags.writeable = False
    dx = layer.backward(dy)
    assert y.dtype == dx.dtype == np.float32 and dx.shape == x.shape
    assert layer.output_shape(x.shape[1:]) == y.shape[1:]


@pytest.mark.parametrize("make, message", [
    (lambda: MaxPool(3, padding=2), "padding must be at most 1; got 2"),
    (lambda: AvgPool(0), "kernel must be at least 1"),
    (lambda: MaxPool(2, stride=0), "stride must be at least 1"),
    (lambda: Subsample(4, 3), "n_out must be at least 4"),
    (lambda: MaxPool(4).forward(np.zeros((1, 3, 5, 2))),
     "MaxPool: a kernel of 4 does not fit into 3 pixels"),
    (lambda: AvgPool(2).forward(np.zeros((3, 8))),
     r"AvgPool: x must have shape \(N, height, width, C\)"),
    (lambda: GlobalAvgPool().forward(np.zeros((3, 8))), "GlobalAvgPool: x must have shape"),
    (lambda: Subsample(2, 4).forward(np.zeros((1, 4, 4, 3))),
     r"Subsample: x must have shape \(N, height, width, 2\)")])
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
