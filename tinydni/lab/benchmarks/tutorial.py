"""W4: the net of the tutorial that this library grew from, so small that the interpreter is what takes time."""

import numpy as np

from tinydni import SGD, MeanSquaredError, datasets
from tinydni.lab.benchmarks.workload import Workload, products_of
from tinydni.activations import Sigmoid
from tinydni.containers import Sequential
from tinydni.linear import Linear
from tinydni.random import stream

CONTENDERS = {"tinydni": "ours.step", "torch-eager": "torch_dense.step", "literal": "literal.step"}
BARE = {"bare": "bare.step"}        # backpropagation only


def w4(method, dtype=np.float32):
    """24-128-64-12 sigmoid without bias: the sum of two 12-bit numbers, batch 10, plain SGD.

    The tutorial sums gradients over the batch, with a rate of 0.1; as a mean over 10 examples that is a rate of 1.
    method: "backprop", or "dni" with linear synthesizers that see h alone
    """
    data = datasets.addition(bits=12, seed=0, max_pairs=1250)
    x = data.x.reshape(100, 10, 24).astype(dtype)
    target = data.y[:, 1:].reshape(100, 10, 12).astype(dtype)           # without the last carry
    rng = stream(0, "weights")
    blocks = [Sequential(Linear(n_in, n_out, rng, std=0.2, bias=False, dtype=dtype), Sigmoid())
              for n_in, n_out in ((24, 128), (128, 64), (64, 12))]
    products, guess, contenders = products_of(blocks, (10, 24)), {}, CONTENDERS | BARE
    if method == "dni":
        guess, contenders = {"synthesizer": "linear", "synthesizer_lr": 0.01}, CONTENDERS
        products += [shape for n in (128, 64) for shape in ((10, n, n), (n, 10, n))]
    return Workload(f"W4 {method}", 300, contenders, products, [(*batch, None) for batch in zip(x, target)],
                    blocks, MeanSquaredError(), SGD, lr=1.0, **guess)
