"""Modules as workers: the same numbers where they must be, nothing lost, no fault that hangs."""

import itertools
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import parallel_cases as cases
import pytest
from conftest import MPIEXEC_PATH, why_no_mpi
from hypothesis import given, settings
from hypothesis import strategies as st

import tinydni as td
from tinydni.lab import files
from tinydni.lab.cli import main
from tinydni.lab.workers import (
    Kind,
    Message,
    ParallelTraining,
    Plan,
    ProtocolError,
    WorkerError,
    simulator,
)
from tinydni.lab.workers.balance import balanced
from tinydni.lab.workers.costs import Costs, measure
from tinydni.lab.workers.message import DTYPES, named, pack, unnamed, unpack
from tinydni.lab.workers.transports.in_turn import InTurn
from tinydni.lab.workers.transports.threads import Threads
from tinydni.plots import timeline
from tinydni.plots.timeline import WHAT
from tinydni.training import DivergedError

ROOT = Path(__file__).parents[2]
SHORT_TRAINING = "-m tinydni train digits --layers 4 --width 16 --epochs 2 --quiet".split()
MPIEXEC = shutil.which("mpiexec", path=MPIEXEC_PATH)
WHY_NO_MPI = why_no_mpi()
mpi = pytest.mark.skipif(WHY_NO_MPI is not None, reason=str(WHY_NO_MPI))


def python(*arguments, n=None, **options):
    """Starts this Python, under mpiexec if n is given, in a group of processes of its own."""
    launcher = [MPIEXEC, "-n", str(n)] if n else []
    token = secrets.token_hex(8)  # its descendants are known by it
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
        "TEST_RUN": token,
    }
    run = subprocess.Popen(
        [*launcher, sys.executable, *map(str, arguments)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        **options,
    )
    run.token = token
    return run


# Messages.

@given(
    st.lists(
        st.one_of(
            st.none(), st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 5), max_size=4))
        ),
        max_size=5,
    ),
    st.sampled_from(Kind),
    st.integers(-1, 2**40),
    st.integers(0, 2**32 - 1),
)
def test_a_message_comes_out_of_its_bytes_as_it_went_in(descriptions, kind, step, seed):
    rng = np.random.default_rng(seed)
    arrays = tuple(
        None if d is None else rng.integers(0, 2, d[1]).astype(d[0]) for d in descriptions
    )
    found = unpack(pack(Message(kind, step, 3, arrays)), 3)
    assert found[:3] == (kind, step, 3) and len(found.arrays) == len(arrays)
    for got, sent in zip(found.arrays, arrays):
        if sent is None:
            assert got is None
        else:
            assert got.dtype == sent.dtype
            np.testing.assert_array_equal(got, sent)


def test_arrays_in_any_memory_order_arrive_in_theirs():
    a = np.arange(24.0).reshape(4, 6)
    for array in (a.T, a[::2, ::3], np.asfortranarray(a), a[:, 1]):
        np.testing.assert_array_equal(
            unpack(pack(Message(Kind.INPUT, 0, 0, (array,))), 0).arrays[0], array
        )


def test_named_arrays_keep_their_names():
    state = {"0.block.0.W": np.ones((2, 3)), "ü": np.zeros(0), "steps": np.array(7)}
    found = unnamed(unpack(pack(Message(Kind.STATE, 0, 0, named(state))), 0).arrays)
    assert list(found) == list(state)
    assert all(np.array_equal(found[name], state[name]) for name in state)


def test_objects_cannot_be_sent():
    with pytest.raises(TypeError, match="object; only float32"):
        pack(Message(Kind.INPUT, 0, 0, (np.array([{"a": 1}], dtype=object),)))


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_bytes_that_are_no_message_are_refused(seed, n_changed):
    rng = np.random.default_rng(seed)
    block = pack(Message(Kind.INPUT, 5, 0, (np.ones((3, 4), np.float32), None)))
    for broken in (
        block[: rng.integers(8, len(block))],
        rng.integers(0, 256, len(block)).astype(np.uint8),
        np.concatenate([block, block]),
    ):
        with pytest.raises(ProtocolError, match="worker 9 sent"):
            unpack(broken.copy(), 9)
    block[rng.integers(0, len(block), n_changed)] = rng.integers(0, 256, n_changed)
    try:
        assert all(array is None or array.nbytes <= len(block) for array in unpack(block, 9).arrays)
    except ProtocolError:
        pass  # either way, no other exception, and nothing outside the block was read


# The same trainings over every transport.

@pytest.fixture(scope="module")
def over_mpi(tmp_path_factory):
    """Runs all cases in one start of mpiexec. Returns the folder with the results."""
    folder = tmp_path_factory.mktemp("mpi")
    run = python(ROOT / "tests" / "parallel_cases.py", folder, *cases.CASES, n=cases.WORKERS)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    return folder


@pytest.fixture(params=["in-turn", "threads", pytest.param("mpi", marks=mpi)])
def result(request):
    """A function (case) -> (state, history, staleness) of the case over one transport."""
    def run(case):
        if request.param == "mpi":
            state, (history, late) = files.load(request.getfixturevalue("over_mpi") / f"{case}.npz")
            return (
                state,
                history,
                {int(r): {int(n): c for n, c in found.items()} for r, found in late.items()},
            )
        transport = (
            Threads(cases.WORKERS)
            if request.param == "threads"
            else InTurn(cases.WORKERS, np.random.default_rng(0))
        )
        training = cases.apart(case, transport)
        training.run()
        return training.network.state(), training.history, training.staleness
    return run


@pytest.mark.parametrize("case", cases.EXACT)
def test_exact_modes_equal_the_one_loop_to_the_last_bit(result, case):
    one = cases.one_loop(case)
    one.run()
    state, history, late = result(case)
    assert history == one.history
    assert state.keys() == one.network.state().keys()
    for name, array in one.network.state().items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)
    assert set().union(*late.values()) <= {0}                           # nothing came late


N_STEPS = cases.EPOCHS * (len(cases.dataset().x) // cases.BATCH)


def test_a_free_run_loses_no_message_and_is_never_later_than_the_room(result):
    state, history, late = result("free")
    assert state["steps"] == N_STEPS and len(history["train_loss"]) == cases.EPOCHS
    for rank in (0, 1):  # every gradient of every batch was learned from
        assert sum(late[rank].values()) == N_STEPS
        assert max(late[rank]) < Plan.room
    assert late[2] == {}                                                # nothing is above worker 2
    assert history["train_loss"][1] < history["train_loss"][0]


def test_a_free_unlocked_run_loses_no_message(result):
    state, history, late = result("free-unlocked")
    assert [sum(late[rank].values()) for rank in range(3)] == [N_STEPS, 2 * N_STEPS, N_STEPS]
    assert history["train_loss"][1] < history["train_loss"][0]


def test_data_parallel_workers_descend_the_mean_of_their_gradients(result):
    state, history, _ = result("data-parallel")
    one = cases.one_loop("locked")
    one.run()
    # Each normalises over its own third of a batch: near the numbers of one loop, not equal.
    np.testing.assert_allclose(history["train_loss"], one.history["train_loss"], rtol=0.3)


def test_data_parallel_without_batch_statistics_equals_one_loop_up_to_rounding():
    def blocks():
        return td.mlp([8, 12, 12, 5], td.random.stream(0, "weights"), lambda width: [td.ReLU()])

    def network():
        return td.build(
            blocks(), td.BinaryCrossEntropy(), lambda: td.SGD(0.1), algorithm=td.backprop
        )

    data = cases.dataset()
    options = {"error": td.training.percent_bits_wrong}
    one = td.training.Training(network(), data, 2, cases.BATCH, 0, **options)
    one.run()
    for size in (2, 3):
        def make_plan(training, size=size):
            return Plan(
                "data-parallel", [3] * size, training.schedule, training.batch_of, cases.BATCH
            )
        apart = ParallelTraining(network(), data, 2, cases.BATCH, 0, transport=Threads(size),
                                             make_plan=make_plan, **options)
        apart.run()
        for name, array in one.network.state().items():
            np.testing.assert_allclose(
                apart.network.state()[name], array, rtol=1e-4, atol=1e-6, err_msg=name
            )


# Any order in which workers can get their turns.

@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.sampled_from(cases.EXACT))
def test_exact_modes_do_not_depend_on_who_is_first(seed, case):
    training, one = (
        cases.apart(case, InTurn(cases.WORKERS, np.random.default_rng(seed))),
        cases.one_loop(case),
    )
    training.run()
    one.run()
    assert training.history == one.history


@settings(max_examples=12)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["free", "free-unlocked", "data-parallel"]),
    st.integers(1, 6),
)
def test_no_order_of_turns_hangs_or_exceeds_the_room(seed, case, room):
    transport = InTurn(cases.WORKERS, np.random.default_rng(seed))
    training, most = cases.apart(case, transport, room=room), Counter()

    def watch(training):
        for worker, inbox in zip(transport.workers, transport.inboxes):
            kinds = Counter(message.kind for message in inbox) + Counter(
                message.kind for message in worker.inputs
            )
            most[worker.rank] = max(most[worker.rank], kinds[Kind.INPUT], len(worker.in_flight))

    training.run([watch])
    assert max(most.values()) <= room
    late = [n for found in training.staleness.values() for n in found]
    assert all(0 <= n < room for n in late)


def test_a_deadlock_is_named_and_not_waited_for():
    transport = InTurn(2, np.random.default_rng(0))
    transport.start(
        lambda endpoint: Plan("free", [3, 6], None, None, 1).worker(cases.network("free"), endpoint)
    )
    with pytest.raises(RuntimeError, match="deadlock"):
        transport.workers[0].endpoint.receive()


class Nobody:
    """An endpoint above which nobody answers."""

    rank, size = 0, 2

    def __init__(self):
        self.sent = []

    def send(self, worker, message):
        self.sent.append(message)

    def poll(self):
        return None

    def receive(self):
        raise AssertionError("worker 0 waits")


def test_a_worker_updates_without_any_gradient_until_there_is_no_more_room():
    data, network, endpoint = cases.dataset(), cases.network("free"), Nobody()
    plan = Plan(
        "free",
        [2, 6],
        lambda step: 1.0,
        lambda index: (data.x[index], data.y[index], data.y[index]),
        16,
        room=4,
    )
    worker = plan.worker(network, endpoint)
    for module in network.modules[2:]:
        module.block = module.synthesizer = None  # poison: nothing above can take part
    network.modules[0].synthesizer.b += 1  # a guess other than "no gradient"
    before = network.modules[0].block.layers[0].W.copy()
    for step in range(4):
        worker.feed(step, np.arange(16))
    assert [(message.kind, message.step) for message in endpoint.sent] == [
        (Kind.INPUT, step) for step in range(4)
    ]
    assert (
        not np.array_equal(before, network.modules[0].block.layers[0].W)
        and len(worker.in_flight) == 4
    )
    with pytest.raises(AssertionError, match="worker 0 waits"):  # for room, which bounds memory
        worker.feed(4, np.arange(16))


def test_messages_that_cannot_be_are_refused():
    network = cases.network("free")
    worker = Plan("free", [3, 6], lambda step: 1.0, None, 16).worker(network, Nobody())
    with pytest.raises(
        ProtocolError, match="got the gradient of batch 3, but waits for that of None"
    ):
        worker.take(Message(Kind.GRADIENT, 3, 1, (np.zeros((16, 12), np.float32),)))
    with pytest.raises(ProtocolError, match="does not understand, SHARE"):
        worker.take(Message(Kind.SHARE, 3, 1, (np.zeros(3),)))


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(
        ValueError, match="mode must be one of free, lock-step, locked, data-parallel; got 'fast'"
    ):
        Plan("fast", [1, 2], None, None, 1)


# Other backends: arrays of a device travel through the host.

class Wired(InTurn):
    """Turn by turn, but every message becomes bytes on its way."""

    def start(self, make, about=""):
        first = super().start(make)
        for worker in self.workers:
            send = worker.endpoint.send
            worker.endpoint.send = lambda to, message, send=send: send(
                to, unpack(pack(message), message.sender)
            )
        return first


@pytest.mark.parametrize("case", cases.CASES)
def test_workers_compute_on_every_backend(xp, case):
    runs = [
        cases.apart(case, make(cases.WORKERS, np.random.default_rng(0)), xp)
        for make in (Wired, InTurn)
    ]
    for run in runs:
        run.run()
    if case in cases.EXACT:
        runs.append(cases.one_loop(case, xp))
        runs[-1].run()
        assert runs[0].history == runs[2].history
    assert runs[0].history == runs[1].history


# Stages.

@given(st.lists(st.integers(1, 20), min_size=1, max_size=9), st.integers(1, 9), st.integers(0, 5),
       st.integers(0, 3))
def test_balanced_stages_are_the_best_there_are(costs, n_stages, cut, again):
    n = len(costs)
    if n_stages > n:
        with pytest.raises(ValueError, match="cannot be divided"):
            balanced(costs, n_stages)
        return

    def most(ends):
        return max(sum(costs[start:end]) + (cut + again * (end - start)) * (end < n)
                   for start, end in zip([0, *ends], ends))

    found = balanced(costs, n_stages, [cut] * n, [again] * n)
    assert len(found) == n_stages and found[-1] == n and sorted(set(found)) == found
    assert most(found) == min(
        most([*inner, n]) for inner in combinations(range(1, n), n_stages - 1)
    )


def test_measuring_leaves_the_modules_as_they_are(monkeypatch):
    ticks = itertools.count()           # a clock that moves by one whenever it is read
    monkeypatch.setattr("tinydni.lab.workers.costs.time",
                        SimpleNamespace(perf_counter=lambda: next(ticks)))
    network, data = cases.network("free"), cases.dataset()
    before = network.state()
    costs = measure(network.modules, data.x[:16], data.y[:16], data.y[:16])
    assert costs.block.tolist() == [3] * 5 + [4]        # the top: forward, loss, backward, update
    assert costs.guess.tolist() == costs.learn.tolist() == [1] * 5 + [0]
    assert costs.h.tolist() == [16 * 12 * 4] * 5 + [16 * 5 * 4]
    assert costs.parameters[0] == 4 * (8 * 12 + 3 * 12)     # W, b, gamma, beta
    assert all(np.array_equal(array, network.state()[name]) for name, array in before.items())


# Stopping and going on.

@pytest.mark.parametrize("stop_at", [1, 7, 12, 15])
def test_a_stopped_run_goes_on_in_one_loop_or_over_workers_with_the_same_numbers(stop_at):
    def stop(training):
        training.stopped = training.step >= stop_at

    whole, first = cases.one_loop("lock-step"), cases.apart("lock-step", Threads(cases.WORKERS))
    whole.run()
    first.run([stop])
    assert first.step == stop_at
    state, position = first.network.state(), json.loads(json.dumps(first.position()))
    for second in (cases.one_loop("lock-step"), cases.apart("lock-step", Threads(cases.WORKERS))):
        second.network.load_state(state)
        second.go_to(json.loads(json.dumps(position)))
        second.run()
        assert second.history == whole.history
        for name, array in whole.network.state().items():
            np.testing.assert_array_equal(second.network.state()[name], array, err_msg=name)


def test_a_checkpoint_in_mid_run_holds_a_settled_network():
    training, saved = cases.apart("free", Threads(cases.WORKERS)), []

    def save(training):
        if training.step in (3, 8, 15):
            position = training.position()
            assert not training.worker.in_flight
            saved.append((position["batch"], int(training.network.state()["steps"])))

    training.run([save])
    assert saved == [(3, 3), (8, 8), (15 - N_STEPS // cases.EPOCHS, 15)]


# Faults.

EXPECTED = {"raises": (WorkerError, "ArithmeticError: the fifth batch was too much"),
            "raises-wide": (WorkerError, "ArithmeticError: the fifth batch was too much"),
            "wrong-shape": (WorkerError, r"x must have shape \(N, 12\); got \(16, 11\)"),
            "diverges": (DivergedError, "the training loss became nan"),
            "interrupts": (KeyboardInterrupt, "KeyboardInterrupt")}


@pytest.mark.parametrize("fault", ["raises", "wrong-shape", "diverges"])
@pytest.mark.parametrize("transport", ["in-turn", "threads"])
def test_a_fault_of_one_worker_ends_the_run_with_its_own_words(fault, transport):
    threads = transport == "threads"
    transport = (
        Threads(cases.WORKERS) if threads else InTurn(cases.WORKERS, np.random.default_rng(0))
    )
    error, words = EXPECTED[fault]
    if not threads and error is WorkerError:
        error = Exception  # in one thread it is the exception itself
    with pytest.raises(error, match=words.partition(": ")[2] or words):
        cases.apart(fault, transport).run()
    assert not any(thread.is_alive() for thread in getattr(transport, "threads", ()))


def test_a_worker_that_raises_is_named_in_one_sentence():
    with pytest.raises(WorkerError) as caught:
        cases.apart("raises", Threads(cases.WORKERS)).run()
    assert re.fullmatch(r"worker 1 failed: ArithmeticError: the fifth batch was too much "
                        r"\(parallel_cases.py, line \d+\)", str(caught.value))


def test_a_fault_of_worker_0_ends_the_threads():
    transport = Threads(cases.WORKERS)
    with pytest.raises(ZeroDivisionError):
        cases.apart("free", transport).run([lambda training: 1 / 0])
    assert not any(thread.is_alive() for thread in transport.threads)


@mpi
@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_of_one_process_ends_all_with_its_own_words(tmp_path, fault):
    run = python(ROOT / "tests" / "parallel_cases.py", tmp_path, fault, n=cases.WORKERS)
    output, _ = run.communicate(timeout=60)
    assert run.returncode != 0 and re.search(EXPECTED[fault][1], output), output
    assert all_gone(run)


@mpi
def test_a_stopped_process_is_named_and_the_run_goes_on_when_it_does(tmp_path):
    run = python(ROOT / "tests" / "parallel_cases.py", tmp_path, "stops", n=cases.WORKERS)
    lines, named = [], "worker 0 waits; worker 1 does not answer"
    while not any(named in line for line in lines):
        lines.append(run.stdout.readline())
        assert lines[-1], lines                                         # the run has ended
    for number in processes(run):
        os.kill(number, signal.SIGCONT)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 0 and (tmp_path / "stops.npz").exists(), output
    assert "worker 2 does not answer" not in "".join(lines)             # it waits, and says so


def test_a_size_that_is_no_number_is_named_before_mpi_aborts(monkeypatch):
    from tinydni.lab.workers.transports.mpi import MPIError, world
    monkeypatch.setenv("PMI_SIZE", "abc")
    with pytest.raises(MPIError, match="PMI_SIZE is 'abc'"):
        world()


def test_a_machine_without_affinity_counts_its_cores(monkeypatch):
    from tinydni.lab.workers.transports.mpi import cores
    assert cores() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores() == os.cpu_count()


def all_gone(run, patience=60):
    """Whether every process that a run has started is gone, after at most `patience` seconds."""
    end = time.monotonic() + patience
    while processes(run) and time.monotonic() < end:
        time.sleep(0.05)
    return not processes(run)


def processes(run):
    """The numbers of the processes that a run has started, orphans included: {number: command}."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"TEST_RUN={run.token}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue                                                    # it has just ended
    return found


def train(*options, n=None):
    """Starts `tinydni train digits` over two workers with epochs enough to be interrupted."""
    return python(
        "-m",
        "tinydni",
        "train",
        "digits",
        "--layers",
        4,
        "--width",
        16,
        "--epochs",
        5000,
        "--quiet",
        *options,
        *(["--transport", "mpi"] if n else ["--workers", 2]),
        n=n,
        cwd=ROOT,
    )


PATIENCE = 120  # seconds until a run, on a busy machine, must have got somewhere


def at_work(run, end):
    """Fails, with what a run has said, where it has ended or time is up; ends its processes."""
    if run.poll() is not None or time.monotonic() > end:
        for number in processes(run):
            os.kill(number, signal.SIGKILL)
        pytest.fail(f"the run has ended, or got nowhere: {run.communicate()[0]}")


def wait_for(path, run):
    """Waits until a file is there."""
    end = time.monotonic() + PATIENCE
    while not path.exists():
        at_work(run, end)
        time.sleep(0.02)


def rank(number):
    """The rank of a process of MPI."""
    found = (Path("/proc") / str(number) / "environ").read_bytes().split(b"\0")
    return next(int(entry.partition(b"=")[2]) for entry in found if entry.startswith(b"PMI_RANK="))


@mpi
def test_ctrl_c_for_one_process_ends_the_run_and_keeps_what_was_learned(tmp_path):
    path = tmp_path / "run.npz"
    run = train("--save", path, "--figure", tmp_path / "a.png", n=2)
    wait_for(path, run)
    [follower] = [number for number in victims(run) if rank(number) == 1]
    os.kill(follower, signal.SIGINT)
    output, _ = run.communicate(timeout=60)
    assert "what was learned is in" in output and all_gone(run), output


@pytest.mark.parametrize("n", [None, pytest.param(2, marks=mpi)], ids=["threads", "mpi"])
def test_ctrl_c_keeps_what_was_learned_and_resume_goes_on(tmp_path, n):
    path = tmp_path / "run.npz"
    run = train("--save", path, "--figure", tmp_path / "a.png", n=n)
    wait_for(path, run)
    os.killpg(run.pid, signal.SIGINT)                                   # as a terminal does
    output, _ = run.communicate(timeout=60)
    words = f"tinydni train digits --resume {path}"
    start_again = f"mpiexec -n 2 {words} --transport mpi" if n else words
    assert "what was learned is in" in output and f"Go on with: {start_again}" in output, output
    assert all_gone(run)
    first = files.load(path)[1]["position"]
    again = python(
        "-m",
        "tinydni",
        "train",
        "digits",
        "--resume",
        path,
        "--quiet",
        "--figure",
        tmp_path / "a.png",
        *(["--transport", "mpi"] if n else []),
        n=n,
        cwd=ROOT,
    )
    end = time.monotonic() + PATIENCE
    while files.load(path)[1]["position"]["epoch"] <= first["epoch"]:
        at_work(again, end)
        time.sleep(0.1)
    os.killpg(again.pid, signal.SIGINT)
    again.communicate(timeout=60)
    assert files.load(path)[1]["position"]["epoch"] > first["epoch"]


def victims(run):
    """The numbers of the workers' processes."""
    return [
        number
        for number, command in processes(run).items()
        if command[:2] == [sys.executable, "-m"]
    ]


def kill_one(tmp_path, rng, n, longest=1):
    """Kills one process of a run at a random moment, and checks what is left."""
    path = tmp_path / "run.npz"
    before = files.load(path)[1]["position"]["epoch"] if path.exists() else None
    run = train(
        *(["--resume", path] if path.exists() else ["--save", path]),
        "--figure",
        tmp_path / "a.png",
        n=n,
    )
    if before is None:
        wait_for(path, run)
    end = time.monotonic() + PATIENCE
    while len(victims(run)) < (n or 1):
        at_work(run, end)
    time.sleep(rng.uniform(0, longest))
    victim = rng.choice(victims(run))
    os.kill(victim, signal.SIGKILL)
    run.communicate(timeout=60)
    assert all_gone(run)
    after = files.load(path)[1]["position"]["epoch"]  # raises where the file is not whole
    assert before is None or after >= before


@pytest.mark.parametrize("n", [None, pytest.param(2, marks=mpi)], ids=["threads", "mpi"])
def test_a_killed_process_ends_the_run_and_leaves_a_whole_checkpoint(tmp_path, n):
    rng = np.random.default_rng(1)
    for _ in range(n or 1):
        kill_one(tmp_path, rng, n)


@pytest.mark.slow
@mpi
def test_fifty_random_kills(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(50):
        kill_one(tmp_path, rng, 2, longest=4)


# The simulator, against what can be computed by hand; the picture of its records and real ones.

def equal_stages(n, synthesizer=1.0):
    """Stages of 1 s forward, 2 s backward, 1 s update; synthesizers below the top; 100 bytes."""
    ones = np.ones(n)
    guesses = np.append(np.full(n - 1, synthesizer), 0.0)
    return Costs(ones, 2 * ones, ones, guesses, guesses, 100 * ones, 1000 * ones)


FREE_LINK = simulator.Link()


@pytest.mark.parametrize("n", [2, 5, 1000])
def test_simulated_modes_agree_with_the_arithmetic(n):
    def seconds(mode, **options):
        n_batches = None if mode in ("decoupled", "late") else 8
        return 1 / simulator.throughput(mode, equal_stages(n), FREE_LINK, n_batches, **options)

    assert seconds("decoupled") == pytest.approx(6)  # a stage with its synthesizer, however many
    assert seconds("late") == pytest.approx(5)  # twice forward, backward, update, however many
    assert seconds("late", room=1) == pytest.approx(9)  # up, the one above learns, down
    assert seconds("locked") == pytest.approx(4 * n)  # everything, one after the other
    assert seconds("pipelined", micro_batches=4) == pytest.approx(
        3 * (4 + n - 1) / 4 + 1
    )  # GPipe's bubble
    assert seconds("data-parallel") == pytest.approx(3 + n)  # passes are shared, the update is not


def test_slow_links_cost_locked_workers_everything_and_decoupled_ones_nothing_while_there_is_room():
    costs, link = equal_stages(4), simulator.Link(latency=1.0, bandwidth=100)  # 2 s for a message
    assert 1 / simulator.throughput("locked", costs, link) == pytest.approx(16 + 6 * 2)
    assert 1 / simulator.throughput("decoupled", costs, link, room=4) == pytest.approx(6)
    assert (
        1 / simulator.throughput("decoupled", costs, link, room=1) > 6
    )  # it must wait for the receipt
    assert 1 / simulator.throughput("late", costs, link, room=4) == pytest.approx(5)
    assert 1 / simulator.throughput("late", costs, link, room=2) == pytest.approx((9 + 2 * 2) / 2)
    assert 1 / simulator.throughput("late", costs, simulator.Link(), room=64) == pytest.approx(5)
    simulator.late(costs, link, 2)  # fewer batches than there is room for
    wide_top = replace(costs, h=np.array([1.0, 1, 1, 1e4]))  # the outputs go nowhere
    assert 1 / simulator.throughput("late", wide_top, simulator.Link(bandwidth=10)) == (
        pytest.approx(5))
    narrow = simulator.Link(bandwidth=10)  # 10 s for each message
    assert 1 / simulator.throughput("late", costs, narrow, room=40) == pytest.approx(10)
    assert 1 / simulator.throughput("decoupled", costs, narrow, room=40) == pytest.approx(10)


def test_the_costs_of_messages_are_work():
    link = simulator.Link(per_message=0.5)
    assert 1 / simulator.throughput("locked", equal_stages(2), link) == pytest.approx(8 + 4 * 0.5)
    assert 1 / simulator.throughput("decoupled", equal_stages(2, 0.0), link) == pytest.approx(
        4 + 2 * 0.5
    )


def test_scaled_costs_are_those_of_a_deeper_network():
    costs = simulator.scaled(equal_stages(3, 0.0), 7)
    assert len(costs.h) == 7 and costs.block.sum() == 28


def test_a_recorded_run_accounts_for_its_time_and_its_picture_says_so():
    training = cases.apart("free", Threads(cases.WORKERS), recorded=(2, 20))
    training.run()
    for rank, records in training.records.items():
        assert (
            set(records[:, 0]) <= set(range(len(WHAT))) and (records[:, 3] >= records[:, 2]).all()
        )
        assert set(records[:, 1]) == set(range(2, 21)), rank
    for what in ("forward", "backward", "update", "synthesizer"):
        assert (training.records[1][:, 0] == WHAT.index(what)).any()
    simulated = {
        k: np.array(stage.records)
        for k, stage in enumerate(simulator.locked(equal_stages(3), FREE_LINK, 9))
    }
    picture = timeline({"measured": training.records, "simulated": simulated})
    assert re.search(
        r"measured, \d+ batches per second, .* simulated, 0 batches per second, "
        r"workers waiting 67 %, 67 %, 67 %",
        picture.alt,
    )


def test_a_timeline_of_nothing_is_refused():
    with pytest.raises(ValueError, match="runs is empty"):
        timeline({})
    with pytest.raises(ValueError, match="worker without records"):
        timeline({"a": {0: np.zeros((0, 4))}})
    with pytest.raises(ValueError, match="record more of them"):
        timeline({"a": {0: np.array([[0, 0, 0.0, 1.0]])}})


# The command line.

def tinydni_train(*options):
    return main([*SHORT_TRAINING[2:], *options])


def test_the_command_runs_workers_and_reports_them(tmp_path, capsys):
    files = {name: str(tmp_path / name) for name in ("a.json", "a.png", "t.png", "a.npz")}
    assert (
        tinydni_train(
            "--workers",
            "2",
            "--json",
            files["a.json"],
            "--figure",
            files["a.png"],
            "--timeline",
            files["t.png"],
            "--save",
            files["a.npz"],
        )
        == 0
    )
    assert "shows no" not in capsys.readouterr().out  # the timeline has all three kinds of workers
    assert all(Path(path).stat().st_size > 0 for path in files.values())
    result = json.loads(Path(files["a.json"]).read_text())
    assert (
        result["stages"] == [1, 2]
        and len(result["options"]["cuts"]) == 1
        and result["options"]["mode"] == "free"
    )
    assert sum(result["staleness"]["worker 0"].values()) == 2 * (
        1437 // result["options"]["batch_size"]
    )
    assert result["history"]["train_loss"][1] < result["history"]["train_loss"][0]


def test_lock_step_from_the_command_equals_the_one_loop(tmp_path, capsys):
    results = []
    for extra in (
        [],
        ["--workers", "2", "--mode", "lock-step"],
        ["--workers", "3", "--mode", "lock-step"],
    ):
        path = tmp_path / f"{len(results)}.json"
        assert (
            tinydni_train(
                "--cuts", "1,2,3", "--json", str(path), "--figure", str(tmp_path / "a.png"), *extra
            )
            == 0
        )
        results.append(json.loads(path.read_text()))
    assert results[0]["history"] == results[1]["history"] == results[2]["history"]
    assert results[0]["train_error"] == results[1]["train_error"]


@pytest.mark.parametrize(
    "options, words",
    [
        (["--mode", "free"], "--mode free is about workers: say how many"),
        (["--transport", "threads"], "--transport threads is about workers"),
        (["--timeline", "a.png"], "--timeline draws workers"),
        (
            ["--workers", "2", "--method", "backprop", "--mode", "free"],
            "--method backprop cannot run with --mode free",
        ),
        (["--workers", "2", "--mode", "locked"], "--method cdni cannot run with --mode locked"),
        (["--workers", "2", "--method", "none"], "--method none runs in one loop"),
        (["--workers", "9"], "9 workers are too many for a network of 4 parts"),
        (["--workers", "2", "--lambda", "0.5"], "--lambda is a way to run the modules in one loop"),
        (
            ["--workers", "2", "--p-update", "0.5"],
            "--p-update is a way to run the modules in one loop",
        ),
        (["--workers", "2", "--synthesizer", "guess"], "which workers cannot"),
        (
            ["--workers", "2", "--method", "backprop", "--mode", "data-parallel", "--cuts", "1"],
            "--cuts does nothing with",
        ),
    ],
)
def test_options_that_do_not_fit_are_named(options, words, capsys):
    assert tinydni_train(*options) == 2
    assert words in capsys.readouterr().err


@mpi
def test_mpi_without_mpiexec_says_how_to_start(tmp_path):
    run = python("-m", "tinydni", "train", "digits", "--transport", "mpi", cwd=tmp_path)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 2 and "mpiexec -n 2 tinydni train" in output


@mpi
def test_mpiexec_without_the_transport_is_refused(tmp_path):
    run = python("-m", "tinydni", "train", "digits", "--workers", "2", n=2, cwd=tmp_path)
    output, _ = run.communicate(timeout=60)
    assert run.returncode != 0 and "add --transport mpi" in output and not list(tmp_path.iterdir())


@mpi
def test_the_command_over_mpi_reports_once(tmp_path):
    run = python(
        *SHORT_TRAINING,
        "--transport",
        "mpi",
        "--json",
        "a.json",
        "--mode",
        "lock-step",
        "--cuts",
        "1,2,3",
        n=2,
        cwd=tmp_path,
    )
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 0 and output.count("train error") == 1, output
    assert (
        tinydni_train(
            "--cuts",
            "1,2,3",
            "--json",
            str(tmp_path / "b.json"),
            "--figure",
            str(tmp_path / "b.png"),
        )
        == 0
    )
    a, b = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert a["history"] == b["history"] and a["train_error"] == b["train_error"]


# Two hosts: two network namespaces with an address each, joined by a virtual cable; a script stands
# in for ssh.

LAUNCH = """#!/bin/bash
while [[ $1 == -* ]]; do shift; done
shift
exec ip netns exec {there} unshare -u bash -c "hostname {there}; $*"
"""


def wait_for_the_cable(*names):
    """Until both ends are up, which Linux notices up to a second after it was told."""
    for name in names:
        for _ in range(100):
            if (
                "state UP"
                in subprocess.run(
                    ["ip", "-n", name, "link", "show", "v0"], capture_output=True, text=True
                ).stdout
            ):
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"the cable of {name} was not up after 5 seconds")


@pytest.fixture
def two_hosts(tmp_path):
    """The first words of a command that runs one process on each of two hosts."""
    here, there = (f"td{secrets.token_hex(3)}" for _ in range(2))
    launch = tmp_path / "launch.sh"
    launch.write_text(LAUNCH.format(there=there))
    launch.chmod(0o755)
    ip = [
        f"netns add {here}",
        f"netns add {there}",
        f"link add v0 netns {here} type veth peer name v0 netns {there}",
        f"-n {here} addr add 10.9.0.1/24 dev v0",
        f"-n {there} addr add 10.9.0.2/24 dev v0",
        *(f"-n {name} link set {device} up" for name in (here, there) for device in ("v0", "lo")),
    ]
    try:
        for words in ip:
            if subprocess.run(["ip", *words.split()], capture_output=True).returncode:
                pytest.skip(f"this machine does not allow network namespaces: 'ip {words}' failed")
        wait_for_the_cable(here, there)
        yield [
            "ip",
            "netns",
            "exec",
            here,
            MPIEXEC,
            "-launcher",
            "ssh",
            "-launcher-exec",
            str(launch),
            "-hosts",
            "10.9.0.1,10.9.0.2",
            "-genv",
            "UCX_TLS",
            "tcp,self",
            "-n",
            "2",
        ]
    finally:
        for name in (here, there):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


@pytest.mark.slow
@mpi
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0 or not Path("/usr/sbin/ip").exists(),
                    reason="network namespaces need Linux, the ip command, and root")
def test_two_hosts_that_share_nothing_but_a_cable_give_the_numbers_of_one_loop(two_hosts, tmp_path):
    command = [
        *SHORT_TRAINING,
        "--cuts",
        "1,2,3",
        "--figure",
        str(tmp_path / "a.png"),
        "--json",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    apart = subprocess.run(
        [
            *two_hosts,
            sys.executable,
            *command,
            str(tmp_path / "apart.json"),
            "--transport",
            "mpi",
            "--mode",
            "lock-step",
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert apart.returncode == 0, apart.stdout + apart.stderr
    assert main([*command[2:], str(tmp_path / "one.json")]) == 0
    apart, one = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("apart", "one"))
    assert apart["history"] == one["history"]


def test_without_threads_workers_are_refused_in_a_sentence(monkeypatch, capsys, tmp_path):
    real = threading.Thread.start

    def start(thread):
        if thread.name.startswith("worker"):
            raise RuntimeError("can't start new thread")
        real(thread)
    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits", "--workers", "2", "--epochs", "1", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "starts no thread for worker 1 (can't start new thread); leave --workers out" in said
