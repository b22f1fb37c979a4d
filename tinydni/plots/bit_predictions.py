"""A few binary additions as a network sees them, with the bits that it gets wrong."""

from typing import Any

import numpy as np

from tinydni import checks
from tinydni.plots.arguments import as_numbers
from tinydni.plots.picture import Picture
from tinydni.plots.style import GREEN, INK, NORMAL, QUIET, SMALL, VERMILION, rounded_box

CELL, ROW, GAP = 0.24, 0.44, 0.42   # of a bit, of an addition, around a sign [inches]


def bit_predictions(x: Any, truth: Any, predicted: Any, count: int = 8,
                    title: str = "Sums it never saw") -> Picture:
    """Draw the first additions: the two numbers, the predicted sum, each wrong bit boxed.

    Raises ValueError where the shapes do not fit, or predicted holds anything but bits.

    Parameters
    ----------
    x (N, 2 B) : the bits of a, then of b, most significant first
    truth (N, B + 1) : the bits of a + b
    predicted (N, B + 1) : bits, 0 or 1 (threshold logits at 0 first)
    count : how many additions are drawn
    """
    x, truth, predicted = (as_numbers(array, name) for name, array in (
        ("x", x), ("truth", truth), ("predicted", predicted)))
    check(x, truth, predicted)
    n, bits = min(checks.check_positive_int(count, "count"), len(x)), x.shape[1] // 2
    height, wrong = ROW * n + 1.15, int((predicted != truth).sum())
    picture = Picture(CELL * (3 * bits + 1) + 2 * GAP + 2.4, height, describe(n, truth, predicted))
    axes = picture.blank_axes()
    picture.title(title, x=0.25)
    share = f"{100 * (1 - wrong / truth.size):.2f} % of all {truth.size:,} bits are right"
    axes.text(0.25, height - 0.47, share, fontsize=SMALL, color=QUIET, va="top")
    starts = [0.3 + k * (CELL * bits + GAP) for k in range(3)]
    for start, name in zip(starts, ("a", "b", "predicted sum")):
        axes.text(start + 0.05, height - 0.83, name, fontsize=SMALL, color=QUIET,
                  va="center_baseline")
    for i in range(n):
        y = height - 1.15 - ROW * i
        a, b = x[i, :bits], x[i, bits:]
        for start, number, right in zip(starts, (a, b, predicted[i]), (a, b, truth[i])):
            draw_bits(axes, start, y, number, right)
        for start, sign in zip(starts[1:], "+="):
            axes.text(start - GAP / 2, y, sign, fontsize=NORMAL + 2, color=QUIET, ha="center",
                      va="center")
        draw_in_words(axes, starts[2] + CELL * (bits + 1) + 0.3, y, (a, b, truth[i], predicted[i]))
    return picture


def draw_bits(axes, x, y, bits, truth):
    """Draw one number; a bit that differs from the truth is white in a box."""
    for j, (bit, right) in enumerate(zip(bits, bits == truth)):
        if not right:
            rounded_box(axes, x + CELL * j + 0.02, y - 0.15, CELL - 0.04, 0.3, 0.04,
                        gid="wrong bit", color=VERMILION, linewidth=0)
        axes.text(x + CELL * (j + 0.5), y, f"{int(bit)}", fontsize=NORMAL + 1, family="monospace",
                  ha="center", va="center_baseline", color=INK if right else "white",
                  fontweight="normal" if right else "bold")


def draw_in_words(axes, x, y, numbers):
    """Write the same addition in decimal numbers, from the bits of a, b, a + b and the guess."""
    a, b, c, said = (int("".join(str(int(bit)) for bit in bits), 2) for bits in numbers)
    text, color = f"✓ {a} + {b} = {c}", GREEN
    if said != c:
        text, color = f"✗ {a} + {b} = {c}, not {said}", VERMILION
    axes.text(x, y, text, fontsize=NORMAL, color=color, va="center_baseline")


def check(x, truth, predicted):
    """Raise ValueError where the arrays are not N additions of B-bit numbers."""
    if x.ndim != 2 or not len(x) or x.shape[1] % 2 or truth.shape != (len(x), x.shape[1] // 2 + 1):
        raise ValueError("x must have shape (N, 2 B) and truth (N, B + 1); "
                         f"got {x.shape} and {truth.shape}.")
    checks.check_same_shape(predicted, truth, "predicted", "truth")
    if not np.isin(predicted, (0, 1)).all():
        raise ValueError("predicted must hold bits, 0 or 1; threshold logits first, as in "
                         "(logits > 0).")


def describe(n, truth, predicted):
    """Return the figure in full sentences."""
    right = int((predicted[:n] == truth[:n]).all(axis=1).sum())
    return (f"{n} additions of binary numbers with the sums that a network predicts, bit by bit; "
            f"wrong bits stand in boxes. {right} of the {n} sums shown are right, and "
            f"{int((predicted == truth).sum()):,} of all {truth.size:,} bits.")
