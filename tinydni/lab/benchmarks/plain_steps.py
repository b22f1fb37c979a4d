"""W4 in plain NumPy: "literal", as tutorials write it, and "bare", what NumPy's own calls cost."""

import numpy as np


def bare(workload):
    """Return backpropagation without layers, checks or methods, as a function of the step."""
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


class Block:
    """One sigmoid layer with the tutorial's two verbs; S and b are its synthesizer, if it has one.

    In float64, with a new array for every result, and gradients of each example's own loss.
    """

    def __init__(self, W, lr, synthesizer_lr):
        self.W, self.lr, self.synthesizer_lr = W, lr, synthesizer_lr
        self.S, self.b = np.zeros((W.shape[1], W.shape[1])), np.zeros(W.shape[1])

    def forward(self, x):
        self.x, self.h = x, 1 / (1 + np.exp(-(x @ self.W)))
        return self.h

    def backward(self, delta):
        delta = delta * self.h * (1 - self.h)
        message = delta @ self.W.T
        self.W -= self.lr * self.x.T @ delta / len(delta)
        return message

    def forward_and_synthetic_update(self, x):
        h = self.forward(x)
        self.guess = h @ self.S + self.b
        return self.backward(self.guess), h

    def update_synthetic_weights(self, delta):
        error = self.guess - delta
        self.S -= self.synthesizer_lr * self.h.T @ error / len(error)
        self.b -= self.synthesizer_lr * error.mean(axis=0)


def literal(workload):
    """Return a function of the step's number that trains on one batch and returns the loss."""
    blocks = [Block(block.layers[0].W.astype(np.float64), workload.lr, workload.synthesizer_lr)
              for block in workload.blocks]
    batches = [(x.astype(np.float64), y.astype(np.float64)) for x, y, _ in workload.batches]
    train = backprop if workload.synthesizer is None else decoupled
    return lambda i: train(blocks, *batches[i % len(batches)])


def backprop(blocks, x, target):
    """Take one step of backpropagation."""
    for block in blocks:
        x = block.forward(x)
    error = delta = x - target
    for block in reversed(blocks):
        delta = block.backward(delta)
    return (error**2).sum() / 2 / len(error)


def decoupled(blocks, x, target):
    """Take one step with guessed gradients."""
    *below, top = blocks
    for i, block in enumerate(below):
        message, x = block.forward_and_synthetic_update(x)
        if i > 0:
            below[i - 1].update_synthetic_weights(message)
    error = top.forward(x) - target
    below[-1].update_synthetic_weights(top.backward(error))
    return (error**2).sum() / 2 / len(error)
