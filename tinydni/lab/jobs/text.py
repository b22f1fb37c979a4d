"""Characters of tinyshakespeare: guess the next one; a sequence without an end."""

import numpy as np

import tinydni as td
from tinydni import backend
from tinydni.datasets.text import tinyshakespeare
from tinydni.lab.jobs.job import RecurrentJob
from tinydni.lab.jobs.ranges import OptionError
from tinydni.lab.recurrent_training import SequenceTask

STREAMS = 50            # into which a held-out part is cut, to be read side by side
STEPS = 100             # at a time
SHORT = 20_000          # characters for the learning curve


class NextCharacter(SequenceTask):
    """The next character, at every step, of `batch_size` streams through the training part.

    x (N, T, K) : one-hot characters;   target (N, T) : the characters that follow
    context : the next `ahead` characters after each step, one-hot; known in training
    The state passes from window to window; when the streams reach the end, they begin again.
    """

    measures = ("bits_per_character",)      # of the beginning of the validation part

    def __init__(self, options):
        super().__init__(options)
        self.text, self.ahead = tinyshakespeare(), options["ahead"]
        self.loss = td.SoftmaxCrossEntropy()
        self.notes, self.n_in = self.text.notes, len(self.text.alphabet)
        self.n_out, self.n_context = self.n_in, self.ahead * self.n_in
        self.context_name = f"the next {self.ahead} characters"
        self.one_hot = np.eye(self.n_out, dtype=np.float32)
        N, length = options["batch_size"], len(self.text.train)
        self.streams = self.text.train[:length // N * N].reshape(N, -1)
        self.n_windows = (self.streams.shape[1] - self.ahead - 1) // options["window"]
        if self.n_windows < 1 or len(self.text.validation) < 2 * STREAMS:
            raise OptionError(
                f"the text is too short: {length:,} characters to train on, {N} streams, and in "
                f"each a window of {options['window']} steps and {self.ahead} characters ahead; "
                "take a smaller --batch-size, --window or --ahead, or the whole text.")

    def windows(self, i):
        """Return one window; the sequence has no end, so there is always a boundary after it."""
        T, ahead, contexts = self.options["window"], self.ahead, None
        start = i % self.n_windows * T
        symbols = self.streams[:, start:start + T + 1 + ahead]
        if self.options["method"] == "cdni":
            seen = self.one_hot[symbols[:, 1:]]
            contexts = np.concatenate([seen[:, k:k + T + 1] for k in range(ahead)], axis=2)
        return [td.Window(self.one_hot[symbols[:, :T]], symbols[:, 1:T + 1], np.arange(T), 1 / T,
                          contexts, first=start == 0)]

    def data(self):
        return (self.text.train,)

    def evaluate(self, network):
        return {"bits_per_character": self.bits(network, self.text.validation[:SHORT])}

    def bits(self, network, symbols):
        """Return the bits per character of a part of the text, read in STREAMS streams."""
        xp, states, losses, sizes = network.modules[0].block.xp, None, [], []
        rows = symbols[:len(symbols) // STREAMS * STREAMS].reshape(STREAMS, -1)
        for start in range(0, rows.shape[1] - 1, STEPS):
            part = rows[:, start:start + STEPS + 1]
            y, states = network.predict(backend.asarray(xp, self.one_hot[part[:, :-1]]), states)
            y, target = backend.to_numpy(y).reshape(-1, self.n_out), part[:, 1:].ravel()
            losses.append(float(td.SoftmaxCrossEntropy().forward(y, target)))
            sizes.append(target.size)
        return float(np.average(losses, weights=sizes) / np.log(2))


def show(run):
    """Print how the network goes on when it is given a line."""
    network, task, states = run.network, run.task, None
    xp, rng = network.modules[0].block.xp, np.random.default_rng(run.options["seed"])
    given = written = [task.text.alphabet.index(c) for c in "ROMEO:\n" if c in task.text.alphabet]
    for _ in range(200 if given else 0):
        y, states = network.predict(backend.asarray(xp, task.one_hot[[given]]), states)
        logits = backend.to_numpy(y[0, -1]).astype(np.float64)
        p = np.exp(logits - logits.max())
        given = [int(rng.choice(len(p), p=p / p.sum()))]
        written = written + given
    print("It goes on like this:\n" + task.text.spell(written))


def scores(run):
    """Return the bits per character of both held-out parts."""
    task, network = run.task, run.network
    return {"bits_per_character": task.bits(network, task.text.test),
            "validation_bits_per_character": task.bits(network, task.text.validation)}


JOB = RecurrentJob(
    "text", "the next character of tinyshakespeare (downloaded, or read from $TINYDNI_DATA)",
    {"method": "dni", "ahead": 4, "window": 8, "layers": 1, "width": 128, "updates": 4000,
     "batch_size": 32, "lr": 2e-3, "each_window": True},
    NextCharacter, scores, show, "bits per character, validation",
    left_out=("each_window",))              # the text is one sequence without an end
