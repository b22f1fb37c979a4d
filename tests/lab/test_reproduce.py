"""`tinydni reproduce`: the tables as a whole, and the command that makes them all."""

import argparse
import subprocess
import sys

import pytest

from tinydni.lab import cli
from tinydni.lab.tables import everything
from tinydni.lab.tables.table import Cell, Table


def test_every_table_takes_the_options_for_all(tmp_path):
    given = argparse.Namespace(out=str(tmp_path), seeds=2, quick=True)
    for table in everything.TABLES:
        made = everything.arguments_of(table, given)
        assert (made.seeds, made.quick) == (2, True) and made.out.startswith(str(tmp_path))
    names = [table.name for table in everything.TABLES]
    assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize("table", everything.TABLES, ids=lambda table: table.name)
def test_every_cell_of_every_table_is_a_run_that_fits_together(table):
    cells = table.cells(2)
    assert len({(cell.row, cell.column) for cell in cells}) == len(cells)
    for cell in cells:
        assert table.options(cell, seed=0, quick=True)["seed"] == 0


def test_all_makes_every_table_and_stops_at_the_first_that_fails(monkeypatch, capsys):
    made = []

    class Fake:
        meaning = "a table"

        def __init__(self, name, code=0):
            self.name, self.code = name, code

        def add_arguments(self, parser):
            parser.add_argument("--out")
            parser.add_argument("--quick", action="store_true")

        def main(self, given):
            made.append((self.name, given.quick))
            return self.code

    monkeypatch.setattr(everything, "TABLES", (Fake("one"), Fake("two", 3), Fake("three")))
    assert cli.main(["reproduce", "all", "--quick"]) == 3
    assert made == [("one", True), ("two", True)]
    assert "[2 of 3] two: a table" in capsys.readouterr().out


def test_the_first_seed_is_where_the_runs_begin(monkeypatch, tmp_path):
    asked = []

    def finished(table, runs, folder, jobs):
        asked.extend(seed for _, _, seed in runs)
        return {key: {"test_error": float(key[2]), "options": {}, "method": "dni", "seed": key[2],
                      "seconds": 1.0, "notes": []}
                for key in runs}

    monkeypatch.setattr("tinydni.lab.tables.table.finished_runs", finished)
    table = Table("small", "m", "t", "tinydni.lab.jobs.mnist", "test_error", "%",
                  lambda epochs: [Cell("a", "dni", {"method": "dni", "epochs": epochs}),
                                  Cell("a", "twice", {"method": "dni"},
                                       score=lambda result: 2 * result["test_error"])], 1)
    parser = argparse.ArgumentParser()
    table.add_arguments(parser)
    assert table.main(parser.parse_args(["--seeds", "3", "--first-seed", "4", "--out",
                                         str(tmp_path)])) == 0
    assert asked == [4, 4, 5, 5, 6, 6]
    text = (tmp_path / "small.md").read_text()
    assert "5.00 ± 1.00" in text and "10.00 ± 2.00" in text and "seeds 4, 5, 6" in text


JOB = """
import time
from types import SimpleNamespace
from tqdm import tqdm
from tinydni.lab.tables.table import run_all

class JOB:
    def run(seconds):
        def train(quiet):
            list(tqdm([1], disable=quiet))
            time.sleep(seconds)
            return SimpleNamespace(finished=True, result=lambda: seconds)
        return SimpleNamespace(train=train)

if __name__ == "__main__":
    # leaves while a process is at work
    print(next(run_all([("job", "slow", 60), ("job", "fast", 0)], jobs=2)))
"""


def test_processes_that_are_ended_leave_no_semaphore_behind(tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    done = subprocess.run([sys.executable, "job.py"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=50)
    assert (done.stdout, done.stderr) == ("('fast', 0)\n", "")


def test_a_table_of_cells_with_different_seeds_says_so():
    table = next(table for table in everything.TABLES if table.name == "late")
    cell = {"row": "a", "paper": None, "mean": 1.0, "std": None}
    report = {"settings": {}, "differences": [], "seconds": 0.0}
    for seeds, said in (((1, 1), "Ours: one seed."), ((3, 3), "over 3 seeds."),
                        ((3, 1), "over 1 to 3 seeds.")):
        rows = [{**cell, "column": str(i), "seeds": n} for i, n in enumerate(seeds)]
        assert said in table.markdown({**report, "rows": rows})


def test_a_run_that_gives_two_figures_counts_once(monkeypatch, tmp_path, capsys):
    from tinydni.lab.tables import table as tables
    given = {"method": "dni", "seed": 0, "backend": "numpy", "layers": 3}
    runs = {("row", "one", 0): given, ("row", "two", 0): given,
            ("row", "three", 0): {**given, "layers": 4}}
    begun = []

    def run_all(tasks, jobs):
        begun.extend(tasks)
        for _, key, options in tasks:
            own = ("method", "seed", "backend")
            yield key, {"test_error": 1.0, **{name: options[name] for name in own},
                        "options": {"layers": options["layers"]}}

    monkeypatch.setattr(tables, "run_all", run_all)
    table = everything.TABLES[0]
    first = tables.finished_runs(table, runs, tmp_path, 1)
    assert len(begun) == 2 and len(first) == 3
    assert "2/2" in capsys.readouterr().err
    assert tables.finished_runs(table, runs, tmp_path, 1) == first and len(begun) == 2
    assert "2 of 2 runs were finished before" in capsys.readouterr().out
