"""All workers in one thread, a turn at a time, in an order drawn at random: it can be repeated."""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np


class InTurn:
    """Any order that real workers could take can come up.    rng: draws whose turn it is.

    Whoever waits for a message lets the others have their turns. `receive` raises RuntimeError
    where all wait for ever: a deadlock.
    """

    def __init__(self, size: int, rng: np.random.Generator):
        self.size, self.rng = size, rng
        self.inboxes: list[Any] = [deque() for _ in range(size)]

    def start(self, make: Callable[..., Any], about: str = "") -> Any:
        """Make all workers. Return worker 0."""
        self.workers = [make(Endpoint(self, rank)) for rank in range(self.size)]
        return self.workers[0]

    def stop(self) -> None:
        """End nothing."""

    def turn_of_another(self):
        """Let one worker, not worker 0, have a turn. Return whether any had something to do."""
        ready = [worker for worker in self.workers[1:]
                 if worker.can_work() or self.inboxes[worker.rank]]
        if ready:
            once = iter((True, False))
            ready[self.rng.integers(len(ready))].turns(lambda: next(once))
        return bool(ready)


class Endpoint:
    """The place of one worker."""

    def __init__(self, transport, rank):
        self.transport, self.rank, self.size = transport, rank, transport.size
        self.inbox = transport.inboxes[rank]

    def send(self, worker, message):
        """Hand a message over."""
        self.transport.inboxes[worker].append(message)

    def poll(self):
        """Return the next message, or None; the others run while worker 0 works."""
        if self.rank == 0:
            while self.transport.rng.random() < 0.7 and self.transport.turn_of_another():
                pass
        return self.inbox.popleft() if self.inbox else None

    def receive(self):
        """Return the next message."""
        while not self.inbox:
            if not self.transport.turn_of_another():
                raise RuntimeError("deadlock: every worker waits for a message, and none is on its "
                                   "way.")
        return self.inbox.popleft()
