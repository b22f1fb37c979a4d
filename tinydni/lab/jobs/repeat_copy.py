"""Repeat copy: read bits and a number, write the bits that many times, say when it is done."""

import numpy as np

from tinydni.lab.jobs.copy_task import DEFAULTS, Copy, scores, show
from tinydni.lab.jobs.job import RecurrentJob

MOST = 10               # repeats that the number is given as a share of


class RepeatCopy(Copy):
    """n bits, a mark that holds r, then the bits r times and an end (Graves et al. 2014, 4.2).

    x (N, L, 4) : one-hot 0 or 1, a column with r / MOST at the mark, one that says "write";
        L = n + 1 + r n + 1
    target (N, L) : the bits, 2 for the end, asked for in the last r n + 1 steps
    context : as in Copy

    With the level n and r grow by turns: (1, 1), (2, 1), (2, 2), (3, 2), ... Its length is n r.
    """

    n_out = 3

    def length(self, level):
        return (1 + level // 2) * (1 + (level - 1) // 2)

    def draw(self, rng, n, level):
        n_bits, repeats = 1 + level // 2, 1 + (level - 1) // 2
        bits, start = rng.integers(2, size=(n, n_bits)), n_bits + 1
        L = start + n_bits * repeats + 1
        x, target = np.zeros((n, L, self.n_in), np.float32), np.full((n, L), 2)
        x[:, :n_bits, :2] = np.eye(2)[bits]
        x[:, n_bits, 2] = repeats / MOST
        x[:, start:, 3] = 1
        target[:, start:L - 1] = np.tile(bits, (1, repeats))
        return x, target, np.arange(start, L)


JOB = RecurrentJob(
    "repeat-copy", "write a row of bits several times; row and repeats grow with success (no "
    "download)", DEFAULTS, RepeatCopy, scores, show, "longest output learned [symbols]")
