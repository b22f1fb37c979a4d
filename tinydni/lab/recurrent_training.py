"""The training loop for sequences: window by window, evaluated at regular distances."""

import math
from typing import Any

import numpy as np

import tinydni as td
from tinydni import backend, checks
from tinydni.random import stream
from tinydni.training import DivergedError


class SequenceTask:
    """What a recurrent network has to do; one subclass per job.

    Parameters
    ----------
    options : of the job

    Attributes
    ----------
    n_in, n_out, loss : widths of x and of the outputs, and the loss for rows of these
    measures : names of what `evaluate` returns; the first is shown while training
    reads : what a synthesizer reads, in words
    n_context, context_name : what it may see of the targets to come beside that: width, and words
    notes : sentences for the report
    """

    measures: tuple[str, ...] = ()
    reads, n_context, context_name = "the state", 0, "nothing"
    notes: tuple[str, ...] = ()

    def __init__(self, options: dict):
        self.options = options

    def windows(self, i: int) -> list:
        """Return the windows of sequence number i. The same i gives the same windows."""
        raise NotImplementedError(f"{type(self).__name__}.windows")

    def evaluate(self, network: Any) -> dict[str, float]:
        """Say how well the network does on sequences that it does not learn from."""
        raise NotImplementedError(f"{type(self).__name__}.evaluate")

    def learned(self, loss: float) -> None:
        """Hear the loss of each sequence, for tasks that grow with success."""

    def data(self) -> tuple:
        """Return the arrays that a continued run must find again."""
        return ()

    def state(self) -> Any:
        """Return what a continued run needs to know of the task, as JSON can hold it."""
        return None

    def load_state(self, state: Any) -> None:
        """Take a state from `state()`."""

    def draws(self, i: int) -> np.random.Generator:
        """Return the random numbers of sequence number i; -1 is for evaluation."""
        return stream(self.options["seed"], "sample", i + 1)

    def cut(self, rng: np.random.Generator, x: np.ndarray, target: np.ndarray, asked: Any,
            contexts: np.ndarray | None) -> list:
        """Return the windows of sequences; a random length of the first moves all boundaries."""
        T = self.options.get("window")
        first = int(rng.integers(1, T + 1)) if T else None
        return td.cut(x, target, asked, T or x.shape[1], contexts, first)

    def outputs(self, network: Any, x: np.ndarray) -> Any:
        """Return what the network says to whole sequences x (N, L, D), on the host."""
        y, _ = network.predict(backend.asarray(network.modules[0].block.xp, x))
        several = isinstance(y, (tuple, list))
        return tuple(map(backend.to_numpy, y)) if several else backend.to_numpy(y)


class RecurrentTraining:
    """A recurrent network on its way through the sequences of a task.

    Which sequences come depends only on the task, so that a resumed run sees what an uninterrupted
    one sees.

    Parameters
    ----------
    updates : number of windows in all; the last sequence is finished
    evaluations : how many, at equal distances

    Attributes
    ----------
    history : lists with one entry per evaluation: `update`, `train_loss` (mean over the sequences
        since the last one), and what the task measures
    """

    KEPT = ("step", "sequence", "batch", "loss_sum", "history")     # of a run that goes on

    def __init__(self, network: Any, task: SequenceTask, updates: int, evaluations: int = 30):
        self.network, self.task = network, task
        self.n_steps = checks.check_positive_int(updates, "updates")
        self.evaluations = min(checks.check_positive_int(evaluations, "evaluations"), updates)
        self.xp = network.modules[0].block.xp
        self.step = self.sequence = 0           # completed windows, completed sequences
        self.batch = 0                          # sequences since the last evaluation
        self.loss_sum = 0.0
        self.stopped = False
        self.history: dict = {"update": [], "train_loss": [],
                              **{name: [] for name in task.measures}}

    @property
    def finished(self) -> bool:
        """Whether all evaluations are done."""
        return len(self.history["update"]) == self.evaluations

    def place(self) -> str:
        """Say where the loop is."""
        return f"update {self.step} of {self.n_steps}"

    def headline(self) -> str:
        """Say what the last evaluation found."""
        name = self.task.measures[0]
        return (f"loss {self.history['train_loss'][-1]:.4f}, "
                f"{name.replace('_', ' ')} {self.history[name][-1]:.3f}")

    def run(self, callbacks=()) -> dict:
        """Train to the last update, or until someone sets `stopped`. Return the history.

        callbacks : functions of this training, called after every sequence; `batch` is 0 after an
        evaluation. Raises DivergedError when the loss is NaN or infinite.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):     # loss is watched
            while not (self.finished or self.stopped):
                self.run_sequence()
                done = len(self.history["update"]) + 1
                if self.step >= done * self.n_steps / self.evaluations:
                    self.evaluate()
                for callback in callbacks:
                    callback(self)
        return self.history

    def run_sequence(self) -> None:
        """Take one step per window of the next sequence."""
        loss = 0.0
        for window in self.task.windows(self.sequence):
            loss += float(self.network.step(window.to(self.xp)))
            self.step += 1
        if not math.isfinite(loss):
            raise DivergedError(f"the training loss became {loss} at update {self.step}. The "
                                "learning rate is probably too high: try a third of it (--lr, "
                                "--synthesizer-lr), or a smaller --scale.")
        self.task.learned(loss)
        self.sequence += 1
        self.batch += 1
        self.loss_sum += loss

    def evaluate(self) -> None:
        """Append one entry to every list of the history."""
        found = {"update": self.step, "train_loss": self.loss_sum / self.batch,
                 **self.task.evaluate(self.network)}
        for name, value in found.items():
            self.history[name].append(value)
        self.batch, self.loss_sum = 0, 0.0

    def position(self) -> dict:
        """Say where the loop is, for JSON; with network.state() all that a continued run needs."""
        return {name: getattr(self, name) for name in self.KEPT} | {"task": self.task.state()}

    def go_to(self, position: dict) -> None:
        """Take a position from `position()`."""
        for name in self.KEPT:
            setattr(self, name, position[name])
        self.task.load_state(position["task"])
