"""The training loop: epochs, batches, evaluation, history; and what is needed to stop and go on."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.backend import Array, asarray
from tinydni.dni import Network
from tinydni.losses import check_logits
from tinydni.optimizers import Constant
from tinydni.random import stream

__all__ = ["DivergedError", "Training", "percent_bits_wrong", "percent_wrong"]


class DivergedError(FloatingPointError):
    """The loss became NaN or infinite."""


def percent_wrong(prediction: Array, target: Array) -> float:
    """Return the share of examples whose largest output (N, K) is not the labelled one [%]."""
    check_logits(prediction, target)
    return 100 * float((prediction.argmax(axis=1) != target).mean())


def percent_bits_wrong(prediction: Array, target: Array) -> float:
    """Return the share of bits on the wrong side [%]; a logit above 0 means 1."""
    checks.check_same_shape(prediction, target, "prediction", "target")
    return 100 * float(((prediction > 0) != (target > 0.5)).mean())


class Training:
    """A network on its way through a data set.

    The order of every epoch depends only on the seed and the epoch, so that a resumed run sees what
    an uninterrupted one sees. What is left over at an epoch's end, less than a batch, is left out.

    Parameters
    ----------
    network : to be trained, on any backend
    dataset : x, y, x_test, y_test, see tinydni.datasets
    epochs, batch_size : how long, and how many examples in a step
    seed : of the order of the examples
    schedule : scale of the learning rates by step, see optimizers
    error : function (prediction, target) -> number, for the held-out part after every epoch
    context (N, C) : what the synthesizers may see of each training example beside h, or None
    synthesizer_schedule : of the synthesizers' learning rates, if it is another
    augment : function (xp, x, rng) -> x that changes the inputs of every step at random, or None
    step : function (x, target, context) -> loss in place of network.step, or None

    Attributes
    ----------
    history : lists, an entry per epoch: `epoch`, `train_loss` (mean over the batches, before their
        updates), `test_error` or `validation_error`, `synthesizer_loss` (of the last batch, one
        number per interface, None before it has learned)

    Examples
    --------
    >>> import numpy as np, tinydni as td
    >>> data = td.datasets.addition(bits=4)
    >>> blocks = td.mlp((data.n_in, 16, data.y.shape[1]), np.random.default_rng(0))
    >>> net = td.build(blocks, td.BinaryCrossEntropy(), 0.1, algorithm=td.backprop)
    >>> history = Training(net, data, 2, 32, seed=0, error=percent_bits_wrong).run()
    >>> history["epoch"]
    [1, 2]
    """

    def __init__(self, network: Network, dataset: Any, epochs: int, batch_size: int, seed: int,
                 schedule: Callable[[int], float] | None = None,
                 error: Callable[[Array, Array], float] = percent_wrong,
                 context: Array | None = None,
                 synthesizer_schedule: Callable[[int], float] | None = None,
                 augment: Callable[..., Array] | None = None,
                 step: Callable[..., Array] | None = None):
        checks.check_can(network, "network", "a Network", "predict")
        checks.check_can(dataset, "dataset", "a Dataset", "x_test")
        checks.check_functions(schedule=schedule, augment=augment, step=step,
                               synthesizer_schedule=synthesizer_schedule)
        checks.check_functions(optional=False, error=error)
        self.network, self.dataset, self.error = network, dataset, error
        self.epochs = checks.check_positive_int(epochs, "epochs")
        self.batch_size = checks.check_positive_int(batch_size, "batch_size", 1, len(dataset.x))
        stream(seed, "order")                   # raises for a seed that is none
        if context is not None:
            checks.check_array(context, "context")
            if context.shape[:1] != dataset.x.shape[:1]:
                raise ValueError("context must have a row for each training example; got "
                                 f"{context.shape}.")
        self.n_batches = len(dataset.x) // batch_size
        self.seed, self.schedule = seed, schedule or Constant()
        self.synthesizer_schedule, self.augment = synthesizer_schedule, augment
        self.network_step = step or network.step
        self.xp = network.modules[0].block.xp
        self.x, self.y = (asarray(self.xp, array) for array in (dataset.x, dataset.y))
        self.context = None if context is None else asarray(self.xp, context)
        self.epoch = self.batch = 0             # completed epochs, batches of the current one
        self.loss_sum = 0.0
        self.stopped = False
        self.held_out_error = f"{dataset.held_out}_error"
        self.history: dict[str, list[Any]] = {"epoch": [], "train_loss": [],
                                              self.held_out_error: [], "synthesizer_loss": []}

    @property
    def step(self) -> int:
        """The number of completed steps."""
        return self.epoch * self.n_batches + self.batch

    @property
    def n_steps(self) -> int:
        """The number of steps in all."""
        return self.epochs * self.n_batches

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch == self.epochs

    def place(self) -> str:
        """Say where the loop is."""
        return f"epoch {self.epoch + 1} of {self.epochs}"

    def headline(self) -> str:
        """Say what the last evaluation found."""
        loss, error = self.history["train_loss"][-1], self.history[self.held_out_error][-1]
        return f"epoch {self.epoch}: loss {loss:.4f}, {self.dataset.held_out} error {error:.2f} %"

    def run(self, callbacks: Iterable[Callable[["Training"], None]] = ()) -> dict[str, list[Any]]:
        """Train to the last epoch, or until someone sets `stopped`. Return the history.

        callbacks: functions of this training, called after every step; `batch` is 0 where an epoch
        has just been evaluated. Raises DivergedError when the loss is NaN or infinite.
        """
        for callback in callbacks if isinstance(callbacks, (list, tuple)) else [None]:
            checks.check_functions(optional=False, callbacks=callback)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):     # loss is watched
            while not (self.finished or self.stopped):
                self.run_epoch(callbacks)
        return self.history

    def run_epoch(self, callbacks: Iterable[Callable[["Training"], None]] = ()) -> None:
        """Train through what is left of the current epoch and evaluate."""
        order = asarray(self.xp, stream(self.seed, "order", self.epoch).permutation(len(self.x)))
        while not self.stopped:
            start = self.batch * self.batch_size
            self.run_batch(order[start:start + self.batch_size])
            if self.batch == self.n_batches:
                self.finish_epoch()
            for callback in callbacks:
                callback(self)
            if self.batch == 0:
                return

    def run_batch(self, index: Array) -> None:
        """Take one step on the examples `index` (batch_size,)."""
        x, target = self.x[index], self.y[index]
        context = None if self.context is None else self.context[index]
        if self.augment is not None:
            x = self.augment(self.xp, x, stream(self.seed, "augment", self.step))
        own = self.synthesizer_schedule and self.synthesizer_schedule(self.step)
        self.network.scale_learning_rates(self.schedule(self.step), own)
        loss = float(self.network_step(x, target, context))     # the one wait for the device
        self.count(loss)
        self.batch += 1

    def count(self, loss: float) -> None:
        """Add the loss of one step. Raise DivergedError unless it is finite."""
        if not math.isfinite(loss):
            raise DivergedError(f"the training loss became {loss} in epoch {self.epoch + 1}, step "
                                f"{self.step + 1}. Try a third of the learning rate (--lr, "
                                "--synthesizer-lr), or check the data.")
        self.loss_sum += loss

    def finish_epoch(self) -> None:
        """Evaluate: append one entry to every list of the history."""
        losses = [synthesizer.loss() for synthesizer in self.network.synthesizers()]
        for name, value in (
                ("epoch", self.epoch + 1), ("train_loss", self.loss_sum / self.n_batches),
                (self.held_out_error, self.error_on(self.dataset.x_test, self.dataset.y_test)),
                ("synthesizer_loss", [None if loss is None else float(loss) for loss in losses])):
            self.history[name].append(value)
        self.epoch, self.batch, self.loss_sum = self.epoch + 1, 0, 0.0

    def train_error(self) -> float:
        """Return the error on the training part, in evaluation mode."""
        return self.error_on(self.x, self.y)

    def error_on(self, x: Array, y: Array) -> float:
        """Return the error on some examples, in evaluation mode.

        Few images at a time, since layers make a lot of each: that takes less memory, and time.
        """
        prediction = self.network.predict(asarray(self.xp, x), 128 if x.ndim == 4 else 2000)
        return self.error(prediction, asarray(self.xp, y))

    def position(self) -> dict[str, Any]:
        """Say where the loop is, for JSON; with network.state() all that a continued run needs."""
        return {"epoch": self.epoch, "batch": self.batch, "loss_sum": self.loss_sum,
                "history": self.history}

    def go_to(self, position: dict[str, Any]) -> None:
        """Take a position from `position()`."""
        if not isinstance(position, dict) or self.position().keys() - position.keys():
            raise ValueError(f"position must be one that position() returned; got {position!r}.")
        self.epoch, self.batch = position["epoch"], position["batch"]
        self.loss_sum, self.history = position["loss_sum"], position["history"]
