"""Backends: what crosses the border, what the fake device refuses, the same step on each."""

import operator
import pickle
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import fake_device
import numpy as np
import pytest
from conftest import BACKENDS, on_devices
from fake_device import count_copies, count_float64, count_launches, count_synchronisations
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni import backend
from tinydni.activations import ReLU, Sigmoid, Softplus, Tanh
from tinydni.algorithms import backprop, no_backprop, update_decoupled
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Residual, Sequential
from tinydni.dni import build
from tinydni.dropout import Dropout
from tinydni.linear import Linear
from tinydni.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from tinydni.optimizers import SGD, Adam, Momentum, RMSProp
from tinydni.pooling import Flatten
from tinydni.synthesizers import LinearSynthesizer, mlp_synthesizer

DEVICES = {name: module for name, module in BACKENDS.items() if name != "numpy"}


# The border ---------------------------------------------------------------------------------------

def test_numpy_is_there():
    assert backend.get("numpy") is np
    assert backend.name_of(np) == "numpy" and backend.is_host(np)


def test_names_and_places(xp):
    assert backend.name_of(xp) in BACKENDS
    assert backend.is_host(xp) == (xp is np)


@pytest.mark.parametrize("name", ["torch", "Numpy", "", None])
def test_an_unknown_backend_is_an_error(name):
    with pytest.raises(ValueError, match=f"backend must be one of numpy, cupy; got {name!r}"):
        backend.get(name)


def test_there_and_back(xp):
    host = np.arange(6, dtype=np.float32).reshape(2, 3)
    array = backend.asarray(xp, host)
    assert isinstance(array, xp.ndarray) and array.dtype == host.dtype and array.shape == host.shape
    back = backend.to_numpy(array)
    assert type(back) is np.ndarray and back.dtype == host.dtype
    np.testing.assert_array_equal(back, host)


def test_asarray_converts_where_asked(xp):
    array = backend.asarray(xp, np.arange(3), np.float64)
    assert array.dtype == np.float64
    assert backend.asarray(xp, array) is array
    np.testing.assert_array_equal(backend.to_numpy(array), [0, 1, 2])


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_array_is_a_copy(name):
    host = np.zeros(3)
    array = backend.asarray(DEVICES[name], host)
    host += 1
    np.testing.assert_array_equal(backend.to_numpy(array), 0)
    backend.to_numpy(array)[:] = 2
    np.testing.assert_array_equal(backend.to_numpy(array), 0)


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_array_does_not_become_a_host_array_by_itself(name):
    with pytest.raises(TypeError, match="Implicit conversion"):
        backend.asarray(np, DEVICES[name].zeros(3))


def test_text_is_no_array():
    for xp in (fake_device.xp, *DEVICES.values()):
        with pytest.raises((ValueError, TypeError)):
            backend.asarray(xp, np.array(["one"]))


# Why there is no CuPy -----------------------------------------------------------------------------

class FakeCUDAError(RuntimeError):
    """What CuPy's runtime raises."""


def cupy_like(driver=12000, driver_error=None, devices=1, product_error=None):
    """A module like CuPy, with this driver and number of GPUs; its first product may fail."""
    def driver_version():
        if driver_error:
            raise FakeCUDAError(driver_error)
        return driver

    def ones(shape, dtype):
        if product_error:
            raise product_error
        return fake_device.xp.ones(shape, dtype)

    runtime = SimpleNamespace(driverGetVersion=driver_version, CUDARuntimeError=FakeCUDAError)
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime, is_available=lambda: devices > 0),
                           ones=ones, float32=np.float32, __name__="cupy")


CASES = {
    "not installed": (None, "CuPy is not installed; .*pip install"),
    "no driver": (cupy_like(driver=0), "no NVIDIA driver is installed"),
    "driver fails": (cupy_like(driver_error="cudaErrorUnknown"),
                     r"driver does not answer \(cudaErrorUnknown\)"),
    "no device": (cupy_like(devices=0), "shows no GPU to this process"),
    "product fails": (cupy_like(product_error=ImportError("libcublas.so.12: no such file")),
                      r"the first product on it failed \(ImportError: libcublas"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_reason_why_there_is_no_cupy(monkeypatch, case):
    module, reason = CASES[case]
    monkeypatch.setitem(sys.modules, "cupy", module)
    with pytest.raises(backend.BackendError,
                       match=f"backend 'cupy' cannot be used here: .*{reason}"):
        backend.get("cupy")


def test_a_cupy_that_works_is_given(monkeypatch):
    module = cupy_like()
    monkeypatch.setitem(sys.modules, "cupy", module)
    assert backend.why_no_cupy() is None
    assert backend.get("cupy") is module


# What the fake device catches ---------------------------------------------------------------------

# who refuses it; the docstring of fake_device says why
ALSO_CUPY, FAKE_ONLY = ("fake", "cupy"), ("fake",)

MISTAKES = {        # name: (what NumPy lets through, the error on a device, where)
    "a host array in a sum": (lambda xp, x, host: x + host, TypeError, ALSO_CUPY),
    "a host array on the left": (lambda xp, x, host: host - x, TypeError, ALSO_CUPY),
    "a host array, in place": (lambda xp, x, host: operator.iadd(x, host), TypeError, ALSO_CUPY),
    "a device array into a host array": (lambda xp, x, host: operator.iadd(host, x), TypeError,
                                         ALSO_CUPY),
    "a host array in a product": (lambda xp, x, host: x @ host.T, TypeError, ALSO_CUPY),
    "a host array as an argument": (lambda xp, x, host: xp.maximum(x, host), TypeError, ALSO_CUPY),
    "a host array in a list": (lambda xp, x, host: xp.concatenate([x, host]), TypeError, ALSO_CUPY),
    "out on the host": (lambda xp, x, host: xp.exp(x, out=host), TypeError, ALSO_CUPY),
    "np.exp with out on the host": (lambda xp, x, host: np.exp(x, out=host), TypeError, ALSO_CUPY),
    "np.asarray": (lambda xp, x, host: np.asarray(x), TypeError, ALSO_CUPY),
    "np.array of a list": (lambda xp, x, host: np.array([x, x]), TypeError, ALSO_CUPY),
    "assert_allclose": (lambda xp, x, host: np.testing.assert_allclose(x, host), TypeError,
                        ALSO_CUPY),
    "a list of numbers as an array": (lambda xp, x, host: xp.exp([1.0, 2.0]), TypeError, ALSO_CUPY),
    "range of an array": (lambda xp, x, host: range(xp.argmax(x)), TypeError, ALSO_CUPY),
    "a function that CuPy lacks": (lambda xp, x, host: xp.errstate(all="ignore"), AttributeError,
                                   ALSO_CUPY),
    "NumPy's function that CuPy lacks": (lambda xp, x, host: np.block([[x]]), TypeError, ALSO_CUPY),
    "a method that CuPy lacks": (lambda xp, x, host: x.setflags(write=False), AttributeError,
                                 ALSO_CUPY),
    "a keyword that CuPy lacks": (lambda xp, x, host: xp.einsum("ij->i", x, out=x[:, 0]), TypeError,
                                  ALSO_CUPY),
    "a method's keyword": (lambda xp, x, host: x.sum(where=x > 0), TypeError, ALSO_CUPY),
    "a reduction of a NumPy ufunc": (lambda xp, x, host: np.add.reduce(x), TypeError, ALSO_CUPY),
    "assigning a host array": (lambda xp, x, host: operator.setitem(x, 0, host[0]), ValueError,
                               ALSO_CUPY),
    "a shape from an array": (lambda xp, x, host: xp.zeros(xp.argmax(x)), TypeError, FAKE_ONLY),
    "an index on the host": (lambda xp, x, host: x[np.array([0, 1])], TypeError, FAKE_ONLY),
    "a list as an index": (lambda xp, x, host: x[[0, 1]], TypeError, FAKE_ONLY),
    "two values for one place": (lambda xp, x, host: operator.setitem(x, (0, xp.asarray([1, 1])),
                                                                      x[1, :2]),
                                 RuntimeError, FAKE_ONLY),
    "values through a mask": (lambda xp, x, host: operator.setitem(x, x > 2, x[x > 2]), TypeError,
                              FAKE_ONLY),
}


def example(xp):
    host = np.arange(6, dtype=np.float32).reshape(2, 3)
    return backend.asarray(xp, host.copy()), host


@pytest.mark.parametrize("name, mistake",
                         [(name, mistake) for name in DEVICES for mistake in MISTAKES
                                           if name in MISTAKES[mistake][2]])
def test_a_mistake_that_numpy_lets_through_fails_on_a_device(name, mistake):
    make, error, _ = MISTAKES[mistake]
    make(np, *example(np))
    with pytest.raises(error):
        make(DEVICES[name], *example(DEVICES[name]))


WAITS = {       # name: (what makes the host wait, how often)
    "an if": (lambda xp, x: 1 if x.sum() > 0 else 0, 1),
    "float() in a loop": (lambda xp, x: [float(x[0, i]) for i in range(3)], 3),
    "int()": (lambda xp, x: int(x.argmax()), 1),
    "max()": (lambda xp, x: max(x.sum(), 0), 1),
    "in": (lambda xp, x: 1.0 in x.ravel(), 3),
    "a loop over numbers": (lambda xp, x: [None for _ in x[0]], 1),
    "item()": (lambda xp, x: x[0, 0].item(), 1),
    "tolist()": (lambda xp, x: x.tolist(), 1),
    "get()": (lambda xp, x: x.get(), 1),
    "to_numpy": (lambda xp, x: backend.to_numpy(x), 1),
    "printing": (lambda xp, x: f"{x}", 1),
    "pickle": (lambda xp, x: pickle.loads(pickle.dumps(x)), 1),
    "x[mask]": (lambda xp, x: x[x > 1], 1),
    "nonzero": (lambda xp, x: x.nonzero(), 1),
    "where with one argument": (lambda xp, x: xp.where(x > 1), 1),
    "unique": (lambda xp, x: xp.unique(x), 1),
    "np.unique": (lambda xp, x: np.unique(x), 1),
    "if allclose": (lambda xp, x: bool(xp.allclose(x, x)), 1),
}


@pytest.mark.parametrize("name", WAITS)
def test_waiting_is_counted(name):
    wait, times = WAITS[name]
    x, _ = example(fake_device.xp)
    with count_synchronisations() as waits:
        wait(fake_device.xp, x)
    assert len(waits) == times, waits
    assert all("backend.py:" in line for line in waits), waits          # it says where


# what NumPy does with these, the device does without waiting, and the result is the same
STAYS = {
    "arithmetic": lambda xp, x: (0.5 - x * 2) / (x + 1) ** 2,
    "reflected power": lambda xp, x: 2 ** -x,
    "comparison": lambda xp, x: (x > 1) & ~(x == 3),
    "a NumPy scalar": lambda xp, x: np.float64(0.1) * x,
    "another NumPy scalar": lambda xp, x: x - np.float32(0.1),
    "a full reduction": lambda xp, x: x.sum() / len(x),
    "matrix products": lambda xp, x: x @ x.T + xp.matmul(x, x.T) + xp.dot(x, x.T),
    "out": lambda xp, x: xp.add(xp.sqrt(x, out=xp.empty_like(x)), 1, out=xp.zeros((2, 3), x.dtype)),
    "einsum": lambda xp, x: xp.einsum("ni,nj->ij", x, x),
    "tensordot": lambda xp, x: xp.tensordot(x, x, axes=((0,), (0,))),
    "vdot": lambda xp, x: xp.vdot(x, x),
    "slices": lambda xp, x: x[:, ::-1][..., None, 1:],
    "one entry": lambda xp, x: x[1, 2],
    "an index on the device": lambda xp, x: x[xp.asarray([1, 0, 1])],
    "a pair of indices": lambda xp, x: x[xp.arange(2), xp.asarray([2, 0])],
    "indices at an axis": lambda xp, x: xp.take_along_axis(x, xp.argsort(-x, axis=1), axis=1),
    "stacking": lambda xp, x: xp.concatenate([xp.stack([x, x]), x[None]], axis=0),
    "splitting": lambda xp, x: xp.split(x, 3, axis=1)[1] + xp.hsplit(x, 3)[2],
    "shapes": lambda xp, x: xp.broadcast_to(x.reshape(3, 2, 1).transpose(1, 0, 2),
                                            (2, 3, 4)).swapaxes(0, 1),
    "padding": lambda xp, x: xp.pad(x, ((1, 1), (0, 2))),
    "windows": lambda xp, x: xp.lib.stride_tricks.sliding_window_view(x, (2, 2)).sum(axis=(2, 3)),
    "as_strided": lambda xp, x: xp.lib.stride_tricks.as_strided(x, (2, 2, 2),
                                                                (*x.strides, x.strides[1])),
    "where": lambda xp, x: xp.where(x > 2, x, 0) + xp.clip(x, 1, 3) + xp.maximum(x, 2),
    "functions": lambda xp, x: xp.exp(-x) + xp.log1p(x) + xp.tanh(x) + xp.abs(x) + xp.sign(x),
    "statistics": lambda xp, x: x.mean(axis=0) + x.var(axis=0) + x.max(axis=0) + x.argmax(axis=0)
    + x.std(), "cumulative sums": lambda xp, x: xp.cumsum(x, axis=1) + xp.add.reduce(x, axis=0),
    "norms": lambda xp, x: xp.linalg.norm(x),
    "NumPy's own functions": lambda xp, x: np.exp(x) + np.sum(x, axis=0) + np.linalg.norm(x),
    "types": lambda xp, x: x.astype(xp.float64) + xp.zeros(3, xp.float32)
    + xp.arange(3, dtype=np.int32), }


@pytest.mark.parametrize("name", STAYS)
def test_what_stays_on_the_device_is_not_counted_and_equals_numpy(name):
    x, host = example(fake_device.xp)
    expected = STAYS[name](np, host)
    with count_synchronisations() as waits:
        got = STAYS[name](fake_device.xp, x)
    assert not waits
    assert isinstance(got, fake_device.xp.ndarray) and got.shape == np.shape(expected)
    assert got.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(got.get(), expected)


WRITES = {
    "in place": lambda xp, x: [operator.iadd(x, 1), operator.imul(x, x),
                               operator.itruediv(x, x.sum() + 1)],
    "a value": lambda xp, x: operator.setitem(x, (slice(None), 1), 7),
    "an array": lambda xp, x: operator.setitem(x, 0, x[1]),
    "a scalar array": lambda xp, x: operator.setitem(x, Ellipsis, x.sum()),
    "through a mask": lambda xp, x: operator.setitem(x, x > 2, -1),
    "through an index": lambda xp, x: operator.setitem(x, (xp.arange(2), xp.asarray([2, 0])),
                                                       x[:, 1]),
    "one of each row": lambda xp, x: operator.setitem(x, (xp.arange(2), xp.asarray([1, 1])),
                                                      x[:, 1] - 1),
    "through a view": lambda xp, x: operator.iadd(x.reshape(6)[2:4], 10),
    "one entry": lambda xp, x: operator.iadd(x[1, 1], 10) if xp is not np
    else operator.iadd(x[1, 1, ...], 10),
    "adding at": lambda xp, x: xp.add.at(x, (xp.asarray([0, 0, 1]), xp.asarray([1, 1, 2])), 1),
    "fill": lambda xp, x: x.fill(3),
}


@pytest.mark.parametrize("name", WRITES)
def test_writing_equals_numpy(name):
    x, host = example(fake_device.xp)
    WRITES[name](np, host)
    with count_synchronisations() as waits:
        WRITES[name](fake_device.xp, x)
    assert not waits
    np.testing.assert_array_equal(x.get(), host)


def test_promotion_is_that_of_numpy_2(xp):
    """Numbers of Python follow the array; numbers and arrays of NumPy or the device do not."""
    x = xp.ones(3, dtype=np.float32)
    for weak in (2, 2.0, True, np.float32(2), np.int8(2)):
        assert (x * weak).dtype == np.float32, repr(weak)
    doubles = xp.ones(3, dtype=np.float64)
    for strong in (np.float64(2), doubles, doubles.sum(), xp.ones(3, dtype=np.int64)):
        assert (x * strong).dtype == np.float64
    assert (x.mean() * 2).dtype == np.float32


def test_copies_to_the_device_are_counted_and_located():
    xp = fake_device.xp
    with count_copies() as copies:
        x = xp.asarray(np.zeros(3))
        x[:] = np.ones(3)
        xp.asarray(x), xp.zeros(3), x.copy(), x[xp.arange(2)]
    assert [line.partition(" in ")[0] for line in copies] == ["asarray or array", "set()"]
    assert all("test_backend.py:" in line for line in copies)


def test_float64_arrays_are_counted_and_located():
    x, y = fake_device.xp.ones(3, dtype=np.float32), fake_device.xp.ones(3, dtype=np.float64)
    with count_float64() as doubles:
        x * 2.0, x.sum() / 3
        x += 2.0
        x * fake_device.xp.arange(3)
        x *= y
    assert [line.rpartition(" in ")[0]
            for line in doubles] == ["(3,)", "in-place arithmetic"], doubles
    assert all("test_backend.py:" in line for line in doubles)


def test_launches_are_counted_and_located():
    xp = fake_device.xp
    x = xp.ones((3, 3), dtype=np.float32)
    with count_launches() as launches:
        # only other ways to look at it
        x[1:].T, x.reshape(9), x.shape, xp.asarray(x), len(x)
        x.T.reshape(9)                                                  # a copy
        x += 1
        xp.exp(x, out=x)
        y = x @ x + x.sum()
        y[0] = 7
        y[1:] += x[1:]                          # one addition: CuPy writes nothing onto itself
    assert [line.partition(" in ")[0] for line in launches] == ["reshape", "iadd", "exp", "matmul",
                                                                "sum", "add", "assign", "iadd"]
    assert all("test_backend.py:" in line for line in launches)


def test_counters_can_be_nested():
    x = fake_device.xp.ones(())
    with count_synchronisations() as outer:
        float(x)
        with count_synchronisations() as inner:
            float(x)
        float(x)
    float(x)
    assert (len(outer), len(inner)) == (3, 1)


def test_the_operators_are_those_of_cupy():
    cupy = pytest.importorskip(
        "cupy", reason="CuPy is not installed, so its array cannot be looked at")
    ours = {name for name in vars(fake_device.DeviceArray) if name.startswith("__")}
    assert ours - set(dir(cupy.ndarray)) <= {"__slots__", "__module__", "__getattr__"}
    assert not hasattr(cupy.ndarray, "__index__") and not hasattr(cupy.ndarray, "__imatmul__")


def test_numpy_finds_no_way_in():
    x = fake_device.xp.ones(3)
    for name in ("__array_interface__", "__array_struct__", "__buffer__", "__index__",
                 "__imatmul__", "__dlpack__"):
        assert not hasattr(x, name), name
    with pytest.raises(TypeError):
        memoryview(x)


# A training step on every backend -----------------------------------------------------------------

N, D, H, K = 8, 6, 5, 4


def blocks(rng, dropout=False):
    """Blocks that between them use every layer."""
    middle = [Dropout(0.3, np.random.default_rng(5))] if dropout else []
    return [Sequential(Flatten(), Linear(D, H, rng), BatchNorm(H), ReLU()),
            Sequential(Residual(Linear(H, H, rng), Tanh()), *middle, Linear(H, H, rng, bias=False),
                       Softplus()),
            Sequential(Linear(H, H, rng), Sigmoid()),
            Sequential(Linear(H, K, rng))]


def synthesizer(form, seed=7):
    rng = np.random.default_rng(seed)
    return {"linear": lambda n_h: LinearSynthesizer(n_h),
            "linear with labels": lambda n_h: LinearSynthesizer(n_h, K),
            "labels only": lambda n_h: LinearSynthesizer(n_h, K, reads_h=False),
            "mlp": lambda n_h: mlp_synthesizer(n_h, rng, hidden=(7,)),
            "mlp with labels": lambda n_h: mlp_synthesizer(n_h, rng, K, hidden=(7, 6))}[form]


FORMS = ("linear", "linear with labels", "labels only", "mlp", "mlp with labels")
METHODS = {"backprop": (backprop, None), "no backprop": (no_backprop, None)} | {
    f"update-decoupled, {form}": (update_decoupled, form) for form in FORMS}
OPTIMIZERS = {"sgd": lambda: SGD(0.05, weight_decay=1e-3),
              "momentum": lambda: Momentum(0.02, clip_norm=0.5),
              "rmsprop": lambda: RMSProp(0.003),
              "adam": lambda: Adam(0.003, weight_decay=1e-3, clip_norm=1.0)}


def network(method, loss=None, optimizer="adam", seed=0, dropout=False):
    algorithm, form = METHODS[method]
    guess = {} if form is None else dict(synthesizer=synthesizer(form),
                                         synthesizer_lr=lambda: SGD(0.01))
    rng = np.random.default_rng(seed)
    return build(blocks(rng, dropout), loss or SoftmaxCrossEntropy(), OPTIMIZERS[optimizer],
                 algorithm=algorithm, input_shape=(2, 3), **guess)


def data(seed=0, n=3 * N):
    """x (n, 2, 3), labels (n,), their context (n, K)"""
    rng = np.random.default_rng(seed)
    labels = rng.integers(K, size=n)
    return rng.standard_normal((n, 2, 3),
                               dtype=np.float32), labels, np.eye(K, dtype=np.float32)[labels]


def train(xp, net, x, target, context, steps=3):
    """Train as the loop does: the data live on the device, the loss is read once per step.

    Returns the losses, and per step the places where the host waited and what was copied there.
    """
    net.to(xp)
    x, target, context = (backend.asarray(xp, array) for array in (x, target, context))
    reads_context = any("context" in s.sees for s in net.synthesizers())
    order = backend.asarray(xp, np.random.default_rng(1).permutation(len(x)))
    losses, waits, copies = [], [], []
    for step in range(steps):
        with count_synchronisations() as waited, count_copies() as copied:
            index = order[step * N:(step + 1) * N]
            losses.append(float(net.step(x[index], target[index],
                                         context[index] if reads_context else None)))
        waits.append(waited)
        copies.append(copied)
    return losses, waits, copies


def parameters(net):
    return [array for _, layer, _ in net.learners() for _, array, _ in layer.named_parameters()]


def assert_same(xp, net, losses, twin, twin_losses):
    """Bit for bit where NumPy computes; nearly where a GPU does."""
    exact = xp in (np, fake_device.xp)
    states = ({path: backend.to_numpy(array) for path, array in either.state().items()}
              for either in (net, twin))
    ours, theirs = states
    assert ours.keys() == theirs.keys()
    for path, array in ours.items():
        assert array.dtype == theirs[path].dtype, path
        if exact:
            np.testing.assert_array_equal(array, theirs[path], err_msg=path)
        else:
            np.testing.assert_allclose(array, theirs[path], rtol=1e-3, atol=1e-4, err_msg=path)
    np.testing.assert_allclose(losses, twin_losses, rtol=0 if exact else 1e-4)


@on_devices
@pytest.mark.parametrize("method", METHODS)
def test_training_is_the_same_on_every_backend_and_waits_once_per_step(xp, method):
    x, labels, context = data()
    twin = network(method)
    twin_losses, _, _ = train(np, twin, x, labels, context)
    net = network(method)
    losses, waits, copies = train(xp, net, x, labels, context)
    assert_same(xp, net, losses, twin, twin_losses)
    if xp is fake_device.xp:
        assert [len(step) for step in waits] == [1, 1, 1], waits        # reading the loss
        assert copies == [[], [], []]
        assert all(isinstance(array, xp.ndarray) for array in parameters(net))


@on_devices
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), BinaryCrossEntropy(), MeanSquaredError()],
                         ids=repr)
def test_every_loss_and_optimizer_is_the_same_on_every_backend(xp, loss, optimizer):
    x, labels, context = data()
    target = labels if isinstance(loss, SoftmaxCrossEntropy) else context
    method = "update-decoupled, linear with labels"
    twin, net = network(method, loss, optimizer), network(method, loss, optimizer)
    twin_losses, _, _ = train(np, twin, x, target, context)
    losses, waits, _ = train(xp, net, x, target, context)
    assert_same(xp, net, losses, twin, twin_losses)
    assert max(map(len, waits)) <= 1, waits


@pytest.mark.parametrize("method, optimizer", [
    *((method, "adam") for method in METHODS), *(("backprop", rule) for rule in OPTIMIZERS)])
def test_no_float64_array_appears_in_a_float32_step(method, optimizer):
    with count_float64() as doubles:
        train(fake_device.xp, network(method, optimizer=optimizer, dropout=True), *data())
    assert not doubles, "\n".join(doubles)


@given(seed=st.integers(0, 2**16), method=st.sampled_from(list(METHODS)), dropout=st.booleans())
@settings(max_examples=15)
def test_the_fake_device_computes_what_numpy_computes(seed, method, dropout):
    x, labels, context = data(seed)
    twin, net = network(method, seed=seed, dropout=dropout), network(method, seed=seed,
                                                                     dropout=dropout)
    twin_losses, _, _ = train(np, twin, x, labels, context)
    losses, waits, copies = train(fake_device.xp, net, x, labels, context)
    assert_same(fake_device.xp, net, losses, twin, twin_losses)
    assert max(map(len, waits)) <= 1, waits
    # a mask per step, drawn on the host
    assert max(map(len, copies)) <= dropout, copies


def test_prediction_and_the_loss_of_a_synthesizer_wait_only_when_read():
    xp = fake_device.xp
    x, labels, context = data()
    net = network("update-decoupled, linear with labels")
    train(xp, net, x, labels, context)
    x = backend.asarray(xp, x)
    with count_synchronisations() as waits:
        prediction = net.predict(x, batch_size=5)
        [s.loss() for s in net.synthesizers()]
    assert prediction.shape == (len(x), K) and not waits


# Moving -------------------------------------------------------------------------------------------

def test_a_network_keeps_its_values_on_the_way_to_a_device_and_back(xp):
    net = network("update-decoupled, mlp with labels", dropout=True)
    before = {path: np.array(array) for path, array in net.state().items()}
    net.to(xp)
    for _, layer, _ in net.learners():
        assert all(part.xp is xp for _, part in layer.walk())
    assert all(isinstance(array, xp.ndarray) for array in parameters(net))
    assert net.modules[-1].loss.xp is xp
    net.to(np)
    after = net.state()
    assert after.keys() == before.keys()
    for path, array in after.items():
        assert type(array) is np.ndarray and array.dtype == before[path].dtype, path
        np.testing.assert_array_equal(array, before[path], err_msg=path)


def test_moving_and_changing_the_dtype_at_once(xp):
    layer = Sequential(Linear(3, 2, np.random.default_rng(0)), BatchNorm(2))
    W = layer.layers[0].W.copy()
    layer.to(xp, np.float64)
    assert {array.dtype for _, array, _ in layer.named_parameters()} == {np.dtype(np.float64)}
    np.testing.assert_array_equal(backend.to_numpy(layer.layers[0].W), W)
    assert layer.forward(xp.ones((4, 3), dtype=np.float64)).dtype == np.float64


def test_moving_forgets_the_gradients_of_the_old_backend(xp):
    layer = Linear(3, 2, np.random.default_rng(0))
    layer.forward(np.ones((4, 3), np.float32))
    layer.backward(np.ones((4, 2), np.float32))
    layer.to(xp)
    assert [gradient for _, _, gradient in layer.named_parameters()] == [None, None]


def test_a_saved_state_continues_on_another_backend(xp):
    """Parameters, statistics and optimizers travel: NumPy, then xp, is as NumPy throughout."""
    x, labels, context = data()
    method = "update-decoupled, mlp with labels"
    through, first, second = (network(method) for _ in range(3))
    train(np, through, x, labels, context)
    through_losses, _, _ = train(np, through, x, labels, context)
    train(np, first, x, labels, context)
    second.to(xp).load_state({path: backend.to_numpy(array)
                              for path, array in first.state().items()})
    losses, _, _ = train(xp, second, x, labels, context)
    assert_same(xp, second, losses, through, through_losses)


@pytest.mark.parametrize("name", DEVICES)
def test_host_data_in_a_network_on_a_device_is_an_error(name):
    net = network("backprop").to(DEVICES[name])
    x, labels, _ = data()
    with pytest.raises(TypeError):
        net.step(x[:N], labels[:N])


# What a run of the tests says about its backends --------------------------------------------------

def run_of_two_tests(pytester, monkeypatch, *options):
    """Run a quick test and a slow one under the conftest of these tests."""
    here = Path(__file__).parents[1]
    for name in ("conftest.py", "fake_device.py", "make_cupy_names.py", "cupy_names.txt"):
        shutil.copy(here / name, pytester.path)
    pytester.makepyfile("""
        import pytest

        def test_quick(xp):
            assert xp.ones(2).sum() == 2

        @pytest.mark.slow
        def test_slow():
            pass
    """)
    monkeypatch.setenv("PYTHONPATH", str(Path(backend.__file__).parents[1]))
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)


BACKENDS_LINE = "tinydni backends: numpy, fake device" + (
    ", cupy" if "cupy" in BACKENDS else "; not run: cupy (*)")


def test_the_run_says_which_backends_ran_and_how_many_slow_tests_did_not(pytester, monkeypatch):
    result = run_of_two_tests(pytester, monkeypatch, "-q")          # which hides the header
    result.assert_outcomes(passed=len(BACKENDS), deselected=1)
    result.stdout.fnmatch_lines([BACKENDS_LINE, "1 slow test not run; --slow runs them"])


@pytest.mark.slow
def test_a_slow_run_says_its_backends_in_the_header(pytester, monkeypatch):
    result = run_of_two_tests(pytester, monkeypatch, "--slow")
    result.assert_outcomes(passed=len(BACKENDS) + 1)
    result.stdout.fnmatch_lines([BACKENDS_LINE])
    result.stdout.no_fnmatch_line("*not run; --slow*")
