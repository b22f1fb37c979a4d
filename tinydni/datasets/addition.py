"""Binary addition: the bits of two numbers in, the bits of their sum out."""

import numpy as np

from tinydni import checks
from tinydni.datasets.dataset import Dataset, generator

MAX_BITS = 31       # a pair is drawn as one number of 2 * bits bits, which must fit into an int64


def addition(bits: int = 5, seed: int | np.random.SeedSequence = 0,
             max_pairs: int = 2**16) -> Dataset:
    """All pairs of `bits`-bit numbers, 80 % to train on, 20 % to test on; no pair is in both.

    x (N, 2 * bits): the bits of a, then of b        y (N, bits + 1): the bits of a + b
    Most significant bit first, everywhere; bits are the floats 0 and 1. (a, b) and (b, a) are two
    pairs.

    Parameters
    ----------
    bits : of each number, 1 ... 31
    seed : from 0 on; decides the draw, the split and the order
    max_pairs : 2 or more; of more pairs, so many are drawn at random, and a note says so

    Examples
    --------
    >>> data = addition(bits=2)
    >>> data.x.shape, data.y.shape, data.x_test.shape
    ((12, 4), (12, 3), (4, 4))
    """
    bits = checks.check_positive_int(bits, "bits", maximum=MAX_BITS)
    n_all = 4**bits
    n = min(n_all, checks.check_positive_int(max_pairs, "max_pairs", 2))
    n_train = 4 * n // 5
    pairs = generator(seed).choice(n_all, n, replace=False)   # in random order
    a, b = pairs >> bits, pairs & (2**bits - 1)
    x = np.hstack([to_bits(a, bits), to_bits(b, bits)])
    y = to_bits(a + b, bits + 1)
    chosen = "All" if n == n_all else f"A random {n:,} of the"
    note = (f"{chosen} {n_all:,} pairs of {bits}-bit numbers: {n_train:,} to train on, "
            f"{n - n_train:,} to test on; no tested pair was seen in training.")
    return Dataset("addition", x[:n_train], y[:n_train], x[n_train:], y[n_train:], None,
                   notes=(note,))


def to_bits(numbers: np.ndarray, width: int) -> np.ndarray:
    """The lowest `width` bits of each number, (N,) -> (N, width), most significant bit first."""
    places = np.arange(width - 1, -1, -1)
    return (numbers[:, None] >> places & 1).astype(np.float32)
