"""The GPU day: every part by itself; what fails, hangs and is killed; all of it in rehearsal."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import fake_device
import fake_graph
import numpy as np
import pytest

from tinydni import backend
from tinydni.gpu import cublas
from tinydni.lab import cli
from tinydni.lab.benchmarks import gpu_day, gpu_parts, page, ratios, workloads

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def mnist_of_a_few_images(tmp_path, monkeypatch):
    """In $TINYDNI_DATA, and so for every process."""
    rng, folder = np.random.default_rng(0), tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for part, n in (("train", 512), ("t10k", 100)):
        for kind, shape, highest in (("images-idx3", (n, 28, 28), 256), ("labels-idx1", (n,), 10)):
            header = struct.pack(f">{1 + len(shape)}I", 2048 + len(shape), *shape)
            values = rng.integers(highest, size=shape, dtype=np.uint8)
            (folder / f"{part}-{kind}-ubyte").write_bytes(header + values.tobytes())
    monkeypatch.setenv("TINYDNI_DATA", str(folder.parent))


def a_day(tmp_path, seconds=60.0):
    (tmp_path / "day-1").mkdir(exist_ok=True)
    return gpu_parts.Day(tmp_path / "day-1" / "training.json", "numpy", time.time() + seconds,
                         tf32=False)


# What ends badly ----------------------------------------------------------------------------------

def with_processes(monkeypatch, *ends):
    """Every process of a part adds some cases to its file and ends in some way."""
    ends = iter(ends)

    def process(part, path, backend, seconds):
        cases, code, said = next(ends)
        path.write_text(json.dumps(gpu_day.read(path) | cases))
        return code, said
    monkeypatch.setattr(gpu_day, "process", process)


GOOD, UNDER_WAY = {"value": 1}, gpu_parts.UNDER_WAY


def test_a_part_that_crashes_goes_on_behind_the_case_that_crashed_it(monkeypatch, tmp_path):
    with_processes(monkeypatch, ({"a": GOOD, "b": UNDER_WAY}, -11, "an illegal address"),
                   ({"c": GOOD}, 0, ""))
    found = gpu_day.run("times", tmp_path, "cupy", 60)
    assert found["end"] == "done" and list(found["cases"]) == ["a", "b", "c"]
    assert gpu_day.failures(found) == {
        "b": "the process ended with exit code -11: an illegal address"}


def test_a_part_without_time_keeps_what_it_has(monkeypatch, tmp_path):
    with_processes(monkeypatch, ({"a": GOOD, "b": UNDER_WAY}, None, ""))
    found = gpu_day.run("times", tmp_path, "cupy", 60)
    assert found["end"] == "out of time" and found["cases"]["a"] == GOOD
    assert list(gpu_day.failures(found)) == ["b"]


def test_a_part_that_cannot_start_says_why(monkeypatch, tmp_path):
    with_processes(monkeypatch, ({}, 1, "ImportError: no CuPy"))
    found = gpu_day.run("times", tmp_path, "cupy", 60)
    assert found["end"] == "failed with exit code 1"
    assert gpu_day.failures(found) == {"start": "ImportError: no CuPy"}


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes here")
def test_a_process_that_hangs_is_killed_with_what_it_has_started(monkeypatch, tmp_path):
    script = tmp_path / "hangs"
    script.write_text("#!/bin/sh\nsleep 60 &\necho $!\nwait\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    code, said = gpu_day.process("times", tmp_path / "times.json", "numpy", 0.5)
    assert code is None
    for _ in range(100):
        if not is_running(int(said)):
            break
        time.sleep(0.05)
    assert not is_running(int(said))


def is_running(number):
    """Whether a process lives; one that is dead and not yet counted does not."""
    try:
        return " Z " not in Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_case_that_hangs_ends_its_process_and_says_where(tmp_path):
    file = tmp_path / "hang.json"
    file.write_text("{}")
    code = f"""
import time
from tinydni.lab.benchmarks import gpu_parts
def in_a_kernel(day, case):
    time.sleep(60)
gpu_parts.PARTS["hang"] = in_a_kernel, ("a", "b")
gpu_parts.main("hang", {str(file)!r}, "numpy", time.time() + 8)"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert ended.returncode == 1
    assert gpu_day.read(file) == {"a": UNDER_WAY}
    assert "in_a_kernel" in gpu_day.last_words(ended.stderr)


def test_last_words():
    assert gpu_day.last_words("one\n\ntwo\n \n") == "two"
    assert gpu_day.last_words(" \n") == "it said nothing"


def test_a_case_that_fails_is_a_result_and_the_next_one_runs(tmp_path, monkeypatch):
    def case(day, name):
        if name == "a":
            day.note("a", {"rows": [1]})
            raise ValueError("no such kernel")
        return {"ratio": float("nan")} if name == "b" else {"value": 1}
    monkeypatch.setitem(gpu_parts.PARTS, "some", (case, ("a", "b", "c")))
    file = tmp_path / "some.json"
    file.write_text("{}")
    gpu_parts.main("some", file, "numpy", time.time() + 60)
    found = gpu_day.read(file)
    assert found["a"]["failed"] == "ValueError: no such kernel" and found["a"]["rows"] == [1]
    assert "not JSON compliant" in found["b"]["failed"] and found["c"]["value"] == 1


# The parts ----------------------------------------------------------------------------------------

def test_training_is_taken_up_to_the_same_curve(tmp_path, monkeypatch):
    """Stopped after 5 and 8 steps, of 12; beside an uninterrupted run."""
    made = []

    def training(*args):
        made.append(gpu_parts.paper_training(*args, steps=12))
        return made[-1]
    for stops, folder in (((5, 8, 99), "halts"), ((99,), "whole")):
        (tmp_path / folder).mkdir()
        for stop in stops:
            day = a_day(tmp_path / folder)
            run = training(day, "cdni", 3, False)
            monkeypatch.setattr(day, "left", lambda run=run, stop=stop: stop - run.step - 0.5)
            found = gpu_parts.trained(day, "cdni-3", run, [])
            assert found["step"] == min(stop, 12) and found["of"] == 12
    interrupted, whole = made[-2:]
    assert found["steps_here"] == 12 and interrupted.history == whole.history
    for path, array in whole.network.state().items():
        np.testing.assert_array_equal(array, interrupted.network.state()[path])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_training_is_taken_up(tmp_path):
    (tmp_path / "day-1").mkdir()
    file, state = tmp_path / "day-1" / "training.json", tmp_path / "cdni-6.npz"
    file.write_text("{}")
    code = f"""
import time
from tinydni.lab.benchmarks import gpu_parts
gpu_parts.EVERY = 0.2
gpu_parts.main("training", {str(file)!r}, "numpy", time.time() + 60)"""
    child = subprocess.Popen([sys.executable, "-c", code])
    while not state.exists():
        assert child.poll() is None
        time.sleep(0.05)
    child.kill()
    child.wait()
    assert gpu_day.read(file) == {"cdni-6": UNDER_WAY}
    found = gpu_parts.training(a_day(tmp_path, 1.0), "cdni-6")
    assert 0 < found["steps_here"] < found["step"] < found["of"] == 500_000


def test_a_step_that_cannot_be_captured_is_trained_without(tmp_path, monkeypatch):
    def without_graphs(day, method, layers, capture):
        if capture:
            raise RuntimeError("CuPy cannot capture this step")
        return paper_training(day, method, layers, capture, steps=4)
    paper_training = gpu_parts.paper_training
    monkeypatch.setattr(gpu_parts, "paper_training", without_graphs)
    day = a_day(tmp_path)
    day.on_host = False
    found = gpu_parts.training(day, "dni-3")
    assert found["step"] == 4 and found["not_captured"] == [
        "RuntimeError: CuPy cannot capture this step"]


def test_the_setting_is_that_of_the_paper(tmp_path):
    run = gpu_parts.paper_training(a_day(tmp_path), "cdni", 6, False)
    bottom, *_, top = run.network.modules
    assert len(run.network.modules) == 6 and bottom.block.layers[0].W.shape == (784, 256)
    assert (run.batch_size, run.n_steps) == (256, 500_000)
    assert {optimizer.lr for _, _, optimizer in run.network.learners()} == {3e-5}
    assert [run.schedule(step) for step in (0, 299_999, 300_000, 400_000)] == pytest.approx(
        [1, 1, 0.1, 0.01])
    dni = gpu_parts.paper_training(a_day(tmp_path), "dni", 3, False)
    assert "256 -> 1024 -> 1024 -> 256" in repr(dni.network.synthesizers()[0])


def test_failures_on_the_card_are_told_from_those_everywhere(tmp_path):
    day = a_day(tmp_path)
    day.name = "cupy"
    day.file.write_text("{}")
    found = gpu_parts.Outcomes(day, "core")
    for test in ("a.py::t[cupy]", "b.py::t[cupy-1]", "b.py::t[fake-1]"):
        found.pytest_runtest_logreport(pytest.TestReport(
            test, ("a.py", 1, "t"), {}, "failed", "why", "call"))
    assert found.result()["differs"] == ["a.py::t[cupy]"]
    assert found.result()["counts"] == {"failed": 3}
    kept = gpu_day.read(day.file)["core"]           # written as it came
    assert kept["differs"] == ["a.py::t[cupy]"] and kept["failed"] == UNDER_WAY["failed"]


@pytest.mark.parametrize("method", ["cdni", "guess"])
def test_captured_steps_beside_ordinary_ones(tmp_path, method):
    found = gpu_parts.captures(a_day(tmp_path), method)
    assert found["equal"] and found["largest_difference"] == 0


def test_rows_of_a_workload_on_a_device(monkeypatch):
    monkeypatch.setattr(cublas, "library_of", lambda cupys: fake_graph.library())
    monkeypatch.setattr(ratios, "fitting", lambda step, clocks: 2)
    rows = ratios.compare(partial(workloads.w2, 1, width=8, batch=4), 3, 1, fake_device.xp)
    assert [row["peer"] for row in rows] == ["tinydni-backprop", "tinydni-launches"]
    for row in rows:
        assert (row["clock"], row["memory_mb"], row["steps_per_block"]) == ("device", None, 2)
        assert 0 < row["q1"] <= row["ratio"] <= row["q3"] and row["floor_us"] > 0
    assert rows[1]["our_loss"] == rows[1]["peer_loss"]


def test_a_block_of_the_clock_is_about_a_tenth_of_a_second():
    now = iter([0.0, 0.02, 5.0, 5.0001])
    clocks = lambda: {"wall": next(now)}
    assert ratios.fitting(lambda i: None, clocks) == 50
    assert ratios.fitting(lambda i: None, clocks) == 1000


def test_memory_of_a_workload(tmp_path):
    assert gpu_parts.traffic(a_day(tmp_path), "W7")["memory_mb"] > 0


# The whole, in rehearsal --------------------------------------------------------------------------

def test_no_device_is_a_result(tmp_path, monkeypatch, capsys):
    if backend.why_no_cupy() is None:
        pytest.skip("there is a GPU")
    monkeypatch.setattr(gpu_day, "SHARES", {"machine": 1.0})
    assert cli.main(["gpu-day", "--out", str(tmp_path / "out"), "--minutes", "0.5"]) == 1
    assert "backend 'cupy' cannot be used here" in capsys.readouterr().out
    report = json.loads((tmp_path / "out/day-1/report.json").read_text())
    assert report["parts"]["machine"]["cases"]["start"]["failed"]


def rehearsal(tmp_path, minutes, *options):
    """The report of a day that ended by itself."""
    subprocess.run([sys.executable, "-m", "tinydni", "gpu-day", "--out", str(tmp_path / "out"),
                    "--minutes", str(minutes), *options], capture_output=True,
                   timeout=60 * minutes + 30)
    report = json.loads((tmp_path / "out" / "day-1" / "report.json").read_text())
    assert list(report["parts"]) == list(gpu_day.SHARES)
    return report


@pytest.mark.slow
def test_a_minute_on_the_cpu(tmp_path):
    report = rehearsal(tmp_path, 1, "--backend", "numpy")
    for found in report["parts"].values():      # on a slow machine some have no time, no more
        for why in gpu_day.failures(found).values():
            assert why.startswith((UNDER_WAY["failed"], "the process ended with exit code"))
    assert all(case.get("equal") for case in report["parts"]["captures"]["cases"].values())
    assert report["parts"]["training"]["cases"]["cdni-6"]["step"] > 0
    with pytest.raises(ValueError, match="rehearsal"):
        page.gpu_section(report)


@pytest.mark.slow
def test_the_whole_day_on_the_fake_device(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS / "stand_in"), str(TESTS)]))
    report = rehearsal(tmp_path, 2)
    cases = {part: found["cases"] for part, found in report["parts"].items()}
    assert not gpu_day.failures(report["parts"]["machine"])
    assert cases["tests"]["core"]["counts"]["passed"] > 10 and not cases["tests"]["core"]["differs"]
    assert len(cases["captures"]) == len(gpu_parts.PARTS["captures"][1])
    assert all(case.get("equal") or "a graph would repeat" in case["refused"]
               for case in cases["captures"].values())
    assert cases["training"]["cdni-6"]["step"] > 0 and not cases["training"]["cdni-6"][
        "not_captured"]
    assert "W2" in cases["traffic"]             # on a slow machine it has no time to end
    text = page.gpu_section(report)
    assert "a fake card" in text and "| recall | nobody |" in text and "bit for bit in" in text
