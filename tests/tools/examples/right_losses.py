"""Two losses without a mistake: both are means over the batch."""

import numpy as np


class SquaredError:
    def forward(self, prediction, target):
        self.difference = prediction - target
        return 0.5 * (self.difference ** 2).sum() / len(prediction)

    def backward(self):
        return self.difference / len(self.difference)


class CrossEntropy:
    def forward(self, prediction, target):
        p = np.exp(prediction - prediction.max(axis=1, keepdims=True))
        self.p = p / p.sum(axis=1, keepdims=True)
        self.target = target
        return -np.log(self.p[np.arange(len(target)), target]).mean()

    def backward(self):
        dprediction = self.p.copy()
        dprediction[np.arange(len(self.target)), self.target] -= 1
        return dprediction / len(self.target)
