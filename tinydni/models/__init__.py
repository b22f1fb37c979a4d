"""Networks as lists of blocks: what a block is, an interface can be put after."""

from tinydni.models.cnn import cnn
from tinydni.models.mlp import mlp
from tinydni.models.resnet import resnet

__all__ = ["cnn", "mlp", "resnet"]
