"""What all workers have in common: they take one message at a time, and work when they can."""

import signal
import time
from collections import Counter, deque

import numpy as np

from tinydni import backend
from tinydni.lab.workers.message import Kind, Message, ProtocolError, as_text, named, unnamed
from tinydni.plots.timeline import WHAT

LOSSES_PER_MESSAGE = 16


class WorkerError(RuntimeError):
    """A worker has raised."""


class Worker:
    """A stage of the network, with an inbox.

    A worker never waits inside a method. `take` handles a message at once or puts it aside, `work`
    does what has become possible, `can_work` says whether anything has; so the same worker runs in
    a thread, in a process, or turn by turn. Worker 0 reads the data and gathers what others report.

    endpoint: its place in a transport    stage: a Network of its modules    plan: see plan.py
    inputs: batches, and requests to settle, that wait to be worked on, in order
    in_flight: batches of which something is still to arrive    step: the last batch worked on
    staleness: {batches worked on since: messages that came so late}
    """

    chain = True            # batches go from worker to worker, and not from worker 0 to all
    recorded = {"receive": "waiting"}       # methods of the worker itself that a recorder times

    def __init__(self, endpoint, stage, plan):
        self.endpoint, self.stage, self.plan = endpoint, stage, plan
        self.modules, self.xp = stage.modules, stage.modules[0].block.xp
        self.rank, self.size, self.receive = endpoint.rank, endpoint.size, endpoint.receive
        self.bottom, self.top = self.rank == 0, self.rank == self.size - 1
        ends = self.rank + 2 if self.chain else self.size * self.bottom
        self.followers = range(self.rank + 1, min(ends, self.size))     # are told to settle
        self.inputs, self.in_flight = deque(), deque()
        self.step, self.staleness, self.losses = -1, Counter(), []
        self.states, self.interrupt = {}, signal.getsignal(signal.SIGINT)
        self.settling = self.stopped = False
        self.recorder = Recorder(self, plan.recorded) if plan.recorded else None

    # One turn at a time.

    def turns(self, unfinished):
        """Take turns while `unfinished()`. Messages go before work, so that gradients are fresh."""
        while unfinished():
            message = self.endpoint.poll() if self.can_work() else self.receive()
            if message is None:
                self.work()
            else:
                self.take(self.here(message))
            if self.settling and not self.in_flight:
                self.settling = False
                self.report()

    def here(self, message):
        """Return the message with arrays of this worker's backend; they came through the host."""
        if message.kind not in (Kind.INPUT, Kind.GRADIENT, Kind.OUTPUT):
            return message
        return message._replace(arrays=tuple(
            None if array is None else backend.asarray(self.xp, array) for array in message.arrays))

    def take(self, message):
        """Handle a message; what is said here every kind of worker understands."""
        kind, _, sender, arrays = message
        if kind in (Kind.INPUT, Kind.SETTLE):
            self.inputs.append(message)
        elif kind == Kind.LOSSES:
            self.losses.extend(arrays[0].tolist())
        elif kind == Kind.STATE:
            self.states[sender] = unnamed(arrays)
        elif kind == Kind.LOAD:
            self.stage.load_state(unnamed(arrays))
        elif kind == Kind.STOP:
            self.stopped = True
        elif kind == Kind.FAILED:
            raise WorkerError(f"worker {sender} failed: {as_text(arrays[0])}")
        elif kind == Kind.INTERRUPTED:
            if signal.getsignal(signal.SIGINT) is self.interrupt:       # not heard of it ourselves
                signal.raise_signal(signal.SIGINT)
        else:
            raise ProtocolError(f"worker {self.rank}, {type(self).__name__}, got a message from "
                                f"worker {sender} that it does not understand, {kind.name}.")

    def can_work(self):
        """Tell whether the first of the inputs can be worked on now."""
        return bool(self.inputs) and (self.inputs[0].kind == Kind.SETTLE or self.has_room())

    def has_room(self):
        """Tell whether one more batch may be in flight."""
        return len(self.in_flight) < self.plan.room

    def work(self):
        """Work on the first of the inputs."""
        kind, step, _, arrays = self.inputs.popleft()
        if kind == Kind.SETTLE:
            for worker in self.followers:
                self.send(worker, Kind.SETTLE)
            self.settling = True
            return
        self.step = step
        self.stage.scale_learning_rates(self.plan.schedule(step))
        for module in self.modules:
            module.applies = module.loss is not None or step >= self.plan.warm_up
        self.train(step, *arrays)

    def train(self, step, *arrays):
        """Work on one batch: what distinguishes the kinds of workers."""
        raise NotImplementedError(f"{type(self).__name__}.train")

    def came_back(self, step):
        """Return what is kept of the oldest batch in flight, whose true gradient has come."""
        expected, *kept = self.in_flight.popleft() if self.in_flight else (None,)
        if step != expected:
            raise ProtocolError(f"worker {self.rank} got the gradient of batch {step}, but waits "
                                f"for that of {expected}.")
        self.staleness[self.step - step] += 1
        return kept

    # What worker 0 is asked to do.

    def feed(self, step, index):
        """Work on the examples `index` as soon as there is room; take what comes until then."""
        self.take(Message(Kind.INPUT, step, self.rank, self.inputs_of(index)))
        self.turns(lambda: self.inputs)

    def inputs_of(self, index):
        """Return what a batch starts with: (x, context, target)."""
        return self.plan.batch(index)

    def settle(self):
        """Wait until everything has arrived everywhere. Return {worker: state} of the others."""
        self.states = {}
        self.take(Message(Kind.SETTLE, self.step, self.rank))
        self.turns(lambda: self.inputs or self.settling or len(self.states) < self.size - 1)
        return self.states

    # Out.

    def send(self, worker, kind, *arrays):
        """Send a message about the last batch."""
        self.endpoint.send(worker, Message(kind, self.step, self.rank, arrays))

    def keep_losses(self, *new, room=LOSSES_PER_MESSAGE - 1):
        """Tell worker 0 the losses; a message for each would cost more than it says."""
        self.losses += map(float, new)
        if self.rank and len(self.losses) > room:
            self.send(0, Kind.LOSSES, np.array(self.losses))
            self.losses = []

    def report(self):
        """Tell worker 0 the state of this stage, and what it says of synthesizers and messages."""
        if self.rank:
            self.keep_losses(room=0)
            errors = {f"error.{i}": module.synthesizer.error
                      for i, module in enumerate(self.modules)
                      if getattr(module.synthesizer, "error", None) is not None}
            late = np.array(sorted(self.staleness.items()), dtype=np.int64).reshape(-1, 2)
            self.send(0, Kind.STATE, *named({**self.stage.state(), **errors, "staleness": late,
                                             "records": self.records()}))

    def records(self):
        """Return what this worker did when, (n, 4), see Recorder; nothing without."""
        return np.zeros((0, 4)) if self.recorder is None else self.recorder.array()


class Recorder:
    """Listens to a worker, by putting itself before its modules' steps and its wait for messages.

    They stay listened to: record a network that is made for this, and thrown away.

    steps: (first, last) batches to record, so that the records stay few
    records: list of (index into WHAT, step, start, end); the clock is that of the host [s]
    """

    def __init__(self, worker, steps):
        self.worker, (self.first, self.last) = worker, steps
        self.records = []
        for module in worker.modules:
            guess = "forward" if module.synthesizer is None else "synthesizer"
            self.listen(module, forward="forward", gradient_at_output=guess, backward="backward",
                        update="update", learn="synthesizer")
        for synthesizer in getattr(worker.stage.algorithm, "synthesizers", ()):
            if synthesizer is not None:
                self.listen(synthesizer, forward="synthesizer", learn="synthesizer")
        self.listen(worker, **worker.recorded)

    def listen(self, owner, **methods):
        """Let every call of these methods pass by the recorder."""
        for name, what in methods.items():
            setattr(owner, name, self.timed(getattr(owner, name), WHAT.index(what)))

    def timed(self, method, what):
        """Return the method with its times recorded."""
        def call(*args):
            start = time.time()
            try:
                return method(*args)
            finally:
                if self.first <= self.worker.step <= self.last:
                    self.records.append((what, self.worker.step, start, time.time()))

        return call

    def array(self):
        """Return the records so far, (n, 4)."""
        return np.array(self.records, dtype=np.float64).reshape(-1, 4)
