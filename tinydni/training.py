"""The training loop: epochs, batches, evaluation, history; and all that is needed to stop and go on."""

import math

import numpy as np

from tinydni import backend, checks
from tinydni.capture import CapturedStep
from tinydni.dni.quality import gradient_quality
from tinydni.random import stream
from tinydni.schedules import Constant


class DivergedError(FloatingPointError):
    """The loss became NaN or infinite."""


def percent_wrong(prediction, target):
    """The share of examples whose largest output is not the labelled one [%].

    prediction (N, K): outputs    target (N,): labels
    """
    return 100 * float((prediction.argmax(axis=1) != target).mean())


def percent_bits_wrong(prediction, target):
    """The share of bits on the wrong side [%].

    prediction (N, M): logits, above 0 means 1    target (N, M): bits
    """
    return 100 * float(((prediction > 0) != (target > 0.5)).mean())


class Training:
    """A network on its way through a data set.

    network: to be trained, on any backend    dataset: x, y, x_test, y_test, see tinydni.datasets
    epochs, batch_size: the examples left over at the end of an epoch, fewer than a batch, wait for the next
    seed: of the order of the examples    schedule: factor of the learning rates by step
    error: function (prediction, target) -> number, shown for the held-out part after every epoch
    context (N, C): what the synthesizers may see of each training example beside h, such as dataset.context(), or None
    measure_gradients: whether to compare synthetic and true gradients, see gradient_quality: True, before the last step
    of every epoch, or a number k, before every k-th step; always on a batch that the synthesizers have yet to learn from
    synthesizer_schedule: of the synthesizers' learning rates, if it is not `schedule`
    augment: function (xp, x, rng) -> x that changes the inputs of every step at random, such as crop_and_flip, or None
    capture: whether a GPU repeats the step as one CUDA graph, see CapturedStep, which says what it cannot be used for

    history: lists with one entry per epoch: `epoch`, `train_loss` (mean over the batches, each before its update),
    `test_error` (or `validation_error`), `synthesizer_loss` (of the last batch, one number per interface),
    and, if measured, `gradients` (one dict per interface) with the places `gradients_at` [epochs].
    The order of every epoch depends only on the seed and the epoch, so that a run that was stopped and resumed
    sees what an uninterrupted one sees.
    """

    def __init__(self, network, dataset, epochs, batch_size, seed, schedule=None, error=percent_wrong,
                 context=None, measure_gradients=False, synthesizer_schedule=None, augment=None, capture=False):
        self.network, self.dataset, self.error = network, dataset, error
        self.epochs = checks.positive_int(epochs, "epochs")
        self.batch_size = checks.positive_int(batch_size, "batch_size")
        if batch_size > len(dataset.x):
            raise ValueError(f"batch_size must be at most the number of training examples, {len(dataset.x)}; got {batch_size}.")
        self.n_batches = len(dataset.x) // batch_size
        self.seed, self.schedule = seed, schedule or Constant()
        self.synthesizer_schedule, self.augment = synthesizer_schedule, augment
        self.captured = CapturedStep(network) if capture else None
        self.xp = network.modules[0].block.xp
        self.x, self.y = (backend.asarray(self.xp, array) for array in (dataset.x, dataset.y))
        self.context = None if context is None else backend.asarray(self.xp, context)
        self.epoch = self.batch = 0             # completed epochs, completed batches of the current one
        self.loss_sum = 0.0
        self.stopped = False
        self.history = {"epoch": [], "train_loss": [], f"{dataset.held_out}_error": [], "synthesizer_loss": []}
        self.measured_every = self.n_batches if measure_gradients is True else int(measure_gradients)     # 0: never
        if self.measured_every:
            self.history |= {"gradients": [], "gradients_at": []}

    @property
    def step(self):
        """The number of completed steps."""
        return self.epoch * self.n_batches + self.batch

    @property
    def n_steps(self):
        """The number of steps in all."""
        return self.epochs * self.n_batches

    def place(self):
        """Where the loop is, in words."""
        return f"epoch {self.epoch + 1} of {self.epochs}"

    def headline(self):
        """What the last evaluation found, in words."""
        held_out = self.dataset.held_out
        return (f"epoch {self.epoch}: loss {self.history['train_loss'][-1]:.4f}, "
                f"{held_out} error {self.history[f'{held_out}_error'][-1]:.2f} %")

    @property
    def finished(self):
        """Whether all epochs are done."""
        return self.epoch == self.epochs

    def run(self, callbacks=()):
        """Trains to the last epoch, or until someone sets `stopped`. Returns the history.

        callbacks: functions of this training, called after every step; after the last step of an epoch (`batch` is
        then 0) the epoch has been evaluated
        Raises DivergedError when the loss is NaN or infinite.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):     # the loss itself is watched
            while not (self.finished or self.stopped):
                self.run_epoch(callbacks)
        return self.history

    def run_epoch(self, callbacks=()):
        """Trains through what is left of the current epoch and evaluates."""
        order = backend.asarray(self.xp, stream(self.seed, "order", self.epoch).permutation(len(self.x)))
        while not self.stopped:
            self.run_batch(order[self.batch * self.batch_size:(self.batch + 1) * self.batch_size])
            if self.batch == self.n_batches:
                self.finish_epoch()
            for callback in callbacks:
                callback(self)
            if self.batch == 0:
                return

    def run_batch(self, index):
        """One step on the examples `index` (batch_size,)."""
        x, context = self.x[index], None if self.context is None else self.context[index]
        if self.augment is not None:
            x = self.augment(self.xp, x, stream(self.seed, "augment", self.step))
        if self.measured_every and (self.step + 1) % self.measured_every == 0:
            self.measure(x, self.y[index], context)
        self.network.set_factor(self.schedule(self.step), self.synthesizer_schedule and self.synthesizer_schedule(self.step))
        step = self.captured or self.network.step
        self.count(float(step(x, self.y[index], context)))      # the one wait for the device
        self.batch += 1

    def measure(self, x, target, context):
        """Appends the quality of the synthetic gradients on one batch to the history."""
        self.history["gradients"].append(gradient_quality(self.network, x, target, context))
        self.history["gradients_at"].append(self.step / self.n_batches)

    def count(self, loss):
        """Adds the loss of one step. Raises DivergedError unless it is finite."""
        if not math.isfinite(loss):
            raise DivergedError(
                f"the training loss became {loss} in epoch {self.epoch + 1}, step {self.step + 1}. The learning rate "
                "is probably too high: try a third of it (--lr, --synthesizer-lr), or check the data.")
        self.loss_sum += loss

    def finish_epoch(self):
        """Evaluates: appends one entry to every list of the history."""
        history, held_out = self.history, self.dataset.held_out
        history["epoch"].append(self.epoch + 1)
        history["train_loss"].append(self.loss_sum / self.n_batches)
        history[f"{held_out}_error"].append(self.error_on(self.dataset.x_test, self.dataset.y_test))
        history["synthesizer_loss"].append([float(s.loss()) for s in self.network.synthesizers()])
        self.epoch, self.batch, self.loss_sum = self.epoch + 1, 0, 0.0

    def train_error(self):
        """The error on the training part, in evaluation mode."""
        return self.error_on(self.x, self.y)

    def error_on(self, x, y):
        prediction = self.network.predict(backend.asarray(self.xp, x))
        return self.error(prediction, backend.asarray(self.xp, y))

    def position(self):
        """Where the loop is, as JSON can hold it; with network.state() all that a continued run needs."""
        return {"epoch": self.epoch, "batch": self.batch, "loss_sum": self.loss_sum, "history": self.history}

    def go_to(self, position):
        """Takes a position from `position()`."""
        self.epoch, self.batch, self.loss_sum = position["epoch"], position["batch"], position["loss_sum"]
        self.history = position["history"]
