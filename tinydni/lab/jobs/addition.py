"""Binary addition, the task of Trask's tutorial: learn the carry from examples of sums."""

import numpy as np

import tinydni as td
from tinydni import backend
from tinydni.datasets import addition
from tinydni.lab.jobs.job import Job, Task


def task(options):
    """Return pairs of numbers of `bits` bits, and cross-entropy per bit."""
    dataset = addition(options["bits"], options["seed"])
    widths = [dataset.n_in] + [options["width"]] * (options["layers"] - 1) + [dataset.n_out]
    return Task(dataset, td.mlp(widths, td.stream(options["seed"], "weights")),
                td.BinaryCrossEntropy(), td.percent_bits_wrong)


def accuracy_scores(run):
    """Return the percentage of bits that are right."""
    training, part = run.training, run.training.dataset.held_out
    return {"train_accuracy": 100 - training.train_error(),
            f"{part}_accuracy": 100 - training.history[f"{part}_error"][-1]}


def show_sums(run):
    """Print a few sums that the network never saw in training."""
    x, half = run.task.dataset.x_test[:6], run.options["bits"]
    bits = run.network.predict(backend.asarray(run.network.modules[0].block.xp, x)) > 0
    print("Sums it never saw:")
    for a, b, c in zip(*map(to_numbers, (x[:, :half], x[:, half:], backend.to_numpy(bits)))):
        print(f"  {a:3d} + {b:3d} = {c:3d}" + ("" if a + b == c else f"   wrong, it is {a + b}"))


def to_numbers(bits):
    """Rows of bits, most significant first, (N, B) -> (N,) whole numbers."""
    return bits.astype(np.int64) @ (1 << np.arange(bits.shape[1])[::-1])


JOB = Job("addition", "binary addition, the task of Trask's tutorial (no download)",
          {"method": "cdni", "bits": 5, "layers": 3, "width": 128, "epochs": 100, "batch_size": 16},
          task, accuracy_scores, show_sums, "of the bits")
