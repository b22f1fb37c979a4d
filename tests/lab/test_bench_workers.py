"""The benchmark of two workers, its costs, the race, the simulator's tables: small and short."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import parallel_cases as cases
import pytest
from conftest import MPIEXEC_PATH, why_no_mpi

import tinydni as td
from tinydni.lab.benchmarks import bench_workers, simulate
from tinydni.lab.benchmarks.two_workers import CONTENDERS, TwoWorkers
from tinydni.lab.cli import main
from tinydni.lab.jobs.ranges import OptionError
from tinydni.lab.workers import ParallelTraining, Plan, measuring, simulator
from tinydni.lab.workers import costs as costs_of_a_step
from tinydni.lab.workers.costs import Costs
from tinydni.lab.workers.transports.threads import Endpoint, Threads
from tinydni.layer import Layer
from tinydni.plots.timeline import WHAT

mpi = pytest.mark.skipif(why_no_mpi() is not None, reason=str(why_no_mpi()))


# The costs that the simulator starts from.

class Clock:
    """A clock for every thread, which moves only when a layer says so."""

    def __init__(self):
        self.of_thread = threading.local()

    def perf_counter(self):
        return getattr(self.of_thread, "now", 0.0)

    def pass_by(self, seconds):
        self.of_thread.now = self.perf_counter() + seconds


CLOCK = Clock()


class Slow(Layer):
    """Passes everything on, and takes its time on the clock above."""

    def __init__(self, forward, backward):
        self.seconds = forward, backward

    def forward(self, x):
        CLOCK.pass_by(self.seconds[0])
        return x

    def backward(self, dy):
        CLOCK.pass_by(self.seconds[1])
        return dy


def two_modules(*slow):
    """The network of the other tests in two modules, each with a slow layer."""
    data = cases.dataset()
    blocks = td.mlp([data.n_in] + [12] * 3 + [data.n_out], td.random.stream(0, "weights"))
    halves = [td.Sequential(*blocks[:2], slow[0]), td.Sequential(*blocks[2:], slow[1])]
    return td.build(halves, td.BinaryCrossEntropy(), lambda: td.Adam(0.01),
                    lambda n: td.LinearSynthesizer(n, data.n_out), lambda: td.Adam(0.003))


class Timed(Endpoint):
    """A thread's place that says what taking a message takes, as that of a process does."""

    def take(self):
        return self.receive(), 1e-6


def in_both(function):
    """Calls function(endpoint) in two threads with a way between; returns what worker 0 found."""
    transport = Threads(2)
    other = threading.Thread(target=function, args=(Timed(transport, 1),), daemon=True)
    other.start()
    found = function(Timed(transport, 0))
    other.join(60)
    assert not other.is_alive()
    return found


@pytest.mark.parametrize("together", [False, True])
def test_costs_of_two_stages_and_their_messages(together, monkeypatch):
    monkeypatch.setattr(measuring, "PINGS", 5)
    for module in (measuring, costs_of_a_step):
        monkeypatch.setattr(module, "time", CLOCK)
    data, network = cases.dataset(), two_modules(Slow(4, 2), Slow(1, 8))
    before = network.state()

    def batch_of(index):
        CLOCK.pass_by(0.5)  # reading is a part of the bottom's forward pass
        return data.x[index], data.y[index], data.y[index]

    def measure(endpoint):
        return measuring.Stages(endpoint, network.modules, batch_of, [np.arange(16)]).measure(
            5, together
        )

    costs, link = in_both(measure)
    assert (costs.forward.tolist(), costs.backward.tolist()) == ([4.5, 1], [2, 8])
    assert not np.concatenate([costs.update, costs.guess, costs.learn]).any()
    assert costs.h.tolist() == [16 * 12 * 4, 16 * data.n_out * 4]
    assert (link.latency, link.bandwidth) == (0, np.inf) and link.per_message == pytest.approx(
        0.5e-6
    )
    assert 1 / simulator.throughput("locked", costs, link) == pytest.approx(15.5, abs=1e-5)
    assert 1 / simulator.throughput("decoupled", costs, link) == pytest.approx(9, abs=1e-5)
    assert all(np.array_equal(array, network.state()[name]) for name, array in before.items())


def places(records, what):
    """When a worker was at something: {batch: (start, end)}."""
    mine = np.asarray(records)
    mine = mine[mine[:, 0] == WHAT.index(what)]
    return {step: (mine[mine[:, 1] == step, 2].min(), mine[mine[:, 1] == step, 3].max())
            for step in np.unique(mine[:, 1]).astype(int)}


def recorded(mode, n, late=""):
    """What two workers did when, in n batches."""
    data, network = cases.dataset(), two_modules(Slow(0, 0), Slow(0, 0))
    if late:
        for module in network.modules:
            module.synthesizer = module.synthesizer_optimizer = None
    training = ParallelTraining(
        network,
        data,
        1,
        16,
        0,
        error=td.percent_bits_wrong,
        context=data.context(),
        transport=Threads(2),
        make_plan=lambda made: Plan(
            mode, [1, 2], made.schedule, made.batch_of, 16, late=late, recorded=(0, n)
        ),
    )
    training.run()
    return training.records


def simulated(mode):
    ones = np.ones(2)
    costs = Costs(ones, 2 * ones, ones, ones * (1, 0), ones * (1, 0), 100 * ones, ones)
    stages = simulator.MODES[mode](costs, simulator.Link(latency=0.5), 10)
    return {k: stage.records for k, stage in enumerate(stages)}


@pytest.mark.parametrize("records", [lambda: recorded("locked", 10), lambda: simulated("locked")])
def test_locked_workers_and_simulated_ones_work_in_the_same_order(records):
    below, above = (found for _, found in sorted(records().items()))
    order = [
        places(below, "forward"),
        places(above, "forward"),
        places(above, "backward"),
        places(below, "backward"),
    ]
    for step in range(9):
        marks = [mark for place in order for mark in place[step]] + [order[0][step + 1][0]]
        assert marks == sorted(marks)


@pytest.mark.parametrize("records", [lambda: recorded("free", 10), lambda: simulated("decoupled")])
def test_decoupled_workers_and_simulated_ones_wait_for_the_same(records):
    below, above = (found for _, found in sorted(records().items()))
    up, passed, receipt = (
        places(below, "forward"),
        places(above, "forward"),
        places(above, "update"),
    )
    for step in range(9):
        assert up[step][1] <= passed[step][0]                   # the input has come
    for step in range(9 - Plan.room):
        assert receipt[step][1] <= up[step + Plan.room][0]      # there is room above


@pytest.mark.parametrize("records", [lambda: recorded("free", 10, "gradients"),
                                     lambda: simulated("late")])
def test_late_workers_and_simulated_ones_wait_for_the_same(records):
    below, above = (np.asarray(found) for _, found in sorted(records().items()))
    passed, update = places(above, "forward"), places(above, "update")
    again = np.sort(below[below[:, 0] == WHAT.index("backward"), 2:], axis=0)   # one for each batch
    n_forward = (below[:, 0] == WHAT.index("forward")).sum()
    assert n_forward == len(places(below, "forward")) + len(again)      # once more for a gradient
    first = {step: below[(below[:, 0] == WHAT.index("forward")) & (below[:, 1] == step), 2:].min(0)
             for step in range(10)}
    for step in range(9):
        assert first[step][1] <= passed[step][0]                # the input has come
    for step in range(9 - Plan.room):
        assert update[step][0] <= again[step][0]                # the gradient has come
        assert again[step][1] <= first[step + Plan.room][0]     # x of one more batch can be kept


# The benchmark, with the smallest of networks.

def check(report, names, rounds):
    """What every report must hold."""
    assert list(report["seconds"]) == names
    assert list(report["simulated"]) == [name for name in names if CONTENDERS[name][3]]
    for found in (*report["seconds"].values(), *report["simulated"].values()):
        assert len(found) == rounds and min(found) > 0
    text = "\n\n".join(bench_workers.tables({"workloads": [report]}))
    assert text.startswith("| width, batch | ") and "| 16, 8 | " in text
    assert text.count(" % |") == len(report["simulated"])


def test_threads_alone():
    workload = TwoWorkers(16, 8, None, seconds=0.01)
    for _ in range(2):
        workload.round()
    assert "one core" in workload.summary()
    check(
        workload.report(),
        [name for name, (_, transport, *_) in CONTENDERS.items() if transport != "mpi"],
        rounds=2,
    )


BOTH = """
import json
from tinydni.lab.benchmarks.two_workers import TwoWorkers
from tinydni.lab.workers import measuring
from tinydni.lab.workers.transports.mpi import world
measuring.PINGS = 5
workload = TwoWorkers(16, 8, world(), seconds=0.01, two_blas_threads=False)
workload.round()
if workload.first:
    print(json.dumps(workload.report()))
"""


@mpi
def test_threads_and_processes():
    command = [shutil.which("mpiexec", path=MPIEXEC_PATH), "-n", "2", sys.executable, "-c", BOTH]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads(run.stdout)
    check(
        report,
        [name for name, (_, _, n_threads, _) in CONTENDERS.items() if n_threads == 1],
        rounds=1,
    )
    assert len(report["contention"]) == 1 and min(report["contention"]) > 0


def test_a_difference_is_that_of_the_rounds():
    assert bench_workers.compared([0.001, 0.002, 0.003], [0.001, 0.0016, 0.01]) == (
        "2.00 ms",
        "1.60 ms",
        "+0 %",
    )


def test_more_than_two_processes_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(bench_workers.parallel, "started", lambda: 3)
    assert main(["bench", "workers"]) == 2
    assert "3 processes; take mpiexec -n 2" in capsys.readouterr().err


# The race.

def test_who_misses_the_goal_runs_longer(monkeypatch):
    errors = {
        ("backprop", 1): 2.3,
        ("vfbn", 1): 2.6,
        ("vfbn", 2): 1.8,
        ("cdni", 1): 2.9,
        ("cdni", 2): 2.7,
        ("cdni", 3): 2.4,
    }

    def once(changed, n_threads, transport, epochs, seed):
        assert transport == "threads" and n_threads == 1
        return errors[changed["method"], epochs], epochs + seed

    monkeypatch.setattr(bench_workers, "once", once)
    found = bench_workers.race(None, busy=True)
    assert sorted((row["runner"].split(",")[0], row["epochs"]) for row in found) == sorted(errors)
    assert bench_workers.race_rows(found)[1] == [
        "vfbn, two workers",
        "1",
        "2.60 (2.60, 2.60, 2.60)",
        "2.0 (1.0, 2.0, 3.0)",
    ]


# The simulator's tables.

def parsed(benchmark, *words):
    """The options of a benchmark from the words of a command line."""
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    return parser.parse_args(words)


def test_tables_and_picture_of_the_simulator(tmp_path, capsys):
    words = [
        "--width",
        "8",
        "--batch-size",
        "8",
        "--depth",
        "2",
        "--workers",
        "2,3",
        "--latency",
        "5e-2",
        "--bandwidth",
        "1e6",
    ]
    assert main(["bench", "simulate", *words, "--figure", str(tmp_path / "a.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| 0.05 s, 1e+06 bytes/s | 2 workers | 3 workers |" and lines[4].startswith(
        "| locked | 0."
    )
    assert (tmp_path / "a.png").stat().st_size > 0
    speed = {line.split(" | ")[0][2:]: float(line.split(" | ")[1]) for line in lines[4:11]}
    assert (
        speed["decoupled, room for 64 batches"] > speed["decoupled"] > speed["locked"]
    )  # the link is slow


@pytest.mark.parametrize("words", [["--latency", "1"], ["--bandwidth", "1e6"]])
def test_half_a_link_is_refused(words):
    with pytest.raises(OptionError, match="a link has a latency"):
        simulate.main(parsed(simulate, *words))


@pytest.mark.parametrize("benchmark, words, complaint", [
    (simulate, ["--latency", "nan"], "--latency: must be at least 0 and finite; got 'nan'"),
    (simulate, ["--latency", "-1"], "--latency: must be at least 0"),
    (simulate, ["--bandwidth", "0"], "--bandwidth: must be above 0; got 0"),
    (simulate, ["--bandwidth", "nan"], "--bandwidth: must be above 0"),
    (simulate, ["--workers", "1,2"], "--workers: must be at least 2; got 1"),
    (simulate, ["--workers", "a"], "--workers: must be a whole number; got 'a'"),
    (bench_workers, ["--seconds", "nan"], "--seconds: must be above 0 and finite"),
])
def test_numbers_are_checked(benchmark, words, complaint, capsys):
    with pytest.raises(SystemExit):
        parsed(benchmark, *words)
    assert complaint in capsys.readouterr().err
