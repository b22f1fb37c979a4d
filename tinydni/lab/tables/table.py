"""Tables of the papers beside ours: many runs, kept one by one, then text, JSON and a picture."""

import hashlib
import importlib
import json
import multiprocessing
import os
import signal
import statistics
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinydni.lab.files import write_json, write_text
from tinydni.lab.jobs.ranges import whole
from tinydni.lab.outputs import Outputs


@dataclass
class Cell:
    """One figure of a table: which run makes it, and what the paper found.

    Parameters
    ----------
    row, column : where it stands
    options : of the job, without the seed
    paper : the paper's figure, or None
    score : which result of the run, if not the table's: a name, or a function of the result
    together : what makes one figure of the scores of several seeds
    """

    row: str
    column: str
    options: dict
    paper: float | None = None
    score: str | Callable | None = None
    together: Callable = statistics.mean


@dataclass
class Table:
    """A table to reproduce.

    Parameters
    ----------
    name, meaning : for the command line;   title : above the table
    job : its module, such as "tinydni.lab.jobs.mnist"
    score, unit : which result of a run it shows
    cells : function (epochs) -> list of Cell
    epochs : how long, if the user does not say;   length : what that counts, epochs or updates
    differences : sentences on what differs from the paper
    quick : what `cells` gets for --quick
    """

    name: str
    meaning: str
    title: str
    job: str
    score: str
    unit: str
    cells: Callable[[int], list[Cell]]
    epochs: int
    differences: list = field(default_factory=list)
    length: str = "epochs"
    quick: int = 1

    def add_arguments(self, parser):
        """Add the options of a table to an argparse parser."""
        for name, least, most, default, text in (
                (self.length, 1, 10**9, self.epochs, "of every run"),
                ("seeds", 1, 1000, 3, "runs per figure"),
                ("first-seed", 0, 2**60, 0, "they have the seeds S, S + 1, ..."),
                ("jobs", 1, 1024, min(4, os.cpu_count() or 1), "runs at the same time, one thread "
                 "each; by default as many as there are cores, at most 4")):
            parser.add_argument(f"--{name}", type=whole(least, most), default=default,
                                help=f"{text} (default {default})", metavar=name[0].upper())
        parser.add_argument("--out", default="results", metavar="FOLDER", help="where the table "
                            "goes; finished runs are kept in its folder runs, for all tables "
                            "(default results)")
        parser.add_argument("--quick", action="store_true",
                            help="one seed and short runs, to see that it works")

    def main(self, given):
        """Make the table for the command line. Return the exit code."""
        epochs = self.quick if given.quick else getattr(given, self.length)
        n_seeds = 1 if given.quick else given.seeds
        seeds = range(given.first_seed, given.first_seed + n_seeds)
        folder, name = Path(given.out), self.name + "-quick" * given.quick
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        cells, path = self.cells(epochs), folder / name
        outputs = Outputs({"out": f"{path}.json", "figure": f"{path}.png"})
        runs = {(cell.row, cell.column, seed): self.options(cell, seed, given.quick)
                for seed in seeds for cell in cells}
        results = finished_runs(self, runs, folder / "runs", given.jobs)
        report = self.report(cells, seeds, results)
        write_json(f"{path}.json", report)
        write_text(f"{path}.md", self.markdown(report) + "\n")
        outputs.attempt(self.draw, report, results, f"{path}.png")
        print(f"{self.markdown(report)}\n\nWrote {path}.md, .png and .json.")
        return int(outputs.failed)

    def options(self, cell, seed, quick):
        """Return the full options of one run."""
        job = importlib.import_module(self.job).JOB
        return job.options({**cell.options, "seed": seed, "quick": quick})

    def report(self, cells, seeds, results):
        """Return the table as JSON: mean and spread of each cell beside the paper's figure."""
        rows, every = [], list(results.values())
        for cell in cells:
            score = cell.score or self.score
            found = [results[cell.row, cell.column, seed] for seed in seeds]
            values = [score(result) if callable(score) else result[score] for result in found]
            rows.append({"row": cell.row, "column": cell.column, "paper": cell.paper,
                         **summary(values, cell.together)})
        seconds = {(digest(result["options"]), result["method"], result["seed"]): result["seconds"]
                   for result in every}                     # one run may give several figures
        return {"table": self.name, "rows": rows,
                "settings": {**shared([result["options"] for result in every]),
                             "score": self.score, "seeds": ", ".join(map(str, seeds))},
                "differences": [*self.differences, *every[0]["notes"]],
                "seconds": round(sum(seconds.values()), 1)}

    def markdown(self, report):
        """Return the table as Markdown, with settings and differences."""
        from tinydni.plots import markdown_table
        rows = report["rows"]
        settings = ", ".join(f"{name.replace('_', ' ')} {value}"
                             for name, value in report["settings"].items())
        paper = "; the paper's figure in brackets" * any(row["paper"] is not None for row in rows)
        return "\n".join([
            f"# {self.title}", "", f"{self.unit}. Ours: {self.over(report)}{paper}.", "",
            markdown_table(rows), "", f"Settings: {settings}.", "",
            "What differs from the paper:", "", *self.ending(report)])

    def over(self, report):
        """Say what the figures are, and over how many seeds."""
        seeds = sorted({row["seeds"] for row in report["rows"]})
        return ("one seed" if seeds == [1] else "mean ± standard deviation over "
                f"{' to '.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} seeds")

    def ending(self, report):
        """Return the last lines: what differs from the paper, and how long it took."""
        return [*(f"- {text}" for text in report["differences"]), "",
                f"{report['seconds']:.0f} seconds of training in all."]

    def draw(self, report, results, path):
        """Write the table as a picture."""
        from tinydni.plots import results_table, save
        save(results_table(report["rows"], title=self.title, unit=self.unit), path)


def grid(rows: Mapping[str, dict], columns: Mapping[str, dict], paper: Mapping = {},
         length: str = "epochs", score: Any = None, **common: Any) -> Callable[[int], list[Cell]]:
    """Return the function (length of a run) -> cells of a full table.

    rows, columns : {label: options};   paper : {(row, column): figure};   common : more options
    """
    return lambda n: [
        Cell(row, column, {length: n, **common, **of_row, **of_column}, paper.get((row, column)),
             score)
        for row, of_row in rows.items() for column, of_column in columns.items()]


def summary(values, together=statistics.mean):
    """Return one figure of the scores of several seeds; None where one of them has no score."""
    whole, reached = None not in values, sum(value is not None for value in values)
    spread = whole and len(values) > 1 and together is statistics.mean
    return {"seeds": len(values), "mean": round(together(values), 4) if whole else None,
            "std": round(statistics.stdev(values), 4) if spread else None,
            "values": [value if value is None else round(value, 4) for value in values],
            **({} if whole else {"reached": reached})}


def shared(every):
    """Return the options that all runs of a table have in common."""
    return {name: value for name, value in every[0].items() if value is not None
            and value is not False and all(options.get(name) == value for options in every)}


def finished_runs(table, runs, folder, jobs):
    """Return {key: result} for all runs; those in `folder` are not run again, new ones are kept.

    runs : {(row, column, seed): options};   jobs : number of runs at the same time
    """
    from tqdm import tqdm
    kind = table.job.rpartition(".")[2]
    paths = {key: folder / f"{kind}-{digest(options)}.json" for key, options in runs.items()}
    results = {key: kept(paths[key], runs[key]) for key in runs}
    missing = [key for key in runs if results[key] is None]
    once = {paths[key]: key for key in missing}             # figures that come from the same run
    n_runs = len(set(paths.values()))
    n_there = n_runs - len(once)
    if n_there:
        print(f"{n_there} of {n_runs} runs were finished before; they are read from {folder}.")
    with tqdm(total=n_runs, initial=n_there, unit="run") as bar:
        tasks = [(table.job, key, runs[key]) for key in once.values()]
        for key, result in run_all(tasks, min(jobs, len(once))):
            write_json(paths[key], result)
            same = [other for other in missing if paths[other] == paths[key]]
            results |= dict.fromkeys(same, result)
            bar.set_description(f"{key[1]}, {key[0]}, seed {key[2]}: {result[table.score]:.2f}")
            bar.update()
    return results


def digest(options):
    """Return a short name for a set of options."""
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]


def kept(path, options):
    """Return the result kept at `path` if it is of a run with these options, else None."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        same = result["options"] | {name: result[name] for name in ("method", "seed", "backend")}
    except (FileNotFoundError, LookupError, TypeError, ValueError):     # none, or a broken one
        return None
    return result if same == json.loads(json.dumps(options)) else None


def run_all(tasks: list, jobs: int) -> Iterator[tuple]:
    """Yield (key, result) as runs finish, here or in `jobs` processes with a thread each."""
    if jobs <= 1:
        yield from map(run_one, tasks)
        return
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"          # read by the new processes
    with multiprocessing.get_context("spawn").Pool(jobs, prepare_process) as pool:
        yield from pool.imap_unordered(run_one, tasks)


def prepare_process():
    """Leave Ctrl-C to the process that started this one, and give tqdm a lock of its own.

    Its usual one is a semaphore of the system, which stays behind when the pool ends a process.
    """
    from tqdm import tqdm
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tqdm.set_lock(threading.RLock())


def run_one(task):
    """Run one (job module, key, options). Return (key, result)."""
    module, key, options = task
    run = importlib.import_module(module).JOB.run(options).train(quiet=True)
    if not run.finished:
        raise KeyboardInterrupt
    return key, run.result()
