"""What holds in every step: float32 throughout, one wait for the device, no leak.

Every case is a network under an algorithm; test_backend.py has others, compared in value, too.
"""

import gc
import tracemalloc
import weakref

import fake_device
import numpy as np
import pytest
from building import build
from fake_device import count_copies, count_float64, count_synchronisations

from tinydni import (
    LSTM,
    RNN,
    SGD,
    Adam,
    AvgPool,
    BatchNorm,
    BinaryCrossEntropy,
    Conv2D,
    Embedding,
    GlobalAvgPool,
    Linear,
    LinearSynthesizer,
    MaxPool,
    MeanSquaredError,
    Momentum,
    Recurrent,
    ReLU,
    Residual,
    RMSProp,
    Sequential,
    SoftmaxCrossEntropy,
    Subsample,
    VirtualLinear,
    backend,
    backprop,
    mlp,
    mlp_synthesizer,
    no_backprop,
    update_decoupled,
)
from tinydni.recurrent_dni import Boundary, RecurrentModule, RecurrentNetwork, cut
from tinydni.variants.auxiliary import AuxiliarySynthesizer
from tinydni.variants.bp_lambda import BPLambda
from tinydni.variants.controls import LocalHead
from tinydni.variants.conv_synthesizer import conv_synthesizer
from tinydni.variants.direct_feedback import DirectFeedback
from tinydni.variants.full_unlock import full_unlock
from tinydni.variants.input_synthesizers import input_synthesizer
from tinydni.variants.mmd import MMD
from tinydni.variants.stochastic import Stochastic
from tinydni.variants.virtual_mlp import VirtualMLP
from tinydni.variants.virtual_network import VirtualNetwork

N, D, K, T = 64, 6, 4, 5


def dense(xp, algorithm=update_decoupled, synthesizer=None, loss=None, optimizer=lambda: Adam(1e-3),
          target=None, **options):
    """The step of a fully connected net; labels are the context of its synthesizers."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((N, D), np.float32), rng.integers(K, size=N)
    context = np.eye(K, dtype=np.float32)[labels]
    if synthesizer:
        options |= {"synthesizer": lambda n: synthesizer(n, rng),
                    "synthesizer_lr": lambda: Adam(1e-3)}
    net = build(mlp([D, 7, 7, K], rng), loss or SoftmaxCrossEntropy(), optimizer,
                algorithm=algorithm, **options)
    net.to(xp)
    reads = algorithm not in (backprop, no_backprop) and any("context" in s.sees
                                                             for s in net.synthesizers())
    arrays = [backend.asarray(xp, a) for a in (x, labels if target is None else target(context),
                                               context)]
    return net, lambda: net.step(*arrays[:2], arrays[2] if reads else None)


def bits(context):
    return context


def unlock(xp):
    inputs = {"input_synthesizer": lambda n: input_synthesizer(D, n, np.random.default_rng(1),
                                                               hidden=(5,)),
              "input_lr": lambda: Adam(1e-3)}
    return dense(xp, full_unlock, lambda n, rng: LinearSynthesizer(n, K), **inputs)


def virtual(n, rng):
    return VirtualNetwork(Sequential(Linear(n, 5, rng), BatchNorm(5), ReLU(), Linear(5, K, rng)), K)


def images(xp, synthesizer=None, optimizer=lambda: Momentum(0.01, weight_decay=1e-3,
                                                            clip_norm=1.0)):
    """The step of a net that uses every layer of images."""
    rng = np.random.default_rng(0)
    blocks = [Sequential(Conv2D(3, 4, rng, bias=False), BatchNorm(4), ReLU(), MaxPool(2)),
              Sequential(Residual(Conv2D(4, 6, rng, stride=2), BatchNorm(6), ReLU(),
                                  Conv2D(6, 6, rng), shortcut=Subsample(4, 6)), ReLU(), AvgPool(2)),
              Sequential(GlobalAvgPool(), Linear(6, K, rng))]
    labels = rng.integers(K, size=N)
    guess = {"algorithm": backprop} if synthesizer is None else {
        "synthesizer": lambda *shape: synthesizer(shape[-1], rng),
        "synthesizer_lr": lambda: Adam(1e-3)}
    net = build(blocks, SoftmaxCrossEntropy(), optimizer, input_shape=(8, 8, 3), **guess).to(xp)
    x, target = (backend.asarray(xp, a) for a in (rng.standard_normal((N, 8, 8, 3), np.float32),
                                                  labels))
    context = backend.asarray(xp, np.eye(K, dtype=np.float32)[labels]) if synthesizer else None
    return net, lambda: net.step(x, target, context)


def virtual_images(n, rng):
    return VirtualNetwork(Sequential(Conv2D(n, 3, rng), ReLU(), GlobalAvgPool(), Linear(3, K, rng)),
                          K)


def sequences(xp, layer, auxiliary=False):
    """The steps of a recurrent net with an interface in time, three windows to a sequence."""
    rng = np.random.default_rng(0)
    block = Recurrent(Embedding(K, D, rng), layer(D, 7, rng), Linear(7, K, rng))
    n = block.n_state
    guesser = AuxiliarySynthesizer(n, rng, hidden=5) if auxiliary else LinearSynthesizer(n)
    module = RecurrentModule(block, Adam(1e-3, clip_norm=1.0), Boundary(guesser, Adam(1e-3), 0.5),
                             loss=SoftmaxCrossEntropy(), each_window=auxiliary)
    net = RecurrentNetwork([module])
    net.to(xp)
    tokens = rng.integers(K, size=(N, 3 * T))
    windows = [window.to(xp) for window in cut(tokens, np.roll(tokens, 1, axis=1), np.arange(3 * T),
                                               T)]
    turn = iter(range(10**9))
    return net, lambda: net.step(windows[next(turn) % len(windows)])


CASES = {
    "backprop": lambda xp: dense(xp, backprop),
    "no backprop": lambda xp: dense(xp, no_backprop),
    "dni": lambda xp: dense(xp, synthesizer=lambda n, rng: LinearSynthesizer(n)),
    "cdni": lambda xp: dense(xp, synthesizer=lambda n, rng: LinearSynthesizer(n, K)),
    "mlp synthesizer": lambda xp: dense(xp, synthesizer=lambda n, rng: mlp_synthesizer(n, rng, K,
                                                                                       hidden=(5,))),
    "virtual linear": lambda xp: dense(xp, synthesizer=lambda n, rng: VirtualLinear(n, K, rng)),
    "virtual mlp": lambda xp: dense(xp, synthesizer=lambda n, rng: VirtualMLP(n, K, rng)),
    "virtual network": lambda xp: dense(xp, synthesizer=virtual),
    "local": lambda xp: dense(xp, synthesizer=lambda n, rng: LocalHead(Linear(n, K, rng), K)),
    "stochastic": lambda xp: dense(xp, Stochastic(0.5, 3, 0),
                                   lambda n, rng: LinearSynthesizer(n, K)),
    "bp-lambda": lambda xp: dense(xp, BPLambda(0.5), lambda n, rng: LinearSynthesizer(n, K)),
    "direct feedback": lambda xp: dense(xp, DirectFeedback(K, [7, 7], 0, xp)),
    "unlock": unlock,
    "warm-up": lambda xp: dense(xp, synthesizer=lambda n, rng: LinearSynthesizer(n, K), warm_up=2),
    "sgd, squared error": lambda xp: dense(xp, backprop, None, MeanSquaredError(), lambda: SGD(0.1),
                                           bits),
    "rmsprop, bits": lambda xp: dense(xp, backprop, None, BinaryCrossEntropy(),
                                      lambda: RMSProp(0.01), bits),
    "mmd": lambda xp: dense(xp, backprop, loss=MMD(2.0), target=bits),
    "images": images,
    "images, conv synthesizer": lambda xp: images(xp, lambda n, rng: conv_synthesizer(n, rng, K,
                                                                                      kernel=3)),
    "images, virtual": lambda xp: images(xp, virtual_images),
    "lstm": lambda xp: sequences(xp, LSTM),
    "lstm, auxiliary": lambda xp: sequences(xp, LSTM, auxiliary=True),
    "rnn": lambda xp: sequences(xp, RNN),
}


@pytest.mark.parametrize("case", CASES)
def test_a_step_waits_once_for_the_device_and_copies_nothing_to_it(case):
    _, step = CASES[case](fake_device.xp)
    for _ in range(4):
        with (count_synchronisations() as waits, count_copies() as copies,
              count_float64() as doubles):
            float(step())                       # the loss is read, which is the one wait
        assert len(waits) == 1, waits
        assert not copies, copies
        assert not doubles, "\n".join(doubles)


class Watched(np.ndarray):
    """An array whose results are such arrays, too; it notes the float64 arrays it meets."""

    met = []

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **keywords):
        def bare(value):
            return value.view(np.ndarray) if isinstance(value, Watched) else value
        outs = {} if out is None else {"out": tuple(map(bare, out))}
        result = getattr(ufunc, method)(*map(bare, inputs), **outs, **keywords)
        self.note(ufunc.__name__, *inputs, result)
        return out[0] if out is not None else result.view(Watched) if isinstance(
            result, np.ndarray) else result

    def __array_function__(self, function, types, args, keywords):
        result = super().__array_function__(function, types, args, keywords)
        self.note(function.__name__, *args, result)
        return result

    def dot(self, other, out=None):
        self.note("dot", self, other)
        return self.view(np.ndarray).dot(other).view(Watched)

    def note(self, name, *values):
        Watched.met += [f"{name}: {value.dtype} {value.shape}" for value in values
                        if isinstance(value, np.ndarray) and value.dtype == np.float64
                        and value.size > 1]


@pytest.mark.parametrize("case", CASES)
def test_no_float64_array_enters_an_operation_on_the_host(case, monkeypatch):
    """On NumPy the fast forms run, in blocks of rows and columns: float32, too."""
    net, step = CASES[case](np)
    for _, layer, _ in net.learners():
        for _, owner, name in layer.slots():
            setattr(owner, name, getattr(owner, name).view(Watched))
    monkeypatch.setattr(Watched, "met", [])
    for _ in range(3):
        step()
    assert not Watched.met, Watched.met[:5]


def test_the_watched_array_tells():
    Watched.met, x = [], np.ones((2, 2), np.float32).view(Watched)
    x @ np.ones((2, 2), np.float32) + 1.0
    assert not Watched.met
    for leak in (lambda: x @ np.ones((2, 2)), lambda: x.dot(np.ones((2, 2))),
                 lambda: x * np.ones(2), lambda: np.einsum("ij,ij->j", x, np.ones((2, 2)))):
        Watched.met = []
        leak()
        assert Watched.met
    Watched.met = []


@pytest.mark.parametrize("case", CASES)
def test_whatever_leaves_a_layer_is_float32(case, monkeypatch):
    net, step = CASES[case](np)
    left = []

    def watched(layer, name):
        function = getattr(layer, name)

        def call(*args, **keywords):
            result = function(*args, **keywords)
            results = result if isinstance(result, tuple) else (result,)
            left.extend((type(layer).__name__, name, array.dtype) for array in results
                        if array is not None)
            return result
        monkeypatch.setattr(layer, name, call)

    for _, learner, _ in net.learners():
        for _, layer in learner.walk():
            watched(layer, "forward")
            watched(layer, "backward")
    for _ in range(3):
        step()
    assert left and {dtype for *_, dtype in left} == {np.dtype(np.float32)}, [
        x for x in left if x[2] != np.float32][:5]


def memory_after(step, n):
    """Bytes that Python and NumPy hold after n more steps."""
    for _ in range(n):
        step()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def growth(step, n):
    """Of the memory over n steps, after as many in which small caches fill [bytes].

    The smaller one of two: a leak is in both, while a table of Python grows once in a long time.
    """
    tracemalloc.start()
    try:
        first, second, third = (memory_after(step, n) for _ in range(3))
        return min(second - first, third - second)
    finally:
        tracemalloc.stop()


ACTIVATION = 4 * N * 7                          # bytes of one hidden activation


@pytest.mark.parametrize("case", ["backprop", "cdni", "virtual network", "stochastic", "unlock",
                                  "images", "lstm"])
def test_memory_stays_flat(case):
    n, (_, step) = 25, CASES[case](np)
    assert growth(step, n) < n * ACTIVATION / 4


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_memory_stays_flat_for_long(case):
    n, (_, step) = 500, CASES[case](np)
    assert growth(step, n) < n * ACTIVATION / 20


@pytest.mark.parametrize("case", CASES)
def test_a_network_that_nobody_holds_is_gone_at_once(case):
    """It holds no circle to itself; else its last batch would stay until Python looks for one."""
    net, step = CASES[case](np)
    step()
    gone = [weakref.ref(layer) for _, learner, _ in net.learners() for _, layer in learner.walk()]
    gc.disable()
    try:
        del net, step
        assert not [ref() for ref in gone if ref() is not None]
    finally:
        gc.enable()


def test_a_leak_is_found():
    kept, (net, step) = [], CASES["backprop"](np)

    def leaking():
        step()
        kept.append(net.modules[0].block.layers[0].x @ net.modules[0].block.layers[0].W)

    assert growth(leaking, 25) > 25 * ACTIVATION
