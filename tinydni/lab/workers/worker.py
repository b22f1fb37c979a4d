"""What all workers have in common: they take one message at a time, and work when they can."""

from collections import Counter, deque

import numpy as np

from tinydni import backend
from tinydni.lab.workers.message import Kind, Message, ProtocolError, as_text, named, unnamed
from tinydni.lab.workers.recorder import Recorder

LOSSES_PER_MESSAGE = 16


class WorkerError(RuntimeError):
    """A worker has raised; the text is its traceback."""


class Worker:
    """A stage of the network, with an inbox.

    endpoint: its place in a transport    stage: a Network of the modules that it holds    plan: see plan.py

    A worker never waits inside a method. `take` handles a message at once or puts it aside, `work` does what has become
    possible, and `can_work` says whether anything has; so the same worker runs in a thread, in a process, or turn by
    turn in a test. Worker 0 reads the data and gathers what the others report.

    inputs: batches, and requests to settle, that wait to be worked on, in order
    in_flight: batches of which something is still to arrive
    step: the last batch worked on    staleness: {batches worked on since: messages that came so late}
    """

    followers = ()          # the workers that this one tells to settle

    def __init__(self, endpoint, stage, plan):
        self.endpoint, self.stage, self.plan = endpoint, stage, plan
        self.modules = stage.modules
        self.rank, self.size, self.receive = endpoint.rank, endpoint.size, endpoint.receive
        self.inputs, self.in_flight = deque(), deque()
        self.step, self.staleness, self.losses = -1, Counter(), []
        self.states = {}
        self.settling = self.stopped = False
        self.recorder = Recorder(self, plan.recorded) if plan.recorded else None

    # One turn at a time.

    def turns(self, unfinished):
        """Takes turns while `unfinished()`. Messages that are here go before work, so that gradients are fresh."""
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
        """The message with arrays of this worker's backend: a transport may have brought them through the host."""
        if message.kind not in (Kind.INPUT, Kind.GRADIENT, Kind.OUTPUT):
            return message
        xp = self.modules[0].block.xp
        return message._replace(arrays=tuple(None if array is None else backend.asarray(xp, array)
                                             for array in message.arrays))

    def take(self, message):
        """Handles a message; what is said here every kind of worker understands."""
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
            raise WorkerError(f"worker {sender} failed:\n{as_text(arrays[0])}")
        else:
            raise ProtocolError(f"worker {self.rank}, {type(self).__name__}, got a message from worker {sender} that "
                                f"it does not understand, {kind.name}.")

    def can_work(self):
        """Whether the first of the inputs can be worked on now."""
        return bool(self.inputs) and (self.inputs[0].kind == Kind.SETTLE or self.has_room())

    def has_room(self):
        """Whether one more batch may be in flight."""
        return True

    def work(self):
        """Works on the first of the inputs."""
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
        """Works on one batch: what distinguishes the kinds of workers."""
        raise NotImplementedError(f"{type(self).__name__}.train")

    # What worker 0 is asked to do.

    def feed(self, step, index):
        """Works on the examples `index` as soon as there is room, and on all that arrives until then."""
        self.take(Message(Kind.INPUT, step, self.rank, self.inputs_of(index)))
        self.turns(lambda: self.inputs)

    def inputs_of(self, index):
        """What a batch starts with: (x, context, target)."""
        return self.plan.batch(index)

    def settle(self):
        """Waits until everything has arrived everywhere. Returns the states of the other workers, {worker: state}."""
        self.states = {}
        self.take(Message(Kind.SETTLE, self.step, self.rank))
        self.turns(lambda: self.inputs or self.settling or len(self.states) < self.size - 1)
        return self.states

    # Out.

    def send(self, worker, kind, *arrays):
        """Sends a message about the last batch."""
        self.endpoint.send(worker, Message(kind, self.step, self.rank, arrays))

    def keep_loss(self, loss):
        """For the worker that has the loss: tells worker 0. A message for each would cost more than it says."""
        self.losses.append(float(loss))
        if len(self.losses) >= LOSSES_PER_MESSAGE:
            self.send_losses()

    def send_losses(self):
        """Tells worker 0 the losses that it has not heard of."""
        if self.rank and self.losses:
            self.send(0, Kind.LOSSES, np.array(self.losses))
            self.losses = []

    def report(self):
        """Tells worker 0 the state of this stage, with what the history says about synthesizers and messages."""
        if self.rank:
            self.send_losses()
            errors = {f"error.{i}": module.synthesizer.error for i, module in enumerate(self.modules)
                      if getattr(module.synthesizer, "error", None) is not None}
            staleness = np.array(sorted(self.staleness.items()), dtype=np.int64).reshape(-1, 2)
            self.send(0, Kind.STATE, *named({**self.stage.state(), **errors, "staleness": staleness,
                                             "records": self.records()}))

    def records(self):
        """What this worker did when, (n, 4), see recorder.py; without recorder nothing."""
        return np.zeros((0, 4)) if self.recorder is None else self.recorder.array()
