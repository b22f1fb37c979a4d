"""tinydni: neural networks written by hand, and trained without waiting for backpropagation.

Layers have a hand-written `forward` and `backward` and an `update`. A `DNI` module guesses the
gradient at its own output with a synthesizer, and updates at once. `Network` holds such modules.
"""

import importlib
import os
import signal
import sys
from typing import Any

if signal.getsignal(signal.SIGINT) is signal.default_int_handler and (
        (sys.argv[:1] == ["-m"] and "tinydni" in sys.orig_argv)
        or os.path.basename("".join(sys.argv[:1])) in ("tinydni", "tinydni.exe")):
    # The command starts: until lab.cli listens, Ctrl-C is a word and no traceback.
    signal.signal(signal.SIGINT, lambda *_: os._exit(
        130 * bool(os.write(2, b"\ntinydni: interrupted\n"))))

from tinydni import backend, random
from tinydni.activations import ReLU, Sigmoid, Softmax, Softplus, Tanh
from tinydni.algorithms import Algorithm, backprop, no_backprop, update_decoupled
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Residual, Sequential
from tinydni.convolution import Conv2D
from tinydni.dni import DNI, Network, build
from tinydni.dropout import Dropout
from tinydni.layer import Layer
from tinydni.linear import Embedding, Linear
from tinydni.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from tinydni.lstm import LSTM
from tinydni.models import cnn, mlp, resnet
from tinydni.optimizers import (
    SGD,
    Adam,
    Constant,
    CosineDecay,
    LinearDecay,
    Momentum,
    Optimizer,
    RMSProp,
    StepDecay,
)
from tinydni.pooling import AvgPool, Flatten, GlobalAvgPool, MaxPool, Subsample
from tinydni.random import stream
from tinydni.recurrent import RNN, Recurrent
from tinydni.recurrent_dni import Boundary, RecurrentModule, RecurrentNetwork, Window, cut
from tinydni.synthesizers import LinearSynthesizer, NetworkSynthesizer, Synthesizer, mlp_synthesizer
from tinydni.training import DivergedError, Training, percent_bits_wrong, percent_wrong
from tinydni.virtual import VirtualLinear

FOLDERS = ("datasets", "gradcheck", "plots", "variants", "gpu", "lab", "classroom")

__version__ = "0.2.0"
__all__ = ["Adam", "Algorithm", "AvgPool", "BatchNorm", "BinaryCrossEntropy", "Boundary",
           "Constant", "Conv2D", "CosineDecay", "DNI", "DivergedError", "Dropout", "Embedding",
           "Flatten", "GlobalAvgPool", "LSTM", "Layer", "Linear", "LinearDecay",
           "LinearSynthesizer", "Loss", "MaxPool", "MeanSquaredError", "Momentum", "Network",
           "NetworkSynthesizer", "Optimizer", "RMSProp", "RNN", "ReLU", "Recurrent",
           "RecurrentModule", "RecurrentNetwork", "Residual", "SGD", "Sequential", "Sigmoid",
           "Softmax", "SoftmaxCrossEntropy", "Softplus", "StepDecay", "Subsample", "Synthesizer",
           "Tanh", "Training", "VirtualLinear", "Window", "backend", "backprop", "build", "cnn",
           "cut", "mlp", "mlp_synthesizer", "no_backprop", "percent_bits_wrong", "percent_wrong",
           "random", "resnet", "stream", "update_decoupled", *FOLDERS]


def __getattr__(name: str) -> Any:
    """Import a folder when it is first used, such as `td.plots`."""
    if name in FOLDERS:
        return importlib.import_module(f"tinydni.{name}")
    raise AttributeError(f"module 'tinydni' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
