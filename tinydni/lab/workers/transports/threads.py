"""Workers as threads: arrays are handed over, and NumPy computes outside of Python's lock."""

import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from tinydni.lab.workers.message import Kind, Message, failure
from tinydni.lab.workers.worker_base import WorkerError

PATIENCE = 5            # seconds to wait for a thread to end
SWITCH = 1e-5           # seconds that a thread may hold Python's lock while another wants it; the
                        # usual 5e-3 are as long as several steps


class Threads:
    """size: number of workers; worker 0 runs in the thread of the caller."""

    def __init__(self, size: int):
        self.size = size
        self.inboxes: list[Any] = [SimpleQueue() for _ in range(size)]
        self.threads: list[threading.Thread] = []

    def start(self, make: Callable[..., Any], about: str = "") -> Any:
        """Make all workers and start the threads. Return worker 0."""
        self.switch = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH)
        first, *others = (make(Endpoint(self, rank)) for rank in range(self.size))
        for worker in others:
            thread = threading.Thread(target=serve, args=(worker,), daemon=True,
                                      name=f"worker {worker.rank}")
            try:
                thread.start()
            except RuntimeError as error:       # such as Python in a browser
                raise WorkerError(f"this Python starts no thread for worker {worker.rank} ({error})"
                                  "; leave --workers out, or use --transport mpi.") from None
            self.threads.append(thread)
        return first

    def stop(self) -> None:
        """Tell the threads to end, and wait for them, but not for ever."""
        for inbox in self.inboxes[1:]:
            inbox.put(Message(Kind.STOP, 0, 0))
        for thread in self.threads:
            thread.join(PATIENCE)
        sys.setswitchinterval(self.switch)


def serve(worker):
    """Run a worker until it is stopped; if it raises, worker 0 hears of it."""
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):    # the loss is watched
            worker.turns(lambda: not worker.stopped)
    except BaseException as error:
        worker.endpoint.send(0, failure(worker.rank, worker.step, error))


class Endpoint:
    """The place of one worker."""

    def __init__(self, transport, rank):
        self.inboxes, self.rank, self.size = transport.inboxes, rank, transport.size
        self.receive = self.inboxes[rank].get

    def send(self, worker, message):
        """Hand a message over."""
        self.inboxes[worker].put(message)

    def poll(self):
        """Return the next message, or None."""
        try:
            return self.inboxes[self.rank].get_nowait()
        except Empty:
            return None
