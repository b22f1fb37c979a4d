"""W7 in PyTorch eager: the kernels as one would write them, the gradient by autograd."""

import torch

from tinydni.lab.benchmarks.torch_twin import tensors


def step(workload):
    """A function of the step's number that computes the loss of one batch, and its gradient, and returns the loss."""
    m, batches = workload.loss.m, list(map(tensors, workload.batches))

    def measure(i):
        x, y, _ = batches[i % len(batches)]
        x = x.detach().requires_grad_()
        mean_xx, mean_yy, mean_xy = kernel(x, x, m).mean(), kernel(y, y, m).mean(), kernel(x, y, m).mean()
        loss = (mean_xx + mean_yy - 2 * mean_xy).sqrt()
        loss.backward()
        return loss

    return measure


def kernel(x, y, m):
    """The sum of three kernels for all pairs. One exp is enough, since the narrower two are its powers 2 and 4.

    The squared distances are one product: faster than torch.cdist, whose gradient takes a root and squares it again.
    """
    square = torch.addmm((y * y).sum(1), x, y.T, alpha=-2) + (x * x).sum(1, keepdim=True)
    e = torch.exp(square.clamp_min(0) * (-0.5 / m))
    e2 = e * e
    return e + e2 + e2 * e2
