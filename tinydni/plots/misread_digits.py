"""The digits that a network misreads, to see whether one would have read them oneself."""

import math

import numpy as np

from tinydni import checks
from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, LARGE, QUIET, SMALL, VERMILION

CELL, CAPTION, HEAD = 0.78, 0.26, 0.72          # side of an image, height of its caption and of the title [inches]


def misread_digits(images, truth, predicted, count=24, columns=8):
    """Draws the first `count` images that were misread, with what they are and what was read. Returns a Picture.

    images (N, S·S) or (N, S, S): grey values, high is ink    truth, predicted (N,): labels
    Raises ValueError where the lengths differ or the images are not square.
    """
    images, truth, predicted = (np.asarray(array) for array in (images, truth, predicted))
    images = as_squares(images)
    if not len(images) == len(truth) == len(predicted) > 0:
        raise ValueError(f"images, truth and predicted must have one entry per example; got {len(images)}, {len(truth)} "
                         f"and {len(predicted)}.")
    wrong = np.flatnonzero(truth != predicted)
    shown = wrong[:checks.check_positive_int(count, "count")]
    rows = max(1, -(-len(shown) // checks.check_positive_int(columns, "columns")))
    width, height = CELL * columns + 0.4, HEAD + rows * (CELL + CAPTION)
    picture = Picture(width, height, describe(truth, predicted, wrong, shown))
    axes = picture.blank_axes()
    axes.text(0.2, height - 0.18, f"{len(wrong):,} of {len(truth):,} digits misread", fontsize=LARGE,
              fontweight="bold", color=INK, va="top")
    axes.text(0.2, height - 0.44, "what it is → what the network reads", fontsize=SMALL, color=QUIET, va="top")
    for place, i in enumerate(shown):
        x = 0.2 + CELL * (place % columns)
        y = height - HEAD - (CELL + CAPTION) * (place // columns)
        draw_digit(axes, images[i], x, y)
        axes.text(x + CELL / 2 - 0.09, y - CELL, f"{truth[i]} →", fontsize=SMALL + 0.5, color=INK, ha="center", va="top")
        axes.text(x + CELL / 2 + 0.15, y - CELL, f"{predicted[i]}", fontsize=SMALL + 0.5, fontweight="bold",
                  color=VERMILION, ha="center", va="top")
    return picture


def draw_digit(axes, image, x, y):
    """One image with its upper left corner at (x, y)."""
    inset = axes.inset_axes((x + 0.04, y - CELL + 0.04, CELL - 0.08, CELL - 0.08), transform=axes.transData)
    inset.imshow(image, cmap="gray_r", interpolation="nearest")
    inset.set(xticks=[], yticks=[])
    inset.spines[:].set_color(QUIET)
    inset.spines[:].set_linewidth(0.5)


def as_squares(images):
    """The images as (N, S, S), or ValueError."""
    side = math.isqrt(images[0].size) if len(images) else 0
    if images.ndim not in (2, 3) or not side or images[0].size != side * side:
        raise ValueError(f"images must have shape (N, S·S) or (N, S, S); got {images.shape}.")
    return images.reshape(len(images), side, side)


def describe(truth, predicted, wrong, shown):
    """The figure in full sentences."""
    start = f"{len(wrong):,} of {len(truth):,} digits were misread."
    pairs = ", ".join(f"a {truth[i]} read as {predicted[i]}" for i in shown)
    return start + (f" The images show {pairs}." if len(shown) else " There is no image to show.")
