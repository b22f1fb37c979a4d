"""Losses: values, gradients, and the targets that they refuse."""

import numpy as np
import pytest
from conftest import on_devices
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni import backend
from tinydni.gradcheck import assert_gradients
from tinydni.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy

several = settings(max_examples=8, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def draw_labels(rng, N, K):
    return rng.integers(0, K, N)


def draw_bits(rng, N, K):
    return rng.integers(0, 2, (N, K)).astype(np.float64)


def draw_values(rng, N, K):
    return rng.standard_normal((N, K))


LOSSES = {"softmax": (SoftmaxCrossEntropy, draw_labels), "squared": (MeanSquaredError, draw_values),
          "binary": (BinaryCrossEntropy, draw_bits),
          "binary, probabilities": (BinaryCrossEntropy, lambda rng, N, K: rng.random((N, K)))}
every_loss = pytest.mark.parametrize("make, draw", LOSSES.values(), ids=LOSSES)


def in_dtype(target, dtype):
    """Labels stay whole numbers; other targets take the dtype of the prediction."""
    return target.astype(dtype) if target.dtype.kind == "f" else target


@every_loss
@several
@given(N=st.integers(1, 6), K=st.integers(1, 5), seed=seeds)
def test_gradients_agree_with_central_differences(make, draw, N, K, seed):
    rng = np.random.default_rng(seed)
    assert_gradients(make(), rng.standard_normal((N, K)), draw(rng, N, K), rng=rng)


def softmax_formula(z, t):
    return -np.mean([np.log(np.exp(z[n]) / np.exp(z[n]).sum())[t[n]] for n in range(len(z))])


def squared_formula(z, t):
    return np.mean([0.5 * np.sum((z[n] - t[n]) ** 2) for n in range(len(z))])


def binary_formula(z, t):
    p = 1 / (1 + np.exp(-z))
    return np.mean([-np.sum(t[n] * np.log(p[n]) + (1 - t[n]) * np.log(1 - p[n]))
                    for n in range(len(z))])


@pytest.mark.parametrize("make, draw, formula", [
    (SoftmaxCrossEntropy, draw_labels, softmax_formula),
    (MeanSquaredError, draw_values, squared_formula),
    (BinaryCrossEntropy, draw_bits, binary_formula)])
def test_a_loss_is_its_formula_a_mean_over_the_batch_and_a_sum_over_the_outputs(make, draw,
                                                                                formula):
    rng = np.random.default_rng(0)
    z, t = rng.standard_normal((5, 4)), draw(rng, 5, 4)
    assert make().forward(z, t) == pytest.approx(formula(z, t), rel=1e-12)


@every_loss
def test_the_gradient_of_an_example_is_one_nth_of_what_it_is_alone(make, draw):
    rng, loss = np.random.default_rng(0), make()
    z, t = rng.standard_normal((4, 3)), draw(rng, 4, 3)
    loss.forward(z, t)
    together = loss.backward()
    for n in range(4):
        loss.forward(z[n:n + 1], t[n:n + 1])
        np.testing.assert_allclose(together[n:n + 1], loss.backward() / 4, rtol=1e-12)


@pytest.mark.parametrize("loss, right, wrong", [
    (SoftmaxCrossEntropy(), np.array([0]), np.array([1])),
    (BinaryCrossEntropy(), np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32))],
                         ids=["softmax", "binary"])
def test_cross_entropies_of_huge_logits_are_exact(loss, right, wrong):
    z = np.array([[1e4, -1e4]], np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert loss.forward(z, right) == 0 and np.abs(loss.backward()).max() < 1e-30
        assert loss.forward(z, wrong) == 20_000 and np.abs(loss.backward()).tolist() == [[1, 1]]


def test_the_gradient_of_bits_keeps_its_digits_where_they_are_nearly_right():
    z, t = np.array([[20, -20, 3]], np.float32), np.array([[1, 0, 0]], np.float32)
    loss = BinaryCrossEntropy()
    loss.forward(z, t)
    np.testing.assert_allclose(loss.backward(), [[-np.exp(-20), np.exp(-20), 1 / (1 + np.exp(-3))]],
                               rtol=1e-6)


def test_uniform_logits_cost_log_k():
    assert SoftmaxCrossEntropy().forward(np.zeros((4, 10)),
                                         np.arange(4)) == pytest.approx(np.log(10))


@every_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_the_prediction_is_that_of_loss_and_gradient(make, draw, dtype):
    rng, loss = np.random.default_rng(0), make()
    value = loss.forward(rng.standard_normal((4, 3)).astype(dtype),
                         in_dtype(draw(rng, 4, 3), dtype))
    assert value.dtype == loss.backward().dtype == dtype


@every_loss
def test_no_loss_writes_into_its_arguments_and_backward_may_be_called_twice(make, draw):
    rng, loss = np.random.default_rng(0), make()
    z, t = rng.standard_normal((4, 3)), draw(rng, 4, 3)
    z.flags.writeable = t.flags.writeable = False
    loss.forward(z, t)
    first = loss.backward()
    expected = first.copy()
    first[...] = 0                                  # the gradient belongs to its receiver
    np.testing.assert_array_equal(loss.backward(), expected)


@on_devices
@every_loss
def test_every_backend_computes_what_numpy_computes(make, draw, xp):
    rng, here, there = np.random.default_rng(0), make(), make().to(xp)
    z, t = rng.standard_normal((6, 4)), draw(rng, 6, 4)
    value, on_device = here.forward(z, t), there.forward(backend.asarray(xp, z),
                                                         backend.asarray(xp, t))
    assert float(on_device) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(backend.to_numpy(there.backward()), here.backward(), rtol=1e-12,
                               atol=1e-15)


# Wrong targets

z32 = np.zeros((3, 4), np.float32)
WRONG = {
    "a label too large": (
        SoftmaxCrossEntropy, np.array([0, 4, 1]),
        ValueError, r"target must lie in 0 \.\.\. 3; got 4 at index 1"),
    "a negative label": (
        SoftmaxCrossEntropy, np.array([0, 1, -1]),
        ValueError, r"target must lie in 0 \.\.\. 3; got -1 at index 2"),
    "labels as floats": (
        SoftmaxCrossEntropy, np.array([0., 1, 2]),
        TypeError, "target must be an array of whole numbers; got ndarray of float64"),
    "one-hot labels": (
        SoftmaxCrossEntropy, np.eye(4, dtype=int)[:3],
        ValueError, r"target must have shape \(3,\), a label per example; got \(3, 4\)"),
    "too few labels": (
        SoftmaxCrossEntropy, np.array([0, 1]),
        ValueError, r"target must have shape \(3,\).*got \(2,\)"),
    "labels for squares": (
        MeanSquaredError, np.array([0, 1, 2]),
        ValueError, r"prediction has shape \(3, 4\), but target has shape \(3,\)"),
    "a column that would broadcast": (MeanSquaredError, z32[:, :1], ValueError,
                                      r"target has shape \(3, 1\)"),
    "labels for bits": (
        BinaryCrossEntropy, np.array([0, 1, 2]),
        ValueError, r"prediction has shape \(3, 4\), but target has shape \(3,\)"),
    "squares to a float64 target": (MeanSquaredError, np.zeros((3, 4)), TypeError,
                                    "target.*float64.*float32"),
    "bits as float64": (BinaryCrossEntropy, np.zeros((3, 4)), TypeError,
                        "target.*float64.*float32"),
    "a bit above one": (
        BinaryCrossEntropy, np.full((3, 4), 1.5, np.float32),
        ValueError, r"target must lie in 0 \.\.\. 1; got 1.5 to 1.5"),
    "a bit below zero": (
        BinaryCrossEntropy, np.full((3, 4), -0.5, np.float32),
        ValueError, r"target must lie in 0 \.\.\. 1; got -0.5"),
    "a bit that is NaN": (
        BinaryCrossEntropy, np.full((3, 4), np.nan, np.float32),
        ValueError, r"target must lie in 0 \.\.\. 1; got nan"),
    "bits as whole numbers": (
        BinaryCrossEntropy, np.zeros((3, 4), np.uint8),
        TypeError, "target.*uint8.*float32"),
}


@pytest.mark.parametrize("make, target, error, message", WRONG.values(), ids=WRONG)
def test_a_wrong_target_is_named(make, target, error, message):
    with pytest.raises(error, match=message):
        make().forward(z32, target)


@every_loss
def test_an_empty_batch_is_named(make, draw):
    with pytest.raises(ValueError, match=r"got \(0, 4\)|batch is empty.* \(0, 4\)"):
        make().forward(np.zeros((0, 4)), draw(np.random.default_rng(0), 0, 4))


@pytest.mark.parametrize("target, got", [(np.array([0., 1, 2]), "float64"),
                                         (np.array([0, 1]), r"\(2,\)")],
                         ids=["floats", "too few"])
def test_labels_on_a_device_are_checked_for_dtype_and_shape(target, got, xp):
    loss = SoftmaxCrossEntropy().to(xp)
    with pytest.raises((TypeError, ValueError), match=f"target must.*got.*{got}"):
        loss.forward(backend.asarray(xp, z32), backend.asarray(xp, target))
