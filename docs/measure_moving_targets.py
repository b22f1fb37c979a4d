"""Measures targets of a slowly moving copy, for docs/from-h-alone.md.

`python docs/measure_moving_targets.py`: MNIST, six layers, `--method dni` for five epochs, twenty
minutes on one core. A run that the JSON holds is not run again.

A module updates on its synthesizer's guess. Its message, from which the module below learns, it
makes from a copy of the synthesizer, W' <- tau W' + (1 - tau) W after every step, as deep
Q-learning keeps its targets steady (Mnih et al. 2015; Lillicrap et al. 2016). With tau = 0 the
numbers are those of the usual way.
"""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np

from tinydni.dni import to_dh
from tinydni.lab.files import write_json
from tinydni.lab.jobs.mnist import JOB

RESULT = Path(__file__).parent / "results" / "moving-targets.json"
SEEDS = (0, 1, 2)
LINEAR = {"start": "looks-linear"}
RUNS = {"usual": (None, {}), "tau 0.9": (0.9, {}), "tau 0.99": (0.99, {}),
        "looks-linear, usual": (None, LINEAR), "looks-linear, tau 0.9": (0.9, LINEAR)}


def with_copies(modules, tau):
    """Return the algorithm: `update_decoupled` with messages from slowly moving copies."""
    copies = [deepcopy(module.synthesizer) for module in modules]

    def follow(k):
        for copy, new in zip(copies[k].arrays(), modules[k].synthesizer.arrays()):
            copy[1][...] = tau * copy[1] + (1 - tau) * new[1]

    def step(modules, x, target, context=None):
        for k, module in enumerate(modules):
            h = module.forward(x)
            dh = module.gradient_at_output(h, context, target)
            if copies[k] is None:
                message = module.backward(dh)
            else:
                message = module.backward(to_dh(copies[k].forward(h, context)))
                module.backward(dh)
            module.update()
            if k > 0:
                modules[k - 1].update_synthetic_weights(message)
                follow(k - 1)
            x = h
    return step


def error(seed, tau, options):
    """Return the test error [%]."""
    made = JOB.run(JOB.options({"method": "dni", "layers": 6, "epochs": 5, "seed": seed,
                                **options})).training
    if tau is not None:
        made.network.algorithm = with_copies(made.network.modules, tau)
    return round(float(made.run()["test_error"][-1]), 2)


def main():
    """Run what is missing, and print the table."""
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for i, seed in enumerate(SEEDS):
        for name, (tau, options) in RUNS.items():
            errors = found.setdefault(name, [])
            if len(errors) == i:
                errors.append(error(seed, tau, options))
                write_json(RESULT, found)
    for name, errors in found.items():
        print(f"{name:24s} {np.mean(errors):5.2f} ± {np.std(errors, ddof=1):.2f}")


if __name__ == "__main__":
    main()
