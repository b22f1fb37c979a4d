"""`tinydni train cytometry`: calibrate a DeepCyTOF sample to the reference, measure the gain."""

import contextlib
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tinydni import backend
from tinydni.datasets import cytometry
from tinydni.datasets.cytometry import SAMPLES
from tinydni.lab.cytometry.discrepancy import discrepancy
from tinydni.lab.cytometry.fit import fit, running_mean, updates_until
from tinydni.lab.cytometry.pipeline import REFERENCE, Pipeline, f1_scores
from tinydni.lab.cytometry.populations import warnings
from tinydni.lab.cytometry.resnet import CONTROLS, HIDDEN, METHODS, Method
from tinydni.lab.doctor import versions
from tinydni.lab.files import write_json
from tinydni.lab.jobs.ranges import OptionError, whole
from tinydni.lab.outputs import Outputs
from tinydni.lab.products import write_product_buffer
from tinydni.random import stream

name = "cytometry"
meaning = ("blood cells: calibrate a sample with a residual network (data downloaded, or read from "
           "$TINYDNI_DATA)")
EVERY = {**METHODS, **CONTROLS}
QUICK_UPDATES = 30
DEFAULTS = {"source": 15, "dae": True, "method": "dni", "synthesizer": None, "updates": 500,
            "batch_size": 1000, "seed": 0, "backend": "numpy", "quick": False}
FLOOR = 0.077               # MMD of two samples of one distribution, 1,000 cells each
ROWS = [("MMD (biased, rooted; 0.077 for one distribution)", "mmd", 3),
        ("MMD² (unbiased; 0 for one distribution)", "mmd_unbiased", 4),
        ("F1 of the gated cells, weighted", "f1_weighted", 4),
        ("F1 of the gated cells, macro", "f1_macro", 4)]


def full_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the full options of a run: what is given, or the default, or what the method has."""
    options = {name: given.get(name, default) for name, default in DEFAULTS.items()}
    hidden = EVERY[options["method"]].hidden
    if options["synthesizer"] is None and hidden is not None:
        options["synthesizer"] = next(form for form, own in HIDDEN.items() if own == hidden)
    if options["quick"]:
        options["updates"] = min(options["updates"], QUICK_UPDATES)
    return options


def method_of(options: Mapping[str, Any]) -> Method:
    """Return what the options name. Raise OptionError for a synthesizer where there is none."""
    method = EVERY[options["method"]]
    if options["synthesizer"] is None:
        return method
    if method.hidden is None:
        raise OptionError(f"--synthesizer does nothing with --method {options['method']}, which "
                          "has no synthesizer; leave it out.")
    return replace(method, hidden=HIDDEN[options["synthesizer"]])


pipeline_of = cache(Pipeline.build)         # one for all runs of a seed


class Run:
    """One run of the experiment: a source calibrated to the reference.

    before, after (N, D) : all cells of the source, standardised    network : the MMD-ResNet
    mmd : of the training batches, one per update    seconds : of the training
    """

    finished = True

    def __init__(self, options: dict[str, Any]):
        write_product_buffer()
        self.options, self.method = options, method_of(options)
        self.cells = cytometry(options["source"])
        self.pipeline = pipeline_of(options["seed"], options["dae"], options["quick"])
        self.before = self.pipeline.forward(self.cells.counts)

    def train(self, quiet: bool = False) -> "Run":
        """Train on all cells of the source, gated or not: a user's sample has no labels."""
        options, xp = self.options, backend.get(self.options["backend"])
        with watching(options["updates"], quiet) as watch:
            start = time.perf_counter()
            self.network, self.mmd = fit(
                self.before, self.pipeline.target, self.pipeline.m, self.method, options["seed"],
                options["updates"], options["batch_size"], xp, watch)
            self.seconds = time.perf_counter() - start
        self.after = backend.to_numpy(self.network.predict(backend.asarray(xp, self.before)))
        return self

    def result(self) -> dict[str, Any]:
        """Return the result as `--json` writes it."""
        apart = ("method", "seed", "backend")
        options = {name: value for name, value in self.options.items() if name not in apart}
        return {"experiment": name, "options": options,
                **{name: self.options[name] for name in apart}, "notes": [],
                "versions": versions(),
                "iterations": len(self.mmd), **self.scores(),
                "history": {"update": list(range(1, len(self.mmd) + 1)), "mmd": self.mmd}}

    def scores(self) -> dict[str, Any]:
        """Return how far apart and how well gated the cells are before and after, and more."""
        scores: dict[str, Any] = {}
        seed = self.options["seed"]
        for when, cells in (("before", self.before), ("after", self.after)):
            biased, unbiased = discrepancy(cells, self.pipeline.target, self.pipeline.m,
                                           stream(seed, "sample", 3))
            f1 = f1_scores(self.pipeline.classifier, cells, self.cells.labels)
            scores |= {f"mmd_{when}": biased, f"mmd_unbiased_{when}": unbiased}
            scores |= {f"f1_{key}_{when}": value for key, value in f1.items()}
        return scores | {
            "updates_to_mmd_0.30": updates_until(self.mmd, 0.30),
            "updates_to_mmd_0.20": updates_until(self.mmd, 0.20),
            "milliseconds_per_update": 1000 * self.seconds / len(self.mmd),
            "seconds": self.seconds,
            "warnings": warnings(self.before, self.after, stream(seed, "sample", 5))}


JOB = SimpleNamespace(options=full_options, run=Run)        # as the tables see it


@contextlib.contextmanager
def watching(updates: int, quiet: bool) -> Iterator[Any]:
    """Yield what `fit` calls after every update: it moves a progress bar."""
    from tqdm import tqdm
    with tqdm(total=updates, unit="update", disable=quiet, dynamic_ncols=True) as bar:
        def watch(update: int, mmd: float) -> None:
            bar.update()
            if update % 20 == 0:
                bar.set_description(f"MMD {mmd:.3f}")
        yield watch


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this job."""
    add_method_arguments(parser)
    parser.add_argument("--source", type=whole(1), default=15, metavar="1-16",
                        help=f"sample to calibrate to sample {REFERENCE} (default 15)")
    parser.add_argument("--no-dae", dest="dae", action="store_false",
                        help="leave the denoising autoencoder out")
    parser.add_argument("--figure", metavar="FILE.png", help="the MMD curve (default "
                        "cytometry-METHOD.png); beside it FILE-cells.png, the scatter, and "
                        "FILE-markers.png, the histograms")
    parser.add_argument("--json", metavar="FILE.json",
                        help="the result with all options and the history")


def add_method_arguments(parser: ArgumentParser) -> None:
    """Add the options of the training; `tinydni calibrate` has the same ones."""
    parser.add_argument("--method", choices=METHODS, default="dni", help="; ".join(
        f"{key}: {method.meaning}" for key, method in METHODS.items()) + " (default dni)")
    parser.add_argument("--synthesizer", choices=HIDDEN, help="form of the synthesizers: one "
                        "hidden layer (default) or one dense layer")
    for name, least, text in (("updates", 1, "steps of training"), ("seed", 0, "of all random "
                              "numbers"), ("batch-size", 2, "cells of each sample per step")):
        default = DEFAULTS[name.replace("-", "_")]
        parser.add_argument(f"--{name}", type=whole(least), default=default,
                            help=f"{text} (default {default})")
    parser.add_argument("--backend", choices=backend.NAMES, default="numpy",
                        help="where to compute (default numpy)")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_UPDATES} updates, only to see that everything works")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def main(given: Namespace) -> int:
    """Run the job for the command line. Return the exit code."""
    from tinydni.plots.summary import summary
    options = full_options(vars(given))
    method_of(options), backend.get(given.backend)          # refused before anything is read
    if given.source not in SAMPLES:
        raise OptionError(f"--source must be a sample from 1 to 16; got {given.source}.")
    figure = Path(given.figure or f"cytometry-{given.method}.png")
    Outputs({"figure": str(figure), "json": given.json}, force=True)    # proved before training
    print(f"Sample {given.source}, to be calibrated to sample {REFERENCE}.\nTraining the "
          f"classifier{' and the denoiser' * given.dae} on the reference ...", flush=True)
    run = Run(options).train(given.quiet)
    print(summary(run.network, run.before.shape[1:]) + "\n")
    result = run.result()
    print(table(result))
    if given.json:
        write_json(given.json, result)
    written = [*draw(run, figure), *[given.json] * bool(given.json)]
    print("Wrote " + ", ".join(map(str, written)) + ".")
    return 0


def table(result: dict[str, Any]) -> str:
    """Return the scores before and after as text."""
    lines = [f"{'':50s}  before   after"]
    lines += [f"{text:50s}  {result[key + '_before']:6.{digits}f}  "
              f"{result[key + '_after']:6.{digits}f}" for text, key, digits in ROWS]
    lines += ["", *(f"WARNING: {text}." for text in result["warnings"])] * bool(result["warnings"])
    return "\n".join([*lines, "", f"{result['iterations']} updates in {result['seconds']:.1f} s, "
                      f"{result['milliseconds_per_update']:.1f} ms each."])


def draw(run: Run, figure: Path) -> list[Path]:
    """Draw the three figures. Return their paths."""
    from tinydni.plots import save
    source, n_markers = run.options["source"], run.before.shape[1]
    made = pictures(
        run.options["method"], run.mmd, (run.pipeline.target, run.before, run.after),
        (f"sample {REFERENCE}, gated cells", f"sample {source} before", f"sample {source} after"),
        [f"marker {i + 1}" for i in range(n_markers)], run.options["seed"],
        f"Sample {source} calibrated to sample {REFERENCE}: {run.options['method']}",
        {"one distribution": FLOOR})
    paths = [figure, *(figure.with_stem(f"{figure.stem}-{what}") for what in ("cells", "markers"))]
    for path, picture in zip(paths, made.values()):
        save(picture, path)
    return paths


def pictures(method: str, mmd: list[float], samples: Any, names: Any, markers: list[str], seed: int,
             title: str, reference: dict[str, float]) -> dict[str, Any]:
    """Return the curve of the MMD, the cells, and the histograms of the markers.

    samples, names : the reference, the sample before and after, standardised    markers : names
    reference : {label: MMD} of a line in the curve
    """
    from tinydni.plots import cell_scatter, learning_curve, marker_histograms
    curve, (y, before, after) = (range(1, len(mmd) + 1), running_mean(mmd)), samples
    return {"mmd": learning_curve({method: curve}, title=title, xlabel="update",
                                  ylabel="MMD, mean of 15 updates", reference=reference),
            "cells": cell_scatter(y, before, after, stream(seed, "sample", 4), title, names),
            "markers": marker_histograms(y, before, after, markers, title,
                                         "transformed, standardised by the reference")}
