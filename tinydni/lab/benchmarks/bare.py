"""W4 by backpropagation without layers, checks or methods: the contender "bare", what NumPy's own calls cost."""

import numpy as np


def step(workload):
    """Returns a function of the step's number that trains on one batch and returns the loss."""
    weights = [block.layers[0].W.copy() for block in workload.blocks]
    batches, lr = workload.batches, workload.lr

    def train(i):
        x, target, _ = batches[i % len(batches)]
        outputs = [x]
        for W in weights:
            outputs.append(0.5 * np.tanh(0.5 * outputs[-1].dot(W)) + 0.5)
        difference = outputs[-1] - target
        dy = difference / len(x)
        for k in reversed(range(len(weights))):
            dy = dy * (outputs[k + 1] * (1 - outputs[k + 1]))
            dW = outputs[k].T.dot(dy)
            dy = dy.dot(weights[k].T) if k else None
            weights[k] -= lr * dW
        return 0.5 * np.vdot(difference, difference) / len(x)

    return train
