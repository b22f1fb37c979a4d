"""How good the synthetic gradients were in training: a column per interface, a row for direction and one for length."""

import numpy as np

from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, LARGE, NORMAL, QUIET, SMALL, lines, log_axis, plain_axes

WIDTH, HEIGHT = 1.45, 1.35                      # of a panel [inches]
LEFT, BOTTOM, TOP, GAP = 0.85, 0.6, 1.15, 0.25  # margins, and the room between panels
KEY = 1.55                                      # width of an entry of the key
TICKS = 7                                       # that the axis of lengths has room for
ROWS = {"cosine": ("cosine", "cosine {:.2f}"),
        "norm_ratio": ("length, guess / truth", "length {:.2f} of the true one")}


def gradient_quality(histories, title=""):
    """Draws cosine and norm ratio of the guesses at every interface against the epoch. Returns a Picture.

    histories: {label: history}, a history as a Training with measure_gradients keeps it: `epoch`, and `gradients` with
    one dict per interface, from bottom to top, for every epoch (see tinydni.dni.quality). A label that names a
    method of the command line gets its colour; None, where a norm is zero, leaves a gap.

    Raises ValueError for no history, one that was not measured, or different numbers of interfaces.
    """
    n = check(histories)
    styles = lines(histories)
    room = max(LEFT + n * WIDTH + (n - 1) * GAP + 0.3, 0.4 + KEY * len(histories), 0.4 + 0.105 * len(title))
    picture = Picture(room, BOTTOM + 2 * HEIGHT + GAP + TOP, describe(histories, title, n))
    width, height = picture.get_size_inches()
    draw_head(picture.blank_axes(), title, styles, height)
    for row, (name, (ylabel, _)) in enumerate(ROWS.items()):
        first = None
        for i in range(n):
            x, y = LEFT + i * (WIDTH + GAP), BOTTOM + (1 - row) * (HEIGHT + GAP)
            axes = picture.add_axes((x / width, y / height, WIDTH / width, HEIGHT / height), sharey=first)
            first = first or axes
            draw_panel(axes, histories, styles, name, i)
            plain_axes(axes, "", "epoch" if row else "", "" if i else ylabel)
            axes.tick_params(labelbottom=bool(row), labelleft=i == 0)
            if not row:
                axes.set_title(f"interface {i + 1}", fontsize=NORMAL, color=INK, loc="left")
        if name == "norm_ratio":
            log_axis(first, TICKS, shown=(0.5, 2))
        else:
            first.set_ylim(min(0, first.get_ylim()[0]), 1.05)
    return picture


def draw_panel(axes, histories, styles, name, i):
    """One measure at one interface, a line per history, and a dashed one at 1, where a perfect guess would be."""
    axes.axhline(1, color=QUIET, linewidth=1, linestyle=(0, (5, 3)), zorder=1)
    for label, history in histories.items():
        style = styles[label]
        axes.plot(history["epoch"], values(history, name, i), color=style.color, linestyle=style.linestyle, linewidth=1.6,
                  marker=style.marker, markersize=4.5, markeredgecolor="white", markeredgewidth=0.5, zorder=3)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=2)


def draw_head(axes, title, styles, height):
    """The title, and the key below it."""
    axes.text(0.2, height - 0.2, title, fontsize=LARGE, fontweight="bold", color=INK, va="top")
    for k, (label, style) in enumerate(styles.items()):
        x, y = 0.3 + KEY * k, height - 0.62
        axes.plot([x, x + 0.35], [y, y], color=style.color, linestyle=style.linestyle, linewidth=1.6)
        axes.plot([x + 0.175], [y], color=style.color, marker=style.marker, markersize=4.5, markeredgecolor="white",
                  markeredgewidth=0.5)
        axes.text(x + 0.45, y, label, fontsize=SMALL + 0.5, color=INK, va="center_baseline")


def values(history, name, i):
    """One measure at interface i over the epochs, NaN where it was not known."""
    return np.array([np.nan if found[i][name] is None else found[i][name] for found in history["gradients"]], float)


def check(histories):
    """The number of interfaces, or ValueError."""
    if not histories:
        raise ValueError("histories is empty; name at least one training to draw.")
    numbers = {}
    for label, history in histories.items():
        if not history.get("gradients") or not history["gradients"][0]:
            raise ValueError(f"histories[{label!r}] has no measured gradients; train with measure_gradients=True, and a "
                             "synthesizer at least at one interface.")
        numbers[label] = len(history["gradients"][0])
    if len(set(numbers.values())) > 1:
        raise ValueError(f"histories must have the same number of interfaces; got {numbers}.")
    return next(iter(numbers.values()))


def describe(histories, title, n):
    """The figure in full sentences."""
    parts = []
    for label, history in histories.items():
        last = [", ".join(words.format(values(history, name, i)[-1]) for name, (_, words) in ROWS.items())
                for i in range(n)]
        parts.append(f"{label} ends with " + "; ".join(f"interface {i + 1}: {text}" for i, text in enumerate(last)) + ".")
    return (f"Synthetic gradients beside the true ones{f', {title}' if title else ''}, at every interface from the bottom to "
            f"the top. {' '.join(parts)}")
