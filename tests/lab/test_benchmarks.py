"""The benchmarks: every contender computes the same, and the ratios are what the clocks say.

Our side of every workload runs with and without PyTorch and JAX; the peers are checked where they
are installed.
"""

import argparse
import itertools
import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from tinydni.containers import Residual, Sequential
from tinydni.convolution import Conv2D
from tinydni.lab import cli, doctor
from tinydni.lab.benchmarks import (
    bench_command,
    our_steps,
    page,
    ratios,
    scaling_picture,
    workloads,
)
from tinydni.lab.benchmarks.workloads import WORKLOADS, Workload, products_of
from tinydni.linear import Linear

MAKERS = {
    make().row: make for name, makes in WORKLOADS.items() if name != "curves" for make in makes
}
SLOW = {"W3a small", "W3b ResNet-20", "W5 300 steps", "W5 1000 steps"}
ROWS = [pytest.param(row, marks=pytest.mark.slow if row in SLOW else []) for row in MAKERS]


@pytest.mark.parametrize("row", [row for row in MAKERS if row not in SLOW | {"W7 MMD"}])
def test_our_step_learns_the_first_batch(row):
    workload = MAKERS[row]()
    n, step = len(workload.batches), ratios.contender(workload, "tinydni")(workload)
    losses = [step(i * n) for i in range(20)]           # the same batch again and again
    assert all(loss.dtype == np.float32 for loss in losses)
    assert losses[-1] < 0.99 * losses[0]


@pytest.mark.parametrize("row", ROWS)
def test_everybody_who_is_installed_computes_the_same(row):
    workload = MAKERS[row](dtype=np.float64)
    losses = ratios.losses_after_warm_up(replace(workload, steps=min(3, workload.steps)))
    assert set(losses) == set(ratios.present(workload)) - set(ratios.OTHER_MATHEMATICS)
    for name, loss in losses.items():
        assert loss == pytest.approx(losses["tinydni"], rel=1e-6), name


def test_convolutions_in_pytorch_start_from_our_weights():
    """The peers of W3 on a net of the same layers, small enough for every run of the tests."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from tinydni.models import resnet
    from tinydni.random import stream

    small = replace(
        workloads.on_images(
            "small",
            resnet(8, stream(0, "weights"), (4, 8, 16), dtype=np.float64),
            np.float64,
            batch=4,
        ),
        steps=2,
    )
    losses = ratios.losses_after_warm_up(small)
    assert set(losses) - {"tinydni-plain"} == {"tinydni", "torch-eager", "torch-channels-last"}
    ratios.check_agreement(losses, tolerance=1e-6)


def test_twins_start_from_the_same_weights():
    for hidden in (3, 6):
        nets = [
            our_steps.step(make(hidden))(0) for make in (workloads.w1, workloads.w2, workloads.w8)
        ]
        assert nets[0] == nets[1] == nets[2]


def test_products_are_those_of_a_step():
    def multiply_adds(workload):
        return sum(map(math.prod, workload.products))

    lowest, hidden, top = 784 * 256, 256 * 256, 256 * 10
    assert multiply_adds(workloads.w1(3)) == 256 * (2 * lowest + 2 * 3 * hidden + 3 * top)
    synthesizer = 2 * (hidden + 10 * 256)
    assert multiply_adds(workloads.w2(3)) == 256 * (
        2 * lowest + 2 * 3 * hidden + 3 * top + 3 * synthesizer
    )
    our_steps.floor(workloads.w2(3))(0)


def test_products_of_layers_inside_others():
    rng = np.random.default_rng(0)
    blocks = [
        Sequential(Conv2D(3, 4, rng, stride=2), Residual(Conv2D(4, 4, rng, kernel=1))),
        Linear(4, 2, rng),
    ]
    pixels = 5 * 5      # of an image; two images, each row of a kernel by itself, or each element
    assert products_of(blocks, (2, 10, 10, 3))[:5] == [
        (2 * 3, pixels, 9, 4),
        (2 * 3, 9, pixels, 4),
        (2, pixels, 4, 4),
        (2, 4, pixels, 4),
        (2, pixels, 4, 4),
    ]
    strided = products_of([Conv2D(3, 4, rng), Conv2D(4, 6, rng, stride=2)], (2, 10, 10, 3))
    assert strided[2:] == [(6, 25, 12, 6), (6, 12, 25, 6), (18, 25, 6, 4)]
    plain = products_of([Conv2D(3, 4, rng), Conv2D(4, 6, rng)], (2, 5, 5, 3))
    assert plain[2:] == [(6, 25, 12, 6), (6, 12, 25, 6), (6, 25, 18, 4)]


def test_a_convolution_counts_in_the_thin_products_that_it_makes(monkeypatch):
    done = []
    workload = Workload("", 1, {}, [(64, 8, 4), (6, 25, 9, 3)], [(np.zeros(1, np.float32),)], [],
                        None)
    multiply = our_steps.floor(workload)
    monkeypatch.setattr(np, "matmul", lambda a, b, out: done.append((*a.shape, b.shape[1])))
    multiply(0)
    assert done == [(64, 8, 4), *6 * [(25, 9, 3)]]


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
    watched = {
        name: lambda i, name=name: (order.append((name, i)), steps[name](i)) for name in steps
    }
    seconds = ratios.interleave(watched, blocks=3, n=2, clocks=clocks)
    np.testing.assert_array_equal(seconds["cpu"]["a"], [2, 2, 2])
    np.testing.assert_array_equal(seconds["cpu"]["b"], [6, 6, 6])
    np.testing.assert_array_equal(seconds["wall"]["b"], [8, 8, 8])
    assert order == [
        (name, i) for name in "abbaab" for i in range(2)
    ]  # in turns, another first in each round


def row_of(peer, seconds, losses, clock="cpu"):
    return ratios.row_against(peer, replace(workloads.w1(3), steps=1), seconds, losses, clock)


def test_ratios_are_taken_block_by_block():
    """Who slows all in one round does not show in the ratio, one bad block not in its median."""
    clocks = FakeClocks()
    slow, spoiled = 50, 900
    steps = {"tinydni": clocks.contender([2, 2 * slow, 2, 2, spoiled]),
             "peer": clocks.contender([4, 4 * slow, 4, 4, 4]),
             "floor": clocks.contender([1, slow, 1, 1, 1])}
    seconds, losses = (
        ratios.interleave(steps, blocks=5, n=1, clocks=clocks),
        {"tinydni": 0.5, "peer": 0.5},
    )
    row = row_of("peer", seconds, losses)
    assert (row["ratio"], row["q1"], row["q3"], row["floor_ratio"], row["floor_share"]) == (
        0.5,
        0.5,
        0.5,
        0.25,
        0.5,
    )
    assert (row["our_us"], row["peer_us"], row["floor_us"]) == (2e6, 4e6, 1e6)
    assert (row["row"], row["peer"], row["clock"]) == ("W1 3 hidden", "peer", "cpu")
    assert row["wall_ratio"] == round(3 / 5, 6)
    two = row_of("peer", seconds, losses, "wall")
    assert (two["clock"], two["ratio"]) == ("wall", 0.6)
    alone = row_of(None, seconds, losses)
    assert alone["our_us"] == 2e6 and "ratio" not in alone and "peer_us" not in alone


def test_quartiles():
    assert ratios.quartiles([5, 1, 4, 2, 3]) == (2, 3, 4)


@pytest.mark.parametrize("other", [0.502, -0.5, float("nan"), float("inf")])
def test_other_losses_are_an_error(other):
    ratios.check_agreement({"tinydni": 0.5, "peer": 0.5004})
    with pytest.raises(RuntimeError, match="the loss of peer"):
        ratios.check_agreement({"tinydni": 0.5, "peer": other})


def short(make, *peers):
    """The maker of a workload with short blocks, beside some of its peers."""
    def made(**options):
        workload = make(**options)
        return replace(
            workload,
            steps=3,
            contenders={name: workload.contenders[name] for name in ("tinydni", *peers)},
        )
    return made


def test_rows_of_a_short_run():
    rows = json.loads(
        json.dumps(ratios.compare(short(MAKERS["W4 dni"], "literal"), blocks=3, threads=1))
    )
    rows += ratios.compare(short(MAKERS["W8 3 hidden"], "tinydni-backprop"), blocks=3, threads=1)
    rows += ratios.compare(short(MAKERS["W4 backprop"], "bare"), blocks=3, threads=1)
    assert [(row["row"], row["peer"]) for row in rows] == [
        ("W4 dni", "literal"), ("W8 3 hidden", "tinydni-backprop"), ("W4 backprop", "bare")]
    for row in rows:
        assert (
            0 < row["q1"] <= row["ratio"] <= row["q3"]
            and row["floor_ratio"] > 0
            and row["memory_mb"] > 0
        )
        assert page.PEERS[row["peer"]] in bench_command.line(page.cells(row))
    assert rows[0]["our_loss"] == pytest.approx(rows[0]["peer_loss"], rel=1e-5)
    assert rows[1]["peer_loss"] is None                 # other mathematics: nothing to compare


def test_memory_is_the_most_that_our_arrays_take():
    weights = sum(
        array.nbytes for block in workloads.w1(3).blocks for _, array, _ in block.named_parameters()
    )
    assert (
        5 * weights < 1e6 * ratios.peak_memory(workloads.w1(3)) < 12 * weights
    )  # W, dW, two moments, activations ...


@pytest.fixture
def alone(monkeypatch):
    """Neither PyTorch nor JAX is installed, nor numba."""
    monkeypatch.setattr(ratios, "has_numba", lambda: False)
    monkeypatch.setattr(bench_command.conditions, "has_numba", lambda: False)
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.setattr(bench_command.conditions, "installed", lambda package: False)


def test_without_peers_our_times_stand_alone(alone, monkeypatch, tmp_path, capsys):
    lstm = workloads.SEQUENCES
    monkeypatch.setattr(
        bench_command,
        "WORKLOADS",
        {
            "W5": (
                lambda **options: replace(
                    workloads.w5(3, **options, N=4, H=8), steps=2, contenders=lstm
                ),
            )
        },
    )
    assert cli.main(["bench", "W5", "--blocks", "2", "--json", str(tmp_path / "b.json")]) == 0
    printed = capsys.readouterr().out
    assert "torch is not installed: no ratio to it" in printed and "nobody" in printed
    assert "numba is not in use" in printed
    report = json.loads((tmp_path / "b.json").read_text())
    assert report["kernel"] and report["threads"] == 1
    [row] = report["rows"]
    assert (row["row"], row["peer"]) == ("W5 3 steps", None)
    assert row["our_us"] > 0 and "ratio" not in row


def test_curves_need_a_peer(alone, capsys):
    assert cli.main(["bench", "curves", "--figure", "a.png"]) == 2
    assert "torch" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_found_before_the_run(capsys):
    assert cli.main(["bench", "--json", "no/such/folder.json"]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_unknown_names_and_bad_numbers_are_refused(capsys):
    parser = argparse.ArgumentParser()
    bench_command.add_arguments(parser)
    assert parser.parse_args([]).names == []
    assert parser.parse_args(["W4", "W1", "--blocks", "2"]).names == ["W4", "W1"]
    for arguments, complaint in ((["W9"], "no workload 'W9'"), (["--blocks", "0"], "at least 1"),
                                 (["--threads", "x"], "a whole number")):
        with pytest.raises(SystemExit):
            parser.parse_args(arguments)
        assert complaint in capsys.readouterr().err


def made_up_rows():
    return [
        {"row": f"{axis} {value} {way}", "peer": "torch-eager", "q1": 0.4, "ratio": 0.5, "q3": 0.6}
        for axis, values in workloads.CURVES.items()
        for value in values
        for way in ("locked", "decoupled")
    ]


def test_curves_have_a_row_for_every_point():
    assert [make.keywords["row"] for make in WORKLOADS["curves"]] == [
        row["row"] for row in made_up_rows()
    ]
    widest = workloads.along("width", [64])[0]()
    assert widest.blocks[1].layers[0].W.shape == (64, 64)
    assert len(workloads.along("depth", [6])[0]().blocks) == 7
    assert workloads.along("batch", [16])[1]().batches[0][0].shape == (16, 784)


def test_the_picture_of_the_curves_says_what_it_shows():
    picture = scaling_picture.scaling(made_up_rows())
    assert len(picture.axes) == 3 and "0.50" in picture.alt
    with pytest.raises(ValueError, match="width 16 locked"):
        scaling_picture.scaling(made_up_rows()[1:])


def test_two_threads_are_timed_by_the_wall_clock():
    [row] = ratios.compare(short(tutorial_dni, "literal"), blocks=2, threads=2)
    assert (row["threads"], row["clock"]) == (2, "wall")        # CPU time would count both threads


def test_the_page_gets_the_tables_of_its_reports(tmp_path):
    rows = ratios.compare(short(tutorial_dni, "literal"), blocks=2, threads=1)
    machine = {
        "CPU": "a chip",
        "cores": 2,
        "load": 0.1,
        "load_at_end": 0.2,
        "system": "x",
        "settings": "none",
    }
    report = {
        "machine": machine,
        "versions": {"NumPy": "2"},
        "kernel": "SkylakeX",
        "threads": 1,
        "rows": rows + made_up_rows(),
    }
    (tmp_path / "r.json").write_text(json.dumps(report))
    marks = "\n".join(["# Title\n", *page.CPU, "", *page.GPU])
    (tmp_path / "p.md").write_text(f"{marks}\n\nRest.\n".replace(page.CPU[1], f"old{page.CPU[1]}"))
    for _ in range(2):                                  # a second time changes nothing
        page.main(tmp_path / "p.md", tmp_path / "r.json")
    text = (tmp_path / "p.md").read_text()
    assert text.startswith("# Title") and text.endswith("Rest.\n") and "old" not in text
    assert (
        "### SkylakeX kernels, 1 thread" in text
        and "load 0.1 at the start" in text
        and "width 16" not in text
    )
    assert f"**{rows[0]['ratio']:.2f}**" in text and text.count("| W4 dni |") == 1
    assert page.NOT_MEASURED in text
    with pytest.raises(ValueError, match="one line"):
        page.page("no marks", [report])


def tutorial_dni(**options):
    return workloads.w4("dni", **options)


def test_a_kernel_that_a_variable_holds_back_is_named(monkeypatch):
    simd = {"SIMD Extensions": {"found": ["X86_V3", "X86_V4"]}}
    monkeypatch.setattr(np, "show_config", lambda mode: simd)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setattr(doctor, "blas_kernel", lambda: "Haswell")
    assert "OPENBLAS_CORETYPE=Haswell" in doctor.slow_kernel()
    monkeypatch.setattr(doctor, "blas_kernel", lambda: "SkylakeX")
    assert doctor.slow_kernel() is None
    monkeypatch.setattr(doctor, "blas_kernel", lambda: "Haswell")
    simd["SIMD Extensions"]["found"] = ["X86_V3"]                   # a CPU without AVX-512
    assert doctor.slow_kernel() is None
    simd["SIMD Extensions"]["found"] = ["AVX512_SKX"]
    monkeypatch.delenv("OPENBLAS_CORETYPE")                         # the library's own choice
    assert doctor.slow_kernel() is None


def test_the_gradient_of_w7_by_hand_is_that_of_autograd(monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from tinydni.lab.benchmarks import torch_steps

    workload, xs = workloads.w7(np.float64, N=40), []
    tensors = torch_steps.tensors
    monkeypatch.setattr(torch_steps, "tensors",
                        lambda batch: xs.append(tensors(batch)[0]) or (xs[-1], *tensors(batch)[1:]))
    loss = torch_steps.mmd_by_hand(workload)(0)
    x, y = xs[0], tensors(workload.batches[0])[1]
    assert workload.loss.forward(x.numpy(), y.numpy()) == pytest.approx(loss.item(), rel=1e-12)
    torch.testing.assert_close(x.grad, torch.from_numpy(workload.loss.backward()))
