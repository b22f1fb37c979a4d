"""Synthesizers: what they guess, how they learn, and what they must leave alone."""

import numpy as np
import pytest
from building import Saved
from conftest import on_devices
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni import backend
from tinydni.gradcheck import assert_gradients
from tinydni.optimizers import SGD, Adam, Momentum
from tinydni.synthesizers import LinearSynthesizer, mlp_synthesizer
from tinydni.variants.synthetic_loss import SyntheticLoss

several = settings(max_examples=8, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)

# Every synthesizer as a function of the width H, the width C of the context, and a generator.
WITH_CONTEXT = {
    "linear": lambda H, C, rng, **options: LinearSynthesizer(H, C, **options),
    "label-only": lambda H, C, rng, **options: LinearSynthesizer(H, C, reads_h=False, **options),
    "MLP": lambda H, C, rng, **options: mlp_synthesizer(H, rng, C, hidden=(5,), **options),
    "loss": lambda H, C, rng, **options: SyntheticLoss(H, rng, C, hidden=5, **options),
}
WITHOUT_CONTEXT = {
    "linear from h alone": lambda H, C, rng, **options: LinearSynthesizer(H, **options),
    "loss from h alone": lambda H, C, rng, **options: SyntheticLoss(H, rng, hidden=5, **options),
    "MLP from h alone": lambda H, C, rng, **options: mlp_synthesizer(H, rng, hidden=(5, 4),
                                                                     **options),
}
EVERY = {**WITH_CONTEXT, **WITHOUT_CONTEXT}
every_synthesizer = pytest.mark.parametrize("kind", EVERY)


def make(kind, H=3, C=4, seed=0, dtype=np.float32):
    return EVERY[kind](H, C, np.random.default_rng(seed), dtype=dtype)


def draw(kind, rng, N=8, H=3, C=4, dtype=np.float32):
    """h, context, target."""
    context = np.eye(C, dtype=dtype)[rng.integers(0, C, N)] if kind in WITH_CONTEXT else None
    return rng.standard_normal((N, H)).astype(dtype), context, rng.standard_normal((N, H)).astype(
        dtype)


def parameters(synthesizer):
    return [array.copy() for _, array, _ in synthesizer.named_parameters()]


@every_synthesizer
@several
@given(N=st.integers(4, 7), H=st.integers(1, 4), C=st.integers(1, 4), seed=seeds)
def test_gradients_agree_with_central_differences(kind, N, H, C, seed):
    rng = np.random.default_rng(seed)
    synthesizer = EVERY[kind](H, C, rng)
    h, context, _ = draw(kind, rng, N, H, C, np.float64)
    assert_gradients(synthesizer, h, context, rng=rng)


def test_the_linear_synthesizer_is_linear_in_h_and_context():
    rng = np.random.default_rng(0)
    synthesizer = LinearSynthesizer(3, 4, dtype=np.float64)
    for name in "ACb":
        getattr(synthesizer, name)[...] = rng.standard_normal(getattr(synthesizer, name).shape)
    h, context = rng.standard_normal((5, 3)), rng.standard_normal((5, 4))
    expected = h @ synthesizer.A + context @ synthesizer.C + synthesizer.b
    np.testing.assert_allclose(synthesizer.forward(h, context), expected, rtol=1e-12)


@every_synthesizer
def test_the_first_guess_is_no_gradient_and_one_step_changes_it(kind):
    synthesizer, (h, context, target) = make(kind), draw(kind, np.random.default_rng(0))
    assert not synthesizer.forward(h, context).any()
    synthesizer.learn(h, context, target, SGD(0.1))
    assert synthesizer.forward(h.copy(), context).any()


def test_only_the_last_layer_of_an_mlp_starts_at_zero():
    synthesizer = mlp_synthesizer(3, np.random.default_rng(0), hidden=(5, 4))
    zero = [path for path, array, _ in synthesizer.named_parameters() if path.endswith("W")
            and not array.any()]
    assert zero == ["net.6.W"]


def test_a_label_only_synthesizer_ignores_h():
    rng = np.random.default_rng(0)
    first, second = make("label-only"), make("label-only")
    h, context, target = draw("label-only", rng)
    first.learn(h, context, target, SGD(0.1))
    second.learn(rng.standard_normal(h.shape).astype(np.float32), context, target, SGD(0.1))
    np.testing.assert_array_equal(first.forward(h, context), second.forward(-h, context))
    assert [path for path, _, _ in first.named_parameters()] == ["C", "b"]
    assert first.sees == ("context",)


# Learning

def test_learning_is_descent_on_half_the_squared_distance_averaged_over_the_batch():
    rng = np.random.default_rng(0)
    synthesizer, (h, context, target) = make("linear", dtype=np.float64), draw("linear", rng,
                                                                               dtype=np.float64)
    synthesizer.learn(h, context, target, SGD(0.5))
    # from zero, the step is up the correlation with the target
    N = len(h)
    np.testing.assert_allclose(synthesizer.A, 0.5 * h.T @ target / N, rtol=1e-12)
    np.testing.assert_allclose(synthesizer.C, 0.5 * context.T @ target / N, rtol=1e-12)
    np.testing.assert_allclose(synthesizer.b, 0.5 * target.mean(axis=0), rtol=1e-12)
    assert synthesizer.loss() == pytest.approx(0.5 * np.mean(np.sum(target ** 2, axis=1)),
                                               rel=1e-12)


def test_a_linear_target_is_learned_exactly():
    rng = np.random.default_rng(0)
    h, context = rng.standard_normal((32, 3)), np.eye(4)[rng.integers(0, 4, 32)]
    target = h @ rng.standard_normal((3, 3)) + context @ rng.standard_normal((4, 3))
    synthesizer = make("linear", dtype=np.float64)
    for _ in range(2000):
        synthesizer.learn(h, context, target, SGD(0.5))
    np.testing.assert_allclose(synthesizer.forward(h, context), target, atol=1e-6)


@pytest.mark.parametrize("part, stable", [(0.9, True), (1.1, False)])
def test_descent_is_stable_below_two_over_the_largest_eigenvalue_and_not_above(part, stable):
    rng = np.random.default_rng(0)
    h, target = rng.standard_normal((32, 3)), rng.standard_normal((32, 3))
    with_bias = np.hstack([h, np.ones((32, 1))])
    limit = 2 / np.linalg.eigvalsh(with_bias.T @ with_bias / 32).max()
    synthesizer, losses = make("linear from h alone", dtype=np.float64), []
    for _ in range(200):
        synthesizer.learn(h, None, target, SGD(part * limit))
        losses.append(synthesizer.loss())
    assert (losses[-1] < losses[0]) == stable


@every_synthesizer
def test_a_batch_that_comes_twice_over_makes_the_same_step(kind):
    rng = np.random.default_rng(0)
    once, twice = (make(kind, dtype=np.float64) for _ in range(2))
    for _ in range(3):
        arguments = draw(kind, rng, dtype=np.float64)
        doubled = [None if a is None else np.concatenate([a, a]) for a in arguments]
        once.learn(*arguments, SGD(0.1))
        twice.learn(*doubled, SGD(0.1))
    for a, b in zip(parameters(once), parameters(twice)):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@every_synthesizer
def test_a_target_that_comes_late_is_learned_like_one_that_comes_at_once(kind):
    rng = np.random.default_rng(0)
    late, at_once = make(kind), make(kind)
    # away from zero, so that every layer of it learns
    for synthesizer in (late, at_once):
        synthesizer.learn(*draw(kind, np.random.default_rng(1)), SGD(0.1))
    h, context, target = draw(kind, rng)
    newer_h, newer_context, _ = draw(kind, rng)
    at_once.forward(h, context)
    at_once.learn(h, context, target, SGD(0.1))
    late.forward(h, context)
    late.forward(newer_h, newer_context)
    late.learn(h, context, target, SGD(0.1))
    for a, b in zip(parameters(late), parameters(at_once)):
        np.testing.assert_array_equal(a, b)


@every_synthesizer
def test_learning_twice_from_the_same_arrays_guesses_anew_in_between(kind):
    same, copies = make(kind), make(kind)
    arguments = draw(kind, np.random.default_rng(0))
    for _ in range(5):
        same.learn(*arguments, SGD(0.1))
        copies.learn(*(None if a is None else a.copy() for a in arguments), SGD(0.1))
    for a, b in zip(parameters(same), parameters(copies)):
        np.testing.assert_array_equal(a, b)


@every_synthesizer
def test_learning_on_one_batch_lowers_the_loss(kind):
    synthesizer, arguments, losses = make(kind), draw(kind, np.random.default_rng(0)), []
    optimizer = Adam(0.01)
    for _ in range(50):
        synthesizer.learn(*arguments, optimizer)
        losses.append(float(synthesizer.loss()))
    assert losses[-1] < 0.9 * losses[0]


# What a synthesizer must leave alone

@every_synthesizer
def test_nothing_flows_into_h_or_the_context_and_no_argument_is_written_to(kind):
    synthesizer, arguments = make(kind), draw(kind, np.random.default_rng(0))
    for array in arguments:
        if array is not None:
            array.flags.writeable = False
    h, context, target = arguments
    for _ in range(2):
        assert synthesizer.backward(synthesizer.forward(h, context)) is None
        synthesizer.learn(h, context, target, SGD(0.1))


@every_synthesizer
def test_a_guess_that_was_handed_over_is_not_changed_by_learning(kind):
    synthesizer, arguments = make(kind), draw(kind, np.random.default_rng(0))
    synthesizer.learn(*arguments, SGD(0.1))
    h, context, target = draw(kind, np.random.default_rng(1))
    guess = synthesizer.forward(h, context)
    kept = guess.copy()
    synthesizer.learn(h, context, target, SGD(0.1))
    synthesizer.forward(2 * h, context)
    np.testing.assert_array_equal(guess, kept)


@pytest.mark.parametrize("kind", ["MLP", "MLP from h alone"])
def test_the_statistics_inside_an_mlp_are_always_those_of_the_batch(kind):
    rng = np.random.default_rng(0)
    synthesizer = make(kind)
    buffers = [layer for _, layer in synthesizer.walk() if layer.buffers]
    for _ in range(3):
        synthesizer.learn(*draw(kind, rng), SGD(0.1))
    for layer in buffers:
        np.testing.assert_array_equal(layer.running_mean, 0)
        np.testing.assert_array_equal(layer.running_var, 1)


@every_synthesizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_that_goes_in_comes_out_everywhere(kind, dtype):
    synthesizer, (h, context, target) = make(kind, dtype=dtype), draw(
        kind, np.random.default_rng(0), dtype=dtype)
    optimizer = Adam(0.1)
    guess = synthesizer.forward(h, context)
    synthesizer.learn(h, context, target, optimizer)
    arrays = [guess, synthesizer.error, synthesizer.loss(), *synthesizer.state().values(),
              *(array for name, array in Saved(optimizer, synthesizer).state().items()
                if "/" in name)]
    arrays += [gradient for _, _, gradient in synthesizer.named_parameters()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@on_devices
@every_synthesizer
def test_every_backend_learns_what_numpy_learns(kind, xp):
    rng = np.random.default_rng(0)
    here, there = make(kind, dtype=np.float64), make(kind, dtype=np.float64).to(xp)
    optimizers = Momentum(0.1), Momentum(0.1)
    for _ in range(3):
        arguments = draw(kind, rng, dtype=np.float64)
        on_device = [None if a is None else backend.asarray(xp, a) for a in arguments]
        guess, on_device_guess = here.forward(*arguments[:2]), there.forward(*on_device[:2])
        np.testing.assert_allclose(backend.to_numpy(on_device_guess), guess, rtol=1e-9, atol=1e-12)
        here.learn(*arguments, optimizers[0])
        there.learn(*on_device, optimizers[1])
    assert float(there.loss()) == pytest.approx(here.loss(), rel=1e-9)


def test_a_description_says_what_is_read():
    rng = np.random.default_rng(0)
    assert repr(LinearSynthesizer(6, 4)) == "LinearSynthesizer(6 + 4 context -> 6)"
    assert repr(LinearSynthesizer(6)) == "LinearSynthesizer(6 -> 6)"
    assert repr(mlp_synthesizer(6, rng)) == "NetworkSynthesizer(6 -> 256 -> 6)"
    assert repr(LinearSynthesizer(6, 4, reads_h=False)) == "LinearSynthesizer(4 context -> 6)"
    assert repr(mlp_synthesizer(6, rng, 4, hidden=(
        8, 7))) == "NetworkSynthesizer(6 + 4 context -> 8 -> 7 -> 6)"


# Wrong arguments

h, context, target = draw("linear", np.random.default_rng(0))
h64, context64, target64 = h.astype(float), context.astype(float), target.astype(float)
WRONG = {
    "an h of another width": (lambda s: s.forward(h[:, :2], context), ValueError,
                              r"3 features; got \(8, 2\)|\(N, 3\); got \(8, 2\)"),
    "an h with an axis too many": (
        lambda s: s.forward(h.reshape(2, 4, 3), context[:2]),
        ValueError, r"\(N, [37]\); got \(2, 4, [37]\)"),
    "a missing context": (
        lambda s: s.forward(h),
        ValueError, r"context must be an array of shape \(8, 4\); got None.*n_context"),
    "a context of another width": (
        lambda s: s.forward(h, context[:, :3]),
        ValueError, r"context must be an array of shape \(8, 4\); got \(8, 3\)"),
    "a context of another batch": (
        lambda s: s.forward(h, context[:5]),
        ValueError, r"context must be an array of shape \(8, 4\); got \(5, 4\)"),
    "labels that are not one-hot": (
        lambda s: s.forward(h, np.arange(8)),
        ValueError, r"context must be an array of shape \(8, 4\); got \(8,\)"),
    "a target of another width": (
        lambda s: s.learn(h, context, target[:, :2], SGD(0.1)),
        ValueError, r"target has shape \(8, 2\), but the guess of .* has shape \(8, 3\)"),
    "a target of another batch": (
        lambda s: s.learn(h, context, target[:5], SGD(0.1)),
        ValueError, r"target has shape \(5, 3\)"),
    "an h in float64": (lambda s: s.forward(h64, context), TypeError,
                        "h.* has dtype float64.*float32"),
    "a context in float64": (
        lambda s: s.forward(h, context64),
        TypeError, r"context\)? has dtype float64.*float32"),
    "a context of whole numbers": (
        lambda s: s.forward(h, context.astype(int)),
        TypeError, r"context\)? has dtype int64.*float32"),
    "a target in float64": (
        lambda s: s.learn(h, context, target64, SGD(0.1)),
        TypeError, "target has dtype float64.*float32"),
}


@pytest.mark.parametrize("kind", WITH_CONTEXT)
@pytest.mark.parametrize("call, error, message", WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_named(kind, call, error, message):
    with pytest.raises(error, match=message):
        call(make(kind))


@pytest.mark.parametrize("kind", WITHOUT_CONTEXT)
def test_a_context_that_nobody_expects_is_refused(kind):
    with pytest.raises(ValueError, match=r"context must be None; got \(8, 4\).*n_context"):
        make(kind).forward(h, context)


@pytest.mark.parametrize("call, error, message", [
    (lambda rng: LinearSynthesizer(0), ValueError, "n_h must be at least 1; got 0"),
    (lambda rng: LinearSynthesizer(3, -1), ValueError, "n_context must be at least 0; got -1"),
    (lambda rng: LinearSynthesizer(3, reads_h=False), ValueError, "needs something to read"),
    (lambda rng: mlp_synthesizer(-3, rng), ValueError, "must be at least 1; got -3"),
    (lambda rng: mlp_synthesizer(3, 0), TypeError, "rng must be a numpy.random.Generator; got 0"),
    (lambda rng: mlp_synthesizer(3, rng, hidden=(0,)), ValueError, "must be at least 1; got 0")],
    ids=["no width", "negative context", "nothing to read", "negative width", "no generator",
         "no hidden units"])
def test_a_wrong_construction_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(np.random.default_rng(0))
