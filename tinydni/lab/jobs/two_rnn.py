"""Two recurrent networks and a stream of MNIST digits: the fast one counts odd digits, the slow one counts threes."""

import numpy as np

from tinydni import backend
from tinydni.datasets import mnist
from tinydni.recurrent_dni import Boundary
from tinydni.recurrent_dni import RecurrentModule
from tinydni.variants.two_clocks import Sender, TwoClocks, TwoClocksWindow
from tinydni.lab.jobs.arguments import OptionError, whole
from tinydni.lab.jobs.recurrent_job import RecurrentJob
from tinydni.lab.jobs.recurrent_methods import CLIP_NORM, DECOUPLED
from tinydni.activations import ReLU
from tinydni.linear import Linear
from tinydni.lstm import LSTM
from tinydni.recurrent import Recurrent
from tinydni.losses import MeanSquaredError
from tinydni.optimizers import Adam
from tinydni.random import stream
from tinydni.lab.recurrent_training import SequenceTask
from tinydni.synthesizers import LinearSynthesizer

DIGITS = 24             # of a sequence
MESSAGE = 16            # width of a message
SLOW = 32               # width of the slow network
HELD_OUT = 500          # sequences of an evaluation


class TwoCounts(SequenceTask):
    """A row of DIGITS images. After each, the fast network says how many were odd; after every `tick`-th, the slow
    network, which sees only the fast one's message, says how many were threes.

    x (N, L, 784): images    target (N, L, 1): odd digits so far    slow_target (N, L / tick, 1): threes so far
    context: the slow network's target at the tick, and its last state
    """

    measures = ("r2_slow", "r2_fast")
    reads = "the message"
    context_name = "the slow network's target and last state"
    n_context = 1

    def __init__(self, options):
        self.options, self.tick = options, options["tick"]
        if self.tick > DIGITS or options.get("window", self.tick) % self.tick:
            raise OptionError(f"--tick must be at most {DIGITS}, and --window a multiple of it; got --tick {self.tick}, "
                              f"--window {options.get('window')}.")
        self.length = DIGITS // self.tick * self.tick
        self.dataset = mnist()
        self.notes = (*self.dataset.notes, f"Rows of {self.length} digits; the slow network ticks every {self.tick} digits.")

    def windows(self, i):
        data, options = self.dataset, self.options
        index = stream(options["seed"], "sample", i + 1).integers(len(data.x), size=(options["batch_size"], self.length))
        odd, threes = self.counts(data.y[index])
        size = options.get("window", self.length)
        sees_target = options["method"] == "cdni"
        found = []
        for start in range(0, self.length, size):
            stop = min(start + size, self.length)
            ticks = slice(start // self.tick, stop // self.tick)
            found.append(TwoClocksWindow(
                data.x[index[:, start:stop]], odd[:, start:stop], np.arange(stop - start), 1 / self.length,
                first=start == 0, last=stop == self.length, slow_target=threes[:, ticks],
                slow_weight=self.tick / self.length, message_context=threes[:, ticks] if sees_target else None))
        return found

    def counts(self, digits):
        """The targets: odd digits so far (N, L, 1), threes so far at each tick (N, L / tick, 1)."""
        odd, threes = (np.cumsum(what, axis=1, dtype=np.float32)[:, :, None] for what in (digits % 2, digits == 3))
        return odd, threes[:, self.tick - 1::self.tick]

    def evaluate(self, network):
        """R² of both counts on rows of test images: the share that is told of the variance between rows at a step."""
        xp = network.modules[0].block.xp
        index = stream(self.options["seed"], "sample", 0).integers(len(self.dataset.x_test), size=(HELD_OUT, self.length))
        (fast, slow), _ = network.predict(backend.asarray(xp, self.dataset.x_test[index]))
        odd, threes = self.counts(self.dataset.y_test[index])
        return {"r2_slow": r2(backend.to_numpy(slow), threes), "r2_fast": r2(backend.to_numpy(fast), odd)}


def r2(prediction, target):
    """1 - squared error / squared deviation from the mean over rows at each step: steps alone explain nothing."""
    return float(1 - ((prediction - target) ** 2).sum() / ((target - target.mean(axis=0)) ** 2).sum())


def build(task, options):
    """The two networks under the method of the options.

    backprop: locked, and backpropagated through the whole row. truncated: no gradient crosses a window or the message.
    dni, cdni: a synthetic gradient crosses to the sender's message, and with --scale above 0 each network's boundary.
    """
    rng, H, N = stream(options["seed"], "weights"), options["width"], 784
    fast = Recurrent(Linear(N, H, rng), ReLU(), LSTM(H, H, rng), Linear(H, 1 + MESSAGE, rng, std=1 / np.sqrt(H)))
    slow = Recurrent(LSTM(MESSAGE, SLOW, rng), Linear(SLOW, 1, rng, std=1 / np.sqrt(SLOW)))
    fast.skip_dx()
    optimizer = lambda: Adam(options["lr"], clip_norm=CLIP_NORM)
    each_window = bool(options["each_window"])
    decoupled, sees_target = options["method"] in DECOUPLED, options["method"] == "cdni"
    boundaries, message = [None, None], {}
    if decoupled:
        rate = options["synthesizer_lr"]
        message = {"synthesizer": LinearSynthesizer(MESSAGE, (1 + 2 * SLOW) * sees_target),
                   "synthesizer_lr": Adam(rate)}
        boundaries = [Boundary(LinearSynthesizer(block.n_state), Adam(rate), options["scale"]) if options["scale"] else None
                      for block in (fast, slow)]
    sender = Sender(fast, optimizer(), 1, task.tick, MeanSquaredError(), boundaries[0], each_window=each_window, **message)
    sender.sees_receiver = 2 * SLOW * sees_target
    receiver = RecurrentModule(slow, optimizer(), boundaries[1], loss=MeanSquaredError(), each_window=each_window)
    return TwoClocks(sender, receiver, locked=options["method"] == "backprop")


def scores(history, network, task):
    """The scores of the job."""
    return {"r2_fast": history["r2_fast"][-1], "r2_slow": history["r2_slow"][-1]}


def show(network, task):
    """Prints both counts at the end of a few rows of test images."""
    index = stream(task.options["seed"], "sample", 0).integers(len(task.dataset.x_test), size=(6, task.length))
    (fast, slow), _ = network.predict(backend.asarray(network.modules[0].block.xp, task.dataset.x_test[index]))
    odd, threes = task.counts(task.dataset.y_test[index])
    print("At the end of a row:  odd digits, as counted  |  threes, as counted")
    for row in range(6):
        print(f"{odd[row, -1, 0]:32.0f}{float(fast[row, -1, 0]):12.1f}  |"
              f"{threes[row, -1, 0]:8.0f}{float(slow[row, -1, 0]):12.1f}")


JOB = RecurrentJob(
    "two-rnn", "two networks at different clock rates count MNIST digits (downloaded, or read from $TINYDNI_DATA)",
    {"method": "cdni", "tick": 4, "window": 4, "scale": 0.0, "layers": 1, "width": 64, "updates": 12000,
     "batch_size": 32, "lr": 2e-3},
    TwoCounts, scores, show, "R² of the slow network's count",
    lambda parser: parser.add_argument("--tick", type=whole(1), help="digits between two ticks of the slow network (default 4)"))
JOB.build, JOB.left_out = build, ("--layers", "--synthesizer", "--aux")
