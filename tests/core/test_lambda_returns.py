"""λ-returns of the gradient at boundaries in time, against sums of longer and longer windows."""

import numpy as np
import pytest

import tinydni as td
from tinydni.variants.lambda_returns import LambdaReturns

D, H, K, N, T, LENGTH = 3, 4, 2, 5, 2, 8


def make(lam, scale=1.0, kind=None, lr=0.0, synthesizer_lr=0.0):
    """An Elman network with a squared loss at every step, whose boundary guesses something."""
    rng = np.random.default_rng(0)
    block = td.Recurrent(td.RNN(D, H, rng, np.float64), td.Linear(H, K, rng, dtype=np.float64))
    synthesizer = td.LinearSynthesizer(H, dtype=np.float64)
    synthesizer.A += rng.standard_normal((H, H))
    parts = block, lr, td.Boundary(synthesizer, synthesizer_lr, scale)
    kind = kind or (lambda *parts, **options: LambdaReturns(lam, *parts, **options))
    return td.RecurrentNetwork([kind(*parts, loss=td.MeanSquaredError())])


def windows(seed=1):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((N, LENGTH, D)), rng.standard_normal((N, LENGTH, K))
    return td.cut(x, y, range(LENGTH), T)


def targets(network, sequence=None):
    """What the boundary is told of a sequence, {state: G}, in the order of time."""
    found, boundary = [], network.modules[0].boundary
    boundary.learn = lambda state, context, G, last: found.append((state.copy(), G.copy()))
    for window in sequence or windows():
        network.step(window)
    return sorted(found, key=lambda pair: [np.array_equal(pair[0], state)
                                           for state in states(network)].index(True))


def states(network):
    """The states at the boundaries of the sequence, by the network of now."""
    state, found = None, []
    for window in windows():
        found.append(state)
        _, state = network.modules[0].block.forward(window.x, state)
    return [np.zeros(0) if state is None else state for state in found]


def n_step(network, i, n, scale):
    """The gradient at boundary i from the next n windows, and the guess after them."""
    module, kept = network.modules[0], states(network)
    ends = windows()[i:i + n]
    total, dstate = len(windows()), None
    if i + n < total:
        dstate = scale * module.boundary.synthesizer.forward(kept[i + n]) / N
    for j, window in reversed(list(enumerate(ends, i))):
        y, _ = module.block.forward(window.x, kept[j])
        _, dstate = module.block.backward((y - window.target) / N / LENGTH, dstate)
        dstate = dstate * (scale if j > i else 1)
    return dstate


@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_the_target_is_the_mean_of_all_n_step_gradients(lam, scale):
    """(1 - λ) Σ λⁿ⁻¹ G(n), what is left of the weight on the whole rest of the sequence."""
    network = make(lam, scale)
    found = targets(network)
    assert len(found) == 3
    for i, (_, G) in enumerate(found, 1):
        rest = 4 - i
        expected = lam**(rest - 1) * n_step(network, i, rest, scale) + sum(
            (1 - lam) * lam**(n - 1) * n_step(network, i, n, scale) for n in range(1, rest))
        np.testing.assert_allclose(G, expected, rtol=1e-9, atol=1e-12)


def test_with_lambda_1_it_is_backpropagation_through_the_whole_sequence():
    network = make(1.0)
    (state, G), *_ = targets(network)
    x, y = (np.concatenate([getattr(window, name) for window in windows()[1:]], axis=1)
            for name in ("x", "target"))
    block = network.modules[0].block
    out, _ = block.forward(x, state)
    np.testing.assert_allclose(G, block.backward((out - y) / N / LENGTH)[1], rtol=1e-9)


def test_with_lambda_0_it_is_the_bootstrapped_target():
    plain = make(0.0, 0.5, kind=td.RecurrentModule)
    for (a, G), (b, expected) in zip(targets(make(0.0, 0.5)), targets(plain)):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(G, expected, rtol=1e-12)


def test_eligibility_traces_make_the_same_sum_of_updates():
    """The backward view: a trace of each example, errors of one window, one at a time."""
    lam, scale = 0.7, 0.8
    network = make(lam, scale)
    found, kept = targets(network), states(network)
    module = network.modules[0]
    guess = lambda i: module.boundary.synthesizer.forward(kept[i]) / N
    forward_view = sum(state.T @ (G - guess(i)) for i, (state, G) in enumerate(found, 1))
    backward_view, trace = np.zeros((H, H)), np.zeros((N, H, H, H))    # state, A: d guess / d A
    for i in range(1, 4):
        trace += np.einsum("ns,jk->nsjk", kept[i], np.eye(H))
        error = n_step(network, i, 1, scale) - guess(i)
        backward_view += np.einsum("nsjk,nk->sj", trace, error)
        jacobian = state_jacobian(module.block, windows()[i].x, kept[i])
        trace = scale * lam * np.einsum("nsjk,nkm->nsjm", trace, jacobian)
    np.testing.assert_allclose(backward_view, forward_view, rtol=1e-9)


def state_jacobian(block, x, state):
    """d start-state gradient / d end-state gradient, (N, start, end), by unit vectors."""
    y, _ = block.forward(x, state)
    columns = [block.backward(0 * y, np.tile(unit, (N, 1)))[1] for unit in np.eye(H)]
    return np.stack(columns, axis=2)


def test_the_blocks_update_as_with_any_other_target():
    """One sequence, synthesizers that stand still: the gradients of blocks are the same."""
    a, b = make(0.9, 0.5, lr=0.1), make(0.0, 0.5, kind=td.RecurrentModule, lr=0.1)
    for window in windows():
        a.step(window), b.step(window)
    x, y = a.modules[0].block.state(), b.modules[0].block.state()
    assert all(np.array_equal(x[path], y[path]) for path in x)


def test_nothing_is_kept_from_one_sequence_to_the_next():
    network = make(0.5, lr=0.1, synthesizer_lr=0.1)
    for seed in (1, 2):
        for window in windows(seed):
            network.step(window)
        assert network.modules[0].seen == []


def test_without_a_boundary_it_is_refused():
    block = td.RNN(D, H, np.random.default_rng(0))
    with pytest.raises(ValueError, match="boundary"):
        LambdaReturns(0.5, block, 0.1, loss=td.MeanSquaredError())
