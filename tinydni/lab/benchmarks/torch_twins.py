"""The PyTorch module, loss or optimizer that does what one of ours does, from the same weights."""

import torch
import torch.nn.functional as F
from torch import nn

import tinydni as td
from tinydni.lab.benchmarks import conditions

DEVICE = conditions.torch_device

LOSSES = {td.SoftmaxCrossEntropy: F.cross_entropy,
          td.MeanSquaredError: lambda y, target: (
              F.mse_loss(y, target, reduction="sum") * (0.5 / len(y)))}


@torch.no_grad()
def twin(layer):
    """Return the module of one layer; images have their channels first in it."""
    match layer:
        case td.Sequential():
            return nn.Sequential(*map(twin, layer.layers))
        case td.Residual():
            shortcut = twin(layer.shortcut) if layer.shortcut else nn.Identity()
            return Applied(lambda parts, x: parts[0](x) + parts[1](x), shortcut, twin(layer.branch))
        case td.Linear():
            module = nn.Linear(layer.n_in, layer.n_out, layer.b is not None, dtype=dtype(layer.W))
            module.weight.copy_(torch.from_numpy(layer.W.T))
            if layer.b is not None:
                module.bias.copy_(torch.from_numpy(layer.b))
            return module
        case td.Conv2D(b=None):
            module = nn.Conv2d(layer.n_in, layer.n_out, layer.kernel, layer.stride, layer.padding,
                               bias=False, dtype=dtype(layer.W))
            module.weight.copy_(torch.from_numpy(layer.W.transpose(3, 2, 0, 1)))
            return module
        case td.BatchNorm():        # scale and shift start at 1 and 0, as ours
            return BatchNormOfAnyShape(layer.n_features, layer.eps, layer.momentum,
                                       dtype=dtype(layer.gamma))
        case td.LSTM():
            return Applied(lambda parts, x: parts[0](x)[0], lstm(layer))
        case td.ReLU():
            return nn.ReLU()
        case td.Sigmoid():
            return nn.Sigmoid()
        case td.GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case td.Subsample():        # every second pixel, with channels of zeros added
            stride, pad = layer.stride, (0, 0, 0, 0, 0, layer.n_out - layer.n_in)
            return Applied(lambda parts, x: F.pad(x[:, :, ::stride, ::stride], pad))
    raise TypeError(f"no PyTorch twin is written for {layer!r}; add it to twin().")


def lstm(ours):
    """nn.LSTM has the order i, f, g, o, and a second bias, frozen: it would double b's rate."""
    H = ours.n_hidden

    def reordered(array):
        g, i, f, o = (array[..., k * H:(k + 1) * H] for k in range(4))
        return torch.cat([torch.from_numpy(part.T) for part in (i, f, g, o)])

    module = nn.LSTM(ours.n_in, H, batch_first=True, dtype=dtype(ours.b))
    module.weight_ih_l0.copy_(reordered(ours.Wx))
    module.weight_hh_l0.copy_(reordered(ours.Wh))
    module.bias_ih_l0.copy_(reordered(ours.b))
    module.bias_hh_l0.zero_().requires_grad_(False)
    return module


def optimizer_of(workload, modules, synthesizers=()):
    """Return one optimizer for all: it is faster than one for each block, and reads no other block.

    Fused where it is faster: for Adam and momentum, not for the few small arrays of plain descent.
    """
    groups = [{"params": [p for module in part for p in module.parameters()], "lr": lr}
              for part, lr in ((modules, workload.lr), (synthesizers, workload.synthesizer_lr))
              if part]
    ours = workload.optimizer(workload.lr)
    if isinstance(ours, td.Adam):
        return torch.optim.Adam(groups, fused=True, capturable=DEVICE == "cuda")
    if isinstance(ours, td.SGD):
        return torch.optim.SGD(groups, foreach=False)
    return torch.optim.SGD(groups, momentum=ours.mu, fused=True)


class BatchNormOfAnyShape(nn.modules.batchnorm._BatchNorm):
    """nn.BatchNorm1d and nn.BatchNorm2d in one: they differ only in the shapes that may pass."""

    def _check_input_dim(self, x):
        pass


class Applied(nn.Module):
    """y = function(modules, x)."""

    def __init__(self, function, *modules):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(modules)

    def forward(self, x):
        return self.function(self.parts, x)


def tensors(batch):
    """Return a batch as tensors, images with their channels first."""
    x, target, context = (None if array is None else torch.from_numpy(array).to(DEVICE)
                          for array in batch)
    return (x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x), target, context


def dtype(array):
    """Return the PyTorch dtype of a NumPy array."""
    return torch.from_numpy(array).dtype
