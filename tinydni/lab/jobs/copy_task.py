"""Copy: read a row of bits, then write it down from memory; the row grows with success."""

import numpy as np

from tinydni import backend
from tinydni.recurrent_dni import cut
from tinydni.lab.jobs.arguments import whole
from tinydni.lab.jobs.curriculum import Curriculum
from tinydni.lab.jobs.recurrent_job import RecurrentJob
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.random import stream
from tinydni.lab.recurrent_training import SequenceTask

HELD_OUT = 200          # sequences of an evaluation


class Copy(SequenceTask):
    """`level` random bits, a mark, then the same bits again, without input  (Graves et al. 2014, section 4.1).

    x (N, L, 4): one-hot 0 or 1, a column for the mark, one that says "write"; L = 2 level + 1
    target (N, L): the bits, asked for in the last `level` steps
    context: the next `ahead` targets after each step, one-hot, zeros where there are none; known in training

    The level is the length of the row; see Curriculum for when it rises.
    """

    measures = ("longest", "bits_per_symbol")
    n_in, n_out = 4, 2

    def __init__(self, options):
        self.options, self.ahead, self.loss = options, options["ahead"], SoftmaxCrossEntropy()
        self.n_context, self.context_name = self.ahead * self.n_out, f"the next {self.ahead} targets"
        self.curriculum = Curriculum(self.length)

    def length(self, level):
        """Symbols to write at a level."""
        return level

    def windows(self, i):
        rng, options = stream(self.options["seed"], "sample", i + 1), self.options
        x, target, asked = self.draw(rng, options["batch_size"], self.curriculum.level)
        size, first = options.get("window", x.shape[1]), None
        if "window" in options:
            first = int(rng.integers(1, size + 1))
        contexts = self.targets_ahead(target, asked) if options["method"] == "cdni" else None
        return cut(x, target, asked, size, contexts, first)

    def draw(self, rng, n, level):
        """x and target of n sequences, and the numbers of the steps that have a target."""
        bits = rng.integers(2, size=(n, level))
        x, target = np.zeros((n, 2 * level + 1, self.n_in), np.float32), np.zeros((n, 2 * level + 1), np.int64)
        x[:, :level, :2] = np.eye(2)[bits]
        x[:, level, 2] = x[:, level + 1:, 3] = 1
        target[:, level + 1:] = bits
        return x, target, np.arange(level + 1, 2 * level + 1)

    def targets_ahead(self, target, asked):
        """contexts (N, L + 1, ahead · K): the targets of steps t ... t + ahead - 1, for every t."""
        N, L = target.shape
        padded = np.zeros((N, L + 1 + self.ahead, self.n_out), np.float32)
        padded[:, asked] = np.eye(self.n_out)[target[:, asked]]
        return np.concatenate([padded[:, k:k + L + 1] for k in range(self.ahead)], axis=2)

    def learned(self, loss):
        self.curriculum.hear(loss / np.log(2))

    def evaluate(self, network):
        """The longest row that was learned, and the bits per symbol of fresh rows at the present level."""
        xp = network.modules[0].block.xp
        x, target, asked = self.draw(stream(self.options["seed"], "sample", 0), HELD_OUT, self.curriculum.level)
        y, _ = network.predict(backend.asarray(xp, x))
        y, target = y[:, asked[0]:].reshape(-1, self.n_out), backend.asarray(xp, target[:, asked].ravel())
        bits = float(SoftmaxCrossEntropy().to(xp).forward(y, target) / np.log(2))
        return {"longest": self.curriculum.longest, "bits_per_symbol": bits}

    def state(self):
        return self.curriculum.state()

    def load_state(self, state):
        self.curriculum.load_state(state)


def show(network, task):
    """Prints a few rows at the longest length that was learned, and how the network copies them."""
    level = max(1, task.curriculum.level - 1)
    x, target, asked = task.draw(stream(task.options["seed"], "sample", 0), 4, level)
    y, _ = network.predict(backend.asarray(network.modules[0].block.xp, x))
    written = backend.to_numpy(y)[:, asked].argmax(axis=2)
    print("What it should write, and what it writes:")
    for row, copy in zip(target[:, asked], written):
        print(f"  {spelled(row)}\n  {spelled(copy)}")


def spelled(symbols):
    """A row of symbols; 2 is the end."""
    return "".join("01."[symbol] for symbol in symbols)


def scores(history, network, task):
    """The scores of both copy jobs [symbols]."""
    return {"longest": history["longest"][-1]}


DEFAULTS = {"method": "cdni", "ahead": 16, "window": 3, "scale": 1.0, "layers": 1, "width": 64, "updates": 15000,
            "batch_size": 32, "lr": 3e-3,
            "synthesizer_lr": 3e-5, "each_window": True}


def extra(parser):
    """The option of both copy jobs."""
    parser.add_argument("--ahead", type=whole(1), metavar="R",
                        help="targets ahead that the synthesizers of cdni see (default 16)")


JOB = RecurrentJob("copy", "copy a row of bits from memory; the row grows with success (no download)", DEFAULTS, Copy,
                   scores, show, "longest row learned [symbols]", extra)
