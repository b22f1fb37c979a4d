"""Tables of the papers beside ours: many runs, kept one by one, then one table as text, JSON and picture."""

import hashlib
import importlib
import json
import multiprocessing
import os
import signal
import statistics
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tinydni.lab.jobs.arguments import whole
from tinydni.lab.files import write_json, write_text


@dataclass
class Cell:
    """One figure of a table: which run makes it, and what the paper found.

    row, column: where it stands    options: of the job, without the seed    paper: the paper's figure, or None
    score: which result of the run, if not the table's: its name, or a function of the result
    """

    row: str
    column: str
    options: dict
    paper: float | None = None
    score: object = None


@dataclass
class Table:
    """A table to reproduce.

    name, meaning: for the command line    title: above the table    score: which result of a run it shows, and its unit
    job: module of the job, such as "tinydni.lab.jobs.mnist"
    cells: function (epochs) -> list of Cell    epochs: how long, if the user does not say
    length: what that counts, "epochs" or "updates"
    differences: sentences on what differs from the paper
    """

    name: str
    meaning: str
    title: str
    job: str
    score: str
    unit: str
    cells: callable
    epochs: int
    differences: list = field(default_factory=list)
    length: str = "epochs"

    def add_arguments(self, parser):
        """Adds the options of a table to an argparse parser."""
        parser.add_argument(f"--{self.length}", type=whole(1), default=self.epochs, help=f"of every run (default {self.epochs})")
        parser.add_argument("--seeds", type=whole(1), default=3, help="runs per figure (default 3)")
        parser.add_argument("--first-seed", type=whole(0), default=0, metavar="S", help="they have the seeds S, S + 1, ... (default 0)")
        parser.add_argument("--jobs", type=whole(1), default=min(4, os.cpu_count() or 1), metavar="J",
                            help="runs at the same time, one thread each (default: the number of cores, at most 4)")
        parser.add_argument("--out", default="results", metavar="FOLDER",
                            help="where the table goes; finished runs are kept in its folder runs, for all tables (default results)")
        parser.add_argument("--quick", action="store_true", help="one seed and short runs, to see that it works")

    def main(self, given):
        """Makes the table for the command line. Returns the exit code."""
        epochs, n_seeds = (1, 1) if given.quick else (getattr(given, self.length), given.seeds)
        seeds = range(given.first_seed, given.first_seed + n_seeds)
        out = Path(given.out)
        name = self.name + "-quick" * given.quick
        cells = self.cells(epochs)
        runs = {(cell.row, cell.column, seed): self.options(cell, seed, given.quick)
                for seed in seeds for cell in cells}
        results = finished_runs(self, runs, out / "runs", given.jobs)
        report = self.report(cells, seeds, results)
        self.write(report, out / name)
        print(self.markdown(report))
        print(f"\nWrote {out / name}.md, .png and .json.")
        return 0

    def options(self, cell, seed, quick):
        """The full options of one run."""
        return importlib.import_module(self.job).JOB.options({**cell.options, "seed": seed, "quick": quick})

    def report(self, cells, seeds, results):
        """The table as JSON: mean and spread of each cell beside the paper's figure."""
        rows = []
        for cell in cells:
            score = cell.score or self.score
            found = [results[cell.row, cell.column, seed] for seed in seeds]
            values = [score(result) if callable(score) else result[score] for result in found]
            rows.append({"row": cell.row, "column": cell.column, "mean": round(statistics.mean(values), 4),
                         "std": round(statistics.stdev(values), 4) if len(values) > 1 else None,
                         "seeds": len(values), "paper": cell.paper})
        first = next(iter(results.values()))
        different = {(digest(result["options"]), result["method"], result["seed"]): result["seconds"]
                     for result in results.values()}        # one run may give several figures
        return {"table": self.name, "rows": rows, "settings": {**shared(results), "score": self.score, "seeds": ", ".join(map(str, seeds))},
                "differences": [*self.differences, *first["notes"]],
                "seconds": round(sum(different.values()), 1)}

    def markdown(self, report):
        """The table as Markdown, with settings and differences."""
        from tinydni.plots import markdown_table
        has_paper = any(row["paper"] is not None for row in report["rows"])
        settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in report["settings"].items())
        n_seeds = report["rows"][0]["seeds"]
        ours = "one seed" if n_seeds == 1 else f"mean ± standard deviation over {n_seeds} seeds"
        return "\n".join([f"# {self.title}", "", f"{self.unit}. Ours: {ours}"
                          + "; the paper's figure in brackets" * has_paper + ".", "",
                          markdown_table(report["rows"]), "", f"Settings: {settings}.", "",
                          "What differs from the paper:", "", *[f"- {text}" for text in report["differences"]], "",
                          f"{report['seconds']:.0f} seconds of training in all."])

    def write(self, report, path):
        """Writes path.json, path.md and path.png."""
        from tinydni.plots import results_table, save
        write_json(f"{path}.json", report)
        write_text(f"{path}.md", self.markdown(report) + "\n")
        save(results_table(report["rows"], title=self.title, unit=self.unit), f"{path}.png")


def shared(results):
    """The options that all runs of a table have in common."""
    every = [result["options"] for result in results.values()]
    return {name: value for name, value in every[0].items()
            if value not in (None, False) and all(options.get(name) == value for options in every)}


def finished_runs(table, runs, folder, jobs):
    """Returns {key: result} for all runs; those found in `folder` are not run again, and each new one is kept there.

    runs: {(row, column, seed): options}    jobs: number of runs at the same time
    """
    from tqdm import tqdm
    folder.mkdir(parents=True, exist_ok=True)
    paths = {key: folder / f"{table.job.rpartition('.')[2]}-{digest(options)}.json" for key, options in runs.items()}
    results = {key: kept(paths[key], runs[key]) for key in runs}
    missing = [key for key in runs if results[key] is None]
    if len(missing) < len(runs):
        print(f"{len(runs) - len(missing)} of {len(runs)} runs were finished before; they are read from {folder}.")
    with tqdm(total=len(runs), initial=len(runs) - len(missing), unit="run") as bar:
        once = {paths[key]: key for key in missing}         # figures that come from the same run
        for key, result in run_all([(table.job, key, runs[key]) for key in once.values()], min(jobs, len(once))):
            write_json(paths[key], result)
            same = [other for other in missing if paths[other] == paths[key]]
            results |= dict.fromkeys(same, result)
            bar.set_description(f"{key[1]}, {key[0]}, seed {key[2]}: {result[table.score]:.2f}")
            bar.update(len(same))
    return results


def digest(options):
    """A short name for a set of options."""
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]


def kept(path, options):
    """The result kept at `path` if it is of a run with these options, else None."""
    if not path.exists():
        return None
    result = json.loads(path.read_text())
    same = {**result["options"], "method": result["method"], "seed": result["seed"], "backend": result["backend"]}
    return result if same == json.loads(json.dumps(options)) else None


def run_all(tasks, jobs):
    """Yields (key, result) as runs finish, in this process or in `jobs` others with one BLAS thread each."""
    if jobs <= 1:
        yield from map(run_one, tasks)
        return
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")     # read by the new processes
    with multiprocessing.get_context("spawn").Pool(jobs, prepare_process) as pool:
        yield from pool.imap_unordered(run_one, tasks)


def prepare_process():
    """Leaves Ctrl-C to the process that started this one, and gives tqdm a lock of this process only.

    Its own is a semaphore of the system, which stays behind when the pool ends a process.
    """
    from tqdm import tqdm
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tqdm.set_lock(threading.RLock())


def run_one(task):
    """Runs one (job module, key, options). Returns (key, result)."""
    module, key, options = task
    run = importlib.import_module(module).JOB.run(options)
    if not run.train(quiet=True).training.finished:
        raise KeyboardInterrupt
    return key, run.result()
