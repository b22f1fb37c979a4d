"""Two recurrent networks and a stream of digits: the fast one counts odd ones, the slow threes."""

import numpy as np

import tinydni as td
from tinydni.datasets import mnist
from tinydni.lab.jobs.job import RecurrentJob
from tinydni.lab.jobs.ranges import OptionError
from tinydni.lab.jobs.recurrent import CLIP_NORM, DECOUPLED
from tinydni.lab.recurrent_training import SequenceTask
from tinydni.variants.two_clocks import Sender, TwoClocks, TwoClocksWindow

DIGITS = 24             # of a sequence
MESSAGE = 16            # width of a message
SLOW = 32               # width of the slow network
HELD_OUT = 500          # sequences of an evaluation


class TwoCounts(SequenceTask):
    """A row of DIGITS images. After each, the fast network says how many were odd.

    After every `tick`-th the slow network, which sees only the fast one's message, says how many
    were threes.

    x (N, L, 784) : images;   target (N, L, 1) : odd digits so far
    slow_target (N, L / tick, 1) : threes so far
    context : the slow network's target at the tick, and its last state
    """

    measures = ("r2_slow", "r2_fast")
    reads, n_context = "the message", 1
    context_name = "the slow network's target and last state"

    def __init__(self, options):
        super().__init__(options)
        self.tick, window = options["tick"], options.get("window", options["tick"])
        if window % self.tick:
            raise OptionError(f"--tick must be at most {DIGITS}, and --window a multiple of it; "
                              f"got --tick {self.tick}, --window {window}.")
        self.length = DIGITS // self.tick * self.tick
        self.dataset = mnist()
        self.notes = (*self.dataset.notes, f"Rows of {self.length} digits; the slow network ticks "
                                           f"every {self.tick} digits.")

    def data(self):
        return self.dataset.x, self.dataset.y

    def windows(self, i):
        data, options, length = self.dataset, self.options, self.length
        index = self.draws(i).integers(len(data.x), size=(options["batch_size"], length))
        odd, threes = self.counts(data.y[index])
        size = options.get("window", length)
        sees_target = options["method"] == "cdni"
        found = []
        for start in range(0, length, size):
            stop = min(start + size, length)
            slow = threes[:, start // self.tick:stop // self.tick]
            found.append(TwoClocksWindow(
                data.x[index[:, start:stop]], odd[:, start:stop], np.arange(stop - start),
                1 / length, first=start == 0, last=stop == length, slow_target=slow,
                slow_weight=self.tick / length, message_context=slow if sees_target else None))
        return found

    def counts(self, digits):
        """Return odd digits so far (N, L, 1), and threes so far at each tick (N, L / tick, 1)."""
        odd, threes = (np.cumsum(what, axis=1, dtype=np.float32)[:, :, None]
                       for what in (digits % 2, digits == 3))
        return odd, threes[:, self.tick - 1::self.tick]

    def held_out(self, n):
        """Return n rows of test images, and what both networks should say."""
        index = self.draws(-1).integers(len(self.dataset.x_test), size=(n, self.length))
        return self.dataset.x_test[index], self.counts(self.dataset.y_test[index])

    def evaluate(self, network):
        """Return R² of both counts: the share told of the variance between rows at a step."""
        x, (odd, threes) = self.held_out(HELD_OUT)
        fast, slow = self.outputs(network, x)
        return {"r2_slow": r2(slow, threes), "r2_fast": r2(fast, odd)}


def r2(prediction, target):
    """Return 1 - squared error / squared deviation from the mean over rows, at each step."""
    return float(1 - ((prediction - target)**2).sum() / ((target - target.mean(axis=0))**2).sum())


def build(task, options):
    """Return the two networks under the method of the options.

    backprop : locked, and backpropagated through the whole row
    truncated : no gradient crosses a window or the message
    dni, cdni : a synthetic gradient crosses to the sender's message, and with --scale above 0 each
        network's boundary
    """
    rng, H, method = td.stream(options["seed"], "weights"), options["width"], options["method"]
    fast = td.Recurrent(td.Linear(784, H, rng), td.ReLU(), td.LSTM(H, H, rng),
                        td.Linear(H, 1 + MESSAGE, rng, std=1 / np.sqrt(H)))
    slow = td.Recurrent(td.LSTM(MESSAGE, SLOW, rng), td.Linear(SLOW, 1, rng, std=1 / np.sqrt(SLOW)))
    fast.skip_dx()
    optimizer = lambda: td.Adam(options["lr"], clip_norm=CLIP_NORM)
    each_window, seen = bool(options["each_window"]), 2 * SLOW * (method == "cdni")
    boundaries, message = [None, None], {}
    if method in DECOUPLED:
        rate = options["synthesizer_lr"]
        message = {"synthesizer": td.LinearSynthesizer(MESSAGE, seen + (method == "cdni")),
                   "synthesizer_lr": td.Adam(rate)}
        if options["scale"]:
            boundaries = [td.Boundary(td.LinearSynthesizer(block.n_state), td.Adam(rate),
                                      options["scale"]) for block in (fast, slow)]
    sender = Sender(fast, optimizer(), 1, task.tick, td.MeanSquaredError(), boundaries[0],
                    each_window=each_window, **message)
    sender.sees_receiver = seen
    receiver = td.RecurrentModule(slow, optimizer(), boundaries[1], loss=td.MeanSquaredError(),
                                  each_window=each_window)
    return TwoClocks(sender, receiver, locked=method == "backprop")


def scores(run):
    """Return R² of both counts."""
    return {name: run.training.history[name][-1] for name in ("r2_fast", "r2_slow")}


def show(run):
    """Print both counts at the end of a few rows of test images."""
    x, (odd, threes) = run.task.held_out(6)
    fast, slow = run.task.outputs(run.network, x)
    print("At the end of a row:  odd digits, as counted  |  threes, as counted")
    for counts in zip(*(found[:, -1, 0] for found in (odd, fast, threes, slow))):
        print("{:32.0f}{:12.1f}  |{:8.0f}{:12.1f}".format(*counts))


JOB = RecurrentJob(
    "two-rnn", "two networks at different clock rates count MNIST digits (downloaded, or read from "
    "$TINYDNI_DATA)",
    {"method": "cdni", "tick": 4, "window": 4, "scale": 0.0, "layers": 1, "width": 64,
     "updates": 12000, "batch_size": 32, "lr": 2e-3, "synthesizer": "linear"},
    TwoCounts, scores, show, "R² of the slow network's count",
    left_out=("layers", "synthesizer", "aux"))
JOB.build = build
