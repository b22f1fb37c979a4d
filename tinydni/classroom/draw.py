"""The values that a check uses: drawn from a fixed public seed, or from the instructor's secret."""

import hashlib

import numpy as np

PUBLIC = "tinydni"         # the seed of the visible checks


class Draw:
    """Shapes and values for one run of one check. The same secret, check and round give the same values.

    Arrays are float64 and cannot be written to, so that nothing a solution does can change what the check holds.
    A check that hands out something to be changed copies it first.

    rng: the generator, for a gradient check
    """

    def __init__(self, secret, check, round=0):
        digest = hashlib.sha256(f"{secret}\n{check}\n{round}".encode()).digest()
        self.rng = np.random.default_rng(int.from_bytes(digest, "big"))

    def size(self, low=3, high=8):
        """A whole number from low to high."""
        return int(self.rng.integers(low, high + 1))

    def sizes(self, n, low=3, high=8):
        """n different whole numbers: with two equal ones, a transposed array would have the right shape."""
        return [int(k) for k in low + self.rng.permutation(high - low + 1)[:n]]

    def number(self, low, high):
        """A number between low and high."""
        return float(self.rng.uniform(low, high))

    def normal(self, *shape):
        """Values from the standard normal distribution."""
        return fixed(self.rng.standard_normal(shape))

    def uniform(self, low, high, *shape):
        """Values between low and high."""
        return fixed(self.rng.uniform(low, high, shape))

    def labels(self, N, K):
        """N labels from 0 to K - 1."""
        return fixed(self.rng.integers(0, K, N))

    def one_hot(self, N, K):
        """N labels as rows with a single one."""
        return fixed(np.eye(K)[self.rng.integers(0, K, N)])


def fixed(array):
    """The array, closed for writing."""
    array.setflags(write=False)
    return array
