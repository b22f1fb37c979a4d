"""Measures what docs/from-h-alone.md reports, on MNIST: `python docs/measure_from_h_alone.py`

Ten minutes on one core. The first 50,000 images are trained on; every figure is of the last 10,000,
the validation part. The test set is not used.
"""

from copy import deepcopy
from pathlib import Path

import numpy as np

import tinydni as td
from tinydni.lab.files import write_json
from tinydni.lab.jobs import mnist
from tinydni.random import stream
from tinydni.synthesizers import mlp_synthesizer
from tinydni.training import Training
from tinydni.variants.guess import Guess, GuessSynthesizer
from tinydni.virtual import VirtualLinear

RESULT = Path(__file__).parent / "results" / "from-h-alone.json"
BATCH, WIDTH, LAYERS, K, CODES = 64, 256, 6, 10, 20
KINDS = ("h", "guess from h", "guess from x", "h and the label")
RUNS = {"h alone": {"method": "dni"},
        "guess from h1": {"method": "dni", "synthesizer": "guess", "context": "h1"},
        "guess from x": {"method": "dni", "synthesizer": "guess", "context": "input"}}


def run(epochs, **options):
    """A run of `tinydni train mnist` with six layers, on the training part."""
    return mnist.JOB.run(mnist.JOB.options({"layers": LAYERS, "epochs": epochs,
                                            "validation": True, **options}))


def synthesizers(kind, rng):
    """Fresh synthesizers of one of KINDS, one per interface, each guess from h its own."""
    guess = Guess(28 * 28, CODES, rng) if kind == "guess from x" else None

    def virtual():
        return VirtualLinear(WIDTH, CODES, rng)

    make = {"h": lambda: mlp_synthesizer(WIDTH, rng),
            "guess from h": lambda: GuessSynthesizer(virtual(), Guess(WIDTH, CODES, rng)),
            "guess from x": lambda: GuessSynthesizer(virtual(), guess),
            "h and the label": lambda: VirtualLinear(WIDTH, K, rng)}[kind]
    return [make() for _ in range(LAYERS - 1)]


def true_gradients(modules, x, y):
    """The h of every interface, and the true gradient of each example there, bottom to top."""
    hs, deltas = [x], []
    for module in modules:
        hs.append(module.forward(hs[-1]))
    dh = modules[-1].gradient_at_output(hs[-1], None, y)
    for module in modules[:0:-1]:
        dh = module.backward(dh)
        deltas.append(dh * len(x))
    return hs[1:-1], deltas[::-1]


def explained(network, dataset, kind, seed=0):
    """The share of the true gradient that a synthesizer explains after an epoch: one per interface.

    1 - |delta_hat - delta|² / |delta|², summed over images that it has not seen. The network stays
    as it is, and every synthesizer learns from the true gradient itself: what it cannot explain
    here it could not explain in training.
    """
    modules = deepcopy(network.modules)
    found, n_steps = synthesizers(kind, stream(seed, "sample")), len(dataset.x) // BATCH
    optimizers, decay = [td.Adam(3e-3) for _ in found], td.LinearDecay(n_steps)
    order = stream(seed, "order").permutation(len(dataset.x))

    def seen(x, y):
        return {"guess from x": x, "h and the label": np.eye(K, dtype=np.float32)[y]}.get(kind)

    for step in range(n_steps):
        index = order[step * BATCH:(step + 1) * BATCH]
        x, y = dataset.x[index], dataset.y[index]
        at_interfaces = zip(found, optimizers, *true_gradients(modules, x, y))
        for synthesizer, optimizer, h, delta in at_interfaces:
            optimizer.scale = decay(step)
            synthesizer.learn(h, seen(x, y), delta, optimizer)
    missed, size = np.zeros((2, len(found)))
    for start in range(0, len(dataset.x_test), 500):
        x, y = dataset.x_test[start:start + 500], dataset.y_test[start:start + 500]
        for i, (synthesizer, h, delta) in enumerate(zip(found, *true_gradients(modules, x, y))):
            missed[i] += np.sum((synthesizer.forward(h, seen(x, y)) - delta)**2)
            size[i] += np.sum(delta**2)
    return [round(float(share), 3) for share in 1 - missed / size]


def main():
    """Measure all of it, and write it down."""
    started = run(1, method="dni")
    network, dataset = started.network, started.training.dataset
    shares = {"at the start": {kind: explained(network, dataset, kind) for kind in KINDS}}
    Training(network, dataset, 1, BATCH, 0).run()
    shares["after one epoch"] = {kind: explained(network, dataset, kind) for kind in KINDS}
    curves = {name: run(10, **options).train(quiet=True).training.history["validation_error"]
              for name, options in RUNS.items()}
    write_json(RESULT, {"explained": shares, "validation_error": curves})
    print(f"wrote {RESULT}")


if __name__ == "__main__":
    main()
