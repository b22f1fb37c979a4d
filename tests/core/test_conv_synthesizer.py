"""The convolutional synthesizer: gradients, start at zero, label maps, a network of images."""

import numpy as np
import pytest

import tinydni as td
from tinydni.gradcheck import assert_gradients
from tinydni.synthesizers import beside
from tinydni.variants.conv_synthesizer import conv_synthesizer

FORMS = ("linear", "hidden", "resnet")


@pytest.mark.parametrize("n_context", [0, 3])
def test_gradients(n_context):
    """The linear form has no kinks; the layers of the others are checked by themselves."""
    synthesizer = conv_synthesizer(2, np.random.default_rng(0), n_context, kernel=3)
    assert_gradients(synthesizer, (4, 5, 5, 2), (4, 3) if n_context else None)


@pytest.mark.parametrize("form", FORMS)
def test_the_first_guess_is_no_gradient_and_the_second_is_not(form):
    rng = np.random.default_rng(0)
    synthesizer = conv_synthesizer(2, rng, 3, form, kernel=3, width=4)
    h, y = rng.standard_normal((8, 5, 5, 2)).astype(np.float32), np.eye(3, dtype=np.float32)[
        rng.integers(3, size=8)]
    target = rng.standard_normal(h.shape).astype(np.float32)
    assert not synthesizer.forward(h, y).any()
    optimizer, losses = td.Adam(0.01), []
    for _ in range(60):
        synthesizer.learn(h, y, target, optimizer)
        losses.append(float(synthesizer.loss()))
    assert losses[-1] < 0.97 * losses[0] and synthesizer.forward(h, y).any()


def test_maps_are_the_context_at_every_pixel():
    h, context = np.zeros((2, 3, 4, 1)), np.array([[0.0, 1.0], [1.0, 0.0]])
    both = beside(np, h, context)
    assert both.shape == (2, 3, 4, 3)
    assert (both[0, :, :, 1:] == [0, 1]).all() and (both[1, :, :, 1:] == [1, 0]).all()


def test_a_decoupled_network_of_images_learns():
    """Squares in one of three corners, told apart without a true gradient at the convolution."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=240)
    x = rng.standard_normal((240, 8, 8, 1)).astype(np.float32)
    for image, label in zip(x, y):
        image[4 * (label // 2):4 * (label // 2) + 4, 4 * (label % 2):4 * (label % 2) + 4] += 1
    context = np.eye(3, dtype=np.float32)[y]
    network = td.build(td.cnn((8, 8, 1), 3, 3, rng, channels=8, kernel=3), td.SoftmaxCrossEntropy(),
                          lambda: td.Adam(3e-3),
                       lambda *shape: conv_synthesizer(shape[-1], rng, 3, kernel=3),
                          lambda: td.Adam(3e-3), input_shape=(8, 8, 1))
    before = (network.predict(x).argmax(axis=1) != y).mean()
    for _ in range(150):
        batch = rng.integers(len(x), size=32)
        network.step(x[batch], y[batch], context[batch])
    assert before > 0.4 and (network.predict(x).argmax(axis=1) != y).mean() < 0.05
