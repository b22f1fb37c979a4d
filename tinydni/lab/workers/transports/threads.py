"""Workers as threads of one process: arrays are handed over, not copied. NumPy computes outside Python's lock."""

import sys
import threading
import traceback
from queue import Empty, SimpleQueue

import numpy as np

from tinydni.lab.workers.message import Kind, Message, as_bytes

PATIENCE = 5            # seconds to wait for a thread to end
SWITCH = 1e-5           # seconds after which a thread that holds Python's lock lets another one run; its own 5e-3 is as
                        # long as several steps


class Threads:
    """size: number of workers; worker 0 runs in the thread of the caller"""

    def __init__(self, size):
        self.size = size
        self.inboxes = [SimpleQueue() for _ in range(size)]
        self.threads, self.switch = [], sys.getswitchinterval()

    def start(self, make, about=""):
        """Makes all workers and starts the threads. Returns worker 0."""
        self.switch = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH)
        first, *others = (make(Endpoint(self, rank)) for rank in range(self.size))
        self.threads = [threading.Thread(target=serve, args=(worker,), name=f"worker {worker.rank}", daemon=True)
                        for worker in others]
        for thread in self.threads:
            thread.start()
        return first

    def stop(self):
        """Tells the threads to end, and waits for them, but not for ever."""
        for inbox in self.inboxes[1:]:
            inbox.put(Message(Kind.STOP, 0, 0))
        for thread in self.threads:
            thread.join(PATIENCE)
        sys.setswitchinterval(self.switch)


def serve(worker):
    """Runs a worker until it is stopped; if it raises, worker 0 hears of it."""
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):         # the loss is watched
            worker.turns(lambda: not worker.stopped)
    except BaseException:
        worker.endpoint.send(0, Message(Kind.FAILED, worker.step, worker.rank, (as_bytes(traceback.format_exc()),)))


class Endpoint:
    """The place of one worker."""

    def __init__(self, transport, rank):
        self.inboxes, self.rank, self.size = transport.inboxes, rank, transport.size
        self.receive = self.inboxes[rank].get

    def send(self, worker, message):
        self.inboxes[worker].put(message)

    def poll(self):
        try:
            return self.inboxes[self.rank].get_nowait()
        except Empty:
            return None
