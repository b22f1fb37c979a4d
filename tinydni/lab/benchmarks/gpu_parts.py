"""The parts of `tinydni gpu-day`. Each runs its cases in turn, and writes what it found.

python -m tinydni.lab.benchmarks.gpu_parts PART FILE BACKEND UNTIL
"""

import faulthandler
import json
import sys
import time
import traceback
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np

import tinydni as td
from tinydni import backend
from tinydni.gpu import CapturedStep, fuse
from tinydni.lab import doctor, files
from tinydni.lab.benchmarks import conditions, ratios
from tinydni.lab.benchmarks.workloads import WORKLOADS, on_device
from tinydni.lab.callbacks import Checkpoints
from tinydni.lab.jobs import digits, recall
from tinydni.lab.jobs.methods import METHODS
from tinydni.lab.jobs.ranges import OptionError

STEPS = 8               # of a captured and an ordinary run
BLOCKS = 15             # of the clock
UPDATES = 30            # of recall
N_PROFILED = 10         # steps whose traffic is counted
EVERY = 10              # seconds from one checkpoint of a training to the next
UNDER_WAY = {"failed": "it did not come to its end"}


class Day:
    """What all cases need.

    file : where the results go    until : when to stop, by time.time    tf32 : for products
    """

    def __init__(self, file, name, until, tf32):
        self.until, self.file, self.name = until, file, name
        conditions.set_threads(1)
        if name != "numpy":
            conditions.set_device(tf32)
        self.xp = backend.get(name)
        self.on_host = backend.is_host(self.xp)

    def left(self):
        """Return how many seconds are left."""
        return self.until - time.time()

    def note(self, case, result):
        """Write what a case has found so far: it stays if the process dies in it."""
        files.write_json(self.file, self.found() | {case: {**result, **UNDER_WAY}})

    def found(self):
        """Return {case: result} of what is there so far."""
        return json.loads(self.file.read_text(encoding="utf-8"))


def machine(day, case):
    """The doctor's findings; the driver, the card, the libraries."""
    if case == "doctor":
        return {"findings": [asdict(finding) for finding in doctor.examine()]}
    found = {"machine": conditions.machine(), "versions": conditions.versions()}
    if not day.on_host:
        runtime = day.xp.cuda.runtime
        card = runtime.getDeviceProperties(runtime.getDevice())
        found |= {"card": card["name"].decode(), "driver": runtime.driverGetVersion(),
                  "runtime": runtime.runtimeGetVersion(), "CuPy": day.xp.__version__,
                  "memory_gb": round(card["totalGlobalMem"] / 1e9, 1),
                  "peers": [name for name in conditions.PACKAGES
                            if conditions.computes_beside(name, day.xp)]}
    return found


def tests(day, path):
    """The fast tests in a file or folder over this backend, and what differs from the fake device.

    They are in a clone: in its tests/, beside the package.
    """
    import pytest
    place = Path(td.__file__).parents[1] / "tests" / path
    if not place.exists():
        raise FileNotFoundError(f"no {place}: install a clone, with pip install -e")
    found = Outcomes(day, path)
    pytest.main(["-q", "-p", "no:cacheprovider", "-k", f"{day.name} or fake", str(place)],
                plugins=[found])
    return found.result()


class Outcomes:
    """A plugin that keeps how tests end, and stops when the time is over."""

    def __init__(self, day, case):
        self.day, self.case, self.failed, self.counts = day, case, {}, Counter()

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            self.counts[report.outcome] += 1
        if report.failed:
            self.failed[report.nodeid] = str(report.longrepr)[-600:]
            print(report.nodeid, report.longreprtext, flush=True)
        if report.when == "call":
            self.day.note(self.case, self.result())

    def pytest_runtest_setup(self, item):
        if self.day.left() < 0:
            item.session.shouldstop = "the time is over"

    def result(self):
        """What failed here while its twin on the fake device passed, and what failed at all."""
        name = self.day.name
        differs = [test for test in self.failed
                   if name in test and test.replace(name, "fake") not in self.failed]
        return {"counts": dict(self.counts), "differs": differs, "messages": self.failed,
                "complete": self.day.left() > 0}


def captures(day, case):
    """Captured steps beside ordinary ones on the same batches: the largest difference."""
    options = {name: {"method": name} for name in METHODS} | WAYS
    states, losses = [], []
    for capture in (True, False):
        given = {"backend": day.name, "epochs": 2, "batch_size": 64, **options[case]}
        if capture and not day.on_host:
            given["capture"] = True
        try:
            training = digits.JOB.run(digits.JOB.options(given)).training
        except OptionError as error:            # a step that draws on the host is refused
            return {"refused": str(error)}
        training.run([lambda run: setattr(run, "stopped", run.step >= STEPS)])
        states.append(training.network.state())
        losses.append(training.loss_sum)
    worst = max(float(np.max(np.abs(ours.astype(float) - theirs)))
                for ours, theirs in zip(*(state.values() for state in states)) if ours.size)
    return {"equal": worst == 0 and losses[0] == losses[1], "largest_difference": worst,
            "losses": losses}


WAYS = {"guess": {"method": "dni", "synthesizer": "guess"}, "unlock": {"unlock": True},
        "lambda": {"lambda": 0.5}}


def times(day, case):
    """The rows of a workload beside PyTorch and JAX; recall alone."""
    if case == "recall":
        return {"rows": [recall_row(day)]}
    rows = []
    for make in WORKLOADS[case][:1 if day.on_host else None]:
        rows += ratios.compare(make, 2 if day.on_host else BLOCKS, 1, day.xp)
        day.note(case, {"rows": rows})
    return {"rows": rows}


def recall_row(day):
    """The time of an update of a recurrent net with interfaces in time."""
    training = recall.JOB.run(recall.JOB.options({"backend": day.name})).training
    clocks = ratios.host_clocks if day.on_host else ratios.device_clocks(day.xp)
    for _ in range(2):                          # the first time everything is compiled
        first, before = training.step, clocks()
        while training.step < first + UPDATES:
            training.run_sequence()
        after = clocks()
    clock = "cpu" if day.on_host else "device"
    seconds = (after[clock] - before[clock]) / (training.step - first)
    return {"row": "recall", "peer": None, "clock": clock, "our_us": round(1e6 * seconds, 1)}


def training(day, case):
    """MNIST at the setting of Jaderberg et al. 2016: 500,000 steps, taken up by the next day."""
    method, layers = case.split("-")
    reasons = []
    for capture in (not day.on_host, False):
        try:
            return trained(day, case, paper_training(day, method, int(layers), capture), reasons)
        except RuntimeError as error:           # a step that cannot be captured counts nothing
            reasons.append(f"{type(error).__name__}: {error}")
            if not capture:
                raise
    return None


def paper_training(day, method, layers, capture, steps=500_000):
    """Adam at 3e-5, divided by 10 at 300,000 and 400,000 steps, batches of 256."""
    data = td.datasets.mnist()
    batch = min(256, len(data.x))
    rng, adam = td.stream(0, "synthesizer"), lambda: td.Adam(3e-5)
    forms = {"cdni": lambda n: td.LinearSynthesizer(n, 10),
             "dni": lambda n: td.mlp_synthesizer(n, rng, hidden=(1024, 1024))}
    algorithm = {"backprop": td.backprop, "none": td.no_backprop}.get(method, td.update_decoupled)
    guess = (forms[method], adam) if method in forms else ()
    blocks = td.mlp([784] + (layers - 1) * [256] + [10], td.stream(0, "weights"))
    network = fuse(td.build(blocks, td.SoftmaxCrossEntropy(), adam, *guess,
                            algorithm=algorithm).to(day.xp))
    return td.Training(network, data, -(-steps // (len(data.x) // batch)), batch, 0,
                       td.StepDecay((int(0.6 * steps), int(0.8 * steps))),
                       context=data.context() if method == "cdni" else None,
                       step=CapturedStep(network) if capture else None)


def trained(day, case, run, reasons):
    """Train until the time is over, with a checkpoint every few seconds."""
    path = day.file.parents[1] / f"{case}.npz"
    if path.exists():
        state, position = files.load(path)
        run.network.load_state(state)
        run.go_to(position)
    first, start = run.step, time.monotonic()
    run.run([lambda run: setattr(run, "stopped", day.left() < 0),
             Checkpoints(lambda: files.save(path, run.network.state(), run.position()), EVERY)])
    return {"step": run.step, "of": run.n_steps, "steps_here": run.step - first,
            "seconds": round(time.monotonic() - start, 2), "not_captured": reasons,
            "errors": run.history["test_error"][-5:]}


def traffic(day, case):
    """Memory, and per step what is launched, copied and waited for, as PyTorch's profiler sees."""
    make = WORKLOADS[case][-1]
    workload = make() if day.on_host else on_device(make(), day.xp)
    if day.on_host:
        return {"memory_mb": ratios.peak_memory(workload)}
    found = {}
    for name in ("tinydni", "tinydni-launches"):
        if name in workload.contenders:
            step = ratios.contender(workload, name)(workload)
            for i in range(5):
                step(i)
            found[name] = {"memory_mb": day.xp.get_default_memory_pool().total_bytes() / 1e6,
                           "calls": profiled(step) if conditions.installed("torch") else None}
            day.xp.get_default_memory_pool().free_all_blocks()
    return found


def profiled(step):
    """{event: times per step} of the calls to CUDA and the copies; "kernels" is their number."""
    from torch.profiler import ProfilerActivity, profile
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for i in range(N_PROFILED):
            float(step(i))                      # as in a training, which reads every loss
    counts = Counter()
    for event in profiler.events():
        if event.name.startswith(("cuda", "cu", "Mem")):
            counts[event.name] += 1
        elif "CUDA" in str(event.device_type):
            counts["kernels"] += 1
    return {name: count / N_PROFILED for name, count in counts.items()}


TIMED = ("W2", "W1", "recall", "W5", "W7", "W3a", "W3b")
PARTS = {       # part: (function of the day and a case, cases)
    "machine": (machine, ("doctor", "card")),
    "tests": (tests, ("core", "tools/test_capture.py", "tools/test_cupy_names.py")),
    "captures": (captures, (*METHODS, *WAYS)),
    "times": (times, TIMED), "times-tf32": (times, TIMED),
    "training": (training, tuple(f"{method}-{layers}" for layers in (6, 5, 4, 3)
                                 for method in ("cdni", "backprop", "dni", "none"))),
    "traffic": (traffic, ("W2", "W1", "W3b")),
}


def main(part, file, name, until):
    """Run the cases of a part that are not in the file yet, and add each to it.

    A CPU is for rehearsals: the slowest cases are left out there.
    """
    function, cases = PARTS[part]
    day = Day(Path(file), name, float(until), tf32=part.endswith("tf32"))
    found = day.found()
    for case in cases:
        if case in found or day.left() < 0 or day.on_host and case in ("W3a", "W3b"):
            continue
        day.note(case, {})
        start = time.monotonic()
        share = 1 if case == cases[-1] or part in ("tests", "training") else 0.5
        faulthandler.dump_traceback_later(share * day.left() + 1, exit=True)    # if it hangs
        try:
            result = function(day, case)
            json.dumps(result, allow_nan=False)
        except Exception as error:
            result = {"failed": f"{type(error).__name__}: {error}"}
            traceback.print_exc()
        faulthandler.cancel_dump_traceback_later()
        found = day.found()
        if "failed" in result:
            result = found[case] | result               # with what was noted before
        found[case] = {**result, "took": round(time.monotonic() - start, 1)}
        files.write_json(day.file, found)


if __name__ == "__main__":
    if sys.argv[3] == "numpy":
        sys.modules["numba"] = None     # type: ignore[assignment]  # a minute is too short for it
    main(*sys.argv[1:])
