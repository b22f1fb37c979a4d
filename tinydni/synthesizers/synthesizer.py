"""The contract of a synthesizer: guess the gradient at an interface, and learn from the one that arrives."""

from tinydni import checks


class Synthesizer:
    """delta_hat = forward(h, context): the guessed gradient of each example's own loss with respect to h.

    "Each example's own": N times the gradient of the batch mean, so that neither the weights of the synthesizer
    nor its step size depend on the batch size.

    h (N, H): output of the module below the interface
    context (N, C): whatever else is known in training, such as one-hot labels; None if nothing
    delta_hat (N, H)

    backward(ddelta_hat) sets the gradients of the synthesizer's own parameters and returns nothing: no gradient
    flows from a synthesizer into h or into the context.
    """

    h = None            # what the last forward pass saw
    context = None
    used = None         # the guess that the last `learn` used: these weights would no longer make it

    def learn(self, h, context, target, optimizer):
        """One step on  1/2 ‖delta_hat - target‖², summed over features, mean over the batch.

        h, context: as in `forward`; the forward pass is run again if the last one saw something else, or if it
        has been learned from already
        target (N, H): gradient of each example's own loss, as the module above reports it

        Plain gradient descent is stable for a learning rate below 2 / λmax(hᵀh / N).
        Raises ValueError where the target has another shape than the guess, TypeError where it has another dtype.
        """
        checks.same_dtype(h, target, "h", "target")
        if h is not self.h or context is not self.context or self.delta_hat is self.used:
            self.forward(h, context)
        if target.shape != self.delta_hat.shape:
            raise ValueError(f"target has shape {tuple(target.shape)}, but {type(self).__name__} guesses "
                             f"{tuple(self.delta_hat.shape)}. The gradient must belong to the h of this interface.")
        self.error = self.delta_hat - target
        self.backward(self.error / len(h))
        self.update(optimizer)
        self.used = self.delta_hat

    def loss(self):
        """The loss of the last `learn`, before its update (a scalar of the backend)."""
        return 0.5 * self.xp.vdot(self.error, self.error) / len(self.error)
