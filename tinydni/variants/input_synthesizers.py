"""Synthesizers of an input: they guess what the module below would send, from the network's x."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydni.activations import ReLU
from tinydni.batchnorm import BatchNorm
from tinydni.checks import check_sizes
from tinydni.containers import Sequential
from tinydni.convolution import Conv2D
from tinydni.layer import Layer
from tinydni.linear import Linear
from tinydni.synthesizers import NetworkSynthesizer

__all__ = ["conv_input_synthesizer", "input_synthesizer"]


def input_synthesizer(n_in: int, n_h: int, rng: np.random.Generator,
                      hidden: Sequence[int] = (256,),
                      dtype: Any = np.float32) -> NetworkSynthesizer:
    """Return h_hat = net(x), a guess of the h that the modules below make of x.

    net = (Linear, BatchNorm, ReLU) for each hidden width, then Linear, ReLU: h is not negative
    either. It learns as every synthesizer, 1/2 ‖h_hat - h‖², with x in the place of h and h in that
    of the gradient (Jaderberg et al. 2016, section 2.1: "synthetic input").

    Parameters
    ----------
    n_in, n_h : of x (N, D) and of h_hat (N, H)
    rng : draws the weights
    hidden : widths of the hidden layers
    dtype : of the parameters
    """
    hidden = check_sizes(hidden, "hidden")
    widths, layers = [n_in, *hidden], list[Layer]()
    for n_from, n_to in zip(widths, hidden):
        layers += [Linear(n_from, n_to, rng, dtype=dtype),
                   BatchNorm(n_to, momentum=0, dtype=dtype), ReLU()]
    net = Sequential(*layers, Linear(widths[-1], n_h, rng, dtype=dtype), ReLU())
    return of_inputs(net, n_in, " -> ".join(map(str, [*widths, n_h])))


def conv_input_synthesizer(x_shape: Sequence[int], h_shape: Sequence[int],
                           rng: np.random.Generator, width: int = 32,
                           dtype: Any = np.float32) -> NetworkSynthesizer:
    """Return h_hat = net(x) where images go in and images come out.

    net = Conv2D with a stride s that makes an image of the size of h, BatchNorm, ReLU, then Conv2D
    3 x 3, ReLU. The first kernel is 2 s + 1 wide, so that it sees every pixel.

    Parameters
    ----------
    x_shape, h_shape : (H, W, C) of x, and (P, Q, M) of h_hat
    rng : draws the kernels
    width : channels between the two convolutions
    dtype : of the parameters

    Raises
    ------
    ValueError
        Where no stride leads from H, W to P, Q.
    """
    x_shape = check_sizes(x_shape, "x_shape", least=3)
    h_shape = check_sizes(h_shape, "h_shape", least=3)
    (*size, n_in), (*wanted, n_out) = x_shape, h_shape
    s = stride_between(size, wanted)
    net = Sequential(
        Conv2D(n_in, width, rng, 2 * s + 1, stride=s, bias=False, dtype=dtype),
        BatchNorm(width, momentum=0, dtype=dtype), ReLU(),
        Conv2D(width, n_out, rng, dtype=dtype), ReLU())
    return of_inputs(net, n_in, " -> ".join(" x ".join(map(str, s)) for s in (x_shape, h_shape)))


def of_inputs(net: Layer, n_in: int, description: str) -> NetworkSynthesizer:
    """Return a synthesizer that reads the network's input."""
    synthesizer = NetworkSynthesizer(net, n_in, description=description)
    synthesizer.sees = ("x",)
    return synthesizer


def stride_between(size: Sequence[int], wanted: Sequence[int]) -> int:
    """Return the stride with which a "same" convolution makes images (P, Q) from (H, W)."""
    for s in range(1, max(size) + 1):
        if [-(-pixels // s) for pixels in size] == list(wanted):
            return s
    raise ValueError(f"no stride makes images of {tuple(wanted)} pixels from images of "
                     f"{tuple(size)}, so that there is no synthetic input of this kind; put the "
                     "interface where the image has been halved.")
