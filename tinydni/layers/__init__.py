"""Layers with hand-written gradients, one concept per file."""

from tinydni.layers.average import Average
from tinydni.layers.avg_pool import AvgPool
from tinydni.layers.batchnorm import BatchNorm
from tinydni.layers.conv2d import Conv2D
from tinydni.layers.dropout import Dropout
from tinydni.layers.embedding import Embedding
from tinydni.layers.flatten import Flatten
from tinydni.layers.global_avg_pool import GlobalAvgPool
from tinydni.layers.layer import Layer
from tinydni.layers.linear import Linear
from tinydni.layers.lstm import LSTM
from tinydni.layers.max_pool import MaxPool
from tinydni.layers.recurrent import Recurrent
from tinydni.layers.relu import ReLU
from tinydni.layers.residual import Residual
from tinydni.layers.rnn import RNN
from tinydni.layers.sequential import Sequential
from tinydni.layers.shortcut import CloseShortcut, OpenShortcut
from tinydni.layers.sigmoid import Sigmoid
from tinydni.layers.softmax import Softmax
from tinydni.layers.softplus import Softplus
from tinydni.layers.subsample import Subsample
from tinydni.layers.tanh import Tanh

__all__ = ["Average", "AvgPool", "BatchNorm", "CloseShortcut", "Conv2D", "Dropout", "Embedding", "Flatten",
           "GlobalAvgPool", "LSTM", "Layer", "Linear", "MaxPool", "OpenShortcut", "RNN", "ReLU", "Recurrent",
           "Residual", "Sequential", "Sigmoid", "Softplus", "Subsample", "Tanh"]
