"""Slips that students make in A3: (task, what they do, the line of the solution, what they write, words of the diagnosis).

The words are None where no sentence of the diagnosis can be expected to name the slip.
"""

MISTAKES = [
    ("A3.1", "sign: the synthesizer climbs", "self.A -= lr", "self.A += lr", "it climbs"),
    ("A3.1", "factor N", "error = (self.forward(h, context) - delta) / len(h)", "error = self.forward(h, context) - delta",
     "a missing 1/N"),
    ("A3.1", "forgotten bias", "h @ self.A + context @ self.C + self.b", "h @ self.A + context @ self.C",
     "the bias is forgotten"),
    ("A3.1", "gradient through the label", "        self.b -= lr * error.sum(axis=0)",
     "        self.b -= lr * error.sum(axis=0)\n        context -= lr * error @ self.C.T", "writes into context"),
    ("A3.1", "target not detached: it is pulled to the guess", "        self.b -= lr * error.sum(axis=0)",
     "        self.b -= lr * error.sum(axis=0)\n        delta += lr * error", "writes into delta"),
    ("A3.1", "stale cache: the last guess is used", "        return h @ self.A + context @ self.C + self.b",
     "        if not hasattr(self, 'g'):\n            self.g = h @ self.A + context @ self.C + self.b\n"
     "        return self.g", "stale"),
    ("A3.1", "mean for sum over the batch in b", "error.sum(axis=0)", "error.mean(axis=0)",
     "a mean over the batch where a sum belongs"),
    ("A3.1", "wrong axis", "error.sum(axis=0)", "error.sum(axis=1).mean()", None),
    ("A3.2", "both layers zero", "return random * np.sqrt(2 / H), np.zeros((U, H))", "return 0 * random, np.zeros((U, H))",
     "Two zero layers never learn"),
    ("A3.2", "random in the last layer", "np.zeros((U, H))", "0.1 * random.T", "must start at zero"),
    ("A3.3", "update before message", "        self.block.update(self.lr)",
     "        self.block.update(self.lr)\n        dx = self.block.backward(delta_hat / len(x))",
     "the message is made after the update"),
    ("A3.3", "scale of the guess", "self.block.backward(delta_hat / len(x))", "self.block.backward(delta_hat)",
     "a missing 1/N"),
    ("A3.3", "scale of the target", "len(true_gradient) * true_gradient", "true_gradient", "it must be N times that"),
    ("A3.3", "sign of the guess", "self.block.backward(delta_hat / len(x))", "self.block.backward(-delta_hat / len(x))",
     "the sign is flipped"),
    ("A3.4", "own message for the synthesizer",
     "        if below is not None:\n            below.update_synthetic_weights(dx)",
     "        module.update_synthetic_weights(dx)", "its own message"),
    ("A3.4", "the last module learns nothing", "    below.update_synthetic_weights(top.forward_and_update(x, target, lr))",
     "    top.forward_and_update(x, target, lr)", "no message reaches it"),
    ("A3.5", "one slip left", "self.S -= self.lr", "self.S += self.lr", "S climbs"),
]
