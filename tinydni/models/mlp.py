"""The fully connected network."""

import numpy as np

from tinydni import checks
from tinydni.layers import BatchNorm, Linear, ReLU, Sequential


def mlp(widths, rng, hidden=None, dtype=np.float32):
    """The fully connected network of Jaderberg et al. 2016, section 3.1, as a list of blocks.

    widths: (D, H1, ..., K); a network of len(widths) - 1 layers as the papers count (weight matrices)
    hidden: function width -> layers that follow each hidden Linear; by default [BatchNorm(width), ReLU()]
    Returns one Sequential per layer; the last is a Linear alone, whose outputs are logits.
    """
    widths = [checks.positive_int(w, "widths") for w in widths]
    if len(widths) < 2:
        raise ValueError(f"widths must name at least an input and an output; got {widths}.")
    hidden = hidden or (lambda width: [BatchNorm(width, dtype=dtype), ReLU()])
    blocks = [Sequential(Linear(n_in, n_out, rng, dtype=dtype), *hidden(n_out))
              for n_in, n_out in zip(widths[:-2], widths[1:-1])]
    return [*blocks, Sequential(Linear(widths[-2], widths[-1], rng, dtype=dtype))]
