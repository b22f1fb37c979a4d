"""Who did what when: the work of every worker as bars along time, for several ways to train."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinydni.checks import check_positive_int
from tinydni.plots.arguments import as_numbers, check_named
from tinydni.plots.picture import Picture
from tinydni.plots.style import BLUE, GREEN, INK, NORMAL, QUIET, RULE, SMALL, VERMILION, YELLOW

WHAT = ("forward", "backward", "update", "synthesizer", "waiting")
COLORS = dict(zip(WHAT, (BLUE, VERMILION, YELLOW, GREEN, RULE)))
WORDS = (*WHAT[:3], "synthesizer: guess and learn", "waiting")      # of the key
WIDTH, LANE, GAP, LEFT, TOP, BOTTOM = 9.0, 0.34, 0.62, 1.0, 0.75, 0.6       # [inches]


def timeline(runs: Mapping[str, Mapping[int, Any]], title: str = "Who does what when",
             n_batches: int = 4) -> Picture:
    """Draw workers as lanes and their work as bars, for several runs over one axis of time.

    Of each run those batches in a row are shown that took the least time, since they were disturbed
    the least; the axis is as long as the slowest run needs for them. The batches per second are of
    all that was recorded. Raises ValueError where there is nothing to draw.

    Parameters
    ----------
    runs : {label: {worker: records (n, 4)}}, as in ParallelTraining.records: (index into WHAT,
        batch, start, end) [s]
    n_batches : how many are shown
    """
    from matplotlib.patches import Patch
    check_named(runs, "runs", "run")
    check_positive_int(n_batches, "n_batches")
    windows = {label: Window(label, run, n_batches) for label, run in runs.items()}
    span = max(window.length for window in windows.values())
    heights = [LANE * len(window.run) for window in windows.values()]
    picture = Picture(LEFT + WIDTH + 0.3, TOP + sum(heights) + GAP * len(runs) + BOTTOM,
                      describe(title, windows))
    top = picture.height - TOP
    for i, (label, window) in enumerate(windows.items()):
        top -= GAP + heights[i]
        axes = picture.panel(LEFT, top + GAP / 2, WIDTH, heights[i])
        axes.set_title(f"{label}: {window.rate:.0f} batches/s", loc="left", fontsize=NORMAL,
                       color=INK, pad=4)
        draw_run(axes, window.run, span, last=i == len(runs) - 1)
    picture.title(title, x=LEFT)
    picture.key({word: Patch(color=color) for word, color in zip(WORDS, COLORS.values())}, LEFT)
    return picture


class Window:
    """The batches of a run that are shown: the run in ms from their start, and how long it is."""

    def __init__(self, label, run, n_batches):
        check_named(run, f"runs[{label!r}]", "worker")
        run = {worker: as_numbers(run[worker], f"runs[{label!r}][{worker!r}]").astype(float)
               for worker in sorted(run)}
        if any(not records.size or records.shape[1:] != (4,) for records in run.values()):
            raise ValueError(f"runs[{label!r}] has a worker without records (n, 4); was there a "
                             "recorder?")
        forward = run[min(run)][run[min(run)][:, 0] == WHAT.index("forward")]
        starts = np.array([forward[forward[:, 1] == step, 2].min()
                           for step in np.unique(forward[:, 1])])      # of each batch
        all_begun = max(records[:, 2].min() for records in run.values())
        one_over = min(records[:, 3].max() for records in run.values())
        starts = starts[(starts >= all_begun) & (starts <= one_over)]
        n = min(n_batches, len(starts) - 1)
        if n < 1:
            raise ValueError(f"runs[{label!r}] has no two batches at which all workers are at "
                             "work; record more of them.")
        lengths = starts[n:] - starts[:-n]
        start = starts[(lengths <= lengths.min() * (1 + 1e-9)).argmax()]    # the first such
        self.run = {worker: (records - (0, 0, start, start)) * (1, 1, 1e3, 1e3)
                    for worker, records in run.items()}
        self.length = 1e3 * lengths.min()
        self.rate = (len(starts) - 1) / (starts[-1] - starts[0])    # of all, pauses included

    def waiting(self, worker):
        """Return the share of the time in which a worker waited."""
        waits = self.run[worker][self.run[worker][:, 0] == WHAT.index("waiting")]
        inside = np.minimum(waits[:, 3], self.length) - np.maximum(waits[:, 2], 0)
        return np.clip(inside, 0, None).sum() / self.length


def draw_run(axes, run, span, last):
    """Draw the lanes of one run."""
    for lane, records in enumerate(run.values()):
        for what, step, start, end in records:
            if end > 0 and start < span:
                axes.broken_barh([(start, end - start)], (lane - 0.4, 0.8),
                                 facecolor=COLORS[WHAT[int(what)]],
                                 alpha=1.0 if int(step) % 2 else 0.72, linewidth=0)
    axes.set(xlim=(0, span), ylim=(len(run) - 0.5, -0.5), yticks=range(len(run)))
    axes.set_yticklabels([f"worker {worker}" for worker in run], fontsize=SMALL, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=SMALL, colors=INK, length=3, labelbottom=last)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    if last:
        axes.set_xlabel("time [ms]; batches alternate between full and light colour; "
                        "white: messages, bookkeeping", fontsize=SMALL, color=INK)


def describe(title, windows):
    """Return the figure in full sentences."""
    parts = []
    for label, window in windows.items():
        waits = ", ".join(f"{100 * window.waiting(worker):.0f} %" for worker in window.run)
        parts.append(f"{label}, {window.rate:.0f} batches per second, workers waiting {waits} "
                     "of the time")
    return (f"{title}: what each worker does along time, as coloured bars. "
            f"{'; '.join(parts)}.")
