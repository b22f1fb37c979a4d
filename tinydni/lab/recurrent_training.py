"""The training loop for sequences: window by window, evaluated at regular distances."""

import math

import numpy as np

from tinydni import checks
from tinydni.training import DivergedError


class SequenceTask:
    """What a recurrent network has to do; one subclass per job.

    n_in, n_out: width of x and of the outputs    loss: for rows of outputs
    measures: the names of what `evaluate` returns; the first is shown while training
    reads: what a synthesizer reads, in words
    n_context, context_name: width of what it may see of the targets to come beside that, and what that is in words
    notes: sentences for the report
    """

    reads, n_context, context_name, notes = "the state", 0, "nothing", ()

    def windows(self, i):
        """The windows of sequence number i, a list of Window. The same i gives the same windows."""
        raise NotImplementedError(f"{type(self).__name__}.windows")

    def evaluate(self, network):
        """How well the network does on sequences that it does not learn from: {name: number}."""
        raise NotImplementedError(f"{type(self).__name__}.evaluate")

    def learned(self, loss):
        """Hears the loss of each sequence, for tasks that grow with success."""

    def state(self):
        """What a continued run needs to know of the task, as JSON can hold it."""
        return None

    def load_state(self, state):
        """Takes a state from `state()`."""


class RecurrentTraining:
    """A recurrent network on its way through the sequences of a task.

    updates: number of windows in all; the last sequence is finished
    evaluations: how many, at equal distances
    history: lists with one entry per evaluation: `update`, `train_loss` (mean over the sequences since the last one),
    and what the task measures
    Which sequences come depends only on the task, so that a run that was stopped and resumed sees the same.
    """

    def __init__(self, network, task, updates, evaluations=30):
        self.network, self.task = network, task
        self.updates = checks.check_positive_int(updates, "updates")
        self.evaluations = min(checks.check_positive_int(evaluations, "evaluations"), updates)
        self.xp = network.modules[0].block.xp
        self.step = self.sequence = 0           # completed windows, completed sequences
        self.batch = 0                          # sequences since the last evaluation
        self.loss_sum = 0.0
        self.stopped = False
        self.history = {"update": [], "train_loss": [], **{name: [] for name in task.measures}}

    @property
    def n_steps(self):
        """The number of windows in all."""
        return self.updates

    @property
    def finished(self):
        """Whether all evaluations are done."""
        return len(self.history["update"]) == self.evaluations

    def place(self):
        """Where the loop is, in words."""
        return f"update {self.step} of {self.updates}"

    def headline(self):
        """What the last evaluation found, in words."""
        name = self.task.measures[0]
        return f"loss {self.history['train_loss'][-1]:.4f}, {name.replace('_', ' ')} {self.history[name][-1]:.3f}"

    def run(self, callbacks=()):
        """Trains to the last update, or until someone sets `stopped`. Returns the history.

        callbacks: functions of this training, called after every sequence; after an evaluation `batch` is 0
        Raises DivergedError when the loss is NaN or infinite.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):     # the loss itself is watched
            while not (self.finished or self.stopped):
                self.run_sequence()
                if self.step >= (len(self.history["update"]) + 1) * self.updates / self.evaluations:
                    self.evaluate()
                for callback in callbacks:
                    callback(self)
        return self.history

    def run_sequence(self):
        """One step per window of the next sequence."""
        loss = 0.0
        for window in self.task.windows(self.sequence):
            loss += float(self.network.step(window.to(self.xp)))
            self.step += 1
        if not math.isfinite(loss):
            raise DivergedError(f"the training loss became {loss} at update {self.step}. The learning rate is probably "
                                "too high: try a third of it (--lr, --synthesizer-lr), or a smaller --scale.")
        self.task.learned(loss)
        self.sequence += 1
        self.batch += 1
        self.loss_sum += loss

    def evaluate(self):
        """Appends one entry to every list of the history."""
        found = {"update": self.step, "train_loss": self.loss_sum / self.batch, **self.task.evaluate(self.network)}
        for name, value in found.items():
            self.history[name].append(value)
        self.batch, self.loss_sum = 0, 0.0

    def position(self):
        """Where the loop is, as JSON can hold it; with network.state() all that a continued run needs."""
        return {"step": self.step, "sequence": self.sequence, "batch": self.batch, "loss_sum": self.loss_sum,
                "task": self.task.state(), "history": self.history}

    def go_to(self, position):
        """Takes a position from `position()`."""
        self.step, self.sequence, self.batch = position["step"], position["sequence"], position["batch"]
        self.loss_sum, self.history = position["loss_sum"], position["history"]
        self.task.load_state(position["task"])
