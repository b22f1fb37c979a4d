"""Who did what when: the work of every worker as bars along time, for several ways to train side by side."""

import numpy as np

from tinydni.lab.workers.recorder import WHAT
from tinydni.plots.picture import Picture
from tinydni.plots.style import BLUE, GREEN, INK, LARGE, NORMAL, QUIET, RULE, SMALL, VERMILION, YELLOW

COLORS = dict(zip(WHAT, (BLUE, VERMILION, YELLOW, GREEN, RULE)))
WORDS = dict(zip(WHAT, ("forward", "backward", "update", "synthesizer: guess and learn", "waiting")))
WIDTH, LANE, GAP, LEFT, TOP, BOTTOM = 9.0, 0.34, 0.62, 1.0, 0.75, 0.6         # [inches]


def timeline(runs, title="Who does what when", n_batches=4):
    """Draws workers as lanes and their work as bars, for several runs over one axis of time. Returns a Picture.

    runs: {label: {worker: records (n, 4)}}, as in ParallelTraining.records: (index into WHAT, batch, start, end) [s]
    n_batches: of each run those in a row are looked for that took the least time, since they were disturbed the least;
    the axis is as long as the slowest run needs for them. The batches per second are of all that was recorded.

    Raises ValueError where there is nothing to draw.
    """
    if not runs:
        raise ValueError("runs is empty; name at least one run to draw.")
    windows = {label: Window(label, run, n_batches) for label, run in runs.items()}
    span = max(window.length for window in windows.values())
    heights = [LANE * len(window.run) for window in windows.values()]
    width, height = LEFT + WIDTH + 0.3, TOP + sum(heights) + GAP * len(runs) + BOTTOM
    picture = Picture(width, height, describe(title, windows))
    top = height - TOP
    for i, (label, window) in enumerate(windows.items()):
        top -= GAP + heights[i]
        axes = picture.add_axes((LEFT / width, (top + GAP / 2) / height, WIDTH / width, heights[i] / height))
        axes.set_title(f"{label}: {window.rate:.0f} batches/s", loc="left", fontsize=NORMAL, color=INK, pad=4)
        draw_run(axes, window.run, span, last=i == len(runs) - 1)
    picture.text(LEFT / width, 1 - 0.26 / height, title, fontsize=LARGE, fontweight="bold", color=INK, va="center")
    draw_key(picture, LEFT / width, 1 - 0.56 / height)
    return picture


class Window:
    """The batches of a run that are shown: the run with times in ms from their start, and how long they took."""

    def __init__(self, label, run, n_batches):
        run = {worker: np.asarray(records, dtype=float).reshape(-1, 4) for worker, records in sorted(run.items())}
        if not run or any(len(records) == 0 for records in run.values()):
            raise ValueError(f"runs[{label!r}] has a worker without records; was there a recorder?")
        starts = batch_starts(run[min(run)])
        starts = starts[(starts >= max(records[:, 2].min() for records in run.values()))
                        & (starts <= min(records[:, 3].max() for records in run.values()))]
        n = min(n_batches, len(starts) - 1)
        if n < 1:
            raise ValueError(f"runs[{label!r}] has no two batches at which all workers are at work; record more of "
                             "them.")
        lengths = starts[n:] - starts[:-n]
        start = starts[(lengths <= lengths.min() * (1 + 1e-9)).argmax()]       # the first of those that took the least
        self.run = {worker: (records - (0, 0, start, start)) * (1, 1, 1e3, 1e3) for worker, records in run.items()}
        self.length = 1e3 * lengths.min()
        self.rate = (len(starts) - 1) / (starts[-1] - starts[0])        # of all, bursts and pauses included

    def waiting(self, worker):
        """The share of the time in which a worker waited."""
        waits = self.run[worker][self.run[worker][:, 0] == WHAT.index("waiting")]
        return np.clip(np.minimum(waits[:, 3], self.length) - np.maximum(waits[:, 2], 0), 0, None).sum() / self.length


def batch_starts(records):
    """When the first forward pass of each batch began."""
    forward = records[records[:, 0] == WHAT.index("forward")]
    return np.array([forward[forward[:, 1] == step, 2].min() for step in np.unique(forward[:, 1])])


def draw_run(axes, run, span, last):
    """The lanes of one run."""
    for lane, records in enumerate(run.values()):
        for what, step, start, end in records:
            if end > 0 and start < span:
                name = WHAT[int(what)]
                axes.broken_barh([(start, end - start)], (lane - 0.4, 0.8), facecolor=COLORS[name],
                                 alpha=1.0 if int(step) % 2 else 0.72, linewidth=0)
    axes.set(xlim=(0, span), ylim=(len(run) - 0.5, -0.5), yticks=range(len(run)))
    axes.set_yticklabels([f"worker {worker}" for worker in run], fontsize=SMALL, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=SMALL, colors=INK, length=3, labelbottom=last)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    if last:
        axes.set_xlabel("time [ms]; batches alternate between full and light colour; white: messages, bookkeeping",
                        fontsize=SMALL, color=INK)


def draw_key(picture, x, y):
    """The meaning of the colours, in a row."""
    for name in WHAT:
        picture.text(x, y, "■", fontsize=NORMAL, color=COLORS[name], va="center")
        picture.text(x + 0.018, y, WORDS[name], fontsize=SMALL, color=INK, va="center")
        x += 0.045 + 0.0068 * len(WORDS[name])


def describe(title, windows):
    """The figure in full sentences."""
    parts = [f"{label}, {window.rate:.0f} batches per second, workers waiting "
             + ", ".join(f"{100 * window.waiting(worker):.0f} %" for worker in window.run) + " of the time"
             for label, window in windows.items()]
    return f"{title}: what each worker does along time, as coloured bars. {'; '.join(parts)}."
