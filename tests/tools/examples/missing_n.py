"""Losses with a 1/N in the wrong place, or in none."""


class MissingInBackward:
    """forward is the mean over the batch, backward is not."""

    def forward(self, prediction, target):
        self.difference = prediction - target
        return 0.5 * (self.difference ** 2).sum() / len(prediction)

    def backward(self):
        return self.difference


class MissingInBoth:
    """forward and backward agree, but the loss grows with the batch."""

    def forward(self, prediction, target):
        self.difference = prediction - target
        return 0.5 * (self.difference ** 2).sum()

    def backward(self):
        return self.difference


class OnePerExample:
    """forward forgets to take the mean at all."""

    def forward(self, prediction, target):
        self.difference = prediction - target
        return 0.5 * (self.difference ** 2).sum(axis=1)

    def backward(self):
        return self.difference / len(self.difference)
