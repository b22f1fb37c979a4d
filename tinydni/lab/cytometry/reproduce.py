"""`tinydni reproduce cytometry`: the table of Haninčík 2018 beside ours, with the controls that say what matters."""

import json
import statistics
from functools import cache
from pathlib import Path

import numpy as np

from tinydni.datasets import cytometry
from tinydni.lab.jobs.arguments import whole
from tinydni.lab.cytometry.fit import running_mean
from tinydni.lab.cytometry.methods import CONTROLS, METHODS
from tinydni.lab.cytometry.paper import DIFFERENCES, PAPER, WHY_NOT
from tinydni.lab.cytometry.pipeline import Pipeline
from tinydni.lab.cytometry.run import Run
from tinydni.lab.cytometry.timing import step_times
from tinydni.lab.files import write_json, write_text

name = "cytometry"
meaning = "Haninčík 2018, table 1: MMD-ResNet on blood cells, by backpropagation and with synthetic gradients"
SOURCES = (15, 14, 11)
COLUMNS = {                 # heading: key of the scores, digits
    "MMD": ("mmd_{when}", 3), "MMD², unbiased": ("mmd_unbiased_{when}", 4), "F1 weighted": ("f1_weighted_{when}", 4),
    "F1 macro": ("f1_macro_{when}", 4), "updates to MMD 0.30": ("updates_to_mmd_0.30", 0),
    "updates to MMD 0.20": ("updates_to_mmd_0.20", 0),
}
WORST = "lowest F1 of a type in any seed"
WARNED = "seeds with a warning"
FLOOR = 0.077               # MMD of two samples of one distribution, 1,000 cells each


def add_arguments(parser):
    """Adds the options of the table to an argparse parser."""
    parser.add_argument("--seeds", type=whole(1), default=3, help="runs per figure, seeds 0, 1, ... (default 3)")
    parser.add_argument("--updates", type=whole(15), default=500, help="steps of every run (default 500)")
    parser.add_argument("--out", default="results/cytometry", metavar="FOLDER",
                        help="where the table goes, and where finished runs are kept (default results/cytometry)")
    parser.add_argument("--quick", action="store_true", help="one source, one seed and 30 updates, to see that it works")


def main(given):
    """Makes the table for the command line. Returns the exit code."""
    sources, seeds, updates = (SOURCES[:1], 1, 30) if given.quick else (SOURCES, given.seeds, given.updates)
    out = Path(given.out + "-quick" if given.quick else given.out)
    runs = finished_runs(sources, seeds, updates, given.quick, out / "runs")
    report = summarise(runs, sources, seeds, updates, step_times(repeats=3 if given.quick else 60))
    write_json(out / "cytometry.json", report)
    write_text(out / "cytometry.md", markdown(report) + "\n")
    draw(runs, sources, seeds, out / "cytometry.png")
    print(markdown(report))
    print(f"\nWrote {out / 'cytometry.md'}, .json and .png.")
    return 0


def finished_runs(sources, seeds, updates, quick, folder):
    """Returns {(source, method, seed): scores}; those found in `folder` are not run again, each new one is kept there."""
    from tqdm import tqdm
    folder.mkdir(parents=True, exist_ok=True)
    methods, runs = {**METHODS, **CONTROLS}, {}
    with tqdm(total=len(sources) * seeds * len(methods), unit="run") as bar:
        for seed in range(seeds):
            pipeline = cache(lambda: Pipeline.build(seed, quick=quick))         # only where a run is missing
            for source in sources:
                for method in methods:
                    path = folder / f"{source}-{method}-{seed}.json".replace(" ", "_").replace(",", "")
                    scores = kept(path, updates)
                    if scores is None:
                        run = Run.train(cytometry(source), pipeline(), methods[method], seed, updates)
                        scores = run.scores() | {"mmd": run.mmd}
                        write_json(path, scores)
                    runs[source, method, seed] = scores
                    bar.set_description(f"{source}, {method}, seed {seed}: {scores['mmd_after']:.3f}")
                    bar.update()
    return runs


def kept(path, updates):
    """The scores at `path` if they are there and of a run of this length, else None."""
    scores = json.loads(path.read_text()) if path.exists() else None
    return scores if scores and len(scores["mmd"]) == updates else None


def summarise(runs, sources, seeds, updates, times):
    """The table as JSON: mean and spread of every figure."""
    rows = []
    for source in sources:
        for row in ("before", *METHODS, *CONTROLS):
            when, method = ("before", "backprop") if row == "before" else ("after", row)
            scores = [runs[source, method, seed] for seed in range(seeds)]
            for column, (key, _) in COLUMNS.items():
                if when == "before" and "{when}" not in key:
                    continue
                values = [one[key.format(when=when)] for one in scores]
                rows.append({"row": f"{source} {row}", "column": column, **summary(values)})
            rest = {WORST: min(min(one[f"f1_types_{when}"]) for one in scores)}
            if when == "after":
                rest[WARNED] = sum(bool(one["warnings"]) for one in scores)
            rows += [{"row": f"{source} {row}", "column": column, "mean": value, "std": None, "seeds": seeds, "paper": None}
                     for column, value in rest.items()]
    return {"table": name, "rows": rows, "settings": {"updates": updates, "batch_size": 1000, "seeds": seeds},
            "times": times, "differences": DIFFERENCES,
            "seconds": round(sum(one["seconds"] for one in runs.values()), 1)}


def summary(values):
    """Mean and standard deviation; no mean where one of the runs never came so far."""
    reached = [value for value in values if value is not None]
    complete = len(reached) == len(values)
    return {"mean": round(statistics.mean(values), 4) if complete else None,
            "std": round(statistics.stdev(values), 4) if complete and len(values) > 1 else None,
            "seeds": len(values), "reached": len(reached), "paper": None}


def markdown(report):
    """The table as Markdown, with what differs from the paper and why its figures are no targets."""
    cells = {(row["row"], row["column"]): row for row in report["rows"]}
    digits = {column: number for column, (_, number) in COLUMNS.items()} | {WORST: 3, WARNED: 0}
    head = ["source, method", *digits]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    for row in dict.fromkeys(row for row, _ in cells):
        texts = [figure(cells.get((row, column)), digits[column]) for column in head[1:]]
        lines.append("| " + " | ".join([row, *texts]) + " |")
    times, settings = report["times"], report["settings"]
    over = "one seed" if settings["seeds"] == 1 else f"mean ± standard deviation over {settings['seeds']} seeds"
    paper = ["| Haninčík 2018, table 1 | backpropagation | synthetic gradients |", "| --- | --- | --- |",
             *["| " + " | ".join(line) + " |" for line in PAPER]]
    return "\n".join([
        "# MMD-ResNet on blood cells (Haninčík 2018)", "",
        f"Each source calibrated to sample 2. {settings['updates']} updates of {settings['batch_size']} cells; {over} "
        "(of everything: denoiser, classifier, network). MMD: square root of the biased estimate, kernels of "
        "weight 1, 1,000 source cells against 1,000 gated reference cells, mean of 10 draws; two samples of one distribution give 0.077. 'Updates to': until the mean of 15 training values is there; a "
        "dash says that not every seed arrived. A warning comes without labels, where populations look torn, squashed or "
        "exchanged.", "", *lines, "",
        f"Processor time of one update in one process, minimum of {times['repeats']} alternated: backprop "
        f"{times['backprop']:.1f} ms, dni {times['dni']:.1f} ms ({times['dni'] / times['backprop']:.2f} times as long); of "
        f"both, {times['mmd']:.1f} ms is the MMD.", "",
        "## The paper", "", *paper, "", WHY_NOT, "", "## What differs from the paper", "",
        *[f"- {text}" for text in report["differences"]], "", f"{report['seconds']:.0f} seconds of training in all."])


def figure(cell, digits):
    """One figure as text."""
    if cell is None:
        return ""
    if cell["mean"] is None:
        return f"– ({cell['reached']} of {cell['seeds']})"
    return f"{cell['mean']:.{digits}f}" + (f" ± {cell['std']:.{digits}f}" if cell["std"] is not None else "")


def draw(runs, sources, seeds, path):
    """Draws the MMD curves of the first source, mean and spread over the seeds."""
    from tinydni.plots import learning_curve, save
    curves = {}
    for method in ("backprop", "dni", "none", *CONTROLS):
        means = np.array([running_mean(runs[sources[0], method, seed]["mmd"]) for seed in range(seeds)])
        curves[method] = (np.arange(1, means.shape[1] + 1), means.mean(axis=0), means.std(axis=0))
    save(learning_curve(curves, title=f"Sample {sources[0]} calibrated to sample 2", xlabel="update",
                        ylabel="MMD, mean of 15 updates", reference={"one distribution": FLOOR}), path)
