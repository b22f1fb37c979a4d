"""The cytometry experiment: its data, its network, what DNI does in it, and the commands."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

import tinydni as td
from tinydni.algorithms import backprop
from tinydni.containers import Sequential
from tinydni.datasets import DataError, cytometry
from tinydni.gradcheck import assert_gradients
from tinydni.lab.cytometry import train_cytometry
from tinydni.lab.cytometry.cytometry_table import CYTOMETRY, step_times
from tinydni.lab.cytometry.discrepancy import discrepancy
from tinydni.lab.cytometry.fit import fit, running_mean, updates_until
from tinydni.lab.cytometry.pipeline import (
    denoiser,
    f1_scores,
    gate,
    nearly_complete,
    train_classifier,
)
from tinydni.lab.cytometry.populations import order_kept, suspicions, warnings
from tinydni.lab.cytometry.resnet import (
    CONTROLS,
    METHODS,
    build,
    mmd_resnet,
    reestimate_statistics,
    standardised_synthesizer,
    without_shortcut_gradient,
)
from tinydni.lab.jobs.ranges import OptionError
from tinydni.layer import Layer
from tinydni.optimizers import SGD, RMSProp
from tinydni.random import stream
from tinydni.synthesizers import Synthesizer
from tinydni.training import DivergedError
from tinydni.variants.mmd import MMD, kernel_width

CENTRES = np.array([[2.0, 0, 0, 1, 2, 0], [-1, 2, 0, 0, -1, 1], [0, -2, 1, -1, 0, 2],
                    [-1, 0, -2, 2, 1, -1]])


def cells(seed, n=1000, shift=0.0):
    """Four unequal populations in six markers, and their types; an instrument shifts and bends."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    x = CENTRES[labels] + 0.3 * rng.standard_normal((n, 6))
    x = x + shift * np.array([1, -0.8, 0.6, 0, 0.7, -0.5]) + 0.15 * shift * x
    return x.astype(np.float32), labels + 1


@pytest.fixture(scope="module")
def pair():
    """A source, its types, a target, its types, and the width of the kernels."""
    (source, source_types), (target, target_types) = cells(1, shift=0.6), cells(2)
    return source, source_types, target, target_types, kernel_width(target, stream(0, "sample"))


# The network

def test_the_network_starts_as_the_identity():
    x = cells(0)[0]
    network = build(METHODS["dni"], 1.0, 6, seed=0)
    np.testing.assert_allclose(network.predict(x), x, atol=1e-4)
    assert len(network.modules) == 6 and len(network.synthesizers()) == 5
    assert [synthesizer.n_h for synthesizer in network.synthesizers()] == [31, 6, 31, 6, 31]


def test_the_gradient_of_the_whole_network_with_its_loss():
    rng = np.random.default_rng(0)
    block = Sequential(*mmd_resnet(3, rng, n_blocks=2, n_hidden=4)).to(dtype=np.float64)
    for _, layer, name in block.slots():    # away from the start, where every ReLU is at its kink
        array = getattr(layer, name)
        array[...] = rng.standard_normal(array.shape) * 0.5 + (name == "gamma")
    assert_gradients(block, (9, 3))


class Oracle(Synthesizer, Layer):
    """Knows the true gradient: it runs copies of what is above the interface."""

    sees = ("everything",)

    def forward(self, h, context=None):
        above, loss = copy.deepcopy((self.above, self.loss))
        for block in above:
            h = block.forward(h)
        loss.forward(h, self.target)
        dh = loss.backward()
        for block in reversed(above):
            dh = block.backward(dh)
        return dh * len(dh)

    def learn(self, h, context, target, lr):
        pass


def test_with_an_oracle_dni_is_backprop_bit_for_bit():
    source, target = cells(1, 64, shift=0.6)[0], cells(2, 64)[0]
    blocks = mmd_resnet(6, np.random.default_rng(0))
    options = dict(lr=lambda: RMSProp(1e-3, 0.99, weight_decay=0.02), input_shape=(6,))
    locked = td.build(blocks, MMD(1.0), algorithm=backprop, **options)
    decoupled = td.build(blocks, MMD(1.0), synthesizer=lambda n: Oracle(),
                         synthesizer_lr=lambda: SGD(0), **options)
    for i, module in enumerate(decoupled.modules[:-1]):
        module.synthesizer.above = [other.block for other in decoupled.modules[i + 1:]]
        module.synthesizer.loss, module.synthesizer.target = decoupled.modules[-1].loss, target
    for _ in range(6):
        assert decoupled.step(source, target) == locked.step(source, target)
    for a, b, start in zip(decoupled.modules, locked.modules, blocks):
        for path, array in a.block.state().items():
            np.testing.assert_array_equal(array, b.block.state()[path], err_msg=path)
        assert any((array != start.state()[path]).any() for path, array in a.block.state().items())


def test_without_the_shortcut_the_message_is_another_one():
    blocks = mmd_resnet(6, np.random.default_rng(0))
    x, dy = cells(0, 40)[0], np.random.default_rng(1).standard_normal((40, 6)).astype(np.float32)
    whole = Sequential(*blocks)
    forgetful = Sequential(*without_shortcut_gradient(copy.deepcopy(blocks)))
    np.testing.assert_array_equal(whole.forward(x), forgetful.forward(x))
    np.testing.assert_allclose(whole.backward(dy), dy, atol=1e-2)           # near the identity
    assert np.abs(forgetful.backward(dy)).max() < 1e-2


def test_statistics_become_those_of_the_whole_sample():
    x = cells(0, 3000)[0]
    network = build(METHODS["backprop"], 1.0, 6, seed=0)
    y = cells(1)[0]
    for i in range(0, 600, 200):
        network.step(x[i:i + 200], y[:200])
    reestimate_statistics(network, x, batch_size=700)
    first = network.modules[0].block.branch.layers[0]
    np.testing.assert_allclose(first.running_mean, x.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(first.running_var, x.var(axis=0, ddof=1), rtol=1e-4)
    assert first.momentum == 0.1 and first.training
    h = x
    for module in network.modules:      # with batch statistics of all cells: so must evaluation
        h = module.block.forward(h)
    np.testing.assert_allclose(network.predict(x), h, atol=1e-2)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_the_synthesizer(hidden):
    rng = np.random.default_rng(0)
    synthesizer = standardised_synthesizer(4, rng, hidden, eps=1e-12, dtype=np.float64)
    h = rng.standard_normal((50, 4)) * [1e-1, 1, 10, 100] + [0, 5, -3, 200]
    assert not synthesizer.forward(h).any()             # the first guess is "no gradient"
    z = (h - h.mean(axis=0)) / h.std(axis=0)
    target = z @ rng.standard_normal((4, 4))
    losses = []
    for _ in range(300):
        synthesizer.learn(h, None, target, SGD(0.1))
        losses.append(float(synthesizer.loss()))
    assert losses[-1] < (0.1 if not hidden else 0.5) * losses[0]
    np.testing.assert_allclose(synthesizer.forward(h * 7 + 3), synthesizer.forward(h), rtol=1e-6,
                               atol=1e-6)
    with pytest.raises(ValueError, match="context"):
        synthesizer.forward(h, np.ones((50, 2)))


# Training

def final(pair, method, seed=0, updates=150):
    source, _, target, _, m = pair
    network, mmd = fit(source, target, m, method, seed, updates, batch_size=250)
    return network.predict(source), mmd


def test_dni_calibrates_and_more_than_the_last_layer_does(pair):
    source, types, target, target_types, m = pair
    rng = np.random.default_rng(0)
    reached = {}
    for name, method in METHODS.items():
        after, mmd = final(pair, method)
        assert len(mmd) == 150
        reached[name] = discrepancy(after, target, m, rng, 500)[0]
    before = discrepancy(source, target, m, rng, 500)[0]
    assert reached["backprop"] < 0.5 * before
    assert reached["dni"] < 0.6 * before
    assert reached["dni"] < reached["none"] - 0.02


def test_the_same_seed_gives_the_same_curve(pair):
    assert final(pair, METHODS["dni"], 3, 10)[1] == final(pair, METHODS["dni"], 3, 10)[1]
    assert final(pair, METHODS["dni"], 3, 10)[1] != final(pair, METHODS["dni"], 4, 10)[1]


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_runs(pair, name):
    assert np.isfinite(final(pair, CONTROLS[name], updates=15)[1]).all()


def test_a_run_that_diverges_says_so(pair):
    source, _, target, _, m = pair
    source = source.copy()
    source[:] = np.nan
    with pytest.raises(DivergedError, match="update 1"):
        fit(source, target, m, METHODS["dni"], 0, 5)


def test_the_running_mean_and_when_it_arrives():
    values = [1.0] * 20 + [0.0] * 30
    np.testing.assert_allclose(running_mean(values, 4)[[0, 19, 20, 23, 49]], [1, 1, 0.75, 0, 0])
    assert updates_until(values, 0.5) == 28             # 8 of the last 15 are zero
    assert updates_until(values, 1.0) == 15 and updates_until(values, -1) is None


def test_step_times_are_measured():
    times = step_times(n_cells=50, repeats=3)
    assert times.keys() == {"backprop", "dni", "mmd", "repeats"} and times["repeats"] == 3


# The pipeline

def test_the_classifier_gates_and_leaves_unsure_cells_out():
    target, target_types = cells(2, 6000)
    network = train_classifier(target, target_types, seed=0, epochs=60)
    labels = target_types.copy()
    labels[:100] = 0                                    # not gated: must not count
    f1 = f1_scores(network, target, labels)
    assert f1["weighted"] > 0.95 and len(f1["types"]) == 4
    assert f1["macro"] == pytest.approx(np.mean(f1["types"]))
    assert set(gate(network, target)) <= {0, 1, 2, 3, 4}
    network.modules[-1].block.layers[-1].W[:] = 0
    network.modules[-1].block.layers[-1].b[:] = 0       # now every type has 1/4
    assert not gate(network, target).any()


def test_the_denoiser_fills_in_what_was_taken_out():
    x = np.abs(cells(0, 4000)[0]) + 1
    network = denoiser(x, seed=0, epochs=8)
    holes = x.copy()
    holes[:, 2] = 0
    filled = network.predict(holes)
    assert np.mean((filled[:, 2] - x[:, 2]) ** 2) < 0.5 * np.mean(x[:, 2] ** 2)


def test_nearly_complete_cells_have_at_most_one_zero():
    x = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(nearly_complete(x), x[1:])


def test_a_torn_population_is_noticed_without_labels_and_a_moved_one_is_not(pair):
    source, types, _, _, _ = pair
    rng = np.random.default_rng(0)
    moved = source * 1.3 + np.sin(source) * 0.2 + 1
    assert warnings(source, moved, rng) == []
    torn = moved.copy()
    half = (types == 1) & (source[:, 3] > CENTRES[0, 3])    # a part is put into another population
    torn[half] += (CENTRES[2] - CENTRES[0]).astype(np.float32)
    found = suspicions(source, torn)
    assert found and found[0][0] > 1.4 and "torn" in warnings(source, torn, rng)[0]
    squashed = moved.copy()
    centre = squashed[types == 1].mean(axis=0)
    squashed[types == 1] = centre + 0.05 * (squashed[types == 1] - centre)
    assert any("squashed" in text for text in warnings(source, squashed, rng))


def test_populations_that_changed_places_are_noticed_without_labels(pair):
    source, types, _, _, _ = pair
    swapped = source.copy()
    for a, b in ((1, 2), (2, 1), (3, 4), (4, 3)):
        swapped[types == a] += (CENTRES[b - 1] - CENTRES[a - 1]).astype(np.float32)
    assert order_kept(source, source * 2 + 1) == pytest.approx(1)
    assert order_kept(source, -source) == pytest.approx(-1)
    found = warnings(source, swapped, np.random.default_rng(0))
    assert any("changed places" in text for text in found)


# The data and the commands

@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder with 16 small samples in the official format."""
    (tmp_path / "deepcytof").mkdir()
    for number in range(1, 17):
        rng = np.random.default_rng(number)
        labels = rng.integers(0, 5, 300)
        logs = rng.standard_normal((300, 8)) * 0.4 + labels[:, None] * 0.7 + 0.3 * (number > 8)
        np.savetxt(tmp_path / "deepcytof" / f"sample{number}.csv", np.expm1(np.abs(logs)),
                   fmt="%.5g", delimiter=",")
        np.savetxt(tmp_path / "deepcytof" / f"labels{number}.csv", labels, fmt="%d")
    monkeypatch.setenv("TINYDNI_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_samples_are_read_and_checked(folder):
    sample = cytometry(3)
    assert sample.counts.shape == (300, 8) and sample.counts.dtype == np.float32
    assert sample.labels.dtype == np.int64 and (sample.gated == (sample.labels > 0)).all()
    with pytest.raises(ValueError, match="from 1 to 16"):
        cytometry(17)


@pytest.mark.parametrize("name, text, match", [
    ("sample3.csv", "1,2,3\n4,5,6\n", "8 numbers per line"),
    ("sample3.csv", "1,2,3,4,5,6,7,-8\n", "negative"),
    ("sample3.csv", "a,b\n", "not a table of numbers"),
    ("labels3.csv", "1\n2\n", "one label for each"),
    ("labels3.csv", "7\n" * 300, "outside 0 ... 4"), ("sample3.csv", "", "8 numbers per line")])
def test_broken_files_are_named(folder, name, text, match):
    (folder / "deepcytof" / name).write_text(text)
    with pytest.raises(DataError, match=match) as error:
        cytometry(3)
    assert name in str(error.value)


def command(module, *arguments):
    """Runs a command of this experiment as the command line does."""
    import argparse
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.main(parser.parse_args([str(argument) for argument in arguments]))


@pytest.mark.parametrize("method", METHODS)
def test_train_writes_figures_and_json(folder, method, capsys):
    assert command(train_cytometry, "--quick", "--quiet", "--method", method, "--json", "c.json",
                   "--figure", "c.png") == 0
    result = json.loads((folder / "c.json").read_text())
    assert {"experiment", "method", "options", "seed", "backend", "seconds", "history",
            "versions", "iterations",
            *(f"{score}_{when}" for when in ("before", "after") for score in
              ("mmd", "mmd_unbiased", "f1_weighted", "f1_macro"))} <= result.keys()
    assert result["iterations"] == 30 == len(result["history"]["mmd"])
    for name in ("c.png", "c-cells.png", "c-markers.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert "F1 of the gated cells, macro" in capsys.readouterr().out


def test_wrong_use_is_refused(folder):
    with pytest.raises(OptionError, match="no synthesizer"):
        command(train_cytometry, "--quick", "--method", "backprop", "--synthesizer", "mlp")
    with pytest.raises(OptionError, match="from 1 to 16"):
        command(train_cytometry, "--source", 20)
    with pytest.raises(OptionError, match="does not exist"):
        command(train_cytometry, "--json", "nowhere/c.json")
    with pytest.raises(OptionError, match="must end in .png"):
        command(train_cytometry, "--figure", "x.txt")


def test_the_table_is_made_and_finished_runs_are_kept(folder, capsys):
    assert command(CYTOMETRY, "--quick", "--jobs", 1, "--out", "t") == 0
    report = json.loads((folder / "t" / "cytometry-quick.json").read_text())
    assert {"table", "rows", "settings", "differences", "seconds"} <= report.keys()
    assert {"row", "column", "mean", "std", "seeds", "paper"} <= report["rows"][0].keys()
    text = (folder / "t" / "cytometry-quick.md").read_text()
    for word in ("15 before", "15 dni", "one dense layer, SGD", "2.419", "81.71", "76.29"):
        assert word in text
    kept = sorted((folder / "t" / "runs").iterdir())
    assert len(kept) == len(METHODS) + len(CONTROLS)
    times = [path.stat().st_mtime_ns for path in kept]
    assert command(CYTOMETRY, "--quick", "--jobs", 1, "--out", "t") == 0
    assert times == [path.stat().st_mtime_ns for path in kept]


def test_a_table_of_one_update_is_no_quick_table():
    sources = {cell.options["source"] for cell in CYTOMETRY.cells(1)}
    assert sources == {15, 14, 11}
    assert {cell.options["updates"] for cell in CYTOMETRY.cells(1)} == {1}
    assert {cell.options["source"] for cell in CYTOMETRY.cells(CYTOMETRY.quick)} == {15}


def test_the_committed_page_is_made_from_the_committed_numbers():
    results = Path(__file__).parents[2] / "docs" / "results"
    report = json.loads((results / "cytometry.json").read_text(encoding="utf-8"))
    page, again = (results / "cytometry.md").read_text(encoding="utf-8"), CYTOMETRY.markdown(report)
    names, dashes = (lambda text: [line.split("|")[1] for line in text.splitlines() if "|" in line],
                     lambda text: [line for line in text.splitlines() if "– (" in line])
    assert names(again) == names(page) and dashes(again) == dashes(page) != []
