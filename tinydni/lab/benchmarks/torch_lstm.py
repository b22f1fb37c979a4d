"""W5 in PyTorch eager: torch.nn.LSTM."""

import torch
from torch import nn

from tinydni.lab.benchmarks.torch_twin import LOSSES, optimizer_of, tensors


def step(workload):
    """A function of the step's number that trains on one batch and returns the loss."""
    [ours], batches = workload.blocks, list(map(tensors, workload.batches))
    lstm, loss_of = twin(ours), LOSSES[type(workload.loss)]
    optimizer = optimizer_of(workload, [lstm])

    def train(i):
        x, target, _ = batches[i % len(batches)]
        optimizer.zero_grad()
        y, _ = lstm(x)
        loss = loss_of(y, target)
        loss.backward()
        optimizer.step()
        return loss

    return train


@torch.no_grad()
def twin(ours):
    """nn.LSTM has the order i, f, g, o and a second bias, which is frozen at zero: it would double b's rate."""
    H = ours.n_hidden

    def reordered(array):
        g, i, f, o = (array[..., k * H:(k + 1) * H] for k in range(4))
        return torch.cat([torch.from_numpy(part.T) for part in (i, f, g, o)])

    lstm = nn.LSTM(ours.n_in, H, batch_first=True, dtype=torch.from_numpy(ours.b).dtype)
    lstm.weight_ih_l0.copy_(reordered(ours.Wx))
    lstm.weight_hh_l0.copy_(reordered(ours.Wh))
    lstm.bias_ih_l0.copy_(reordered(ours.b))
    lstm.bias_hh_l0.zero_().requires_grad_(False)
    return lstm
