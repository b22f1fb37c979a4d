"""How fast two workers are: iterations per second of every mode, beside backpropagation in one loop on one core.

    mpiexec -n 2 python benchmarks/workers.py [--rounds 7] [--json FILE]

Everything is measured in short blocks, the contenders in turn, so that what disturbs one disturbs all; the table holds
medians of the ratios within each round. A block ends when every message has arrived.
"""

import argparse
import json
import os
import time

import numpy as np
from threadpoolctl import threadpool_limits

from tinydni import Adam, LinearSynthesizer, SoftmaxCrossEntropy, backprop, datasets, decouple, mlp, update_decoupled
from tinydni.parallel import ParallelTraining, Plan
from tinydni.parallel.balance import balanced
from tinydni.parallel.costs import measure
from tinydni.parallel.message import Kind, Message
from tinydni.parallel.simulator import Link, throughput
from tinydni.parallel.transports.mpi import Processes, world
from tinydni.parallel.transports.threads import Threads
from tinydni.random import stream
from tinydni.training import Training

WORKLOADS = ((256, 256), (256, 64), (256, 32), (64, 64))        # width, batch
HIDDEN, N_IN, CLASSES = 6, 784, 10
SECONDS = 0.25                                                  # of a block

# contender: (mode, transport, BLAS threads); mode None is one loop
CONTENDERS = {"locked, one core": ("backprop", None, 1), "locked, one loop, two BLAS threads": ("backprop", None, 2),
              "decoupled, one loop": ("decoupled", None, 1),
              "locked, two threads": ("locked", "threads", 1), "locked, two processes": ("locked", "mpi", 1),
              "data-parallel, two threads": ("data-parallel", "threads", 1),
              "data-parallel, two processes": ("data-parallel", "mpi", 1),
              "decoupled, two threads": ("free", "threads", 1), "decoupled, two processes": ("free", "mpi", 1)}


def data(batch):
    """Made-up images with labels that can be learned."""
    rng = stream(0, "sample")
    x = rng.standard_normal((64 * batch, N_IN)).astype(np.float32)
    labels = (x @ rng.standard_normal((N_IN, CLASSES)).astype(np.float32)).argmax(axis=1)
    return datasets.Dataset("random", x, labels, x[:10], labels[:10], CLASSES)


def network(mode, width, cuts):
    """Seven layers; decoupled modes have interfaces at the cuts, locked ones only borders."""
    from tinydni.experiments.methods import group
    blocks = group(mlp([N_IN] + [width] * HIDDEN + [CLASSES], stream(0, "weights")), cuts)
    if mode not in ("free", "decoupled"):
        return decouple(blocks, SoftmaxCrossEntropy(), lambda: Adam(1e-3), schedule=backprop)
    return decouple(blocks, SoftmaxCrossEntropy(), lambda: Adam(1e-3), lambda n: LinearSynthesizer(n, CLASSES),
                    lambda: Adam(1e-3), schedule=update_decoupled)


def contender(name, width, batch, cuts, dataset):
    """The training of a contender."""
    mode, transport, _ = CONTENDERS[name]
    rest = (dataset, 1, batch, 0)
    context = dataset.context()
    if transport is None:
        return Training(network(mode, width, cuts), *rest, context=context)
    places = Threads(2) if transport == "threads" else Processes(world())
    ends = [len(cuts) + 1] * 2 if mode == "data-parallel" else [1, 2]
    return ParallelTraining(network(mode, width, cuts), *rest, context=context, transport=places,
                            make_plan=lambda t: Plan(mode, ends, t.schedule, t.batch_of, batch))


def block(name, training, n_steps):
    """Makes some steps. Returns the seconds that each took."""
    _, transport, n_threads = CONTENDERS[name]
    order = np.random.default_rng(0).permutation(len(training.x)).reshape(-1, training.batch_size)
    with threadpool_limits(n_threads, "blas"):
        if transport is None:
            step = lambda i: training.run_batch(order[i % len(order)])
            finish = lambda: None
        else:
            worker = training.transport.start(training.make_worker, "")
            step = lambda i: worker.feed(i, order[i % len(order)])
            finish = lambda: worker.turns(lambda: worker.in_flight)
        for i in range(5):
            step(i)
        finish()
        start = time.perf_counter()
        for i in range(5, n_steps + 5):
            step(i)
        finish()
        seconds = (time.perf_counter() - start) / n_steps
        if transport is not None:
            training.transport.stop()
        if transport == "mpi":
            training.transport.end()
    return seconds


def cuts_of(width, batch, dataset):
    """Where to cut in two, by measured cost."""
    net = network("free", width, None)
    sample = dataset.x[:batch], dataset.context()[:batch], dataset.y[:batch]
    costs = measure(net.modules, *sample)
    return balanced(costs.block, 2, costs.synthesizer)[:-1], costs


def measured_link(processes, n_bytes, n=200):
    """The Link between the two processes of a Processes, from messages to and fro; None for worker 1."""
    endpoint, found = processes.endpoint, []
    for size in (64, n_bytes):
        message = Message(Kind.INPUT, 0, endpoint.rank, (np.zeros(int(size) // 4, np.float32),))
        ways, sends = [], []
        for _ in range(n):
            start = time.perf_counter()
            if endpoint.rank == 0:
                endpoint.send(1, message)
                sends.append(time.perf_counter() - start)
                endpoint.receive()
                ways.append((time.perf_counter() - start) / 2)
            else:
                endpoint.receive()
                endpoint.send(0, message)
        found.append((np.median(ways), np.median(sends)) if ways else (0, 0))
    endpoint.flush()
    (way, send), (long_way, long_send) = found
    # To take a message costs about as much as to send it: both handle the bytes once.
    return Link(latency=way, bandwidth=n_bytes / max(long_way - way, 1e-9), per_message=send,
                cpu=max(long_send - send, 0) / n_bytes)


def reading(training, n=50):
    """Seconds to take a batch from the data."""
    order, times = np.random.default_rng(0).permutation(len(training.x)), []
    for i in range(n):
        start = time.perf_counter()
        training.batch_of(order[i:i + training.batch_size])
        times.append(time.perf_counter() - start)
    return np.percentile(times, 25)


def show(title, seconds, simulated):
    """Prints the table of one workload."""
    first = np.array(seconds["locked, one core"])
    print(f"\n{title}")
    for name, found in seconds.items():
        ratios = first / found
        print(f"  {name:38s} {1e3 * np.median(found):7.2f} ms  {np.median(ratios):5.2f}  ({ratios.min():.2f} to "
              f"{ratios.max():.2f})", f" simulated {1e3 * simulated[name]:.2f} ms" if name in simulated else "", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json")
    parser.add_argument("--without", nargs="*", default=[], help="contenders to leave out")
    given = parser.parse_args()
    communicator, results = world(), []
    for width, batch in WORKLOADS:
        dataset = data(batch)
        cuts, costs = cuts_of(width, batch, dataset)
        first_cut = np.array(cuts)
        communicator.Bcast(first_cut)
        cuts = first_cut.tolist()
        h_bytes = 4 * width * batch
        link = measured_link(Processes(communicator), h_bytes)
        trainings = {name: contender(name, width, batch, cuts, dataset) for name in CONTENDERS
                     if name not in given.without}
        seconds = {name: [] for name in trainings}
        n_steps, load = max(20, int(SECONDS / costs.block.sum())), []
        for _ in range(given.rounds):
            load.append(os.getloadavg()[0])
            for name, training in trainings.items():
                if communicator.rank == 0:
                    seconds[name].append(block(name, training, n_steps))
                elif CONTENDERS[name][1] == "mpi":
                    training.transport.follow(lambda about, endpoint: training.make_worker(endpoint))
        if communicator.rank == 0:
            stages = costs.of_stages([*cuts, HIDDEN + 1])
            stages.forward[0] += reading(trainings["decoupled, two processes"])
            simulated = {f"{name}, two processes": 1 / throughput(mode, stages, link)
                         for name, mode in (("locked", "locked"), ("decoupled", "decoupled"))}
            show(f"width {width}, batch {batch}, cut after {cuts} of {HIDDEN + 1}, load {min(load):.1f} to {max(load):.1f}",
                 seconds, simulated)
            results.append({"width": width, "batch": batch, "cuts": cuts, "load": load, "seconds": seconds,
                            "simulated": simulated, "link": vars(link),
                            "costs": {key: array.tolist() for key, array in vars(costs).items()}})
    if communicator.rank == 0 and given.json:
        with open(given.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
