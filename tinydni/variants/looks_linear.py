"""Looks-linear: a network of ReLUs that starts as a linear, invertible code."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinydni.backend import Array
from tinydni.checks import check_sizes
from tinydni.layer import Layer
from tinydni.models import mlp

__all__ = ["looks_linear"]


def looks_linear(widths: Sequence[int], rng: np.random.Generator,
                 hidden: Callable[[int], list[Layer]] | None = None,
                 dtype: Any = np.float32) -> list[Layer]:
    """Return the blocks of `mlp`, whose hidden units start as mirrored pairs.

    The first layer has W = [A, -A], A normal with standard deviation sqrt(1 / D); the other hidden
    ones [[B, -B], [-B, B]], B with orthonormal rows or columns. A pair then holds ReLU(z) and
    ReLU(-z), whose difference is z, and z B goes on: nothing is lost on the way up. Batch
    normalisation keeps it so, since z and -z are normalised alike. The top starts as in `mlp`.
    Source: Balduzzi et al. 2017, "The shattered gradients problem", section 4.

    Parameters
    ----------
    widths : (D, H1, ..., K) as in `mlp`; the hidden ones are even
    rng, hidden, dtype : as in `mlp`

    Examples
    --------
    >>> import numpy as np
    >>> first, *_ = looks_linear((3, 4, 4, 2), np.random.default_rng(0))
    >>> W = first.layers[0].W
    >>> bool((W[:, :2] == -W[:, 2:]).all())
    True
    """
    widths = check_sizes(widths, "widths", least=2)
    odd = [width for width in widths[1:-1] if width % 2]
    if odd:
        raise ValueError("widths of hidden layers must be even, for their units are pairs; "
                         f"got {odd[0]}.")
    blocks = mlp(widths, rng, hidden, dtype)
    for i, (block, n_in, n_out) in enumerate(zip(blocks[:-1], widths, widths[1:])):
        half = (rng.standard_normal((n_in, n_out // 2)) / np.sqrt(n_in) if i == 0
                else mirrored(orthonormal(n_in // 2, n_out // 2, rng), axis=0))
        _, W, _ = next(block.named_parameters())
        W[...] = mirrored(half, axis=1)
    return blocks


def mirrored(array: Array, axis: int) -> Array:
    """Return [array, -array] along an axis."""
    return np.concatenate([array, -array], axis=axis)


def orthonormal(n_in: int, n_out: int, rng: np.random.Generator) -> Array:
    """Draw a matrix (n_in, n_out) whose rows or columns, the fewer ones, are orthonormal."""
    q, r = np.linalg.qr(rng.standard_normal((max(n_in, n_out), min(n_in, n_out))))
    q *= np.sign(np.diag(r))            # else the draw depends on how r is signed
    return q if n_in >= n_out else q.T
