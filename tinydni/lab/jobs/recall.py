"""Distractor recall: keep one symbol in mind while others pass by."""

import numpy as np

from tinydni import backend
from tinydni.recurrent_dni import cut
from tinydni.lab.jobs.arguments import whole
from tinydni.lab.jobs.recurrent_job import RecurrentJob
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.random import stream
from tinydni.lab.recurrent_training import SequenceTask

SYMBOLS = 4             # K; to guess costs log2 K = 2 bits
HELD_OUT = 1000         # sequences of an evaluation


class Recall(SequenceTask):
    """One flagged symbol, then n_distractors random ones, then a cue: which was the flagged one?

    x (N, L, K + 2): one-hot symbols, a column for the flag, one for the cue; L = n_distractors + 2
    target (N, L): the flagged symbol, asked for at the last step
    context: the flagged symbol, one-hot; a label that is known in training
    """

    measures = ("bits",)
    n_in, n_out, n_context, context_name = SYMBOLS + 2, SYMBOLS, SYMBOLS, "the flagged symbol"

    def __init__(self, options):
        self.options, self.n_distractors, self.loss = options, options["distractors"], SoftmaxCrossEntropy()
        self.length = self.n_distractors + 2
        self.notes = (f"Distractor recall: 1 of {SYMBOLS} symbols to keep in mind while {self.n_distractors} others pass; "
                      f"guessing costs {np.log2(SYMBOLS):g} bits.",)

    def windows(self, i):
        rng, options = stream(self.options["seed"], "sample", i + 1), self.options
        x, target = self.draw(rng, options["batch_size"])
        first = None if "window" not in options else int(rng.integers(1, options["window"] + 1))
        contexts = None
        if options["method"] == "cdni":
            label = np.eye(SYMBOLS, dtype=np.float32)[target[:, :1]]
            contexts = np.broadcast_to(label, (len(x), self.length + 1, SYMBOLS))
        return cut(x, target, [self.length - 1], options.get("window", self.length), contexts, first)

    def draw(self, rng, n):
        """x and target of n sequences."""
        symbols = rng.integers(SYMBOLS, size=(n, self.length - 1))
        x = np.zeros((n, self.length, self.n_in), np.float32)
        x[:, :-1, :SYMBOLS] = np.eye(SYMBOLS)[symbols]
        x[:, 0, SYMBOLS] = x[:, -1, SYMBOLS + 1] = 1
        return x, np.repeat(symbols[:, :1], self.length, axis=1)

    def evaluate(self, network):
        """Bits per answer on sequences that are not trained on."""
        xp = network.modules[0].block.xp
        x, target = self.draw(stream(self.options["seed"], "sample", 0), HELD_OUT)
        y, _ = network.predict(backend.asarray(xp, x))
        loss = SoftmaxCrossEntropy().to(xp).forward(y[:, -1], backend.asarray(xp, target[:, -1]))
        return {"bits": float(loss / np.log(2))}


def show(network, task):
    """Prints how often the answer is right on a few fresh sequences."""
    x, target = task.draw(stream(task.options["seed"], "sample", 0), HELD_OUT)
    y, _ = network.predict(backend.asarray(network.modules[0].block.xp, x[:20]))
    print("The flagged symbols of 20 sequences:", *target[:20, 0])
    print("               as it recalls them:  ", *backend.to_numpy(y[:, -1].argmax(axis=1)))


def scores(history, network, task):
    """The scores of the job [bits per answer]."""
    return {"bits": history["bits"][-1], "bits_best": min(history["bits"])}


JOB = RecurrentJob(
    "recall", "distractor recall: keep one symbol in mind while others pass (no download)",
    {"method": "cdni", "distractors": 10, "window": 3, "scale": 0.3, "layers": 1, "width": 32, "updates": 3000,
     "batch_size": 64, "lr": 3e-3},
    Recall, scores, show,
    "bits per answer", lambda parser: parser.add_argument("--distractors", type=whole(1), metavar="N",
                                                          help="symbols that pass in between (default 10)"))
