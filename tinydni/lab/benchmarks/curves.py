"""How the ratio to PyTorch depends on the width, the depth and the batch."""

from tinydni.lab.benchmarks.dense import CURVES
from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, METHODS, NORMAL, QUIET, plain_axes

LINES = {"locked": ("backpropagation", METHODS["backprop"]), "decoupled": ("cDNI", METHODS["cdni"])}
WORDS = {"width": "width of 3 hidden layers, batch 256", "depth": "hidden layers of width 256, batch 256",
         "batch": "batch, 3 hidden layers of 256"}


def scaling(rows, peer="torch-eager"):
    """Draws the rows of the curves, our time over the peer's, one panel for each axis. Returns a Picture.

    rows: as `compare` gives them; others than those of the curves are left out
    Raises ValueError where rows of a curve are missing.
    """
    curves = {axis: {way: points(rows, axis, way, peer) for way in LINES} for axis in CURVES}
    picture = Picture(10.5, 3.7, describe(curves))
    for k, (axis, ways) in enumerate(curves.items()):
        axes = picture.add_axes((0.065 + 0.325 * k, 0.17, 0.265, 0.6))
        plain_axes(axes, xlabel=WORDS[axis], ylabel="our time / PyTorch's" if k == 0 else "")
        axes.set_xscale("log", base=2)
        axes.set_xticks(CURVES[axis], CURVES[axis])
        axes.minorticks_off()
        axes.axhline(1, color=QUIET, linewidth=1)
        for way, row_of in ways.items():
            label, line = LINES[way]
            axes.plot(row_of.keys(), [row["ratio"] for row in row_of.values()], label=label, color=line.color,
                      linestyle=line.linestyle, marker=line.marker, markersize=5)
            axes.fill_between(row_of.keys(), [row["q1"] for row in row_of.values()],
                              [row["q3"] for row in row_of.values()], color=line.color, alpha=0.15, linewidth=0)
        axes.set_ylim(0, 1.05 * max(1, max(row["q3"] for row_of in ways.values() for row in row_of.values())))
    axes.legend(frameon=False, fontsize=NORMAL, labelcolor=INK)
    picture.title("A training step beside the same in PyTorch: below 1 we are faster", x=0.68)
    return picture


def points(rows, axis, way, peer):
    """{value on the axis: row}."""
    found = {row["row"]: row for row in rows if row["peer"] == peer}
    missing = [f"{axis} {value} {way}" for value in CURVES[axis] if f"{axis} {value} {way}" not in found]
    if missing:
        raise ValueError(f"rows beside {peer} are missing: {', '.join(missing)}; run `tinydni bench curves`.")
    return {value: found[f"{axis} {value} {way}"] for value in CURVES[axis]}


def describe(curves):
    """The picture in full sentences."""
    parts = [f"{LINES[way][0]} over {axis}, from {min(row_of)} to {max(row_of)}: "
             + ", ".join(f"{row['ratio']:.2f}" for row in row_of.values())
             for axis, ways in curves.items() for way, row_of in ways.items()]
    return f"Our time of a training step over PyTorch's, medians with quartiles. {'; '.join(parts)}."
