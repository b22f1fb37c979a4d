"""The other algorithms: stochastic updates, BP(λ), full unlock, and two controls."""

import numpy as np
import pytest
from building import build

import tinydni as td
from tinydni.algorithms import backprop, update_decoupled
from tinydni.lab.gradient_quality import gradient_quality
from tinydni.lab.workers import ParallelTraining, Plan
from tinydni.lab.workers.costs import measure
from tinydni.lab.workers.transports.in_turn import InTurn
from tinydni.random import stream
from tinydni.synthesizers import LinearSynthesizer
from tinydni.training import Training, percent_bits_wrong
from tinydni.variants.bp_lambda import BPLambda
from tinydni.variants.controls import LocalHead
from tinydni.variants.direct_feedback import DirectFeedback
from tinydni.variants.full_unlock import full_unlock
from tinydni.variants.input_synthesizers import input_synthesizer
from tinydni.variants.stochastic import Stochastic

D, H, K, N = 6, 8, 3, 16


def make(algorithm, seed=0, layers=4, local=False, **options):
    blocks = td.mlp([D] + [H] * (layers - 1) + [K], stream(seed, "weights"))
    rng, input_rng = stream(seed, "synthesizer"), stream(seed, "synthesizer", 1)
    guess = (lambda n: LocalHead(td.Linear(n, K, rng),
                                 K)) if local else (lambda n: LinearSynthesizer(n, K))
    if algorithm is full_unlock:
        options |= {"input_synthesizer": lambda n: input_synthesizer(D, n, input_rng, hidden=(12,)),
                    "input_lr": lambda: td.Adam(0.01)}
    return build(blocks, td.SoftmaxCrossEntropy(), lambda: td.Adam(0.01), guess,
                 lambda: td.Adam(0.01), algorithm=algorithm, **options)


def batches(n, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        y = rng.integers(K, size=N)
        yield rng.standard_normal((N, D)).astype(np.float32), y, np.eye(K, dtype=np.float32)[y]


def train(network, n=5, seed=0):
    for x, y, context in batches(n, seed):
        network.step(x, y, context)
    return network


def weights(network, part="block"):
    return {key: value.copy() for key, value in network.state().items() if f".{part}." in key
            and "optimizer" not in key}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_stochastic_with_p_1_is_update_decoupled():
    a, b = train(make(Stochastic(1.0, 4, 0))), train(make(update_decoupled))
    for part in ("block", "synthesizer"):
        assert same(weights(a, part), weights(b, part))


def test_stochastic_updates_each_module_with_probability_p():
    network = make(Stochastic(0.3, 4, 7))
    n = 400
    acted = np.zeros(4)
    for x, y, context in batches(n):
        before = [module.optimizer.steps for module in network.modules]
        network.step(x, y, context)
        acted += [module.optimizer.steps - old for module, old in zip(network.modules, before)]
    assert np.all(np.abs(acted / n - 0.3) < 4 * np.sqrt(0.3 * 0.7 / n))
    assert len(set(acted)) > 1                                          # the draws are independent


def test_a_message_teaches_the_module_below_about_the_h_of_this_step():
    """Where only the top acts, the synthesizer below learns from this h, and its block stays."""
    network = make(Stochastic(0.5, 4, 0))
    below, top = network.modules[-2:]
    for x, y, context in batches(40):
        block, guesses, top_steps = weights(
            network), below.synthesizer_optimizer.steps, top.optimizer.steps
        below_steps = below.optimizer.steps
        network.step(x, y, context)
        assert below.synthesizer_optimizer.steps - guesses == top.optimizer.steps - top_steps
        if below.optimizer.steps == below_steps:
            assert all(np.array_equal(value, block[key]) for key, value in weights(network).items()
                       if key.startswith("2.") and "running" not in key)
            if top.optimizer.steps > top_steps:
                assert below.synthesizer.context is context


def test_a_stochastic_run_can_be_resumed():
    whole = train(make(Stochastic(0.4, 4, 3)), 10)
    first, second = make(Stochastic(0.4, 4, 3)), make(Stochastic(0.4, 4, 3))
    everything = list(batches(10))
    for batch in everything[:5]:
        first.step(*batch)
    second.load_state(first.state())
    for batch in everything[5:]:
        second.step(*batch)
    assert same(whole.state(), second.state())


def test_bp_lambda_1_is_backprop():
    assert same(weights(train(make(BPLambda(1.0)))), weights(train(make(backprop))))


def test_bp_lambda_0_has_the_gradients_of_update_decoupled():
    one, other = train(make(update_decoupled), 5), train(make(update_decoupled), 5)
    one.algorithm, other.algorithm = BPLambda(0.0), update_decoupled
    train(one, 1, seed=9), train(other, 1, seed=9)
    for a, b in zip(one.modules, other.modules):
        for (path, _, gradient), (_, _, expected) in zip(a.block.named_parameters(),
                                                         b.block.named_parameters()):
            np.testing.assert_array_equal(gradient, expected, err_msg=path)


def test_bp_lambda_mixes_and_learns_from_the_message():
    network = train(make(update_decoupled), 5)
    network.algorithm = BPLambda(0.25)
    (x, y, context), = batches(1, seed=5)
    messages, guesses = [], []
    for module in network.modules[:-1]:
        module.synthesizer.learn = lambda h, context, target, optimizer, kept=messages: kept.append(
            target)
        real = module.synthesizer.forward
        module.synthesizer.forward = lambda h, context, real=real: guesses.append(
            real(h, context)) or guesses[-1]
        module.backward = lambda dh, module=module: (setattr(module, "dh", dh),
                                                     module.block.backward(dh))[1]
    network.step(x, y, context)
    for module, message, guess in zip(reversed(network.modules[:-1]), messages, guesses):
        np.testing.assert_allclose(module.dh, (0.25 * message + 0.75 * guess) / N, rtol=1e-4,
                                   atol=1e-7)


@pytest.mark.parametrize("module", range(4))
def test_under_full_unlock_a_module_needs_no_other(module):
    """With NaN everywhere in the others, this module's update is what it would have been."""
    healthy, poisoned = train(make(full_unlock), 3), train(make(full_unlock), 3)
    for i, other in enumerate(poisoned.modules):
        if i != module:
            for _, layer, _ in other.learners():
                for _, parameter, _ in layer.named_parameters():
                    parameter[...] = np.nan
    with np.errstate(all="ignore"):
        train(healthy, 1, seed=4), train(poisoned, 1, seed=4)
    mine = f"{module}.block."
    for key, value in weights(healthy).items():
        if key.startswith(mine):
            np.testing.assert_array_equal(weights(poisoned)[key], value, err_msg=key)


def test_under_full_unlock_inputs_are_learned_and_use_is_the_ordinary_network():
    network = make(full_unlock, layers=3)
    losses = []
    (x, y, context), = batches(1)
    for _ in range(300):
        network.step(x, y, context)
        h = network.modules[0].h
        losses.append(float(network.algorithm.synthesizers[1].loss()) / (0.5 * np.vdot(h, h) / N))
    # share of h that is not yet guessed
    assert np.mean(losses[:3]) > 0.3 and np.mean(losses[-20:]) < 0.3
    prediction = network.predict(x)
    for synthesizer in network.algorithm.synthesizers[1:]:
        for _, parameter, _ in synthesizer.named_parameters():
            parameter[...] = np.nan
    np.testing.assert_array_equal(network.predict(x), prediction)


def test_direct_feedback_sends_the_true_error_by_fixed_ways():
    algorithm = DirectFeedback(K, [H, H, H], seed=0)
    network = make(algorithm)
    ways = [B.copy() for B in algorithm.B]
    (x, y, context), = batches(1)
    sent = []
    for module in network.modules:
        module.backward = lambda dh, module=module: sent.append(dh) or module.block.backward(dh)
    network.step(x, y)
    for dh, B in zip(sent, ways):
        np.testing.assert_array_equal(dh, sent[-1] @ B)
    assert same(dict(enumerate(ways)), dict(enumerate(algorithm.B)))
    twin = make(backprop)
    twin.step(x, y)
    np.testing.assert_array_equal(network.modules[-1].block.layers[0].dW,
                                  twin.modules[-1].block.layers[0].dW)


def test_the_ways_of_direct_feedback_keep_the_size_of_an_error_and_differ():
    wide = DirectFeedback(100, [400, 400], seed=0).B
    for B in wide:
        assert B.shape == (100, 400) and B.std() == pytest.approx(0.1, rel=0.03)
        assert abs(B.mean()) < 0.002
    assert (wide[0] != wide[1]).all()
    other, = DirectFeedback(100, [400], seed=1).B
    assert (other != wide[0]).all()


def test_a_local_head_is_a_classifier_on_h_that_ignores_messages():
    head = LocalHead(td.Linear(H, K, np.random.default_rng(0), dtype=np.float64), K)
    layer = td.Linear(H, K, np.random.default_rng(1), dtype=np.float64)
    layer.W[...], loss = head.net.W, td.SoftmaxCrossEntropy()
    rng = np.random.default_rng(2)
    h, y = rng.standard_normal((N, H)), rng.integers(K, size=N)
    for _ in range(3):
        loss.forward(layer.forward(h), y)
        dh = layer.backward(loss.backward())
        np.testing.assert_allclose(head.forward(h, np.eye(K)[y]) / N, dh, rtol=1e-12, atol=1e-15)
        head.learn(h, head.context, rng.standard_normal((N, H)), td.SGD(0.1))
        layer.update(0.1)
        np.testing.assert_allclose(head.net.W, layer.W, rtol=1e-12)


# The bottom module's output as context

def with_bottom_context(algorithm=update_decoupled, sizes=(D, H, H, H, K), **options):
    """Linear synthesizers of [h, h1]; the lowest, whose h is h1, of h alone."""
    made = []

    def synthesizer(n_h):
        made.append(LinearSynthesizer(n_h, n_h if made else 0))
        return made[-1]

    return build(td.mlp(sizes, stream(0, "weights")), options.pop("loss", td.SoftmaxCrossEntropy()),
                       lambda: td.Adam(0.01), synthesizer, lambda: td.Adam(0.01),
                 algorithm=algorithm, bottom_context=True, **options)


@pytest.mark.parametrize("algorithm", [update_decoupled, Stochastic(0.6, 4, 0), BPLambda(0.3)],
                         ids=["decoupled", "stochastic", "lambda"])
def test_every_algorithm_hands_the_output_of_the_bottom_module_to_those_above(algorithm):
    network = with_bottom_context(algorithm)
    bottom, *others = network.modules[:-1]
    seen = []
    for module in (bottom, *others):
        for name in ("forward", "learn"):
            real = getattr(module.synthesizer, name)
            setattr(module.synthesizer, name,
                    lambda h, context=None, *rest, module=module, real=real:
                    seen.append((module, h, context)) or real(h, context, *rest))
    outputs, forward = [], bottom.forward
    bottom.forward = lambda x: outputs.append(forward(x)) or outputs[-1]
    for x, y, _ in batches(12):
        seen.clear()
        network.step(x, y)
        for module, h, context in seen:
            assert (h is outputs[-1]
                    and context is None) if module is bottom else context is outputs[-1]
    assert all(np.any(synthesizer.C) for synthesizer in network.synthesizers()[1:])


def test_the_instrument_and_the_costs_hand_it_over_too():
    network = train_without_context(with_bottom_context(), 5)
    (x, y, _), = batches(1, seed=5)
    found = gradient_quality(network, x, y)
    hs = [x]
    for module in network.modules:
        hs.append(module.forward(hs[-1]))
    dh = network.modules[-1].backward(network.modules[-1].gradient_at_output(hs[-1], None, y))
    guess = network.synthesizers()[-1].forward(hs[-2], hs[1])
    cosine = np.vdot(guess, dh) / np.linalg.norm(guess) / np.linalg.norm(dh)
    assert len(found) == 3 and found[-1]["cosine"] == pytest.approx(cosine, rel=1e-4)
    assert len(measure(network.modules, x, None, y).forward) == 4


def train_without_context(network, n):
    for x, y, _ in batches(n):
        network.step(x, y)
    return network


@pytest.mark.parametrize("ends", [[1, 4], [2, 4], [1, 2, 4]])
def test_workers_in_step_hand_it_up_with_the_numbers_of_one_loop(ends):
    data = td.datasets.addition(bits=4)

    def network():
        return with_bottom_context(sizes=(data.n_in, 12, 12, 12, data.n_out),
                                   loss=td.BinaryCrossEntropy())

    def plan(training):
        return Plan("lock-step", ends, training.schedule, training.batch_of, 16)

    common = data, 1, 16, 0, None, percent_bits_wrong
    one = Training(network(), *common)
    apart = ParallelTraining(network(), *common,
                             transport=InTurn(len(ends), np.random.default_rng(0)), make_plan=plan)
    assert one.run() == apart.run()
    state, expected = apart.network.state(), one.network.state()
    assert all(np.array_equal(state[path], array) for path, array in expected.items())


def test_under_full_unlock_there_is_no_bottom_output_to_wait_for():
    with pytest.raises(ValueError, match="under full unlock no module waits for the bottom one"):
        with_bottom_context(full_unlock)
