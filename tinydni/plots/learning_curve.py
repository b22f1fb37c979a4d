"""Learning curves, each labelled at its end with its last value."""

import math

import numpy as np

from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, QUIET, SMALL, Line, lines, log_axis, plain_axes

LOG_ABOVE = 30                          # ratio of the largest to the smallest value from which an axis is logarithmic
MAX_MARKED = 25                         # points of a curve up to which each gets its marker
LEFT, BOTTOM, TOP = 0.85, 0.62, 0.55    # margins [inches]; the one at the right fits the labels
WIDTH, HEIGHT, LABEL = 5.0, 3.1, 0.185  # of the axes, and the height of a label [inches]
TICKS = 10                              # that a logarithmic axis has room for
PAPER = Line(QUIET, (0, (5, 3)), "")


def learning_curve(curves, title="", ylabel="", xlabel="", reference=None):
    """Draws curves with one axis of values, logarithmic where they span a factor of 30. Returns a Picture.

    curves: {label: (x, y) or (x, y, spread)}, each a sequence of numbers; a label that names a method of the command
    line gets its colour; spread is drawn as a band y - spread ... y + spread. A value that is not finite leaves a gap.
    reference: {label: value} for horizontal lines, such as the figure of a paper

    Raises ValueError for no curve, no point, x, y and spread of different lengths, or no finite value.
    """
    curves = {label: check(label, curve) for label, curve in curves.items()}
    if not curves:
        raise ValueError("curves is empty; name at least one curve to draw.")
    reference, styles = reference or {}, lines(curves)
    labels = [f"{label}  {final_text(y, spread)}" for label, (_, y, spread) in curves.items()]
    labels += [f"{label}  {number(value)}" for label, value in reference.items()]
    right, height = 0.6 + 0.077 * max(map(len, labels)), max(HEIGHT, LABEL * len(labels))
    picture = Picture(LEFT + WIDTH + right, BOTTOM + height + TOP, describe(curves, reference, title, ylabel, xlabel))
    whole_width, whole_height = picture.get_size_inches()
    axes = picture.add_axes((LEFT / whole_width, BOTTOM / whole_height, WIDTH / whole_width, height / whole_height))
    plain_axes(axes, title, xlabel, ylabel)
    for label, (x, y, spread) in curves.items():
        draw_curve(axes, x, y, spread, styles[label])
    for value in reference.values():
        axes.axhline(value, color=PAPER.color, linestyle=PAPER.linestyle, linewidth=1.1, zorder=1)
    set_scales(axes, curves, reference)
    ends = [last_point(x, y) for x, y, _ in curves.values()]
    ends += [(axes.get_xlim()[1], value) for value in reference.values()]
    label_ends(axes, ends, labels, [*styles.values(), *[PAPER] * len(reference)], LABEL / height)
    return picture


def check(label, curve):
    """The curve as three float arrays (spread may be None), or ValueError."""
    x, y, spread = (np.asarray(part, dtype=float) for part in (*curve, *[np.nan] * (3 - len(curve))))
    spread = None if spread.ndim == 0 else spread
    lengths = {name: part.shape for name, part in (("x", x), ("y", y), ("spread", spread)) if part is not None}
    if x.ndim != 1 or len(set(lengths.values())) > 1:
        raise ValueError(f"curves[{label!r}]: x, y and spread must be sequences of one length; got shapes {lengths}.")
    if not np.isfinite(y).any():
        raise ValueError(f"curves[{label!r}] has no finite value to draw; it has {len(y)} points.")
    return x, y, spread


def draw_curve(axes, x, y, spread, style):
    """One curve with its band; few points are marked each, many only at the end."""
    many = len(x) > MAX_MARKED
    axes.plot(x, y, color=style.color, linestyle=style.linestyle, linewidth=1.8, marker=style.marker, markersize=5,
              markeredgecolor="white", markeredgewidth=0.7, markevery=[len(x) - 1] if many else None, zorder=3,
              clip_on=False)
    if spread is not None:
        axes.fill_between(x, y - spread, y + spread, color=style.color, alpha=0.15, linewidth=0, zorder=2)


def set_scales(axes, curves, reference):
    """A logarithmic axis for values over more than a factor of LOG_ABOVE, else one that shows them all."""
    values = np.concatenate([*(y[np.isfinite(y)] for _, y, _ in curves.values()), list(reference.values())])
    if values.min() > 0 and values.max() / values.min() > LOG_ABOVE:
        log_axis(axes, TICKS)
    else:
        if values.min() >= 0 and (values.min() < 0.5 * values.max() or values.min() == values.max()):
            axes.set_ylim(bottom=0)
        if whole(values):
            axes.yaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    places = np.concatenate([x for x, _, _ in curves.values()])
    if len(set(places)) == 1:
        axes.set_xticks(places[:1], [f"{places[0]:.3g}"])
    elif whole(places):
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())        # Matplotlib puts its scaling off until it is asked


def whole(values):
    """Whether all are whole numbers."""
    return np.array_equal(values, np.round(values))


def label_ends(axes, ends, labels, styles, gap):
    """Writes each label to the right of the axes at the height of its end, moved apart where they would collide.

    ends: (x, y) of each    gap: least distance between two labels, as a share of the height of the axes
    """
    starts = (axes.transData + axes.transAxes.inverted()).transform(ends)
    options = {"transform": axes.transAxes, "clip_on": False}
    for (x, y), text, style, height in zip(starts, labels, styles, apart(starts[:, 1], gap)):
        axes.plot([x, 1, 1.035, 1.05], [y, y, height, height], color=style.color, linewidth=0.8, linestyle=":",
                  zorder=1, **options)
        axes.plot([1.07], [height], color=style.color, marker=style.marker, markersize=5, markeredgecolor="white",
                  markeredgewidth=0.5, **options)
        axes.text(1.09, height, text, fontsize=SMALL + 0.5, va="center_baseline", color=QUIET if style is PAPER else INK,
                  **options)


def apart(wanted, gap):
    """Heights near the wanted ones with at least `gap` between neighbours, in the same order, from 0 to 1.

    Neighbours that are too close form a stack around their common mean; stacks that meet are joined.
    """
    stacks = []
    for i in np.argsort(wanted, kind="stable"):
        stack = [i]
        while stacks and bottom(wanted, stack, gap) < bottom(wanted, stacks[-1], gap) + gap * len(stacks[-1]):
            stack = stacks.pop() + stack
        stacks.append(stack)
    heights = np.empty(len(wanted))
    for stack in stacks:
        heights[stack] = bottom(wanted, stack, gap) + gap * np.arange(len(stack))
    return heights


def bottom(wanted, stack, gap):
    """The height of the lowest label of a stack that is centred on what its labels want, as far as the axes reach."""
    rise = gap * (len(stack) - 1)
    return min(max(wanted[stack].mean() - rise / 2, 0), 1 - rise)


def last_point(x, y):
    """The last point with a finite value."""
    i = np.flatnonzero(np.isfinite(y))[-1]
    return x[i], y[i]


def final_text(y, spread):
    """The last value as it is written beside the curve."""
    if not np.isfinite(y[-1]):
        return f"ends in {y[-1]}"
    return number(y[-1]) + (f" ± {number(spread[-1], like=y[-1])}" if spread is not None else "")


def number(value, like=None):
    """Three significant digits, or as many decimals as `like` has so; an exponent only for extraordinary sizes."""
    size = abs(value if like is None else like)
    if size and not 1e-3 <= size < 1e5:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(size))) if size else 0}f}"


def describe(curves, reference, title, ylabel, xlabel):
    """The figure in full sentences."""
    parts = [f"{label} goes from {number(y[0])} to {final_text(y, spread)}" for label, (_, y, spread) in curves.items()]
    lines = [f"{label} at {number(value)}" for label, value in reference.items()]
    return (f"Learning curves{f', {title}' if title else ''}: {ylabel or 'value'} against {xlabel or 'step'}. "
            f"{'; '.join(parts)}." + (f" Horizontal lines: {'; '.join(lines)}." if lines else ""))
