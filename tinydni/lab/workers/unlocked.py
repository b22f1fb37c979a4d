"""Fully unlocked workers: not even an input is waited for, save the network's own."""

from tinydni.lab.workers.message import Kind
from tinydni.lab.workers.worker_base import Worker


class Unlocked(Worker):
    """A stage that runs on synthetic inputs, see variants/full_unlock.py.

    To all: INPUT (x, context, target), the network's own, from worker 0. Up: OUTPUT (h,), from
    which the synthetic input there learns. Down: GRADIENT (dh,), from which the synthesizer there
    learns. Both may come late, or early, since neighbours do not wait for each other. To worker 0:
    DONE, when everything about a batch has come; at most `plan.room` batches are not done. With
    room for one batch: lock-step, the same numbers as in one loop.
    """

    chain = False

    def __init__(self, *args):
        super().__init__(*args)
        self.early = {}             # {(kind, step): array} that came before the batch's work
        self.waiting = {}           # {(kind, step): what its message is for}
        self.done = [0] * self.size         # of each worker, the number of batches that are done
        self.fed = 0

    def has_room(self):
        return not self.bottom or self.fed - min(self.done) < self.plan.room

    def train(self, step, x, context, target):
        self.fed += 1
        for worker in self.followers:
            self.send(worker, Kind.INPUT, x, context, target)
        sent = []
        for module, synthesizer in zip(self.modules, self.stage.algorithm.synthesizers):
            h_hat = x if synthesizer is None else synthesizer.forward(x)
            sent.append(module.forward_and_synthetic_update(h_hat, context, target))
        self.in_flight.append(step)
        if not self.bottom:
            self.expect(Kind.OUTPUT, step, lambda h: self.learn_input(0, x, h))
            self.send(self.rank - 1, Kind.GRADIENT, sent[0][0])
        for i, (below, (_, h), (dx, _)) in enumerate(zip(self.modules, sent, sent[1:]), 1):
            self.learn_input(i, x, h)
            below.update_synthetic_weights(dx)
        if self.top:
            self.keep_losses(self.modules[-1].loss_value)
        else:
            h = sent[-1][1]
            self.expect(Kind.GRADIENT, step, lambda dh: self.modules[-1].learn(h, context, dh))
            self.send(self.rank + 1, Kind.OUTPUT, h)
        self.finish(step)

    def learn_input(self, i, x, h):
        """Let the synthetic input of module i learn from what the module below has made."""
        unlock = self.stage.algorithm
        unlock.synthesizers[i].learn(x, None, h, unlock.optimizers[i])

    def expect(self, kind, step, use):
        """Use the array of a message, now if it has come, or when it comes."""
        if (kind, step) in self.early:
            self.arrived(step, use, self.early.pop((kind, step)))
        else:
            self.waiting[kind, step] = use

    def take(self, message):
        kind, step, sender, arrays = message
        if kind == Kind.DONE:
            self.done[sender] += 1
        elif kind not in (Kind.OUTPUT, Kind.GRADIENT):
            super().take(message)
        elif (kind, step) in self.waiting:
            self.arrived(step, self.waiting.pop((kind, step)), *arrays)
            self.finish(step)
        else:
            self.early[kind, step] = arrays[0]

    def arrived(self, step, use, array):
        """Use an array, and count how late it came."""
        self.staleness[self.step - step] += 1
        use(array)

    def finish(self, step):
        """Say that a batch is done, if nothing about it is still to come."""
        if any((kind, step) in self.waiting for kind in (Kind.OUTPUT, Kind.GRADIENT)):
            return
        self.in_flight.remove(step)
        if self.bottom:
            self.done[0] += 1
        else:
            self.send(0, Kind.DONE)
