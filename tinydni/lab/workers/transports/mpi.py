"""Workers as MPI processes, on one host or many: `mpiexec -n 2 tinydni train mnist --transport mpi`.

Only arrays of bytes travel (see `message.pack`); nothing is unpickled. Who can send to an MPI program is part of it: a
hostile sender is outside of what MPI, and this file, defend against.
"""

import os
import signal
import sys
import time
import traceback
from collections import deque

import numpy as np
from threadpoolctl import threadpool_limits

from tinydni.lab.workers.message import Kind, Message, as_bytes, as_text, pack, unpack

SPIN = 1e-2             # seconds to ask for messages without a pause, where every process has a core of its own
LONGEST_PAUSE = 1e-2    # seconds
PATIENCE = 5            # seconds that a worker that has raised waits to be stopped


class MPIError(RuntimeError):
    """MPI cannot be used here."""


def world():
    """The communicator of all processes. Raises MPIError where mpi4py or the MPI library is missing."""
    try:
        import mpi4py
        mpi4py.rc.thread_level = "funneled"
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise MPIError(f"MPI needs mpi4py and an MPI library ({error}). pip install \"tinydni[mpi]\" brings both for "
                       "one machine; on a cluster take the site's own MPI, with an mpi4py built for it.") from None
    return MPI.COMM_WORLD


class Processes:
    """The workers of a communicator: this process is the one of its rank."""

    def __init__(self, communicator):
        self.endpoint = Endpoint(communicator)
        self.rank, self.size = self.endpoint.rank, self.endpoint.size
        self.running = False

    def start(self, make, about=""):
        """Worker 0 tells the other processes what the run is about. Returns worker 0."""
        self.tell(Kind.RUN, as_bytes(about))
        self.running = True
        return make(self.endpoint)

    def stop(self):
        """Worker 0 tells the others that the run is over. Nothing happens where there is none."""
        if self.running:
            self.tell(Kind.STOP)
            self.endpoint.flush()
        self.running = False

    def end(self):
        """Worker 0 tells the others that there will be no other run."""
        self.stop()
        self.tell(Kind.END)
        self.endpoint.close()

    def tell(self, kind, *arrays):
        """Sends a message to all others."""
        for rank in range(1, self.size):
            self.endpoint.send(rank, Message(kind, 0, 0, arrays))

    def follow(self, make):
        """For the other processes: in every run, makes a worker by the function make(about, endpoint) and lets it work.

        If it raises, worker 0 hears of it and ends the run; if that does not come, MPI ends all processes.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)        # Ctrl-C reaches all; worker 0 decides
        step = -1
        try:
            while (message := self.endpoint.receive()).kind != Kind.END:
                if message.kind == Kind.RUN:
                    worker = make(as_text(message.arrays[0]), self.endpoint)
                    with threadpool_limits(1, "blas"), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                        worker.turns(lambda: not worker.stopped)
                    step = worker.step
            self.endpoint.close()
        except BaseException:
            self.failed(step)

    def failed(self, step):
        """Tells worker 0 of the exception that is being handled, and waits for the end. What comes is not used."""
        text = traceback.format_exc()
        self.endpoint.send(0, Message(Kind.FAILED, step, self.rank, (as_bytes(text),)))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            message = self.endpoint.poll()
            if message is not None and message.kind == Kind.END:
                return self.endpoint.close()
            time.sleep(LONGEST_PAUSE if message is None else 0)
        print(f"worker {self.rank} failed, and worker 0 does not answer:\n{text}", file=sys.stderr, flush=True)
        self.endpoint.communicator.Abort(1)


class Endpoint:
    """The place of this process."""

    def __init__(self, communicator):
        from mpi4py import MPI
        self.communicator, self.rank, self.size = communicator.Dup(), communicator.rank, communicator.size
        self.bytes, self.any, self.status = MPI.BYTE, MPI.ANY_SOURCE, MPI.Status()
        self.sending = deque()          # (request, block): a block must live until it is sent
        neighbours = communicator.Split_type(MPI.COMM_TYPE_SHARED).size
        self.spin = SPIN if neighbours <= len(os.sched_getaffinity(0)) else 0.0

    def send(self, worker, message):
        block = pack(message)
        self.sending.append((self.communicator.Isend([block, self.bytes], worker), block))

    def poll(self):
        while self.sending and self.sending[0][0].Test():
            self.sending.popleft()
        found = self.communicator.Improbe(self.any, status=self.status)
        if found is None:
            return None
        block = np.empty(self.status.Get_count(self.bytes), np.uint8)
        sender = self.status.Get_source()
        found.Recv([block, self.bytes])
        return unpack(block, sender)

    def receive(self):
        return self.take()[0]

    def take(self):
        """The next message, and what it took to take it, once it was there [s]; waits for it."""
        begin = start = time.perf_counter()
        while (message := self.poll()) is None:
            if start - begin > self.spin:
                time.sleep(min((start - begin) / 10, LONGEST_PAUSE))    # the longer it takes, the less a pause matters
            start = time.perf_counter()
        return message, time.perf_counter() - start

    def flush(self):
        """Waits until all that was sent is on its way; what arrives meanwhile comes too late."""
        while self.sending:
            self.poll()

    def close(self):
        """Ends together with the others: takes what still comes, so that nobody waits to get rid of a message."""
        self.flush()
        together = self.communicator.Ibarrier()
        while not together.Test():
            self.poll()
