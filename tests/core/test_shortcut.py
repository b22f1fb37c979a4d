"""A residual block cut inside: its halves make the block, the cut carries the shortcut."""

import numpy as np
import pytest
from conftest import on_devices
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import tell, with_oracles

from tinydni import backend
from tinydni.activations import ReLU, Tanh
from tinydni.algorithms import backprop
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Residual, Sequential
from tinydni.convolution import Conv2D
from tinydni.dni import build
from tinydni.gradcheck import assert_gradients
from tinydni.linear import Linear
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.optimizers import SGD, Adam
from tinydni.pooling import GlobalAvgPool, Subsample
from tinydni.variants.conv_synthesizer import conv_synthesizer
from tinydni.variants.shortcut import CloseShortcut, OpenShortcut

several = settings(max_examples=10, deadline=None, derandomize=True)
seeds, sizes = st.integers(0, 2**32 - 1), st.integers(1, 6)


def halves(D, H, seed=0, dtype=np.float64):
    """The layers of the lower and the upper half of a branch."""
    rng = np.random.default_rng(seed)
    return ([Linear(D, H, rng, dtype=dtype), Tanh()],
            [BatchNorm(H, dtype=dtype), Linear(H, D, rng, dtype=dtype)])


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


def image_halves(n_in, n_out, stride=1, seed=0, dtype=np.float64):
    """The lower and upper half of a residual branch on images, and the shortcut or None."""
    rng = np.random.default_rng(seed)
    return ([Conv2D(n_in, n_out + 1, rng, stride=stride, dtype=dtype), Tanh()],
            [BatchNorm(n_out + 1, dtype=dtype), Conv2D(n_out + 1, n_out, rng, dtype=dtype)],
            None if (n_in, stride) == (n_out, 1) else Subsample(n_in, n_out, stride))


@pytest.mark.parametrize("n_in, n_out, stride", [(3, 3, 1), (2, 4, 1), (2, 3, 2)])
def test_gradients_on_images(n_in, n_out, stride):
    lower, upper, shortcut = image_halves(n_in, n_out, stride)
    opened = OpenShortcut(*lower, shortcut=shortcut)
    assert_gradients(opened, (3, 5, 4, n_in))
    crossing = opened.output_shape((5, 4, n_in))
    assert crossing == opened.forward(np.ones((2, 5, 4,
                                               n_in))).shape[1:] and crossing[-1] == 2 * n_out + 1
    assert_gradients(CloseShortcut(n_out + 1, *upper), (3, *crossing))


@pytest.mark.parametrize("n_in, n_out, stride", [(3, 3, 1), (2, 4, 1), (2, 3, 2)])
def test_on_images_too_the_two_halves_are_the_residual_block(n_in, n_out, stride):
    lower, upper, shortcut = image_halves(n_in, n_out, stride)
    cut = Sequential(OpenShortcut(*lower, shortcut=shortcut), CloseShortcut(n_out + 1, *upper))
    lower, upper, shortcut = image_halves(n_in, n_out, stride)
    whole = Residual(*lower, *upper, shortcut=shortcut)
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((4, 6, 5, n_in)), rng.standard_normal(
        (4, *whole.output_shape((6, 5, n_in))))
    assert cut.output_shape((6, 5, n_in)) == dy.shape[1:]
    np.testing.assert_allclose(cut.forward(x), whole.forward(x), rtol=1e-12)
    np.testing.assert_allclose(cut.backward(dy), whole.backward(dy), rtol=1e-10, atol=1e-12)
    for (_, _, got), (_, _, expected) in zip(cut.named_parameters(), whole.named_parameters()):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


# A residual network on images, decoupled by an interface inside a block

def residual_network(rng, n_cut=1, n=6, n_classes=4, dtype=np.float64):
    """A convolution, residual blocks in two halves, an output; interfaces inside the blocks."""
    def convolution(n_in):
        return Conv2D(n_in, n, rng, dtype=dtype), BatchNorm(n, dtype=dtype)

    def closed():
        return CloseShortcut(n, *convolution(n)), ReLU()

    blocks = [Sequential(*convolution(2), ReLU()), OpenShortcut(*convolution(n), ReLU())]
    for _ in range(n_cut - 1):
        blocks.append(Sequential(*closed(), OpenShortcut(*convolution(n), ReLU())))
    return [*blocks, Sequential(*closed(), GlobalAvgPool(), Linear(n, n_classes, rng, dtype=dtype))]


def image_batch(rng, dtype=np.float64):
    return rng.standard_normal((8, 5, 5, 2)).astype(dtype), rng.integers(4, size=8)


@pytest.mark.parametrize("n_cut", [1, 2])
def test_with_an_oracle_at_a_cut_inside_a_block_a_step_is_a_backprop_step(n_cut):
    rng = np.random.default_rng(0)
    blocks = residual_network(rng, n_cut)
    decoupled = with_oracles(blocks, lambda: SGD(0.1), input_shape=(5, 5, 2))
    locked = build(blocks, SoftmaxCrossEntropy(), lambda: SGD(0.1), algorithm=backprop,
                   input_shape=(5, 5, 2))
    for _ in range(3):
        x, y = image_batch(rng)
        tell(decoupled, y)
        assert decoupled.step(x, y) == pytest.approx(locked.step(x, y), rel=1e-12)
    for a, b in zip(decoupled.modules, locked.modules):
        for path, array in a.block.state().items():
            np.testing.assert_allclose(array, b.block.state()[path], rtol=1e-9, atol=1e-12,
                                       err_msg=path)


def true_message(blocks, x, y, forgetful):
    """The true gradient at the bottom block's output; `forgetful` leaves out the shortcuts."""
    h, loss = x, SoftmaxCrossEntropy()
    for block in blocks:
        h = block.forward(h)
    loss.forward(h, y)
    dh = loss.backward()
    for block in reversed(blocks[1:]):
        dh = block.backward(dh)
        if forgetful and block is not blocks[1]:
            n_branch = dh.shape[-1] // 2                # the branch is as wide as the shortcut here
            dh = np.concatenate([dh[..., :n_branch], 0 * dh[..., n_branch:]], axis=-1)
    return dh


@pytest.mark.parametrize("n_cut, low, high", [(1, 0.75, 0.95), (3, 0.35, 0.65)])
def test_without_the_shortcuts_part_the_message_points_elsewhere(n_cut, low, high):
    """One cut block turns the message a little, three turn it to a cosine of about one half."""
    cosines = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        blocks, (x, y) = residual_network(rng, n_cut, n=16), image_batch(rng)
        right, wrong = (true_message(blocks, x, y, forgetful) for forgetful in (False, True))
        cosines.append(np.vdot(right, wrong) / np.linalg.norm(right) / np.linalg.norm(wrong))
    assert low < np.mean(cosines) < high, cosines


def test_a_synthesizer_learns_both_parts_at_a_cut_inside_a_block():
    rng = np.random.default_rng(0)
    network = build(residual_network(rng, dtype=np.float32), SoftmaxCrossEntropy(),
                    lambda: Adam(3e-3),
                       lambda *shape: conv_synthesizer(shape[-1], rng, n_context=4, kernel=3),
                    lambda: Adam(1e-2), input_shape=(5, 5, 2))
    x, y = image_batch(rng, np.float32)
    losses = [float(network.step(x, y, np.eye(4, dtype=np.float32)[y])) for _ in range(60)]
    assert network.synthesizers()[1].delta_hat.shape == (8, 5, 5, 12)
    assert losses[-1] < 0.5 * losses[0]


def test_a_branch_that_shrinks_the_image_needs_a_shortcut_that_does():
    lower, _, shortcut = image_halves(2, 3, stride=2)
    with pytest.raises(ValueError,
                       match=r"branch has shape \(2, 3, 3\).*shortcut has shape \(2, 6, 6\)"):
        OpenShortcut(*lower).forward(np.ones((2, 6, 6, 2)))


def test_the_message_carries_the_gradient_of_the_shortcut():
    lower, upper = halves(3, 4)
    below, above = OpenShortcut(*lower), CloseShortcut(4, *upper)
    x, dy = np.random.default_rng(1).standard_normal((2, 6, 3))
    above.forward(below.forward(x))
    message = above.backward(dy)
    assert message.shape == (6, 7)
    np.testing.assert_array_equal(message[:, 4:], dy)
    # what is left has come over the shortcut alone
    message[:, :4] = 0
    np.testing.assert_allclose(below.backward(message), dy)


def test_shapes_are_announced_before_anything_runs():
    lower, upper = halves(3, 4)
    assert OpenShortcut(*lower).output_shape((3,)) == (7,)
    assert CloseShortcut(4, *upper).output_shape((7,)) == (3,)


def test_the_layer_that_reads_the_data_makes_no_message_and_the_same_gradients():
    x, dy = np.random.default_rng(2).standard_normal((6, 3)), np.random.default_rng(
        3).standard_normal((6, 7))
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


@on_devices
def test_every_backend_gives_the_same(xp):
    lower, upper = halves(3, 4, dtype=np.float32)
    block = Sequential(OpenShortcut(*lower), CloseShortcut(4, *upper))
    x, dy = np.random.default_rng(4).standard_normal((2, 6, 3)).astype(np.float32)
    y, dx = block.forward(x), block.backward(dy)
    block.to(xp)
    np.testing.assert_allclose(backend.to_numpy(block.forward(backend.asarray(xp, x))), y,
                               rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(backend.to_numpy(block.backward(backend.asarray(xp, dy))), dx,
                               rtol=1e-4, atol=1e-6)
