"""A residual block that is cut inside: together its halves are the block, and the cut carries the shortcut's gradient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni import backend
from tinydni.gradcheck import assert_gradients
from tinydni.layers import BatchNorm, CloseShortcut, Linear, OpenShortcut, ReLU, Residual, Sequential, Tanh

several = settings(max_examples=10, deadline=None, derandomize=True)
seeds, sizes = st.integers(0, 2**32 - 1), st.integers(1, 6)


def halves(D, H, seed=0, dtype=np.float64):
    """The layers of the lower and the upper half of a branch."""
    rng = np.random.default_rng(seed)
    return ([Linear(D, H, rng, dtype=dtype), Tanh()], [BatchNorm(H, dtype=dtype), Linear(H, D, rng, dtype=dtype)])


@several
@given(seed=seeds, N=st.integers(4, 9), D=sizes, H=sizes)
def test_gradients(seed, N, D, H):
    lower, upper = halves(D, H, seed)
    assert_gradients(OpenShortcut(*lower), (N, D))
    assert_gradients(CloseShortcut(H, *upper), (N, H + D))


@several
@given(seed=seeds, N=st.integers(4, 9), D=sizes, H=sizes)
def test_the_two_halves_are_the_residual_block(seed, N, D, H):
    rng = np.random.default_rng(seed)
    lower, upper = halves(D, H, seed)
    cut = Sequential(OpenShortcut(*lower), CloseShortcut(H, *upper))
    whole = Residual(*(layer for half in halves(D, H, seed) for layer in half))
    x, dy = rng.standard_normal((2, N, D))
    np.testing.assert_allclose(cut.forward(x), whole.forward(x), rtol=1e-12)
    np.testing.assert_allclose(cut.backward(dy), whole.backward(dy), rtol=1e-10, atol=1e-12)
    for (_, _, got), (_, _, expected) in zip(cut.named_parameters(), whole.named_parameters()):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_the_message_carries_the_gradient_of_the_shortcut():
    lower, upper = halves(3, 4)
    below, above = OpenShortcut(*lower), CloseShortcut(4, *upper)
    x, dy = np.random.default_rng(1).standard_normal((2, 6, 3))
    above.forward(below.forward(x))
    message = above.backward(dy)
    assert message.shape == (6, 7)
    np.testing.assert_array_equal(message[:, 4:], dy)
    message[:, :4] = 0                                  # what is left has come over the shortcut alone
    np.testing.assert_allclose(below.backward(message), dy)


def test_shapes_are_announced_before_anything_runs():
    lower, upper = halves(3, 4)
    assert OpenShortcut(*lower).output_shape((3,)) == (7,)
    assert CloseShortcut(4, *upper).output_shape((7,)) == (3,)


def test_the_layer_that_reads_the_data_makes_no_message_and_the_same_gradients():
    x, dy = np.random.default_rng(2).standard_normal((6, 3)), np.random.default_rng(3).standard_normal((6, 7))
    layers = [OpenShortcut(*halves(3, 4)[0]) for _ in range(2)]
    layers[1].skip_dx()
    for layer in layers:
        layer.forward(x)
    assert layers[0].backward(dy) is not None and layers[1].backward(dy) is None
    for (_, _, a), (_, _, b) in zip(*(layer.named_parameters() for layer in layers)):
        np.testing.assert_array_equal(a, b)


def test_a_branch_of_the_wrong_width_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="4 columns of u"):
        CloseShortcut(4, Linear(4, 2, rng)).forward(np.ones((5, 7), np.float32))
    with pytest.raises(ValueError, match="n_branch must be at least 1"):
        CloseShortcut(0, ReLU())


def test_every_backend_gives_the_same(xp):
    lower, upper = halves(3, 4, dtype=np.float32)
    block = Sequential(OpenShortcut(*lower), CloseShortcut(4, *upper))
    x, dy = np.random.default_rng(4).standard_normal((2, 6, 3)).astype(np.float32)
    y, dx = block.forward(x), block.backward(dy)
    block.to(xp)
    np.testing.assert_allclose(backend.to_numpy(block.forward(backend.asarray(xp, x))), y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(backend.to_numpy(block.backward(backend.asarray(xp, dy))), dx, rtol=1e-4, atol=1e-6)
