"""Training steps in PyTorch eager, as a good PyTorch user writes them.

Other forms were timed and are not faster: an optimizer for each block, the label looked up in C or
concatenated to h, the synthesizer as nn.Linear, torch.cdist, whose gradient takes a root and
squares it again.
"""

import torch
import torch.nn.functional as F
from torch import nn

import tinydni as td
from tinydni.lab.benchmarks import conditions
from tinydni.lab.benchmarks.our_steps import synthesizers as our_synthesizers

DEVICE = conditions.torch_device
LOSSES = {td.SoftmaxCrossEntropy: F.cross_entropy,
          td.MeanSquaredError: lambda y, target: (
              F.mse_loss(y, target, reduction="sum") * (0.5 / len(y)))}


def step(workload):
    """Return a function of the step's number that trains on one batch and returns the loss."""
    batches = list(map(tensors, workload.batches))
    train = decoupled(workload) if workload.synthesizer else backprop(workload)
    return lambda i: train(*batches[i % len(batches)])


def graph_step(workload):
    """Return the same as one CUDA graph: captured in the fourth call, after ordinary steps."""
    batches = list(map(tensors, workload.batches))
    train = decoupled(workload) if workload.synthesizer else backprop(workload)
    places = [part if part is None else part.clone() for part in batches[0]]
    graph, side, losses = torch.cuda.CUDAGraph(), torch.cuda.Stream(), []

    def take(i):
        for place, part in zip(places, batches[i % len(batches)]):
            if part is not None:
                place.copy_(part)
        if len(losses) < 3:
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                losses.append(train(*places))
            torch.cuda.current_stream().wait_stream(side)
            return losses[-1]
        if len(losses) == 3:
            with torch.cuda.graph(graph):
                losses.append(train(*places))
        graph.replay()
        return losses[-1]

    return take


def channels_last_step(workload):
    """Return the same with the channels of a pixel side by side in memory, as ours are."""
    batches = [(x.contiguous(memory_format=torch.channels_last), *rest)
               for x, *rest in map(tensors, workload.batches)]
    train = backprop(workload, torch.channels_last)
    return lambda i: train(*batches[i % len(batches)])


def backprop(workload, memory_format=torch.contiguous_format):
    """One nn.Sequential, autograd through all of it."""
    net = nn.Sequential(*map(twin, workload.blocks)).to(DEVICE, memory_format=memory_format)
    loss_of, optimizer = LOSSES[type(workload.loss)], optimizer_of(workload, [net])

    def train(x, target, context):
        optimizer.zero_grad()
        loss = loss_of(net(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return train


def decoupled(workload):
    """DNI: autograd inside each block, cut by `detach` at the interfaces."""
    blocks = [twin(block).to(DEVICE) for block in workload.blocks]
    form = {"linear": Linear, "virtual": Virtual}[workload.synthesizer]
    synthesizers = [form(ours) for ours in our_synthesizers(workload)]
    loss_of, optimizer = LOSSES[type(workload.loss)], optimizer_of(workload, blocks, synthesizers)

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


class Linear(nn.Module):
    """delta_hat = h A + context C + b, with its gradients by hand: faster than autograd.

    `guess` returns dh = delta_hat / N; `grade` sets the gradients of 1/2N ‖delta_hat - N message‖².
    """

    def __init__(self, ours):
        super().__init__()
        self.A, self.b = parameter(ours.A), parameter(ours.b)
        self.C = parameter(ours.C) if ours.n_context else None

    @torch.no_grad()
    def guess(self, h, context):
        self.h, self.context = h.detach(), context
        self.dh = torch.addmm(self.b, self.h, self.A)
        if context is not None:
            self.dh.addmm_(context, self.C)
        self.dh /= len(h)
        return self.dh

    @torch.no_grad()
    def grade(self, message):
        error = self.dh - message
        self.A.grad = self.h.T @ error
        if self.context is not None:
            self.C.grad = self.context.T @ error
        self.b.grad = error.sum(0)


class Virtual(nn.Module):
    """delta_hat = (softmax(h V + c) - t) Vᵀ, with second-order gradients by hand, see Linear."""

    def __init__(self, ours):
        super().__init__()
        self.V, self.c = parameter(ours.V), parameter(ours.c)

    @torch.no_grad()
    def guess(self, h, context):
        self.h = h.detach()
        self.p = torch.softmax(torch.addmm(self.c, self.h, self.V), 1)
        self.u = self.p - context
        self.dh = self.u @ self.V.T
        self.dh /= len(h)
        return self.dh

    @torch.no_grad()
    def grade(self, message):
        error = self.dh - message
        du = error @ self.V
        dz = self.p * (du - (du * self.p).sum(1, keepdim=True))
        self.V.grad = torch.addmm(error.T @ self.u, self.h.T, dz)
        self.c.grad = dz.sum(0)


def parameter(array):
    """Return a copy of an array as a parameter."""
    return nn.Parameter(torch.from_numpy(array.copy()).to(DEVICE))


def mmd_step(workload):
    """Return the step of W7: the loss of a batch, its gradient by autograd."""
    m, batches = workload.loss.m, list(map(tensors, workload.batches))

    def measure(i):
        x, y, _ = batches[i % len(batches)]
        x = x.detach().requires_grad_()
        means = [kernel(a, b, m).mean() for a, b in ((x, x), (y, y), (x, y))]
        loss = (means[0] + means[1] - 2 * means[2]).sqrt()
        loss.backward()
        return loss

    return measure


def mmd_by_hand(workload):
    """Return the same with the gradient by hand, which is left in x.grad."""
    m, batches = workload.loss.m, list(map(tensors, workload.batches))

    @torch.no_grad()
    def measure(i):
        x, y, _ = batches[i % len(batches)]
        (k_xx, pull_xx), (k_xy, pull_xy) = mean_and_pull(x, x, m), mean_and_pull(x, y, m)
        loss = (k_xx + kernel(y, y, m).mean() - 2 * k_xy).sqrt()
        x.grad = (pull_xy - pull_xx) / loss
        return loss

    return measure


def mean_and_pull(x, y, m):
    """Return the mean kernel of all pairs, and its slope -dk/d(d²) times 2 (x - y), as means."""
    e = exponential(x, y, m)
    e2 = e * e
    e4 = e2 * e2
    g = torch.add(e, e2, alpha=2).add_(e4, alpha=4)
    pull = torch.addmm(g.sum(1, keepdim=True) * x, g, y, alpha=-1) / (m * g.numel())
    return e.add_(e2).add_(e4).mean(), pull


def kernel(x, y, m):
    """Return three kernels for all pairs, added; the narrower two are powers of the first."""
    e = exponential(x, y, m)
    e2 = e * e
    return e + e2 + e2 * e2


def exponential(x, y, m):
    """Return the widest kernel for all pairs."""
    square = torch.addmm((y * y).sum(1), x, y.T, alpha=-2) + (x * x).sum(1, keepdim=True)
    return torch.exp(square.clamp_min(0) * (-0.5 / m))


# The module or optimizer that does what one of ours does, from the same weights.

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
