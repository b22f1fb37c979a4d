"""Layers with hand-written gradients, one concept per file."""

from tinydni.layers.batchnorm import BatchNorm
from tinydni.layers.dropout import Dropout
from tinydni.layers.flatten import Flatten
from tinydni.layers.layer import Layer
from tinydni.layers.linear import Linear
from tinydni.layers.relu import ReLU
from tinydni.layers.residual import Residual
from tinydni.layers.sequential import Sequential
from tinydni.layers.sigmoid import Sigmoid
from tinydni.layers.softplus import Softplus
from tinydni.layers.tanh import Tanh

__all__ = ["BatchNorm", "Dropout", "Flatten", "Layer", "Linear", "ReLU", "Residual", "Sequential", "Sigmoid",
           "Softplus", "Tanh"]
