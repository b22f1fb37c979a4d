"""A larger product at the start of a program, so that the smaller ones after it are fast."""

from functools import lru_cache

import numpy as np


@lru_cache
def write_product_buffer() -> None:
    """Make a product, once in a process.

    OpenBLAS copies parts of its matrices into a buffer, and reads ahead. To look for pages that
    were never written takes time, in every product: see "What limits each row" in benchmarks.md.
    """
    square = np.ones((512, 512), np.float32)
    square @ square
