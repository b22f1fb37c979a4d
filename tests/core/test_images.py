"""Interfaces that images cross: every way to get a gradient or an input there."""

import numpy as np
import pytest
from building import build

import tinydni as td
from tinydni.gradcheck import assert_gradients
from tinydni.synthesizers import LinearSynthesizer
from tinydni.variants.controls import Flattened, LocalHead
from tinydni.variants.conv_synthesizer import conv_synthesizer
from tinydni.variants.direct_feedback import DirectFeedback
from tinydni.variants.full_unlock import full_unlock
from tinydni.variants.guess import Guess, GuessSynthesizer
from tinydni.variants.input_synthesizers import conv_input_synthesizer
from tinydni.variants.virtual_network import VirtualNetwork
from tinydni.virtual import VirtualLinear

K, SHAPE = 3, (8, 8, 1)


def images(rng, n=240):
    """Bright squares in one of three corners: x (n, 8, 8, 1), labels (n,), one-hot (n, 3)."""
    y = rng.integers(K, size=n)
    x = rng.standard_normal((n, *SHAPE)).astype(np.float32)
    for image, label in zip(x, y):
        image[4 * (label // 2):4 * (label // 2) + 4, 4 * (label % 2):4 * (label % 2) + 4] += 1
    return x, y, np.eye(K, dtype=np.float32)[y]


def network(rng, synthesizer=None, **options):
    """Two convolutions and a linear output; images (4, 4, 6) and (2, 2, 6) cross its interfaces."""
    if synthesizer:
        options |= {"synthesizer": synthesizer, "synthesizer_lr": lambda: td.Adam(5e-3)}
    return build(td.cnn(SHAPE, K, 3, rng, channels=6, kernel=3), td.SoftmaxCrossEntropy(),
                 lambda: td.Adam(3e-3), input_shape=SHAPE, **options)


def learned(rng, net, sees=None, steps=150):
    """The error [%] of the network after some steps; sees: "labels", "input", or None."""
    x, y, context = images(rng)
    context = {"labels": context, "input": x}.get(sees)
    for _ in range(steps):
        batch = rng.integers(len(x), size=32)
        net.step(x[batch], y[batch], None if context is None else context[batch])
    return 100 * (net.predict(x).argmax(axis=1) != y).mean()


def classifier(shape, rng, n_out=K):
    """A small convolutional network from images to logits."""
    return td.Sequential(td.Conv2D(shape[-1], 4, rng), td.BatchNorm(4, momentum=0), td.ReLU(),
                         td.GlobalAvgPool(), td.Linear(4, n_out, rng))


# Rows at an interface of images

def test_a_flattened_synthesizer_is_that_of_rows():
    rng = np.random.default_rng(0)
    rows = VirtualLinear(12, K, np.random.default_rng(1), dtype=np.float64)
    maps = Flattened(VirtualLinear(12, K, np.random.default_rng(1), dtype=np.float64))
    (h, target), context = rng.standard_normal((2, 5, 2, 3, 2)), np.eye(K)[rng.integers(K, size=5)]
    for _ in range(3):
        guess = rows.forward(h.reshape(5, 12), context)
        np.testing.assert_array_equal(maps.forward(h, context), guess.reshape(h.shape))
        maps.learn(h, context, target, td.SGD(0.1))
        rows.learn(h.reshape(5, 12), context, target.reshape(5, 12), td.SGD(0.1))
        assert maps.loss() == pytest.approx(rows.loss())
    assert_gradients(maps, h, context, rng=rng)


def test_the_label_alone_gives_every_image_of_a_class_the_same_gradient():
    rng = np.random.default_rng(0)
    net = network(rng, lambda *shape: Flattened(LinearSynthesizer(int(np.prod(shape)), K,
                                                                  reads_h=False)))
    assert learned(rng, net, "labels") < 10
    x, y, context = images(rng, 30)
    guess = net.synthesizers()[0].forward(net.modules[0].forward(x), context)
    same = guess[y == 0]
    assert same.shape[1:] == (4, 4, 6) and same.any() and (same == same[0]).all()


# Guesses

FORMS = {"linear": lambda shape, rng: VirtualLinear(int(np.prod(shape)), 5, rng),
         "network": lambda shape, rng: VirtualNetwork(classifier(shape, rng, 5), 5)}


@pytest.mark.parametrize("form", FORMS)
def test_a_guess_from_the_input_teaches_convolutions_without_a_label(form):
    rng = np.random.default_rng(0)
    guess = Guess(64, 5, rng, hidden=32)

    def synthesizer(*shape):
        made = GuessSynthesizer(FORMS[form](shape, rng), guess)
        return Flattened(made) if form == "linear" else made

    net = network(rng, synthesizer)
    assert learned(rng, net, "input") < 5
    assert [any(path.startswith("guess") or ".guess" in path for path in synthesizer.state())
            for synthesizer in net.synthesizers()] == [False, True]


def test_a_guess_from_the_bottom_output_reads_images_too():
    rng = np.random.default_rng(0)
    guess = Guess(4 * 4 * 6, 5, rng, hidden=32)
    net = network(rng, lambda *shape: Flattened(GuessSynthesizer(VirtualLinear(int(np.prod(shape)),
                                                                               5, rng), guess)),
                  bottom_context=True)
    assert learned(rng, net) < 5


# A classifier of every module's own

def test_a_local_head_on_images_is_a_network_that_learns_the_label_itself():
    rng = np.random.default_rng(0)
    head = LocalHead(classifier((4, 4, 6), np.random.default_rng(1)).to(dtype=np.float64), K)
    twin, loss = classifier((4, 4, 6),
                            np.random.default_rng(1)).to(dtype=np.float64), td.SoftmaxCrossEntropy()
    h, y = rng.standard_normal((8, 4, 4, 6)), rng.integers(K, size=8)
    for _ in range(3):
        loss.forward(twin.forward(h), y)
        dh = twin.backward(loss.backward())
        twin.update(td.SGD(0.1))
        np.testing.assert_allclose(head.forward(h, np.eye(K)[y]) / 8, dh, rtol=1e-9, atol=1e-14)
        head.learn(h, head.context, np.ones_like(h), td.SGD(0.1))
    for (path, got, _), (_, expected, _) in zip(head.net.named_parameters(),
                                                twin.named_parameters()):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12, err_msg=path)
    assert learned(rng, network(rng, lambda *shape: LocalHead(classifier(shape, rng), K)),
                   "labels") < 10


# Direct feedback

def test_direct_feedback_reaches_maps_by_one_column_for_every_pixel():
    rng = np.random.default_rng(0)
    net = network(rng, algorithm=DirectFeedback(K, [4 * 4 * 6, 2 * 2 * 6], seed=0))
    (x, y, _), sent = images(rng, 16), []
    for module in net.modules:
        module.backward = lambda dh, module=module: sent.append(dh) or module.block.backward(dh)
    net.step(x, y)
    assert [dh.shape for dh in sent] == [(16, 4, 4, 6), (16, 2, 2, 6), (16, K)]
    for dh, B in zip(sent, net.algorithm.B):
        np.testing.assert_array_equal(dh.reshape(16, -1), sent[-1] @ B)
    assert learned(rng, network(rng, algorithm=DirectFeedback(K, [4 * 4 * 6, 2 * 2 * 6],
                                                              seed=0))) < 5


def test_direct_feedback_has_no_error_for_several_heads():
    rng = np.random.default_rng(0)
    blocks = [td.Linear(6, 4, rng), [td.Linear(4, K, rng), td.Linear(4, K, rng)]]
    net = build(blocks, td.SoftmaxCrossEntropy(), lambda: td.SGD(0.1),
                algorithm=DirectFeedback(K, [4], seed=0))
    with pytest.raises(ValueError, match="one error, of one head"):
        net.step(rng.standard_normal((5, 6)).astype(np.float32), np.zeros(5, int))


# Synthetic inputs

@pytest.mark.parametrize("x_shape, h_shape", [((6, 6, 1), (6, 6, 2)), ((6, 4, 2), (3, 2, 3)),
                                              ((7, 7, 1), (2, 2, 3))])
def test_a_synthetic_image_has_the_shape_of_the_real_one_and_right_gradients(x_shape, h_shape):
    rng = np.random.default_rng(0)
    synthesizer = conv_input_synthesizer(x_shape, h_shape, rng, width=3)
    x = rng.standard_normal((5, *x_shape))
    assert synthesizer.forward(x.astype(np.float32)).shape == (5, *h_shape)
    assert_gradients(synthesizer, x, rng=rng)


def test_a_size_that_no_stride_gives_is_refused():
    with pytest.raises(ValueError,
                       match=r"no stride makes images of \(5, 5\) pixels from images of \(8, 8\)"):
        conv_input_synthesizer((8, 8, 1), (5, 5, 2), np.random.default_rng(0))


def test_a_convolutional_network_learns_in_full_unlock():
    rng = np.random.default_rng(0)
    net = network(rng, lambda *shape: conv_synthesizer(shape[-1], rng, K, kernel=3),
                  algorithm=full_unlock,
                  input_synthesizer=lambda *shape: conv_input_synthesizer(SHAPE, shape, rng,
                                                                          width=8),
                  input_lr=lambda: td.Adam(5e-3))
    assert learned(rng, net, "labels", steps=250) < 10
    real, synthetic = net.modules[0].h, net.algorithm.synthesizers[1].delta_hat
    assert np.sum((synthetic - real)**2) < 0.5 * np.sum(real**2)
    # nothing of module 1 reaches module 0 within a step
    poisoned = net.modules[1].block.layers[0].W
    poisoned[...] = np.nan
    x, y, context = images(rng, 16)
    with np.errstate(all="ignore"):
        net.step(x, y, context)
    assert all(np.isfinite(array).all() for _, array, _ in net.modules[0].block.named_parameters())
