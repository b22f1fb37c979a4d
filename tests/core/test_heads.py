"""Several heads of one output: messages are added, then learned once; who rests stays."""

import copy

import numpy as np
import pytest
from building import build
from conftest import on_devices
from oracle import tell, with_oracles

import tinydni as td
from tinydni import backend
from tinydni.algorithms import backprop, no_backprop, update_decoupled
from tinydni.dni import DNI
from tinydni.gradcheck import assert_gradients
from tinydni.lab.workers import ParallelTraining, Plan
from tinydni.lab.workers.transports.in_turn import InTurn
from tinydni.optimizers import SGD, Adam
from tinydni.random import stream
from tinydni.synthesizers import LinearSynthesizer
from tinydni.training import Training, percent_bits_wrong
from tinydni.variants.bp_lambda import BPLambda
from tinydni.variants.full_unlock import full_unlock
from tinydni.variants.heads import Ensemble, Heads
from tinydni.variants.input_synthesizers import input_synthesizer
from tinydni.variants.stochastic import Stochastic

D, H, K, N = 6, 8, 3, 16


def blocks(n_heads=3, dtype=np.float32, layers=4):
    """Hidden blocks, and several output blocks with weights of their own."""
    rng = stream(0, "weights")
    *hidden, top = td.mlp([D] + [H] * (layers - 1) + [K], rng, dtype=dtype)
    return [*hidden,
            [top, *(td.Sequential(td.Linear(H, K, rng, dtype=dtype)) for _ in range(n_heads - 1))]]


def make(algorithm=update_decoupled, n_run=None, optimizer=lambda: Adam(0.01), seed=0, **options):
    input_rng = stream(0, "synthesizer", 1)
    if algorithm is full_unlock:
        options |= {"input_synthesizer": lambda n: input_synthesizer(D, n, input_rng, hidden=(12,)),
                    "input_lr": lambda: Adam(0.01)}
    return build(blocks(), td.SoftmaxCrossEntropy(), optimizer, lambda n: LinearSynthesizer(n, K),
                       lambda: Adam(0.01), algorithm=algorithm,
                 heads={"n_run": n_run, "seed": seed}, **options)


def batches(n, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        y = rng.integers(K, size=N)
        yield rng.standard_normal((N, D)).astype(dtype), y, np.eye(K, dtype=dtype)[y]


def train(network, n=5, seed=0):
    for batch in batches(n, seed):
        network.step(*batch)
    return network


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


# The mean of several layers

def test_gradients_of_the_mean_of_layers():
    rng = np.random.default_rng(0)
    other = td.Sequential(td.Linear(4, 5, rng), td.Tanh(), td.Linear(5, 3, rng))
    assert_gradients(Ensemble(td.Linear(4, 3, rng), other), (5, 4))


def test_the_mean_wants_layers_of_one_shape():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least one layer"):
        Ensemble()
    with pytest.raises(ValueError, match=r"output of a layer has shape \(5, 2\).*\(5, 3\)"):
        Ensemble(td.Linear(4, 3, rng), td.Linear(4, 2, rng)).forward(np.ones((5, 4), np.float32))


# The sum of the messages

class SummedLosses:
    """The reference, in plain lines: backpropagation of the summed losses of heads that run."""

    def __init__(self, layers, lr):
        *self.hidden, self.tops = copy.deepcopy(layers)
        self.lr = lr

    def step(self, x, y, running):
        h = x
        for block in self.hidden:
            h = block.forward(h)
        dh, losses = np.zeros_like(h), []
        for i in running:
            loss = td.SoftmaxCrossEntropy()
            losses.append(loss.forward(self.tops[i].forward(h), y))
            dh = dh + self.tops[i].backward(loss.backward())
        for block in reversed(self.hidden):
            dh = block.backward(dh)
        for block in [*self.hidden, *(self.tops[i] for i in running)]:
            block.update(SGD(self.lr))
        return np.mean(losses)


@pytest.mark.parametrize("way", ["oracle", "backprop", "BP(1)"])
@pytest.mark.parametrize("n_run", [None, 2, 1])
def test_with_the_true_gradient_a_step_is_backpropagation_of_the_summed_losses(way, n_run):
    layers, options = blocks(dtype=np.float64), {"heads": {"n_run": n_run, "seed": 5}}
    if way == "oracle":
        network = with_oracles(layers, lambda: SGD(0.1), **options)
    else:
        guess = {} if way == "backprop" else {
            "synthesizer": lambda n: LinearSynthesizer(n, dtype=np.float64),
                                              "synthesizer_lr": lambda: SGD(0.1)}
        network = build(layers, td.SoftmaxCrossEntropy(), lambda: SGD(0.1), **guess, **options,
                              algorithm=backprop if way == "backprop" else BPLambda(1.0))
    top, reference, ran = network.modules[-1], SummedLosses(layers, 0.1), set()
    for x, y, _ in batches(6, dtype=np.float64):
        tell(network, y)
        loss = network.step(x, y)
        running = [top.heads.index(head) for head in top.running]
        assert loss == pytest.approx(reference.step(x, y, running), rel=1e-12)
        ran.add(tuple(running))
    assert len(ran) == 1 if n_run is None else len(ran) > 1
    found = [module.block for module in network.modules[:-1]] + [head.block for head in top.heads]
    for block, expected in zip(found, [*reference.hidden, *reference.tops]):
        for (path, array, _), (_, wanted, _) in zip(block.named_parameters(),
                                                    expected.named_parameters()):
            np.testing.assert_allclose(array, wanted, rtol=1e-10, atol=1e-12, err_msg=path)


@pytest.mark.parametrize("n_run", [3, 1])
def test_the_synthesizer_below_learns_once_from_the_sum_of_the_messages_of_those_that_ran(n_run):
    network = train(make(n_run=n_run))
    below, top = network.modules[-2:]
    told, sent = [], []
    below.synthesizer.learn = lambda h, context, target, optimizer: told.append(target)
    for head in top.heads:
        head.backward = lambda dy, block=head.block: sent.append(block.backward(dy)) or sent[-1]
    train(network, 1)
    assert len(told) == 1 and len(sent) == n_run
    np.testing.assert_allclose(told[0], N * sum(sent), rtol=1e-6)


def test_heads_that_do_not_run_do_not_change():
    network = make(n_run=1)
    top, counts = network.modules[-1], np.zeros(3)
    for batch in batches(60):
        before = [copy.deepcopy(head.block.state()) for head in top.heads]
        network.step(*batch)
        for i, (head, old) in enumerate(zip(top.heads, before)):
            moved = any(not np.array_equal(array, old[path])
                        for path, array in head.block.state().items())
            assert moved == (head in top.running)
            counts[i] += moved
    assert counts.sum() == 60 and counts.min() >= 10           # all have their turns


def test_at_inference_all_heads_answer_and_their_mean_counts():
    network = train(make(n_run=1))
    (x, _, _), = batches(1, seed=3)
    h = x
    network.eval()
    for module in network.modules[:-1]:
        h = module.forward(h)
    expected = np.mean([head.block.forward(h) for head in network.modules[-1].heads], axis=0)
    network.train()
    np.testing.assert_allclose(network.predict(x), expected, rtol=1e-5, atol=1e-6)


# Everything that a network does

@pytest.mark.parametrize("algorithm", [update_decoupled, Stochastic(0.5, 4, 0), BPLambda(0.5),
                                       full_unlock, no_backprop],
                         ids=["decoupled", "stochastic", "lambda", "unlock", "no backprop"])
@pytest.mark.parametrize("n_run", [None, 1])
def test_every_algorithm_learns_and_can_be_resumed(algorithm, n_run):
    whole, first, second = (make(copy.deepcopy(algorithm), n_run=n_run) for _ in range(3))
    everything = list(batches(10))
    losses = [float(whole.step(*batch)) for batch in everything]
    for batch in everything[:5]:
        first.step(*batch)
    second.load_state(first.state())
    assert [float(second.step(*batch)) for batch in everything[5:]] == losses[5:]
    assert_equal(whole.state(), second.state())


def test_it_learns():
    network = make(n_run=2)
    (batch,) = batches(1)
    losses = [float(network.step(*batch)) for _ in range(200)]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_the_draws_belong_to_the_saved_state():
    some = make(n_run=1)
    state = some.state()
    assert "3.draws" in state
    del state["3.draws"]
    with pytest.raises(KeyError, match="3.draws"):
        make(n_run=1).load_state(state)
    assert make(seed=1, n_run=1).modules[-1].rng.random() != some.modules[-1].rng.random()


def test_the_table_of_the_network_counts_every_head():
    text = td.plots.summary(make(), (D,))
    assert "Ensemble(3 x Sequential(Linear(8 -> 3)))" in text and "81" in text
    assert "of each head; 3 run in a step" in text
    assert make().n_parameters() == build(blocks(1), td.SoftmaxCrossEntropy(), lambda: Adam(0.01),
                                                algorithm=backprop).n_parameters() + 2 * 27


@on_devices
def test_every_backend_learns_the_same(xp):
    states = []
    for module in (np, xp):
        network = make(n_run=2).to(module)
        for batch in batches(3):
            network.step(*(backend.asarray(module, array) for array in batch))
        network.predict(backend.asarray(module, batch[0]))
        states.append({path: backend.to_numpy(array) for path, array in network.state().items()})
    for path, expected in states[0].items():
        np.testing.assert_allclose(states[1][path], expected, rtol=1e-3, atol=1e-4, err_msg=path)


@pytest.mark.parametrize("mode, algorithm", [("lock-step", update_decoupled), ("locked", backprop)])
def test_workers_in_step_give_the_numbers_of_one_loop(mode, algorithm):
    data = td.datasets.addition(bits=4)

    def network():
        rng = stream(0, "weights")
        *hidden, top = td.mlp([data.n_in, 12, 12, 12, data.n_out], rng)
        tops = [top, td.Sequential(td.Linear(12, data.n_out, rng))]
        guess = {} if algorithm is backprop else {
            "synthesizer": lambda n: LinearSynthesizer(n, data.n_out),
                                                 "synthesizer_lr": lambda: Adam(0.003)}
        return build([*hidden, tops], td.BinaryCrossEntropy(), lambda: Adam(0.01),
                     algorithm=algorithm, heads={"n_run": 1}, **guess)

    def plan(training):
        return Plan(mode, [2, 4], training.schedule, training.batch_of, 16)

    context = None if algorithm is backprop else data.context()
    common = data, 1, 16, 0, None, percent_bits_wrong, context
    one = Training(network(), *common)
    apart = ParallelTraining(network(), *common, transport=InTurn(2, np.random.default_rng(0)),
                             make_plan=plan)
    assert one.run() == apart.run()
    assert_equal(one.network.state(), apart.network.state())


def module(**options):
    return DNI(td.Linear(H, K, np.random.default_rng(0)), SGD(0.1), **options)


@pytest.mark.parametrize("call, message", [
    (lambda: Heads([]), "modules with a loss each, at least one"),
    (lambda: Heads([module()]), "modules with a loss each"),
    (lambda: Heads([module(loss=td.SoftmaxCrossEntropy())], n_run=2),
     "at most the number of heads, 1; got 2"),
    (lambda: Heads([module(loss=td.SoftmaxCrossEntropy())], n_run=0), "n_run must be at least 1"),
])
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
