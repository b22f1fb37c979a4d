"""What the simulator starts from, measured between two processes: costs of stages and messages.

Two busy cores slow each other down, since they share cache, memory and clock: so the costs are
those of two stages while both work, or while one waits for the other. Every cost is the mean of all
that happened, as the time of a run is, so that what disturbs the machine counts in both.
"""

import time
from collections import defaultdict
from copy import deepcopy

import numpy as np
from threadpoolctl import threadpool_limits

from tinydni.lab.workers.costs import Costs, one_step, sizes_of
from tinydni.lab.workers.message import Kind, Message
from tinydni.lab.workers.simulator import Link

DROPPED = 3             # turns at the start, which find cold caches
PINGS = 100             # messages to and fro, of each size
SMALL = 64              # bytes of a message that is latency only


class Stages:
    """Two stages of one module each; each of two processes makes one of these, and measures.

    endpoint: of transports/mpi.py    modules: the bottom, with a synthesizer, and the top, with the
    loss    batch_of: function (index) -> (x, context, target)    order: list of index, the batches
    """

    def __init__(self, endpoint, modules, batch_of, order):
        self.endpoint, self.batch_of, self.order = endpoint, batch_of, order
        self.bottom, modules = endpoint.rank == 0, deepcopy(list(modules))
        self.module = modules[endpoint.rank]
        x, *rest = batch_of(order[0])
        self.first = modules[0].forward(x), *rest           # for the top, until a message comes
        self.n_bytes = sum(array.nbytes for array in self.first if array is not None)

    def measure(self, n, together):
        """Make n turns of a batch each. Return (Costs, Link) in process 0, None in the other.

        together: whether both work at once, as decoupled workers do, or in turn, as locked ones do
        """
        with threadpool_limits(1, "blas"):
            self.seconds, inputs = defaultdict(list), self.first
            latency, bandwidth = ping(self.endpoint, self.n_bytes)
            for turn in range(n + DROPPED):
                start = time.perf_counter()
                if not (together or self.bottom):
                    inputs = self.take()
                self.send(self.work(turn, inputs))
                if together or self.bottom:
                    inputs = self.take()
                self.seconds["turn"].append(time.perf_counter() - start)
        return self.gathered(together, latency, bandwidth)

    def work(self, turn, inputs):
        """Make one step of the own stage. Return the message to the other."""
        start = time.perf_counter()
        if self.bottom:
            inputs = self.batch_of(self.order[turn % len(self.order)])
        read = time.perf_counter() - start
        x, context, target = inputs
        h, forward, *others = one_step(self.module, x, context, target)
        self.seconds["step"].append((read + forward, *others))
        self.sizes = sizes_of(self.module, h)
        if self.bottom:
            return Message(Kind.INPUT, turn, 0, (h, context, target))
        return Message(Kind.GRADIENT, turn, 1, (x,))            # as many bytes as the gradient

    def send(self, message):
        """Send a message to the other."""
        start = time.perf_counter()
        self.endpoint.send(1 - self.endpoint.rank, message)
        self.seconds["message"].append(time.perf_counter() - start)

    def take(self):
        """Return the arrays of the next message. The time until it is there is waiting."""
        start = time.perf_counter()
        message, seconds = self.endpoint.take()
        self.seconds["message"].append(seconds)
        self.seconds["waiting"].append(time.perf_counter() - start - seconds)
        return message.arrays

    def gathered(self, together, latency, bandwidth):
        """Return in process 0 what both have measured.

        Where one works at a time, each waits while the other works, and both wait while one of the
        two messages of a turn is on its way:
        2 (latency + bytes / bandwidth) = waiting of the bottom + waiting of the top - turn.
        """
        mean = {name: np.mean(found[DROPPED * len(found) // len(self.seconds["turn"]):], axis=0)
                for name, found in self.seconds.items()}
        found = np.array([*mean["step"], *self.sizes, mean["message"], mean["waiting"],
                          mean["turn"]])
        if not self.bottom:
            self.endpoint.send(0, Message(Kind.STATE, 0, 1, (found,)))
            return None
        *costs, message, waiting, turn = np.transpose([found, self.endpoint.receive().arrays[0]])
        if not together:
            latency = max((waiting.sum() - turn.mean()) / 2 - self.n_bytes / bandwidth, 0.0)
        return Costs(*costs), Link(latency, bandwidth, per_message=message.mean())


def ping(endpoint, n_bytes):
    """Return latency [s] and bandwidth [bytes/s] between two processes, without their own work."""
    ways = []
    for size in (SMALL, n_bytes):
        message = Message(Kind.INPUT, 0, endpoint.rank, (np.zeros(size, np.uint8),))
        times = []
        for _ in range(PINGS + 1):                  # the first waits until both are there
            start = time.perf_counter()
            if endpoint.rank == 0:
                endpoint.send(1, message)
            sent = time.perf_counter()
            taking = endpoint.take()[1]
            times.append((time.perf_counter() - start) / 2 - (sent - start) - taking)
            if endpoint.rank == 1:
                endpoint.send(0, message)
        ways.append(max(np.median(times[1:]), 0.0))
    short, long = ways
    return short, (n_bytes - SMALL) / (long - short) if long > short else float("inf")
