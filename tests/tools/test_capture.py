"""A step as a graph: it equals the ordinary step, launches once, and refuses what goes wrong."""

import re

import fake_device
import fake_graph
import numpy as np
import pytest
from building import build
from conftest import BACKENDS
from fake_device import count_copies, count_launches, count_synchronisations

from tinydni import (
    SGD,
    Adam,
    AvgPool,
    BatchNorm,
    Conv2D,
    Dropout,
    Embedding,
    GlobalAvgPool,
    Linear,
    LinearDecay,
    LinearSynthesizer,
    MaxPool,
    MeanSquaredError,
    Momentum,
    ReLU,
    Residual,
    RMSProp,
    Sequential,
    SoftmaxCrossEntropy,
    VirtualLinear,
    backend,
    backprop,
    datasets,
    layer,
    mlp,
    mlp_synthesizer,
    no_backprop,
)
from tinydni.gpu import cublas
from tinydni.gpu.graphs import CapturedStep
from tinydni.lab import cli
from tinydni.lab.gradient_quality import measure_gradients
from tinydni.recurrent_dni import RecurrentNetwork
from tinydni.training import Training
from tinydni.variants.bp_lambda import BPLambda
from tinydni.variants.conv_synthesizer import conv_synthesizer
from tinydni.variants.direct_feedback import DirectFeedback
from tinydni.variants.full_unlock import full_unlock
from tinydni.variants.guess import Guess, GuessSynthesizer
from tinydni.variants.heads import Heads
from tinydni.variants.input_synthesizers import input_synthesizer
from tinydni.variants.late_gradients import LateGradients
from tinydni.variants.stochastic import Stochastic
from tinydni.variants.virtual_network import VirtualNetwork

DEVICES = {name: module for name, module in BACKENDS.items() if name != "numpy"}
N, D, H, K, STEPS = 16, 6, 7, 4, 8


@pytest.fixture(autouse=True)
def cublas_that_is_not_there(monkeypatch):
    """The C library behind the fake device: every call succeeds. The list has their names."""
    calls, real = [], cublas.library_of
    library = fake_graph.library(calls)
    monkeypatch.setattr(cublas, "library_of",
                        lambda cupys: library if cupys is fake_graph.cublas else real(cupys))
    return calls


# Networks -----------------------------------------------------------------------------------------

def dense(optimizer=lambda: Adam(3e-3, weight_decay=1e-3, clip_norm=1.0), loss=None, **options):
    """A net of three blocks. synthesizer: function (width, rng)"""
    rng = np.random.default_rng(0)
    if "synthesizer" in options:
        make = options.pop("synthesizer")
        options |= {"synthesizer": lambda n: make(n, rng), "synthesizer_lr": lambda: Adam(2e-3)}
    return build(mlp([D, H, H, K], rng), loss or SoftmaxCrossEntropy(), optimizer, **options)


def linear(n, rng):
    return LinearSynthesizer(n, K)


def images(**options):
    rng = np.random.default_rng(0)
    blocks = [Sequential(Conv2D(3, 4, rng, bias=False), BatchNorm(4), ReLU(), MaxPool(2)),
              Sequential(Residual(Conv2D(4, 4, rng), BatchNorm(4)), ReLU(), AvgPool(2)),
              Sequential(GlobalAvgPool(), Linear(4, K, rng))]
    if options.pop("guesses", False):
        options |= {"synthesizer": lambda *shape: conv_synthesizer(shape[-1], rng, K, kernel=3),
                    "synthesizer_lr": lambda: Adam(1e-3)}
    return build(blocks, SoftmaxCrossEntropy(), lambda: Momentum(0.01, clip_norm=1.0),
                 input_shape=(8, 8, 3), **options)


def unlock():
    rng = np.random.default_rng(1)
    return dense(algorithm=full_unlock, synthesizer=linear, input_lr=lambda: Adam(1e-3),
                 input_synthesizer=lambda n: input_synthesizer(D, n, rng, hidden=(5,)))


def guess():
    shared = Guess(D, 3, np.random.default_rng(2), hidden=5)
    return dense(synthesizer=lambda n, rng: GuessSynthesizer(VirtualLinear(n, 3, rng), shared))


def symbols():
    rng = np.random.default_rng(4)
    return build([Sequential(Embedding(K, H, rng), ReLU()), Linear(H, K, rng)],
                 SoftmaxCrossEntropy(), lambda: Adam(0.01), algorithm=backprop, input_shape=())


def virtual(n, rng):
    return VirtualNetwork(Sequential(Linear(n, 5, rng), BatchNorm(5), ReLU(), Linear(5, K, rng)), K)


CASES = {       # name: (the network, which of the batch it takes)
    "backprop": (lambda: dense(algorithm=backprop), "xt"),
    "no backprop": (lambda: dense(algorithm=no_backprop), "xt"),
    "dni": (lambda: dense(synthesizer=lambda n, rng: LinearSynthesizer(n)), "xt"),
    "cdni": (lambda: dense(synthesizer=linear), "xtc"),
    "mlp": (lambda: dense(synthesizer=lambda n, rng: mlp_synthesizer(n, rng, K, hidden=(5,))),
            "xtc"),
    "vfbn": (lambda: dense(synthesizer=lambda n, rng: VirtualLinear(n, K, rng)), "xtc"),
    "virtual network": (lambda: dense(synthesizer=virtual), "xtc"),
    "guess": (guess, "xtx"),
    "unlock": (unlock, "xtc"),
    "bp-lambda": (lambda: dense(algorithm=BPLambda(0.5), synthesizer=linear), "xtc"),
    "direct feedback": (lambda: dense(algorithm=DirectFeedback(K, [H, H], 0)), "xt"),
    "warm-up": (lambda: dense(synthesizer=linear, warm_up=3), "xtc"),
    "symbols": (symbols, "tt"),
    "images": (lambda: images(algorithm=backprop), "xt"),
    "images, conv synthesizer": (lambda: images(guesses=True), "xtc"),
    "sgd": (lambda: dense(lambda: SGD(0.05), MeanSquaredError(), algorithm=backprop), "xc"),
    "momentum": (lambda: dense(lambda: Momentum(0.02), synthesizer=linear), "xtc"),
    "rmsprop": (lambda: dense(lambda: RMSProp(3e-3), synthesizer=linear), "xtc"),
    "adam": (lambda: dense(lambda: Adam(3e-3), synthesizer=linear), "xtc"),
}


def batches(xp, case, steps=STEPS):
    """The arguments of so many steps, each another batch, on the device."""
    rng, found = np.random.default_rng(3), []
    for _ in range(steps):
        labels = rng.integers(K, size=N)
        x = rng.standard_normal((N, 8, 8, 3) if case.startswith("images") else (N, D),
                                dtype=np.float32)
        batch = {"x": x, "t": labels, "c": np.eye(K, dtype=np.float32)[labels]}
        on_device = {name: backend.asarray(xp, array) for name, array in batch.items()}
        found.append([on_device[name] for name in CASES[case][1]])
    return found


def placed(xp, case):
    net = CASES[case][0]().to(xp)
    if isinstance(net.algorithm, DirectFeedback):
        net.algorithm.B = [backend.asarray(xp, B) for B in net.algorithm.B]
    return net


def trained(net, step, batches):
    """The losses of steps with a falling learning rate."""
    schedule = LinearDecay(2 * STEPS)
    losses = []
    for batch in batches:
        net.scale_learning_rates(schedule(net.steps))
        losses.append(float(step(*batch)))
    return losses


def assert_same(xp, net, twin):
    """Bit for bit on the fake device; nearly on a GPU, where other kernels may run."""
    ours, theirs = net.state(), twin.state()
    assert ours.keys() == theirs.keys()
    for path, array in ours.items():
        np.testing.assert_allclose(array, theirs[path], *((0, 0) if xp is fake_device.xp
                                                          else (1e-3, 1e-4)), err_msg=path)


def assert_same_losses(xp, net, twin):
    """Those that the synthesizers report, of the last step."""
    losses = [[float(synthesizer.loss()) for synthesizer in each.synthesizers()]
              for each in (net, twin)]
    np.testing.assert_allclose(*losses, rtol=0 if xp is fake_device.xp else 1e-3)


# The same as without ------------------------------------------------------------------------------

@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", DEVICES)
def test_captured_steps_equal_ordinary_ones(name, case):
    xp = DEVICES[name]
    net, twin, data = placed(xp, case), placed(xp, case), batches(xp, case)
    captured = CapturedStep(net)
    losses, expected = trained(net, captured, data), trained(twin, twin.step, data)
    assert captured.graph is not None and net.steps == twin.steps == STEPS
    np.testing.assert_allclose(losses, expected, rtol=0 if xp is fake_device.xp else 1e-4)
    assert_same(xp, net, twin)
    assert_same_losses(xp, net, twin)


@pytest.mark.parametrize("case", CASES)
def test_a_captured_step_is_one_launch_and_a_few_copies_and_waits_only_for_the_loss(case):
    xp = fake_device.xp
    net, data = placed(xp, case), batches(xp, case)
    captured = CapturedStep(net)
    trained(net, captured, data[:-1])
    with count_launches() as launches, count_copies() as copies, count_synchronisations() as waits:
        trained(net, captured, data[-1:])
    assert [line.partition(" in ")[0] for line in launches] == ["assign"] * len(data[0]) + ["graph"]
    # the numbers of the optimizers
    assert [line.partition(" in ")[0] for line in copies] == ["set()"]
    assert [line.partition(" in ")[0] for line in waits] == ["float()"]


def test_products_are_captured_by_calls_to_the_library_and_cupys_own_functions_come_back(
    cublas_that_is_not_there):
    net, data = placed(fake_device.xp, "backprop"), batches(fake_device.xp, "backprop")
    trained(net, CapturedStep(net), data)
    assert cublas_that_is_not_there[:3] == ["cublasSetStream_v2", "cublasSetWorkspace_v2",
                                            "cublasGemmEx"]
    assert fake_graph.cublas.gemmEx is fake_graph.cublas.gemmStridedBatchedEx is fake_graph.refusing


def test_a_convolution_multiplies_a_batch_by_one_matrix(cublas_that_is_not_there):
    """CuPy has a function of its own for that."""
    net, data = placed(fake_device.xp, "images"), batches(fake_device.xp, "images")
    trained(net, CapturedStep(net), data)
    assert {"cublasSgemmBatched", "cublasGemmStridedBatchedEx"} <= set(cublas_that_is_not_there)


class FrozenSGD(SGD):
    """A rule that reads its rate on the host."""

    def rule(self, xp, p, dp, rate):
        p -= (self.lr * self.scale) * dp


def test_a_rate_of_the_host_freezes_in_a_capture():
    """Otherwise the tests above could not fail."""
    xp = fake_device.xp
    nets = [dense(lambda: FrozenSGD(0.5), algorithm=backprop).to(xp) for _ in range(2)]
    data = batches(xp, "backprop")
    losses = [trained(net, step, data) for net, step in zip(nets, (CapturedStep(nets[0]),
                                                                   nets[1].step))]
    assert losses[0][:3] == losses[1][:3] and losses[0][-1] != losses[1][-1]


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("event", ["load_state", "to", "somebody's step", "another scale",
                                   "prediction"])
def test_a_run_may_be_disturbed(name, event):
    xp = DEVICES[name]
    net, twin, data = placed(xp, "cdni"), placed(xp, "cdni"), batches(xp, "cdni", 12)
    captured = CapturedStep(net)
    start = {path: array.copy() for path, array in net.state().items()}
    trained(net, captured, data[:6])
    trained(twin, twin.step, data[:6])
    for each, step in ((net, captured), (twin, twin.step)):
        if event == "load_state":
            each.load_state(start)
        elif event == "to":
            each.to(np).to(xp)
        elif event == "somebody's step":
            each.step(*data[0])
        elif event == "another scale":
            each.scale_learning_rates(0.01, 0.02)
        else:
            each.predict(data[0][0])
        trained(each, step, data[6:])
    assert_same(xp, net, twin)
    assert_same_losses(xp, net, twin)


def test_a_graph_does_not_depend_on_what_the_kernels_keep():
    """The row of ones may be thrown away, and its memory given to others, while a graph lives."""
    xp = fake_device.xp
    net, twin, data = placed(xp, "cdni"), placed(xp, "cdni"), batches(xp, "cdni")
    captured = CapturedStep(net)
    trained(net, captured, data[:2])
    row = layer.ones(xp, N, net.modules[0].block.layers[0].W.dtype)
    trained(net, captured, data[2:3])
    row.fill(np.nan)
    trained(net, captured, data[3:])
    trained(twin, twin.step, data)
    assert_same(xp, net, twin)


# What is refused ----------------------------------------------------------------------------------

def test_what_a_graph_would_get_wrong_is_refused():
    xp, rng = fake_device.xp, np.random.default_rng(0)
    heads = [Linear(H, K, rng), Linear(H, K, rng)]
    dropout = mlp([D, H, K], rng, lambda n: [ReLU(), Dropout(0.1, rng)])
    loss_and_rule = SoftmaxCrossEntropy(), lambda: SGD(0.1)
    several = build([Linear(D, H, rng), heads], *loss_and_rule, algorithm=backprop)
    assert isinstance(several.modules[-1], Heads)
    for net, message in (
            (dense(algorithm=backprop), "capture needs the cupy backend"),
            (dense(algorithm=Stochastic(0.5, 3, 0), synthesizer=linear).to(xp),
             r"algorithm.0, .*: draws random"),
            (dense(algorithm=LateGradients([H, H], N)).to(xp),
             r"algorithm.steps: is counted on the host"),
            (several.to(xp), r"1.draws: draws random"),
            (build(dropout, *loss_and_rule, algorithm=backprop).to(xp),
             r"0.block.2.rng: draws random"),
            (RecurrentNetwork([placed(xp, "backprop").modules[0]]),
             "a RecurrentNetwork cannot be captured")):
        with pytest.raises(ValueError, match=message):
            CapturedStep(net)


def test_another_batch_is_refused():
    xp = fake_device.xp
    net, data = placed(xp, "cdni"), batches(xp, "cdni")
    captured = CapturedStep(net)
    trained(net, captured, data[:4])
    x, target, context = data[4]
    for batch, message in (((x[:8], target[:8], context[:8]),
                            r"x must be .* float32 \(16, 6\); got float32 \(8, 6\)"),
                           ((x, target.astype(np.int32), context),
                            "target must be .* int64 .*; got int32"),
                           ((x, target), "context must be .*; got None")):
        with pytest.raises(ValueError, match=message):
            captured(*batch)
    assert net.steps == 4


def test_a_network_in_evaluation_mode_is_refused():
    net, data = placed(fake_device.xp, "cdni"), batches(fake_device.xp, "cdni")
    captured = CapturedStep(net)
    trained(net, captured, data[:4])
    net.eval()
    with pytest.raises(RuntimeError, match="evaluation mode"):
        captured(*data[4])


class TwiceUpdated:
    """An algorithm in which the optimizer of the only module takes two steps."""

    def __call__(self, modules, x, target, context=None):
        backprop(modules, x, target, context)
        modules[0].update()


def test_two_updates_with_one_state_are_refused():
    net = dense(algorithm=TwiceUpdated()).to(fake_device.xp)
    captured, data = CapturedStep(net), batches(fake_device.xp, "backprop")
    captured(*data[0])
    with pytest.raises(ValueError, match="updates 2 times in a step"):
        captured(*data[1])


class Waiting(ReLU):
    """A layer that waits for the device in its forward pass."""

    def forward(self, x):
        float(x.sum())
        return super().forward(x)


def test_a_failed_capture_says_why_and_counts_nothing():
    xp, rng = fake_device.xp, np.random.default_rng(0)
    blocks, data = mlp([D, H, K], rng, lambda n: [Waiting()]), batches(xp, "backprop")
    net = build(blocks, SoftmaxCrossEntropy(), lambda: Adam(0.1), algorithm=backprop).to(xp)
    captured = CapturedStep(net)
    trained(net, captured, data[:2])
    before = net.state()
    message = r"cannot capture this step .*stream is capturing, so float\(\) is disallowed"
    with pytest.raises(RuntimeError, match=message):
        captured(*data[2])
    assert all(np.array_equal(array, before[path]) for path, array in net.state().items())
    assert fake_device.recorder is None and fake_graph.cublas.gemmEx is fake_graph.refusing
    assert not any("numbers" in vars(optimizer) for _, _, optimizer in net.learners())


# Training -----------------------------------------------------------------------------------------

def training(xp, capture, **options):
    data = datasets.addition(bits=3)
    rng = np.random.default_rng(0)
    net = build(mlp([data.n_in, H, H, data.n_out], rng), MeanSquaredError(), lambda: Adam(0.01),
                   synthesizer=lambda n: LinearSynthesizer(n, data.n_out),
                synthesizer_lr=lambda: Adam(0.003)).to(xp)
    every = options.pop("measure_gradients", None)
    made = Training(net, data, 3, 8, 0, LinearDecay(18), context=data.context(),
                    step=CapturedStep(net) if capture else None,
                    error=lambda prediction, target: float(
                        ((prediction > 0.5) != (target > 0.5)).mean()), **options)
    return measure_gradients(made, every) if every else made


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("options", [{}, {"measure_gradients": 2},
                                     {"synthesizer_schedule": lambda step: 0.5}],
                         ids=["plain", "measured", "own schedule"])
def test_training_with_capture_is_training(name, options):
    with_it, without = (training(DEVICES[name], capture, **options) for capture in (True, False))
    with_it.run()
    without.run()
    if name == "fake":
        assert with_it.history == without.history
    assert_same(DEVICES[name], with_it.network, without.network)


def test_a_resumed_run_captures_anew():
    whole, first, second = (training(fake_device.xp, True) for _ in range(3))
    whole.run()
    first.run([lambda run: setattr(run, "stopped", run.step >= 8)])
    second.network.load_state(first.network.state())
    second.go_to(first.position())
    second.run()
    assert second.history == whole.history
    assert_same(fake_device.xp, second.network, whole.network)


def test_the_command_captures_or_says_why_not(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    train = ["train", "addition", "--bits", "2", "--epochs", "4", "--width", "8", "--batch-size",
             "4", "--quiet"]
    monkeypatch.setattr(backend, "get", lambda name: fake_device.xp)
    for arguments, message in (
        ([], "--capture is about the launches of a GPU; give --backend cupy"),
                               (["--backend", "cupy", "--workers", "2"],
                                "--capture is a way to run .* leave out --workers"),
                               (["--backend", "cupy", "--p-update", "0.5"], "--capture: ")):
        assert cli.main([*train, "--capture", *arguments]) != 0
        assert re.search(message, capsys.readouterr().err)
    outputs = []
    for arguments in ([], ["--capture"]):
        assert cli.main([*train, "--backend", "cupy", *arguments]) == 0
        outputs.append([line for line in capsys.readouterr().out.splitlines()
                        if re.match(r" +\d+ +\d+\.\d", line)])
    assert outputs[0] == outputs[1] and len(outputs[0]) == 4
