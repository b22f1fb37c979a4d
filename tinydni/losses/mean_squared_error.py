"""Half the squared distance."""

from tinydni import checks
from tinydni.losses.loss import Loss


class MeanSquaredError(Loss):
    """loss = 1/(2N) sum of (prediction - target)²,   dprediction = (prediction - target) / N.

    prediction, target, dprediction (N, M)
    Raises ValueError where the shapes differ, TypeError where the dtypes do.
    """

    def forward(self, prediction, target):
        checks.same_shape(prediction, target, "prediction", "target")
        checks.same_dtype(prediction, target, "prediction", "target")
        self.difference = prediction - target
        return 0.5 * self.xp.vdot(self.difference, self.difference) / len(prediction)

    def backward(self):
        return self.difference / len(self.difference)
