"""Random numbers: one seed, an independent stream for every purpose.

Streams depend only on (seed, purpose, index), never on how many numbers others drew. So adding a
synthesizer does not change the order of the data, and a worker draws what the one loop draws.
"""

import json

import numpy as np

from tinydni import checks
from tinydni.backend import Array

__all__ = ["PURPOSES", "stream"]

# Only ever add at the end: the place of a purpose decides its numbers.
PURPOSES = ("weights", "order", "synthesizer", "split", "dropout", "update", "augment", "sample",
            "feedback", "readers")


def stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Return the generator of one purpose.

    Parameters
    ----------
    seed : of the whole run, at least 0
    purpose : one of `PURPOSES`
    index : which of the streams of that purpose, such as the number of the epoch

    Examples
    --------
    >>> stream(0, "order", 3).permutation(5)
    array([4, 1, 0, 3, 2])
    """
    seed = checks.check_positive_int(seed, "seed", 0, 2**128)
    if not isinstance(purpose, str) or purpose not in PURPOSES:
        raise ValueError(f"purpose must be one of {', '.join(PURPOSES)}; got {purpose!r}.")
    checks.check_positive_int(index, "index", minimum=0)
    key = (PURPOSES.index(purpose), index)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def generator_to_array(rng: np.random.Generator) -> np.ndarray:
    """Return the state of a generator as an array of bytes, to be saved without pickle."""
    return np.frombuffer(json.dumps(rng.bit_generator.state).encode(), dtype=np.uint8)


def restore_generator(rng: np.random.Generator, array: Array) -> None:
    """Put a generator into a state saved by `generator_to_array`."""
    rng.bit_generator.state = json.loads(np.asarray(array, dtype=np.uint8).tobytes().decode())
