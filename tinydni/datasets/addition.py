"""Binary addition: the bits of two numbers in, the bits of their sum out."""

import numpy as np

from tinydni.datasets.dataset import Dataset, whole_number

MAX_BITS = 31           # a pair is drawn as one number of 2 * bits bits, which must fit into an int64


def addition(bits=5, seed=0, max_pairs=2**16):
    """All pairs of `bits`-bit numbers, split 80/20 into train and test: no tested pair was seen in training.

    x (N, 2 * bits): the bits of a, then of b        y (N, bits + 1): the bits of a + b
    Most significant bit first, everywhere; bits are the floats 0 and 1. (a, b) and (b, a) are two pairs.

    Where there are more than `max_pairs` pairs, that many distinct ones are drawn at random and split; a note
    in the data set says so. `seed`: a number or SeedSequence that decides the draw, the split and the order.

    Raises TypeError or ValueError unless bits is a whole number from 1 to 31, max_pairs one of at least 2.
    """
    bits = whole_number("bits", bits, 1, MAX_BITS)
    n_all = 4**bits
    n = min(n_all, whole_number("max_pairs", max_pairs, 2))
    n_train = 4 * n // 5
    pairs = np.random.default_rng(seed).choice(n_all, n, replace=False)     # distinct, in random order
    a, b = pairs >> bits, pairs & (2**bits - 1)
    x = np.hstack([to_bits(a, bits), to_bits(b, bits)])
    y = to_bits(a + b, bits + 1)
    chosen = "All" if n == n_all else f"A random {n:,} of the"
    note = (f"{chosen} {n_all:,} pairs of {bits}-bit numbers: {n_train:,} to train on, {n - n_train:,} to test on; "
            "no tested pair was seen in training.")
    return Dataset("addition", x[:n_train], y[:n_train], x[n_train:], y[n_train:], n_classes=None, notes=(note,))


def to_bits(numbers, width):
    """The lowest `width` bits of each number, (N,) -> (N, width) float32, most significant bit first."""
    places = np.arange(width - 1, -1, -1)
    return (numbers[:, None] >> places & 1).astype(np.float32)
