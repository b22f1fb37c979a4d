"""A few binary additions as a network sees them, with the bits that it gets wrong."""

import numpy as np
from matplotlib.patches import FancyBboxPatch

from tinydni import checks
from tinydni.plots.picture import Picture
from tinydni.plots.style import GREEN, INK, LARGE, NORMAL, QUIET, SMALL, VERMILION

CELL, ROW, GAP = 0.24, 0.44, 0.42       # width of a bit, height of an addition, room for a sign [inches]


def bit_predictions(x, truth, predicted, count=8, title="Sums it never saw"):
    """Draws the first `count` additions: the two numbers, the predicted sum, and each wrong bit boxed. Returns a Picture.

    x (N, 2 B): the bits of a, then of b, most significant first    truth (N, B + 1): the bits of a + b
    predicted (N, B + 1): bits, 0 or 1 (threshold logits at 0 first)
    Raises ValueError where the shapes do not fit, or predicted holds anything but bits.
    """
    x, truth, predicted = (np.asarray(array) for array in (x, truth, predicted))
    check(x, truth, predicted)
    n, bits = min(checks.check_positive_int(count, "count"), len(x)), x.shape[1] // 2
    width, height = CELL * (3 * bits + 1) + 2 * GAP + 2.4, ROW * n + 1.15
    wrong = int((predicted != truth).sum())
    picture = Picture(width, height, describe(n, truth, predicted))
    axes = picture.blank_axes()
    axes.text(0.25, height - 0.2, title, fontsize=LARGE, fontweight="bold", color=INK, va="top")
    axes.text(0.25, height - 0.47, f"{100 * (1 - wrong / truth.size):.2f} % of all {truth.size:,} bits are right",
              fontsize=SMALL, color=QUIET, va="top")
    starts = 0.3, 0.3 + CELL * bits + GAP, 0.3 + CELL * 2 * bits + 2 * GAP
    for start, name in zip(starts, ("a", "b", "predicted sum")):
        axes.text(start + 0.05, height - 0.83, name, fontsize=SMALL, color=QUIET, va="center_baseline")
    for i in range(n):
        y = height - 1.15 - ROW * i
        a, b = x[i, :bits], x[i, bits:]
        for start, number, right in zip(starts, (a, b, predicted[i]), (a, b, truth[i])):
            draw_bits(axes, start, y, number, right)
        for start, sign in zip(starts[1:], "+="):
            axes.text(start - GAP / 2, y, sign, fontsize=NORMAL + 2, color=QUIET, ha="center", va="center")
        draw_in_words(axes, starts[2] + CELL * (bits + 1) + 0.3, y, x[i], truth[i], predicted[i])
    return picture


def draw_bits(axes, x, y, bits, truth):
    """One number; a bit that differs from the truth is white in a box."""
    for j, (bit, right) in enumerate(zip(bits, bits == truth)):
        if not right:
            axes.add_patch(FancyBboxPatch((x + CELL * j + 0.02, y - 0.15), CELL - 0.04, 0.3, gid="wrong bit",
                                          boxstyle="round,pad=0,rounding_size=0.04", color=VERMILION, linewidth=0))
        axes.text(x + CELL * (j + 0.5), y, f"{int(bit)}", fontsize=NORMAL + 1, family="monospace", ha="center",
                  va="center_baseline", color=INK if right else "white", fontweight="normal" if right else "bold")


def draw_in_words(axes, x, y, pair, truth, predicted):
    """The same addition in decimal numbers."""
    half = len(pair) // 2
    a, b, c, said = (decimal(bits) for bits in (pair[:half], pair[half:], truth, predicted))
    text, color = (f"{a} + {b} = {c}", GREEN) if said == c else (f"{a} + {b} = {c}, not {said}", VERMILION)
    axes.text(x, y, ("✓ " if said == c else "✗ ") + text, fontsize=NORMAL, color=color, va="center_baseline")


def decimal(bits):
    """The number that the bits, most significant first, stand for."""
    return int("".join(str(int(bit)) for bit in bits), 2)


def check(x, truth, predicted):
    """Raises ValueError where the arrays are not N additions of B-bit numbers."""
    if x.ndim != 2 or not len(x) or x.shape[1] % 2 or truth.shape != (len(x), x.shape[1] // 2 + 1):
        raise ValueError(f"x must have shape (N, 2 B) and truth (N, B + 1); got {x.shape} and {truth.shape}.")
    checks.check_same_shape(predicted, truth, "predicted", "truth")
    if not np.isin(predicted, (0, 1)).all():
        raise ValueError("predicted must hold bits, 0 or 1; threshold logits first, as in (logits > 0).")


def describe(n, truth, predicted):
    """The figure in full sentences."""
    right = int((predicted[:n] == truth[:n]).all(axis=1).sum())
    return (f"{n} additions of binary numbers with the sums that a network predicts, bit by bit; wrong bits stand in "
            f"boxes. {right} of the {n} sums shown are right, and {int((predicted == truth).sum()):,} of all "
            f"{truth.size:,} bits.")
