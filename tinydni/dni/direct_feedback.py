"""Direct feedback alignment: the control with a true error and random ways down."""

import numpy as np

from tinydni import backend, checks
from tinydni.random import stream


class DirectFeedback:
    """The error at the output reaches every module by a fixed random matrix  (Nøkland 2016, eq. 7).

    dh_k = dy B_k,   dy the gradient of the loss with respect to the output, B_k (M, H_k) normal, sd sqrt(1 / M).

    It needs no gradient from the module above, but it waits for the forward pass and the label: it removes the
    backward lock and keeps the update lock.

    n_out: M    widths: H_1, H_2, ... of the modules below the top; for images h_k (N, P, Q, C) P Q C, of which
    every one has its column of B_k    seed: of the matrices, which never change
    Raises ValueError where several readers have several errors.
    """

    def __init__(self, n_out, widths, seed, xp=np, dtype=np.float32):
        self.B = [backend.asarray(xp, (stream(seed, "feedback", i).standard_normal((n_out, width)) / np.sqrt(n_out))
                                  .astype(dtype)) for i, width in enumerate(widths)]

    def __call__(self, modules, x, target, context=None):
        hs = [x]
        for module in modules:
            hs.append(module.forward(hs[-1]))
        *hs, y = hs[1:]
        dy = modules[-1].gradient_at_output(y, context, target)
        checks.same_shape(dy, y, "DirectFeedback: the gradient at the output", "the output",
                          "It needs one error, of one reader.")
        for module, dh in zip(modules, [(dy @ B).reshape(h.shape) for B, h in zip(self.B, hs)] + [dy]):
            module.backward(dh)
            module.update()
