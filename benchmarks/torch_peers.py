"""The same workloads in PyTorch eager, as a good PyTorch user writes them: the contender "torch-eager".

Other forms were timed and are not faster: an optimizer for each block, the label looked up in C or concatenated
to h, the synthesizer as nn.Linear.
"""

import torch
import torch.nn.functional as F
from torch import nn

from tinydni import SGD, Adam, MeanSquaredError, SoftmaxCrossEntropy
from tinydni.layers import BatchNorm, Linear, ReLU, Sigmoid

LOSSES = {SoftmaxCrossEntropy: F.cross_entropy,
          MeanSquaredError: lambda y, target: F.mse_loss(y, target, reduction="sum") * (0.5 / len(y))}
OPTIMIZERS = {Adam: lambda parameters, lr: torch.optim.Adam(parameters, lr, fused=True),
              SGD: lambda parameters, lr: torch.optim.SGD(parameters, lr, foreach=False)}   # its fastest form here


def step(workload):
    """Returns a function of the step's number that trains on one batch and returns the loss."""
    batches = [[None if array is None else torch.from_numpy(array) for array in batch] for batch in workload.batches]
    train = backprop(workload) if workload.synthesizer_lr is None else decoupled(workload)
    return lambda i: train(*batches[i % len(batches)])


def backprop(workload):
    """One nn.Sequential, autograd through all of it."""
    net = nn.Sequential(*[twin(layer) for block in workload.blocks for layer in block.layers])
    loss_of = LOSSES[type(workload.loss)]
    optimizer = OPTIMIZERS[workload.optimizer](net.parameters(), workload.lr)

    def train(x, target, context):
        optimizer.zero_grad()
        loss = loss_of(net(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return train


def decoupled(workload):
    """DNI: autograd inside each block, cut by `detach` at the interfaces.

    All parameters are updated at the end of the step by one optimizer. That is faster than one for each block and
    the same mathematics: no block reads the parameters of another.
    """
    x, _, context = workload.batches[0]
    blocks = [nn.Sequential(*map(twin, block.layers)) for block in workload.blocks]
    n_context = 0 if context is None else context.shape[1]
    synthesizers = [Synthesizer(block.layers[0].n_out, n_context, dtype_of(x)) for block in workload.blocks[:-1]]
    loss_of = LOSSES[type(workload.loss)]
    optimizer = OPTIMIZERS[workload.optimizer](
        [{"params": [p for block in blocks for p in block.parameters()]},
         {"params": [p for synthesizer in synthesizers for p in synthesizer.parameters()],
          "lr": workload.synthesizer_lr}], workload.lr)

    def train(x, target, context):
        optimizer.zero_grad()
        h = x
        for k, block in enumerate(blocks):
            below = h.detach().requires_grad_(k > 0)
            h = block(below)
            if k < len(synthesizers):
                h.backward(synthesizers[k].guess(h, context))
            else:
                loss = loss_of(h, target)
                loss.backward()
            if k > 0:
                synthesizers[k - 1].grade(below.grad)
        optimizer.step()
        return loss

    return train


class Synthesizer(nn.Module):
    """delta_hat = h A + context C + b, from zero, with its gradients by hand: faster than autograd."""

    def __init__(self, n_h, n_context, dtype):
        super().__init__()
        self.A = nn.Parameter(torch.zeros(n_h, n_h, dtype=dtype))
        self.C = nn.Parameter(torch.zeros(n_context, n_h, dtype=dtype)) if n_context else None
        self.b = nn.Parameter(torch.zeros(n_h, dtype=dtype))

    @torch.no_grad()
    def guess(self, h, context):
        """dh (N, H): the guessed gradient of the batch mean, delta_hat / N."""
        self.h, self.context = h.detach(), context
        self.dh = torch.addmm(self.b, self.h, self.A)
        if context is not None:
            self.dh.addmm_(context, self.C)
        self.dh /= len(h)
        return self.dh

    @torch.no_grad()
    def grade(self, message):
        """Sets the gradients of 1/2N ‖delta_hat - N message‖²."""
        error = self.dh - message
        self.A.grad = self.h.T @ error
        if self.context is not None:
            self.C.grad = self.context.T @ error
        self.b.grad = error.sum(0)


@torch.no_grad()
def twin(layer):
    """The PyTorch module with the weights of one of our layers."""
    match layer:
        case Linear():
            module = nn.Linear(layer.n_in, layer.n_out, bias=layer.b is not None, dtype=dtype_of(layer.W))
            module.weight.copy_(torch.from_numpy(layer.W.T))
            if layer.b is not None:
                module.bias.copy_(torch.from_numpy(layer.b))
            return module
        case BatchNorm():       # scale and shift start at 1 and 0, as ours
            return nn.BatchNorm1d(layer.n_features, layer.eps, layer.momentum, dtype=dtype_of(layer.gamma))
        case ReLU():
            return nn.ReLU()
        case Sigmoid():
            return nn.Sigmoid()
    raise TypeError(f"no PyTorch twin is written for {layer!r}; add it to twin().")


def dtype_of(array):
    """The PyTorch dtype of a NumPy array."""
    return torch.from_numpy(array).dtype
