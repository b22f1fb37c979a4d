"""Workers as MPI processes, on one host or many: mpiexec -n 2 tinydni train mnist --transport mpi.

Only arrays of bytes travel (see `message.pack`); nothing is unpickled. Who can send to an MPI
program is part of it: a hostile sender is outside of what MPI, and this file, defend against.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tinydni.lab.callbacks import on_signals
from tinydni.lab.workers.message import Kind, Message, as_bytes, as_text, failure, pack, unpack

SPIN = 1e-2             # seconds to ask for messages without a pause, if every process has a core
LONGEST_PAUSE = 1e-2    # seconds
PATIENCE = 5            # seconds that a worker that has raised waits to be stopped
SILENCE = 10            # seconds that worker 0 waits before it asks who is there; others wait
                        # longer, since worker 0 evaluates and saves
ANSWER = 2              # seconds to answer


class MPIError(RuntimeError):
    """MPI cannot be used here."""


def world() -> Any:
    """Return the communicator of all processes. Raise MPIError where there can be none."""
    size = os.environ.get("PMI_SIZE", "1")
    if not size.isdecimal():            # on which MPI would abort
        raise MPIError(f"the environment variable PMI_SIZE is {size!r}, but mpiexec sets it to a "
                       "number of processes; unset it, or start with mpiexec.")
    try:
        import mpi4py
        mpi4py.rc.thread_level = "funneled"
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise MPIError(f"MPI needs mpi4py and an MPI library ({error}). pip install "
                       '"tinydni[mpi]" brings both for one machine; on a cluster take the site\'s '
                       "own MPI, with an mpi4py built for it.") from None
    return MPI.COMM_WORLD


class Processes:
    """The workers of a communicator: this process is the one of its rank."""

    def __init__(self, communicator: Any):
        self.endpoint = Endpoint(communicator)
        self.rank, self.size = self.endpoint.rank, self.endpoint.size
        self.running = False

    def start(self, make: Callable[..., Any], about: str = "") -> Any:
        """Tell the other processes what the run is about. Return worker 0."""
        self.endpoint.tell(Kind.RUN, as_bytes(about))
        self.running = True
        return make(self.endpoint)

    def stop(self) -> None:
        """Tell the others that the run is over. Nothing happens where there is none."""
        if self.running:
            self.endpoint.tell(Kind.STOP)
            self.endpoint.flush()
        self.running = False

    def end(self) -> None:
        """Tell the others that there will be no other run."""
        self.stop()
        self.endpoint.tell(Kind.END)
        self.endpoint.close()

    def follow(self, make: Callable[..., Any]) -> None:
        """In every run, make a worker by the function make(about, endpoint) and let it work.

        If it raises, or is told to stop, worker 0 hears of it and decides; if that does not come,
        MPI ends all processes.
        """
        step, interrupted = -1, Message(Kind.INTERRUPTED, 0, self.rank)
        try:
            with on_signals(lambda *_: self.endpoint.send(0, interrupted)):
                while (message := self.endpoint.receive()).kind != Kind.END:
                    if message.kind == Kind.RUN:
                        worker = make(as_text(message.arrays[0]), self.endpoint)
                        with threadpool_limits(1, "blas"), np.errstate(all="ignore"):
                            worker.turns(lambda worker=worker: not worker.stopped)
                        step = worker.step
                self.endpoint.close()
        except BaseException as error:
            self.fail(failure(self.rank, step, error))

    def fail(self, message):
        """Tell worker 0 of an exception, and wait for the end. What comes is not used."""
        self.endpoint.send(0, message)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.endpoint.poll()
            if found is not None and found.kind == Kind.END:
                return self.endpoint.close()
            time.sleep(LONGEST_PAUSE if found is None else 0)
        say(f"worker {self.rank} failed, and worker 0 does not answer: "
            f"{as_text(message.arrays[0])}")
        self.endpoint.communicator.Abort(1)


class Endpoint:
    """The place of this process."""

    def __init__(self, communicator):
        from mpi4py import MPI
        self.communicator, self.status = communicator.Dup(), MPI.Status()
        self.rank, self.size = communicator.rank, communicator.size
        self.bytes, self.any = MPI.BYTE, MPI.ANY_SOURCE
        self.sending = deque()          # (request, block): a block must live until it is sent
        self.heard = set()              # who has sent anything since all were asked
        neighbours = communicator.Split_type(MPI.COMM_TYPE_SHARED).size
        self.spin = SPIN if neighbours <= cores() else 0.0
        self.silence = SILENCE if self.rank == 0 else 6 * SILENCE

    def send(self, worker, message):
        """Hand a message over."""
        block = pack(message)
        self.sending.append((self.communicator.Isend([block, self.bytes], worker), block))

    def tell(self, kind, *arrays):
        """Send a message to all others."""
        for rank in range(self.size):
            if rank != self.rank:
                self.send(rank, Message(kind, 0, self.rank, arrays))

    def poll(self):
        """Return the next message, or None; whether one is there is asked and answered here."""
        while self.sending and self.sending[0][0].Test():
            self.sending.popleft()
        found = self.communicator.Improbe(self.any, status=self.status)
        if found is None:
            return None
        block = np.empty(self.status.Get_count(self.bytes), np.uint8)
        sender = self.status.Get_source()
        found.Recv([block, self.bytes])
        message = unpack(block, sender)
        self.heard.add(sender)
        if message.kind == Kind.ASK:
            self.send(sender, Message(Kind.HERE, 0, self.rank))
        return self.poll() if message.kind in (Kind.ASK, Kind.HERE) else message

    def receive(self):
        """Return the next message."""
        return self.take()[0]

    def take(self):
        """Return the next message, and what it took to take it, once it was there [s]."""
        begin = start = time.perf_counter()
        late = [(self.silence, self.ask), (self.silence + ANSWER, self.name_the_silent)]
        while (message := self.poll()) is None:
            waited = start - begin
            if late and waited > late[0][0]:
                late.pop(0)[1]()
            if waited > self.spin:          # the longer it takes, the less a pause matters
                time.sleep(min(waited / 10, LONGEST_PAUSE))
            start = time.perf_counter()
        return message, time.perf_counter() - start

    def ask(self):
        """Ask all others whether they are there."""
        self.heard.clear()
        self.tell(Kind.ASK)

    def name_the_silent(self):
        """Say who has not answered."""
        for rank in set(range(self.size)) - self.heard - {self.rank}:
            say(f"worker {self.rank} waits; worker {rank} does not answer: it is stopped, or busy "
                "with something long.")

    def flush(self):
        """Wait until all that was sent is on its way; what arrives meanwhile comes too late."""
        while self.sending:
            self.poll()

    def close(self):
        """End together with the others; take what still comes, so that nobody waits to send."""
        self.flush()
        together = self.communicator.Ibarrier()
        while not together.Test():
            self.poll()


def cores():
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):        # neither on macOS nor on Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def say(text):
    """Write a line for the user."""
    print(f"tinydni: {text}", file=sys.stderr, flush=True)
