"""Data parallelism, the honest alternative: the whole network everywhere, a share of each batch."""

from collections import defaultdict

import numpy as np

from tinydni import backend
from tinydni.lab.workers.message import Kind, Message, named
from tinydni.lab.workers.worker_base import Worker


class DataParallel(Worker):
    """Backpropagation on N / size examples each; averaged gradients keep all copies equal.

    Each worker adds up one part of the parameters: SHARE (part,) goes to the worker that adds it
    up, MEAN (part,) comes back (reduce-scatter and all-gather; each worker sends 2 (size - 1) /
    size of the parameters per step). Sums are taken in the order of the workers, so that a run can
    be repeated. The running statistics of batch normalisation are averaged with the gradients, and
    so is the loss. Each worker normalises over its own share of the batch, as data-parallel
    libraries do: not the numbers of one loop.
    """

    chain = False

    def __init__(self, *args):
        super().__init__(*args)
        self.shares, self.means = defaultdict(dict), defaultdict(dict)  # {step: {worker: part}}
        self.slots = [(layer, name) for module in self.modules
                      for _, layer, name in module.block.slots()]
        self.statistics = [(layer, name) for module in self.modules
                           for _, layer in module.block.walk() for name in layer.buffers]
        self.sizes = [getattr(layer, name).size for layer, name in self.slots + self.statistics]

    def feed(self, step, index):
        bounds = [worker * len(index) // self.size for worker in range(self.size + 1)]
        first, *others = [index[start:end] for start, end in zip(bounds, bounds[1:])]
        for worker, part in enumerate(others, 1):
            self.endpoint.send(worker, Message(Kind.INPUT, step, 0, (part,)))
        super().feed(step, first)
        self.turns(lambda: self.in_flight)

    def inputs_of(self, index):
        return (index,)

    def train(self, step, index):
        h, context, target = self.plan.batch(index)
        for module in self.modules:
            h = module.forward(h)
        dh = self.modules[-1].gradient_at_output(h, context, target)
        for module in reversed(self.modules):
            dh = module.backward(dh)
        self.in_flight.append(step)
        mine = self.gradients()
        mine *= len(index) / self.plan.batch_size                       # its share of the mean
        parts = np.array_split(mine, self.size)
        for worker in self.others():
            self.send(worker, Kind.SHARE, parts[worker])
        self.shares[step][self.rank] = parts[self.rank]
        self.add_up(step)

    def others(self):
        """Return the numbers of all other workers."""
        return [worker for worker in range(self.size) if worker != self.rank]

    def gradients(self):
        """Return all that is averaged, in one array: gradients, running statistics, the loss."""
        arrays = [getattr(layer, "d" + name) for layer, name in self.slots]
        arrays += [getattr(layer, name) for layer, name in self.statistics]
        flat = [backend.to_numpy(array).ravel() for array in arrays]
        return np.concatenate([*flat, [np.float32(float(self.modules[-1].loss_value))]])

    def take(self, message):
        kind, step, sender, arrays = message
        if kind == Kind.SHARE:
            self.shares[step][sender] = arrays[0]
            self.add_up(step)
        elif kind == Kind.MEAN:
            self.means[step][sender] = arrays[0]
            self.finish(step)
        else:
            super().take(message)

    def add_up(self, step):
        """Add up the part that is this worker's, when all shares of it are here."""
        if len(self.shares[step]) < self.size:
            return
        shares = self.shares.pop(step)
        total = shares[0] + shares[1]
        for worker in range(2, self.size):
            total += shares[worker]
        for worker in self.others():
            self.send(worker, Kind.MEAN, total)
        self.means[step][self.rank] = total
        self.finish(step)

    def finish(self, step):
        """Update, when the sums of all parts are here."""
        if len(self.means[step]) < self.size:
            return
        means = self.means.pop(step)
        flat = np.concatenate([means[worker] for worker in range(self.size)])
        arrays = iter(np.split(flat[:-1], np.cumsum(self.sizes)[:-1]))
        for layer, name in self.slots:
            shape = getattr(layer, name).shape
            setattr(layer, "d" + name, backend.asarray(self.xp, next(arrays).reshape(shape)))
        for layer, name in self.statistics:
            getattr(layer, name)[...] = backend.asarray(self.xp, next(arrays))
        for module in self.modules:
            module.update()
        self.in_flight.popleft()
        if self.bottom:
            self.losses.append(float(flat[-1]))

    def report(self):
        """Say nothing: all copies are equal."""
        if self.rank:
            self.send(0, Kind.STATE, *named({}))
