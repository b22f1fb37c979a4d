"""The linear synthesizer, the form that the papers found to be enough when the label is known."""

import numpy as np

from tinydni import checks
from tinydni.kernels import batch_sum
from tinydni.layers.layer import Layer
from tinydni.synthesizers.synthesizer import Synthesizer


class LinearSynthesizer(Synthesizer, Layer):
    """delta_hat = h A + context C + b  (Jaderberg et al. 2016, section 3.1: "cDNI" with labels as context).

    h (N, H): output of the module    context (N, C): one-hot labels or other context; None if n_context is 0
    A (H, H), C (n_context, H), b (H,): all zero at the start, so that the first guess is "no gradient"

    reads_h=False leaves h A out: the control that sees only the context.
    Raises ValueError for an h or a context of another width, or a context where none is expected.
    """

    decayed = ("A", "C")

    def __init__(self, n_h, n_context=0, reads_h=True, dtype=np.float32):
        self.n_h = checks.positive_int(n_h, "n_h")
        self.n_context = checks.positive_int(n_context, "n_context", minimum=0)
        if not (reads_h or n_context):
            raise ValueError("a synthesizer needs something to read: reads_h=True or n_context > 0.")
        self.reads_h = reads_h
        self.b = np.zeros(n_h, dtype)
        if reads_h:
            self.A = np.zeros((n_h, n_h), dtype)
        if n_context:
            self.C = np.zeros((n_context, n_h), dtype)
        self.parameters = ("A",) * bool(reads_h) + ("C",) * bool(n_context) + ("b",)
        self.sees = ("h",) * bool(reads_h) + ("context",) * bool(n_context)

    def forward(self, h, context=None):
        checks.rows(h, self.n_h, self.b.dtype, "LinearSynthesizer (h)")
        checks.context(context, h, self.n_context, "LinearSynthesizer")
        self.h, self.context = h, context
        if self.reads_h:
            delta_hat = h.dot(self.A)
            if self.n_context:
                delta_hat += context.dot(self.C)
        else:
            delta_hat = context.dot(self.C)
        delta_hat += self.b
        self.delta_hat = delta_hat
        return delta_hat

    def backward(self, ddelta_hat):
        if self.reads_h:
            self.dA = self.h.T.dot(ddelta_hat)
        if self.n_context:
            self.dC = self.context.T.dot(ddelta_hat)
        self.db = batch_sum(self.xp, ddelta_hat)

    def describe(self):
        inputs = f"{self.n_h}" * self.reads_h + " + " * (self.reads_h and self.n_context > 0)
        return inputs + f"{self.n_context} context" * (self.n_context > 0) + f" -> {self.n_h}"
