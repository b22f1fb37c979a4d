"""Workers to which true gradients come late: for their synthesizers, or for their blocks."""

from collections import deque

from tinydni.lab.workers.message import Kind, Message
from tinydni.lab.workers.worker_base import Worker
from tinydni.variants.late_targets import check_can_run_again, run_again


class Late(Worker):
    """A stage of LateTargets or LateGradients, see variants/.

    Up: INPUT (h, context, target). Down: GRADIENT (dh,), the true one of a batch, which has passed
    all workers above. Then the stage runs again on the x that it kept for that batch, and the
    gradient goes on down. Of LateTargets, blocks update at once on their guesses, and synthesizers
    learn from the gradient; of LateGradients, blocks update on the gradient, and nobody guesses.

    Worker k of L keeps at most (L - 1 - k) · `plan.room` batches. Where that is one batch for every
    worker above, it waits for the gradient of the oldest before it works on another: lock-step.
    Within an epoch the numbers are then those of one loop, if every worker has one module; at its
    end all gradients arrive, and in one loop those of the last batches are still on their way.
    """

    recorded = {**Worker.recorded, "again": "forward"}

    def __init__(self, *args):
        super().__init__(*args)
        check_can_run_again(self.modules[:-1] if self.top else self.modules, "a worker")
        self.arrived = deque()          # gradients whose turn has not come: lock-step
        self.most = (self.size - 1 - self.rank) * self.plan.room
        self.locked = self.plan.room == 1
        self.guesses = self.plan.late == "targets"

    def has_room(self):
        return self.top or len(self.in_flight) < self.most or bool(self.arrived)

    def work(self):
        super().work()
        while self.settling and self.arrived:
            self.learn_late(*self.arrived.popleft())

    def train(self, step, x, context, target):
        if self.in_flight and len(self.in_flight) == self.most:
            self.learn_late(*self.arrived.popleft())
        h = x
        for module in self.modules:
            if self.guesses or module.loss is not None:
                dx, h = module.forward_and_synthetic_update(h, context, target)
            else:
                h = module.forward(h)
        if self.top:
            self.keep_losses(module.loss_value)
            self.pass_down(self.modules[:-1], step, x, context, dx)
        else:
            self.in_flight.append((step, x, context))
            self.send(self.rank + 1, Kind.INPUT, h, context, target)

    def take(self, message):
        if message.kind != Kind.GRADIENT:
            super().take(message)
        elif self.locked and not self.settling:
            self.arrived.append((message.step, *message.arrays))
        else:
            self.learn_late(message.step, *message.arrays)

    def again(self, block, x):
        """Run a block again, in a method of its own, for the recorder."""
        return run_again(block, x)

    def learn_late(self, step, dh):
        """Use the true gradient at this stage's output, of an earlier batch."""
        x, context = self.came_back(step)
        self.pass_down(self.modules, step, x, context, dh)

    def pass_down(self, modules, step, x, context, dh):
        """Run modules again on x; let them learn from the gradient, and pass it down."""
        hs = [x]
        for module in modules:
            hs.append(self.again(module.block, hs[-1]))
        for module, h in zip(reversed(modules), reversed(hs)):
            asked = self.rank > 0 or module is not modules[0]
            dx = module.backward(dh) if asked or not self.guesses else None
            if self.guesses:
                module.learn(h, context, dh)
            else:
                module.update()
            dh = dx
        if self.rank > 0:
            self.endpoint.send(self.rank - 1, Message(Kind.GRADIENT, step, self.rank, (dh,)))
