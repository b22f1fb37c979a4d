"""Two recurrent networks that talk at different clock rates: one ticks at every step, one now and then."""

from dataclasses import dataclass, replace

import numpy as np

from tinydni import backend
from tinydni.dni.recurrent import RecurrentModule, RecurrentNetwork
from tinydni.dni.windows import Window


@dataclass
class TwoClocksWindow(Window):
    """Steps of the fast network, and beside them the ticks of the slow one that fall into them.

    x, target, asked, weight, contexts: as in Window, for the fast network
    slow_target (N, n, ...): what the slow network's loss compares with, at each of its n ticks
    slow_weight: of the loss of each tick    slow_contexts (N, n + 1, C): as contexts, for its boundary; or None
    message_context (N, n, C): what the synthesizer of the messages may see of the targets; or None
    """

    slow_target: np.ndarray | None = None
    slow_weight: float = 1.0
    slow_contexts: np.ndarray | None = None
    message_context: np.ndarray | None = None

    def to(self, xp):
        arrays = {name: getattr(self, name) for name in ("slow_target", "slow_contexts", "message_context")}
        return replace(super().to(xp), **{name: backend.asarray(xp, array) for name, array in arrays.items()
                                          if array is not None})

    def slow_window(self, xp, messages):
        """The same time as the slow network lives it."""
        return Window(messages, self.slow_target, xp.arange(messages.shape[1]), self.slow_weight, self.slow_contexts,
                      self.first, self.last)


class Sender(RecurrentModule):
    """A recurrent module with a task of its own, and with a message for a slower one at every `tick`-th step.

    Its output is y = [prediction (n_own), message (P)]. The prediction has the loss. The gradient at the message of a
    tick is guessed, delta_hat = M(message, context), where the context holds the receiver's last known state s_B
    beside what the window tells: M_B(h_A, s_B, c). Without a synthesizer it is zero, and nothing trains the sender.

    n_own: width of the prediction    tick: steps between two messages
    Otherwise as RecurrentModule.
    """

    def __init__(self, block, optimizer, n_own, tick, loss, boundary=None, synthesizer=None, synthesizer_optimizer=None,
                 each_window=False):
        super().__init__(block, optimizer, boundary, loss=loss, each_window=each_window)
        self.n_own, self.tick = n_own, tick
        self.synthesizer, self.synthesizer_optimizer = synthesizer, synthesizer_optimizer
        self.receiver_state = None

    def messages(self, y):
        """The messages (N, n, P) among the outputs (N, T, n_own + P)."""
        return y[:, self.tick - 1::self.tick, self.n_own:]

    def gradient_at_output(self, y, window, dmessages=None):
        """dy: from the loss for the prediction; for the messages what came back, or the guess of it."""
        dy = self.block.xp.zeros_like(y)
        dy[:, :, :self.n_own] = super().gradient_at_output(y[:, :, :self.n_own], window)
        if dmessages is None and self.synthesizer is not None:
            dmessages = self.guess(self.messages(y), window)
        if dmessages is not None:
            self.messages(dy)[...] = dmessages
        return dy

    def guess(self, messages, window):
        """The guessed gradient (N, n, P) at the messages of a window."""
        xp, (N, n, P) = self.block.xp, messages.shape
        seen = [] if window.message_context is None else [window.message_context.reshape(N * n, -1)]
        if self.sees_receiver:
            state = self.receiver_state
            seen.append(xp.zeros((N * n, self.sees_receiver), messages.dtype) if window.first or state is None
                        else xp.repeat(state, n, axis=0))
        self.rows = messages.reshape(N * n, P)
        self.row_contexts = xp.concatenate(seen, axis=1) if seen else None
        return self.synthesizer.forward(self.rows, self.row_contexts).reshape(N, n, P) / N

    sees_receiver = 0       # width of the receiver's state, if the synthesizer sees it


class TwoClocks(RecurrentNetwork):
    """A fast network and a slow one, which hears of the world only what the fast one tells it  (Jaderberg et al. 2016,
    section 3.3).

    Decoupled, the fast network learns from its window, the messages in it included, before the slow one has ticked;
    what the slow one then answers teaches the synthesizer. Locked, it waits for the answer itself.

    fast: a Sender    slow: a RecurrentModule with a loss    locked: whether the fast one waits
    """

    def __init__(self, fast, slow, locked=False):
        super().__init__([fast, slow])
        self.locked = locked

    def step(self, window):
        """One window. Returns the sum of both losses, before the update."""
        fast, slow = self.modules
        if self.locked:
            y = fast.forward(window.x, window)
            dmessages, _ = self.slow_step(y, window)
            fast.backward(fast.gradient_at_output(y, window, dmessages), window)
        else:
            _, y = fast.forward_and_synthetic_update(window.x, window)
            dmessages, _ = self.slow_step(y, window)
            if fast.synthesizer is not None:
                fast.update_synthetic_weights(dmessages)
        self.steps += 1
        return fast.loss_value + slow.loss_value

    def slow_step(self, y, window):
        """The slow network hears the messages among y, learns, and answers: (dmessages (N, n, P), its outputs)."""
        fast, slow = self.modules
        messages = fast.messages(y).copy()
        answer = slow.forward_and_synthetic_update(messages, window.slow_window(fast.block.xp, messages))
        fast.receiver_state = slow.state
        return answer

    def predict(self, x, states=None):
        """Outputs of whole sequences: ([fast (N, T, n_own), slow (N, n, M)], the states after them)."""
        fast, slow = self.modules
        self.eval()
        states = states or [None, None]
        y, fast_end = fast.block.forward(x, states[0])
        slow_y, slow_end = slow.block.forward(fast.messages(y), states[1])
        self.train()
        return [y[:, :, :fast.n_own], slow_y], [fast_end, slow_end]
