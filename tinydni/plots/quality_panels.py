"""How good the synthetic gradients were: a column per interface, rows for direction and length."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinydni.checks import brief
from tinydni.plots.arguments import as_numbers, check_named
from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, NORMAL, QUIET, lines, log_axis, plain_axes

WIDTH, HEIGHT = 1.45, 1.35                      # of a panel [inches]
LEFT, BOTTOM, TOP, GAP = 0.85, 0.6, 1.15, 0.25  # margins, and the room between panels
KEY = 1.55                                      # width of an entry of the key
TICKS = 7                                       # that the axis of lengths has room for
ROWS = {"cosine": ("cosine", "cosine {:.2f}"),
        "norm_ratio": ("length, guess / truth", "length {:.2f} of the true one")}
POINT: dict[str, Any] = {"markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.5}


def gradient_quality(histories: Mapping[str, Mapping[str, Any]], title: str = "") -> Picture:
    """Draw cosine and norm ratio of the guesses at every interface against the epoch.

    Raises ValueError for no history, one that was not measured, or other numbers of interfaces.

    Parameters
    ----------
    histories : {label: history}, each with `epoch`, and `gradients` with one dict per interface,
        from bottom to top, for every epoch (see tinydni.lab.gradient_quality); a label that names a
        method of the command line gets its colour; None, where a norm is zero, leaves a gap
    """
    from matplotlib.lines import Line2D
    found, styles = measured(histories), lines(histories)
    n = next(iter(found.values()))[1].shape[1]
    width = max(LEFT + n * WIDTH + (n - 1) * GAP + 0.3, 0.4 + KEY * len(histories),
                0.4 + 0.105 * len(title))
    picture = Picture(width, BOTTOM + 2 * HEIGHT + GAP + TOP, describe(found, title))
    picture.title(title)
    picture.key({label: Line2D([], [], color=color, linestyle=linestyle, marker=marker,
                               linewidth=1.6, **POINT)
                 for label, (color, linestyle, marker) in styles.items()}, below_top=0.55)
    for row, (name, (ylabel, _)) in enumerate(ROWS.items()):
        first = None
        for i in range(n):
            axes = picture.panel(LEFT + i * (WIDTH + GAP), BOTTOM + (1 - row) * (HEIGHT + GAP),
                                 WIDTH, HEIGHT, sharey=first)
            first = first or axes       # the panels of a row share their axis of values
            draw_panel(axes, found, styles, i, row)
            plain_axes(axes, "", "epoch" if row else "", "" if i else ylabel)
            axes.tick_params(labelbottom=bool(row), labelleft=i == 0)
            if not row:
                axes.set_title(f"interface {i + 1}", fontsize=NORMAL, color=INK, loc="left")
        if name == "norm_ratio":
            log_axis(axes, TICKS, shown=(0.5, 2))
        else:
            axes.set_ylim(min(0, axes.get_ylim()[0]), 1.05)
    return picture


def draw_panel(axes, found, styles, i, row):
    """Draw a measure at interface i, a line per history, and a dashed one at 1: a perfect guess."""
    axes.axhline(1, color=QUIET, linewidth=1, linestyle=(0, (5, 3)), zorder=1)
    for label, (epoch, values) in found.items():
        color, linestyle, marker = styles[label]
        axes.plot(epoch, values[:, i, row], color=color, linestyle=linestyle, linewidth=1.6,
                  marker=marker, zorder=3, **POINT)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=2)


def measured(histories):
    """Return {label: (epochs, measures (epochs, interfaces, 2))}, NaN where one was not known."""
    check_named(histories, "histories", "history")
    found = {}
    for label, history in histories.items():
        where = f"histories[{label!r}]"
        check_named(history, where, "list")
        try:
            values = np.array([[[one[name] for name in ROWS] for one in interfaces]
                               for interfaces in history["gradients"]], float)
        except (KeyError, IndexError, TypeError, ValueError):
            values = np.empty(0)
        if values.ndim != 3 or not values.size:
            raise ValueError(f"{where} has no measured gradients; train with measure_gradients, "
                             "and a synthesizer at least at one interface.")
        epoch = as_numbers(history.get("epoch"), f"{where}: epoch")
        if epoch.shape != values.shape[:1]:
            raise ValueError(f"{where}: epoch must have a number for each of its {len(values)} "
                             f"gradients; got {brief(epoch)}.")
        found[label] = epoch, values
    numbers = {label: values.shape[1] for label, (_, values) in found.items()}
    if len(set(numbers.values())) > 1:
        raise ValueError(f"histories must have the same number of interfaces; got {numbers}.")
    return found


def describe(found, title):
    """Return the figure in full sentences."""
    parts = []
    for label, (_, values) in found.items():
        last = [", ".join(words.format(value) for value, (_, words) in zip(both, ROWS.values()))
                for both in values[-1]]
        ends = "; ".join(f"interface {i}: {text}" for i, text in enumerate(last, 1))
        parts.append(f"{label} ends with {ends}.")
    return (f"Synthetic gradients beside the true ones{f', {title}' if title else ''}, at every "
            f"interface from the bottom to the top. {' '.join(parts)}")
