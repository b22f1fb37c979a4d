"""Losses with hand-written gradients, one per file."""

from tinydni.losses.binary_cross_entropy import BinaryCrossEntropy
from tinydni.losses.loss import Loss
from tinydni.losses.mean_squared_error import MeanSquaredError
from tinydni.losses.mmd import MMD
from tinydni.losses.softmax_cross_entropy import SoftmaxCrossEntropy

__all__ = ["BinaryCrossEntropy", "Loss", "MMD", "MeanSquaredError", "SoftmaxCrossEntropy"]
