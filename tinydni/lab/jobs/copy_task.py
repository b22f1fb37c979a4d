"""Copy: read a row of bits, then write it down from memory; the row grows with success."""

import numpy as np

import tinydni as td
from tinydni.lab.jobs.job import RecurrentJob
from tinydni.lab.recurrent_training import SequenceTask

HELD_OUT = 200          # sequences of an evaluation
SOLVED = 0.15           # bits per symbol of the running mean  (Jaderberg et al. 2016, section 3.2)
KEPT = 0.9              # share of the running mean that a new sequence leaves


class Copy(SequenceTask):
    """`level` random bits, a mark, then the bits again (Graves et al. 2014, section 4.1).

    x (N, L, 4) : one-hot 0 or 1, a column for the mark, one that says "write"; L = 2 level + 1
    target (N, L) : the bits, asked for in the last `level` steps, which have no other input
    context : the next `ahead` targets after each step, one-hot, zeros where there are none

    The level grows when it is learned: the bits per symbol, a running mean, fall below SOLVED.
    `longest` is the length of the last level that was solved, 0 before the first.
    """

    measures = ("longest", "bits_per_symbol")
    n_in, n_out = 4, 2

    def __init__(self, options):
        super().__init__(options)
        self.ahead, self.loss = options["ahead"], td.SoftmaxCrossEntropy()
        self.n_context = self.ahead * self.n_out
        self.context_name = f"the next {self.ahead} targets"
        self.level, self.longest, self.running = 1, 0, 1.0

    def length(self, level):
        """Return the number of symbols to write at a level."""
        return level

    def windows(self, i):
        rng, options = self.draws(i), self.options
        x, target, asked = self.draw(rng, options["batch_size"], self.level)
        contexts = self.targets_ahead(target, asked) if options["method"] == "cdni" else None
        return self.cut(rng, x, target, asked, contexts)

    def draw(self, rng, n, level):
        """Return x and target of n sequences, and the numbers of the steps that have a target."""
        bits = rng.integers(2, size=(n, level))
        x = np.zeros((n, 2 * level + 1, self.n_in), np.float32)
        target = np.zeros((n, 2 * level + 1), np.int64)
        x[:, :level, :2] = np.eye(2)[bits]
        x[:, level, 2] = x[:, level + 1:, 3] = 1
        target[:, level + 1:] = bits
        return x, target, np.arange(level + 1, 2 * level + 1)

    def targets_ahead(self, target, asked):
        """Return contexts (N, L + 1, ahead · K): the targets of steps t ... t + ahead - 1."""
        N, L = target.shape
        padded = np.zeros((N, L + 1 + self.ahead, self.n_out), np.float32)
        padded[:, asked] = np.eye(self.n_out)[target[:, asked]]
        return np.concatenate([padded[:, k:k + L + 1] for k in range(self.ahead)], axis=2)

    def learned(self, loss):
        self.running = KEPT * self.running + (1 - KEPT) * loss / np.log(2)
        if self.running < SOLVED:
            self.longest, self.level, self.running = self.length(self.level), self.level + 1, 1.0

    def state(self):
        return {"level": self.level, "longest": self.longest, "bits": self.running}

    def load_state(self, state):
        self.level, self.longest, self.running = state["level"], state["longest"], state["bits"]

    def evaluate(self, network):
        """Return the longest row that was learned, and the bits per symbol of fresh rows."""
        x, target, asked = self.draw(self.draws(-1), HELD_OUT, self.level)
        y = self.outputs(network, x)[:, asked[0]:].reshape(-1, self.n_out)
        loss = td.SoftmaxCrossEntropy().forward(y, target[:, asked].ravel())
        return {"longest": self.longest, "bits_per_symbol": float(loss / np.log(2))}


def show(run):
    """Print a few rows of the longest length that was learned, and how they are copied."""
    task, level = run.task, max(1, run.task.level - 1)
    x, target, asked = task.draw(task.draws(-1), 4, level)
    written = task.outputs(run.network, x)[:, asked].argmax(axis=2)
    print("What it should write, and what it writes:")
    for row in np.stack([target[:, asked], written], axis=1).reshape(-1, len(asked)):
        print("  " + "".join("01."[symbol] for symbol in row))      # 2 is the end


def scores(run):
    """Return the longest row that was learned [symbols]."""
    return {"longest": run.training.history["longest"][-1]}


DEFAULTS = {"method": "cdni", "ahead": 16, "window": 3, "scale": 1.0, "layers": 1, "width": 64,
            "updates": 15000, "batch_size": 32, "lr": 3e-3, "synthesizer_lr": 3e-5,
            "each_window": True}
JOB = RecurrentJob(
    "copy", "copy a row of bits from memory; the row grows with success (no download)",
    DEFAULTS, Copy, scores, show, "longest row learned [symbols]")
