"""Random numbers: one seed, an independent stream for every purpose.

Streams depend only on (seed, purpose, index), never on how many numbers others drew. So adding a synthesizer
does not change the order of the data, and a worker draws what the one loop draws.
"""

import json

import numpy as np

from tinydni import checks

# Only ever add at the end: the place of a purpose decides its numbers, and saved runs and tables depend on them.
PURPOSES = ("weights", "order", "synthesizer", "split", "dropout", "update", "augment", "sample", "feedback",
            "readers")


def stream(seed, purpose, index=0):
    """Returns the Generator for one purpose, for example stream(0, "order", epoch).

    Raises ValueError for a negative seed or an unknown purpose.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0; got {seed!r}.")
    if purpose not in PURPOSES:
        raise ValueError(f"purpose must be one of {', '.join(PURPOSES)}; got {purpose!r}.")
    checks.positive_int(index, "index", minimum=0)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(PURPOSES.index(purpose), index)))


def generator_to_array(rng):
    """Returns the state of a generator as an array of bytes, to be saved without pickle."""
    return np.frombuffer(json.dumps(rng.bit_generator.state).encode(), dtype=np.uint8)


def restore_generator(rng, array):
    """Puts a generator into a state saved by `generator_to_array`."""
    rng.bit_generator.state = json.loads(np.asarray(array, dtype=np.uint8).tobytes().decode())
