"""Samples of cells in the plane that shows most of the reference: what moved where."""

import numpy as np

from tinydni import checks
from tinydni.plots.picture import Picture
from tinydni.plots.style import BLUE, INK, LARGE, NORMAL, QUIET, RULE, SMALL, VERMILION

PANEL, GAP, LEFT, BOTTOM, TOP = 2.75, 0.22, 0.62, 0.55, 0.72        # sizes [inches]
SHOWN, SIZE = 3000, 2.2             # cells per sample, and the size of their points when there are as many
COLORS = {"reference": QUIET, "before": VERMILION, "after": BLUE}


def cell_scatter(reference, before, after, rng, title="", names=("reference", "sample before", "sample after")):
    """Draws three samples in the plane of the first two principal components of the reference. Returns a Picture.

    reference (M, D), before (N, D), after (N, D): cells on one scale    rng: chooses the cells that are drawn
    names: of the panels    The reference stands in grey behind the other two.
    Raises ValueError where the columns differ.
    """
    checks.check_generator(rng)
    samples = [np.asarray(cells, dtype=float) for cells in (reference, before, after)]
    if len({cells.shape[1:] for cells in samples}) > 1:
        raise ValueError(f"the samples must have the same columns; got shapes {[cells.shape for cells in samples]}.")
    centre, axes_of_plane, share = plane(samples[0])
    points = [(some(cells, rng) - centre) @ axes_of_plane.T for cells in samples]
    width, height = LEFT + 3 * PANEL + 2 * GAP + 0.2, BOTTOM + PANEL + TOP
    picture = Picture(width, height, describe(points, names))
    picture.text(LEFT / width, 1 - 0.2 / height, title, fontsize=LARGE, fontweight="bold", color=INK, va="top")
    low, high = limits(points)
    for i, (role, name) in enumerate(zip(COLORS, names)):
        axes = picture.add_axes(((LEFT + i * (PANEL + GAP)) / width, BOTTOM / height, PANEL / width, PANEL / height),
                                xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        draw_points(axes, points[0], COLORS["reference"], 0.22 if i else 0.4)
        if i:
            draw_points(axes, points[i], COLORS[role], 0.4)
        axes.set_title(name, loc="left", fontsize=NORMAL, color=COLORS[role] if i else INK, pad=5)
        axes.tick_params(labelsize=SMALL, colors=INK, length=3, labelleft=i == 0)
        axes.spines[:].set_color(RULE)
        axes.set_xlabel(f"component 1, {100 * share[0]:.0f} % of the variance", fontsize=SMALL + 0.5, color=INK)
        if i == 0:
            axes.set_ylabel(f"component 2, {100 * share[1]:.0f} % of the variance", fontsize=SMALL + 0.5, color=INK)
    return picture


def plane(cells):
    """Mean (D,), first two principal components (2, D), and their shares of the variance. One column: that and zero."""
    centre = cells.mean(axis=0)
    _, sizes, components = np.linalg.svd(np.cov(cells - centre, rowvar=False).reshape(cells.shape[1], -1))
    if len(components) == 1:
        return centre, np.array([[1.0], [0.0]]), (1.0, 0.0)
    return centre, components[:2], sizes[:2] / sizes.sum()


def some(cells, rng):
    """At most SHOWN of the cells."""
    return cells[rng.choice(len(cells), min(SHOWN, len(cells)), replace=False)]


def limits(points):
    """A frame around all but the outermost half per cent of the cells in every direction."""
    every = np.concatenate(points)
    low, high = np.quantile(every, (0.005, 0.995), axis=0)
    margin = 0.08 * (high - low) + 1e-9
    return low - margin, high + margin


def draw_points(axes, points, color, alpha):
    """A sample as points; those of a small sample are larger."""
    size = SIZE * min(4, SHOWN / len(points))
    axes.scatter(*points.T, s=size, color=color, alpha=alpha, linewidths=0, rasterized=True)


def describe(points, names):
    """The figure in full sentences."""
    centres = "; ".join(f"{name} is centred at ({cells[:, 0].mean():.1f}, {cells[:, 1].mean():.1f})"
                        for name, cells in zip(names, points))
    return f"Cells in the plane of the first two principal components of the {names[0]}: {centres}."
