"""Decoupled workers: each updates at once, sends its output up and its gradient down, and learns from what comes."""

from tinydni.lab.workers.message import Kind, ProtocolError
from tinydni.lab.workers.worker import Worker


class Decoupled(Worker):
    """A stage that never waits for a gradient; only for input, and for room above  (Jaderberg et al. 2016, fig. 2).

    Up: INPUT (h, context, target). Down: GRADIENT (dh,), the gradient with respect to the input of that batch.

    The gradient is also the receipt: at most `plan.room` batches are on their way between two workers. That bounds the
    inbox above, the batches kept here until their gradient comes, and how late it can come. With room for one batch
    every gradient is learned before the next batch is worked on: lock-step, the same numbers as in one loop.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.top = self.rank == self.size - 1
        self.followers = () if self.top else (self.rank + 1,)

    def has_room(self):
        return len(self.in_flight) < self.plan.room

    def train(self, step, x, context, target):
        h = x
        for below, module in zip([None, *self.modules], self.modules):
            dx, h = module.forward_and_synthetic_update(h, context, target)
            if below is not None:
                below.update_synthetic_weights(dx)
            elif self.rank > 0:
                self.send(self.rank - 1, Kind.GRADIENT, dx)
            seen, context = context, module.context_above(h, context)
        if self.top:
            self.keep_loss(module.loss_value)
        else:
            self.in_flight.append((step, h, seen))
            self.send(self.rank + 1, Kind.INPUT, h, context, target)

    def take(self, message):
        if message.kind == Kind.GRADIENT:
            self.learn(message.step, *message.arrays)
        else:
            super().take(message)

    def learn(self, step, dh):
        """The synthesizer at the top of this stage learns from the true gradient of an earlier batch."""
        expected, h, context = self.in_flight.popleft() if self.in_flight else (None, None, None)
        if step != expected:
            raise ProtocolError(f"worker {self.rank} got the gradient of batch {step}, but waits for that of "
                                f"{expected}.")
        self.staleness[self.step - step] += 1
        self.modules[-1].learn(h, context, dh)
