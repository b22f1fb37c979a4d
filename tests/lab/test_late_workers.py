"""What comes late over workers: the numbers of one loop in lock-step, and all of it arrives."""

import json
import subprocess
import sys

import numpy as np
import pytest
from building import build
from conftest import MPIEXEC_PATH, why_no_mpi

import tinydni as td
from tinydni import plots
from tinydni.lab.cli import main
from tinydni.lab.jobs import parallel
from tinydni.lab.jobs.digits import JOB as DIGITS
from tinydni.lab.workers import Kind, Message, ParallelTraining, Plan, ProtocolError
from tinydni.lab.workers.costs import Costs
from tinydni.lab.workers.late import Late
from tinydni.lab.workers.transports.in_turn import InTurn
from tinydni.lab.workers.transports.threads import Threads
from tinydni.variants import LateGradients, LateTargets

WIDTHS, BATCH, STEPS = (9, 12, 12, 12, 1), 16, 12       # 4 bits: 204 sums to learn from
WORKERS = len(WIDTHS) - 1
TRANSPORTS = {"in turn": lambda n: InTurn(n, np.random.default_rng(0)), "threads": Threads}
of_both = pytest.mark.parametrize("late", ["targets", "gradients"])


def data():
    return td.datasets.addition(bits=4)


def network(late="targets", workers=True):
    widths = (data().n_in, *WIDTHS[1:-1], data().n_out)
    blocks, rng = td.mlp(widths, td.stream(0, "weights")), td.stream(0, "synthesizer")
    if late == "gradients":
        return build(blocks, td.BinaryCrossEntropy(), lambda: td.Adam(0.01),
                     algorithm=LateGradients(widths, BATCH))
    return build(blocks, td.BinaryCrossEntropy(), lambda: td.Adam(0.01),
                 lambda n: td.mlp_synthesizer(n, rng, data().n_out, (8,)), lambda: td.Adam(0.003),
                 algorithm=td.update_decoupled if workers
                 else LateTargets(widths, BATCH, n_context=data().n_out))


def one_loop(late, epochs=1):
    return td.Training(network(late, workers=False), data(), epochs, BATCH, 0, td.LinearDecay(24),
                       td.percent_bits_wrong, data().context())


def apart(transport, mode="lock-step", ends=None, epochs=1, late="targets", **options):
    def make_plan(training):
        return Plan(mode, ends or list(range(1, WORKERS + 1)), training.schedule,
                    training.batch_of, BATCH, late=late, **options)
    return ParallelTraining(network(late), data(), epochs, BATCH, 0, td.LinearDecay(24),
                            td.percent_bits_wrong, data().context(), transport=transport,
                            make_plan=make_plan)


def weights(training, what):
    return {f"{path}.{name}": W for path, layer, _ in training.network.learners()
            if path.endswith(what) for name, W, _ in layer.named_parameters()}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_lock_step_is_the_one_loop(transport):
    """Bit for bit in what blocks and losses are; synthesizers have then learned the rest, too."""
    whole, parts = one_loop("targets"), apart(TRANSPORTS[transport](WORKERS))
    assert parts.run()["train_loss"] == whole.run()["train_loss"]
    assert parts.history["test_error"] == whole.history["test_error"]
    found, expected = weights(parts, "block"), weights(whole, "block")
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    drained(whole)
    found, expected = weights(parts, "synthesizer"), weights(whole, "synthesizer")
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_lock_step_is_the_one_loop_where_blocks_learn_late(transport):
    """Bit for bit: the losses, and the blocks once the last gradients have arrived in both."""
    whole, parts = one_loop("gradients"), apart(TRANSPORTS[transport](WORKERS), late="gradients")
    assert parts.run()["train_loss"] == whole.run()["train_loss"]
    drained(whole)
    found, expected = weights(parts, "block"), weights(whole, "block")
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def drained(training):
    """Let what is under way in one loop arrive, from the top down."""
    late, modules = training.network.algorithm, training.network.modules
    for _ in range(WORKERS - 1):
        for k, module in enumerate(modules[:-1]):
            if late.steps - len(late.inputs[k]) < STEPS:        # else it has had them all
                if isinstance(late, LateGradients):
                    late.update_late(k, module)
                else:
                    late.learn_late(k, module, True)
        late.steps += 1


@of_both
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("mode", ["lock-step", "free"])
@pytest.mark.parametrize("ends", [[1, 2, 3, 4], [2, 4], [1, 4], [3, 4]], ids=str)
def test_every_gradient_is_learned_once(transport, mode, ends, late):
    training = apart(TRANSPORTS[transport](len(ends)), mode, ends, epochs=2, late=late)
    training.run()
    for rank, steps in training.staleness.items():
        most = (len(ends) - 1 - rank) * (1 if mode == "lock-step" else 4)
        assert sum(steps.values()) == 2 * STEPS * (rank < len(ends) - 1)
        assert max(steps, default=0) <= most


def test_in_lock_step_a_gradient_is_as_late_as_there_are_workers_above():
    training = apart(TRANSPORTS["in turn"](WORKERS))
    training.run()
    for rank in range(WORKERS - 1):
        above = WORKERS - 1 - rank
        assert training.staleness[rank][above] == STEPS - above
        assert max(training.staleness[rank]) == above


@of_both
def test_a_run_over_two_epochs_goes_on_where_it_was(late):
    """What is drained at the end of an epoch leaves nothing behind that the next one would take."""
    history = apart(TRANSPORTS["in turn"](WORKERS), epochs=2, late=late).run()
    assert len(history["epoch"]) == 2 and np.isfinite(history["train_loss"]).all()


def test_the_gradient_of_another_batch_is_refused():
    training = apart(TRANSPORTS["in turn"](WORKERS), "free")
    endpoint = training.transport.start(training.make_worker, "").endpoint
    worker = Late(endpoint, training.plan.stage(training.network, 0), training.plan)
    x, context, target = training.batch_of(slice(BATCH))
    worker.take(Message(Kind.INPUT, 0, 0, (x, context, target)))
    worker.work()
    with pytest.raises(ProtocolError, match="batch 7, but waits for that of 0"):
        worker.take(Message(Kind.GRADIENT, 7, 1, (np.zeros((BATCH, 12), np.float32),)))


def test_a_block_that_draws_is_refused():
    training = apart(TRANSPORTS["in turn"](WORKERS))
    module = training.network.modules[1]
    module.block = td.Sequential(module.block, td.Dropout(0.5, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="a worker runs a block twice"):
        training.run()


@pytest.mark.parametrize("mode", [["--mode", "lock-step"], ["--mode", "free"], []], ids=str)
@pytest.mark.parametrize("method", [["dni", "--late"], ["late-gradients"]], ids=str)
def test_the_command_over_threads(method, mode, tmp_path, capsys):
    assert main(["train", "addition", "--bits", "4", "--epochs", "1", "--method", *method,
                 "--layers", "3", "--workers", "3", *mode, "--figure", str(tmp_path / "a.png"),
                 "--json", str(tmp_path / "a.json"), "--quiet"]) == 0
    assert "a.json" in capsys.readouterr().out


@pytest.mark.parametrize("options, sentence", [
    (["--late", "0"], "--late 0 with --method late-gradients is --method backprop"),
    (["--workers", "3", "--mode", "locked"], "cannot run with --mode locked"),
    (["--workers", "3", "--late", "2"], "a message takes the time that it takes")], ids=str)
def test_options_that_late_gradients_cannot_have(options, sentence, capsys):
    command = ["train", "addition", "--bits", "4", "--method", "late-gradients", *options]
    assert main(command) == 2
    assert sentence in capsys.readouterr().err


def test_a_timeline_of_too_few_batches_is_not_drawn_and_not_listed(tmp_path, capsys):
    paths = [str(tmp_path / name) for name in ("a.png", "t.png")]
    assert main(["train", "addition", "--bits", "4", "--quick", "--method", "late-gradients",
                 "--workers", "2", "--quiet", "--figure", paths[0], "--timeline", paths[1]]) == 1
    told = capsys.readouterr()
    assert "t.png is not drawn: it shows batches 30 to 180, and this run has 12." in told.err
    assert "a.png" in told.out and "t.png" not in told.out


def test_the_timeline_of_late_gradients_shows_them(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(plots, "timeline", lambda records: drawn.update(records))
    monkeypatch.setattr(plots, "save", lambda picture, path: None)
    options = DIGITS.options({"method": "late-gradients", "workers": 2, "quick": True})
    parallel.draw_timelines(DIGITS, options, tmp_path / "t.png")
    assert list(drawn) == ["locked", "late gradients", "decoupled", "fully unlocked"]


def test_a_plan_knows_what_comes_late():
    with pytest.raises(ValueError, match="late must be 'targets', 'gradients' or ''; got 'gra"):
        Plan("free", [1, 2], None, None, 1, late="gradient")


@pytest.mark.skipif(why_no_mpi() is not None, reason=str(why_no_mpi()))
def test_lock_step_over_mpi_is_the_one_loop(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", MPIEXEC_PATH)
    command = ["-m", "tinydni", "train", "addition", "--bits", "4", "--epochs", "1", "--method",
               "dni", "--late", "--layers", "3", "--quiet", "--figure", str(tmp_path / "a.png")]
    told = []
    for launcher, more in (([], []), (["mpiexec", "-n", "3"], ["--transport", "mpi", "--mode",
                                                                "lock-step"])):
        path = tmp_path / f"{len(told)}.json"
        subprocess.run([*launcher, sys.executable, *command, *more, "--json", str(path)],
                       check=True, capture_output=True, timeout=120)
        told.append(json.loads(path.read_text())["history"])
        del told[-1]["synthesizer_loss"]        # the last gradients have arrived, in workers
    assert told[0] == told[1]


@pytest.mark.parametrize("method, cut", [("late-gradients", [3]), ("backprop", [4])])
def test_the_second_forward_pass_counts_in_the_cut(monkeypatch, method, cut):
    """Eight equal parts: of two workers, the lower one of late gradients runs forward twice."""
    ones, none = np.ones(8), np.zeros(8)
    costs = Costs(ones, 2 * ones, 0.5 * ones, none, none, ones, ones)
    monkeypatch.setattr(parallel, "measure", lambda *given: costs)
    options = {"cuts": None, "mode": "free", "method": method, "workers": 2, "batch_size": 4}
    net = build(td.mlp((2, *7 * [3], 1), np.random.default_rng(0)), td.MeanSquaredError(),
                lambda: td.SGD(0.1), algorithm=td.backprop)
    found = parallel.with_cuts(options, lambda options: net, data(), None)
    assert found["cuts"] == cut
