"""From logits to probabilities."""

from tinydni.layers.layer import Layer


class Softmax(Layer):
    """y = exp(x) / sum of exp(x),   dx = y · (dy - sum of dy · y), both sums over the last axis.

    x (N, K): logits    y (N, K): probabilities

    A classifier does not end in it: SoftmaxCrossEntropy takes the logits. It is for probabilities that a network
    goes on to use. The largest logit is subtracted first, so that exp cannot overflow.
    """

    def forward(self, x):
        y = self.xp.exp(x - x.max(axis=-1, keepdims=True))
        y /= y.sum(axis=-1, keepdims=True)
        self.y = y
        return y

    def backward(self, dy):
        return self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))
