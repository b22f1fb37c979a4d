"""The convolutional synthesizer, for interfaces that images cross."""

from typing import Any

import numpy as np

from tinydni.activations import ReLU
from tinydni.batchnorm import BatchNorm
from tinydni.checks import check_positive_int
from tinydni.containers import Residual, Sequential
from tinydni.convolution import Conv2D
from tinydni.layer import Layer
from tinydni.synthesizers import NetworkSynthesizer, widths_read

__all__ = ["conv_synthesizer"]


def conv_synthesizer(n_h: int, rng: np.random.Generator, n_context: int = 0, form: str = "linear",
                     kernel: int = 5, width: int = 64,
                     dtype: Any = np.float32) -> NetworkSynthesizer:
    """Return delta_hat = net([h, context as maps]), net convolutions that keep height and width.

    h, delta_hat (N, P, Q, H);   context (N, C): each a map that is the same everywhere. Only the
    last convolution starts at zero. Batch normalisation always uses the batch.

    Parameters
    ----------
    n_h, n_context : H and C
    rng : draws the kernels
    form : "linear", one convolution (Miyato et al. 2017, appendix A.1: 5 x 5); "hidden", two of
        `width` channels with BatchNorm and ReLU before it (Jaderberg et al. 2016, appendix);
        "resnet", one of `width` channels and two residual pairs before it (Miyato et al. 2017,
        appendix B, "small-ResNet")
    kernel, width : of the convolutions
    dtype : of the parameters

    Raises
    ------
    ValueError
        For another form.
    """
    n_h = check_positive_int(n_h, "n_h")
    n_context = check_positive_int(n_context, "n_context", minimum=0)
    width = check_positive_int(width, "width")
    n_in = n_h + n_context

    def hidden(n_in: int, n_out: int) -> list[Layer]:
        return [Conv2D(n_in, n_out, rng, kernel, bias=False, dtype=dtype),
                BatchNorm(n_out, momentum=0, dtype=dtype)]

    def residual() -> list[Layer]:
        return [Residual(*hidden(width, width), ReLU(), *hidden(width, width)), ReLU()]

    if form not in ("linear", "hidden", "resnet"):
        raise ValueError(f"form must be one of linear, hidden, resnet; got {form!r}.")
    before: list[Layer] = []
    if form == "hidden":
        before = [*hidden(n_in, width), ReLU(), *hidden(width, width), ReLU()]
    elif form == "resnet":
        before = [*hidden(n_in, width), ReLU(), *residual(), *residual()]
    last = Conv2D(width if before else n_in, n_h, rng, kernel, std=0, dtype=dtype)
    return NetworkSynthesizer(Sequential(*before, last), n_h, n_context,
                              f"{widths_read(n_h, n_context)} -> {n_h}, {form}")
