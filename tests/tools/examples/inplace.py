"""Rectifiers whose gradients are right, but which write into arrays that belong to others."""


class ForwardInPlace:
    def forward(self, x):
        self.mask = x > 0
        x *= self.mask
        return x

    def backward(self, dy):
        return dy * self.mask


class BackwardInPlace:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dy):
        dy *= self.mask
        return dy
