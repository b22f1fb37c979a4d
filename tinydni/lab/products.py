"""A larger product at the start of a program, so that the smaller ones after it are fast."""

from functools import lru_cache

import numpy as np

SIDE = 512


@lru_cache
def write_product_buffer() -> None:
    """Make one product, the first time that this is called in a process.

    OpenBLAS copies parts of its matrices into a buffer, and reads ahead of what it has copied. A
    page that was never written has no memory behind it, and to look for it takes time, in every
    product again. In a virtual machine inside another one the products of layers of 256 took three
    times as long, until the program made one that was larger.
    """
    square = np.ones((SIDE, SIDE), np.float32)
    square @ square
