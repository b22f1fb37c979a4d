"""`tinydni reproduce cytometry`: the table of Haninčík 2018 beside ours, with controls."""

from statistics import mean

import numpy as np

from tinydni.lab.benchmarks.ratios import interleave
from tinydni.lab.cytometry.fit import running_mean
from tinydni.lab.cytometry.resnet import METHODS, build
from tinydni.lab.cytometry.train_cytometry import EVERY, FLOOR, QUICK_UPDATES
from tinydni.lab.files import markdown
from tinydni.lab.tables.table import Cell, Table
from tinydni.variants.mmd import MMD

SOURCES = (15, 14, 11)
COLUMNS = {                 # heading: score of a run, what makes one figure of several, digits
    "MMD": ("mmd_{when}", mean, 3), "MMD², unbiased": ("mmd_unbiased_{when}", mean, 4),
    "F1 weighted": ("f1_weighted_{when}", mean, 4), "F1 macro": ("f1_macro_{when}", mean, 4),
    "updates to MMD 0.30": ("updates_to_mmd_0.30", mean, 0),
    "updates to MMD 0.20": ("updates_to_mmd_0.20", mean, 0),
    "lowest F1 of a type in any seed": ("f1_lowest_{when}", min, 3),
    "seeds with a warning": (lambda result: int(bool(result["warnings"])), sum, 0),
}
PAPER = [["updates until MMD 2.419", "150", "240"], ["time until then", "107 s", "90 s"],
         ["F1 score", "81.71", "76.29"]]
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
    "F1 by scikit-learn over gated cells, an unsure cell counting as wrong. All "
    "source cells are calibrated, gated or not, against the gated cells of the reference, sample "
    "2.",
    "The denoising autoencoder is trained for 20 epochs on 100,000 cells instead of 80 epochs on "
    "all.",
]


def cells(updates):
    """Return every figure of each source before, and after the training by every method.

    updates : 0 stands for a few, of the first source alone
    """
    rows = {"before": "backprop", **{method: method for method in EVERY}}
    quick, found = updates == 0, []
    for source in SOURCES[:1] if quick else SOURCES:
        for row, method in rows.items():
            when = "before" if row == "before" else "after"
            options = {"source": source, "method": method,
                       "updates": QUICK_UPDATES if quick else updates}
            found += [Cell(f"{source} {row}", column, options, together=together,
                           score=score if callable(score) else score.format(when=when))
                      for column, (score, together, _) in COLUMNS.items()
                      if when == "after" or "{when}" in str(score)]
    return found


def step_times(n_cells=1000, n_markers=8, repeats=60):
    """Return the processor time of one update [ms]: {"backprop", "dni", "mmd", "repeats"}.

    The shortest of `repeats` alternated ones: what else runs makes steps longer, never shorter.
    """
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((n_cells, n_markers), dtype=np.float32) for _ in range(2))
    loss = MMD(0.6)
    steps = {"mmd": lambda i: loss.forward(x, y)}
    for method in ("backprop", "dni"):
        network = build(METHODS[method], 0.6, n_markers, seed=0)
        steps[method] = lambda i, network=network: network.step(x, y)
    seconds = interleave(steps, repeats, 1)["cpu"]
    return {"repeats": repeats, **{name: round(1000 * found.min(), 2)
                                   for name, found in seconds.items()}}


class Cytometry(Table):
    """A table with the time of an update, and a picture of the curves."""

    def report(self, cells, seeds, results):
        quick = next(iter(results.values()))["options"]["quick"]
        return (super().report(cells, seeds, results)
                | {"times": step_times(repeats=3 if quick else 60)})

    def markdown(self, report):
        cells = {(row["row"], row["column"]): row for row in report["rows"]}
        rows = [[row, *(figure(cells.get((row, column)), digits)
                        for column, (*_, digits) in COLUMNS.items())]
                for row in dict.fromkeys(row for row, _ in cells)]
        times, settings = report["times"], report["settings"]
        return "\n".join([
            f"# {self.title}", "",
            f"Each source calibrated to sample 2. {settings['updates']} updates of "
            f"{settings['batch_size']} cells; {self.over(report)} (of everything: denoiser, "
            "classifier, network). MMD: square root of the biased estimate, kernels of weight 1, "
            "1,000 source cells against 1,000 gated reference cells, mean of 10 draws; two samples "
            f"of one distribution give {FLOOR}. 'Updates to': until the mean of 15 training values "
            "is there; a dash says that not every seed arrived. A warning comes without labels, "
            "where populations look torn, squashed or exchanged.", "",
            markdown(["source, method", *COLUMNS], rows), "",
            f"Processor time of one update in one process, minimum of {times['repeats']} "
            f"alternated: backprop {times['backprop']:.1f} ms, dni {times['dni']:.1f} ms "
            f"({times['dni'] / times['backprop']:.2f} times as long); of both, {times['mmd']:.1f} "
            "ms is the MMD.", "", "## The paper", "",
            markdown(["Haninčík 2018, table 1", "backpropagation", "synthetic gradients"], PAPER),
            "", WHY_NOT, "", "## What differs from the paper", "", *self.ending(report)])

    def draw(self, report, results, path):
        """Draw the MMD curves of the first source, mean and spread over the seeds."""
        from tinydni.plots import learning_curve, save
        curves = {}
        for method in EVERY:
            means = np.array([running_mean(result["history"]["mmd"])
                              for (row, column, _), result in results.items()
                              if (row, column) == (f"{SOURCES[0]} {method}", "MMD")])
            updates = np.arange(1, means.shape[1] + 1)
            curves[method] = updates, means.mean(axis=0), means.std(axis=0)
        save(learning_curve(curves, title=f"Sample {SOURCES[0]} calibrated to sample 2",
                            xlabel="update", ylabel="MMD, mean of 15 updates",
                            reference={"one distribution": FLOOR}), path)


def figure(cell, digits):
    """Return one figure as text; a dash where a run has none."""
    if cell is None:
        return ""
    if cell["mean"] is None:
        return f"– ({cell['reached']} of {cell['seeds']})"
    spread = f" ± {cell['std']:.{digits}f}" if cell["std"] is not None else ""
    return f"{cell['mean']:.{digits}f}{spread}"


CYTOMETRY = Cytometry(
    "cytometry", "Haninčík 2018, table 1: MMD-ResNet on blood cells, by backpropagation and with "
    "synthetic gradients", "MMD-ResNet on blood cells (Haninčík 2018)",
    "tinydni.lab.cytometry.train_cytometry", "mmd_after", "", cells, 500, DIFFERENCES, "updates",
    quick=0)
