"""tinydni: neural networks written by hand, and trained without waiting for backpropagation."""

from tinydni import backend, datasets, random
from tinydni.dni import DNI, Network, backprop, decouple, top_only, update_decoupled
from tinydni.layers import (BatchNorm, Dropout, Flatten, Layer, Linear, ReLU, Residual, Sequential, Sigmoid, Softplus,
                            Tanh)
from tinydni.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from tinydni.models import mlp
from tinydni.optimizers import SGD, Adam, Momentum, RMSProp
from tinydni.schedules import Constant, LinearDecay, StepDecay
from tinydni.synthesizers import LinearSynthesizer, MLPSynthesizer

__version__ = "0.1.0"
