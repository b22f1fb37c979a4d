"""A simulator of the modes: what they would do with measured costs, any number of workers, any network between them.

It follows each batch through each stage, with the rules of the workers and no others: a stage does one thing at a time,
and starts when its message has arrived. What it does not know: that two cores share caches and memory, and that
computers are now and then busy with something else.
"""

from dataclasses import dataclass, replace

import numpy as np

from tinydni.lab.workers.recorder import WHAT

FORWARD, BACKWARD, UPDATE, SYNTHESIZER, WAITING = range(len(WHAT))


@dataclass
class Link:
    """What lies between two workers. latency [s]    bandwidth [bytes/s]    cpu: of a worker, to send or take a byte [s]

    per_message: of a worker, to send or take a message [s]
    """

    latency: float = 0.0
    bandwidth: float = float("inf")
    cpu: float = 0.0
    per_message: float = 0.0

    def time(self, n_bytes):
        """From sent to arrived."""
        return self.latency + n_bytes / self.bandwidth

    def work(self, n_bytes):
        """What a message costs each of the two workers."""
        return self.per_message + self.cpu * n_bytes


def border_work(costs, link):
    """What sending up and taking from below costs each stage, once (K,)  [s]; the way down costs the same."""
    work = link.work(costs.h[:-1])
    return np.append(work, 0) + np.insert(work, 0, 0)


class Stage:
    """One worker: a clock, and the records of what it did."""

    def __init__(self, keep):
        self.now, self.keep, self.records = 0.0, keep, []

    def wait(self, until, step):
        """Nothing to do until a message arrives."""
        if until > self.now:
            self.spend(until - self.now, WAITING, step)

    def spend(self, seconds, what, step):
        if self.keep and seconds > 0:
            self.records.append((what, step, self.now, self.now + seconds))
        self.now += seconds


def locked(costs, link, n_batches, keep=True):
    """Backpropagation over stages: one batch at a time goes up and down."""
    stages, K, messages = [Stage(keep) for _ in costs.h], len(costs.h), border_work(costs, link)
    at = 0.0
    for step in range(n_batches):
        for k, stage in enumerate(stages):
            stage.wait(at, step)
            stage.spend(costs.forward[k] + messages[k], FORWARD, step)
            at = stage.now + link.time(costs.h[k])
        at -= link.time(costs.h[-1])
        for k in reversed(range(K)):
            stages[k].wait(at, step)
            stages[k].spend(costs.backward[k], BACKWARD, step)
            stages[k].spend(costs.update[k] + messages[k], UPDATE, step)
            at = stages[k].now + (link.time(costs.h[k - 1]) if k else 0.0)
    return stages


def pipelined(costs, link, n_batches, keep=True, micro_batches=4, fixed=0.0):
    """Micro-batches as in GPipe (Huang et al. 2019): all forward, all backward, one update for all.

    fixed: share of a pass that does not get shorter with the batch
    """
    stages, K, M = [Stage(keep) for _ in costs.h], len(costs.h), micro_batches
    share, messages = fixed + (1 - fixed) / M, border_work(replace(costs, h=costs.h / micro_batches), link)
    for step in range(n_batches):
        come = np.zeros(M)                          # when each part of the batch has come
        for k, stage in enumerate(stages):
            come = pass_on(stage, come, costs.forward[k] * share + messages[k], FORWARD, step, link, costs.h[k] / M)
        come = np.zeros(M)                          # the top turns round at once
        for k, stage in reversed(list(enumerate(stages))):
            n_bytes = costs.h[k - 1] / M if k else 0
            come = pass_on(stage, come, costs.backward[k] * share + messages[k], BACKWARD, step, link, n_bytes)
            stage.spend(costs.update[k], UPDATE, step)
    return stages


def pass_on(stage, come, seconds, what, step, link, n_bytes):
    """A stage works on the parts of a batch and sends each on. Returns when they have come to the next stage."""
    left, arrived = 0.0, []
    for at in come:
        stage.wait(at, step)
        stage.spend(seconds, what, step)
        left = max(stage.now, left) + n_bytes / link.bandwidth          # one message after the other
        arrived.append(left + link.latency)
    return arrived


def decoupled(costs, link, n_batches, keep=True, room=4):
    """Free-running DNI: a stage waits only for its input, and for room above.

    start[t, k] = max of   start[t - 1, k] + everything it does,    the stage is free
                           up[t, k - 1] + latency,                  the input has come
                           down[t - room, k + 1] + latency          a receipt has come: there is room above
    up, down: when a message has left; one after the other
    """
    K = len(costs.h)
    messages = 2 * border_work(costs, link)
    passes = costs.forward + messages + costs.guess + costs.backward + costs.update
    cycle = passes + costs.learn
    up_time, down_time = costs.h / link.bandwidth, np.insert(costs.h[:-1], 0, 0) / link.bandwidth
    start, up, down = np.zeros((3, n_batches, K))
    for diagonal in range(2 * n_batches + K - 2):               # on 2 t + k = diagonal, all depends on smaller ones
        k = np.arange(max(0, diagonal - 2 * n_batches + 2), min(K - 1, diagonal) + 1)
        k = k[(diagonal - k) % 2 == 0]
        t = (diagonal - k) // 2
        free = np.where(t > 0, start[t - 1, k] + cycle[k], 0)
        come = np.where(k > 0, up[t, k - 1] + link.latency, 0)
        above, earlier = np.minimum(k + 1, K - 1), np.maximum(t - room, 0)
        roomy = np.where((k < K - 1) & (t >= room), down[earlier, above] + link.latency, 0)
        start[t, k] = np.maximum(np.maximum(free, come), roomy)
        up[t, k] = np.maximum(start[t, k] + passes[k], np.where(t > 0, up[t - 1, k], 0)) + up_time[k]
        down[t, k] = np.maximum(start[t, k] + passes[k], np.where(t > 0, down[t - 1, k], 0)) + down_time[k]
    stages = [Stage(keep) for _ in range(K)]
    for k, stage in enumerate(stages):
        stage.now = start[-1, k] + cycle[k]
        if keep:
            stage.now = 0.0
            for step in range(n_batches):
                stage.wait(start[step, k], step)
                stage.spend(costs.forward[k] + messages[k], FORWARD, step)
                stage.spend(costs.guess[k], SYNTHESIZER, step)
                stage.spend(costs.backward[k], BACKWARD, step)
                stage.spend(costs.update[k], UPDATE, step)
                stage.spend(costs.learn[k], SYNTHESIZER, step)
    return stages


def data_parallel(costs, link, n_batches, keep=True, workers=None, fixed=0.0):
    """The whole network in every worker, a share of the batch each; gradients are exchanged in two rounds.

    fixed: share of a pass that does not get shorter with the batch
    """
    K = workers or len(costs.h)
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


MODES = {"locked": locked, "pipelined": pipelined, "decoupled": decoupled, "data-parallel": data_parallel}


def throughput(mode, costs, link, n_batches=None, **options):
    """Batches per second in the long run, of one of MODES.

    costs: Costs of the stages    link: Link between them    options: of the mode
    """
    n = n_batches or 2 * len(costs.h) + 40                          # the pipeline is full after the first half
    half = MODES[mode](costs, link, n // 2, keep=False, **options)[-1].now
    return (n - n // 2) / (MODES[mode](costs, link, n, keep=False, **options)[-1].now - half)


def scaled(costs, n_stages):
    """Costs of a deeper network of equal stages, each like the mean of the given ones."""
    return replace(costs, **{name: np.full(n_stages, array.mean()) for name, array in vars(costs).items()})
