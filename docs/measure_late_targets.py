"""Measures why late targets work, for docs/from-h-alone.md: `python docs/measure_late_targets.py`

About fifteen minutes on one core, on MNIST, stopped and continued at will: a run that the JSON
holds is not run again. Name parts of PARTS to run only those, such as `gradients probes`.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import tinydni as td
from tinydni.lab.files import write_json
from tinydni.lab.jobs.mnist import JOB
from tinydni.variants import LateTargets

RESULT = Path(__file__).parent / "results" / "late-targets.json"
BATCH, WIDTH, K = 64, 256, 10
RUNS = {"late": {"late": 1}, "bootstrapped": {}}
SHARES = (0.5, 1)                   # of a module's own guess in what it passes down
PLACES = (0, 30, 100, 300, 780, 1560, 2340, 3120, 3900)         # steps; of 781 in an epoch
FROZEN = (78, 390, 781, 1562)       # steps after which all but the top stand still
ASLEEP = 781                        # steps in which all but the top stand still


def six_layers(epochs=5, validation=True, **options):
    """A run of `tinydni train mnist --method dni`, seed 0, not begun; as a Training."""
    return JOB.run(JOB.options({"method": "dni", "layers": 6, "epochs": epochs,
                                "validation": validation, **options})).training


def shares(share):
    """The test error after each of three epochs, with a share of guess in the targets."""
    made = six_layers(3, validation=False)
    made.network.algorithm = LateTargets((made.dataset.n_in, *[WIDTH] * 5, K), BATCH, share=share)
    return {"share": share, "test_error": rounded(made.run([progress])["test_error"])}


def progress(made):
    """Print every epoch."""
    if made.batch == 0:
        print("   ", made.headline(), flush=True)


def rounded(numbers, digits=2):
    """The numbers as the JSON holds them."""
    return [round(float(number), digits) for number in numbers]


# What guesses say over time: five epochs on 50,000 images, seed 0, the last 10,000 held out

def gradients(name):
    """At PLACES: guess beside truth at every interface, on images that the network has not seen."""
    made, found = six_layers(**RUNS[name]), []
    network, dataset = made.network, made.dataset

    def look(made):
        if made.step in PLACES:
            found.append({"step": made.step, **compared(network, dataset)})
    look(made)
    history = made.run([look, progress])
    return {"algorithm": name, "validation_error": rounded(history["validation_error"]),
            "over time": found, "digit told by": probes(network, dataset)}


def compared(network, dataset):
    """Guess and truth at every interface, on all held-out images; the network stays as it is.

    r2 = 1 - |guess - delta|² / |delta|² and cosine: of single examples, all in one. weights: of the
    gradients of the weights of the block below, which the guesses and which the truth makes,
    summed over all images; one batch: the same, of 64 images, beside the truth of all.
    """
    modules, before = network.modules, td.Network(network.modules).state()
    sums, weights = np.zeros((3, len(modules) - 1)), 0
    for start in range(0, len(dataset.x_test), 250):
        part = slice(start, start + 250)
        pairs, grads = guess_and_truth(modules, dataset.x_test[part], dataset.y_test[part])
        sums += [[np.vdot(a, b) for a, b in pairs] for pairs in (
            pairs, [(guess, guess) for guess, _ in pairs], [(delta, delta) for _, delta in pairs])]
        weights = weights + grads
    batches = [slice(start, start + BATCH) for start in range(0, 50 * BATCH, BATCH)]
    one = [guess_and_truth(modules, dataset.x_test[part], dataset.y_test[part])[1]
           for part in batches]
    td.Network(modules).load_state(before)      # running statistics as they were
    (gt, gg, tt), (guessed, true) = sums, weights
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"r2": rounded((2 * gt - gg) / tt, 4),
                "cosine": rounded(np.nan_to_num(gt / np.sqrt(gg * tt)), 4),
                "norm_ratio": rounded(np.sqrt(gg / tt), 4),
                "weights: cosine": rounded(cosines(guessed, true), 4),
                "weights: norm_ratio": rounded(lengths(guessed) / lengths(true), 4),
                "one batch of guesses: cosine": rounded(
                    np.mean([cosines(grads[0], true) for grads in one], axis=0), 4),
                "one batch of truth: cosine": rounded(
                    np.mean([cosines(grads[1], true) for grads in one], axis=0), 4)}


def guess_and_truth(modules, x, y):
    """At every interface (guess, delta); and the gradients of weights that each makes, (2, k)."""
    hs = [x]
    for module in modules:
        hs.append(module.forward(hs[-1]))
    dh, pairs = modules[-1].gradient_at_output(hs[-1], None, y), []
    grads = np.empty((2, len(modules) - 1), object)
    for k in reversed(range(len(modules) - 1)):
        dh = modules[k + 1].backward(dh)
        pairs.append((modules[k].synthesizer.forward(hs[k + 1]), dh * len(x)))
        for i, delta in enumerate(pairs[-1]):
            modules[k].backward(delta)
            grads[i, k] = modules[k].block.layers[0].dW
    return pairs[::-1], grads


def lengths(grads):
    """The norm of every array."""
    return np.array([np.linalg.norm(grad) for grad in grads])


def cosines(a, b):
    """The cosine of every pair of arrays; 0 where one is zero."""
    dots = np.array([np.vdot(x, y) for x, y in zip(a, b)])
    return np.nan_to_num(dots / (lengths(a) * lengths(b)))


# Early or late: the same five epochs, in which all but the top stand still for a part

def frozen(after):
    """Validation errors of late targets when the blocks below the top stop after some steps."""
    made = six_layers(late=1)
    return switched(made, made.network.algorithm, td.no_backprop, after)


def asleep(until):
    """Validation errors when they start only then, under a top that has learned what it can."""
    made = six_layers(late=1)
    return switched(made, td.no_backprop, made.network.algorithm, until)


def switched(made, first, second, at):
    """Validation errors of a run that goes from one algorithm to another."""
    made.network.algorithm = first

    def switch(made):
        if made.step == at:
            made.network.algorithm = second
    return {"at step": at,
            "validation_error": rounded(made.run([switch, progress])["validation_error"])}


# How well a digit can be read from h

def probes(network, dataset, ks=(1, 3, 5)):
    """Error [%] of a network of two layers that reads h_k, three epochs, on held-out images."""
    found = {}
    for k in ks:
        x, x_test = (outputs(network, x, k) for x in (dataset.x, dataset.x_test))
        data = replace(dataset, x=x, x_test=x_test)
        blocks = td.mlp((WIDTH, WIDTH, K), td.stream(0, "sample"))
        probe = td.build(blocks, td.SoftmaxCrossEntropy(), lambda: td.Adam(2e-3),
                         algorithm=td.backprop)
        made = td.Training(probe, data, 3, BATCH, 0, td.LinearDecay(3 * (len(x) // BATCH)))
        found[f"h{k}"] = round(made.run()["validation_error"][-1], 2)
    return found


def outputs(network, x, k):
    """h_k of all images, in batches with their own statistics, as in training."""
    modules, before = network.modules[:k], td.Network(network.modules).state()
    hs = []
    for start in range(0, len(x), 500):
        h = x[start:start + 500]
        for module in modules:
            h = module.forward(h)
        hs.append(h)
    td.Network(network.modules).load_state(before)
    return np.concatenate(hs)


def at_start(start):
    """The probes of a network that has learned nothing."""
    made = six_layers(start=start)
    return {"start": start, **probes(made.network, made.dataset)}


PARTS = {
    "shares": (shares, SHARES),
    "gradients": (gradients, list(RUNS)),
    "frozen": (frozen, FROZEN),
    "asleep": (asleep, [ASLEEP]),
    "probes": (at_start, ["he", "looks-linear"]),
}


def main(names):
    """Run what is missing, in the order of PARTS."""
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for part in names or PARTS:
        measure, runs = PARTS[part]
        for run in runs:
            if str(run) not in found.setdefault(part, {}):
                print(f"{part}: {run}", flush=True)
                found[part][str(run)] = measure(run)
                write_json(RESULT, found)


if __name__ == "__main__":
    main(sys.argv[1:])
