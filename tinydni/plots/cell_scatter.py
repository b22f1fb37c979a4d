"""Samples of cells in the plane that shows most of the reference: what moved where."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.plots.picture import Picture
from tinydni.plots.style import BLUE, INK, NORMAL, QUIET, RULE, SMALL, VERMILION

PANEL, GAP, LEFT, BOTTOM, TOP = 2.75, 0.22, 0.62, 0.55, 0.72        # sizes [inches]
SHOWN, SIZE = 3000, 2.2             # cells per sample, and the size of their points then
COLORS = (QUIET, VERMILION, BLUE)   # of the reference, of the sample before and after


def cell_scatter(reference: Any, before: Any, after: Any, rng: np.random.Generator, title: str = "",
                 names: Sequence[str] = ("reference", "sample before", "sample after")) -> Picture:
    """Draw three samples in the plane of the first two principal components of the reference.

    The reference stands in grey behind the other two. Raises ValueError where the columns differ.

    Parameters
    ----------
    reference (M, D), before (N, D), after (N, D) : cells on one scale
    rng : chooses the cells that are drawn
    names : of the panels
    """
    checks.check_generator(rng)
    samples = [np.asarray(cells, dtype=float) for cells in (reference, before, after)]
    if len({cells.shape[1:] for cells in samples}) > 1:
        raise ValueError("the samples must have the same columns; got shapes "
                         f"{[cells.shape for cells in samples]}.")
    centre, axes_of_plane, share = plane(samples[0])
    points = [(some(cells, rng) - centre) @ axes_of_plane.T for cells in samples]
    low, high = limits(points)
    picture = Picture(LEFT + 3 * PANEL + 2 * GAP + 0.2, BOTTOM + PANEL + TOP,
                      describe(points, names))
    picture.title(title, x=LEFT)
    for i, (name, color) in enumerate(zip(names, COLORS)):
        axes = picture.panel(LEFT + i * (PANEL + GAP), BOTTOM, PANEL, PANEL,
                             xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        draw_points(axes, points[0], COLORS[0], 0.22 if i else 0.4)
        if i:
            draw_points(axes, points[i], color, 0.4)
        axes.set_title(name, loc="left", fontsize=NORMAL, color=color if i else INK, pad=5)
        axes.tick_params(labelsize=SMALL, colors=INK, length=3, labelleft=i == 0)
        axes.spines[:].set_color(RULE)
        label = "component {}, {:.0f} % of the variance"
        axes.set_xlabel(label.format(1, 100 * share[0]), fontsize=SMALL + 0.5, color=INK)
        if i == 0:
            axes.set_ylabel(label.format(2, 100 * share[1]), fontsize=SMALL + 0.5, color=INK)
    return picture


def plane(cells):
    """Return the mean (D,), the first two principal components (2, D), their shares of variance."""
    centre = cells.mean(axis=0)
    covariance = np.cov(cells - centre, rowvar=False).reshape(cells.shape[1], -1)
    _, sizes, components = np.linalg.svd(covariance)
    if len(components) == 1:                        # one column: that, and zero
        return centre, np.array([[1.0], [0.0]]), (1.0, 0.0)
    return centre, components[:2], sizes[:2] / sizes.sum()


def some(cells, rng):
    """Return at most SHOWN of the cells."""
    return cells[rng.choice(len(cells), min(SHOWN, len(cells)), replace=False)]


def limits(points):
    """Return a frame around all but the outermost half per cent of the cells in every direction."""
    low, high = np.quantile(np.concatenate(points), (0.005, 0.995), axis=0)
    margin = 0.08 * (high - low) + 1e-9
    return low - margin, high + margin


def draw_points(axes, points, color, alpha):
    """Draw a sample as points; those of a small sample are larger."""
    size = SIZE * min(4, SHOWN / len(points))
    axes.scatter(*points.T, s=size, color=color, alpha=alpha, linewidths=0, rasterized=True)


def describe(points, names):
    """Return the figure in full sentences."""
    centres = "; ".join(f"{name} is centred at ({x:.1f}, {y:.1f})" for name, (x, y)
                        in zip(names, (cells.mean(axis=0) for cells in points)))
    return f"Cells in the plane of the first two principal components of the {names[0]}: {centres}."
