"""Sequences in windows: what a recurrent network is given at a time."""

from dataclasses import dataclass, replace

import numpy as np

from tinydni import backend


@dataclass
class Window:
    """Some steps of a sequence.

    x (N, T, ...): inputs
    target (N, T, ...): what the loss compares with; only the steps in `asked` count
    asked: numbers of the steps that have a target, from 0 to T - 1
    weight: of the loss of each such step; 1 / (their number in the whole sequence) makes the loss a mean
    contexts (N, T + 1, C): what synthesizers may see beside h or the state, before each step and after the last, or None
    first, last: whether the sequence begins, or ends, with this window
    """

    x: np.ndarray
    target: np.ndarray
    asked: np.ndarray
    weight: float = 1.0
    contexts: np.ndarray | None = None
    first: bool = False
    last: bool = False

    def to(self, xp):
        """The same window on another backend."""
        contexts = None if self.contexts is None else backend.asarray(xp, self.contexts)
        return replace(self, x=backend.asarray(xp, self.x), target=backend.asarray(xp, self.target),
                       asked=backend.asarray(xp, self.asked), contexts=contexts)

    def context_at_end(self):
        """What the boundary's synthesizer may see (N, C), or None."""
        return None if self.contexts is None else self.contexts[:, -1]


def cut(x, target, asked, size, contexts=None, first_size=None):
    """Cuts whole sequences into windows: a list of Window.

    x (N, L, ...), target (N, L, ...), contexts (N, L + 1, C) or None: of whole sequences
    asked: numbers of the steps that have a target    size: T, steps per window, the last may have fewer
    first_size: steps of the first window, so that boundaries need not always fall on the same steps; None for T
    """
    length, asked, found = x.shape[1], np.asarray(asked, int), []
    start, stop = 0, min(first_size or size, length)
    while start < length:
        here = asked[(asked >= start) & (asked < stop)] - start
        found.append(Window(x[:, start:stop], target[:, start:stop], here, 1 / max(1, len(asked)),
                            None if contexts is None else contexts[:, start:stop + 1], start == 0, stop == length))
        start, stop = stop, min(stop + size, length)
    return found
