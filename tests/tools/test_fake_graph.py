"""The graphs of the device that is not there: they do what CUDA and CuPy do, and not more."""

import contextlib

import fake_device
import fake_graph
import numpy as np
import pytest
from fake_device import NAMES


@pytest.fixture
def capture():
    """A function (work) -> Graph on the fake device, with a pool of its own. Products are
    refused."""
    pool = fake_graph.MemoryPool()

    def captured(work):
        stream = fake_graph.Stream(non_blocking=True)
        with fake_graph.using_allocator(pool.malloc), stream:
            stream.begin_capture()
            try:
                work()
            except Exception:
                with contextlib.suppress(RuntimeError):
                    stream.end_capture()
                raise
            return stream.end_capture()
    captured.pool = pool
    return captured


@pytest.mark.parametrize("name", ["Graph", "MemoryPool", "Stream"])
def test_there_is_only_what_cupy_has(name):
    ours = {f"cuda.{name}.{method}" for method in vars(getattr(fake_graph, name))
            if not method.startswith("_")}
    # an attribute of every stream, set when it is made
    assert ours and ours - NAMES.keys() <= {"cuda.Stream.ptr"}


def test_nothing_is_computed_until_the_launch_and_memory_is_read_then(capture):
    xp, kept = fake_device.xp, {}
    x, y = xp.ones(3), xp.zeros(3)

    def work():
        kept["sum"] = x + 1
        y[...] = kept["sum"] * 2
        x[1:].fill(7)
        xp.exp(x, out=kept["sum"])

    graph = capture(work)
    np.testing.assert_array_equal(x.get(), 1)
    np.testing.assert_array_equal(y.get(), 0)
    assert np.isnan(kept["sum"].get()).all()
    x[...] = xp.asarray([10., 20., 30.])
    graph.launch()
    np.testing.assert_array_equal(y.get(), [22, 42, 62])
    np.testing.assert_array_equal(x.get(), [10, 7, 7])
    np.testing.assert_array_equal(kept["sum"].get(), np.exp([10., 7., 7.]))


def test_numbers_of_the_host_freeze_and_arrays_do_not(capture):
    xp = fake_device.xp
    number, array, x, y = 2.0, xp.asarray(2.0), xp.zeros(()), xp.zeros(())

    def work():
        x.fill(number)
        y[...] = array

    graph = capture(work)
    number = 5.0
    array[...] = 5.0
    graph.launch()
    assert (float(x), float(y)) == (2, 5)


@pytest.mark.parametrize("work, error, message", [
    (lambda xp, x: float(x.sum()), RuntimeError, r"float\(\) is disallowed"),
    (lambda xp, x: x.get(), RuntimeError, r"get\(\) is disallowed"),
    (lambda xp, x: x[x > 0], RuntimeError, r"x\[mask\] is disallowed"),
    (lambda xp, x: xp.asarray(np.ones(2)), RuntimeError, "asarray or array is disallowed"),
    (lambda xp, x: x.set(np.ones((2, 2))), RuntimeError, r"set\(\) is disallowed"),
    (lambda xp, x: x @ x, NotImplementedError, "calling cuBLAS API during stream capture"),
    (lambda xp, x: x.dot(x), NotImplementedError, "calling cuBLAS API during stream capture"),
    (lambda xp, x: xp.einsum("ij,ij->j", x, x), NotImplementedError,
     "calling cuBLAS API during stream capture"),
])
def test_what_cannot_be_captured_raises(capture, work, error, message):
    x = fake_device.xp.ones((2, 2))
    with pytest.raises(error, match=message):
        capture(lambda: work(fake_device.xp, x))
    assert fake_device.recorder is None
    x @ x


def test_a_graph_needs_a_pool_that_lives(capture):
    x = fake_device.xp.ones(2)
    graph = capture(lambda: x + 1)
    graph.launch()
    del capture.pool
    # what a weak reference to the pool says once it is gone
    graph.pool = lambda: None
    with pytest.raises(RuntimeError, match="memory of a pool that is gone"):
        graph.launch()
    stream = fake_graph.Stream(non_blocking=True)
    with stream, pytest.raises(RuntimeError, match="memory of the default pool"):
        stream.begin_capture()
        x + 1
    with pytest.raises(RuntimeError, match="legacy"):
        fake_graph.Stream().begin_capture()


def test_a_capture_in_which_the_host_has_waited_is_lost(capture):
    stream, x = fake_graph.Stream(non_blocking=True), fake_device.xp.ones(2)
    with fake_graph.using_allocator(capture.pool.malloc), stream:
        stream.begin_capture()
        with pytest.raises(RuntimeError):
            float(x.sum())
        with pytest.raises(RuntimeError, match="Invalidated"):
            stream.end_capture()


def test_what_is_not_on_the_capturing_stream_is_computed(capture):
    stream, x = fake_graph.Stream(non_blocking=True), fake_device.xp.ones(2)
    with fake_graph.using_allocator(capture.pool.malloc):
        with stream:
            stream.begin_capture()
        x += 1
        np.testing.assert_array_equal(x.get(), 2)
        with stream:
            assert not stream.end_capture().operations
