"""`tinydni train cytometry`: calibrate a DeepCyTOF sample to the reference, measure the gain."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinydni import Network, backend
from tinydni.datasets import Cells, cytometry
from tinydni.datasets.cytometry import SAMPLES
from tinydni.lab.cytometry.discrepancy import discrepancy
from tinydni.lab.cytometry.fit import fit, running_mean, updates_until
from tinydni.lab.cytometry.pipeline import REFERENCE, Pipeline, f1_scores
from tinydni.lab.cytometry.populations import warnings
from tinydni.lab.cytometry.resnet import HIDDEN, METHODS, Method
from tinydni.lab.files import write_json
from tinydni.lab.jobs.ranges import OptionError, whole
from tinydni.lab.outputs import Outputs
from tinydni.random import stream

name = "cytometry"
meaning = ("blood cells: calibrate a sample with a residual network (data downloaded, or read from "
           "$TINYDNI_DATA)")
QUICK_UPDATES = 30
FLOOR = 0.077               # MMD of two samples of one distribution, 1,000 cells each
ROWS = [("MMD (biased, rooted; 0.077 for one distribution)", "mmd", 3),
        ("MMD² (unbiased; 0 for one distribution)", "mmd_unbiased", 4),
        ("F1 of the gated cells, weighted", "f1_weighted", 4),
        ("F1 of the gated cells, macro", "f1_macro", 4)]


@dataclass
class Run:
    """One run of the experiment: a source calibrated to the reference.

    before, after (N, D) : all cells of the source, standardised    network : the MMD-ResNet
    mmd : of the training batches, one per update    seconds : of the training
    """

    cells: Cells
    pipeline: Pipeline
    before: np.ndarray
    after: np.ndarray
    network: Network
    mmd: list[float]
    seconds: float
    seed: int

    @classmethod
    def train(cls, cells: Cells, pipeline: Pipeline, method: Method, seed: int, updates: int = 500,
              batch_size: int = 1000, xp: Any = np, watch: Callable | None = None) -> "Run":
        """Train on all cells of the source, gated or not: a user's sample has no labels."""
        before = pipeline.forward(cells.counts)
        start = time.perf_counter()
        network, mmd = fit(before, pipeline.target, pipeline.m, method, seed, updates, batch_size,
                           xp, watch)
        seconds = time.perf_counter() - start
        after = backend.to_numpy(network.predict(backend.asarray(xp, before)))
        return cls(cells, pipeline, before, after, network, mmd, seconds, seed)

    def scores(self) -> dict[str, Any]:
        """Return what `--json` writes beside the options."""
        scores: dict[str, Any] = {}
        for when, cells in (("before", self.before), ("after", self.after)):
            biased, unbiased = discrepancy(cells, self.pipeline.target, self.pipeline.m,
                                           stream(self.seed, "sample", 3))
            f1 = f1_scores(self.pipeline.classifier, cells, self.cells.labels)
            scores |= {f"mmd_{when}": biased, f"mmd_unbiased_{when}": unbiased}
            scores |= {f"f1_{key}_{when}": value for key, value in f1.items()}
        return scores | {
            "updates_to_mmd_0.30": updates_until(self.mmd, 0.30),
            "updates_to_mmd_0.20": updates_until(self.mmd, 0.20),
            "milliseconds_per_update": 1000 * self.seconds / len(self.mmd),
            "seconds": self.seconds,
            "warnings": warnings(self.before, self.after, stream(self.seed, "sample", 5))}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this job."""
    add_method_arguments(parser)
    parser.add_argument("--source", type=whole(1), default=15, metavar="1-16",
                        help=f"sample to calibrate to sample {REFERENCE} (default 15)")
    parser.add_argument("--no-dae", action="store_true",
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
    parser.add_argument("--updates", type=whole(1), default=500,
                        help="steps of training (default 500)")
    parser.add_argument("--batch-size", type=whole(2), default=1000,
                        help="cells of each sample per step (default 1000)")
    parser.add_argument("--seed", type=whole(0), default=0,
                        help="of all random numbers (default 0)")
    parser.add_argument("--backend", choices=backend.NAMES, default="numpy",
                        help="where to compute (default numpy)")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_UPDATES} updates, only to see that everything works")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def chosen_method(given: Namespace) -> Method:
    """Return what the options name. Raise OptionError for a synthesizer where there is none."""
    method = METHODS[given.method]
    if given.synthesizer is None:
        return method
    if method.hidden is None:
        raise OptionError(f"--synthesizer does nothing with --method {given.method}, which has no "
                          "synthesizer; leave it out.")
    return replace(method, hidden=HIDDEN[given.synthesizer])


def main(given: Namespace) -> int:
    """Run the job for the command line. Return the exit code."""
    from tinydni.plots.summary import summary
    method, xp = chosen_method(given), backend.get(given.backend)
    if given.source not in SAMPLES:
        raise OptionError(f"--source must be a sample from 1 to 16; got {given.source}.")
    figure = Path(given.figure or f"cytometry-{given.method}.png")
    Outputs({"figure": str(figure), "json": given.json}, force=True)    # proved before training
    cells = cytometry(given.source)
    print(f"Sample {given.source}, {len(cells.counts):,} cells, to be calibrated to sample "
          f"{REFERENCE}.\nTraining the classifier{'' if given.no_dae else ' and the denoiser'} on "
          "the reference ...", flush=True)
    pipeline = Pipeline.build(given.seed, dae=not given.no_dae, quick=given.quick)
    run = watched(given, lambda watch, updates: Run.train(
        cells, pipeline, method, given.seed, updates, given.batch_size, xp, watch))
    print(summary(run.network, cells.counts.shape[1:]) + "\n")
    result = report(given, run)
    print(table(result))
    if given.json:
        write_json(given.json, result)
    written = [*draw(given, run, figure), *[given.json] * bool(given.json)]
    print("Wrote " + ", ".join(map(str, written)) + ".")
    return 0


def watched(given: Namespace, train: Callable[[Callable, int], Any]) -> Any:
    """Return train(watch, updates), with a progress bar."""
    from tqdm import tqdm
    updates = min(given.updates, QUICK_UPDATES) if given.quick else given.updates
    with tqdm(total=updates, unit="update", disable=given.quiet, dynamic_ncols=True) as bar:
        def watch(update, mmd):
            bar.update()
            if update % 20 == 0:
                bar.set_description(f"MMD {mmd:.3f}")
        return train(watch, updates)


def report(given: Namespace, run: Run) -> dict[str, Any]:
    """Return the result as `--json` writes it."""
    form = given.synthesizer or ("mlp" if METHODS[given.method].hidden else None)
    options = {"source": given.source, "dae": not given.no_dae, "batch_size": given.batch_size,
               "quick": given.quick, "synthesizer": form}
    return {"experiment": name, "method": given.method, "options": options, "seed": given.seed,
            "backend": given.backend, "iterations": len(run.mmd), **run.scores(),
            "history": {"update": list(range(1, len(run.mmd) + 1)), "mmd": run.mmd}}


def table(result: dict[str, Any]) -> str:
    """Return the scores before and after as text."""
    lines = [f"{'':50s}  before   after"]
    lines += [f"{text:50s}  {result[key + '_before']:6.{digits}f}  "
              f"{result[key + '_after']:6.{digits}f}" for text, key, digits in ROWS]
    lines += ["", *(f"WARNING: {text}." for text in result["warnings"])] * bool(result["warnings"])
    return "\n".join([*lines, "", f"{result['iterations']} updates in {result['seconds']:.1f} s, "
                      f"{result['milliseconds_per_update']:.1f} ms each."])


def draw(given: Namespace, run: Run, figure: Path) -> list[Path]:
    """Draw the three figures. Return their paths."""
    from tinydni.plots import cell_scatter, learning_curve, marker_histograms, save
    title = f"Sample {given.source} calibrated to sample {REFERENCE}: {given.method}"
    names = (f"sample {REFERENCE}, gated cells", f"sample {given.source} before",
             f"sample {given.source} after")
    samples = run.pipeline.target, run.before, run.after
    curve = range(1, len(run.mmd) + 1), running_mean(run.mmd)
    markers = [f"marker {i + 1}" for i in range(run.before.shape[1])]
    pictures = {
        "": learning_curve({given.method: curve}, title=title, xlabel="update",
                           ylabel="MMD, mean of 15 updates",
                           reference={"one distribution": FLOOR}),
        "-cells": cell_scatter(*samples, stream(given.seed, "sample", 4), title, names),
        "-markers": marker_histograms(*samples, markers, title,
                                      "log counts, standardised by the reference"),
    }
    paths = [figure.with_name(f"{figure.stem}{end}{figure.suffix}") for end in pictures]
    for path, picture in zip(paths, pictures.values()):
        save(picture, path)
    return paths
