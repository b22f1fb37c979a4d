"""Stages in a row, h up and gradients down: decoupled workers, and locked ones, the baseline."""

from tinydni.lab.workers.message import Kind
from tinydni.lab.workers.worker_base import Worker


class Decoupled(Worker):
    """A stage that never waits for a gradient (Jaderberg et al. 2016, figure 2).

    It waits for input, and for room above. Up: INPUT (h, context, target). Down: GRADIENT (dh,),
    with respect to the input of that batch.

    The gradient is also the receipt: at most `plan.room` batches are on their way between two
    workers. That bounds the queue depth above, the batches kept here until their gradient comes,
    and how late it can come. With room for one batch every gradient is learned before the next
    batch is worked on: lock-step, the same numbers as in one loop.
    """

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
            self.keep_losses(module.loss_value)
        else:
            self.in_flight.append((step, h, seen))
            self.send(self.rank + 1, Kind.INPUT, h, context, target)

    def take(self, message):
        if message.kind == Kind.GRADIENT:
            self.learn(message.step, *message.arrays)
        else:
            super().take(message)

    def learn(self, step, dh):
        """Let the synthesizer at the top learn from the true gradient of an earlier batch."""
        h, context = self.came_back(step)
        self.modules[-1].learn(h, context, dh)


class Locked(Worker):
    """Backpropagation: forward, wait for the true gradient, update; one batch at a time.

    The messages are those of decoupled workers, the arithmetic is that of `backprop`.
    """

    def train(self, step, x, context, target):
        h = x
        for module in self.modules:
            h = module.forward(h)
        if self.top:
            self.backward(self.modules[-1].gradient_at_output(h, context, target))
            self.keep_losses(self.modules[-1].loss_value)
        else:
            self.in_flight.append(step)
            self.send(self.rank + 1, Kind.INPUT, h, context, target)

    def take(self, message):
        if message.kind == Kind.GRADIENT and self.in_flight:
            self.in_flight.popleft()
            self.backward(*message.arrays)
        else:
            super().take(message)

    def backward(self, dh):
        """Pass the true gradient down through this stage."""
        for module in reversed(self.modules):
            dh = module.backward(dh)
            module.update()
        if self.rank > 0:
            self.send(self.rank - 1, Kind.GRADIENT, dh)
