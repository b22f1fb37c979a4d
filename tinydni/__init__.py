"""tinydni: neural networks written by hand, and trained without waiting for backpropagation."""

from tinydni import backend, datasets, random
from tinydni.dni import (DNI, BPLambda, DirectFeedback, Network, Stochastic, backprop, decouple, full_unlock, top_only,
                         update_decoupled)
from tinydni.layers import *
from tinydni.losses import *
from tinydni.models import cnn, mlp, resnet
from tinydni.optimizers import SGD, Adam, Momentum, RMSProp
from tinydni.schedules import Constant, CosineDecay, LinearDecay, StepDecay
from tinydni.synthesizers import *

__version__ = "0.1.0"
