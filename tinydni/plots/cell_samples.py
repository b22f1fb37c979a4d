"""Samples of cells before and after calibration: in a plane, and marker by marker."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.plots.arguments import as_names, as_samples
from tinydni.plots.picture import Picture
from tinydni.plots.style import BLUE, INK, NORMAL, QUIET, RULE, SMALL, VERMILION

PANEL, GAP, LEFT, BOTTOM, TOP = 2.75, 0.22, 0.62, 0.55, 0.72        # sizes of a scatter [inches]
SHOWN, SIZE = 3000, 2.2             # cells per sample, and the size of their points then
COLORS = (QUIET, VERMILION, BLUE)   # of the reference, of the sample before and after
WIDTH, HEIGHT, MARGIN, HEAD, COLUMNS = 2.05, 1.35, 0.3, 0.8, 4      # of histograms
BINS = 60
BEHIND: dict[str, Any] = {"color": QUIET, "alpha": 0.35, "linewidth": 0}
BEFORE: dict[str, Any] = {"color": VERMILION, "linewidth": 1, "linestyle": (0, (3, 1.5))}
AFTER: dict[str, Any] = {"color": BLUE, "linewidth": 1.2}


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
    samples, names = as_samples(reference, before, after), as_names(names, "names", 3)
    centre, axes_of_plane, share = plane(samples[0])
    shown = [cells[rng.choice(len(cells), min(SHOWN, len(cells)), replace=False)]
             for cells in samples]
    points = [(cells - centre) @ axes_of_plane.T for cells in shown]
    low, high = limits(points)
    picture = Picture(LEFT + 3 * PANEL + 2 * GAP + 0.2, BOTTOM + PANEL + TOP,
                      centres(points, names))
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


def limits(points):
    """Return a frame around all but the outermost half per cent of the cells in every direction."""
    low, high = np.quantile(np.concatenate(points), (0.005, 0.995), axis=0)
    margin = 0.08 * (high - low) + 1e-9
    return low - margin, high + margin


def draw_points(axes, points, color, alpha):
    """Draw a sample as points; those of a small sample are larger."""
    size = SIZE * min(4, SHOWN / len(points))
    axes.scatter(*points.T, s=size, color=color, alpha=alpha, linewidths=0, rasterized=True)


def centres(points, names):
    """Return the figure in full sentences."""
    found = "; ".join(f"{name} is centred at ({x:.1f}, {y:.1f})" for name, (x, y)
                      in zip(names, (cells.mean(axis=0) for cells in points)))
    return f"Cells in the plane of the first two principal components of the {names[0]}: {found}."


def marker_histograms(reference: Any, before: Any, after: Any, markers: Sequence[str],
                      title: str = "", xlabel: str = "") -> Picture:
    """Draw a panel per marker: the density of the reference, of the sample before and after.

    Raises ValueError where the columns differ.

    Parameters
    ----------
    reference (M, D), before (N, D), after (N, D) : cells on one scale
    markers : D names
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    samples = as_samples(reference, before, after)
    markers = as_names(markers, "markers", samples[0].shape[1])
    n_columns = min(COLUMNS, len(markers))
    width = max(MARGIN + n_columns * WIDTH + 0.1, 5.2)
    height = HEAD + -(-len(markers) // n_columns) * HEIGHT + 0.18
    picture = Picture(width, height, means_of(samples, markers))
    picture.title(title, x=MARGIN, below_top=0.18)
    picture.key({"reference": Patch(**BEHIND), "sample before": Line2D([], [], **BEFORE),
                 "sample after": Line2D([], [], **AFTER)}, MARGIN, below_top=0.4)
    for i, marker in enumerate(markers):
        row, column = divmod(i, n_columns)
        axes = picture.panel(MARGIN + column * WIDTH, height - HEAD - (row + 1) * HEIGHT + 0.42,
                             WIDTH - 0.2, HEIGHT - 0.5)
        draw_marker(axes, [cells[:, i] for cells in samples])
        axes.set_title(marker, loc="left", fontsize=SMALL + 0.5, color=INK, pad=3)
        axes.set_ylabel("" if column else "density", fontsize=SMALL - 1, color=INK, labelpad=2)
    picture.text(width / 2, 0.12, xlabel, fontsize=SMALL + 0.5, ha="center", va="bottom")
    return picture


def draw_marker(axes, columns):
    """Draw the densities of one marker: the reference filled, the sample as lines."""
    low, high = np.quantile(np.concatenate(columns), (0.001, 0.999))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    reference, before, after = (np.histogram(column, edges)[0] / (len(column) * np.diff(edges))
                                for column in columns)
    axes.stairs(reference, edges, fill=True, **BEHIND)
    axes.stairs(before, edges, **BEFORE)
    axes.stairs(after, edges, **AFTER)
    heights = np.sort(np.concatenate([reference, before, after]))
    top = min(heights[-1], 1.5 * heights[-4])               # a peak of zeros may leave the frame
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.1 * top if top > 0 else 1), yticks=[])
    axes.tick_params(labelsize=SMALL - 1, colors=INK, length=2, pad=2)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)


def means_of(samples, markers):
    """Return the figure in full sentences."""
    means = [cells.mean(axis=0) for cells in samples]
    parts = [f"{marker}: mean {a:.2f} in the reference, {b:.2f} in the sample before, {c:.2f} after"
             for marker, a, b, c in zip(markers, *means)]
    return f"Histograms of every marker. {'; '.join(parts)}."
