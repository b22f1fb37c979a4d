"""The digits that a network misreads, to see whether one would have read them oneself."""

import math
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.plots.arguments import as_numbers
from tinydni.plots.picture import Picture
from tinydni.plots.style import QUIET, SMALL, VERMILION

CELL, CAPTION, HEAD = 0.78, 0.26, 0.72      # side of an image, height of caption and title [inches]


def misread_digits(images: Any, truth: Any, predicted: Any, count: int = 24,
                   columns: int = 8) -> Picture:
    """Draw the first images that were misread, with what they are and what was read.

    Raises ValueError where the lengths differ or the images are not square.

    Parameters
    ----------
    images (N, S·S) or (N, S, S) : grey values, high is ink
    truth, predicted (N,) : labels
    count, columns : how many images at most, and in a row
    """
    images = as_numbers(images, "images")
    side = math.isqrt(math.prod(images.shape[1:]))
    if images.ndim not in (2, 3) or not images.size or images[0].size != side * side:
        raise ValueError(f"images must have shape (N, S·S) or (N, S, S); got {images.shape}.")
    images = images.reshape(-1, side, side)
    truth, predicted = as_numbers(truth, "truth"), as_numbers(predicted, "predicted")
    if not truth.shape == predicted.shape == images.shape[:1]:
        raise ValueError("images, truth and predicted must have one entry per example; got shapes "
                         f"{images.shape}, {truth.shape} and {predicted.shape}.")
    checks.check_positive_int(columns, "columns")
    wrong = np.flatnonzero(truth != predicted)
    shown = wrong[:checks.check_positive_int(count, "count")]
    rows = max(1, -(-len(shown) // columns))
    height = HEAD + rows * (CELL + CAPTION)
    picture = Picture(CELL * columns + 0.4, height, describe(truth, predicted, wrong, shown))
    picture.title(f"{len(wrong):,} of {len(truth):,} digits misread", below_top=0.18)
    picture.text(0.2, height - 0.44, "what it is → what the network reads", fontsize=SMALL,
                 color=QUIET, va="top")
    for place, i in enumerate(shown):
        x = 0.2 + CELL * (place % columns)
        y = height - HEAD - (CELL + CAPTION) * (place // columns)
        axes = picture.panel(x + 0.04, y - CELL + 0.04, CELL - 0.08, CELL - 0.08, xticks=[],
                             yticks=[])
        axes.imshow(images[i], cmap="gray_r", interpolation="nearest")
        axes.spines[:].set(color=QUIET, linewidth=0.5)
        style = {"fontsize": SMALL + 0.5, "ha": "center", "va": "top"}
        picture.text(x + CELL / 2 - 0.09, y - CELL, f"{truth[i]} →", **style)
        picture.text(x + CELL / 2 + 0.15, y - CELL, f"{predicted[i]}", fontweight="bold",
                     color=VERMILION, **style)
    return picture


def describe(truth, predicted, wrong, shown):
    """Return the figure in full sentences."""
    pairs = ", ".join(f"a {truth[i]} read as {predicted[i]}" for i in shown)
    return (f"{len(wrong):,} of {len(truth):,} digits were misread. "
            + (f"The images show {pairs}." if pairs else "There is no image to show."))
