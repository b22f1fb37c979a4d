"""Direct feedback alignment: the control with a true error and random ways down."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinydni.algorithms import Algorithm
from tinydni.backend import Array, asarray, moved
from tinydni.checks import check_dtype, check_positive_int, check_same_shape, check_sizes
from tinydni.random import stream

__all__ = ["DirectFeedback"]


class DirectFeedback(Algorithm):
    """The error at the output reaches every module by a fixed random matrix (Nøkland 2016, eq. 7).

    dh_k = dy B_k,   dy the gradient of the loss at the output,   B_k (M, H_k) normal, sd sqrt(1/M).

    It needs no gradient from the module above, but it waits for the forward pass and the label: it
    removes the backward lock and keeps the update lock.

    Parameters
    ----------
    n_out : M
    widths : H_1, H_2, ... of the modules below the top; for images h_k (N, P, Q, C) P Q C
    seed : of the matrices, which never change
    xp, dtype : of the matrices

    Raises
    ------
    ValueError
        In a step where several heads have several errors.
    """

    def __init__(self, n_out: int, widths: Iterable[int], seed: int, xp: Any = np,
                 dtype: Any = np.float32):
        n_out, dtype = check_positive_int(n_out, "n_out"), check_dtype(dtype)
        widths = check_sizes(widths, "widths")
        self.B = [asarray(xp, (stream(seed, "feedback", i).standard_normal((n_out, width))
                               / np.sqrt(n_out)).astype(dtype)) for i, width in enumerate(widths)]

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        hs = [x]
        for module in modules:
            hs.append(module.forward(hs[-1]))
        *hs, y = hs[1:]
        dy = modules[-1].gradient_at_output(y, context, target)
        check_same_shape(dy, y, "DirectFeedback: the gradient at the output", "the output",
                         "It needs one error, of one head.")
        dhs = [(dy @ B).reshape(h.shape) for B, h in zip(self.B, hs)] + [dy]
        for module, dh in zip(modules, dhs):
            module.backward(dh)
            module.update()

    def to(self, xp: Any = None, dtype: Any = None) -> "DirectFeedback":
        self.B = [moved(B, xp, dtype) for B in self.B]
        return self
