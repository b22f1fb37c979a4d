"""Recurrent networks, window by window: truncated backpropagation, with or without a word from the time beyond."""

from tinydni import backend
from tinydni.dni.gradient_sum import GradientSum
from tinydni.dni.network import Network


KEPT = ("state", "context")       # what a module keeps from one window to the next


class RecurrentModule:
    """A recurrent block that updates after each window, without waiting for the next window or the module above.

    y, end = block(x, state)
    dy: the loss's own gradient, or the guess of the synthesizer for every example and step
    dend = scale · M(end, context) / N from the boundary; zero at the end of a sequence, or without a boundary
    dx, dstate = gradients with respect to x and state. dx is the message for the module below, dstate the one for the
    window before: M learns from it what it should have said there. It includes what came from dend ("bootstrapped").

    block: a layer with forward(x, state), such as LSTM or Recurrent    optimizer: of the block
    boundary: a Boundary, the interface in time; None truncates
    synthesizer, synthesizer_optimizer: the interface in depth; None in the module with the loss
    loss: for rows of outputs, None in all others
    each_window: one update per window; else the windows of a sequence are summed for one update at its end
    """

    def __init__(self, block, optimizer, boundary=None, synthesizer=None, synthesizer_optimizer=None, loss=None,
                 each_window=False):
        if (synthesizer is None) == (loss is None):
            raise ValueError("a module has either a loss or a synthesizer with its optimizer, to say what the gradient "
                             "at its output is; give it one of them.")
        self.block, self.optimizer, self.boundary = block, optimizer, boundary
        self.synthesizer, self.synthesizer_optimizer = synthesizer, synthesizer_optimizer
        self.loss, self.each_window = loss, each_window
        self.sum = GradientSum()
        self.state = self.context = None

    def forward_and_synthetic_update(self, x, window):
        """Runs the block through a window and learns from what is known at its end. Returns the messages (dx, y)."""
        y = self.forward(x, window)
        return self.backward(self.gradient_at_output(y, window), window), y

    def update_synthetic_weights(self, true_gradient):
        """Moves the synthesizer in depth towards the message (N, T, M) that came back from the module above."""
        N, T, M = true_gradient.shape
        target = true_gradient.reshape(N * T, M) * N
        self.synthesizer.learn(self.rows, self.row_contexts, target, self.synthesizer_optimizer)

    def forward(self, x, window):
        """y (N, T, M): the outputs of a window that follows the last one, or begins a sequence."""
        self.start, self.start_context = (None, None) if window.first else (self.state, self.context)
        y, self.state = self.block.forward(x, self.start)
        self.context = window.context_at_end()
        return y

    def backward(self, dy, window):
        """dx (N, T, D): the message for the module below. The boundary learns, the block updates."""
        dx, dstate = self.block.backward(dy, self.gradient_at_end(window))
        if self.boundary is not None and self.start is not None:
            self.boundary.learn(self.start, self.start_context, dstate, window.last)
        self.update(window.last)
        return dx

    def gradient_at_output(self, y, window):
        """dy (N, T, M): gradient of the window's loss, or the guess of it, at all outputs."""
        N, T, M = y.shape
        if self.loss is None:
            self.rows = y.reshape(N * T, M)
            contexts = window.contexts
            self.row_contexts = None if contexts is None else contexts[:, :T].reshape(N * T, -1)
            return self.synthesizer.forward(self.rows, self.row_contexts).reshape(N, T, M) / N
        dy, n_asked = self.block.xp.zeros_like(y), len(window.asked)
        self.loss_value = 0.0
        if n_asked:
            target = window.target[:, window.asked]
            rows = y[:, window.asked].reshape(N * n_asked, M)
            share = n_asked * window.weight         # the loss is a mean over rows; the window's is a sum over steps
            self.loss_value = share * self.loss.forward(rows, target.reshape(N * n_asked, *target.shape[2:]))
            dy[:, window.asked] = (share * self.loss.backward()).reshape(N, n_asked, M)
        return dy

    def gradient_at_end(self, window):
        """dend (N, S): what the steps after the window will ask for, as far as one can tell; None for zeros."""
        if self.boundary is None or window.last:
            return None
        return self.boundary.gradient(self.state, self.context)

    def update(self, last):
        """One step of the block: now, or with the sum of all windows at the end of the sequence."""
        if not self.each_window:
            self.sum.add(self.block)
            if not last:
                return
            self.sum.release(self.block)
        self.block.update(self.optimizer)

    def learners(self):
        """The layers with their optimizers: [("block", block, optimizer), ...]."""
        found = [("block", self.block, self.optimizer)]
        if self.synthesizer is not None:
            found.append(("synthesizer", self.synthesizer, self.synthesizer_optimizer))
        if self.boundary is not None:
            found.append(("boundary", self.boundary.synthesizer, self.boundary.optimizer))
        return found

    def to(self, xp=None, dtype=None):
        """Moves everything to another backend or dtype. Returns the module itself."""
        for _, layer, _ in self.learners():
            layer.to(xp, dtype)
        if self.loss is not None:
            self.loss.to(xp, dtype)
        return self


class RecurrentNetwork(Network):
    """Recurrent modules, bottom to top, each decoupled from the one above and from its own future.

    step(window) trains on one window; the windows of a sequence come one after the other.
    With one module whose window is the whole sequence it is backpropagation through time; with shorter windows and no
    boundary it is truncated.
    """

    def state(self):
        """Everything that makes a continued run equal, the state between two windows included: {path: array}."""
        kept = {f"{i}.kept.{name}": getattr(module, name) for i, module in enumerate(self.modules)
                for name in KEPT if getattr(module, name) is not None}
        return {**super().state(), **kept}

    def load_state(self, state):
        """Takes a state from `state()`. Raises KeyError or ValueError if it is another network's."""
        super().load_state({path: array for path, array in state.items() if ".kept." not in path})
        for i, module in enumerate(self.modules):
            for name in KEPT:
                array = state.get(f"{i}.kept.{name}")
                setattr(module, name, None if array is None else backend.asarray(module.block.xp, array))

    def step(self, window):
        """One window. Returns its loss, before the update: mean over examples of the weighted sum over steps."""
        h = window.x
        for below, module in zip([None, *self.modules], self.modules):
            dx, h = module.forward_and_synthetic_update(h, window)
            if below is not None:
                below.update_synthetic_weights(dx)
        self.steps += 1
        return self.modules[-1].loss_value

    def predict(self, x, states=None):
        """Outputs (N, T, M) for whole sequences, and the states after them. No synthesizer takes part."""
        self.eval()
        ends = []
        for module, state in zip(self.modules, states or [None] * len(self.modules)):
            x, end = module.block.forward(x, state)
            ends.append(end)
        self.train()
        return x, ends
