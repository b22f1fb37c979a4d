"""The benchmarks: our side of every workload runs, and the ratios are what the clocks say. PyTorch is not needed."""

import argparse
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import bench        # noqa: E402
import workloads    # noqa: E402

WORKLOADS = {make().row: make for makes in workloads.WORKLOADS.values() for make in makes}


@pytest.mark.parametrize("row", WORKLOADS)
def test_our_step_learns_the_first_batch(row):
    workload = WORKLOADS[row]()
    n = len(workload.batches)
    step = workloads.step(workload)
    losses = [step(i * n) for i in range(40)]           # the same batch again and again
    assert all(loss.dtype == np.float32 for loss in losses)
    assert losses[-1] < 0.99 * losses[0]


def test_twins_start_from_the_same_weights():
    for hidden in (3, 6):
        with_interfaces, without = workloads.w2(hidden), workloads.w1(hidden)
        assert workloads.step(with_interfaces)(0) == workloads.step(without)(0)


@pytest.mark.parametrize("method", ["backprop", "dni"])
def test_the_literal_form_computes_the_same(method):
    losses = bench.losses_after_warm_up(replace(workloads.w4(method, np.float64), peers=("literal",)))
    np.testing.assert_allclose(losses["literal"], losses["tinydni"], rtol=1e-12)


def test_floor_multiplies_what_a_step_multiplies():
    def multiply_adds(workload):
        return sum(a.shape[0] * a.shape[1] * b.shape[1] for a, b in workloads.products(workload))

    lowest, hidden, top = 784 * 256, 256 * 256, 256 * 10
    assert multiply_adds(workloads.w1(3)) == 256 * (2 * lowest + 2 * 3 * hidden + 3 * top)
    synthesizer = 2 * (hidden + 10 * 256)
    assert multiply_adds(workloads.w2(3)) == 256 * (2 * lowest + 2 * 3 * hidden + 3 * top + 3 * synthesizer)
    workloads.floor(workloads.w2(3))(0)


class FakeClocks:
    """Clocks that move only when a contender makes a step."""

    def __init__(self):
        self.cpu = self.wall = 0.0

    def __call__(self):
        return {"cpu": self.cpu, "wall": self.wall}

    def contender(self, costs):
        """A step that takes the next of `costs` in CPU time, and one second more in wall time."""
        costs = itertools.cycle(costs)

        def step(i):
            cost = next(costs)
            self.cpu += cost
            self.wall += cost + 1

        return step


def test_times_of_fake_clocks():
    clocks = FakeClocks()
    order = []
    steps = {"a": clocks.contender([1]), "b": clocks.contender([3])}
    watched = {name: lambda i, name=name: (order.append((name, i)), steps[name](i)) for name in steps}
    seconds = bench.interleave(watched, blocks=3, n=2, clocks=clocks)
    np.testing.assert_array_equal(seconds["cpu"]["a"], [2, 2, 2])
    np.testing.assert_array_equal(seconds["cpu"]["b"], [6, 6, 6])
    np.testing.assert_array_equal(seconds["wall"]["b"], [8, 8, 8])
    assert order == [(name, i) for name in "abbaab" for i in range(2)]      # in turns, another first in each round


def test_ratios_are_taken_block_by_block():
    """A neighbour who slows everybody in one round does not show in the ratio, and one bad block not in its median."""
    clocks = FakeClocks()
    slow, spoiled = 50, 900
    steps = {"tinydni": clocks.contender([2, 2 * slow, 2, 2, spoiled]),
             "peer": clocks.contender([4, 4 * slow, 4, 4, 4]),
             "floor": clocks.contender([1, slow, 1, 1, 1])}
    seconds = bench.interleave(steps, blocks=5, n=1, clocks=clocks)
    workload = replace(workloads.w1(3), steps=1)
    row = bench.row_against("peer", workload, seconds, {"tinydni": 0.5, "peer": 0.5}, threads=1)
    assert (row["ratio"], row["q1"], row["q3"], row["floor_ratio"]) == (0.5, 0.5, 0.5, 0.25)
    assert (row["our_us"], row["peer_us"], row["floor_us"]) == (2e6, 4e6, 1e6)
    assert (row["row"], row["peer"], row["threads"], row["clock"]) == ("W1 3 hidden", "peer", 1, "cpu")
    assert row["wall_ratio"] == round(3 / 5, 6)
    two = bench.row_against("peer", workload, seconds, {"tinydni": 0.5, "peer": 0.5}, threads=2)
    assert (two["clock"], two["ratio"]) == ("wall", 0.6)        # CPU time would count both threads


def test_quartiles():
    assert bench.quartiles([5, 1, 4, 2, 3]) == (2, 3, 4)


@pytest.mark.parametrize("other", [0.502, -0.5, float("nan"), float("inf")])
def test_other_losses_are_an_error(other):
    bench.check_agreement({"tinydni": 0.5, "peer": 0.5004})
    with pytest.raises(RuntimeError, match="the loss of peer"):
        bench.check_agreement({"tinydni": 0.5, "peer": other})


def test_rows_of_a_short_run():
    def short(dtype):
        return replace(workloads.w4("dni", dtype), steps=5, peers=("literal", "tinydni-backprop"))

    rows = json.loads(json.dumps(bench.compare(short, blocks=3, threads=1)))
    assert [(row["row"], row["peer"]) for row in rows] == [("W4 dni", "literal"), ("W4 dni", "tinydni-backprop")]
    for row in rows:
        assert 0 < row["q1"] <= row["ratio"] <= row["q3"] and row["floor_ratio"] > 0
        assert row["peer"] in bench.line(row)
    assert rows[0]["our_loss"] == pytest.approx(rows[0]["peer_loss"], rel=1e-5)
    assert rows[1]["peer_loss"] is None                 # other mathematics: nothing to compare


def test_unknown_names_and_bad_numbers_are_refused(capsys):
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    assert parser.parse_args([]).workloads == []
    assert parser.parse_args(["W4", "W1", "--blocks", "2"]).workloads == ["W4", "W1"]
    for arguments, complaint in ((["W9"], "no workload 'W9'"), (["--blocks", "0"], "at least 1"),
                                 (["--threads", "x"], "at least 1")):
        with pytest.raises(SystemExit):
            parser.parse_args(arguments)
        assert complaint in capsys.readouterr().err
