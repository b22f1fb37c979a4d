"""Our own side: the contender "tinydni", and the floor that no contender can get below.

Each function of a workload returns a function of the step's number that trains on one batch and
returns the loss.
"""

import math
from copy import deepcopy
from dataclasses import replace

import tinydni as td
from tinydni import backend
from tinydni.gpu import CapturedStep, fuse
from tinydni.gpu.graphs import taken_down
from tinydni.random import stream


def step(workload, fuse=fuse):
    """Return the step of a network."""
    network, batches = network_of(workload, fuse), placed(workload)
    return lambda i: network.step(*batches[i % len(batches)])


def plain_step(workload):
    """Return the same without loops: what numba gains."""
    return step(workload, lambda network: network)


def captured_step(workload):
    """Return the step of a network as one CUDA graph."""
    captured, batches = CapturedStep(network_of(workload)), placed(workload)
    return lambda i: captured(*batches[i % len(batches)])


def placed(workload):
    """Return the batches where the network is."""
    return [tuple(None if array is None else backend.asarray(workload.xp, array)
                  for array in batch) for batch in workload.batches]


def network_of(workload, fuse=fuse):
    """Return the network, its rules fused on a GPU, and beside numba."""
    made = iter(synthesizers(workload))
    decoupled = {"algorithm": td.update_decoupled, "synthesizer": lambda n_h: next(made),
                 "synthesizer_lr": lambda: workload.optimizer(workload.synthesizer_lr)}
    network = td.build(workload.blocks, workload.loss, lambda: workload.optimizer(workload.lr),
                    input_shape=workload.batches[0][0].shape[1:],
                    **decoupled if workload.synthesizer else {"algorithm": td.backprop})
    return fuse(network.to(workload.xp))


def synthesizers(workload):
    """Return one for each interface, bottom to top, with the starting weights."""
    x, _, context = workload.batches[0]
    n_context, rng = 0 if context is None else context.shape[1], stream(0, "synthesizer")
    if workload.synthesizer is None:
        return []
    widths = [block.layers[0].n_out for block in workload.blocks[:-1]]
    if workload.synthesizer == "virtual":
        return [td.VirtualLinear(n_h, n_context, rng, dtype=x.dtype) for n_h in widths]
    return [td.LinearSynthesizer(n_h, n_context, dtype=x.dtype) for n_h in widths]


def backprop_step(workload):
    """Return the step of the same blocks without interfaces, on a GPU as a graph, too."""
    make = step if backend.is_host(workload.xp) else captured_step
    return make(replace(workload, synthesizer=None))


def plain_sequence_step(workload):
    """Return the same as `sequence_step` without loops."""
    return sequence_step(workload, lambda module: module)


def sequence_step(workload, fuse=fuse):
    """Return the step of one recurrent layer with the loss at its output."""
    [layer], loss = deepcopy(workload.blocks), deepcopy(workload.loss)
    batches, optimizer = placed(workload), workload.optimizer(workload.lr)
    layer = fuse(td.DNI(layer, optimizer).to(workload.xp)).block
    loss.to(workload.xp)

    def train(i):
        x, target, _ = batches[i % len(batches)]
        y, _ = layer.forward(x)
        value = loss.forward(y, target)
        layer.backward(loss.backward())
        layer.update(optimizer)
        return value

    return train


def loss_step(workload):
    """Return the step of a loss and its gradient, no network."""
    loss, batches = deepcopy(workload.loss).to(workload.xp), placed(workload)

    def measure(i):
        x, target, _ = batches[i % len(batches)]
        value = loss.forward(x, target)
        loss.backward()
        return value

    return measure


def floor(workload):
    """Return the matrix products of one step alone, with made-up values."""
    rng, xp, dtype = stream(0, "sample"), workload.xp, workload.batches[0][0].dtype
    calls, on_host = [], backend.is_host(xp)
    for *times, M, K, N in workload.products:       # a device takes all images in one call
        stack, n_calls = ([], math.prod(times)) if on_host else (times, 1)
        a, b = (backend.asarray(xp, rng.standard_normal((*stack, *shape)).astype(dtype))
                for shape in ((M, K), (K, N)))
        calls += n_calls * [(a, b, xp.empty((*stack, M, N), dtype))]

    def multiply(i):
        for a, b, out in calls:
            xp.matmul(a, b, out=out)

    if on_host:
        return multiply
    multiply(0)                         # what is compiled is compiled before the capture
    pool = xp.cuda.MemoryPool()
    graph, _ = taken_down(xp, pool, lambda: multiply(0))
    return lambda i, kept=(pool, calls): graph.launch()
