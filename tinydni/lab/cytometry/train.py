"""`tinydni train cytometry`: calibrate one of the DeepCyTOF samples to the reference and measure what it gained."""

from dataclasses import replace
from pathlib import Path

from tinydni.plots.summary import summary
from tinydni import backend
from tinydni.datasets import cytometry
from tinydni.datasets.cytometry import SAMPLES
from tinydni.lab.jobs.arguments import OptionError, whole
from tinydni.lab.cytometry.fit import running_mean
from tinydni.lab.cytometry.methods import HIDDEN, METHODS
from tinydni.lab.cytometry.pipeline import REFERENCE, Pipeline
from tinydni.lab.cytometry.run import Run
from tinydni.lab.files import check_folder, write_json
from tinydni.random import stream

name = "cytometry"
meaning = "blood cells: calibrate a sample with a residual network (data downloaded, or read from $TINYDNI_DATA)"
QUICK_UPDATES = 30


def add_arguments(parser):
    """Adds the options of this job to an argparse parser."""
    add_method_arguments(parser)
    parser.add_argument("--source", type=whole(1), default=15, metavar="1-16",
                        help=f"sample to calibrate to sample {REFERENCE} (default 15)")
    parser.add_argument("--no-dae", action="store_true", help="leave the denoising autoencoder out")
    parser.add_argument("--figure", metavar="FILE.png", help="the MMD curve (default cytometry-METHOD.png); beside it "
                        "FILE-cells.png, the scatter, and FILE-markers.png, the histograms")
    parser.add_argument("--json", metavar="FILE.json", help="the result with all options and the history")


def add_method_arguments(parser):
    """Adds the options that say how the network is trained; `tinydni calibrate` has the same ones."""
    parser.add_argument("--method", choices=METHODS, default="dni", help="; ".join(
        f"{key}: {method.meaning}" for key, method in METHODS.items()) + " (default dni)")
    parser.add_argument("--synthesizer", choices=HIDDEN,
                        help="form of the synthesizers: one hidden layer (default) or one dense layer")
    parser.add_argument("--updates", type=whole(1), default=500, help="steps of training (default 500)")
    parser.add_argument("--batch-size", type=whole(2), default=1000, help="cells of each sample per step (default 1000)")
    parser.add_argument("--seed", type=whole(0), default=0, help="of all random numbers (default 0)")
    parser.add_argument("--backend", choices=backend.NAMES, default="numpy", help="where to compute (default numpy)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_UPDATES} updates, only to see that everything works")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def chosen_method(given):
    """The Method that the options name. Raises OptionError for a synthesizer where there is none."""
    method = METHODS[given.method]
    if given.synthesizer is None:
        return method
    if method.hidden is None:
        raise OptionError(f"--synthesizer does nothing with --method {given.method}, which has no synthesizer; leave it "
                          "out.")
    return replace(method, hidden=HIDDEN[given.synthesizer])


def main(given):
    """Runs the job for the command line. Returns the exit code."""
    method, xp = chosen_method(given), backend.get(given.backend)
    if given.source not in SAMPLES:
        raise OptionError(f"--source must be a sample from 1 to 16; got {given.source}.")
    figure = Path(given.figure or f"cytometry-{given.method}.png")
    from tinydni.plots import check_path
    for path in (figure, given.json):
        if path:
            check_folder(path)
    check_path(figure)
    cells = cytometry(given.source)
    print(f"Sample {given.source}, {len(cells.counts):,} cells, to be calibrated to sample {REFERENCE}.\n"
          f"Training the classifier{'' if given.no_dae else ' and the denoiser'} on the reference ...", flush=True)
    pipeline = Pipeline.build(given.seed, dae=not given.no_dae, quick=given.quick)
    run = watched(given, lambda watch, updates: Run.train(cells, pipeline, method, given.seed, updates,
                                                          given.batch_size, xp, watch))
    print(summary(run.network, cells.counts.shape[1:]) + "\n")
    result = report(given, run)
    print(table(result))
    written = draw(given, run, figure)
    if given.json:
        write_json(given.json, result)
        written.append(given.json)
    print("Wrote " + ", ".join(map(str, written)) + ".")
    return 0


def watched(given, train):
    """train(watch, updates) with a progress bar."""
    from tqdm import tqdm
    updates = min(given.updates, QUICK_UPDATES) if given.quick else given.updates
    with tqdm(total=updates, unit="update", disable=given.quiet, dynamic_ncols=True) as bar:
        def watch(update, mmd):
            bar.update()
            if update % 20 == 0:
                bar.set_description(f"MMD {mmd:.3f}")
        return train(watch, updates)


def report(given, run):
    """The result as `--json` writes it."""
    options = {"source": given.source, "dae": not given.no_dae, "batch_size": given.batch_size, "quick": given.quick,
               "synthesizer": given.synthesizer or ("mlp" if METHODS[given.method].hidden else None)}
    return {"experiment": name, "method": given.method, "options": options, "seed": given.seed, "backend": given.backend,
            "iterations": len(run.mmd), **run.scores(),
            "history": {"update": list(range(1, len(run.mmd) + 1)), "mmd": run.mmd}}


def table(result):
    """The scores before and after, as text."""
    rows = [("MMD (biased, rooted; 0.077 for one distribution)", "mmd", 3),
            ("MMD² (unbiased; 0 for one distribution)", "mmd_unbiased", 4),
            ("F1 of the gated cells, weighted", "f1_weighted", 4), ("F1 of the gated cells, macro", "f1_macro", 4)]
    lines = [f"{'':50s}  before   after"]
    lines += [f"{text:50s}  {result[key + '_before']:6.{digits}f}  {result[key + '_after']:6.{digits}f}"
              for text, key, digits in rows]
    lines += [""] * bool(result["warnings"]) + [f"WARNING: {text}." for text in result["warnings"]]
    return "\n".join(lines + ["", f"{result['iterations']} updates in {result['seconds']:.1f} s, "
                              f"{result['milliseconds_per_update']:.1f} ms each."])


def draw(given, run, figure):
    """Draws the three figures. Returns their paths."""
    from tinydni.plots import cell_scatter, learning_curve, marker_histograms, save
    title = f"Sample {given.source} calibrated to sample {REFERENCE}: {given.method}"
    names = (f"sample {REFERENCE}, gated cells", f"sample {given.source} before", f"sample {given.source} after")
    samples = run.pipeline.target, run.before, run.after
    updates = range(1, len(run.mmd) + 1)
    pictures = {
        figure: learning_curve({given.method: (updates, running_mean(run.mmd))}, title=title, xlabel="update",
                               ylabel="MMD, mean of 15 updates", reference={"one distribution": 0.077}),
        beside(figure, "cells"): cell_scatter(*samples, stream(given.seed, "sample", 4), title, names),
        beside(figure, "markers"): marker_histograms(*samples, [f"marker {i + 1}" for i in range(run.before.shape[1])],
                                                     title, "log counts, standardised by the reference"),
    }
    for path, picture in pictures.items():
        save(picture, path)
    return list(pictures)


def beside(figure, suffix):
    """FILE-suffix.png beside FILE.png."""
    return figure.with_name(f"{figure.stem}-{suffix}{figure.suffix}")
