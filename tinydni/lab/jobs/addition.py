"""Binary addition, the task of Trask's tutorial: learn the carry from examples of pairs and sums."""

import numpy as np

from tinydni import backend
from tinydni.datasets import addition
from tinydni.lab.jobs.arguments import whole
from tinydni.lab.jobs.job import Job, Task
from tinydni.losses import BinaryCrossEntropy
from tinydni.models import mlp
from tinydni.random import stream
from tinydni.training import percent_bits_wrong


def task(options):
    """Pairs of numbers of `bits` bits, a network with as many layers as the options say, cross-entropy per bit."""
    dataset = addition(options["bits"], options["seed"])
    widths = [dataset.n_in] + [options["width"]] * (options["layers"] - 1) + [dataset.n_out]
    return Task(dataset, mlp(widths, stream(options["seed"], "weights")), BinaryCrossEntropy(), percent_bits_wrong)


def accuracy_scores(train_error, held_out_error, held_out):
    """The scores of the addition job [percent of the bits right]."""
    return {"train_accuracy": 100 - train_error, f"{held_out}_accuracy": 100 - held_out_error}


def show_sums(network, task):
    """Prints a few sums that the network never saw in training."""
    x = task.dataset.x_test[:6]
    bits = backend.to_numpy(network.predict(backend.asarray(network.modules[0].block.xp, x))) > 0
    half = x.shape[1] // 2
    print("Sums it never saw:")
    for a, b, c in zip(to_numbers(x[:, :half]), to_numbers(x[:, half:]), to_numbers(bits)):
        print(f"  {a:3d} + {b:3d} = {c:3d}" + ("" if a + b == c else f"   wrong, it is {a + b}"))


def to_numbers(bits):
    """Rows of bits, most significant first, (N, B) -> (N,) whole numbers."""
    return bits.astype(np.int64) @ (1 << np.arange(bits.shape[1])[::-1])


JOB = Job("addition", "binary addition, the task of Trask's tutorial (no download)",
          {"method": "cdni", "bits": 5, "layers": 3, "width": 128, "epochs": 100, "batch_size": 16},
          task, accuracy_scores, show_sums, "of the bits",
          lambda parser: parser.add_argument("--bits", type=whole(1), help="bits of each number (default 5)"))
