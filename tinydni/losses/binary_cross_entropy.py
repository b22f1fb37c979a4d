"""Cross-entropy of bits under logits."""

from tinydni import checks
from tinydni.losses.loss import Loss


class BinaryCrossEntropy(Loss):
    """loss = -1/N sum of t log p + (1 - t) log(1 - p),   p = sigmoid(prediction),   dprediction = (p - t) / N.

    prediction (N, M): logits    target t (N, M): bits, or probabilities from 0 to 1    dprediction (N, M)
    Computed from the logits as max(z, 0) - t z + log(1 + exp(-|z|)), which cannot overflow.
    Raises ValueError where the shapes differ, TypeError where the dtypes do.
    """

    def forward(self, prediction, target):
        checks.same_shape(prediction, target, "prediction", "target")
        checks.same_dtype(prediction, target, "prediction", "target")
        xp, z = self.xp, prediction
        self.difference = 0.5 + 0.5 * xp.tanh(0.5 * z) - target
        return (xp.maximum(z, 0) - target * z + xp.log1p(xp.exp(-xp.abs(z)))).sum() / len(z)

    def backward(self):
        return self.difference / len(self.difference)
