"""The convolutional synthesizer, for interfaces that images cross."""

import numpy as np

from tinydni import checks
from tinydni.layers import BatchNorm, Conv2D, Layer, ReLU, Residual, Sequential
from tinydni.synthesizers.synthesizer import Synthesizer


class ConvSynthesizer(Synthesizer, Layer):
    """delta_hat = net([h, context as maps]),   net = convolutions that keep height and width.

    h (N, H, W, C): output of the module    context (N, K): one-hot labels, each a map that is one or zero everywhere
    delta_hat (N, H, W, C)

    form: "linear", one convolution (Miyato et al. 2017, appendix A.1: 5 x 5);
    "hidden", two of `width` channels with BatchNorm and ReLU before it (Jaderberg et al. 2016, appendix);
    "resnet", one of `width` channels and two residual pairs before it (Miyato et al. 2017, appendix B, "small-ResNet")
    Only the last convolution starts at zero. Batch normalisation always uses the batch.
    Raises ValueError for another form, or a context of another width.
    """

    def __init__(self, n_h, rng, n_context=0, form="linear", kernel=5, width=64, dtype=np.float32):
        self.n_h = checks.positive_int(n_h, "n_h")
        self.n_context = checks.positive_int(n_context, "n_context", minimum=0)
        n_in = n_h + n_context

        def hidden(n_in, n_out):
            return [Conv2D(n_in, n_out, rng, kernel, bias=False, dtype=dtype), BatchNorm(n_out, momentum=0, dtype=dtype)]

        def residual():
            return [Residual(*hidden(width, width), ReLU(), *hidden(width, width)), ReLU()]

        forms = {"linear": lambda: [], "hidden": lambda: [*hidden(n_in, width), ReLU(), *hidden(width, width), ReLU()],
                 "resnet": lambda: [*hidden(n_in, width), ReLU(), *residual(), *residual()]}
        if form not in forms:
            raise ValueError(f"form must be one of {', '.join(forms)}; got {form!r}.")
        before = forms[form]()
        self.net = Sequential(*before, Conv2D(width if before else n_in, n_h, rng, kernel, std=0, dtype=dtype))
        self.net.skip_dx()
        self.form = form
        self.sees = ("h",) + ("context",) * bool(n_context)

    def children(self):
        return [("net", self.net)]

    def forward(self, h, context=None):
        checks.context(context, h, self.n_context, "ConvSynthesizer")
        self.h, self.context = h, context
        self.delta_hat = self.net.forward(h if context is None else with_maps(self.xp, h, context))
        return self.delta_hat

    def backward(self, ddelta_hat):
        self.net.backward(ddelta_hat)

    def describe(self):
        return f"{self.n_h}" + f" + {self.n_context} context" * (self.n_context > 0) + f" -> {self.n_h}, {self.form}"


def with_maps(xp, h, context):
    """h (N, H, W, C) and context (N, K) as one image of C + K channels; the context is the same at every pixel."""
    maps = xp.broadcast_to(context[:, None, None, :], (*h.shape[:3], context.shape[1]))
    return xp.concatenate([h, maps], axis=3)
