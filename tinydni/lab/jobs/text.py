"""Characters of tinyshakespeare: guess the next one; a sequence without an end."""

import numpy as np

from tinydni import backend
from tinydni.datasets.text import tinyshakespeare
from tinydni.recurrent_dni import Window
from tinydni.lab.jobs.arguments import whole
from tinydni.lab.jobs.recurrent_job import RecurrentJob
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.lab.recurrent_training import SequenceTask

STREAMS = 50            # into which a held-out part is cut, to be read side by side
STEPS = 100             # at a time
SHORT = 20_000          # characters for the learning curve


class NextCharacter(SequenceTask):
    """The next character, at every step, of `batch_size` streams that read the training part side by side.

    x (N, T, K): one-hot characters    target (N, T): the characters that follow
    context: the next `ahead` characters after each step, one-hot; known in training
    The state passes from window to window; when the streams reach the end, they begin again.
    """

    measures = ("bits_per_character",)      # of the beginning of the validation part

    def __init__(self, options):
        self.options, self.ahead, self.loss = options, options["ahead"], SoftmaxCrossEntropy()
        self.text = tinyshakespeare()
        self.notes = self.text.notes
        self.n_in = self.n_out = len(self.text.alphabet)
        self.n_context, self.context_name = self.ahead * self.n_out, f"the next {self.ahead} characters"
        self.one_hot = np.eye(self.n_out, dtype=np.float32)
        N = options["batch_size"]
        self.streams = self.text.train[:len(self.text.train) // N * N].reshape(N, -1)

    def windows(self, i):
        """One window; the sequence has no end, so there is always a boundary after it."""
        T, ahead = self.options["window"], self.ahead
        n_windows = (self.streams.shape[1] - ahead - 1) // T
        start = i % n_windows * T
        symbols, contexts = self.streams[:, start:start + T + 1 + ahead], None
        if self.options["method"] == "cdni":
            seen = self.one_hot[symbols[:, 1:]]
            contexts = np.concatenate([seen[:, k:k + T + 1] for k in range(ahead)], axis=2)
        return [Window(self.one_hot[symbols[:, :T]], symbols[:, 1:T + 1], np.arange(T), 1 / T, contexts,
                       first=start == 0)]

    def evaluate(self, network):
        return {"bits_per_character": self.bits(network, self.text.validation[:SHORT])}

    def bits(self, network, symbols):
        """Bits per character of a part of the text, read in STREAMS streams."""
        xp, states, sums = network.modules[0].block.xp, None, []
        rows = symbols[:len(symbols) // STREAMS * STREAMS].reshape(STREAMS, -1)
        for start in range(0, rows.shape[1] - 1, STEPS):
            part = rows[:, start:start + STEPS + 1]
            y, states = network.predict(backend.asarray(xp, self.one_hot[part[:, :-1]]), states)
            target = backend.asarray(xp, part[:, 1:].ravel())
            sums.append((target.size, float(SoftmaxCrossEntropy().to(xp).forward(y.reshape(target.size, -1), target))))
        return float(np.average([loss for _, loss in sums], weights=[n for n, _ in sums]) / np.log(2))


def show(network, task):
    """Prints how the network goes on when it is given a line."""
    xp, rng = network.modules[0].block.xp, np.random.default_rng(task.options["seed"])
    symbols, states = [task.text.alphabet.index(c) for c in "ROMEO:\n" if c in task.text.alphabet], None
    given, written = symbols, []
    for _ in range(200):
        y, states = network.predict(backend.asarray(xp, task.one_hot[[given]]), states)
        logits = backend.to_numpy(y[0, -1]).astype(np.float64)
        p = np.exp(logits - logits.max())
        given = [int(rng.choice(len(p), p=p / p.sum()))]
        written += given
    print("It goes on like this:\n" + task.text.spell([*symbols, *written]))


def scores(history, network, task):
    """The scores of the job [bits per character]."""
    return {"bits_per_character": task.bits(network, task.text.test),
            "validation_bits_per_character": task.bits(network, task.text.validation)}


JOB = RecurrentJob(
    "text", "the next character of tinyshakespeare (downloaded, or read from $TINYDNI_DATA)",
    {"method": "dni", "ahead": 4, "window": 8, "layers": 1, "width": 128, "updates": 4000, "batch_size": 32, "lr": 2e-3,
     "each_window": True},
    NextCharacter, scores, show, "bits per character, validation",
    lambda parser: parser.add_argument("--ahead", type=whole(1), metavar="R",
                                       help="characters ahead that the synthesizers of cdni see (default 4)"))
JOB.offered, JOB.left_out = ("truncated", "dni", "cdni"), ("--each-window",)     # the text is one sequence without an end
