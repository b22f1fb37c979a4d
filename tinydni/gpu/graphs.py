"""A training step as one CUDA graph: the host says it once, the GPU repeats it in one launch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from operator import is_
from typing import Any

import numpy as np

from tinydni import backend
from tinydni.backend import Array
from tinydni.dni import Network
from tinydni.gpu.cublas import captured_products
from tinydni.layer import ones
from tinydni.optimizers import Optimizer

__all__ = ["CapturedStep", "check_can_be_captured"]


class CapturedStep:
    """loss = captured(x, target, context): Network.step in one launch instead of several a layer.

    A small network keeps a GPU waiting for the host, which launches every operation by itself. A
    graph is taken down once and then repeated: the operations, the memory they work on, and every
    number that the host has put into them. So what changes from step to step has to lie in arrays
    of its own, which are written before every launch:

    - the batch, copied into x, target and context of the capture;
    - the numbers of the optimizers, `Optimizer.numbers`: rate with its scale, bias correction.

    Steps and updates are counted on the host, as without a graph. The first call is an ordinary
    step, in which optimizers make their state (so are the steps of a warm-up). The second is a
    rehearsal: an ordinary step on the arrays of the capture, in which all kernels are compiled. The
    third captures. A step on other arrays than the one before, such as after `to`, or after
    somebody else has stepped the network, begins anew in the same way; it costs time and changes
    nothing. All other settings stay as at the capture: set weight_decay and the like before.

    x, target, context: as in Network.step, always of the same shapes and dtypes. The loss is a
    scalar of the backend, overwritten by the next call.

    Raises
    ------
    ValueError
        For a network that is not on CuPy or whose step the host decides anew each time (random
        draws on the host, windows of a sequence), and for another batch.
    RuntimeError
        In evaluation mode, or where CuPy cannot capture.
    """

    batch: list[Array] | None = None    # where the batch lies, once there was a rehearsal
    graph: Any = None
    arrays: list[Any] = []              # those of the network after the last call
    steps: int | None = None

    def __init__(self, network: Network):
        check_can_be_captured(network)
        self.network, self.xp = network, network.modules[0].block.xp

    def __call__(self, x: Array, target: Array, context: Array | None = None) -> Array:
        """Take one step. Return the loss."""
        network, arrays = self.network, self.arrays_of_the_network()
        if not all(module.block.training for module in network.modules):
            raise RuntimeError("the network is in evaluation mode, and a captured step trains; "
                               "call network.train() first.")
        goes_on = (self.steps == network.steps and len(arrays) == len(self.arrays)
                   and all(map(is_, arrays, self.arrays)))
        if not goes_on:
            self.batch = self.graph = None
        if not goes_on or network.steps <= network.warm_up:
            loss = network.step(x, target, context)
        else:
            loss = self.step([x, target] if context is None else [x, target, context])
        self.arrays, self.steps = arrays, network.steps
        return loss

    def arrays_of_the_network(self) -> list[Any]:
        """Return what a graph depends on and somebody may replace."""
        learners = list(self.network.learners())
        parameters = [getattr(owner, name)
                      for _, layer, _ in learners for _, owner, name in layer.slots()]
        return [*parameters, *(optimizer.states for _, _, optimizer in learners),
                self.network.algorithm]

    def step(self, batch: list[Array]) -> Array:
        """Take one step on the arrays of the capture: the rehearsal, or else a launch."""
        if self.batch is None:
            return self.rehearsed(batch)
        check_batch(batch, self.batch)
        for there, array in zip(self.batch, batch):
            there[...] = array
        self.write_numbers()
        if self.graph is None:
            self.capture()
        self.graph.launch()
        self.network.steps += 1
        for optimizer, updates in zip(self.optimizers, self.updates):
            optimizer.steps += updates
        return self.loss

    def rehearsed(self, batch: list[Array]) -> Array:
        """Take an ordinary step, with batch and numbers where the graph will look for them."""
        self.batch = [array.copy() for array in batch]
        learners = self.network.learners()
        self.optimizers = list({id(made): made for _, _, made in learners if made.steps}.values())
        count = sum(len(made.numbers(1)) for made in self.optimizers)
        self.numbers = self.xp.zeros(count, self.arrays[0].dtype)
        counts = [optimizer.steps for optimizer in self.optimizers]
        self.write_numbers()
        with bound(self.optimizers, self.numbers):
            loss = self.network.step(*self.batch)
        self.updates = [optimizer.steps - count
                        for optimizer, count in zip(self.optimizers, counts)]
        check_updates(self.optimizers, self.updates)
        return loss

    def write_numbers(self) -> None:
        """Copy the numbers of the step to come to the device, without waiting for it."""
        numbers = [number for optimizer in self.optimizers
                   for number in optimizer.numbers(optimizer.steps + 1)]
        stream = self.xp.cuda.get_current_stream()
        self.numbers.set(np.array(numbers, self.numbers.dtype), stream=stream)

    def capture(self) -> None:
        """Take down one step without computing it. Nothing is counted."""
        network, counts = self.network, [optimizer.steps for optimizer in self.optimizers]
        steps = network.steps
        self.pool = self.xp.cuda.MemoryPool()       # of the graph alone
        batch = self.batch or []
        try:
            with bound(self.optimizers, self.numbers):
                self.graph, self.loss = taken_down(self.xp, self.pool, lambda: network.step(*batch))
        finally:
            network.steps = steps
            for optimizer, count in zip(self.optimizers, counts):
                optimizer.steps = count


@contextmanager
def bound(optimizers: Sequence[Optimizer], numbers: Array) -> Iterator[None]:
    """Let the optimizers read their numbers from an array, each an array (), in this context."""
    places = iter(range(len(numbers)))
    try:
        for optimizer in optimizers:
            found = [numbers[next(places)] for _ in optimizer.numbers(1)]
            vars(optimizer)["numbers"] = lambda t, found=found: found
        yield
    finally:
        for optimizer in optimizers:
            vars(optimizer).pop("numbers", None)


def taken_down(xp: Any, pool: Any, step: Callable[[], Array]) -> tuple[Any, Array]:
    """Return (graph, what step() returned): a step that is not computed, in the memory of a pool.

    Raises RuntimeError where CuPy cannot capture an operation.
    """
    stream = xp.cuda.Stream(non_blocking=True)
    ones.cache_clear()    # kept between steps: the graph makes its own, since others may
    try:                        # throw these away; and nobody else may use those of the graph
        with xp.cuda.using_allocator(pool.malloc), stream, captured_products(xp, stream):
            stream.begin_capture()
            try:
                result = step()
            except Exception as error:
                give_up(stream)
                raise RuntimeError(f"CuPy cannot capture this step as a graph "
                                   f"({type(error).__name__}: {error}). Train without capture."
                                   ) from error
            return stream.end_capture(), result
    finally:
        ones.cache_clear()


def give_up(stream: Any) -> None:
    """End a capture that has failed, so that the stream can be used again."""
    try:
        stream.end_capture()
    except Exception:               # of course it failed: that is known already
        pass


def check_can_be_captured(network: Network) -> None:
    """Raise ValueError for a network whose step is not the same operations every time."""
    if type(network).step is not Network.step:
        raise ValueError(f"a {type(network).__name__} cannot be captured: only a Network, whose "
                         "step takes x, target and context, not the windows of a sequence.")
    if backend.is_host(network.modules[0].block.xp):
        raise ValueError("capture needs the cupy backend: there is nothing to launch on the CPU. "
                         "Move the network with to(backend.get('cupy')), or train without capture.")
    counting = [path for path, thing in network.arrays()
                if isinstance(thing, tuple) and thing[0] is network.algorithm]
    if counting:
        raise ValueError(f"{', '.join(counting)}: is counted on the host to decide what a step "
                         "does, and a graph would repeat that of its capture. Train without "
                         "capture.")
    drawing = [path for path, thing in network.arrays() if isinstance(thing, np.random.Generator)]
    if drawing:
        raise ValueError(f"{', '.join(drawing)}: draws random numbers on the host in every step, "
                         "and a graph would repeat those of its capture. Train without capture.")


def check_batch(batch: Sequence[Array], places: Sequence[Array]) -> None:
    """Raise ValueError for another batch than that of the capture."""
    found, wanted = ([(array.shape, array.dtype) for array in arrays] for arrays in (batch, places))
    names = ("x", "target", "context")[:max(len(found), len(wanted))]
    for name, got, expected in zip_longest(names, found, wanted):
        if got != expected:
            raise ValueError(f"{name} must be as it was when the step was captured, "
                             f"{said(expected)}; got {said(got)}. Make a new CapturedStep for "
                             "other batches.")


def said(kind: tuple[Any, Any] | None) -> str:
    """Say a shape and dtype in words."""
    return "None" if kind is None else f"{kind[1]} {tuple(kind[0])}"


def check_updates(optimizers: Sequence[Optimizer], updates: Sequence[int]) -> None:
    """Raise ValueError where an optimizer with a state makes several updates in a step."""
    for optimizer, times in zip(optimizers, updates):
        if optimizer.state_names and times > 1:
            raise ValueError(f"{optimizer!r} updates {times} times in a step, which a graph "
                             "cannot follow; make one for each update, or train without capture.")
