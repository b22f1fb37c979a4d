"""The distribution of every marker in three samples: what calibration did, marker by marker."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tinydni.plots.picture import Picture
from tinydni.plots.style import BLUE, INK, LARGE, NORMAL, QUIET, RULE, SMALL, VERMILION

PANEL_WIDTH, PANEL_HEIGHT, LEFT, HEAD, COLUMNS = 2.05, 1.35, 0.3, 0.8, 4      # sizes [inches]
BINS = 60


def marker_histograms(reference, before, after, markers, title="", xlabel=""):
    """Draws one panel per marker with the density of the reference, the sample before and after. Returns a Picture.

    reference (M, D), before (N, D), after (N, D): cells on one scale    markers: D names
    Raises ValueError where the columns differ.
    """
    samples = [np.asarray(cells) for cells in (reference, before, after)]
    if len({cells.shape[1:] for cells in samples} | {(len(markers),)}) > 1:
        raise ValueError(f"the samples must have one column per marker; got shapes {[cells.shape for cells in samples]} "
                         f"and {len(markers)} markers.")
    n_columns = min(COLUMNS, len(markers))
    rows = -(-len(markers) // n_columns)
    width = max(LEFT + n_columns * PANEL_WIDTH + 0.1, 5.2)
    height = HEAD + rows * PANEL_HEIGHT + 0.18
    picture = Picture(width, height, describe(samples, markers))
    picture.text(LEFT / width, 1 - 0.18 / height, title, fontsize=LARGE, fontweight="bold", color=INK, va="top")
    legend(picture, width, height)
    for i, marker in enumerate(markers):
        row, column = divmod(i, n_columns)
        axes = picture.add_axes(((LEFT + column * PANEL_WIDTH) / width,
                                 (height - HEAD - (row + 1) * PANEL_HEIGHT + 0.42) / height,
                                 (PANEL_WIDTH - 0.2) / width, (PANEL_HEIGHT - 0.5) / height))
        draw_marker(axes, [cells[:, i] for cells in samples])
        axes.set_title(str(marker), loc="left", fontsize=SMALL + 0.5, color=INK, pad=3)
        axes.set_ylabel("" if column else "density", fontsize=SMALL - 1, color=INK, labelpad=2)
    picture.text(0.5, 0.12 / height, xlabel, fontsize=SMALL + 0.5, color=INK, ha="center", va="bottom")
    return picture


def draw_marker(axes, columns):
    """The densities of one marker: the reference filled, the sample as lines."""
    every = np.concatenate(columns)
    low, high = np.quantile(every, (0.001, 0.999))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    reference, before, after = (np.histogram(column, edges)[0] / (len(column) * np.diff(edges)) for column in columns)
    axes.stairs(reference, edges, color=QUIET, fill=True, alpha=0.35, linewidth=0)
    axes.stairs(before, edges, color=VERMILION, linewidth=1, linestyle=(0, (3, 1.5)))
    axes.stairs(after, edges, color=BLUE, linewidth=1.2)
    heights = np.sort(np.concatenate([reference, before, after]))
    top = min(heights[-1], 1.5 * heights[-4])                           # a peak of zeros may leave the frame
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.1 * top if top > 0 else 1), yticks=[])
    axes.tick_params(labelsize=SMALL - 1, colors=INK, length=2, pad=2)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)


def legend(picture, width, height):
    """What the three looks mean, in one line below the title."""
    looks = [Patch(color=QUIET, alpha=0.35, linewidth=0),
             Line2D([], [], color=VERMILION, linewidth=1, linestyle=(0, (3, 1.5))), Line2D([], [], color=BLUE, linewidth=1.2)]
    picture.legend(looks, ("reference", "sample before", "sample after"), loc="upper left", ncols=3, frameon=False,
                   bbox_to_anchor=(LEFT / width, 1 - 0.4 / height), borderpad=0, borderaxespad=0, fontsize=NORMAL - 0.5,
                   labelcolor=INK, handlelength=1.6, columnspacing=1.8)


def describe(samples, markers):
    """The figure in full sentences."""
    means = [cells.mean(axis=0) for cells in samples]
    parts = "; ".join(f"{marker}: mean {a:.2f} in the reference, {b:.2f} in the sample before, {c:.2f} after"
                      for marker, a, b, c in zip(markers, *means))
    return f"Histograms of every marker. {parts}."
