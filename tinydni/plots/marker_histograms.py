"""The distribution of every marker in three samples: what calibration did, marker by marker."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydni.plots.picture import Picture
from tinydni.plots.style import BLUE, INK, NORMAL, QUIET, RULE, SMALL, VERMILION

WIDTH, HEIGHT, LEFT, HEAD, COLUMNS = 2.05, 1.35, 0.3, 0.8, 4        # of a panel, margins [inches]
BINS = 60
BEFORE = {"color": VERMILION, "linewidth": 1, "linestyle": (0, (3, 1.5))}
AFTER = {"color": BLUE, "linewidth": 1.2}


def marker_histograms(reference: Any, before: Any, after: Any, markers: Sequence[str],
                      title: str = "", xlabel: str = "") -> Picture:
    """Draw a panel per marker: the density of the reference, of the sample before and after.

    Raises ValueError where the columns differ.

    Parameters
    ----------
    reference (M, D), before (N, D), after (N, D) : cells on one scale
    markers : D names
    """
    samples = [np.asarray(cells) for cells in (reference, before, after)]
    if len({cells.shape[1:] for cells in samples} | {(len(markers),)}) > 1:
        raise ValueError("the samples must have one column per marker; got shapes "
                         f"{[cells.shape for cells in samples]} and {len(markers)} markers.")
    n_columns = min(COLUMNS, len(markers))
    width = max(LEFT + n_columns * WIDTH + 0.1, 5.2)
    height = HEAD + -(-len(markers) // n_columns) * HEIGHT + 0.18
    picture = Picture(width, height, describe(samples, markers))
    picture.title(title, x=LEFT, below_top=0.18)
    legend(picture)
    for i, marker in enumerate(markers):
        row, column = divmod(i, n_columns)
        axes = picture.panel(LEFT + column * WIDTH, height - HEAD - (row + 1) * HEIGHT + 0.42,
                             WIDTH - 0.2, HEIGHT - 0.5)
        draw_marker(axes, [cells[:, i] for cells in samples])
        axes.set_title(str(marker), loc="left", fontsize=SMALL + 0.5, color=INK, pad=3)
        axes.set_ylabel("" if column else "density", fontsize=SMALL - 1, color=INK, labelpad=2)
    picture.text(width / 2, 0.12, xlabel, fontsize=SMALL + 0.5, ha="center", va="bottom")
    return picture


def draw_marker(axes, columns):
    """Draw the densities of one marker: the reference filled, the sample as lines."""
    low, high = np.quantile(np.concatenate(columns), (0.001, 0.999))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    reference, before, after = (np.histogram(column, edges)[0] / (len(column) * np.diff(edges))
                                for column in columns)
    axes.stairs(reference, edges, color=QUIET, fill=True, alpha=0.35, linewidth=0)
    axes.stairs(before, edges, **BEFORE)
    axes.stairs(after, edges, **AFTER)
    heights = np.sort(np.concatenate([reference, before, after]))
    top = min(heights[-1], 1.5 * heights[-4])               # a peak of zeros may leave the frame
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.1 * top if top > 0 else 1), yticks=[])
    axes.tick_params(labelsize=SMALL - 1, colors=INK, length=2, pad=2)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)


def legend(picture):
    """Write what the three looks mean, in one line below the title."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    looks = [Patch(color=QUIET, alpha=0.35, linewidth=0), Line2D([], [], **BEFORE),
             Line2D([], [], **AFTER)]
    picture.figure.legend(
        looks, ("reference", "sample before", "sample after"), loc="upper left", ncols=3,
        bbox_to_anchor=(LEFT / picture.width, 1 - 0.4 / picture.height), frameon=False, borderpad=0,
        borderaxespad=0, fontsize=NORMAL - 0.5, labelcolor=INK, handlelength=1.6, columnspacing=1.8)


def describe(samples, markers):
    """Return the figure in full sentences."""
    means = [cells.mean(axis=0) for cells in samples]
    parts = [f"{marker}: mean {a:.2f} in the reference, {b:.2f} in the sample before, {c:.2f} after"
             for marker, a, b, c in zip(markers, *means)]
    return f"Histograms of every marker. {'; '.join(parts)}."
