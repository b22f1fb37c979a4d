"""Training steps in PyTorch eager, as a good PyTorch user writes them.

Other forms were timed and are not faster: an optimizer for each block, the label looked up in C or
concatenated to h, the synthesizer as nn.Linear, torch.cdist, whose gradient takes a root and
squares it again.
"""

import torch
from torch import nn

from tinydni.lab.benchmarks.our_steps import synthesizers as our_synthesizers
from tinydni.lab.benchmarks.torch_twins import DEVICE, LOSSES, optimizer_of, tensors, twin


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


def kernel(x, y, m):
    """Return three kernels for all pairs, added; the narrower two are powers of the first."""
    square = torch.addmm((y * y).sum(1), x, y.T, alpha=-2) + (x * x).sum(1, keepdim=True)
    e = torch.exp(square.clamp_min(0) * (-0.5 / m))
    e2 = e * e
    return e + e2 + e2 * e2
