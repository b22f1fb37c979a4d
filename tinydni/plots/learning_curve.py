"""Learning curves, each labelled at its end with its last value."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinydni.checks import brief, check_range
from tinydni.plots.arguments import as_numbers, check_named
from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, QUIET, SMALL, Line, lines, log_axis, plain_axes

LOG_ABOVE = 30                          # ratio of largest to smallest value for a logarithmic axis
MAX_MARKED = 25                         # points of a curve up to which each gets its marker
LEFT, BOTTOM, TOP = 0.85, 0.62, 0.55    # margins [inches]; the one at the right fits the labels
WIDTH, HEIGHT, LABEL = 5.0, 3.1, 0.185  # of the axes, and the height of a label [inches]
TICKS = 10                              # that a logarithmic axis has room for
PAPER = Line(QUIET, (0, (5, 3)), "")


def learning_curve(curves: Mapping[str, Sequence[Any]], title: str = "", ylabel: str = "",
                   xlabel: str = "", reference: Mapping[str, float] | None = None) -> Picture:
    """Draw curves over one axis of values, logarithmic where they span a factor of 30.

    Raises ValueError for no curve, parts of different lengths, or no finite value.

    Parameters
    ----------
    curves : {label: (x, y) or (x, y, spread)}, each a sequence of numbers; a label that names a
        method of the command line gets its colour; the spread is a band y - spread ... y + spread;
        a value that is not finite leaves a gap
    reference : {label: value} for horizontal lines, such as the figure of a paper
    """
    check_named(curves, "curves", "curve")
    checked = {label: check(f"curves[{label!r}]", curve) for label, curve in curves.items()}
    reference = {label: check_range(value, f"reference[{label!r}]", None, None)
                 for label, value in (reference or {}).items()}
    styles = lines(checked)
    labels = [f"{label}  {final_text(y, spread)}" for label, (_, y, spread) in checked.items()]
    labels += [f"{label}  {number(value)}" for label, value in reference.items()]
    right, height = 0.6 + 0.077 * max(map(len, labels)), max(HEIGHT, LABEL * len(labels))
    picture = Picture(LEFT + WIDTH + right, BOTTOM + height + TOP,
                      describe(checked, reference, title, ylabel, xlabel))
    axes = picture.panel(LEFT, BOTTOM, WIDTH, height)
    plain_axes(axes, title, xlabel, ylabel)
    for label, parts in checked.items():
        draw_curve(axes, *parts, styles[label])
    for value in reference.values():
        axes.axhline(value, color=PAPER.color, linestyle=PAPER.linestyle, linewidth=1.1, zorder=1)
    set_scales(axes, checked, reference)
    finite = {label: np.isfinite(y) for label, (_, y, _) in checked.items()}
    ends = [(x[finite[label]][-1], y[finite[label]][-1]) for label, (x, y, _) in checked.items()]
    ends += [(axes.get_xlim()[1], value) for value in reference.values()]
    label_ends(axes, ends, labels, [*styles.values(), *[PAPER] * len(reference)], LABEL / height)
    return picture


def check(name: str, curve: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Return the curve as three float arrays (spread may be None), or raise an error."""
    if not isinstance(curve, (tuple, list)) or len(curve) not in (2, 3):
        raise TypeError(f"{name} must be (x, y) or (x, y, spread); got {brief(curve)}.")
    parts = {part: as_numbers(values, f"{name}: {part}").astype(float)
             for part, values in zip(("x", "y", "spread"), curve)}
    x, y, spread = parts["x"], parts["y"], parts.get("spread")
    if x.ndim != 1 or any(values.shape != x.shape for values in parts.values()):
        raise ValueError(f"{name}: x, y and spread must be sequences of one length; got shapes "
                         f"{ {part: values.shape for part, values in parts.items()} }.")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: x must be finite; got {x[~np.isfinite(x)][0]}.")
    if not np.isfinite(y).any():
        raise ValueError(f"{name} has no finite value to draw; y has {len(y)} points.")
    return x, y, spread


def draw_curve(axes, x, y, spread, style):
    """Draw one curve with its band; few points are marked each, many only at the end."""
    axes.plot(x, y, color=style.color, linestyle=style.linestyle, linewidth=1.8,
              marker=style.marker, markersize=5, markeredgecolor="white", markeredgewidth=0.7,
              markevery=[len(x) - 1] if len(x) > MAX_MARKED else None, zorder=3, clip_on=False)
    if spread is not None:
        axes.fill_between(x, y - spread, y + spread, color=style.color, alpha=0.15, linewidth=0,
                          zorder=2)


def set_scales(axes, curves, reference):
    """Choose a logarithmic axis for values over a factor of LOG_ABOVE, else one for all."""
    values = np.concatenate([*(y[np.isfinite(y)] for _, y, _ in curves.values()),
                             list(reference.values())])
    low, high = values.min(), values.max()
    if low > 0 and high / low > LOG_ABOVE:
        log_axis(axes, TICKS)
    else:
        if low >= 0 and (low < 0.5 * high or low == high):
            axes.set_ylim(bottom=0)
        if whole(values):
            axes.yaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    places = np.concatenate([x for x, _, _ in curves.values()])
    if len(set(places)) == 1:
        axes.set_xticks(places[:1], [f"{places[0]:.3g}"])
    elif whole(places):
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())    # Matplotlib puts its scaling off


def whole(values):
    """Tell whether all are whole numbers."""
    return np.array_equal(values, np.round(values))


def label_ends(axes, ends, labels, styles, gap):
    """Write each label right of the axes at the height of its end, moved where they would collide.

    ends: (x, y) of each    gap: between two labels, at least, as a share of the axes' height
    """
    starts = (axes.transData + axes.transAxes.inverted()).transform(ends)
    options = {"transform": axes.transAxes, "clip_on": False}
    for (x, y), text, style, height in zip(starts, labels, styles, apart(starts[:, 1], gap)):
        axes.plot([x, 1, 1.035, 1.05], [y, y, height, height], color=style.color, linewidth=0.8,
                  linestyle=":", zorder=1, **options)
        axes.plot([1.07], [height], color=style.color, marker=style.marker, markersize=5,
                  markeredgecolor="white", markeredgewidth=0.5, **options)
        axes.text(1.09, height, text, fontsize=SMALL + 0.5, va="center_baseline",
                  color=QUIET if style is PAPER else INK, **options)


def apart(wanted, gap):
    """Return heights from 0 to 1 near the wanted ones, in their order, at least `gap` apart.

    Without the gaps below them, heights must not fall. The nearest such ones are
    level_i = max over a <= i of min over b >= i of the mean of a ... b   (isotonic regression)
    """
    order, n = np.argsort(wanted, kind="stable"), len(wanted)
    gaps, heights = gap * np.arange(n), np.empty(n)
    free = np.asarray(wanted)[order] - gaps
    levels = [max(min(free[a:b].mean() for b in range(i + 1, n + 1)) for a in range(i + 1))
              for i in range(n)]
    heights[order] = np.clip(levels, 0, 1 - gaps[-1]) + gaps
    return heights


def final_text(y, spread):
    """Return the last value as it is written beside the curve."""
    if not np.isfinite(y[-1]):
        return f"ends in {y[-1]}"
    return number(y[-1]) + (f" ± {number(spread[-1], like=y[-1])}" if spread is not None else "")


def number(value, like=None):
    """Write three significant digits, or as many decimals as `like` has so; few exponents."""
    size = abs(value if like is None else like)
    if size and not 1e-3 <= size < 1e5:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(size))) if size else 0}f}"


def describe(curves, reference, title, ylabel, xlabel):
    """Return the figure in full sentences."""
    parts = "; ".join(f"{label} goes from {number(y[0])} to {final_text(y, spread)}"
                      for label, (_, y, spread) in curves.items())
    rules = "; ".join(f"{label} at {number(value)}" for label, value in reference.items())
    return (f"Learning curves{f', {title}' if title else ''}: {ylabel or 'value'} against "
            f"{xlabel or 'step'}. {parts}." + (f" Horizontal lines: {rules}." if rules else ""))
