"""The training loop over several workers: a step is to feed a batch to worker 0."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from threadpoolctl import threadpool_limits

from tinydni import backend
from tinydni.backend import Array
from tinydni.lab.gradient_quality import gradient_quality
from tinydni.lab.workers.message import Kind, Message, named
from tinydni.lab.workers.plan import Plan
from tinydni.training import Training


class ParallelTraining(Training):
    """A Training whose steps are made by the workers of a transport.

    Steps are counted as they are fed. Before anything is evaluated or saved the workers drain and
    settle: all messages have arrived, and `network` holds what was learned. So its files are those
    of a run in one loop, and either can go on with what the other has saved.

    Parameters
    ----------
    args, options : as in Training, save augment and synthesizer_schedule, which workers lack
    transport, make_plan : see transports/; function (training) -> Plan
    about : JSON that tells another process how to make the same training

    Attributes
    ----------
    staleness, records : of each worker, {batches worked on since: messages that came so late}, and
        what it did when, see Recorder, if the plan says so
    """

    def __init__(self, *args: Any, transport: Any, make_plan: Callable[[Training], Plan],
                 about: Any = None, **options: Any):
        super().__init__(*args, **options)
        if self.augment or self.synthesizer_schedule:
            raise ValueError("augment and synthesizer_schedule are for one loop; workers have none "
                             "of them.")
        self.transport, self.about = transport, about
        self.plan = make_plan(self)
        self.worker: Any = None         # worker 0, while there are workers
        self.staleness: dict[int, dict[int, int]] = {}
        self.records: dict[int, Any] = {}

    def make_worker(self, endpoint: Any) -> Any:
        """Return the worker for a place of the transport."""
        return self.plan.worker(self.network, endpoint)

    def batch_of(self, index: Any) -> tuple[Array, Array | None, Array]:
        """Return (x, context, target) of the examples `index`."""
        context = None if self.context is None else self.context[index]
        return self.x[index], context, self.y[index]

    def run(self, callbacks: Iterable[Callable[[Training], None]] = ()) -> dict[str, list[Any]]:
        with threadpool_limits(1, "blas"):
            try:
                about = json.dumps([self.about, self.plan.ends])
                self.worker = self.transport.start(self.make_worker, about)
                for rank in range(1, self.transport.size):
                    state = self.plan.stage(self.network, rank).state()
                    self.worker.endpoint.send(rank, Message(Kind.LOAD, self.step, 0, named(state)))
                super().run(callbacks)
                self.settle()
            finally:
                self.worker = None
                self.transport.stop()
        return self.history

    def run_batch(self, index: Array) -> None:
        self.last_index = index
        self.worker.feed(self.step, index)
        self.batch += 1
        self.count_losses()

    def count_losses(self) -> None:
        """Count the losses that have come."""
        for loss in self.worker.losses:
            self.count(loss)
        self.worker.losses.clear()

    def settle(self) -> None:
        """Wait until all messages have arrived, and take what was learned into `network`."""
        if self.worker is None:
            return
        for rank, state in self.worker.settle().items():
            if state:
                self.take(rank, state)
        self.staleness[0], self.records[0] = dict(self.worker.staleness), self.worker.records()
        self.network.steps = self.step
        self.count_losses()

    def take(self, rank: int, state: dict[str, Any]) -> None:
        """Take the report of a worker: see Worker.report."""
        stage, self.records[rank] = self.plan.stage(self.network, rank), state.pop("records")
        self.staleness[rank] = dict(state.pop("staleness").tolist())
        for i, module in enumerate(stage.modules):
            synthesizer: Any = module.synthesizer
            if f"error.{i}" in state:
                synthesizer.error = backend.asarray(self.xp, state.pop(f"error.{i}"))
        stage.load_state(state)

    def finish_epoch(self) -> None:
        self.settle()
        if "gradients" in self.history:
            x, context, target = self.batch_of(self.last_index)
            found = gradient_quality(self.network, x, target, context)
            self.history["gradients"].append(found)
            self.history["gradients_at"].append(self.step / self.n_batches)
        super().finish_epoch()

    def position(self) -> dict[str, Any]:
        self.settle()
        return super().position()
