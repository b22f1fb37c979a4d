"""Slips that students make in A1: (task, what they do, the line of the solution, what they write, words of the diagnosis).

The words are None where no sentence of the diagnosis can be expected to name the slip.
"""

MISTAKES = [
    ("A1.1", "in-place damage to the input", "return 2 * x", "x *= 2; return x", "writes into x"),
    ("A1.2", "the sign of dW", "self.dW = self.x.T @ dy", "self.dW = -self.x.T @ dy", "the sign is flipped"),
    ("A1.2", "forgotten bias", "return x @ self.W + self.b", "return x @ self.W", "the bias is forgotten"),
    ("A1.2", "mean for sum", "dy.sum(axis=0)", "dy.mean(axis=0)", "a mean over the batch where a sum belongs"),
    ("A1.2", "transposed gradient", "self.x.T @ dy", "dy.T @ self.x", "Looks transposed"),
    ("A1.2", "stale cache", "self.x = x\n", "self.x = getattr(self, 'x', x)\n", "stale cache"),
    ("A1.2", "wrong axis", "dy.sum(axis=0)", "dy.sum(axis=1)", None),
    ("A1.3", "x for y in the derivative", "self.y = (1 + np.tanh(x / 2)) / 2\n        return self.y",
     "self.y = x\n        return (1 + np.tanh(x / 2)) / 2", "x stands where y belongs"),
    ("A1.3", "dy ignored", "return dy * self.y", "return self.y", "dy is ignored"),
    ("A1.4", "factor N", ") / len(self.p)", ")", "a missing 1/N"),
    ("A1.4", "softmax over the batch", "self.p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)",
     "self.p = np.exp(shifted) / np.exp(shifted).sum(axis=0, keepdims=True)", "softmax is taken over the batch"),
    ("A1.4", "overflow", "shifted = prediction - prediction.max(axis=1, keepdims=True)", "shifted = prediction",
     "Is there an overflow"),
    ("A1.5", "ascent", "parameter -=", "parameter +=", "up the gradient"),
    ("A1.5", "rebound, not in place", "parameter -= lr * getattr(layer, \"d\" + name)",
     "setattr(layer, name, parameter - lr * getattr(layer, \"d\" + name))", "in place"),
]
