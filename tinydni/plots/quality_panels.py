"""How good the synthetic gradients were: a column per interface, rows for direction and length."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinydni.checks import brief
from tinydni.plots.arguments import as_numbers, check_named
from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, NORMAL, QUIET, SMALL, lines, log_axis, plain_axes

WIDTH, HEIGHT = 1.45, 1.35                      # of a panel [inches]
LEFT, BOTTOM, TOP, GAP = 0.85, 0.6, 1.15, 0.25  # margins, and the room between panels
KEY = 1.55                                      # width of an entry of the key
TICKS = 7                                       # that the axis of lengths has room for
ROWS = {"cosine": ("cosine", "cosine {:.2f}"),
        "norm_ratio": ("length, guess / truth", "length {:.2f} of the true one")}
POINT = {"markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.5}


def gradient_quality(histories: Mapping[str, Mapping[str, Any]], title: str = "") -> Picture:
    """Draw cosine and norm ratio of the guesses at every interface against the epoch.

    Raises ValueError for no history, one that was not measured, or other numbers of interfaces.

    Parameters
    ----------
    histories : {label: history}, each with `epoch`, and `gradients` with one dict per interface,
        from bottom to top, for every epoch (see tinydni.lab.gradient_quality); a label that names a
        method of the command line gets its colour; None, where a norm is zero, leaves a gap
    """
    n = check(histories)
    styles = lines(histories)
    width = max(LEFT + n * WIDTH + (n - 1) * GAP + 0.3, 0.4 + KEY * len(histories),
                0.4 + 0.105 * len(title))
    picture = Picture(width, BOTTOM + 2 * HEIGHT + GAP + TOP, describe(histories, title, n))
    picture.title(title)
    draw_key(picture.blank_axes(), styles, picture.height - 0.62)
    for row, (name, (ylabel, _)) in enumerate(ROWS.items()):
        first = None
        for i in range(n):
            axes = picture.panel(LEFT + i * (WIDTH + GAP), BOTTOM + (1 - row) * (HEIGHT + GAP),
                                 WIDTH, HEIGHT, sharey=first)
            first = first or axes       # the panels of a row share their axis of values
            draw_panel(axes, histories, styles, name, i)
            plain_axes(axes, "", "epoch" if row else "", "" if i else ylabel)
            axes.tick_params(labelbottom=bool(row), labelleft=i == 0)
            if not row:
                axes.set_title(f"interface {i + 1}", fontsize=NORMAL, color=INK, loc="left")
        if name == "norm_ratio":
            log_axis(axes, TICKS, shown=(0.5, 2))
        else:
            axes.set_ylim(min(0, axes.get_ylim()[0]), 1.05)
    return picture


def draw_panel(axes, histories, styles, name, i):
    """Draw a measure at interface i, a line per history, and a dashed one at 1: a perfect guess."""
    axes.axhline(1, color=QUIET, linewidth=1, linestyle=(0, (5, 3)), zorder=1)
    for label, history in histories.items():
        color, linestyle, marker = styles[label]
        axes.plot(history["epoch"], values(history, name, i), color=color, linestyle=linestyle,
                  linewidth=1.6, marker=marker, zorder=3, **POINT)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=2)


def draw_key(axes, styles, y):
    """Explain the lines, in a row at height y."""
    for k, (label, (color, linestyle, marker)) in enumerate(styles.items()):
        x = 0.3 + KEY * k
        axes.plot([x, x + 0.35], [y, y], color=color, linestyle=linestyle, linewidth=1.6)
        axes.plot([x + 0.175], [y], color=color, marker=marker, **POINT)
        axes.text(x + 0.45, y, label, fontsize=SMALL + 0.5, color=INK, va="center_baseline")


def values(history, name, i):
    """Return a measure at interface i over the epochs, NaN where it was not known."""
    found = [interfaces[i][name] for interfaces in history["gradients"]]
    return np.array([np.nan if value is None else value for value in found], float)


def check(histories):
    """Return the number of interfaces, or raise an error."""
    check_named(histories, "histories", "history")
    numbers = {}
    for label, history in histories.items():
        where = f"histories[{label!r}]"
        check_named(history, where, "list")
        try:
            found = [[[one[name] for name in ROWS] for one in interfaces]
                     for interfaces in history["gradients"]]
        except (KeyError, IndexError, TypeError):
            found = []
        if not found or not found[0]:
            raise ValueError(f"{where} has no measured gradients; train with measure_gradients, "
                             "and a synthesizer at least at one interface.")
        if as_numbers(history.get("epoch"), f"{where}: epoch").shape != (len(found),):
            raise ValueError(f"{where}: epoch must have a number for each of its {len(found)} "
                             f"gradients; got {brief(history['epoch'])}.")
        numbers[label] = len(found[0])
    if len(set(numbers.values())) > 1:
        raise ValueError(f"histories must have the same number of interfaces; got {numbers}.")
    return next(iter(numbers.values()))


def describe(histories, title, n):
    """Return the figure in full sentences."""
    parts = []
    for label, history in histories.items():
        last = [", ".join(words.format(values(history, name, i)[-1])
                          for name, (_, words) in ROWS.items()) for i in range(n)]
        ends = "; ".join(f"interface {i}: {text}" for i, text in enumerate(last, 1))
        parts.append(f"{label} ends with {ends}.")
    return (f"Synthetic gradients beside the true ones{f', {title}' if title else ''}, at every "
            f"interface from the bottom to the top. {' '.join(parts)}")
