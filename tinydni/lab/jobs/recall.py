"""Distractor recall: keep one symbol in mind while others pass by."""

import numpy as np

import tinydni as td
from tinydni.lab.jobs.job import RecurrentJob
from tinydni.lab.recurrent_training import SequenceTask

SYMBOLS = 4             # K; to guess costs log2 K = 2 bits
HELD_OUT = 1000         # sequences of an evaluation


class Recall(SequenceTask):
    """One flagged symbol, then n_distractors random ones, then a cue: which was the flagged one?

    x (N, L, K + 2) : one-hot symbols, a column for the flag, one for the cue; L = n_distractors + 2
    target (N, L) : the flagged symbol, asked for at the last step
    context : the flagged symbol, one-hot; a label that is known in training
    """

    measures = ("bits",)
    n_in, n_out, n_context, context_name = SYMBOLS + 2, SYMBOLS, SYMBOLS, "the flagged symbol"

    def __init__(self, options):
        super().__init__(options)
        self.loss, self.length = td.SoftmaxCrossEntropy(), options["distractors"] + 2
        self.notes = (f"Distractor recall: 1 of {SYMBOLS} symbols to keep in mind while "
                      f"{options['distractors']} others pass; guessing costs "
                      f"{np.log2(SYMBOLS):g} bits.",)

    def windows(self, i):
        rng, contexts = self.draws(i), None
        x, target = self.draw(rng, self.options["batch_size"])
        if self.options["method"] == "cdni":
            label = np.eye(SYMBOLS, dtype=np.float32)[target[:, :1]]
            contexts = np.broadcast_to(label, (len(x), self.length + 1, SYMBOLS))
        return self.cut(rng, x, target, [self.length - 1], contexts)

    def draw(self, rng, n):
        """Return x and target of n sequences."""
        symbols = rng.integers(SYMBOLS, size=(n, self.length - 1))
        x = np.zeros((n, self.length, self.n_in), np.float32)
        x[:, :-1, :SYMBOLS] = np.eye(SYMBOLS)[symbols]
        x[:, 0, SYMBOLS] = x[:, -1, SYMBOLS + 1] = 1
        return x, np.repeat(symbols[:, :1], self.length, axis=1)

    def evaluate(self, network):
        """Return the bits per answer on sequences that are not trained on."""
        x, target = self.draw(self.draws(-1), HELD_OUT)
        loss = td.SoftmaxCrossEntropy().forward(self.outputs(network, x)[:, -1], target[:, -1])
        return {"bits": float(loss / np.log(2))}


def show(run):
    """Print how often the answer is right on a few fresh sequences."""
    x, target = run.task.draw(run.task.draws(-1), HELD_OUT)
    print("The flagged symbols of 20 sequences:", *target[:20, 0])
    print("               as it recalls them:  ",
          *run.task.outputs(run.network, x[:20])[:, -1].argmax(axis=1))


def scores(run):
    """Return the bits per answer, at the end and at best."""
    bits = run.training.history["bits"]
    return {"bits": bits[-1], "bits_best": min(bits)}


JOB = RecurrentJob(
    "recall", "distractor recall: keep one symbol in mind while others pass (no download)",
    {"method": "cdni", "distractors": 10, "window": 3, "scale": 0.3, "layers": 1, "width": 32,
     "updates": 3000, "batch_size": 64, "lr": 3e-3},
    Recall, scores, show, "bits per answer")
