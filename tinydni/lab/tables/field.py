"""The table of the field: every rival method on the same networks, with the same tuning effort."""

import importlib
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinydni.lab.benchmarks.ratios import interleave
from tinydni.lab.files import markdown, write_json, write_text
from tinydni.lab.outputs import Outputs
from tinydni.lab.tables.field_picture import field_picture
from tinydni.lab.tables.images import mnist
from tinydni.lab.tables.table import Cell, Table, finished_runs, grid, summary
from tinydni.plots import save
from tinydni.plots.results_table import ours

RATES = (1e-3, 3e-3, 1e-2)      # of the blocks: the tries of every method
TRY_EPOCHS, TRY_SEED = 1, 0
ROUNDS, STEPS = 40, 10          # of the measurement of time: rounds over all methods, steps in each


@dataclass(frozen=True)
class Rival:
    """A row: the options of a method, and what it sends and removes at an interface of width H.

    Parameters
    ----------
    sent_up, sent_down : numbers per example; K is the width of a label
    removes : the locks that are gone
    source : where it comes from
    """

    options: dict
    sent_up: str
    sent_down: str
    removes: str
    source: str


BOTH, NO = "backward, update", "none"
RIVALS = {
    "backprop": Rival({"method": "backprop"}, "H", "H", NO, "Rumelhart et al. 1986"),
    "late gradients": Rival({"method": "late-gradients"}, "H", "H", f"{BOTH} (updates are late)",
                             "Huo et al. 2018; PipeDream 2019; PETRA 2025"),
    "h alone, late targets": Rival({"method": "dni", "late": 1}, "H", "H", BOTH,
                                   "ours; forward as Huo et al. 2018"),
    "h alone (dni)": Rival({"method": "dni"}, "H", "H", BOTH, "Jaderberg et al. 2016"),
    "h and label (cdni)": Rival({"method": "cdni"}, "H + K", "H", BOTH, "Jaderberg et al. 2016"),
    "virtual network (vfbn)": Rival({"method": "vfbn"}, "H + K", "H", BOTH, "Miyato et al. 2017"),
    "layer-wise loss (Mono-Forward)": Rival({"method": "local"}, "H + K", "0", BOTH,
                                             "Gong et al. 2025; older"),
    "greedy heads (dgl)": Rival({"method": "dgl"}, "H + K", "0", BOTH, "Belilovsky et al. 2020"),
    "Forward-Forward": Rival({"method": "ff"}, "2 H", "0", BOTH, "Hinton 2022"),
    "feedback alignment": Rival({"method": "fa"}, "H", "H", NO, "Lillicrap et al. 2016"),
    "direct feedback": Rival({"method": "dfa"}, "H", "K", "backward", "Nøkland 2016"),
    "target projection (drtp)": Rival({"method": "drtp"}, "H + K", "0", BOTH,
                                      "Frenkel et al. 2021"),
    "target propagation (dtp)": Rival({"method": "dtp"}, "H", "H", NO, "Lee et al. 2015"),
    "only the top (none)": Rival({"method": "none"}, "H", "0", BOTH, "control"),
}
MNIST, CIFAR10 = "tinydni.lab.jobs.mnist", "tinydni.lab.jobs.cifar10"
NETWORKS = {                    # column: job, options
    "MNIST, 3 layers": (MNIST, {"layers": 3}),
    "CIFAR-10, 3 layers": (CIFAR10, {"model": "fcn", "layers": 3, "width": 256, "epochs": 3}),
    "MNIST, 6 layers": (MNIST, {"layers": 6}),
}
COSTS = "MNIST, 3 layers"       # the network whose costs are measured
DIFFERENCES = [
    "Every method is ours, on one network: fully connected, layers of 256 with BatchNorm and ReLU, "
    "Adam, batches of 64, rates that fall linearly to zero. The papers' networks, budgets and "
    "units differ, so that a figure here is no verdict on a paper.",
    "Tuning: for each method and network the rate of the blocks, the best of three tries (0.001, "
    "0.003, 0.01) after one epoch, seed 0, on a held-out part of the training data. dni, cdni, "
    "vfbn and local have recipes whose other settings (rates of synthesizers, Adam's eps, the "
    "top's rate) were tuned on MNIST before; the others have Adam as it is. CIFAR-10 has 3 epochs.",
    "Time: of a step over that of backpropagation, all methods in turn in one process on one core. "
    "It is the price of the arithmetic, not what decoupled workers gain.",
    "Kept: 1,000 numbers that are kept from one step to the next beside the network and its "
    "optimizers, for batches of 64: synthesizers, heads or inverses with their optimizers, fixed "
    "matrices, batches under way.",
    "Sent: numbers per example that cross an interface of width H, up and down; K is a label. "
    "direct feedback sends its K numbers from the top to every module.",
    "Forward-Forward has no output: its top block is left out, and prediction runs the network "
    "once for each label.",
]


class Field(Table):
    """The table: tries on validation data, then the errors, then the costs."""

    def main(self, given):
        """Make the table for the command line. Return the exit code."""
        folder, name = Path(given.out), self.name + "-quick" * given.quick
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        path = folder / name
        outputs = Outputs({"out": f"{path}.json", "figure": f"{path}.png"})
        seeds = range(given.first_seed, given.first_seed + (1 if given.quick else given.seeds))
        report = {"table": self.name, "rows": [], "tries": [], "costs": costs(),
                  "differences": [*self.differences], "seconds": 0.0,
                  "settings": {"epochs": 1 if given.quick else given.epochs, "width": 256,
                               "batch size": 64, "score": self.score,
                               "seeds": ", ".join(map(str, seeds))}}
        for column in [COSTS] if given.quick else NETWORKS:
            self.add(report, column, seeds, given, folder / "runs")
            write_json(f"{path}.json", report)              # what is there so far
            write_text(f"{path}.md", self.markdown(report) + "\n")
        outputs.attempt(self.draw, report, None, f"{path}.png")
        print(f"{self.markdown(report)}\n\nWrote {path}.md, .png and .json.")
        return int(outputs.failed)

    def add(self, report, column, seeds, given, runs):
        """Add a column: the tries of every method, and its errors at the best rate."""
        job, options = NETWORKS[column]
        fixed = {"quick": given.quick, **options}
        of = lambda rival, **more: importlib.import_module(job).JOB.options(
            {**fixed, **rival.options, **more})
        epochs = options.get("epochs", given.epochs)
        asked = {(row, f"{lr:g}", TRY_SEED): of(
                    rival, epochs=TRY_EPOCHS, validation=True, seed=TRY_SEED, lr=lr)
                 for row, rival in RIVALS.items() for lr in RATES}
        found = finished_runs(replace(self, job=job, score="validation_error"), asked, runs,
                              given.jobs)
        best = {}
        for row in RIVALS:
            errors = {asked[key]["lr"]: result["validation_error"]
                      for key, result in found.items() if key[0] == row}
            best[row] = min(errors, key=errors.get)
            report["tries"].append({"row": row, "column": column, "best": best[row], "errors": {
                f"{lr:g}": round(error, 2) for lr, error in errors.items()}})
        wanted = {(row, column, seed): of(rival, epochs=epochs, seed=seed, lr=best[row])
                  for seed in seeds for row, rival in RIVALS.items()}
        results = finished_runs(replace(self, job=job), wanted, runs, given.jobs)
        notes = next(iter(results.values()))["notes"]
        report["differences"] += [note for note in notes if note not in report["differences"]]
        for row in RIVALS:
            errors = [results[row, column, seed]["test_error"] for seed in seeds]
            report["rows"].append({"row": row, "column": column, "paper": None, **summary(errors)})
        report["seconds"] += round(sum(result["seconds"] for results in (found, results)
                                       for result in results.values()), 1)

    def markdown(self, report):
        """Return the table as Markdown: errors, costs, then the tries."""
        columns = list(dict.fromkeys(cell["column"] for cell in report["rows"]))
        cells = {(cell["row"], cell["column"]): cell for cell in report["rows"]}
        head = ["method", *columns, "time", "kept", "sent up", "sent down", "locks removed",
                "source"]
        lines = [[row, *(ours(cells[row, column]) for column in columns), f"{cost['time']:.2f}",
                  f"{cost['kept']:,}", *list(cost.values())[2:]]
                 for row, cost in report["costs"].items()]
        tries = [[one["row"], one["column"],
                  ", ".join(f"{lr}: {error:.2f}" for lr, error in one["errors"].items()),
                  f"{one['best']:g}"] for one in report["tries"]]
        settings = ", ".join(f"{name} {value}" for name, value in report["settings"].items())
        *reading, seconds = self.ending(report)
        return "\n".join([
            f"# {self.title}", "", f"{self.unit}: {self.over(report)}.", "", markdown(head, lines),
            "", f"Settings: {settings}.", "", "How to read it:", "", *reading, "The tries: "
            "validation error [%] by the learning rate of the blocks, and the rate that was taken.",
            "", markdown(["method", "network", "errors", "taken"], tries), "", seconds])

    def draw(self, report, results, path):
        """Write locks, costs and errors as one picture."""
        save(field_picture(report), path)


def costs():
    """Return {row: time over backpropagation, 1,000 numbers kept, and what a Rival says}."""
    job, options = NETWORKS[COSTS]
    job, steps, networks = importlib.import_module(job).JOB, {}, {}
    for row, rival in RIVALS.items():
        training = job.run(job.options({**options, **rival.options, "quick": True})).training
        first = np.arange(training.batch_size)
        batch = [None if array is None else array[first]
                 for array in (training.x, training.y, training.context)]
        networks[row] = training.network
        steps[row] = lambda i, step=training.network.step, batch=batch: step(*batch)
    times = interleave(steps, ROUNDS, STEPS)["wall"]
    ratio = {row: statistics.median(times[row] / times["backprop"]) for row in times}
    return {row: {"time": round(ratio[row], 2), "kept": round(kept(networks[row]) / 1000),
                  "sent up": rival.sent_up, "sent down": rival.sent_down,
                  "removes": rival.removes, "source": rival.source}
            for row, rival in RIVALS.items()}


def kept(network):
    """Count the numbers that a network keeps between steps, blocks and their optimizers apart."""
    arrays = [array for path, array in network.arrays() if ".block" not in path]
    fixed = getattr(network.algorithm, "B", [])
    return sum(array.size for array in [*arrays, *fixed] if isinstance(array, np.ndarray))


def cells(epochs):
    """Return the cells of MNIST at the rates of the recipes."""
    return [Cell(row, column, {"epochs": epochs, **options, **rival.options})
            for column, (job, options) in NETWORKS.items() if job == MNIST
            for row, rival in RIVALS.items()]


DELAYS = {f"{n} step{'s' * (n > 1)} a module": {"late": n} for n in (1, 4, 16, 64, 256)}
LATE: dict[str, dict] = {
    "late gradients": {"method": "late-gradients"},
    "late gradients, rate / 10": {"method": "late-gradients", "lr": 2e-4},
    "guess from h alone": {"method": "dni"},
    "guess from h and label": {"method": "cdni"},
    "virtual network": {"method": "vfbn"},
}
DELAY = mnist(
    "delay", "a guess now beside a truth late: how long may a gradient be on its way?",
    "six fully connected layers: gradients that come late", grid(DELAYS, LATE, layers=6), 3,
    "A gradient needs so many steps from module to module; the bottom one of six waits five times "
    "as long. An epoch has 937 steps.",
    "late gradients: blocks update on the true gradient when it comes. The others update at once "
    "on a guess, and only their synthesizers learn from the true gradient when it comes.",
    "Rates are those of the recipes, which were chosen without delay, and a tenth of it in the "
    "second column: a small rate bears a long delay better.")
FIELD = Field("field", "the field since: every rival method on the same networks",
              "Rivals of synthetic gradients, on the same networks", MNIST, "test_error",
              "Test error [%]", cells, 5, DIFFERENCES)
TABLES = (FIELD, DELAY)
