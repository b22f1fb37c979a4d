"""The training loop over several workers: the ordinary loop, in which a step is to feed a batch to worker 0."""

import json

from threadpoolctl import threadpool_limits

from tinydni import backend
from tinydni.lab.workers.message import Kind, Message, named
from tinydni.lab.gradient_quality import gradient_quality
from tinydni.training import Training


class ParallelTraining(Training):
    """A Training whose steps are made by the workers of a transport.

    transport: see transports/    make_plan: function (training) -> Plan
    about: JSON that tells another process how to make the same training    Everything else as in Training, save augment
    and synthesizer_schedule, which workers do not have.

    Steps are counted as they are fed. Before anything is evaluated or saved the workers settle: all messages have
    arrived, and `network` holds what was learned. So its files are those of a run in one loop, and either can go on
    with what the other has saved.

    staleness: of each worker, {batches worked on since: messages that came so late}
    records: of each worker, what it did when, see recorder.py; only if the plan says so
    """

    def __init__(self, *args, transport, make_plan, about=None, **options):
        super().__init__(*args, **options)
        if self.augment or self.synthesizer_schedule:
            raise ValueError("augment and synthesizer_schedule are for one loop; workers have none of them.")
        self.transport, self.about = transport, about
        self.plan = make_plan(self)
        self.worker = None              # worker 0, while there are workers
        self.staleness, self.records = {}, {}

    def make_worker(self, endpoint):
        """The worker for a place of the transport."""
        return self.plan.worker(self.network, endpoint)

    def batch_of(self, index):
        """(x, context, target) of the examples `index`."""
        return self.x[index], None if self.context is None else self.context[index], self.y[index]

    def run(self, callbacks=()):
        with threadpool_limits(1, "blas"):
            try:
                self.worker = self.transport.start(self.make_worker, json.dumps([self.about, self.plan.ends]))
                for rank in range(1, self.transport.size):
                    state = self.plan.stage(self.network, rank).state()
                    self.worker.endpoint.send(rank, Message(Kind.LOAD, self.step, 0, named(state)))
                super().run(callbacks)
                self.settle()
            finally:
                self.worker = None
                self.transport.stop()
        return self.history

    def run_batch(self, index):
        self.last_index = index
        self.worker.feed(self.step, index)
        self.batch += 1
        self.count_losses()

    def count_losses(self):
        """Counts the losses that have come."""
        for loss in self.worker.losses:
            self.count(loss)
        self.worker.losses.clear()

    def settle(self):
        """Waits until all messages have arrived, and takes what the workers have learned into `network`."""
        if self.worker is None:
            return
        for rank, state in self.worker.settle().items():
            if state:
                self.take(rank, state)
        self.staleness[0], self.records[0] = dict(self.worker.staleness), self.worker.records()
        self.network.steps = self.step
        self.count_losses()

    def take(self, rank, state):
        """Takes the report of a worker: see Worker.report."""
        stage = self.plan.stage(self.network, rank)
        self.staleness[rank], self.records[rank] = dict(state.pop("staleness").tolist()), state.pop("records")
        for i, module in enumerate(stage.modules):
            error = state.pop(f"error.{i}", None)
            if error is not None:
                module.synthesizer.error = backend.asarray(self.xp, error)
        stage.load_state(state)

    def finish_epoch(self):
        self.settle()
        if "gradients" in self.history:
            x, context, target = self.batch_of(self.last_index)
            self.history["gradients"].append(gradient_quality(self.network, x, target, context))
            self.history["gradients_at"].append(self.step / self.n_batches)
        super().finish_epoch()

    def position(self):
        self.settle()
        return super().position()
