"""A synthetic loss: its slope, the slope of that slope, and what it can and cannot say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinydni as td
from tinydni.optimizers import SGD, Adam
from tinydni.variants import SyntheticLoss

F64 = np.float64
shapes = st.fixed_dictionaries({"N": st.integers(2, 6), "H": st.integers(1, 5),
                                "C": st.integers(0, 3), "seed": st.integers(0, 2**32 - 1)})
several = settings(max_examples=15, deadline=None, derandomize=True)


def build(N=6, H=4, C=3, seed=0):
    """A synthetic loss with no zero left in it, and what it reads, in float64."""
    rng = np.random.default_rng(seed)
    synthesizer = SyntheticLoss(H, rng, C, hidden=5, dtype=F64)
    for _, array, _ in synthesizer.named_parameters():
        array += rng.standard_normal(array.shape)
    context = rng.standard_normal((N, C)) if C else None
    return synthesizer, rng.standard_normal((N, H)), context, rng


def layers_of(synthesizer):
    """The same l, (N, 1), as Linear, Softplus, Linear of [h, c]."""
    rng = np.random.default_rng(0)
    parts = [synthesizer.A, synthesizer.C] if synthesizer.n_context else [synthesizer.A]
    first = td.Linear(sum(map(len, parts)), synthesizer.hidden, rng, dtype=F64)
    last = td.Linear(synthesizer.hidden, 1, rng, dtype=F64)
    first.W[...], first.b[...] = np.vstack(parts), synthesizer.b
    last.W[...] = synthesizer.v[:, None]
    return td.Sequential(first, td.Softplus(), last)


def beside(h, context):
    return h if context is None else np.hstack([h, context])


@several
@given(shape=shapes)
def test_the_guess_is_the_slope_of_the_loss(shape):
    synthesizer, h, context, rng = build(**shape)
    net, v, step = layers_of(synthesizer), rng.standard_normal(h.shape), 1e-6
    loss = lambda h: net.forward(beside(h, context)).sum()
    expected = (loss(h + step * v) - loss(h - step * v)) / (2 * step)
    assert np.vdot(synthesizer.forward(h, context), v) == pytest.approx(expected, rel=1e-6,
                                                                        abs=1e-7)


@several
@given(shape=shapes)
def test_the_guess_is_what_the_layers_pass_down(shape):
    synthesizer, h, context, _ = build(**shape)
    net = layers_of(synthesizer)
    dx = net.backward(np.ones_like(net.forward(beside(h, context))))
    np.testing.assert_allclose(synthesizer.forward(h, context), dx[:, :h.shape[1]], rtol=1e-10,
                               atol=1e-12)


@several
@given(shape=shapes)
def test_gradients_agree_with_central_differences_away_from_the_start(shape):
    synthesizer, h, context, rng = build(**shape)
    td.gradcheck.assert_gradients(synthesizer, h, context, rng=rng)


@several
@given(shape=shapes)
def test_gradients_are_differences_of_the_layers_own_as_h_moves_along_e(shape):
    """d/dW of <e, dl/dh> is the slope of dl/dW along e: no formula of ours is in it."""
    synthesizer, h, context, rng = build(**shape)
    net, e, step = layers_of(synthesizer), rng.standard_normal(h.shape), 1e-5

    def weight_gradients(h):
        net.backward(np.ones_like(net.forward(beside(h, context))))
        first, _, last = net.layers
        return first.dW.copy(), first.db.copy(), last.dW[:, 0].copy()

    dW, db, dv = ((above - below) / (2 * step) for above, below in
                  zip(weight_gradients(h + step * e), weight_gradients(h - step * e)))
    synthesizer.forward(h, context)
    synthesizer.backward(e)
    found = [synthesizer.dA, synthesizer.dC] if synthesizer.n_context else [synthesizer.dA]
    np.testing.assert_allclose(np.vstack(found), dW, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(synthesizer.db, db, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(synthesizer.dv, dv, rtol=1e-5, atol=1e-7)


def test_the_jacobian_of_the_guess_is_symmetric():
    synthesizer, h, context, _ = build(N=1)
    step, moves = 1e-6, np.eye(h.shape[1])
    J = [(synthesizer.forward(h + step * move, context)[0]
          - synthesizer.forward(h - step * move, context)[0]) / (2 * step) for move in moves]
    np.testing.assert_allclose(J, np.transpose(J), atol=1e-8)
    assert np.abs(J).max() > 0.1


def learned(target, hidden=64):
    """The share of a target (N, 2), a function of h, that is not learned on new h."""
    rng = np.random.default_rng(0)
    synthesizer, rule = SyntheticLoss(2, rng, hidden=hidden, dtype=F64), Adam(0.01)
    for _ in range(3000):
        h = rng.standard_normal((64, 2))
        synthesizer.learn(h, None, target(h), rule)
    h = rng.standard_normal((500, 2))
    return np.sum((synthesizer.forward(h) - target(h))**2) / np.sum(target(h)**2)


def test_a_slope_is_learned_and_a_rotation_is_not():
    """h ↦ h is the slope of ½‖h‖²; h ↦ (-h₂, h₁) is the slope of nothing."""
    assert learned(lambda h: h) < 0.05
    assert learned(lambda h: np.stack([-h[:, 1], h[:, 0]], axis=1)) > 0.9


def test_the_first_step_moves_v_alone():
    """Two zero layers would never learn; one, the last, learns first."""
    synthesizer, before = (SyntheticLoss(4, np.random.default_rng(0), dtype=F64) for _ in range(2))
    h = np.random.default_rng(1).standard_normal((6, 4))
    assert not synthesizer.forward(h).any()
    synthesizer.learn(h, None, np.ones((6, 4)), SGD(0.1))
    assert synthesizer.v.any()
    np.testing.assert_array_equal(synthesizer.A, before.A)


def test_a_network_learns_from_it():
    data, rng = td.datasets.digits(), np.random.default_rng(0)
    network = td.build(td.mlp((64, 32, 32, 10), rng), td.SoftmaxCrossEntropy(),
                       lambda: Adam(3e-3), lambda n: SyntheticLoss(n, rng, 10, hidden=64),
                       lambda: Adam(3e-3))
    training = td.Training(network, data, 20, batch_size=32, seed=0, context=data.context())
    assert training.run()["test_error"][-1] < 6


@pytest.mark.parametrize("hidden", [0, 2.5])
def test_a_wrong_width_is_named(hidden):
    with pytest.raises((ValueError, TypeError), match="hidden"):
        SyntheticLoss(4, np.random.default_rng(0), hidden=hidden)


def test_it_says_what_it_reads():
    rng = np.random.default_rng(0)
    assert repr(SyntheticLoss(6, rng, 4, hidden=8)) == "SyntheticLoss(6 + 4 context -> 8 -> 1)"
    assert SyntheticLoss(6, rng).sees == ("h",)
