"""Locked workers: backpropagation over the same stages, the baseline."""

from tinydni.lab.workers.message import Kind
from tinydni.lab.workers.worker_base import Worker


class Locked(Worker):
    """A stage that runs forward, waits for the true gradient, then updates: one batch at a time.

    The messages are those of decoupled workers, and so is the arithmetic of `backprop`, to the last
    bit.
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
