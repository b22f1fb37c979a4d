"""Pictures: they show what is there, say it in words, and are written whole or not at all."""

import importlib.util
import json
import struct
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from building import build
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

import tinydni as td
from tinydni.plots import (
    Picture,
    bit_predictions,
    check_path,
    draw_network,
    gradient_quality,
    learning_curve,
    markdown_table,
    marker_histograms,
    misread_digits,
    picture,
    results_table,
    save,
)
from tinydni.plots.diagram import box_text
from tinydni.plots.learning_curve import apart, number
from tinydni.plots.style import METHODS, OTHERS, ROLES, lines
from tinydni.plots.timeline import COLORS
from tinydni.variants.full_unlock import FullUnlock, full_unlock
from tinydni.variants.input_synthesizers import input_synthesizer
from tinydni.variants.stochastic import Stochastic

DOCS = Path(__file__).parents[2] / "docs"
ROWS = [
    {
        "row": "3 layers",
        "column": "backprop",
        "mean": 1.847,
        "std": 0.061,
        "seeds": 3,
        "paper": 2.0,
    },
    {"row": "3 layers", "column": "cdni", "mean": 1.6, "std": None, "seeds": 1, "paper": None},
    {"row": "6 layers", "column": "cdni", "mean": 1.9, "std": 0.1, "seeds": 3, "paper": 1.6},
]


def network(algorithm=td.update_decoupled, widths=(5, 4, 4, 3), context=3, reads_h=True):
    """A small network under an algorithm; synthesizers that see nothing stand for none."""
    def synthesizer(n):
        return td.LinearSynthesizer(n, n_context=context, reads_h=reads_h)

    def adam():
        return td.Adam(1e-3)

    with_synthesizers = () if algorithm in (td.backprop, td.no_backprop) else (synthesizer, adam)
    inputs = (
        {}
        if algorithm is not full_unlock
        else {
            "input_synthesizer": lambda n: input_synthesizer(
                widths[0], n, np.random.default_rng(0)
            ),
            "input_lr": adam,
        }
    )
    return build(
        td.mlp(widths, np.random.default_rng(0)),
        td.SoftmaxCrossEntropy(),
        adam,
        *with_synthesizers,
        algorithm=algorithm,
        **inputs,
    )


def a_curve():
    return learning_curve(
        {"cdni": ([1, 2, 3], [9.0, 4.0, 2.0])}, title="A curve", xlabel="epoch", ylabel="error"
    )


def bits():
    data = td.datasets.addition(bits=3)
    return bit_predictions(data.x_test, data.y_test, data.y_test)


def digits():
    return misread_digits(
        np.random.default_rng(0).random((6, 16)), np.arange(6), np.array([0, 1, 2, 3, 5, 4])
    )


def history(n_interfaces=2, cosines=(0.1, 0.5, 0.9)):
    """What a Training with measure_gradients keeps, for three epochs."""
    return {
        "epoch": [1, 2, 3],
        "gradients": [[{"cosine": c, "norm_ratio": 2.0}] * n_interfaces for c in cosines],
    }


def quality():
    return gradient_quality({"cdni": history(), "dni": history()}, "Guess beside truth")


PICTURES = {"curve": a_curve, "quality": quality, "network": lambda: draw_network(network()),
            "unlocked": lambda: draw_network(network(full_unlock), network(Stochastic(0.25, 3, 0))),
            "bits": bits, "digits": digits,
            "table": lambda: results_table(ROWS, "A table", "Error [%]")}


def key(figure):
    """The kinds of arrow that the key of a drawing explains."""
    return {
        patch.get_gid()[5:]
        for patch in figure.axes[0].patches
        if str(patch.get_gid()).startswith("key: ")
    }


def drawn(figure):
    """The names (gid) of the shapes in a figure, without the key, counted."""
    names = [patch.get_gid() for axes in figure.axes for patch in axes.patches]
    return Counter(name for name in names if name and not name.startswith("key: "))


def texts(figure):
    """Everything that is written in a figure."""
    axes = [text for axes in figure.axes for text in axes.texts]
    return [text.get_text() for text in [*axes, *figure.figure.texts]]


def png_text(path):
    """Size and text entries of a PNG file, read by the format's own definition."""
    data, entries, place = Path(path).read_bytes(), {}, 8
    assert data[:8] == b"\x89PNG\r\n\x1a\n", f"{path} is not a PNG file"
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place:place + 8])
        body = data[place + 8:place + 8 + length]
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        if kind in (b"tEXt", b"iTXt"):
            key, value = body.split(b"\0", 1)
            entries[key.decode()] = value.lstrip(b"\0").decode(
                "utf-8" if kind == b"iTXt" else "latin-1"
            )
        place += 12 + length
    return size, entries


# Files --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", PICTURES)
def test_each_picture_is_a_png_of_sensible_size_with_its_description(tmp_path, name):
    figure = PICTURES[name]()
    save(figure, tmp_path / "p.png")
    (width, height), entries = png_text(tmp_path / "p.png")
    assert 600 <= width <= 2400 and 300 <= height <= 2400, (width, height)
    assert len((tmp_path / "p.png").read_bytes()) < 400_000
    assert (
        entries["Description"] == figure.alt and len(figure.alt) > 60 and figure.alt.endswith(".")
    )


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_written_reaches_over_the_edge(name):
    figure = PICTURES[name]().figure
    figure.canvas.draw()
    for axes in figure.axes:
        for text in [*figure.texts, *axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]:
            box = text.get_window_extent()
            inside = (
                box.x0 >= 0
                and box.y0 >= 0
                and box.x1 <= figure.bbox.x1
                and box.y1 <= figure.bbox.y1
            )
            assert inside or not text.get_text(), f"{text.get_text()!r} leaves the picture: {box}"


def test_same_picture_same_bytes_in_every_format(tmp_path):
    for ending in picture.ENDINGS:
        for name in "ab":
            save(a_curve(), tmp_path / (name + ending))
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes(), (
            ending
        )


def test_svg_and_pdf_hold_the_description(tmp_path):
    figure = a_curve()
    save(figure, tmp_path / "p.svg")
    assert figure.alt in (tmp_path / "p.svg").read_text()
    save(figure, tmp_path / "p.pdf")
    assert b"Learning curves, A curve" in (tmp_path / "p.pdf").read_bytes()


@pytest.mark.parametrize("name", ["p.jpg", "p", "p.png.txt"])
def test_wrong_ending(tmp_path, name):
    for refuses in (check_path, lambda path: save(a_curve(), path)):
        with pytest.raises(ValueError, match=r"must end in \.png, \.svg or \.pdf; got .*" + name):
            refuses(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path):
    for refuses in (check_path, lambda path: save(a_curve(), path)):
        with pytest.raises(FileNotFoundError, match="the folder .*nowhere does not exist"):
            refuses(tmp_path / "nowhere" / "p.png")


def test_a_failing_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "p.png"
    path.write_bytes(b"old")

    def half_written(self, temporary, **options):
        Path(temporary).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", half_written)
    with pytest.raises(OSError, match="no space left"):
        save(Picture(2, 2, "An empty picture."), path)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["p.png"]


def test_a_picture_shows_itself_in_a_notebook():
    figure = a_curve()
    data, about = figure._repr_png_()
    assert data[:4] == b"\x89PNG" and about["alt"] == figure.alt
    assert (about["width"], about["height"]) == (int(100 * figure.width), int(100 * figure.height))


@pytest.mark.parametrize("alt", ["", "curve", "  "])
def test_a_picture_needs_a_sentence(alt):
    with pytest.raises(ValueError, match="alt must describe"):
        Picture(2, 2, alt)


def test_matplotlib_waits_for_the_first_picture_and_pyplot_is_left_alone():
    code = ("import sys, json, tinydni.plots as p; before = 'matplotlib' in sys.modules\n"
            "p.learning_curve({'cdni': ([1, 2], [2, 1])})\n"
            "print(json.dumps([before, 'matplotlib.pyplot' in sys.modules]))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, False]


# The drawing of networks --------------------------------------------------------------------------

@pytest.mark.parametrize("n_blocks", [1, 2, 5])
@pytest.mark.parametrize("algorithm", [td.backprop, td.no_backprop, td.update_decoupled])
def test_the_drawing_has_what_the_network_has(algorithm, n_blocks):
    net = network(algorithm, (5, *[4] * (n_blocks - 1), 3))
    figure = draw_network(net)
    names = drawn(figure)
    assert set(names.values()) == {1}, "something is drawn twice"
    arrows = [name for name in names if ": " in name]
    kinds = Counter(name.split(": ")[0] for name in arrows)
    things = Counter(name.split()[0] for name in names if name not in arrows)
    assert key(figure) == set(kinds), (
        "the key explains the kinds of arrow that there are, and no others"
    )
    below = n_blocks - 1
    guessers = len(net.synthesizers())
    assert (
        things["block"] == len(net.modules)
        and things["synthesizer"] == guessers
        and things["loss"] == 1
    )
    assert guessers == (below if algorithm is td.update_decoupled else 0)
    assert (
        kinds["forward"] == n_blocks + 2 + 2 * guessers
    )  # x, every h, the target; h and context to every M
    assert kinds["synthetic gradient"] == guessers
    passed = {td.backprop: below, td.no_backprop: 0, td.update_decoupled: min(1, below)}[algorithm]
    assert kinds["true gradient"] == 1 + passed
    assert kinds["message"] == (max(0, below - 1) if algorithm is td.update_decoupled else 0)


def test_arrows_end_where_the_algorithm_sends_them():
    names = drawn(draw_network(network()))
    assert set(names) == {
        "block 0", "block 1", "block 2", "loss 2", "synthesizer 0", "synthesizer 1",
        "forward: input 0 to block 0", "forward: block 0 to block 1", "forward: block 1 to block 2",
        "forward: block 2 to loss 2", "forward: target 2 to loss 2",
        "forward: block 0 to synthesizer 0", "forward: block 1 to synthesizer 1",
        "forward: context 0 to synthesizer 0", "forward: context 1 to synthesizer 1",
        "true gradient: loss 2 to block 2", "true gradient: block 2 to synthesizer 1",
        "synthetic gradient: synthesizer 1 to block 1", "message: block 1 to synthesizer 0",
        "synthetic gradient: synthesizer 0 to block 0"}


def test_under_full_unlock_every_block_but_the_first_runs_on_a_guessed_input():
    names, below = drawn(draw_network(network(full_unlock))), drawn(draw_network(network()))
    passed_up = {"forward: block 0 to block 1", "forward: block 1 to block 2"}
    assert set(below) - set(names) == passed_up
    assert set(names) - set(below) == {
        f"{kind}{i}{rest}"
        for i, j in ((1, 0), (2, 1))
        for kind, rest in (
            ("input synthesizer ", ""),
            ("forward: input 0 to input synthesizer ", ""),
            ("synthetic input: input synthesizer ", f" to block {i}"),
            (f"input message: block {j} to input synthesizer ", ""),
        )
    }


def test_stochastic_updates_are_the_decoupled_ones_now_and_then():
    now_and_then, always = draw_network(network(Stochastic(0.25, 3, 0))), draw_network(network())
    assert drawn(now_and_then) == drawn(always)
    assert (
        texts(now_and_then).count("updates\nwith\np\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.25") == 3
    )
    assert "with probability 0.25" in now_and_then.alt


@pytest.mark.parametrize("context, reads_h", [(0, True), (3, False), (3, True)])
def test_a_synthesizer_gets_arrows_from_what_it_sees(context, reads_h):
    names = drawn(draw_network(network(context=context, reads_h=reads_h)))
    assert ("forward: block 0 to synthesizer 0" in names) == reads_h
    assert ("forward: context 0 to synthesizer 0" in names) == (context > 0)


def test_boxes_name_layers_and_widths():
    figure = draw_network(network(), network(td.backprop), titles=("One", "Two"))
    assert texts(figure).count("Linear 5 → 4\nBatchNorm · ReLU") == 2
    assert texts(figure).count("SoftmaxCrossEntropy") == 2
    assert {"One", "Two", "waits for\n4 passes", "waits for\n2 passes"} <= set(texts(figure))


def test_equal_layers_are_counted_and_long_blocks_cut():
    rng = np.random.default_rng(0)
    residual = [td.Residual(td.Linear(4, 4, rng)) for _ in range(3)]
    assert box_text(td.Sequential(td.Linear(2, 4, rng), *residual)) == (
        "Linear 2 → 4",
        "3 × Residual",
    )
    pairs = [(td.ReLU(), td.Linear(n, n + 1, rng)) for n in range(4, 9)]
    deep = td.Sequential(td.Linear(2, 4, rng), *[layer for pair in pairs for layer in pair])
    assert box_text(deep) == ("Linear 2 → 4", "…", "Linear 8 → 9")


def test_the_text_of_a_block_stays_in_its_box():
    rng = np.random.default_rng(0)
    residual = [layer for _ in range(4) for layer in (td.Residual(td.Linear(4, 4, rng)), td.ReLU())]
    blocks = [td.Sequential(td.Linear(5, 4, rng), *residual), td.Linear(4, 3, rng)]
    figure = draw_network(
        build(blocks, td.SoftmaxCrossEntropy(), lambda: td.Adam(1e-3), algorithm=td.backprop)
    )
    axes = figure.axes[0]
    text = next(text for text in axes.texts if "Residual" in text.get_text())
    box = next(patch for patch in axes.patches if patch.get_gid() == "block 0")
    assert text.get_text() == "Linear 5 → 4\nResidual · ReLU · …"
    inner, outer = text.get_window_extent(), box.get_window_extent()
    assert outer.x0 < inner.x0 < inner.x1 < outer.x1


def test_the_words_say_who_waits():
    assert (
        "block 1 waits for 4 passes, block 2 waits for 2 passes, block 3 updates at once"
        in draw_network(network(td.backprop)).alt
    )
    assert "every block updates at once" in draw_network(network()).alt
    assert (
        "block 2 never learns, block 3 updates at once" in draw_network(network(td.no_backprop)).alt
    )


def test_a_drawing_refuses_what_it_would_show_wrongly():
    def another_algorithm(modules, x, target, context=None):
        raise AssertionError("never called")

    with pytest.raises(ValueError, match="networks is empty"):
        draw_network()
    with pytest.raises(ValueError, match="titles must be 1 name; got .*b"):
        draw_network(network(), titles=("a", "b"))
    net = network()
    net.algorithm = another_algorithm
    with pytest.raises(
        ValueError, match="backprop, update_decoupled, no_backprop.*another_algorithm"
    ):
        draw_network(net)
    net = network(td.backprop)
    net.algorithm = td.update_decoupled
    with pytest.raises(ValueError, match="module 0 has no synthesizer"):
        draw_network(net)
    net.algorithm = Stochastic(0.5, 3, 0)
    with pytest.raises(ValueError, match="module 0 has no synthesizer, so under Stochastic"):
        draw_network(net)
    net = network()
    net.algorithm = FullUnlock([None] * 3, [None] * 3)
    with pytest.raises(ValueError, match="module 1 has no input synthesizer"):
        draw_network(net)
    net = network()
    net.modules[1].loss = td.SoftmaxCrossEntropy()
    with pytest.raises(ValueError, match="module 1 has a loss"):
        draw_network(net)
    net = network()
    net.modules[-1].loss = None
    with pytest.raises(ValueError, match="the top module must have the loss"):
        draw_network(net)


def test_committed_figures_are_what_the_script_draws():
    spec = importlib.util.spec_from_file_location("make_figures", DOCS / "make_figures.py")
    make_figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_figures)
    assert set(make_figures.FIGURES) == {path.name for path in (DOCS / "figures").iterdir()}
    for name, figure in make_figures.FIGURES.items():
        now, (size, entries) = figure(), png_text(DOCS / "figures" / name)
        assert entries["Description"] == now.alt, f"{name} is old: run python docs/make_figures.py"
        assert size == tuple(now.figure.canvas.get_width_height()), (
            f"{name} is old: run python docs/make_figures.py"
        )


# Learning curves ----------------------------------------------------------------------------------

def test_every_method_of_the_command_line_has_a_line_of_its_own():
    from tinydni.lab.jobs.methods import METHODS as trained
    assert set(trained) <= set(METHODS)
    assert len(set(METHODS.values())) == len(METHODS) and len(set(OTHERS)) == len(OTHERS)
    assert len(set(ROLES.values())) == len(ROLES)
    styles = lines(["mine", "cdni", "yours"])
    assert styles == {"mine": OTHERS[0], "cdni": METHODS["cdni"], "yours": OTHERS[1]}


def test_last_values_and_references_are_written():
    figure = learning_curve(
        {"cdni": ([1, 2], [4.0, 1.623], [0.5, 0.07]), "mine": ([1, 2], [3.0, 250.4])},
        reference={"paper": 1.6},
    )
    assert {"cdni  1.62 ± 0.07", "mine  250", "paper  1.60"} == set(texts(figure))
    assert "cdni goes from 4.00 to 1.62 ± 0.07" in figure.alt and "paper at 1.60" in figure.alt


@pytest.mark.parametrize(
    "values, scale",
    [
        ([50, 1], "log"),
        ([20, 1], "linear"),
        ([50, 0], "linear"),
        ([-50, -1], "linear"),
        ([50, np.nan, 1], "log"),
    ],
)
def test_the_axis_fits_the_values(values, scale):
    axes, = learning_curve({"mine": (np.arange(len(values)), values)}).axes
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    assert low <= np.nanmin(values) and high >= np.nanmax(values)


@pytest.mark.parametrize("values, wanted", [
    ([100, 3], [5, 10, 20, 50, 100]), ([100, 0.5], [0.5, 1, 2, 5, 10, 20, 50, 100]),
    ([100, 0.001], [0.001, 0.01, 0.1, 1, 10, 100])])
def test_logarithmic_axes_have_plain_numbers(values, wanted):
    figure = learning_curve({"cdni": (range(len(values)), values)})
    figure.figure.canvas.draw()
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    shown = [
        label.get_text()
        for label, y in zip(axes.get_yticklabels(), axes.get_yticks())
        if low <= y <= high
    ]
    assert shown == [f"{value:g}" for value in wanted]
    assert not any(label.get_text() for label in axes.get_yticklabels(minor=True))


@pytest.mark.parametrize("ratio", [0.8, 1.0, 3.0])
def test_the_axis_of_lengths_has_numbers_even_where_they_are_all_alike(ratio):
    one = history()
    one["gradients"] = [[{"cosine": 0.5, "norm_ratio": ratio}]] * 3
    axes = gradient_quality({"cdni": one}).axes[-1]
    low, high = axes.get_ylim()
    assert {0.5, 1, 2} <= {y for y in axes.get_yticks() if low <= y <= high}


def test_who_confuses_red_and_green_can_tell_the_work_of_a_timeline_apart():
    # Deuteranopia on linear RGB, Machado et al. 2009
    deuteranopia = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    seen = [
        (deuteranopia @ np.power(to_rgb(color), 2.2)).clip(0, 1) ** (1 / 2.2)
        for color in COLORS.values()
    ]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 0.2


def test_only_a_spike_leaves_the_frame_of_a_histogram():
    rng = np.random.default_rng(0)
    cells = rng.standard_normal((2000, 1))
    narrow, spike = 0.15 * cells, np.where(np.abs(cells) < 1.6, 0.0, cells)
    for sample, inside in ((narrow, True), (spike, False)):
        axes = marker_histograms(cells, sample, cells, ["a"]).axes[0]
        heights = np.concatenate([patch.get_data().values for patch in axes.patches])
        assert (heights.max() <= axes.get_ylim()[1]) == inside


def test_counts_and_single_points_have_ticks_where_they_are():
    def ticks(x, y):
        axes = learning_curve({"cdni": (x, y)}).axes[0]
        return axes.get_xticks(), axes.get_yticks()

    assert all(tick == round(tick) for tick in ticks([1, 2, 3], [0, 1, 2])[1])
    assert not all(tick == round(tick) for tick in ticks([1, 2, 3], [0, 1, 1.5])[1])
    assert list(ticks([0.98], [0.5])[0]) == [0.98]


@pytest.mark.parametrize("values", [[30.0], [3.0, 2.9], [50.0, 1.0], [9.0, 0.0], [-3.0, -2.9]])
def test_a_label_stands_at_the_height_of_its_end(values):
    figure = learning_curve({"mine": (np.arange(len(values)), values)})
    figure.figure.canvas.draw()
    axes, = figure.axes
    _, label = axes.transAxes.transform(axes.texts[0].get_position())
    _, end = axes.transData.transform((len(values) - 1, values[-1]))
    assert abs(label - end) < 1, f"the label is {label - end:.0f} pixels from the end of its curve"


def test_a_diverged_curve_says_so():
    assert texts(learning_curve({"mine": ([1, 2, 3], [1.0, 40.0, np.nan])})) == [
        "mine  ends in nan"
    ]


@pytest.mark.parametrize("curves, message", [
    ({}, "curves is empty"),
    ({"mine": ([], [])}, "'mine'.*no finite value.*0 points"),
    ({"mine": ([1], [np.nan])}, "'mine'.*no finite value"),
    ({"mine": ([1, 2], [1])}, r"'mine'.*one length.*'x': \(2,\), 'y': \(1,\)"),
    ({"mine": ([1, 2], [1, 2], [1])}, r"'spread': \(1,\)"),
    ({"mine": ([1, np.inf], [1, 2])}, "'mine'.*x must be finite; got inf"),
])
def test_curves_that_cannot_be_drawn(curves, message):
    with pytest.raises(ValueError, match=message):
        learning_curve(curves)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(n=st.integers(1, 12), seed=st.integers(0, 2**32 - 1), clustered=st.booleans())
def test_labels_keep_their_distance_and_their_order(n, seed, clustered):
    wanted = np.random.default_rng(seed).random(n) * (0.05 if clustered else 1)
    heights = apart(wanted, 0.06)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(heights[order]) >= 0.06 - 1e-9).all(), heights
    assert heights.min() >= 0 and heights.max() <= 1
    if n == 1:
        assert heights[0] == wanted[0]


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (1.6234, "1.62"),
        (0.0123, "0.0123"),
        (99.96, "100.0"),
        (-2.5, "-2.50"),
        (12345, "12345"),
        (2e-7, "2.00e-07"),
        (3e9, "3.00e+09"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


# Tables -------------------------------------------------------------------------------------------

def test_markdown_table():
    assert markdown_table(ROWS) == (
        "| | backprop | cdni |\n| --- | --- | --- |\n"
        "| 3 layers | 1.85 ± 0.06 (2.0) | 1.60 |\n| 6 layers | – | 1.90 ± 0.10 (1.6) |"
    )


def test_results_table_shows_every_figure():
    shown = texts(results_table(ROWS, "A table", "Error [%]"))
    assert {
        "A table",
        "backprop",
        "cdni",
        "3 layers",
        "6 layers",
        "1.85 ± 0.06",
        "paper 2.0",
        "1.60",
        "–",
        "1.90 ± 0.10",
        "paper 1.6",
        "Error [%]; mean ± standard deviation over 1 to 3 seeds",
    } == set(shown)
    assert "Error [%]; one seed" in texts(results_table(ROWS[1:2], unit="Error [%]"))


def test_columns_hold_their_names_and_fill_the_width():
    rows = [{"row": "p = 1", "column": name, "mean": 125.0, "std": 17.35, "seeds": 3, "paper": None}
            for name in ("vfbn, one hidden layer", "vfbn, untrained at last")]
    for title in (
        "",
        "A title that is a good deal longer than the table of two columns would be without it",
    ):
        figure = results_table(rows, title=title)
        boxes = [
            text.get_window_extent()
            for text in figure.axes[0].texts
            if text.get_text().startswith("vfbn")
        ]
        assert boxes[0].x1 + 5 < boxes[1].x0
        rule = figure.axes[0].lines[0].get_xdata()
        assert rule[1] == pytest.approx(figure.width - 0.2)


@pytest.mark.parametrize("rows, message", [
    ([], "rows is empty"),
    ([{"row": "a", "column": "b", "mean": 1.0}], "lacks paper, seeds, std"),
    ([ROWS[0], ROWS[0]], "two entries for row '3 layers', column 'backprop'"),
])
def test_rows_that_are_no_table(rows, message):
    for table in (results_table, markdown_table):
        with pytest.raises(ValueError, match=message):
            table(rows)


# What a network gets wrong ------------------------------------------------------------------------

def test_wrong_bits_are_boxed():
    data = td.datasets.addition(bits=3)
    predicted = data.y_test.copy()
    predicted[[0, 2, 9], [1, 3, 0]] = 1 - predicted[[0, 2, 9], [1, 3, 0]]
    figure = bit_predictions(data.x_test, data.y_test, predicted, count=4)
    assert drawn(figure) == {
        "wrong bit": 2
    }  # the third wrong bit is in an addition that is not shown
    verdicts = [text for text in texts(figure) if text[0] in "✓✗"]
    assert [verdict[0] for verdict in verdicts] == ["✗", "✓", "✗", "✓"]
    assert (
        f"2 of the 4 sums shown are right, and {data.y_test.size - 3} of all "
        f"{data.y_test.size} bits"
        in figure.alt
    )


def test_bits_that_are_no_additions():
    x, truth = np.zeros((2, 6)), np.zeros((2, 4))
    with pytest.raises(ValueError, match=r"\(N, 2 B\).*\(2, 6\) and \(2, 3\)"):
        bit_predictions(x, truth[:, 1:], truth)
    with pytest.raises(ValueError, match="predicted has shape"):
        bit_predictions(x, truth, truth[:1])
    with pytest.raises(ValueError, match="must hold bits"):
        bit_predictions(x, truth, truth + 0.5)


@pytest.mark.parametrize("count", [2, 24])
def test_misread_digits_shows_only_misread_ones(count):
    truth, predicted = np.arange(8), np.array([0, 1, 9, 3, 4, 6, 7, 7])
    images = np.arange(8)[:, None] + np.zeros((8, 16))
    figure = misread_digits(images, truth, predicted, count=count)
    shown = [int(axes.images[0].get_array()[0, 0]) for axes in figure.axes]
    assert shown == [2, 5, 6][:count]
    assert "3 of 8 digits misread" in texts(figure) and "a 2 read as 9, a 5 read as 6" in figure.alt


def test_no_digit_misread():
    figure = misread_digits(np.zeros((3, 4, 4)), np.arange(3), np.arange(3))
    assert "0 of 3 digits misread" in texts(figure) and "no image to show" in figure.alt


@pytest.mark.parametrize("images", [np.zeros((3, 5)), np.zeros((3, 2, 3)), np.zeros(3)])
def test_images_that_are_not_square(images):
    with pytest.raises(ValueError, match="images must have shape"):
        misread_digits(images, np.arange(3), np.arange(3))


def test_one_label_per_image():
    with pytest.raises(ValueError, match=r"got shapes \(3, 2, 2\), \(2,\) and"):
        misread_digits(np.zeros((3, 4)), np.arange(2), np.arange(3))


# Gradient quality ---------------------------------------------------------------------------------

def test_gradient_quality_has_a_panel_for_each_measure_at_each_interface():
    panels = [axes for axes in gradient_quality({"cdni": history(3)}).axes if axes.axison]
    assert len(panels) == 2 * 3
    for axes, values in zip(panels, [[0.1, 0.5, 0.9]] * 3 + [[2.0] * 3] * 3):
        np.testing.assert_array_equal(axes.lines[-1].get_ydata(), values)


def test_a_guess_of_zero_leaves_a_gap():
    panel = next(
        axes for axes in gradient_quality({"dni": history(1, (None, 0.5, 0.9))}).axes if axes.axison
    )
    np.testing.assert_array_equal(panel.lines[-1].get_ydata(), [np.nan, 0.5, 0.9])


@pytest.mark.parametrize("histories, message", [
    ({}, "empty"), ({"cdni": {"epoch": [1], "test_error": [2.0]}}, "train with measure_gradients"),
    ({"backprop": {"epoch": [1], "gradients": [[]]}}, "no measured gradients"),
    ({"cdni": history(2), "dni": history(1)}, "same number of interfaces")])
def test_histories_that_cannot_be_drawn(histories, message):
    with pytest.raises(ValueError, match=message):
        gradient_quality(histories)


CELLS = np.random.default_rng(0).standard_normal((6, 2))


@pytest.mark.parametrize("call, error, message", [
    (lambda: learning_curve([1, 2]), TypeError, "curves must be a dictionary.*got .1, 2. .list"),
    (lambda: learning_curve({"a": 5}), TypeError, "'a'. must be .x, y. or .x, y, spread.; got 5"),
    (lambda: learning_curve({"a": ([1], ["b"])}), TypeError, "'a'.: y must be an array of numbers"),
    (lambda: learning_curve({"a": ([1], [2])}, reference={"b": "c"}), TypeError,
     "reference.'b'. must be a number; got 'c'"),
    (lambda: draw_network(5), TypeError, "network must be a tinydni.Network; got 5 .int"),
    (lambda: draw_network(network(), titles=5), ValueError, "titles must be 1 name; got 5"),
    (lambda: td.plots.summary([], (5,)), TypeError, "network must be a tinydni.Network; got .. "),
    (lambda: td.plots.summary(network(), 5), ValueError, "input_shape must be 1 or more whole"),
    (lambda: misread_digits(np.zeros((3, 4)), np.arange(3), None), TypeError,
     "predicted must be an array of numbers; got None"),
    (lambda: markdown_table(5), TypeError, "rows must be a list of entries; got 5"),
    (lambda: markdown_table([5]), TypeError, "rows: an entry must be a dictionary.*got 5"),
    (lambda: markdown_table([ROWS[0] | {"mean": "1"}]), TypeError, "rows: mean must be a number"),
    (lambda: marker_histograms(CELLS, CELLS, CELLS, ["a"]), ValueError,
     "markers must be 2 names; got .'a'"),
    (lambda: marker_histograms(CELLS, CELLS[:, :1], CELLS, "ab"), ValueError,
     "reference, before and after must have the same columns"),
    (lambda: marker_histograms(CELLS, CELLS, CELLS * np.nan, "ab"), ValueError,
     "after must hold finite numbers"),
    (lambda: td.plots.timeline({"a": 5}), TypeError, "runs.'a'. must be a dictionary.*got 5"),
    (lambda: gradient_quality({"a": {"epoch": 5, "gradients": [[{"cosine": 1, "norm_ratio": 1}]]}}),
     ValueError, "epoch must have a number for each of its 1 gradients"),
    (lambda: td.plots.check_path(None), TypeError, "path must be a string or a Path; got None"),
])
def test_odd_arguments_are_told_in_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()
