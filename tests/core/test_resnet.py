"""Networks of images: the residual network, the convolutional one, and BatchNorm over pixels."""

import numpy as np
import pytest
from conftest import on_devices

import tinydni
from tinydni import Adam, Momentum, SoftmaxCrossEntropy, backend, backprop, build, no_backprop
from tinydni.activations import Softplus
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Residual, Sequential
from tinydni.convolution import Conv2D
from tinydni.gradcheck import assert_gradients
from tinydni.models import cnn, mlp, residual_block, resnet
from tinydni.pooling import Subsample


def small_resnet(dtype=np.float32):
    return resnet(8, np.random.default_rng(0), widths=(4, 6, 8), dtype=dtype)


def small_batch(dtype=np.float32):
    rng = np.random.default_rng(1)
    return rng.standard_normal((8, 8, 8, 3)).astype(dtype), rng.integers(0, 10, 8)


# BatchNorm over pixels

def test_batchnorm_treats_pixels_as_examples():
    rng = np.random.default_rng(0)
    x, dy = 3 + rng.standard_normal((4, 5, 6, 2)), rng.standard_normal((4, 5, 6, 2))
    images, rows = BatchNorm(2, dtype=np.float64), BatchNorm(2, dtype=np.float64)
    np.testing.assert_allclose(images.forward(x).reshape(-1, 2), rows.forward(x.reshape(-1, 2)),
                               rtol=1e-11)
    np.testing.assert_allclose(images.backward(dy).reshape(-1, 2), rows.backward(dy.reshape(-1, 2)),
                               rtol=1e-9)
    for name in ("dgamma", "dbeta", "running_mean", "running_var"):
        np.testing.assert_allclose(getattr(images, name), getattr(rows, name), rtol=1e-11)
    images.eval(), rows.eval()
    np.testing.assert_allclose(images.forward(x).reshape(-1, 2), rows.forward(x.reshape(-1, 2)),
                               rtol=1e-11)
    np.testing.assert_allclose(images.backward(dy).reshape(-1, 2), rows.backward(dy.reshape(-1, 2)),
                               rtol=1e-11)


@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (2, 1, 3, 2), (5, 4, 2), (1, 4, 4, 2)])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_gradients_of_batchnorm_over_pixels(shape, training):
    assert_gradients(BatchNorm(2).train(training), shape)


def test_float32_statistics_of_131072_pixels_are_right():
    """Far from zero, where rounding hurts: mean 10, deviation 0.1."""
    x = (10 + 0.1 * np.random.default_rng(0).standard_normal((128, 32, 32, 4))).astype(np.float32)
    layer = BatchNorm(4, momentum=1.0)
    y = layer.forward(x).astype(np.float64)
    exact = x.astype(np.float64).reshape(-1, 4)
    np.testing.assert_allclose(layer.running_mean, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(layer.running_var, exact.var(axis=0, ddof=1), rtol=1e-4)
    assert abs(y.reshape(-1, 4).mean(axis=0)).max() < 1e-4 and y.dtype == np.float64


# Residual blocks

@pytest.mark.parametrize("n_in, n_out, stride", [(3, 3, 1), (3, 5, 2), (2, 4, 1)])
def test_gradients_of_a_residual_block(n_in, n_out, stride):
    """The branch and the shortcut of the block, smooth where ReLU has its kink."""
    rng = np.random.default_rng(0)
    block = Residual(Conv2D(n_in, n_out, rng, stride=stride), BatchNorm(n_out), Softplus(),
                     Conv2D(n_out, n_out, rng),
                     shortcut=None if n_in == n_out else Subsample(n_in, n_out, stride))
    assert_gradients(block, (3, 5, 6, n_in))
    assert block.output_shape((5, 6, n_in)) == block.forward(np.ones((2, 5, 6, n_in),
                                                                     np.float32)).shape[1:]


def test_a_branch_of_zeros_leaves_the_shortcut():
    block = residual_block(3, 5, np.random.default_rng(0), stride=2)
    for _, parameter, _ in block.named_parameters():
        parameter[...] = 0
    x = np.random.default_rng(0).random((2, 6, 6, 3), dtype=np.float32)
    np.testing.assert_array_equal(block.forward(x), Subsample(3, 5).forward(x))


def test_shapes_that_cannot_be_added_are_named():
    with pytest.raises(ValueError, match=r"shortcut of x has shape \(2, 4, 4, 3\).*\(2, 4, 4, 5\)"):
        Residual(Conv2D(3, 5, np.random.default_rng(0))).forward(np.ones((2, 4, 4, 3), np.float32))


# The networks

@pytest.mark.parametrize("depth, n_blocks, n_parameters",
                         [(20, 11, 269_722), (32, 17, 464_154), (56, 29, 853_018),
                                                           (110, 56, 1_727_962)])
def test_resnets_have_the_size_of_the_paper(depth, n_blocks, n_parameters):
    """0.27, 0.46, 0.85 and 1.7 million parameters  (He et al. 2016, table 6)."""
    blocks = resnet(depth, np.random.default_rng(0))
    assert len(blocks) == n_blocks
    assert sum(block.n_parameters() for block in blocks) == n_parameters
    assert sum(isinstance(layer, Conv2D) for block in blocks
               for _, layer in block.walk()) == depth - 1
    shape, shapes = (32, 32, 3), []
    for block in blocks:
        shape = block.output_shape(shape)
        shapes.append(shape)
    n = (depth - 2) // 6
    assert shapes == [(32, 32, 16)] * (n + 1) + [(16, 16, 32)] * n + [(8, 8, 64)] * n + [(10,)]


def test_the_cnn_counts_its_layers_as_the_paper():
    blocks = cnn((28, 28, 1), 10, 3, np.random.default_rng(0), channels=8)
    assert [block.output_shape(shape) for block, shape in
            zip(blocks, [(28, 28, 1), (14, 14, 8), (7, 7, 8)])] == [(14, 14, 8), (7, 7, 8), (10,)]
    assert [type(block.layers[-1]).__name__ for block in blocks] == ["MaxPool", "AvgPool", "Linear"]
    assert blocks[0].layers[0].kernel == 5


@pytest.mark.parametrize("make", [
    lambda: cnn((8, 8, 3), 10, 3, np.random.default_rng(0), channels=6, kernel=3), small_resnet],
                         ids=["cnn", "resnet"])
def test_a_network_learns_a_batch_by_heart(make):
    net = build(make(), SoftmaxCrossEntropy(), lambda: Adam(0.01), input_shape=(8, 8, 3),
                algorithm=backprop)
    x, target = small_batch()
    losses = [float(net.step(x, target)) for _ in range(40)]
    assert losses[-1] < 0.1 < 1 < losses[0], losses
    assert net.predict(x).shape == (8, 10)


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_resnet_can_be_cut_between_any_two_blocks(cut):
    """The messages of two parts are the gradients of the whole."""
    x, target = small_batch(np.float64)
    blocks = small_resnet(np.float64)
    twins = [build(parts, SoftmaxCrossEntropy(), lambda: Momentum(0.1), input_shape=(8, 8, 3),
                   algorithm=backprop)
             for parts in ([Sequential(*blocks)],
                           [Sequential(*blocks[:cut]), Sequential(*blocks[cut:])])]
    for _ in range(2):
        whole, parts = (float(net.step(x, target)) for net in twins)
        assert whole == pytest.approx(parts, rel=1e-12)
    np.testing.assert_allclose(twins[0].predict(x), twins[1].predict(x), rtol=1e-9)


def test_the_gradient_of_a_whole_resnet_is_that_of_its_loss():
    """One direction in all parameters together, against a central difference."""
    x, target = small_batch(np.float64)
    net, loss = Sequential(*small_resnet(np.float64)), SoftmaxCrossEntropy()
    loss.forward(net.forward(x), target)
    net.backward(loss.backward())
    rng = np.random.default_rng(2)
    directions = [(p, dp.copy(), rng.standard_normal(p.shape))
                  for _, p, dp in net.named_parameters()]
    claimed = sum(np.vdot(dp, v) for _, dp, v in directions)

    def loss_at(step):
        for p, _, v in directions:
            p += step * v
        value = loss.forward(net.forward(x), target)
        for p, _, v in directions:
            p -= step * v
        return value

    assert (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6 == pytest.approx(claimed, rel=1e-4)


@on_devices
def test_every_backend_trains_the_same_resnet(xp):
    x, target = small_batch(np.float64)
    nets = [build(small_resnet(np.float64), SoftmaxCrossEntropy(), lambda: Momentum(0.1),
                  input_shape=(8, 8, 3), algorithm=backprop).to(where) for where in (np, xp)]
    for _ in range(2):
        here = nets[0].step(x, target)
        there = nets[1].step(backend.asarray(xp, x), backend.asarray(xp, target))
        np.testing.assert_allclose(backend.to_numpy(there), here, rtol=1e-9)


def test_no_float64_array_leaves_a_block_in_a_float32_step():
    net = Sequential(*small_resnet())
    x, target = small_batch()
    loss, y = SoftmaxCrossEntropy(), net.forward(x)
    loss.forward(y, target)
    assert y.dtype == net.backward(loss.backward()).dtype == np.float32
    assert {gradient.dtype for _, _, gradient in net.named_parameters()} == {np.dtype(np.float32)}


def test_the_head_alone_learns_under_no_backprop():
    blocks = small_resnet()
    net = build(blocks, SoftmaxCrossEntropy(), lambda: Momentum(0.1), input_shape=(8, 8, 3),
                algorithm=no_backprop)
    net.step(*small_batch())
    for module, block in zip(net.modules[:-1], blocks):
        for (_, trained, _), (_, start, _) in zip(module.block.named_parameters(),
                                                  block.named_parameters()):
            np.testing.assert_array_equal(trained, start)


@pytest.mark.parametrize("make, message", [
    (lambda rng: resnet(21, rng), r"depth must be 2 \+ 6 n.*got 21"),
    (lambda rng: resnet(2, rng), "got 2"),
    (lambda rng: cnn((8, 8, 1), 10, 1, rng), "n_layers must be at least 2")])
def test_wrong_sizes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make(np.random.default_rng(0))


def test_the_models_have_one_home():
    assert tinydni.mlp is mlp
