"""Dropout: the check repeats the same mask, since the layer keeps its generator."""


class Dropout:
    parameters = ()

    def __init__(self, p, rng):
        self.p = p
        self.rng = rng

    def forward(self, x):
        self.mask = (self.rng.random(x.shape) >= self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask
