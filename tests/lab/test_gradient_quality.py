"""Guess beside truth: the four numbers are their formulas, and measuring changes nothing."""

import numpy as np
import pytest

import tinydni as td
from tinydni.lab.gradient_quality import gradient_quality, measure_gradients

N, D, H, K = 12, 6, 5, 3


def make(dtype=np.float64):
    """Four blocks whose synthesizers guess at random; x, target, context."""
    rng = np.random.default_rng(0)
    network = td.build(td.mlp((D, H, H, H, K), rng, dtype=dtype), td.SoftmaxCrossEntropy(), 0.1,
                       lambda n: td.LinearSynthesizer(n, K, dtype=dtype), 0.1)
    for synthesizer in network.synthesizers():
        for _, array, _ in synthesizer.named_parameters():
            array[...] = rng.standard_normal(array.shape)
    target = rng.integers(K, size=N)
    return network, (rng.standard_normal((N, D)), target, np.eye(K)[target])


def guesses_and_truths(network, x, target, context):
    """(delta_hat, delta) at every interface, by a forward and a backward pass in plain lines."""
    hs = [x]
    for module in network.modules:
        hs.append(module.block.forward(hs[-1]))
    loss, pairs = td.SoftmaxCrossEntropy(), []
    loss.forward(hs[-1], target)
    dh = loss.backward()
    for module, below, h in zip(network.modules[:0:-1], network.modules[-2::-1], hs[-2::-1]):
        dh = module.block.backward(dh)
        pairs.insert(0, (below.synthesizer.forward(h, context), N * dh))
    return pairs


def test_the_numbers_are_their_formulas_at_every_interface():
    network, batch = make()
    found = gradient_quality(network, *batch)
    assert len(found) == 3
    for numbers, (guess, truth) in zip(found, guesses_and_truths(network, *batch)):
        g, t = np.linalg.norm(guess), np.linalg.norm(truth)
        assert numbers == {
            "cosine": pytest.approx((guess * truth).sum() / (g * t), rel=1e-9),
            "norm_ratio": pytest.approx(g / t, rel=1e-9),
            "sign_agreement": pytest.approx(np.mean(np.sign(guess) == np.sign(truth))),
            "loss": pytest.approx(0.5 * ((guess - truth) ** 2).sum(axis=1).mean(), rel=1e-9)}


@pytest.mark.parametrize("factor, cosine, norm_ratio, agreement", [
    (2.0, 1, 2, 1), (-0.5, -1, 0.5, 0), (0.0, None, 0, 0)])
def test_a_guess_along_the_truth(factor, cosine, norm_ratio, agreement):
    network, batch = make()
    (_, truth) = guesses_and_truths(network, *batch)[-1]
    network.synthesizers()[-1].forward = lambda h, context: factor * truth
    numbers = gradient_quality(network, *batch)[-1]
    assert numbers["cosine"] == (None if cosine is None else pytest.approx(cosine))
    assert numbers["norm_ratio"] == pytest.approx(norm_ratio)
    assert numbers["sign_agreement"] == agreement
    assert numbers["loss"] == pytest.approx((1 - factor) ** 2 * 0.5 * (truth ** 2).sum() / N)


def test_the_network_stays_as_it_is():
    network, batch = make()
    network.step(*batch)
    before = {path: array.copy() for path, array in network.state().items()}
    gradient_quality(network, *batch)
    for path, array in network.state().items():
        np.testing.assert_array_equal(array, before[path], err_msg=path)


def training():
    data = td.datasets.addition(bits=3)
    network = td.build(td.mlp((data.n_in, 8, 8, data.n_out), np.random.default_rng(0)),
                       td.BinaryCrossEntropy(), 0.1,
                       lambda n: td.LinearSynthesizer(n, data.n_out), 0.1)
    return td.Training(network, data, 2, 8, 0, error=td.percent_bits_wrong, context=data.context())


def test_a_training_measures_before_its_last_steps_and_learns_what_it_learned_without():
    plain, measured = training(), measure_gradients(training())
    plain.run()
    n = plain.n_batches
    history = dict(measured.run())
    assert history.pop("gradients_at") == [(n - 1) / n, (2 * n - 1) / n]
    gradients = history.pop("gradients")
    assert history == plain.history
    assert [len(found) for found in gradients] == [2, 2]        # two interfaces, each time


def test_it_measures_before_every_kth_step():
    made = measure_gradients(training(), every=2)
    made.run()
    n = made.n_batches
    assert made.history["gradients_at"] == [step / n for step in range(1, 2 * n, 2)]
