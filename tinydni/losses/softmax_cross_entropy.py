"""Cross-entropy of class labels under softmax logits."""

from tinydni import backend, checks
from tinydni.losses.loss import Loss


class SoftmaxCrossEntropy(Loss):
    """loss = -1/N sum over n of log p[n, target[n]],   p = softmax(prediction),   dprediction = (p - onehot) / N.

    prediction (N, K): logits    target (N,): labels 0 ... K-1    dprediction (N, K)
    Raises TypeError or ValueError for labels that are not whole numbers from 0 to K - 1. On a device only their
    dtype and shape are looked at, since reading the values would wait for it; the training loop checks them once.
    """

    def forward(self, prediction, target):
        N, K = prediction.shape
        if backend.is_host(self.xp):
            checks.labels(target, K, N)
        elif target.dtype.kind not in "iu" or target.shape != (N,):
            raise TypeError(f"target must hold {N} whole-number labels; got {target.dtype} {tuple(target.shape)}.")
        self.own = (self.xp.arange(N), target)                          # the entry of each example's own class
        shifted = prediction - prediction.max(axis=1, keepdims=True)    # exp can't overflow, softmax is the same
        self.p = self.xp.exp(shifted)
        total = self.p.sum(axis=1, keepdims=True)
        self.p /= total
        return (self.xp.log(total[:, 0]) - shifted[self.own]).mean()

    def backward(self):
        dprediction = self.p.copy()
        dprediction[self.own] -= 1
        dprediction /= len(dprediction)
        return dprediction
