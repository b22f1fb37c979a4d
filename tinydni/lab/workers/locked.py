"""Locked workers: backpropagation over the same stages, the baseline."""

from tinydni.lab.workers.message import Kind
from tinydni.lab.workers.worker import Worker


class Locked(Worker):
    """A stage that runs forward, waits for the true gradient, and only then updates: one batch at a time.

    The messages are those of decoupled workers, and so is the arithmetic of `backprop`, to the last bit.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.top = self.rank == self.size - 1
        self.followers = () if self.top else (self.rank + 1,)

    def has_room(self):
        return not self.in_flight

    def train(self, step, x, context, target):
        h = x
        for module in self.modules:
            h = module.forward(h)
        if self.top:
            self.backward(self.modules[-1].gradient_at_output(h, context, target))
            self.keep_loss(self.modules[-1].loss_value)
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
        """The true gradient on its way down through this stage."""
        for module in reversed(self.modules):
            dh = module.backward(dh)
            module.update()
        if self.rank > 0:
            self.send(self.rank - 1, Kind.GRADIENT, dh)

    def feed(self, step, index):
        super().feed(step, index)
        self.turns(lambda: self.in_flight)
