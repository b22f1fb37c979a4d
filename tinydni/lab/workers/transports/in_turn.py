"""All workers in one thread, one turn at a time, in an order drawn from a generator: every run can be repeated."""

from collections import deque


class InTurn:
    """size: number of workers    rng: draws whose turn it is; any order that real workers could take can come up

    Whoever waits for a message lets the others have their turns. `receive` raises RuntimeError where all wait, for
    ever: a deadlock.
    """

    def __init__(self, size, rng):
        self.size, self.rng = size, rng
        self.inboxes = [deque() for _ in range(size)]

    def start(self, make, about=""):
        """Makes all workers. Returns worker 0."""
        self.workers = [make(Endpoint(self, rank)) for rank in range(self.size)]
        return self.workers[0]

    def stop(self):
        """There is nothing to end."""

    def turn_of_another(self):
        """One turn of a worker, not worker 0, that has something to do. Returns whether there was one."""
        ready = [worker for worker in self.workers[1:] if worker.can_work() or self.inboxes[worker.rank]]
        if not ready:
            return False
        worker, turns = ready[self.rng.integers(len(ready))], iter((True, False))
        worker.turns(lambda: next(turns))
        return True


class Endpoint:
    """The place of one worker."""

    def __init__(self, transport, rank):
        self.transport, self.rank, self.size = transport, rank, transport.size
        self.inbox = transport.inboxes[rank]

    def send(self, worker, message):
        self.transport.inboxes[worker].append(message)

    def poll(self):
        if self.rank == 0:                      # the others run while worker 0 works
            while self.transport.rng.random() < 0.7 and self.transport.turn_of_another():
                pass
        return self.inbox.popleft() if self.inbox else None

    def receive(self):
        while not self.inbox:
            if not self.transport.turn_of_another():
                raise RuntimeError("deadlock: every worker waits for a message, and none is on its way.")
        return self.inbox.popleft()
