"""`tinydni reproduce cytometry`: the table of Haninčík 2018 beside ours, with controls."""

import json
import statistics
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from tinydni.datasets import cytometry
from tinydni.lab.cytometry.fit import running_mean
from tinydni.lab.cytometry.pipeline import Pipeline
from tinydni.lab.cytometry.resnet import CONTROLS, METHODS, build
from tinydni.lab.cytometry.train_cytometry import FLOOR, Run
from tinydni.lab.files import write_json, write_text
from tinydni.lab.jobs.ranges import whole
from tinydni.variants.mmd import MMD

name = "cytometry"
meaning = ("Haninčík 2018, table 1: MMD-ResNet on blood cells, by backpropagation and with "
           "synthetic gradients")
SOURCES = (15, 14, 11)
EVERY = {**METHODS, **CONTROLS}
COLUMNS = {                 # heading: key of the scores, digits
    "MMD": ("mmd_{when}", 3), "MMD², unbiased": ("mmd_unbiased_{when}", 4),
    "F1 weighted": ("f1_weighted_{when}", 4), "F1 macro": ("f1_macro_{when}", 4),
    "updates to MMD 0.30": ("updates_to_mmd_0.30", 0),
    "updates to MMD 0.20": ("updates_to_mmd_0.20", 0),
}
WORST, WARNED = "lowest F1 of a type in any seed", "seeds with a warning"
PAPER = [("updates until MMD 2.419", "150", "240"), ("time until then", "107 s", "90 s"),
         ("F1 score", "81.71", "76.29")]
WHY_NOT = """\
The paper's own figures are not targets. MMD 2.419: its kernel is weighted by the number of scales,
so that one of its units is about 1/√3 of ours, and its public code begins at about 2.53 there and
comes down to 2.41 with a learning rate of 1e-4: the value follows from the learning rate and its
decay, not from the method (imitated at 1e-2, backpropagation reaches 0.32 in those units). F1 81.71
and 76.29: the uncalibrated cells of these samples already score more than 90, so a network that
ends below that has damaged its data; the public code puts a random output layer on top, which
scatters the cells at the start, and its F1 deals unsure cells out at random, where ours is
scikit-learn's. "Twice as fast" (an "almost double" time for backpropagation; 107 s against 90 s
until MMD 2.419): the public code's step with synthetic gradients does strictly more arithmetic than
its step with backpropagation, and most of both is the MMD itself. In one process ours costs more
per update and needs more updates. Decoupling pays where networks are deep, the loss is cheap, and
every block has a worker of its own."""
DIFFERENCES = [
    "No output layer; the last residual block is the output, and the network starts as the "
    "identity (weights of 1e-4).",
    "The messages carry the gradient of the shortcut, and modules read the block's output after "
    "the addition; the public code drops that gradient (row 'no shortcut gradient': with our "
    "learning rates it costs little).",
    "Synthesizers have one hidden layer of 32, see h standardised over the batch, and learn by "
    "Adam (1e-2); the paper's are one dense layer (row 'one dense layer') trained by plain "
    "gradient descent (row 'one dense layer, SGD').",
    "RMSProp (1e-3, rho 0.99); with synthetic gradients 2e-3 at the top and 3e-4 below, both times "
    "0.3 after 40 % and 80 % of the updates. The paper gives no rates; the public code has 1e-3 "
    "and less, divided by 10 every few dozen updates.",
    "MMD with kernels of weight 1; batch normalisation uses the batch in training and the whole "
    "source afterwards.",
    "500 updates; F1 by scikit-learn over gated cells, an unsure cell counting as wrong. All "
    "source cells are calibrated, gated or not, against the gated cells of the reference, sample "
    "2.",
    "The denoising autoencoder is trained for 20 epochs on 100,000 cells instead of 80 epochs on "
    "all.",
]
Runs = dict[tuple[int, str, int], dict[str, Any]]       # {(source, method, seed): scores}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the table."""
    parser.add_argument("--seeds", type=whole(1), default=3,
                        help="runs per figure, seeds 0, 1, ... (default 3)")
    parser.add_argument("--updates", type=whole(15), default=500,
                        help="steps of every run (default 500)")
    parser.add_argument("--out", default="results/cytometry", metavar="FOLDER",
                        help="where the table goes, and where finished runs are kept "
                        "(default results/cytometry)")
    parser.add_argument("--quick", action="store_true",
                        help="one source, one seed and 30 updates, to see that it works")


def main(given: Namespace) -> int:
    """Make the table for the command line. Return the exit code."""
    sources, seeds, updates = SOURCES[:1 if given.quick else None], given.seeds, given.updates
    if given.quick:
        seeds, updates = 1, 30
    out = Path(given.out + "-quick" * given.quick)
    runs = finished_runs(sources, seeds, updates, given.quick, out / "runs")
    report = summarise(runs, sources, seeds, updates, step_times(repeats=3 if given.quick else 60))
    write_json(out / "cytometry.json", report)
    write_text(out / "cytometry.md", markdown(report) + "\n")
    draw(runs, sources, seeds, out / "cytometry.png")
    print(markdown(report))
    print(f"\nWrote {out / 'cytometry.md'}, .json and .png.")
    return 0


def finished_runs(sources: Sequence[int], seeds: int, updates: int, quick: bool, folder: Path
                  ) -> Runs:
    """Return all runs; those found in `folder` are not made again, each new one is kept there."""
    from tqdm import tqdm
    folder.mkdir(parents=True, exist_ok=True)
    runs: Runs = {}
    keys = [(source, method, seed) for seed in range(seeds) for source in sources
            for method in EVERY]
    built = cache(lambda seed: Pipeline.build(seed, quick=quick))   # only where a run is missing
    with tqdm(keys, unit="run") as bar:
        for source, method, seed in bar:
            path = folder / f"{source}-{method}-{seed}.json".replace(" ", "_").replace(",", "")
            scores = kept(path, updates)
            if scores is None:
                run = Run.train(cytometry(source), built(seed), EVERY[method], seed, updates)
                scores = run.scores() | {"mmd": run.mmd}
                write_json(path, scores)
            runs[source, method, seed] = scores
            bar.set_description(f"{source}, {method}, seed {seed}: {scores['mmd_after']:.3f}")
    return runs


def kept(path: Path, updates: int) -> dict[str, Any] | None:
    """Return the scores at `path` if they are there and of a run of this length, else None."""
    scores = json.loads(path.read_text()) if path.exists() else None
    return scores if scores and len(scores["mmd"]) == updates else None


def step_times(n_cells: int = 1000, n_markers: int = 8, repeats: int = 60) -> dict[str, float]:
    """Return the processor time of one update [ms]: {"backprop", "dni", "mmd", "repeats"}.

    The shortest of `repeats` alternated ones: what else runs makes steps longer, never shorter.
    """
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((n_cells, n_markers), dtype=np.float32) for _ in range(2))
    loss = MMD(0.6)
    networks = {key: build(METHODS[key], 0.6, n_markers, seed=0) for key in ("backprop", "dni")}
    jobs: dict[str, Callable[[], Any]] = {"mmd": partial(loss.forward, x, y)}
    jobs |= {key: partial(network.step, x, y) for key, network in networks.items()}
    shortest = dict.fromkeys(jobs, np.inf)
    for _ in range(repeats):
        for key, job in jobs.items():
            start = time.process_time()
            job()
            shortest[key] = min(shortest[key], 1000 * (time.process_time() - start))
    return {**{key: round(value, 2) for key, value in shortest.items()}, "repeats": repeats}


def summarise(runs: Runs, sources: Sequence[int], seeds: int, updates: int,
              times: dict[str, float]) -> dict[str, Any]:
    """Return the table as JSON: mean and spread of every figure."""
    rows = []
    for source in sources:
        for row in ("before", *EVERY):
            when, method = ("before", "backprop") if row == "before" else ("after", row)
            scores = [runs[source, method, seed] for seed in range(seeds)]
            figures = {column: summary([one[key.format(when=when)] for one in scores])
                       for column, (key, _) in COLUMNS.items()
                       if when == "after" or "{when}" in key}
            rest = {WORST: min(min(one[f"f1_types_{when}"]) for one in scores)}
            if when == "after":
                rest[WARNED] = sum(bool(one["warnings"]) for one in scores)
            figures |= {column: {"mean": value, "std": None, "seeds": seeds, "paper": None}
                        for column, value in rest.items()}
            rows += [{"row": f"{source} {row}", "column": column, **values}
                     for column, values in figures.items()]
    return {"table": name, "rows": rows,
            "settings": {"updates": updates, "batch_size": 1000, "seeds": seeds},
            "times": times, "differences": DIFFERENCES,
            "seconds": round(sum(one["seconds"] for one in runs.values()), 1)}


def summary(values: list[float | None]) -> dict[str, Any]:
    """Return mean and standard deviation; none where one of the runs never came so far."""
    reached = [value for value in values if value is not None]
    complete = len(reached) == len(values)
    return {"mean": round(statistics.mean(reached), 4) if complete else None,
            "std": round(statistics.stdev(reached), 4) if complete and len(values) > 1 else None,
            "seeds": len(values), "reached": len(reached), "paper": None}


def markdown(report: dict[str, Any]) -> str:
    """Return the table as Markdown, what differs from the paper, why its figures are no targets."""
    cells = {(row["row"], row["column"]): row for row in report["rows"]}
    digits = {column: number for column, (_, number) in COLUMNS.items()} | {WORST: 3, WARNED: 0}
    lines = table_lines(["source, method", *digits], [
        [row, *(figure(cells.get((row, column)), digits[column]) for column in digits)]
        for row in dict.fromkeys(row for row, _ in cells)])
    times, settings = report["times"], report["settings"]
    over = ("one seed" if settings["seeds"] == 1 else
            f"mean ± standard deviation over {settings['seeds']} seeds")
    return "\n".join([
        "# MMD-ResNet on blood cells (Haninčík 2018)", "",
        f"Each source calibrated to sample 2. {settings['updates']} updates of "
        f"{settings['batch_size']} cells; {over} (of everything: denoiser, classifier, network). "
        "MMD: square root of the biased estimate, kernels of weight 1, 1,000 source cells against "
        "1,000 gated reference cells, mean of 10 draws; two samples of one distribution give "
        f"{FLOOR}. 'Updates to': until the mean of 15 training values is there; a dash says that "
        "not every seed arrived. A warning comes without labels, where populations look torn, "
        "squashed or exchanged.", "", *lines, "",
        f"Processor time of one update in one process, minimum of {times['repeats']} alternated: "
        f"backprop {times['backprop']:.1f} ms, dni {times['dni']:.1f} ms "
        f"({times['dni'] / times['backprop']:.2f} times as long); of both, {times['mmd']:.1f} ms "
        "is the MMD.", "", "## The paper", "",
        *table_lines(["Haninčík 2018, table 1", "backpropagation", "synthetic gradients"], PAPER),
        "", WHY_NOT, "", "## What differs from the paper", "",
        *[f"- {text}" for text in report["differences"]], "",
        f"{report['seconds']:.0f} seconds of training in all."])


def table_lines(head: list[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]


def figure(cell: dict[str, Any] | None, digits: int) -> str:
    """Return one figure as text."""
    if cell is None:
        return ""
    if cell["mean"] is None:
        return f"– ({cell['reached']} of {cell['seeds']})"
    spread = f" ± {cell['std']:.{digits}f}" if cell["std"] is not None else ""
    return f"{cell['mean']:.{digits}f}{spread}"


def draw(runs: Runs, sources: Sequence[int], seeds: int, path: Path) -> None:
    """Draw the MMD curves of the first source, mean and spread over the seeds."""
    from tinydni.plots import learning_curve, save
    curves = {}
    for method in EVERY:
        means = np.array([running_mean(runs[sources[0], method, seed]["mmd"])
                          for seed in range(seeds)])
        curves[method] = np.arange(1, means.shape[1] + 1), means.mean(axis=0), means.std(axis=0)
    save(learning_curve(curves, title=f"Sample {sources[0]} calibrated to sample 2",
                        xlabel="update", ylabel="MMD, mean of 15 updates",
                        reference={"one distribution": FLOOR}), path)
