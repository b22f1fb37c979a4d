"""One look for all figures: colours by role, and one colour, line and marker per method.

The colours are those of Okabe and Ito (2008), which colour-blind readers tell apart, some darkened
for thin lines on white. Lines also differ in dash and marker, so that a picture printed in grey
keeps its meaning.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

BLACK, GREY, ORANGE, SKY, GREEN = "#1b1f27", "#6b7280", "#c97b00", "#3a9bd9", "#00805c"
BLUE, VERMILION, PURPLE = "#0064a8", "#c94f00", "#a8528a"
YELLOW = "#f0e442"                              # for surfaces: too light for lines

INK, QUIET, RULE = BLACK, GREY, "#dfe3e8"       # text, text that steps back, grid lines and rules
SMALL, NORMAL, LARGE = 8.5, 10, 12              # font sizes [points]


class Line(NamedTuple):
    """How a line is drawn, in Matplotlib's words."""

    color: str
    linestyle: Any = "-"
    marker: str = "o"


# What crosses an interface, in every drawing of a network.
ROLES = {
    "forward": Line(BLACK),
    "true gradient": Line(VERMILION, (0, (4, 2))),
    "synthetic gradient": Line(GREEN),
    "message": Line(GREEN, (0, (1.2, 1.4))),
    "synthetic input": Line(BLUE),
    "input message": Line(BLUE, (0, (1.2, 1.4))),
}

# The methods of `tinydni train --method`, in every curve.
METHODS = {
    "backprop": Line(VERMILION, "-", "o"),
    "dni": Line(SKY, (0, (5, 1.5)), "^"),
    "cdni": Line(GREEN, "-", "s"),
    "vfbn": Line(PURPLE, (0, (6, 1.5, 1.2, 1.5)), "D"),
    "none": Line(GREY, (0, (1.2, 1.4)), "X"),
    "label-only": Line(ORANGE, (0, (3, 1.5)), "v"),
    "local": Line(BLUE, (0, (8, 2)), "P"),
    "dfa": Line(BLACK, (0, (4, 1.5, 1.2, 1.5)), "<"),
    "bottom": Line(GREY, (0, (7, 2)), ">"),
    "dgl": Line(BLUE, (0, (3, 1.5)), "p"),
    "ff": Line(PURPLE, (0, (3, 1.5)), "h"),
    "fa": Line(BLACK, (0, (1.2, 1.4)), "d"),
    "drtp": Line(ORANGE, "-", "*"),
    "dtp": Line(GREEN, (0, (8, 2)), "8"),
    "late-gradients": Line(VERMILION, (0, (5, 1.5)), "H"),
    "truncated": Line(PURPLE, "-", "v"),
}

# Curves that are not a method, in the order in which they come.
OTHERS = (Line(BLUE, "-", "o"), Line(ORANGE, (0, (5, 1.5)), "s"),
          Line(GREEN, (0, (6, 1.5, 1.2, 1.5)), "^"), Line(PURPLE, (0, (1.2, 1.4)), "D"),
          Line(BLACK, "-", "v"), Line(SKY, (0, (8, 2)), "P"))


def lines(labels: Iterable[str]) -> dict[str, Line]:
    """Return a Line per label: a method's own; others take in turn those whose colour is free."""
    labels = list(labels)
    taken = {METHODS[label].color for label in labels if label in METHODS}
    free = [line for line in OTHERS if line.color not in taken] or OTHERS
    others = [label for label in labels if label not in METHODS]
    return {label: METHODS[label] if label in METHODS else free[others.index(label) % len(free)]
            for label in labels}


def plain_axes(axes: Any, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Give axes the common look: open at the top and right, faint horizontal lines."""
    axes.set_title(title, loc="left", fontsize=LARGE, fontweight="bold", color=INK, pad=12)
    axes.set_xlabel(xlabel, fontsize=NORMAL, color=INK)
    axes.set_ylabel(ylabel, fontsize=NORMAL, color=INK)
    axes.tick_params(which="both", labelsize=SMALL + 0.5, colors=INK, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)


def log_axis(axes: Any, room: int, shown: Sequence[float] = ()) -> None:
    """Make the axis of values logarithmic, with plain numbers at 1, 2, 5, 10, or at decades.

    room: for so many ticks there is height    shown: values that it reaches in any case
    """
    from matplotlib.ticker import LogLocator, NullFormatter
    axes.set_yscale("log")
    low, high = min(*axes.get_ylim(), *shown), max(*axes.get_ylim(), *shown)
    axes.set_ylim(low, high)
    subs = (1, 2, 5) if 3 * math.log10(high / low) <= room else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(lambda value, position: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def rounded_box(axes: Any, x: float, y: float, width: float, height: float, radius: float,
                **look: Any) -> None:
    """Draw a box with round corners; (x, y) is its lower left one."""
    from matplotlib.patches import FancyBboxPatch
    axes.add_patch(FancyBboxPatch((x, y), width, height, **look,
                                  boxstyle=f"round,pad=0,rounding_size={radius}"))
