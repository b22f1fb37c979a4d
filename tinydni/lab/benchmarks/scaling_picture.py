"""How the ratio to PyTorch depends on the width, the depth and the batch."""

from tinydni.lab.benchmarks.workloads import CURVES
from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, METHODS, NORMAL, QUIET, plain_axes

LINES = {"locked": ("backpropagation", METHODS["backprop"]), "decoupled": ("cDNI", METHODS["cdni"])}
WORDS = {"width": "width of 3 hidden layers, batch 256",
         "depth": "hidden layers of width 256, batch 256", "batch": "batch, 3 hidden layers of 256"}


def scaling(rows, peer="torch-eager"):
    """Draw the rows of the curves, our time over the peer's, one panel for each axis.

    rows: as `compare` gives them; others than those of the curves are left out
    Raises ValueError where rows of a curve are missing.
    """
    curves = {axis: {way: points(rows, axis, way, peer) for way in LINES} for axis in CURVES}
    picture = Picture(10.5, 3.7, describe(curves))
    for k, (axis, ways) in enumerate(curves.items()):
        axes = picture.add_axes((0.065 + 0.325 * k, 0.17, 0.265, 0.6))
        plain_axes(axes, xlabel=WORDS[axis], ylabel="" if k else "our time / PyTorch's")
        axes.set_xscale("log", base=2)
        axes.set_xticks(CURVES[axis], CURVES[axis])
        axes.minorticks_off()
        axes.axhline(1, color=QUIET, linewidth=1)
        highest = 1
        for way, found in ways.items():
            (label, style), at = LINES[way], list(found)
            q1, middle, q3 = ([row[key] for row in found.values()] for key in ("q1", "ratio", "q3"))
            axes.plot(at, middle, label=label, **style._asdict(), markersize=5)
            axes.fill_between(at, q1, q3, color=style.color, alpha=0.15, linewidth=0)
            highest = max(highest, *q3)
        axes.set_ylim(0, 1.05 * highest)
    axes.legend(frameon=False, fontsize=NORMAL, labelcolor=INK)
    picture.title("A training step beside the same in PyTorch: below 1 we are faster", x=0.68)
    return picture


def points(rows, axis, way, peer):
    """Return {value on the axis: row}."""
    found = {row["row"]: row for row in rows if row["peer"] == peer}
    names = {value: f"{axis} {value} {way}" for value in CURVES[axis]}
    missing = [name for name in names.values() if name not in found]
    if missing:
        raise ValueError(f"rows beside {peer} are missing: {', '.join(missing)}; run "
                         "`tinydni bench curves`.")
    return {value: found[name] for value, name in names.items()}


def describe(curves):
    """Return the picture in full sentences."""
    parts = [f"{LINES[way][0]} over {axis}, from {min(found)} to {max(found)}: "
             + ", ".join(f"{row['ratio']:.2f}" for row in found.values())
             for axis, ways in curves.items() for way, found in ways.items()]
    return ("Our time of a training step over PyTorch's, medians with quartiles. "
            f"{'; '.join(parts)}.")
