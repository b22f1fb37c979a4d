"""The benchmark of two workers, the costs it measures, the race, and the tables of the simulator: small and short."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import parallel_cases as cases
import pytest
from conftest import MPIEXEC_PATH, why_no_mpi

import tinydni as td
from tinydni.lab.benchmarks import race, simulate, workers
from tinydni.lab.benchmarks.two_workers import CONTENDERS, Workload, apart
from tinydni.lab.cli import main
from tinydni.lab.jobs.arguments import OptionError
from tinydni.layer import Layer
from tinydni.lab.workers import ParallelTraining, Plan, measuring, simulator
from tinydni.lab.workers.transports.threads import Endpoint, Threads

mpi = pytest.mark.skipif(why_no_mpi() is not None, reason=str(why_no_mpi()))


# The costs that the simulator starts from.

class Slow(Layer):
    """Passes everything on, and takes its time."""

    def __init__(self, forward, backward):
        self.seconds = forward, backward

    def forward(self, x):
        time.sleep(self.seconds[0])
        return x

    def backward(self, dy):
        time.sleep(self.seconds[1])
        return dy


def two_modules(*slow):
    """The network of the other tests in two modules, each with a slow layer."""
    data = cases.dataset()
    blocks = td.mlp([data.n_in] + [12] * 3 + [data.n_out], td.random.stream(0, "weights"))
    halves = [td.Sequential(*blocks[:2], slow[0]), td.Sequential(*blocks[2:], slow[1])]
    return td.build(halves, td.BinaryCrossEntropy(), lambda: td.Adam(0.01),
                       lambda n: td.LinearSynthesizer(n, data.n_out), lambda: td.Adam(0.003))


class Timed(Endpoint):
    """A thread's place that says what taking a message takes, as that of a process does: nothing to speak of."""

    def take(self):
        return self.receive(), 1e-6


def in_both(function):
    """Calls function(endpoint) in two threads that can send each other messages. Returns what worker 0's returns."""
    transport = Threads(2)
    other = threading.Thread(target=function, args=(Timed(transport, 1),), daemon=True)
    other.start()
    found = function(Timed(transport, 0))
    other.join(10)
    assert not other.is_alive()
    return found


@pytest.mark.parametrize("together", [False, True])
def test_costs_of_two_stages_and_their_messages(together, monkeypatch):
    monkeypatch.setattr(measuring, "PINGS", 5)
    data, network = cases.dataset(), two_modules(Slow(0.004, 0.002), Slow(0.001, 0.008))
    before = network.state()

    def batch_of(index):
        return data.x[index], data.y[index], data.y[index]

    def measure(endpoint):
        return measuring.Stages(endpoint, network.modules, batch_of, [np.arange(16)]).measure(5, together)

    costs, link = in_both(measure)
    assert (costs.forward > (0.004, 0.001)).all() and (costs.backward > (0.002, 0.008)).all()
    assert (costs.update > 0).all()
    assert costs.guess[0] > 0 and costs.learn[0] > 0 and costs.synthesizer[1] == 0
    assert costs.h.tolist() == [16 * 12 * 4, 16 * data.n_out * 4]
    assert link.latency >= 0 and link.bandwidth > 0 and link.per_message > 0
    assert 1 / simulator.throughput("locked", costs, link) > 0.015
    assert 1 / simulator.throughput("decoupled", costs, link) > 0.009
    assert all(np.array_equal(array, network.state()[name]) for name, array in before.items())


@pytest.mark.parametrize("mode, simulated", [("locked", "locked"), ("free", "decoupled")])
def test_a_run_takes_as_long_as_the_simulator_says(mode, simulated, monkeypatch):
    monkeypatch.setattr(measuring, "PINGS", 5)
    data, network = cases.dataset(), two_modules(Slow(0.01, 0.005), Slow(0.005, 0.015))
    order = np.arange(len(data.x))[:16 * (len(data.x) // 16)].reshape(-1, 16)
    training = ParallelTraining(network, data, 1, 16, 0, context=data.context(), transport=Threads(2),
                                make_plan=lambda made: Plan(mode, [1, 2], made.schedule, made.batch_of, 16))

    def measure(endpoint):
        return measuring.Stages(endpoint, network.modules, training.batch_of, order).measure(10, mode == "free")

    differences = []
    for _ in range(3):                                          # what disturbs one of them is not there in all rounds
        costs = in_both(measure)
        differences.append(1 / simulator.throughput(simulated, *costs) / apart(training, order, 20) - 1)
    assert abs(np.median(differences)) < 0.15, differences


# The benchmark, with the smallest of networks.

def check(report, names, rounds):
    """What every report must hold."""
    assert list(report["seconds"]) == names
    assert list(report["simulated"]) == [name for name in names if CONTENDERS[name][3]]
    for found in (*report["seconds"].values(), *report["simulated"].values()):
        assert len(found) == rounds and min(found) > 0
    text = "\n\n".join(workers.tables({"workloads": [report]}))
    assert text.startswith("| width, batch | ") and "| 16, 8 | " in text
    assert text.count(" % |") == len(report["simulated"])


def test_threads_alone():
    workload = Workload(16, 8, None, seconds=0.01)
    for _ in range(2):
        workload.round()
    assert "one core" in workload.summary()
    check(workload.report(), [name for name, (_, transport, *_) in CONTENDERS.items() if transport != "mpi"], rounds=2)


BOTH = """
import json
from tinydni.lab.benchmarks.two_workers import Workload
from tinydni.lab.workers.transports.mpi import world
workload = Workload(16, 8, world(), seconds=0.01, two_blas_threads=False)
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
    check(report, [name for name, (_, _, n_threads, _) in CONTENDERS.items() if n_threads == 1], rounds=1)
    assert len(report["contention"]) == 1 and min(report["contention"]) > 0


def test_a_difference_is_that_of_the_rounds():
    assert workers.compared([0.001, 0.002, 0.003], [0.001, 0.0016, 0.01]) == ("2.00 ms", "1.60 ms", "+0 %")


def test_more_than_two_processes_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(workers.workers, "started", lambda: 3)
    assert main(["bench", "workers"]) == 2
    assert "3 processes; take mpiexec -n 2" in capsys.readouterr().err


# The race.

def test_who_misses_the_goal_runs_longer(monkeypatch):
    errors = {("backprop", 1): 2.3, ("vfbn", 1): 2.6, ("vfbn", 2): 1.8, ("cdni", 1): 2.9, ("cdni", 2): 2.7,
              ("cdni", 3): 2.4}

    def once(changed, n_threads, transport, epochs, seed):
        assert transport == "threads" and n_threads == 1
        return errors[changed["method"], epochs], epochs + seed

    monkeypatch.setattr(race, "once", once)
    found = race.run(None, busy=True)
    assert sorted((row["runner"].split(",")[0], row["epochs"]) for row in found) == sorted(errors)
    assert race.rows(found)[1] == ["vfbn, two workers", "1", "2.60 (2.60, 2.60, 2.60)", "2.0 (1.0, 2.0, 3.0)"]


# The simulator's tables.

def parsed(benchmark, *words):
    """The options of a benchmark from the words of a command line."""
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    return parser.parse_args(words)


def test_tables_and_picture_of_the_simulator(tmp_path, capsys):
    words = ["--width", "8", "--batch-size", "8", "--depth", "2", "--workers", "2,3", "--latency", "1e-3",
             "--bandwidth", "1e6"]
    assert main(["bench", "simulate", *words, "--figure", str(tmp_path / "a.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| 0.001 s, 1e+06 bytes/s | 2 workers | 3 workers |" and lines[4].startswith("| locked | 0.")
    assert (tmp_path / "a.png").stat().st_size > 0
    speed = {line.split(" | ")[0][2:]: float(line.split(" | ")[1]) for line in lines[4:10]}
    assert speed["decoupled, room for 64 batches"] > speed["decoupled"] > speed["locked"]      # the link is slow


@pytest.mark.parametrize("words", [["--latency", "1"], ["--bandwidth", "1e6"], ["--latency", "0", "--bandwidth", "0"]])
def test_half_a_link_is_refused(words):
    with pytest.raises(OptionError, match="a link has a latency"):
        simulate.main(parsed(simulate, *words))


def test_numbers_of_workers_are_checked(capsys):
    for words in ("1,2", "a", ""):
        with pytest.raises(SystemExit):
            parsed(simulate, "--workers", words)
        assert "must be whole numbers from 2" in capsys.readouterr().err
