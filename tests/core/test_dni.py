"""Decoupled neural interfaces: the invariants of the module, the network, the algorithms."""

import copy
import io

import numpy as np
import pytest
from conftest import on_devices
from oracle import tell, with_oracles

from tinydni import backend
from tinydni.activations import ReLU, Softplus, Tanh
from tinydni.algorithms import backprop, no_backprop
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Residual, Sequential
from tinydni.convolution import Conv2D
from tinydni.dni import DNI, Network, build
from tinydni.dropout import Dropout
from tinydni.gradcheck import assert_gradients
from tinydni.layer import Layer
from tinydni.linear import Linear
from tinydni.losses import MeanSquaredError, SoftmaxCrossEntropy
from tinydni.models import mlp
from tinydni.optimizers import SGD, Adam, Momentum
from tinydni.plots.summary import WIDTH, summary
from tinydni.pooling import Flatten, Subsample
from tinydni.random import stream
from tinydni.synthesizers import LinearSynthesizer, Synthesizer, mlp_synthesizer
from tinydni.variants.controls import Scaled
from tinydni.variants.virtual_network import VirtualNetwork

D, H, K = 6, 5, 3


def make_blocks(seed=0, dropout=False, dtype=np.float32):
    """Four blocks: dense with normalisation, dense, residual, and the outputs."""
    rng = stream(seed, "weights")
    extra = [Dropout(0.3, stream(seed, "dropout"))] if dropout else []
    blocks = [Sequential(Linear(D, H, rng), BatchNorm(H), ReLU(), *extra),
              Sequential(Linear(H, 4, rng), Tanh()),
              Residual(Linear(4, 4, rng), BatchNorm(4), Tanh()), Sequential(Linear(4, K, rng))]
    return [block.to(dtype=dtype) for block in blocks] if dtype != np.float32 else blocks


SYNTHESIZERS = {
    "dni": lambda dtype: lambda n: mlp_synthesizer(n, np.random.default_rng(n), hidden=(7,),
                                                   dtype=dtype),
    "cdni": lambda dtype: lambda n: LinearSynthesizer(n, K, dtype=dtype),
    "cdni, mlp": lambda dtype: lambda n: mlp_synthesizer(n, np.random.default_rng(n), K,
                                                         hidden=(7,), dtype=dtype),
    "label-only": lambda dtype: lambda n: LinearSynthesizer(n, K, reads_h=False, dtype=dtype),
}
ALGORITHMS = {"backprop": backprop, "none": no_backprop}
METHODS = (*ALGORITHMS, *SYNTHESIZERS)
every_method = pytest.mark.parametrize("method", METHODS)
every_synthesizer = pytest.mark.parametrize("method", SYNTHESIZERS)


def make(method, blocks=None, optimizer=lambda: SGD(0.1), synthesizer_lr=lambda: SGD(0.1),
         dtype=np.float32, seed=0, dropout=False, **options):
    """A network that is trained by the method."""
    blocks = make_blocks(seed, dropout, dtype) if blocks is None else blocks
    if method in ALGORITHMS:
        return build(blocks, SoftmaxCrossEntropy(), optimizer, algorithm=ALGORITHMS[method],
                     **options)
    return build(blocks, SoftmaxCrossEntropy(), optimizer, SYNTHESIZERS[method](dtype),
                 synthesizer_lr, **options)


def batches(n=1, N=8, seed=0, dtype=np.float32, read_only=False):
    """A list of (x, target, context)."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        target = rng.integers(0, K, N)
        batch = rng.standard_normal((N, D)).astype(dtype), target, np.eye(K, dtype=dtype)[target]
        for array in batch:
            array.flags.writeable = not read_only
        found.append(batch)
    return found


def step(network, batch):
    """One step; the context goes to those who take one."""
    x, target, context = batch
    takes = any(synthesizer.n_context for synthesizer in network.synthesizers())
    return network.step(x, target, context if takes else None)


def values(layer):
    return {path: array.copy() for path, array, _ in layer.named_parameters()}


def moved(before, layer):
    """Whether any parameter of the layer is another than before."""
    return any((array != before[path]).any() for path, array in values(layer).items())


def assert_equal(state, expected):
    assert state.keys() == expected.keys()
    for name in state:
        np.testing.assert_array_equal(state[name], expected[name], err_msg=name)


class Spy(Synthesizer, Layer):
    """Guesses what it was given and writes down what it is told."""

    n_context = 0

    def __init__(self, guess):
        self.guess, self.told = guess, None

    def forward(self, h, context=None):
        self.h, self.context = h, context
        return self.guess

    def learn(self, h, context, target, optimizer):
        self.told = h, context, target


# 1. Messages are gradients

class StepAsLoss:
    """A module with a loss, seen as a loss of its input x: it sends down the gradient of that."""

    parameters = ()

    def __init__(self, block):
        self.module = DNI(block, SGD(0), loss=SoftmaxCrossEntropy())

    def forward(self, x, target):
        self.x, self.target = x, target
        return self.module.loss.forward(self.module.forward(x), target)

    def backward(self):
        return self.module.forward_and_synthetic_update(self.x, target=self.target)[0]


class StepAsLayer:
    """A module with a synthesizer, seen as a layer: dy is the guess, dx the message."""

    parameters = ()

    def __init__(self, block):
        self.module = DNI(block, SGD(0), Spy(None), SGD(0))

    def forward(self, x):
        self.x = x
        return self.module.forward(x)

    def backward(self, dy):
        self.module.synthesizer.guess = dy * len(dy)
        return self.module.forward_and_synthetic_update(self.x)[0]


def smooth_block(rng):
    return Sequential(Linear(D, H, rng), BatchNorm(H), Softplus(),
                      Residual(Linear(H, H, rng), Tanh()), Linear(H, K, rng))


@pytest.mark.parametrize("seed", range(3))
def test_the_message_of_the_top_is_the_gradient_of_the_loss(seed):
    rng = np.random.default_rng(seed)
    block = smooth_block(rng).to(dtype=np.float64)
    assert_gradients(StepAsLoss(block), rng.standard_normal((7, D)), rng.integers(0, K, 7), rng=rng)


@pytest.mark.parametrize("seed", range(3))
def test_a_message_is_the_guess_taken_back_through_the_block(seed):
    rng = np.random.default_rng(seed)
    assert_gradients(StepAsLayer(smooth_block(rng).to(dtype=np.float64)),
                     rng.standard_normal((7, D)), rng=rng)


# 2. With the true gradient a decoupled step is a backprop step

@pytest.mark.parametrize("optimizer", [lambda: SGD(0.1), lambda: Momentum(0.1),
                                       lambda: Adam(0.01, weight_decay=0.1)],
                         ids=["SGD", "Momentum", "Adam"])
@pytest.mark.parametrize("N, dtype", [(8, np.float32), (16, np.float32), (8, np.float64)])
def test_with_an_oracle_a_decoupled_step_is_a_backprop_step_bit_for_bit(optimizer, N, dtype):
    blocks = make_blocks(dtype=dtype)
    decoupled, locked = with_oracles(blocks, optimizer), make("backprop", blocks, optimizer)
    for x, target, _ in batches(5, N, dtype=dtype):
        tell(decoupled, target)
        assert decoupled.step(x, target) == locked.step(x, target)
    for a, b in zip(decoupled.modules, locked.modules):
        assert_equal(a.block.state(), b.block.state())
        assert moved(values(blocks[decoupled.modules.index(a)]), a.block)


@pytest.mark.parametrize("N", [5, 7, 12])
def test_with_an_oracle_and_any_batch_the_difference_is_rounding(N):
    blocks = make_blocks(dtype=np.float64)
    decoupled, locked = with_oracles(blocks, lambda: SGD(0.1)), make("backprop", blocks)
    for x, target, _ in batches(5, N, dtype=np.float64):
        tell(decoupled, target)
        decoupled.step(x, target)
        locked.step(x, target)
    for a, b in zip(decoupled.modules, locked.modules):
        for path, array in a.block.state().items():
            np.testing.assert_allclose(array, b.block.state()[path], rtol=1e-9, atol=1e-12,
                                       err_msg=path)


def test_the_messages_of_an_oracle_network_are_the_true_gradients():
    network = with_oracles(make_blocks(dtype=np.float64), lambda: SGD(0.1))
    x, target, _ = batches(dtype=np.float64)[0]
    tell(network, target)
    frozen = copy.deepcopy(network.modules)
    network.step(x, target)
    h = x
    for before, module in zip(frozen[:-1], network.modules):
        h = before.forward(h)
        np.testing.assert_allclose(module.synthesizer.error, before.synthesizer.forward(h),
                                   rtol=1e-9, atol=1e-12)


@every_synthesizer
@pytest.mark.parametrize("optimizer", [lambda: SGD(0.1), lambda: Adam(0.1)], ids=["SGD", "Adam"])
def test_fresh_synthesizers_leave_the_blocks_below_the_top_unchanged(method, optimizer):
    network = make(method, optimizer=optimizer)
    before = [values(module.block) for module in network.modules]
    step(network, batches()[0])
    assert [moved(old, module.block)
            for old, module in zip(before, network.modules)] == [False, False, False, True]


@every_synthesizer
def test_every_block_learns_once_the_guesses_have_come_down(method):
    network = make(method)
    before = [values(module.block) for module in network.modules]
    for batch in batches(5):
        step(network, batch)
    assert all(moved(old, module.block) for old, module in zip(before, network.modules))


# 3. Messages use the weights before the update, and nothing leaks

def learned(method, **options):
    """A network whose synthesizers have left zero."""
    network = make(method, **options)
    for batch in batches(3, seed=9, dtype=options.get("dtype", np.float32)):
        step(network, batch)
    return network


@every_synthesizer
def test_messages_are_made_with_the_weights_that_made_h(method):
    network, (x, _, context) = learned(method, optimizer=lambda: SGD(10.)), batches()[0]
    module = network.modules[1]
    context = context if module.synthesizer.n_context else None
    x = network.modules[0].forward(x)
    block, synthesizer = copy.deepcopy((module.block, module.synthesizer))
    before = values(module.block)
    dx, h = module.forward_and_synthetic_update(x, context)
    np.testing.assert_array_equal(h, block.forward(x))
    np.testing.assert_array_equal(dx, block.backward(synthesizer.forward(h, context) / len(h)))
    assert moved(before, module.block)


def test_a_synthesizer_is_told_n_times_the_message_for_the_h_it_saw():
    rng, guess = np.random.default_rng(0), np.ones((8, H), np.float32)
    module = DNI(Linear(D, H, rng), SGD(0.1), Spy(guess), SGD(0.1))
    context = np.ones((8, 2), np.float32)
    _, h = module.forward_and_synthetic_update(batches()[0][0], context)
    message = rng.standard_normal((8, H), dtype=np.float32)
    module.update_synthetic_weights(message)
    told_h, told_context, target = module.synthesizer.told
    assert told_h is h and told_context is context
    np.testing.assert_array_equal(target, 8 * message)


@every_synthesizer
def test_learning_changes_the_synthesizer_and_nothing_in_the_block(method):
    network, batch = learned(method), batches()[0]
    module = network.modules[0]
    _, h = module.forward_and_synthetic_update(batch[0],
                                               batch[2] if module.synthesizer.n_context else None)
    block, kept_h, synthesizer = copy.deepcopy(module.block.state()), h.copy(), values(
        module.synthesizer)
    gradients = [gradient.copy() for _, _, gradient in module.block.named_parameters()]
    module.update_synthetic_weights(np.ones_like(h))
    assert_equal(module.block.state(), block)
    np.testing.assert_array_equal(h, kept_h)
    for (_, _, gradient), old in zip(module.block.named_parameters(), gradients):
        np.testing.assert_array_equal(gradient, old)
    assert moved(synthesizer, module.synthesizer)


@every_method
def test_statistics_are_those_of_the_forward_pass_and_counted_once_per_step(method):
    network = learned(method)
    twins, h = copy.deepcopy([module.block for module in network.modules]), batches()[0][0]
    for twin in twins:
        h = twin.forward(h)
    step(network, batches()[0])
    for module, twin in zip(network.modules, twins):
        state, expected = module.block.state(), twin.state()
        for name in (name for name in state if "running" in name):
            np.testing.assert_array_equal(state[name], expected[name], err_msg=name)


@pytest.mark.parametrize("method", ["dni", "cdni, mlp"])
def test_learning_late_counts_no_statistics(method):
    network, (first, second) = learned(method), batches(2)
    module, takes = network.modules[0], network.modules[0].synthesizer.n_context
    _, h = module.forward_and_synthetic_update(first[0], first[2] if takes else None)
    module.forward_and_synthetic_update(second[0], second[2] if takes else None)
    state = copy.deepcopy(module.block.state())
    module.learn(h, first[2] if takes else None, np.ones_like(h))
    assert_equal(module.block.state(), state)
    for _, layer in module.synthesizer.walk():
        if layer.buffers:
            assert not layer.running_mean.any() and (layer.running_var == 1).all()


@every_synthesizer
def test_learning_late_is_learning_at_once(method):
    late, at_once = learned(method).modules[0], learned(method).modules[0]
    (x, _, context), (newer_x, _, newer_context) = batches(2)
    if not late.synthesizer.n_context:
        context = newer_context = None
    message = np.random.default_rng(0).standard_normal((8, H), dtype=np.float32)
    _, h = at_once.forward_and_synthetic_update(x, context)
    at_once.learn(h, context, message)
    _, h = late.forward_and_synthetic_update(x, context)
    late.forward_and_synthetic_update(newer_x, newer_context)
    late.learn(h, context, message)
    assert_equal(values(late.synthesizer), values(at_once.synthesizer))


class ReadOnly(Linear):
    """Freezes what it is given, so that whoever writes into a message is caught."""

    def forward(self, x):
        x.flags.writeable = False
        y = super().forward(x)
        y.flags.writeable = False
        return y

    def backward(self, dy):
        dy.flags.writeable = False
        dx = super().backward(dy)
        if dx is not None:
            dx.flags.writeable = False
        return dx


@every_method
def test_no_argument_and_no_message_is_written_to(method):
    rng = np.random.default_rng(0)
    blocks = [Sequential(ReadOnly(D, H, rng)),
              Sequential(BatchNorm(H), ReLU(), ReadOnly(H, H, rng)), ReadOnly(H, K, rng)]
    network = make(method, blocks, optimizer=lambda: Adam(0.1, weight_decay=0.1, clip_norm=1.0),
                   synthesizer_lr=lambda: Adam(0.1))
    for batch in batches(3, read_only=True):
        step(network, batch)


# 4. The update lock is gone

def poison(modules):
    for module in modules:
        for _, array, _ in module.block.named_parameters():
            array[...] = np.nan


@every_synthesizer
@pytest.mark.parametrize("k", range(3))
def test_a_module_updates_without_anything_from_above(method, k):
    healthy, poisoned = learned(method), learned(method)
    poison(poisoned.modules[k + 1:])
    before = values(healthy.modules[k].block)
    for network in (healthy, poisoned):
        step(network, batches()[0])
    for a, b in zip(healthy.modules[:k + 1], poisoned.modules[:k + 1]):
        assert_equal(a.block.state(), b.block.state())
    assert moved(before, healthy.modules[k].block)


def test_backprop_has_the_lock_so_the_poison_comes_down():
    network = learned("backprop")
    poison(network.modules[1:])
    step(network, batches()[0])
    assert np.isnan(network.modules[0].block.layers[0].W).all()


# 7. Same seed, same curve

def curve(method, n_steps=20, seed=0, **options):
    network = make(method, seed=seed, dropout=True, optimizer=lambda: Adam(0.01), **options)
    return [float(step(network, batch)) for batch in batches(n_steps, seed=seed)]


@every_method
def test_same_seed_same_curve_and_another_seed_another(method):
    first = curve(method)
    assert curve(method) == first
    assert curve(method, seed=1) != first


@every_method
def test_saved_and_continued_is_uninterrupted_dropout_included(method):
    def fresh():
        return make(method, dropout=True, optimizer=lambda: Adam(0.01),
                    synthesizer_lr=lambda: Momentum(0.01),
                    warm_up=5 if method in SYNTHESIZERS else 0)

    data, whole, part = batches(20), fresh(), fresh()
    losses = [float(step(whole, batch)) for batch in data]
    first = [float(step(part, batch)) for batch in data[:10]]
    file = io.BytesIO()
    np.savez(file, **part.state())
    file.seek(0)
    twin = fresh()
    with np.load(file, allow_pickle=False) as saved:
        twin.load_state(dict(saved))
    assert first + [float(step(twin, batch)) for batch in data[10:]] == losses
    assert_equal(twin.state(), whole.state())


@every_method
def test_a_state_in_memory_is_a_snapshot(method, xp):
    network = make(method, optimizer=lambda: Adam(0.01)).to(xp)
    first, second = ([backend.asarray(xp, array) for array in batch] for batch in batches(2))
    step(network, first)
    state = network.state()
    kept = {name: np.array(array) for name, array in state.items()}
    loss = float(step(network, second))
    assert_equal(state, kept)
    network.load_state(state)
    assert float(step(network, second)) == loss


def test_the_state_of_another_network_is_refused_and_changes_nothing():
    network = learned("cdni")
    before = {name: array.copy() for name, array in network.state().items()}
    others = {"another method": make("backprop").state(),
              "more than there is": {**before, "9.block.W": np.zeros(3)},
              "another rule": learned("cdni", optimizer=lambda: Adam(0.1)).state(),
              "another width": make("cdni", mlp([D, H + 1, K], stream(0, "weights"))).state()}
    for name, state in others.items():
        with pytest.raises((KeyError, ValueError)):
            network.load_state(state)
            raise AssertionError(f"the state of {name} was taken")
        assert_equal(network.state(), before)


# dtype and backends

@every_method
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_dtype_from_the_data_to_the_state_of_the_optimizers(method, dtype):
    network = make(method, dtype=dtype, optimizer=lambda: Adam(0.01, weight_decay=0.1,
                                                               clip_norm=1.0),
                   synthesizer_lr=lambda: Momentum(0.01))
    network.scale_learning_rates(np.float64(0.5))
    for batch in batches(3, dtype=dtype):
        loss = step(network, batch)
    arrays = {name: array for name, array in network.state().items() if array.dtype.kind == "f"}
    for path, layer, _ in network.learners():
        gradients = {name: gradient for name, _, gradient in layer.named_parameters()}
        arrays |= {f"{path}, gradient of {name}": gradient for name, gradient in gradients.items()
                   if gradient is not None}
    arrays |= {"loss": loss, "prediction": network.predict(batches(dtype=dtype)[0][0])}
    assert {name: array.dtype for name, array in arrays.items()} == dict.fromkeys(arrays, dtype)
    assert any("/" in name for name in arrays)


@on_devices
@every_method
def test_every_backend_trains_as_numpy_does(method, xp):
    # Not Adam: the gradient of a bias before BatchNorm is rounding, and Adam would follow it.
    here, there = (make(method, dtype=np.float64, dropout=True, optimizer=lambda: Momentum(0.01))
                   for _ in range(2))
    there.to(xp)
    for batch in batches(4, dtype=np.float64):
        loss = step(here, batch)
        assert float(step(there, [backend.asarray(xp, array) for array in batch])) == pytest.approx(
            loss, rel=1e-9)
    state = there.state()
    for name, array in here.state().items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(backend.to_numpy(state[name]), array, rtol=1e-7, atol=1e-10,
                                       err_msg=name)


def test_a_network_can_be_moved_in_the_middle_of_training(xp):
    here = make("cdni", dtype=np.float64, optimizer=lambda: Momentum(0.01))
    moving = make("cdni", dtype=np.float64, optimizer=lambda: Momentum(0.01))
    first, second, third = batches(3, dtype=np.float64)
    for batch in (first, second, third):
        loss = step(here, batch)
    step(moving, first)
    moving.to(xp)
    step(moving, [backend.asarray(xp, array) for array in second])
    moving.to(np)
    assert float(step(moving, third)) == pytest.approx(loss, rel=1e-9)


def test_a_network_that_changes_its_dtype_takes_its_state_along():
    network = learned("cdni", optimizer=lambda: Adam(0.01)).to(dtype=np.float64)
    step(network, batches(dtype=np.float64)[0])
    assert {array.dtype for array in network.state().values()
            if array.dtype.kind == "f"} == {np.dtype(np.float64)}


# Twins

def test_all_methods_start_from_the_same_weights_and_leave_the_list_of_blocks_alone():
    blocks = make_blocks()
    before = copy.deepcopy([block.state() for block in blocks])
    networks = [make(method, blocks) for method in METHODS]
    for network in networks:
        for module, state in zip(network.modules, before):
            assert_equal(module.block.state(), state)
        step(network, batches()[0])
    for block, state in zip(blocks, before):
        assert_equal(block.state(), state)
        assert all(gradient is None for _, _, gradient in block.named_parameters())
        assert all(layer.needs_dx for _, layer in block.walk())


def test_twins_can_be_made_of_blocks_that_were_moved(xp):
    blocks = [block.to(xp) for block in make_blocks()]
    network = build(blocks, SoftmaxCrossEntropy().to(xp), lambda: SGD(0.1), algorithm=backprop)
    x, target, _ = (backend.asarray(xp, array) for array in batches()[0])
    assert np.isfinite(float(network.step(x, target)))


def test_methods_draw_the_same_masks():
    """The first losses are equal, since no synthesizer draws from the generator of the dropout."""
    assert len({curve(method, n_steps=1)[0] for method in METHODS}) == 1


# Algorithms

@every_synthesizer
def test_during_warm_up_synthesizers_learn_and_blocks_below_the_top_wait(method):
    network = make(method, warm_up=4)
    fresh = [values(synthesizer) for synthesizer in network.synthesizers()]
    for number, batch in enumerate(batches(6)):
        blocks = [values(module.block) for module in network.modules]
        step(network, batch)
        works = number >= 4
        assert [moved(old, module.block)
                for old, module in zip(blocks, network.modules)] == [works, works, works, True]
        # a step per interface until the gradient of the loss has come down to the lowest
        if number == 3:
            assert all(moved(old, synthesizer)
                       for old, synthesizer in zip(fresh, network.synthesizers()))


@pytest.mark.parametrize("method", ALGORITHMS)
def test_warm_up_without_synthesizers_is_refused(method):
    with pytest.raises(ValueError, match="warm_up"):
        make(method, warm_up=3)


def test_no_backprop_moves_only_the_top():
    network = make("none")
    before = [values(module.block) for module in network.modules]
    for batch in batches(3):
        step(network, batch)
    assert [moved(old, module.block)
            for old, module in zip(before, network.modules)] == [False, False, False, True]


def test_no_backprop_trains_the_top_as_backprop_does_on_the_first_step():
    blocks = make_blocks()
    networks = make("none", blocks), make("backprop", blocks)
    losses = [step(network, batches()[0]) for network in networks]
    assert losses[0] == losses[1]
    assert_equal(*(network.modules[-1].block.state() for network in networks))


def test_a_label_only_network_guesses_from_the_label_alone():
    network = learned("label-only")
    synthesizer, (_, _, context) = network.modules[0].synthesizer, batches()[0]
    rng = np.random.default_rng(0)
    guesses = [synthesizer.forward(rng.standard_normal((8, H), dtype=np.float32), context)
               for _ in range(2)]
    np.testing.assert_array_equal(*guesses)
    same_label = context.argmax(axis=1) == context[0].argmax()
    np.testing.assert_array_equal(guesses[0][same_label],
                                  np.broadcast_to(guesses[0][0], (same_label.sum(), H)))


def test_six_lines_with_the_two_verbs_are_update_decoupled():
    by_hand, by_algorithm = make("cdni"), make("cdni")
    for x, target, context in batches(3):
        by_algorithm.step(x, target, context)
        h, below = x, None
        for module in by_hand.modules:
            dx, h = module.forward_and_synthetic_update(h, context, target)
            if below is not None:
                below.update_synthetic_weights(dx)
            below = module
    for a, b in zip(by_hand.modules, by_algorithm.modules):
        assert_equal(a.block.state(), b.block.state())


def test_a_single_block_needs_no_interface():
    network = build([Linear(D, K, np.random.default_rng(0))], SoftmaxCrossEntropy(),
                    lambda: SGD(0.1))
    first, *_ = losses = [float(network.step(*batches()[0][:2])) for _ in range(20)]
    assert losses[-1] < first and network.synthesizers() == []


def test_a_module_with_loss_and_synthesizer_takes_the_sum_of_both():
    rng = np.random.default_rng(0)
    guess, target = rng.standard_normal((8, H)), rng.standard_normal((8, H))
    module = DNI(Linear(D, H, rng, dtype=np.float64), SGD(0), Spy(guess), SGD(0),
                 loss=MeanSquaredError())
    h = module.forward(rng.standard_normal((8, D)))
    np.testing.assert_allclose(module.gradient_at_output(h, None, target),
                               (h - target) / 8 + guess / 8, rtol=1e-12)


# The network

@every_method
def test_prediction_needs_no_label_and_changes_nothing(method):
    network = learned(method, dropout=True)
    before, x = copy.deepcopy(network.state()), batches(N=11)[0][0]
    together = network.predict(x)
    assert together.shape == (11, K)
    np.testing.assert_allclose(network.predict(x, batch_size=4), together, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(network.predict(x), together)
    assert_equal(network.state(), before)


def test_prediction_leaves_the_mode_as_it_was_even_if_it_fails():
    network = make("backprop", dropout=True)

    def modes():
        return {layer.training for module in network.modules for _, layer in module.block.walk()}

    network.predict(batches()[0][0])
    assert modes() == {True}
    with pytest.raises(ValueError):
        network.predict(np.ones((4, D + 1), np.float32))
    assert modes() == {True}
    assert network.eval().predict(batches()[0][0]).shape == (8, K)
    assert modes() == {False}
    assert network.train() is network and modes() == {True}


def test_a_learning_rate_scale_reaches_every_optimizer():
    network = make("cdni")
    network.scale_learning_rates(0)
    before = copy.deepcopy({path: values(layer) for path, layer, _ in network.learners()})
    for batch in batches(3):
        step(network, batch)
    assert not any(moved(before[path], layer) for path, layer, _ in network.learners())


@pytest.mark.parametrize("optimizer", [lambda: SGD(0.1), lambda: Momentum(0.1), lambda: Adam(0.01)],
                         ids=["SGD", "Momentum", "Adam"])
def test_the_kind_of_number_of_a_scale_changes_no_bit(optimizer):
    networks = [make("cdni", optimizer=optimizer) for _ in range(2)]
    for network, scale in zip(networks, (0.3, np.float64(0.3))):
        network.scale_learning_rates(scale)
        for batch in batches(3):
            step(network, batch)
    assert_equal(*(network.state() for network in networks))


def test_the_summary_shows_blocks_shapes_parameters_and_interfaces():
    network = make("cdni")
    lines = summary(network, (D,)).splitlines()
    blocks = sum(array.size for module in network.modules
                 for array in values(module.block).values())
    assert network.n_parameters() == blocks == D * H + 3 * H + H * 4 + 4 + 4 * 4 + 3 * 4 + 4 * K + K
    assert sum("interface: LinearSynthesizer" in line and "sees h and context" in line
               for line in lines) == 3
    assert any("Linear(6 -> 5)" in line and "N x 5" in line and "35" in line for line in lines)
    assert any("loss: SoftmaxCrossEntropy()" in line for line in lines)
    assert f"{blocks} parameters, 4 blocks" in lines[-1]


def test_the_summary_describes_long_layers_in_brief_and_within_its_width():
    rng = np.random.default_rng(0)
    branch = [Conv2D(8, 16, rng, stride=2, bias=False), BatchNorm(16), ReLU(), Conv2D(16, 16, rng),
              BatchNorm(16)]
    blocks = [Residual(*branch, shortcut=Subsample(8, 16, 2)),
              Sequential(Flatten(), Linear(16384, K, rng))]
    virtual = Sequential(Residual(Conv2D(16, 16, rng), ReLU()), Flatten(), Linear(16384, K, rng))
    net = build(blocks, SoftmaxCrossEntropy(), lambda: SGD(0.1),
                lambda *shape: Scaled(VirtualNetwork(virtual, K), 2),
                   lambda: SGD(0.1), input_shape=(64, 64, 8))
    lines = summary(net, (64, 64, 8)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[3].split("  ")[-1].strip() == f"{blocks[0].n_parameters():,}"
    guessed = f"({virtual.n_parameters():,})"
    layers = " ".join(line[7:].split("  N x ")[0].removesuffix(guessed).strip() for line in lines)
    assert "Residual(Conv2D, BatchNorm, ReLU, Conv2D, BatchNorm, shortcut=Subsample)" in layers
    assert ("interface: Scaled(VirtualNetwork(Residual, Flatten, Linear, Softmax)), "
            "sees h and context") in layers


@pytest.mark.parametrize("n_blocks", [1, 3])
def test_nobody_computes_the_gradient_of_the_data(n_blocks):
    rng = np.random.default_rng(0)
    blocks = [*(Linear(D, D, rng) for _ in range(n_blocks - 1)), Linear(D, K, rng)]
    network = build(blocks, SoftmaxCrossEntropy(), 0.1, lambda n: LinearSynthesizer(n), 0.1)
    x, target, _ = batches()[0]
    network.step(x, target)
    bottom, *others = network.modules
    dh = np.ones_like(bottom.forward(x))
    assert bottom.backward(dh) is None and bottom.block.dW.any()
    assert all(module.block.needs_dx for module in others)


def test_every_block_gets_an_optimizer_of_its_own_and_the_top_another_rate_if_asked():
    network = build(make_blocks(), SoftmaxCrossEntropy(), lambda: Adam(0.1), LinearSynthesizer, 0.3,
                    top_lr=lambda: Momentum(0.2))
    optimizers = [module.optimizer for module in network.modules]
    assert [(type(made), made.lr) for made in optimizers] == [(Adam, 0.1)] * 3 + [(Momentum, 0.2)]
    assert len({id(made) for made in optimizers}) == 4
    guessers = [module.synthesizer_optimizer for module in network.modules[:-1]]
    assert [(type(made), made.lr) for made in guessers] == [(SGD, 0.3)] * 3
    assert build(make_blocks(), SoftmaxCrossEntropy(), 0.1).modules[-1].optimizer.lr == 0.1


def test_images_need_their_shape_to_build_the_interfaces():
    rng = np.random.default_rng(0)
    blocks = [Sequential(Flatten(), Tanh()), Linear(12, K, rng)]
    options = dict(synthesizer=lambda n: LinearSynthesizer(n), synthesizer_lr=lambda: SGD(0.1))
    network = build(blocks, SoftmaxCrossEntropy(), lambda: SGD(0.1), input_shape=(3, 4), **options)
    assert network.synthesizers()[0].n_h == 12
    with pytest.raises(ValueError, match="input_shape"):
        build(blocks, SoftmaxCrossEntropy(), lambda: SGD(0.1), **options)


# Wrong arguments

x, target, context = batches()[0]


def one_module(synthesizer=None, **options):
    return DNI(Linear(D, H, np.random.default_rng(0)), SGD(0.1), synthesizer,
               synthesizer and SGD(0.1), **options)


WRONG = {
    "no target": (lambda: make("backprop").step(x, None), ValueError, "target is missing"),
    "no context": (
        lambda: make("cdni").step(x, target),
        ValueError, r"context must be an array of shape \(8, 3\); got None"),
    "a context that nobody reads": (
        lambda: make("dni").step(x, target, context),
        ValueError, r"context must be None; got \(8, 3\)"),
    "a label out of range": (
        lambda: make("cdni").step(x, target + 1, context),
        ValueError, r"target must lie in 0 \.\.\. 2; got 3 at index"),
    "data of another width": (
        lambda: make("cdni").step(x[:, :4], target, context),
        ValueError, r"x must have shape \(N, 6\); got \(8, 4\)"),
    "data of another dtype": (
        lambda: make("cdni").step(x.astype(float), target, context),
        TypeError, "x has dtype float64.*astype"),
    "a context of another dtype": (
        lambda: make("label-only").step(x, target, np.eye(K)[target]),
        TypeError, r"context\)? has dtype float64"),
    "a message of another dtype": (
        lambda: one_module(LinearSynthesizer(H)).learn(np.ones((8, H), np.float32), None,
                                                       np.ones((8, H))),
        TypeError, "float64"),
    "a synthesizer of another width": (
        lambda: one_module(LinearSynthesizer(H + 1)).forward_and_synthetic_update(x),
        ValueError, r"\(N, 6\); got \(8, 5\)"),
    "a guess of another width": (
        lambda: one_module(Spy(np.ones((8, 2), np.float32))).forward_and_synthetic_update(x),
        ValueError,
        r"synthetic gradient has shape \(8, 2\), but h has shape \(8, 5\).*width of this block"),
    "a message of another width": (
        lambda: one_module(LinearSynthesizer(H)).learn(np.ones((8, H), np.float32), None,
                                                       np.ones((8, 2), np.float32)),
        ValueError, r"\(8, 2\).*\(8, 5\)"),
    "no source of gradient": (
        lambda: one_module().forward_and_synthetic_update(x),
        ValueError, "neither a synthesizer nor a loss"),
    "a message before the first step": (
        lambda: one_module(LinearSynthesizer(H)).update_synthetic_weights(np.ones((8, H))),
        RuntimeError, "came before the first forward"),
    "a message for a module without synthesizer": (
        lambda: one_module(loss=MeanSquaredError()).update_synthetic_weights(np.ones((8, H))),
        (ValueError, RuntimeError), "no synthesizer"),
    "a synthesizer without optimizer": (
        lambda: DNI(Linear(2, 2, np.random.default_rng(0)), SGD(0.1), LinearSynthesizer(2)),
        ValueError, "go together; one of them is missing"),
    "a decoupled network without synthesizers": (
        lambda: build(make_blocks(), SoftmaxCrossEntropy(), lambda: SGD(0.1)).step(x, target),
        ValueError, "neither a synthesizer nor a loss"),
    "an optimizer in place of a function": (
        lambda: build(make_blocks(), SoftmaxCrossEntropy(), SGD(0.1), algorithm=backprop),
        TypeError, "lr must be a number, or a function"),
    "a synthesizer in place of a function": (
        lambda: build(make_blocks(), SoftmaxCrossEntropy(), lambda: SGD(0.1), LinearSynthesizer(2),
                      lambda: SGD(0.1)),
        TypeError, "synthesizer must be a function"),
    "a loss that was not made": (
        lambda: build(make_blocks(), SoftmaxCrossEntropy, lambda: SGD(0.1)), TypeError,
        r"such as SoftmaxCrossEntropy\(\)"),
    "one optimizer for all blocks": (
        lambda: (lambda shared: make("backprop",
                                     optimizer=lambda: shared).step(x, target))(Adam(0.1)),
        RuntimeError, "is of another layer; make one optimizer for each"),
    "no blocks": (lambda: build([], SoftmaxCrossEntropy(), lambda: SGD(0.1)), ValueError,
                  "blocks must be a list of layers"),
    "no modules": (lambda: Network([]), ValueError, "modules"),
    "one block in two places": (
        lambda: (lambda block: build([block, block], SoftmaxCrossEntropy(), lambda: SGD(0.1),
                                     algorithm=backprop))(
            Linear(K, K, np.random.default_rng(0))), ValueError, "stands in two places"),
    "half a synthesizer": (
        lambda: build(make_blocks(), SoftmaxCrossEntropy(), lambda: SGD(0.1),
                      lambda n: LinearSynthesizer(n)),
        ValueError, "go together; one of them is missing"),
    "a negative warm-up": (lambda: make("cdni", warm_up=-1), ValueError,
                           "warm_up must be at least 0; got -1"),
    "nothing to predict": (lambda: make("backprop").predict(x[:0]), ValueError, r"x.*\(0, 6\)"),
    "batches of nothing": (
        lambda: make("backprop").predict(x, batch_size=0),
        ValueError, "batch_size must be at least 1; got 0"),
    "a network of one width": (
        lambda: mlp([4], stream(0, "weights")),
        ValueError, r"widths must be 2 or more whole numbers; got \[4\]"),
    "a negative width": (
        lambda: mlp([4, -2, 3], stream(0, "weights")),
        ValueError, "widths must be at least 1; got -2"),
}


@pytest.mark.parametrize("call, error, message", WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
