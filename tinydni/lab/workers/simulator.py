"""What the modes would do with measured costs, any number of workers, any network between them.

The simulator follows each batch through each stage, with the rules of the workers and no others: a
stage does one thing at a time, and starts when its message has arrived. What it does not know: that
two cores share caches and memory, and that computers are now and then busy with something else.
"""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from tinydni.lab.workers.costs import Costs
from tinydni.plots.timeline import WHAT

FORWARD, BACKWARD, UPDATE, SYNTHESIZER, WAITING = range(len(WHAT))


@dataclass
class Link:
    """What lies between two workers.

    latency [s]    bandwidth [bytes/s]    cpu: of a worker, to send or take a byte [s]
    per_message: of a worker, to send or take a message [s]
    """

    latency: float = 0.0
    bandwidth: float = float("inf")
    cpu: float = 0.0
    per_message: float = 0.0

    def time(self, n_bytes):
        """Return the seconds from sent to arrived."""
        return self.latency + n_bytes / self.bandwidth

    def work(self, n_bytes):
        """Return the seconds that a message costs each of the two workers."""
        return self.per_message + self.cpu * n_bytes


def border_work(costs, link):
    """Return what sending up and taking from below costs each stage (K,), as the way down does."""
    work = link.work(costs.h[:-1])
    return np.append(work, 0) + np.insert(work, 0, 0)


class Stage:
    """One worker: a clock, and the records of what it did."""

    def __init__(self, keep):
        self.now, self.keep, self.records = 0.0, keep, []

    def wait(self, until, step):
        """Do nothing until a message arrives."""
        self.spend(until - self.now, WAITING, step)

    def spend(self, seconds, what, step):
        """Let time pass."""
        if seconds > 0:
            if self.keep:
                self.records.append((what, step, self.now, self.now + seconds))
            self.now += seconds


def locked(costs, link, n_batches, keep=True):
    """Backpropagation over stages: one batch at a time goes up and down."""
    stages, messages, at = [Stage(keep) for _ in costs.h], border_work(costs, link), 0.0
    for step in range(n_batches):
        for k, stage in enumerate(stages):
            stage.wait(at, step)
            stage.spend(costs.forward[k] + messages[k], FORWARD, step)
            at = stage.now + link.time(costs.h[k])
        at = stage.now                              # the top turns round at once
        for k, stage in reversed(list(enumerate(stages))):
            stage.wait(at, step)
            stage.spend(costs.backward[k], BACKWARD, step)
            stage.spend(costs.update[k] + messages[k], UPDATE, step)
            at = stage.now + (link.time(costs.h[k - 1]) if k else 0.0)
    return stages


def pipelined(costs, link, n_batches, keep=True, micro_batches=4, fixed=0.0):
    """Micro-batches as in GPipe (Huang et al. 2019): all forward, all backward, one update for all.

    fixed: share of a pass that does not get shorter with the batch
    """
    stages, M = [Stage(keep) for _ in costs.h], micro_batches
    share, messages = fixed + (1 - fixed) / M, border_work(replace(costs, h=costs.h / M), link)
    for step in range(n_batches):
        come = np.zeros(M)                          # when each part of the batch has come
        for k, stage in enumerate(stages):
            come = pass_on(stage, come, costs.forward[k] * share + messages[k], FORWARD, step, link,
                           costs.h[k] / M)
        come = np.zeros(M)                          # the top turns round at once
        for k, stage in reversed(list(enumerate(stages))):
            come = pass_on(stage, come, costs.backward[k] * share + messages[k], BACKWARD, step,
                           link, costs.h[k - 1] / M if k else 0)
            stage.spend(costs.update[k], UPDATE, step)
    return stages


def pass_on(stage, come, seconds, what, step, link, n_bytes):
    """Work on the parts of a batch, send each on. Return when they come to the next stage."""
    left, arrived = 0.0, []
    for at in come:
        stage.wait(at, step)
        stage.spend(seconds, what, step)
        left = max(stage.now, left) + n_bytes / link.bandwidth      # one message after the other
        arrived.append(left + link.latency)
    return arrived


def decoupled(costs, link, n_batches, keep=True, room=4):
    """Free-running DNI: a stage waits only for its input, and for room above.

    start[t, k] = max of   start[t - 1, k] + everything it does,    the stage is free
                           up[t, k - 1] + latency,                  the input has come
                           down[t - room, k + 1] + latency          a receipt: there is room above
    up, down: when a message has left; one after the other
    """
    K = len(costs.h)
    messages = 2 * border_work(costs, link)
    passes = costs.forward + messages + costs.guess + costs.backward + costs.update
    cycle = passes + costs.learn
    up_time = costs.h / link.bandwidth
    down_time = np.insert(up_time[:-1], 0, 0)
    # Up a batch's way, start[k] = max(ready[k], start[k - 1] + step[k]): a running maximum.
    way = np.insert(np.cumsum((passes + up_time + link.latency)[:-1]), 0, 0)
    start, up, down = np.zeros((3, n_batches + 1, K))       # the last row stands before the first
    start[-1] = -cycle
    for t in range(n_batches):
        ready = start[t - 1] + cycle
        ready[1:] = np.maximum(ready[1:], (up[t - 1] + up_time + link.latency)[:-1])
        if t >= room:
            ready[:-1] = np.maximum(ready[:-1], down[t - room, 1:] + link.latency)
        start[t] = way + np.maximum.accumulate(ready - way)
        up[t] = np.maximum(start[t] + passes, up[t - 1]) + up_time
        down[t] = np.maximum(start[t] + passes, down[t - 1]) + down_time
    stages = [Stage(keep) for _ in range(K)]
    parts = ((costs.forward + messages, FORWARD), (costs.guess, SYNTHESIZER),
             (costs.backward, BACKWARD), (costs.update, UPDATE), (costs.learn, SYNTHESIZER))
    for k, stage in enumerate(stages):
        for step in range(n_batches) if keep else ():
            stage.wait(start[step, k], step)
            for seconds, what in parts:
                stage.spend(seconds[k], what, step)
        stage.now = start[n_batches - 1, k] + cycle[k]
    return stages


def late(costs, link, n_batches, keep=True, room=4):
    """Late true gradients: a stage keeps its inputs, and runs again on each for its gradient.

    The delay is the longest that workers allow: in round t stage k first takes the gradient of
    batch t - room (K - 1 - k), recorded under the batch worked on last, and then works on batch t.
    """
    K = len(costs.h)
    messages, most = border_work(costs, link), room * np.arange(K)[::-1]
    learning = costs.block + messages           # that of the top follows its forward pass at once
    passes = np.append((costs.forward + messages)[:-1], learning[-1] + messages[-1])
    up_time = costs.h[:-1] / link.bandwidth     # of a message between two stages, either way
    way = np.insert(np.cumsum(passes[:-1] + up_time + link.latency), 0, 0)
    come, start = np.zeros((2, n_batches + 1, K))           # the last row: before the first batch
    up, down = np.zeros((2, n_batches + 1, K - 1))
    start[-1] = -passes
    for t in range(n_batches):
        ready = start[t - 1] + passes
        if t >= room:
            learns = t >= most[:-1]
            come[t, :-1] = np.maximum(ready[:-1], down[t - room] + link.latency)
            ready[:-1] = np.where(learns, come[t, :-1] + learning[:-1], ready[:-1])
        ready[1:] = np.maximum(ready[1:], up[t - 1] + up_time + link.latency)
        done = ready.copy()                     # with the gradient that goes down in this round
        start[t] = way + np.maximum.accumulate(ready - way)
        done[-1] = start[t, -1] + passes[-1]
        up[t] = np.maximum((start[t] + passes)[:-1], up[t - 1]) + up_time
        down[t] = np.maximum(done[1:], down[t - 1]) + up_time
    stages = [Stage(keep) for _ in range(K)]
    for (k, stage), t in product(enumerate(stages), range(n_batches) if keep else ()):
        if k < K - 1 and t >= most[k]:
            stage.wait(come[t, k], t - 1)
            stage.spend(costs.forward[k], FORWARD, t - 1)
            learn(stage, costs, messages, k, t - 1)
        stage.wait(start[t, k], t)
        stage.spend(costs.forward[k] + messages[k], FORWARD, t)
        if k == K - 1:
            learn(stage, costs, messages, k, t)
    for stage, end in zip(stages, start[n_batches - 1] + passes):
        stage.now = end
    return stages


def learn(stage, costs, messages, k, step):
    """Record a backward pass and its update."""
    stage.spend(costs.backward[k] + messages[k], BACKWARD, step)
    stage.spend(costs.update[k], UPDATE, step)


def data_parallel(costs, link, n_batches, keep=True, fixed=0.0):
    """The whole network in every worker, a share of the batch each; gradients go in two rounds.

    fixed: share of a pass that does not get shorter with the batch
    """
    K = len(costs.h)
    stage, share = Stage(keep), fixed + (1 - fixed) / K
    part = costs.parameters.sum() / K
    for step in range(n_batches):
        stage.spend(costs.forward.sum() * share, FORWARD, step)
        stage.spend(costs.backward.sum() * share, BACKWARD, step)
        for _ in range(2):                                          # shares out, sums back
            stage.spend((K - 1) * link.work(part) * 2, BACKWARD, step)
            stage.wait(stage.now + link.latency + (K - 1) * part / link.bandwidth, step)
        stage.spend(costs.update.sum(), UPDATE, step)
    return [stage] * K


MODES = {"locked": locked, "pipelined": pipelined, "decoupled": decoupled, "late": late,
         "data-parallel": data_parallel}


def throughput(mode: str, costs: Costs, link: Link, n_batches: int | None = None,
               **options: Any) -> float:
    """Return the batches per second in the long run, of one of MODES, with its options."""
    fill = 2 * options.get("room", 4) + 2 if mode == "late" else 2  # then the bottom has gradients
    n = n_batches or fill * len(costs.h) + 40           # the pipeline is full after the first half
    last = 0 if mode == "late" else -1      # the stage that is in step with all others
    half, whole = (MODES[mode](costs, link, k, keep=False, **options)[last].now
                   for k in (n // 2, n))
    return (n - n // 2) / (whole - half)


def scaled(costs: Costs, n_stages: int) -> Costs:
    """Return the costs of a deeper network of equal stages, each like the mean of these."""
    return replace(costs, **{name: np.full(n_stages, array.mean())
                             for name, array in vars(costs).items()})
