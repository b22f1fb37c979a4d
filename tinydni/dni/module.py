"""A module that learns from a predicted gradient, without waiting for the true one."""

from tinydni import checks


class DNI:
    """A block of layers with a decoupled neural interface at its output  (Jaderberg et al. 2016, section 2).

    h = block(x),   dh = synthesizer(h, context) / N,  or the loss's own gradient, or the sum of both,
    dx = gradient of the loss with respect to x: the message for the module below.

    x (N, D): input    context (N, C): what the synthesizer may see beside h, or None    h (N, H): output
    target: what the loss compares h with; only the module that has the loss needs it

    block: a layer    optimizer: of the block
    synthesizer, synthesizer_optimizer: guess the gradient at h; None in the module that has the loss
    loss: None in all others
    input_synthesizer, input_optimizer: make an input from the network's own, for full unlock; None otherwise
    Raises ValueError for a synthesizer without its optimizer, and in a step where there is no source of gradient.
    """

    h = context = None  # what the synthesizer saw last
    applies = True      # False during warm-up: the synthesizer learns, but its guess is not applied to the block
    gives_context = False       # True in a bottom module whose output the synthesizers above see as their context

    def __init__(self, block, optimizer, synthesizer=None, synthesizer_optimizer=None, loss=None,
                 input_synthesizer=None, input_optimizer=None):
        if (synthesizer is None) != (synthesizer_optimizer is None):
            raise ValueError("synthesizer and synthesizer_optimizer go together; one of them is missing.")
        self.block, self.optimizer = block, optimizer
        self.synthesizer, self.synthesizer_optimizer = synthesizer, synthesizer_optimizer
        self.loss = loss
        self.input_synthesizer, self.input_optimizer = input_synthesizer, input_optimizer

    def forward_and_synthetic_update(self, x, context=None, target=None):
        """Runs the block, guesses the gradient at its output, updates at once. Returns the messages (dx, h).

        dx is computed before the update, with the weights that made h.
        """
        h = self.forward(x)
        dx = self.backward(self.gradient_at_output(h, context, target))
        if self.applies:
            self.update()
        return dx, h

    def update_synthetic_weights(self, true_gradient):
        """Moves the synthesizer towards the gradient that came back from the module above: descent.

        true_gradient (N, H): gradient of the batch-mean loss with respect to the h of the last step
        """
        if self.h is None and self.synthesizer is not None:
            raise RuntimeError("update_synthetic_weights came before the first forward_and_synthetic_update: there is no "
                               "h yet that the gradient could belong to.")
        self.learn(self.h, self.context, true_gradient)

    # The separate steps, from which other schedules are made.

    def forward(self, x):
        """h (N, H) = block(x). In evaluation this is plain inference."""
        return self.block.forward(x)

    def gradient_at_output(self, h, context=None, target=None):
        """dh (N, H): the gradient of the batch-mean loss at h, from the loss, the synthesizer, or both."""
        dh = None
        if self.loss is not None:
            if target is None:
                raise ValueError("target is missing: this module has the loss and needs what to compare h with.")
            self.loss_value = self.loss.forward(h, target)
            dh = self.loss.backward()
        if self.synthesizer is not None:
            self.h, self.context = h, context
            delta_hat = self.synthesizer.forward(h, context)
            checks.same_shape(delta_hat, h, "the synthetic gradient", "h", "Build the synthesizer for the width of this block.")
            dh = delta_hat / len(h) if dh is None else dh + delta_hat / len(h)
        if dh is None:
            raise ValueError("this module has neither a synthesizer nor a loss, so nothing says what the gradient at "
                             "its output is; give it one, or run it under a schedule that sends the true gradient.")
        return dh

    def backward(self, dh):
        """dx (N, D): the message for the module below; sets the gradients of the block."""
        return self.block.backward(dh)

    def context_above(self, h, context):
        """What the synthesizers above this module may see beside their own h: the context, or this module's output."""
        return h if self.gives_context else context

    def update(self):
        """One step of the block."""
        self.block.update(self.optimizer)

    def learn(self, h, context, true_gradient):
        """One step of the synthesizer on a gradient of the batch-mean loss, however late it comes."""
        if self.synthesizer is None:
            raise ValueError("this module has no synthesizer that could learn from the gradient of the module above.")
        self.synthesizer.learn(h, context, true_gradient * len(true_gradient), self.synthesizer_optimizer)

    # What the network does with all its modules.

    def learners(self):
        """The layers with their optimizers: [("block", block, optimizer), ("synthesizer", ...)]."""
        return [(name, layer, optimizer) for name, layer, optimizer in (
            ("block", self.block, self.optimizer),
            ("synthesizer", self.synthesizer, self.synthesizer_optimizer),
            ("input_synthesizer", self.input_synthesizer, self.input_optimizer)) if layer is not None]

    def to(self, xp=None, dtype=None):
        """Moves layers, their optimizers and the loss to another backend or dtype. Returns the module itself."""
        for _, layer, optimizer in self.learners():
            layer.to(xp, dtype)
            optimizer.to(xp, dtype)
        if self.loss is not None:
            self.loss.to(xp, dtype)
        return self
