"""A thousand calls of public names with an odd argument: they work, or a sentence says what is odd.

Every case is a call that works, and for each argument what it means (`Kind`). One or two arguments
are replaced by odd values of a common pool, and the call is judged: an error must be of the
project's own, raised in its files, and name the argument and what was got; a value that the kind
does not mean must not be taken; what is computed from finite numbers is finite.

The draws are the same in every run; FUZZ_SEED gives others, and a failure prints the seed.
"""

import itertools
import linecache
import numbers
import os
import re
import resource
import signal
import traceback
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import tinydni as td
from tinydni.checks import check_range

SEED = int(os.environ.get("FUZZ_SEED", 0))
CALLS = 130                             # of a family
SECONDS, BYTES = 20, 6 * 2**30          # that a call may take
HOME = str(Path(td.__file__).parent)
OWN = (ValueError, TypeError, KeyError, RuntimeError, FileNotFoundError, td.DivergedError,
       td.datasets.DataError)
OTHERS = {      # what an argument is called where it is passed on to
    "branch": "argument", "channels": "n_out", "curve": "curves", "dataset": "batch_size",
    "ddelta_hat": "dy", "dend": "state", "dstate": "target|message", "h": "context|x",
    "h_shape": "images", "hidden": "n_out", "input_shape": "image",
    "layer": "argument|gradients|method|is a class", "loss": "loss|method|is a class",
    "n_channels": "n_in", "n_classes": "n_out|y", "n_context": "n_in",
    "n_h": "n_in|n_out|n_hidden|n_features", "n_in": "n_features|n_out",
    "n_neighbors": "neighbours", "n_points": "points", "n_steps": "warm_up", "net": "argument",
    "output": "argument", "path": "path|folder", "prediction": "target|MMD", "records": "runs",
    "shortcut": "argument", "state": "h|x|guess", "states": "state",
    "synthesizer": "forward|method|is a class|target", "synthesizer_lr": "lr",
    "synthesizers": "scale", "target": "MMD|prediction",
    "thing": "method|is a class|backward|forward", "top_lr": "lr",
    "true_gradient": "target|message", "width": "n_out", "x": "prediction|context|target|MMD",
    "x_shape": "images", "y": "MMD|target"}
pytestmark = pytest.mark.slow


def rng():
    return np.random.default_rng(0)


def floats(*shape, dtype=np.float32):
    return rng().standard_normal(shape).astype(dtype)


# The pool: functions, so that every call gets values that no call before it has changed.

NUMBERS = [float("nan"), float("inf"), -float("inf"), -1, 0, 1, 2, 1.5, -0.5, 1e300, True,
           10**6, 10**12, 2**63, 10**30, np.uint8(100), Fraction(1, 2), 2 + 1j, np.int64(3),
           np.float32(0.5), np.float64("nan")]
ARRAYS = [lambda: np.array(3.0, np.float32), lambda: np.zeros(0, np.float32),
          lambda: np.zeros((0, 5), np.float32), lambda: floats(6), lambda: floats(6, 1),
          lambda: floats(6, 5), lambda: floats(5, 6), lambda: floats(1, 5), lambda: floats(6, 4),
          lambda: floats(6, 0), lambda: floats(6, 5, dtype=np.float64), lambda: floats(2, 4, 5),
          lambda: floats(2, 4, 4, 3), lambda: floats(2, 3, 4, 4), lambda: floats(6, 5) > 0,
          lambda: np.arange(6), lambda: np.arange(30).reshape(6, 5), lambda: np.full(6, -1),
          lambda: np.arange(6, dtype=np.uint8), lambda: floats(6, 5).astype(complex),
          lambda: floats(6, 5).astype(object), lambda: np.ma.array(floats(6, 5), mask=True),
          lambda: np.array(["a"] * 6), lambda: np.array([[None] * 5] * 6),
          lambda: np.full((6, 5), np.nan, np.float32), lambda: np.full((6, 5), np.inf, np.float32),
          lambda: np.arange(6).astype("datetime64[D]")]
THINGS = [lambda: None, lambda: "3", lambda: "", lambda: b"x", lambda: [], lambda: [1, 2],
          lambda: [[1.0, 2.0], [3.0]], lambda: (), lambda: (4, 5), lambda: {}, lambda: {"a": 1},
          lambda: {1, 2}, object, lambda: range(3), lambda: np, lambda: td.ReLU, td.ReLU,
          lambda: td.Linear(5, 5, rng()), lambda: [td.ReLU()], lambda: td.SGD(0.1),
          lambda: td.SGD, td.MeanSquaredError, lambda: td.LinearSynthesizer(5), rng,
          lambda: np.float16, lambda: np.int32, lambda: "float64", lambda: "no dtype",
          lambda: td.DNI(td.ReLU(), 0.1), lambda: Path("no/such")]
POOL = [*(lambda value=value: value for value in NUMBERS), *ARRAYS, *THINGS]


# Kinds: what an argument is.

class Kind:
    """good(): a value that works;   means(value): whether a value has a meaning here."""

    def __init__(self, good, means):
        self.good, self.means = good, means

    def __or__(self, value):
        """The same, or this value as well."""
        return Kind(self.good, lambda got: got is value or self.means(got))


def whole(good, low=1, high=2**40):
    return Kind(lambda: good, lambda got: isinstance(got, numbers.Integral)
                and not isinstance(got, bool) and low <= got <= high)


def real(good, *bounds, **ends):
    def means(got):
        try:
            check_range(got, "", *bounds, **ends)
        except (ValueError, TypeError):
            return False
        return True
    return Kind(lambda: good, means)


def one_of(*values):
    return Kind(lambda: values[0], lambda got: any(got is v or (isinstance(v, str) and v == got)
                                                   for v in values if isinstance(got, str)))


def instance(good, *types):
    return Kind(good, lambda got: isinstance(got, types))


def array(*shape, kind="f", dtype=np.float32, free=1, good=None):
    """Arrays of this shape and dtype; the first `free` axes may have other lengths, but not 0."""
    def means(got):
        return (type(got) is np.ndarray and got.ndim == len(shape) and got.shape[free:]
                == shape[free:] and got.dtype.kind in kind and (kind != "f" or got.dtype == dtype))
    return Kind(good or (lambda: floats(*shape, dtype=dtype)), means)


def is_dtype(got):
    try:
        return got is not None and np.dtype(got).kind == "f"
    except TypeError:
        return False


def layers(*good):
    return Kind(lambda: [make() for make in good],
                lambda got: isinstance(got, (list, tuple)) and got
                and all(isinstance(each, td.Layer) for each in got))


DTYPE = Kind(lambda: np.float32, is_dtype)
RNG = instance(rng, np.random.Generator)
LAYER = instance(lambda: td.Linear(5, 5, rng()), td.Layer)
SYNTHESIZER = instance(lambda: td.LinearSynthesizer(5), td.Synthesizer)
LOSS = instance(td.MeanSquaredError, td.Loss)
FUNCTION = Kind(lambda: None, callable) | None
SCHEDULE = Kind(td.Constant, callable) | None
LABELS = array(6, kind="iu", free=0, good=lambda: np.arange(6) % 5)
ROWS = array(6, 5)
SAME_ROWS = array(6, 5, free=0)
POINTS = array(6, 5, free=2)            # of a sample alone
WIDTHS = Kind(lambda: (5, 4, 3), lambda got: isinstance(got, (list, tuple, range, set)) and
              all(whole(1).means(width) for width in got) and len(got) > 1)
SOME_WIDTHS = Kind(lambda: (4,), lambda got: isinstance(got, (list, tuple, range, set, dict, str,
    bytes)) and all(whole(1).means(width) for width in got))
SEED_KIND = whole(0, 0, 10**40)
CELLS = Kind(lambda: floats(6, 5), lambda got: type(got) is np.ndarray and got.shape[1:] == (5,)
             and got.dtype.kind in "fiub" and np.isfinite(got).all())
ANY = Kind(lambda: None, lambda got: True)
NOTHING = Kind(lambda: [None], lambda got: isinstance(got, (list, tuple, dict, set, str))
               and not got)


def rate():
    return Kind(lambda: 0.1, lambda got: isinstance(got, td.Optimizer) or
                real(0.1, 0, None).means(got))


def maker_of_rate():
    return Kind(lambda: 0.1, lambda got: callable(got) or real(0.1, 0, None).means(got))


def named(one):
    """A dictionary of such things by label."""
    return Kind(lambda: {"cdni": one}, lambda got: False)


def names(good):
    """As many things that can be written."""
    def means(got):
        try:
            return len(list(got)) == len(good)
        except TypeError:
            return False
    return Kind(lambda: good, means)


def like(array):
    """Numbers of this shape."""
    return Kind(lambda: array.copy(), lambda got: isinstance(got, (list, np.ndarray))
                and np.shape(got) == array.shape)


class Case:
    """A call, function(**arguments), and the kind of each argument."""

    def __init__(self, function, called="", /, **kinds):
        self.function, self.kinds = function, kinds
        self.called = called or function.__qualname__

    def call(self, **odd):
        arguments = {name: kind.good() for name, kind in self.kinds.items()} | odd
        return self.function(**arguments)


def method(make, name, before=None, **kinds):
    """A call of a method of a fresh object; before(object) brings it into the state for it."""
    def call(**arguments):
        thing = make()
        if before is not None:
            before(thing)
        return getattr(thing, name)(*arguments.values())
    return Case(call, f"{make().__class__.__name__}.{name}", **kinds)


def passed(make, x, **kinds):
    """forward and backward of a layer."""
    y = make().forward(x.good())
    y = y[0] if isinstance(y, tuple) else y
    dy = array(*y.shape, free=0)
    return [method(make, "forward", x=x), method(make, "backward", lambda layer:
                                                 layer.forward(x.good()), dy=dy)]


# The families.

N, STD = whole(5), real(0.1, 0, None) | None
IMAGES = array(2, 4, 4, 3, free=3)


def cases_layers():
    wide = {"n_in": N, "n_out": N, "rng": RNG, "std": STD, "dtype": DTYPE}
    pool = {"kernel": whole(2), "stride": whole(2) | None, "padding": whole(0, 0)}
    time = {"n_in": N, "n_hidden": N, "rng": RNG, "dtype": DTYPE}
    yield Case(td.Linear, **wide)
    yield Case(td.Conv2D, **wide, kernel=whole(3), stride=whole(1), padding=Kind(
        lambda: "same", lambda got: isinstance(got, str) and got == "same"
        or whole(0, 0).means(got)))
    yield Case(td.Embedding, n_symbols=N, n_out=N, rng=RNG, std=real(1.0, 0, None), dtype=DTYPE)
    yield Case(td.RNN, **time)
    yield Case(td.LSTM, **time, forget_bias=real(1.0, None, None))
    yield Case(td.BatchNorm, n_features=N, eps=real(1e-5, 0, None, include_low=False),
               momentum=real(0.1, 0, 1), dtype=DTYPE)
    yield Case(td.Dropout, p=real(0.5, 0, 1, include_high=False), rng=RNG)
    yield Case(td.MaxPool, **pool)
    yield Case(td.AvgPool, **pool)
    yield Case(td.Subsample, n_in=whole(3), n_out=whole(4), stride=whole(2))
    yield Case(lambda layer: td.Sequential(td.ReLU(), layer), "Sequential", layer=LAYER)
    yield Case(td.Residual, "Residual", shortcut=LAYER | None)
    yield Case(lambda branch: td.Residual(branch), "Residual", branch=LAYER)
    yield Case(lambda layer: td.Recurrent(td.LSTM(5, 5, rng()), layer), "Recurrent", layer=LAYER)
    yield Case(td.mlp, widths=WIDTHS, rng=RNG, hidden=FUNCTION, dtype=DTYPE)
    yield Case(td.cnn, input_shape=Kind(lambda: (8, 8, 3), lambda got: isinstance(got, tuple)
                                        and len(got) == 3), n_classes=N, n_layers=whole(3, 2),
               rng=RNG, channels=whole(4), kernel=whole(3), dtype=DTYPE)
    yield Case(td.resnet, depth=whole(8, 8), rng=RNG, n_channels=whole(3), n_classes=N,
               widths=Kind(lambda: (2, 3, 4), WIDTHS.means), dtype=DTYPE)


def cases_passes():
    rows = lambda layer: passed(layer, ROWS)
    steps = array(2, 4, 5, free=2)
    like = {"x": Kind(lambda: floats(6, 5), lambda got: type(got) is np.ndarray
                      and got.dtype.kind == "f")}
    for make in (td.ReLU, td.Sigmoid, td.Tanh, td.Softplus, td.Softmax, td.Flatten,
                 lambda: td.Dropout(0.5, rng())):
        yield method(make, "forward", **like)
        yield passed(make, like["x"])[1]
    for make in (lambda: td.Linear(5, 4, rng()), lambda: td.BatchNorm(5),
                 lambda: td.Sequential(td.Linear(5, 4, rng()), td.ReLU()),
                 lambda: td.Residual(td.Linear(5, 5, rng()))):
        yield from rows(make)
    for make in (lambda: td.Subsample(3, 4), lambda: td.Conv2D(3, 2, rng())):
        yield from passed(make, IMAGES)
    for make in (td.MaxPool, td.AvgPool, td.GlobalAvgPool):
        yield from passed(make, array(2, 4, 4, 3, free=4))
    embedding = lambda: td.Embedding(5, 3, rng())
    yield method(embedding, "forward", x=Kind(
        lambda: np.arange(5), lambda got: type(got) is np.ndarray and got.dtype.kind in "iu"
        and (not got.size or (got.min() >= 0 and got.max() < 5))))
    yield method(embedding, "backward", lambda layer: layer.forward(np.arange(5)),
                 dy=array(5, 3, free=0))
    for make, width in ((lambda: td.RNN(5, 5, rng()), 5), (lambda: td.LSTM(5, 5, rng()), 10), (
            lambda: td.Recurrent(td.LSTM(5, 5, rng()), td.ReLU(), td.RNN(5, 5, rng())), 15)):
        state = Kind(lambda width=width: floats(2, width), array(2, width, free=0).means) | None
        yield method(make, "forward", x=steps, state=state)
        yield method(make, "backward", lambda layer: layer.forward(floats(2, 4, 5)),
                     dy=array(2, 4, 5, free=0), dend=state)
    linear = lambda: td.Sequential(td.Linear(5, 5, rng()), td.Dropout(0.1, rng()))
    ready = lambda layer: (layer.forward(floats(6, 5)), layer.backward(floats(6, 5)))
    yield method(linear, "update", ready, lr=rate())
    yield method(linear, "to", xp=Kind(lambda: np, lambda got: got is np) | None,
                 dtype=DTYPE | None)
    yield method(linear, "load_state", state=Kind(lambda: linear().state(), lambda got: False))


def cases_losses():
    pair = {"prediction": SAME_ROWS, "target": SAME_ROWS}
    bits = Kind(lambda: (floats(6, 5) > 0).astype(np.float32), lambda got: SAME_ROWS.means(got)
                and got.min() >= 0 and got.max() <= 1)
    yield method(td.MeanSquaredError, "forward", **pair)
    yield method(td.BinaryCrossEntropy, "forward", prediction=SAME_ROWS, target=bits)
    yield method(td.SoftmaxCrossEntropy, "forward", prediction=SAME_ROWS, target=Kind(
        LABELS.good, lambda got: LABELS.means(got) and got.min() >= 0 and got.max() < 5))
    for make in (td.MeanSquaredError, td.BinaryCrossEntropy, td.SoftmaxCrossEntropy):
        yield method(make, "to", xp=Kind(lambda: np, lambda got: got is np) | None)
    yield Case(td.percent_wrong, prediction=Kind(SAME_ROWS.good, lambda got: SAME_ROWS.means(got)
               or array(6, 5, dtype=np.float64).means(got)), target=LABELS)
    numbers = Kind(bits.good, lambda got: type(got) is np.ndarray and got.shape == (6, 5))
    yield Case(td.percent_bits_wrong, prediction=numbers, target=numbers)
    yield method(lambda: td.variants.MMD(1.0), "forward", prediction=ROWS, target=ROWS)
    yield Case(td.variants.MMD, m=real(1.0, 0, None, include_low=False))
    yield Case(td.variants.mmd_squared, x=ROWS, y=ROWS, m=real(1.0, 0, None, include_low=False))
    doubles = array(6, 5, dtype=np.float64)
    yield Case(td.variants.kernel_width, rng=RNG, n_neighbors=whole(2), n_points=whole(100),
               target=Kind(POINTS.good, lambda got: POINTS.means(got) or doubles.means(got)))


def cases_optimizers():
    common = {"lr": real(0.1, 0, None), "weight_decay": real(0.0, 0, None),
              "clip_norm": real(1.0, 0, None, include_low=False) | None}
    share = real(0.9, 0, 1, include_high=False)
    eps = real(1e-8, 0, None, include_low=False)
    layer = lambda: td.Linear(5, 5, rng())
    yield Case(td.SGD, **common)
    yield Case(td.Momentum, **common, mu=share)
    yield Case(td.RMSProp, **common, rho=share, eps=eps)
    yield Case(td.Adam, **common, b1=share, b2=share, eps=eps)
    yield Case(td.LinearDecay, n_steps=N)
    yield Case(td.CosineDecay, n_steps=N, warm_up=whole(2, 0))
    yield Case(td.StepDecay, boundaries=Kind(lambda: (3, 5), lambda got: isinstance(
        got, (list, tuple, range, set, dict, str)) and all(whole(1).means(b) for b in got)),
        gamma=real(0.1, 0, 1, include_low=False))
    for make in (lambda: td.LinearDecay(5), lambda: td.CosineDecay(5, 2),
                 lambda: td.StepDecay((3, 5))):
        yield method(make, "__call__", step=whole(3, 0, 2**70))
    learned = lambda: Kind(lambda: trained(layer()), lambda got: isinstance(got, td.Layer)
                           and not got.n_parameters())
    for make in (lambda: td.SGD(0.1), lambda: td.Adam(0.1, clip_norm=1.0)):
        yield method(make, "step", layer=learned())
        yield method(make, "to", lambda rule: rule.step(trained(layer())),
                     xp=Kind(lambda: np, lambda got: got is np) | None, dtype=DTYPE | None)


def trained(layer):
    layer.forward(floats(6, 5))
    layer.backward(floats(6, 5))
    return layer


def modules(top=True):
    below = td.DNI(td.Linear(5, 5, rng()), 0.1, td.LinearSynthesizer(5, 5), 0.1)
    return [below, td.DNI(td.Linear(5, 5, rng()), 0.1, loss=td.SoftmaxCrossEntropy())]


def network():
    return td.Network(modules())


STEP = {"x": ROWS, "target": LABELS, "context": Kind(lambda: floats(6, 5), SAME_ROWS.means)}
RATES = real(1.0, 0, None)


def cases_modules():
    alone = lambda: modules()[0]
    dni = {"block": LAYER, "lr": rate(), "synthesizer": SYNTHESIZER, "synthesizer_lr": rate(),
           "loss": LOSS | None}
    several = Kind(modules, lambda got: isinstance(got, list) and got and
                   all(isinstance(module, td.DNI) for module in got))
    yield Case(td.DNI, **dni)
    yield method(alone, "forward_and_synthetic_update", x=ROWS, context=STEP["context"])
    yield method(lambda: modules()[1], "forward_and_synthetic_update", x=ROWS, context=ANY,
                 target=LABELS)
    yield method(alone, "update_synthetic_weights", lambda module:
                 module.forward_and_synthetic_update(floats(6, 5), floats(6, 5)),
                 true_gradient=SAME_ROWS)
    yield method(alone, "learn", h=SAME_ROWS, context=SAME_ROWS, true_gradient=SAME_ROWS)
    yield Case(td.Network, modules=several, algorithm=Kind(lambda: td.backprop, callable),
               warm_up=whole(0, 0))
    yield method(network, "step", **STEP)
    yield method(network, "predict", x=ROWS, batch_size=whole(4))
    yield method(network, "scale_learning_rates", scale=RATES, synthesizers=RATES | None)
    yield method(network, "load_state", state=Kind(lambda: network().state(), lambda got: False))
    yield method(network, "to", xp=Kind(lambda: np, lambda got: got is np) | None,
                 dtype=DTYPE | None)
    unseen = STEP | {"context": Kind(STEP["context"].good, lambda got: True)}
    for algorithm in (td.backprop, td.no_backprop):     # their modules are those of a Network
        yield Case(lambda run=algorithm, **step: run(modules(), **step), algorithm.__name__,
                   **unseen)
    yield Case(lambda **step: td.update_decoupled(modules(), **step), "update_decoupled", **STEP)
    block = lambda: td.Linear(5, 5, rng())
    yield Case(td.build, blocks=layers(block, block), loss=LOSS, lr=maker_of_rate(),
               synthesizer=Kind(lambda: td.LinearSynthesizer, callable),
               synthesizer_lr=maker_of_rate(), input_shape=Kind(lambda: (None,), lambda got:
                                                                isinstance(got, tuple) and got),
               algorithm=Kind(lambda: td.backprop, callable), warm_up=whole(0, 0),
               top_lr=maker_of_rate() | None)


def data():
    return td.datasets.addition(bits=2)


def training(**options):
    net = td.build(td.mlp((4, 5, 3), rng()), td.BinaryCrossEntropy(), 0.1, td.LinearSynthesizer,
                   0.1)
    return td.Training(net, data(), 1, 4, 0, error=td.percent_bits_wrong, **options)


def cases_training():
    arguments = {
        "network": instance(lambda: training().network, td.Network),
        "dataset": instance(data, td.datasets.Dataset), "epochs": whole(1), "batch_size": whole(4),
        "seed": SEED_KIND, "schedule": SCHEDULE, "error": Kind(lambda: td.percent_bits_wrong,
                                                               callable),
        "context": array(12, 3, free=0, good=lambda: None) | None,
        "synthesizer_schedule": SCHEDULE, "augment": FUNCTION, "step": FUNCTION}
    yield Case(td.Training, **arguments)
    yield method(training, "run", callbacks=Kind(lambda: (), lambda got: isinstance(
        got, (list, tuple)) and all(map(callable, got))))
    yield method(training, "go_to", position=Kind(lambda: training().position(),
                                                  lambda got: False))
    yield Case(td.stream, seed=SEED_KIND, purpose=one_of(*td.random.PURPOSES), index=whole(0, 0))
    yield Case(lambda backend: td.backend.get(backend), "backend.get", backend=one_of("numpy"))


def sequences():
    x = floats(2, 6, 5)
    return td.Window(x, np.zeros((2, 6), int), np.arange(6), first=True, last=True)


def recurrent(**options):
    block = td.Recurrent(td.LSTM(5, 4, rng()), td.Linear(4, 3, rng()))
    return td.RecurrentModule(block, 0.1, loss=td.SoftmaxCrossEntropy(), **options)


def boundary():
    return td.Boundary(td.LinearSynthesizer(5), 0.1)


def cases_time():
    state = array(6, 5)
    yield Case(td.Boundary, synthesizer=SYNTHESIZER, lr=rate(), scale=real(1.0, 0, 1))
    yield method(boundary, "gradient", state=state, context=Kind(lambda: None, lambda got: False)
                 | None)
    learn = lambda **seen: (lambda it: (it.gradient(floats(6, 5)), it.learn(**seen, last=False)))(
        boundary())
    yield Case(learn, "Boundary.learn", state=state, dstate=SAME_ROWS, context=Kind(
        lambda: None, lambda got: False) | None)
    yield Case(td.RecurrentModule, block=LAYER, lr=rate(), boundary=instance(
        boundary, td.Boundary) | None, loss=LOSS)
    whole_steps = Kind(lambda: np.arange(6), lambda got: isinstance(
        got, (list, tuple, range, np.ndarray)) and (not np.size(got) or all(
            whole(0, 0, 5).means(i) for i in got)))
    yield Case(td.cut, x=array(2, 6, 5, free=1), target=array(2, 6, kind="iu", good=lambda:
               np.zeros((2, 6), int)), asked=whole_steps, size=whole(3), contexts=array(
               2, 7, 4, free=3) | None, first_size=whole(2) | None)

    def step(**fields):
        net = td.RecurrentNetwork([recurrent()])
        window = sequences()
        for name, value in fields.items():
            setattr(window, name, value)
        return net.step(window)
    yield Case(step, "RecurrentNetwork.step of a Window", x=array(2, 6, 5, free=0), target=array(
        2, 6, kind="iu", good=lambda: np.zeros((2, 6), int)), asked=whole_steps,
        weight=real(1.0, 0, None))
    one = lambda: td.RecurrentNetwork([recurrent()])
    yield method(one, "step", x=instance(sequences, td.Window))
    yield method(one, "predict", x=array(2, 6, 5, free=2), states=Kind(
        lambda: [floats(2, 8)], lambda got: isinstance(got, (list, tuple)) and not got) | None)


def learning(make, h=None, context=None):
    h, context = h or ROWS, context or SAME_ROWS
    yield method(make, "forward", h=h, context=context)
    yield method(make, "backward", lambda it: it.forward(h.good(), context.good()),
                 ddelta_hat=Kind(h.good, array(*h.good().shape, free=0).means))
    yield method(make, "learn", h=h, context=context, target=Kind(
        h.good, array(*h.good().shape, free=0).means), lr=rate())


def cases_synthesizers():
    width = {"n_h": N, "n_context": whole(3, 0)}
    output = LAYER | None
    yield Case(td.LinearSynthesizer, **width, dtype=DTYPE)
    yield Case(td.NetworkSynthesizer, net=LAYER, n_h=N, n_context=whole(0, 0))
    yield Case(td.mlp_synthesizer, **width, rng=RNG, hidden=SOME_WIDTHS, dtype=DTYPE)
    yield Case(td.VirtualLinear, n_h=N, n_context=N, rng=RNG, output=output, dtype=DTYPE)
    for make in (lambda: td.LinearSynthesizer(5, 5), lambda: td.VirtualLinear(5, 5, rng()),
                 lambda: td.mlp_synthesizer(5, rng(), 5, (4,)),
                 lambda: td.NetworkSynthesizer(td.Linear(10, 5, rng()), 5, 5)):
        yield from learning(make)


def cases_variants():
    v, output = td.variants, LAYER | None
    width = {"n_h": N, "n_context": whole(3, 0), "rng": RNG, "dtype": DTYPE}
    yield Case(v.AuxiliarySynthesizer, **width, hidden=whole(4))
    yield Case(v.conv_synthesizer, **width, form=one_of("linear", "hidden", "resnet"),
               kernel=whole(3), width=whole(4))
    yield Case(v.VirtualMLP, **width | {"n_context": N}, hidden=whole(4), output=output)
    yield Case(v.VirtualNetwork, net=LAYER, n_context=N, output=output,
               step=real(0.1, 0, 1, include_low=False), supervised=real(0.0, 0, None))
    yield Case(v.LocalHead, net=LAYER, n_context=N, output=output)
    yield Case(v.Guess, n_in=N, n_codes=whole(3, 2), rng=RNG, hidden=whole(4), dtype=DTYPE)
    yield Case(v.GuessSynthesizer, virtual=instance(lambda: td.VirtualLinear(5, 3, rng()),
               td.VirtualLinear), guess=instance(lambda: v.Guess(5, 3, rng()), v.Guess))
    yield Case(v.Frozen, synthesizer=SYNTHESIZER)
    yield Case(v.Flattened, synthesizer=SYNTHESIZER)
    yield Case(v.Scaled, synthesizer=SYNTHESIZER, scale=real(2.0, 0, None, include_low=False))
    yield Case(v.BPLambda, lam=real(0.5, 0, 1))
    yield Case(v.Stochastic, p=real(0.5, 0, 1, include_low=False), n_modules=whole(2),
               seed=SEED_KIND)
    yield Case(v.DirectFeedback, n_out=N, widths=SOME_WIDTHS, seed=SEED_KIND, dtype=DTYPE)
    yield Case(v.LateTargets, widths=WIDTHS, batch_size=whole(4), delay=whole(1, 0),
               share=real(0.0, 0, 1), n_context=whole(0, 0), dtype=DTYPE)
    yield Case(v.looks_linear, widths=Kind(lambda: (5, 4, 4, 2), WIDTHS.means), rng=RNG,
               hidden=FUNCTION, dtype=DTYPE)
    yield Case(v.input_synthesizer, n_in=N, n_h=N, rng=RNG, hidden=SOME_WIDTHS, dtype=DTYPE)
    yield Case(v.conv_input_synthesizer, x_shape=Kind(lambda: (4, 4, 3), lambda got: False),
               h_shape=Kind(lambda: (2, 2, 5), lambda got: False), rng=RNG, width=whole(4),
               dtype=DTYPE)
    yield Case(lambda layer: v.Ensemble(td.ReLU(), layer), "Ensemble", layer=LAYER)
    yield Case(lambda branch: v.OpenShortcut(branch), "OpenShortcut", branch=LAYER)
    yield Case(v.OpenShortcut, "OpenShortcut", shortcut=LAYER | None)
    yield Case(lambda n_branch, branch: v.CloseShortcut(n_branch, branch), "CloseShortcut",
               n_branch=N, branch=LAYER)
    yield Case(v.with_heads, network=instance(network, td.Network), heads=layers(
        lambda: td.Linear(5, 5, rng())), lr=maker_of_rate(), n_run=whole(1) | None, seed=SEED_KIND)
    yield Case(v.full_unlock, network=instance(network, td.Network), synthesizer=Kind(
        lambda: td.LinearSynthesizer, callable), lr=maker_of_rate(), input_shape=instance(
        lambda: (None,), tuple))
    yield Case(v.Heads, heads=Kind(lambda: [modules()[1]], lambda got: False), n_run=whole(1)
               | None, seed=SEED_KIND)
    yield Case(v.FullUnlock, synthesizers=NOTHING,
               optimizers=NOTHING)
    for make in (lambda: v.VirtualMLP(5, 5, rng(), 4), lambda: v.Scaled(
            td.LinearSynthesizer(5, 5), 2.0), lambda: v.Frozen(td.LinearSynthesizer(5, 5)),
            lambda: v.LocalHead(td.Linear(5, 5, rng()), 5),
            lambda: v.VirtualNetwork(td.Linear(5, 5, rng()), 5)):
        yield from itertools.islice(learning(make), 0, 3, 2)


def cases_tools():
    d, g = td.datasets, td.gradcheck
    yield Case(d.addition, bits=whole(2, 1, 31), seed=SEED_KIND, max_pairs=whole(100, 2))
    yield Case(d.digits, seed=SEED_KIND)
    yield Case(d.crop_and_flip, xp=Kind(lambda: np, lambda got: got is np), x=array(
        2, 4, 4, 3, free=4), rng=RNG, pad=whole(1, 0, 4))
    yield Case(d.Dataset, name=ANY, x=array(6, 5), y=LABELS, x_test=array(6, 5), y_test=LABELS,
               n_classes=whole(5, 2), held_out=one_of("test", "validation"),
               notes=Kind(lambda: (), lambda got: isinstance(got, tuple)
                                         and not got))
    yield method(data, "with_validation", n=whole(3, 1, 11))
    yield method(data, "context", dtype=DTYPE)
    yield method(data, "as_images", H=whole(2), W=whole(2), C=whole(1))
    yield Case(g.Settings, step=real(1e-4, 0, None, include_low=False) | None, directions=whole(3),
               tolerance=real(1e-6, 0, None, include_low=False), most_entries=whole(100))
    inputs = Kind(lambda: floats(6, 5), lambda got: isinstance(got, (
        tuple, list, range, np.ndarray, bool, numbers.Real)))      # of numbers, or a shape
    linear = instance(lambda: td.Linear(5, 5, rng()), td.Layer, td.DNI)
    yield Case(lambda layer, x, rng: g.check_layer(layer, x, rng=rng), "check_layer",
               layer=linear, x=inputs, rng=RNG | None)
    yield Case(g.check_loss, loss=LOSS, prediction=inputs, target=inputs, rng=RNG | None)
    yield Case(g.check_synthesizer, synthesizer=SYNTHESIZER, h=inputs, context=Kind(
        lambda: None, lambda got: False) | None, rng=RNG | None)
    yield Case(lambda thing: g.assert_gradients(thing, (6, 5)), "assert_gradients",
               thing=linear)


def cases_pictures():
    p = td.plots
    sequence = Kind(lambda: [1.0, 2.0], lambda got: isinstance(got, (list, tuple, np.ndarray,
                                                                     range)))
    a_network = instance(network, td.Network)
    yield Case(lambda x, y: p.learning_curve({"cdni": (x, y)}), "learning_curve", x=sequence,
               y=sequence)
    yield Case(lambda spread: p.learning_curve({"cdni": ([1, 2], [3, 4], spread)}),
               "learning_curve", spread=sequence)
    yield Case(lambda reference: p.learning_curve({"cdni": ([1], [2])}, reference={
        "paper": reference}), "learning_curve", reference=real(1.0, None, None))
    yield Case(p.learning_curve, curves=named(([1], [2])))
    yield Case(lambda curve: p.learning_curve({"a": curve}), "learning_curve", curve=Kind(
        lambda: ([1], [2]), lambda got: isinstance(got, (tuple, list))))
    labels, bits = like(np.arange(6)), like(np.ones((6, 3), int))
    yield Case(p.misread_digits, images=Kind(lambda: floats(6, 4, 4), lambda got: np.shape(got)
               in ((6, 1), (6, 4), (6, 4, 4))), truth=labels, predicted=labels, count=whole(4),
               columns=whole(2))
    yield Case(p.bit_predictions, x=like(np.ones((6, 4))), truth=bits, predicted=bits,
               count=whole(4))
    yield Case(lambda network: p.draw_network(network), "draw_network", network=a_network)
    yield Case(lambda titles: p.draw_network(network(), titles=titles), "draw_network",
               titles=names(["one"]) | None)
    yield Case(p.summary, network=a_network, input_shape=Kind(
        lambda: (5,), SOME_WIDTHS.means))
    cell = {"row": "a", "column": "b", "mean": 1.0, "std": 0.1, "seeds": 2, "paper": None}
    spread, text = real(1.0, None, None), Kind(lambda: "a", lambda got: True)
    for table in (p.markdown_table, p.results_table):
        yield Case(table, rows=Kind(lambda: [cell], lambda got: False))
        yield Case(lambda table=table, **odd: table([cell | odd]), table.__name__, row=text,
                   column=text, mean=spread, std=spread | None, seeds=whole(2), paper=ANY)
    yield Case(p.cell_scatter, reference=CELLS, before=CELLS, after=CELLS, rng=RNG,
               names=names("abc"))
    yield Case(p.marker_histograms, reference=CELLS, before=CELLS, after=CELLS,
               markers=names("abcde"))
    records = np.array([[0, step, step, step + 1] for step in range(3)], float)
    yield Case(p.timeline, runs=named({0: records}), n_batches=whole(1))
    yield Case(lambda records: p.timeline({"a run": {0: records}}), "timeline", records=Kind(
        lambda: records, lambda got: False))
    history = {"epoch": [1], "gradients": [[{"cosine": 0.5, "norm_ratio": None}]]}
    yield Case(p.gradient_quality, histories=named(history))
    yield Case(lambda **odd: p.gradient_quality({"cdni": history | odd}), "gradient_quality",
               epoch=like(np.ones(1)), gradients=Kind(lambda: history["gradients"],
                                                      lambda got: False))
    yield Case(p.check_path, path=Kind(lambda: "a.png", lambda got: False))


FAMILIES = {name[6:]: cases for name, cases in list(globals().items()) if name[:6] == "cases_"}


# The judge.

def told(error, case, odd):
    """Why an exception is not allowed, or None."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    if any(callable(value) and case.kinds[name].means(value) for name, value in odd.items()):
        return None                     # a function of one's own raises what it likes
    if not isinstance(error, OWN):
        return f"{type(error).__name__}: {error}"
    if last.filename == __file__ and isinstance(error, TypeError):
        return None                     # Python's own word about the arguments of a call
    if not last.filename.startswith(HOME) or "raise" not in linecache.getline(
            last.filename, last.lineno):
        return f"{type(error).__name__} of {Path(last.filename).name}:{last.lineno}: {error}"
    if not any(re.search(rf"\b({name}|{OTHERS.get(name, name)})\b", str(error)) for name in odd):
        return f"names none of {', '.join(odd)}: {error}"
    if not re.search(r"got|has |is a class|takes an argument|have |missing|empty|differ|together|"
                     r"but |stands|needs|exist", str(error)):
        return f"does not say what was got: {error}"
    return None


def arrays_in(result):
    if isinstance(result, np.ndarray):
        yield result
    elif isinstance(result, (tuple, list)):
        for part in result:
            yield from arrays_in(part)


def finite(value):
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())
    return not isinstance(value, (float, np.floating)) or abs(value) < 1e38


def judge(case, odd):
    """Make the call. Return what is wrong with what happened, or None."""
    def late(*_):
        raise TimeoutError(f"{SECONDS} seconds")
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            result = case.call(**odd)
    except Exception as error:
        return told(error, case, odd)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    taken = [name for name, value in odd.items() if not case.kinds[name].means(value)]
    if taken:
        return f"takes {', '.join(taken)} in silence"
    if all(map(finite, odd.values())):
        if not all(finite(each) for each in (result, *arrays_in(result))):
            return "gives what is not finite"
        if any(issubclass(each.category, RuntimeWarning) for each in heard):
            return f"warns: {heard[0].message}"
    return None


def shown(value):
    if isinstance(value, np.ndarray):
        return f"<{type(value).__name__} {value.dtype} {value.shape}>"
    return repr(value)[:60]


def faults(family, seed=SEED, calls=CALLS):
    """Make the calls of a family. Return the sentences about those that are not allowed."""
    draw, found = np.random.default_rng([seed, len(family)]), {}
    cases = list(FAMILIES[family]())
    for case in cases:                  # what is not odd works
        case.call()
    for i in range(calls):
        case = cases[i % len(cases)]
        names = list(case.kinds)
        n = 2 if len(names) > 1 and draw.random() < 0.2 else 1
        odd = {str(name): POOL[draw.integers(len(POOL))]()
               for name in draw.choice(names, n, replace=False)}
        said = f"{case.called}({', '.join(f'{k}={shown(v)}' for k, v in odd.items())})"
        wrong = judge(case, odd)
        if wrong:
            found[said] = wrong
    return [f"{call}: {wrong}" for call, wrong in found.items()]


@pytest.fixture(autouse=True)
def limited_memory():
    """A size that nobody has must fail here, and not take the machine's memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_a_check_that_is_left_out_is_found(monkeypatch):
    assert not faults("passes")
    monkeypatch.setattr("tinydni.linear.check_rows", lambda *_: None)
    assert any(said.startswith("Linear.forward(x=") for said in faults("passes"))


@pytest.mark.parametrize("family", FAMILIES)
def test_an_odd_argument_works_or_is_told_in_a_sentence(family):
    found = faults(family)
    assert not found, f"FUZZ_SEED={SEED}, {len(found)} of {CALLS}:\n" + "\n".join(found)
