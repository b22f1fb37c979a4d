"""The PyTorch module, loss or optimizer that does what one of our own does, from the same weights."""

import torch
import torch.nn.functional as F
from torch import nn

from tinydni import SGD, Adam, MeanSquaredError, SoftmaxCrossEntropy
from tinydni.activations import ReLU, Sigmoid
from tinydni.batchnorm import BatchNorm
from tinydni.containers import Residual, Sequential
from tinydni.convolution import Conv2D
from tinydni.linear import Linear
from tinydni.pooling import GlobalAvgPool, Subsample

LOSSES = {SoftmaxCrossEntropy: F.cross_entropy,
          MeanSquaredError: lambda y, target: F.mse_loss(y, target, reduction="sum") * (0.5 / len(y))}


@torch.no_grad()
def twin(layer):
    """The module of one layer; images have their channels first in it."""
    match layer:
        case Sequential():
            return nn.Sequential(*map(twin, layer.layers))
        case Residual():
            return Sum(twin(layer.branch), twin(layer.shortcut) if layer.shortcut else nn.Identity())
        case Linear():
            module = nn.Linear(layer.n_in, layer.n_out, bias=layer.b is not None, dtype=dtype_of(layer.W))
            module.weight.copy_(torch.from_numpy(layer.W.T))
            if layer.b is not None:
                module.bias.copy_(torch.from_numpy(layer.b))
            return module
        case Conv2D(b=None):
            module = nn.Conv2d(layer.n_in, layer.n_out, layer.kernel, layer.stride, layer.padding, bias=False,
                               dtype=dtype_of(layer.W))
            module.weight.copy_(torch.from_numpy(layer.W.transpose(3, 2, 0, 1)))
            return module
        case BatchNorm():       # scale and shift start at 1 and 0, as ours
            return BatchNormOfAnyShape(layer.n_features, layer.eps, layer.momentum, dtype=dtype_of(layer.gamma))
        case ReLU():
            return nn.ReLU()
        case Sigmoid():
            return nn.Sigmoid()
        case GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case Subsample():
            return Halved(layer.n_out - layer.n_in, layer.stride)
    raise TypeError(f"no PyTorch twin is written for {layer!r}; add it to twin().")


def optimizer_of(workload, modules, synthesizers=()):
    """One optimizer for all parameters: it is faster than one for each block, and no block reads those of another.

    Fused where it is faster: for Adam and for momentum, not for the few small arrays of plain descent.
    """
    groups = [{"params": [p for module in modules for p in module.parameters()], "lr": workload.lr}]
    if synthesizers:
        groups.append({"params": [p for module in synthesizers for p in module.parameters()],
                       "lr": workload.synthesizer_lr})
    ours = workload.optimizer(workload.lr)
    if isinstance(ours, Adam):
        return torch.optim.Adam(groups, fused=True)
    if isinstance(ours, SGD):
        return torch.optim.SGD(groups, foreach=False)
    return torch.optim.SGD(groups, momentum=ours.mu, fused=True)


class BatchNormOfAnyShape(nn.modules.batchnorm._BatchNorm):
    """nn.BatchNorm1d and nn.BatchNorm2d in one: they differ only in the shapes that they let pass."""

    def _check_input_dim(self, x):
        pass


class Sum(nn.Module):
    """y = s(x) + f(x)."""

    def __init__(self, branch, shortcut):
        super().__init__()
        self.branch, self.shortcut = branch, shortcut

    def forward(self, x):
        return self.shortcut(x) + self.branch(x)


class Halved(nn.Module):
    """Every second pixel, with channels of zeros added."""

    def __init__(self, n_more, stride):
        super().__init__()
        self.n_more, self.stride = n_more, stride

    def forward(self, x):
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.n_more))


def tensors(batch):
    """A batch as tensors, images with their channels first."""
    x, target, context = (None if array is None else torch.from_numpy(array) for array in batch)
    return (x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x), target, context


def dtype_of(array):
    """The PyTorch dtype of a NumPy array."""
    return torch.from_numpy(array).dtype
