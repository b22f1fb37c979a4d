"""Two recurrent networks that talk at different clock rates: one ticks always, one rarely."""

from dataclasses import dataclass, replace
from typing import Any

from tinydni.backend import Array, asarray
from tinydni.checks import check_bool
from tinydni.dni import to_dh
from tinydni.layer import Layer
from tinydni.losses import Loss
from tinydni.optimizers import Optimizer, as_optimizer
from tinydni.recurrent_dni import Boundary, RecurrentModule, RecurrentNetwork, Window
from tinydni.synthesizers import Synthesizer

__all__ = ["Sender", "TwoClocks", "TwoClocksWindow"]


@dataclass
class TwoClocksWindow(Window):
    """Steps of the fast network, and beside them the ticks of the slow one that fall into them.

    Parameters
    ----------
    x, target, asked, weight, contexts, first, last : as in Window, for the fast network
    slow_target (N, n, ...) : what the slow network's loss compares with, at each of its n ticks
    slow_weight : of the loss of each tick
    slow_contexts (N, n + 1, C) : as contexts, for its boundary; or None
    message_context (N, n, C) : what the messages' synthesizer may see of the targets; or None
    """

    slow_target: Array | None = None
    slow_weight: float = 1.0
    slow_contexts: Array | None = None
    message_context: Array | None = None

    def to(self, xp: Any) -> "TwoClocksWindow":
        arrays = {name: getattr(self, name)
                  for name in ("slow_target", "slow_contexts", "message_context")}
        return replace(super().to(xp), **{name: asarray(xp, array)      # type: ignore[return-value]
                                          for name, array in arrays.items() if array is not None})

    def slow_window(self, xp: Any, messages: Array) -> Window:
        """Return the same time as the slow network lives it."""
        return Window(messages, self.slow_target, xp.arange(messages.shape[1]), self.slow_weight,
                      self.slow_contexts, self.first, self.last)


class Sender(RecurrentModule):
    """A recurrent module with a task of its own, and a message for a slower one at every tick.

    y = [prediction (n_own), message (P)]. The prediction has the loss. The gradient at the message
    of a tick is guessed, delta_hat = M(message, context), where the context holds the receiver's
    last known state s_B beside what the window tells: M_B(h_A, s_B, c). Without a synthesizer it is
    zero, and nothing trains the sender.

    Parameters
    ----------
    n_own : width of the prediction
    tick : steps between two messages
    block, lr, loss, boundary, synthesizer, synthesizer_lr, each_window : as in RecurrentModule
    """

    sees_receiver = 0       # width of the receiver's state, if the synthesizer sees it

    def __init__(self, block: Layer, lr: float | Optimizer, n_own: int, tick: int, loss: Loss,
                 boundary: Boundary | None = None, synthesizer: Synthesizer | None = None,
                 synthesizer_lr: float | Optimizer | None = None, each_window: bool = False):
        super().__init__(block, lr, boundary, loss=loss, each_window=each_window)
        self.n_own, self.tick = n_own, tick
        self.synthesizer = synthesizer
        self.synthesizer_optimizer = (None if synthesizer_lr is None
                                      else as_optimizer(synthesizer_lr))
        self.receiver_state: Array | None = None

    def messages(self, y: Array) -> Array:
        """Return the messages (N, n, P) among the outputs (N, T, n_own + P)."""
        return y[:, self.tick - 1::self.tick, self.n_own:]

    def gradient_at_output(self, h: Any, context: Array | None = None, target: Array | None = None,
                           dmessages: Array | None = None) -> Array:
        """Return dy: from the loss for the prediction; for messages what came back, or a guess."""
        y = h.x
        dy = self.block.xp.zeros_like(y)
        own = replace(h, x=y[:, :, :self.n_own])
        dy[:, :, :self.n_own] = super().gradient_at_output(own)
        if dmessages is None and self.synthesizer is not None:
            dmessages = self.guess(self.synthesizer, self.messages(y), h)
        if dmessages is not None:
            self.messages(dy)[...] = dmessages
        return dy

    def guess(self, synthesizer: Synthesizer, messages: Array, window: TwoClocksWindow) -> Array:
        """Return the guessed gradient (N, n, P) at the messages of a window."""
        xp, (N, n, P), told = self.block.xp, messages.shape, window.message_context
        seen = [] if told is None else [told.reshape(N * n, -1)]
        if self.sees_receiver:
            state = self.receiver_state
            seen.append(xp.zeros((N * n, self.sees_receiver), messages.dtype)
                        if window.first or state is None else xp.repeat(state, n, axis=0))
        self.h = messages.reshape(N * n, P)
        self.context = xp.concatenate(seen, axis=1) if seen else None
        return to_dh(synthesizer.forward(self.h, self.context).reshape(N, n, P))


class TwoClocks(RecurrentNetwork):
    """A fast network and a slow one, which hears of the world only what the fast one tells it.

    Decoupled, the fast network learns from its window, the messages in it included, before the slow
    one has ticked; what the slow one then answers teaches the synthesizer. Locked, it waits for the
    answer itself. Source: Jaderberg et al. 2016, section 3.3.

    Parameters
    ----------
    fast : a Sender
    slow : a RecurrentModule with a loss
    locked : whether the fast one waits
    """

    def __init__(self, fast: Sender, slow: RecurrentModule, locked: bool = False):
        super().__init__([fast, slow])
        self.locked = check_bool(locked, "locked")

    def step(self, x: Any, target: Any = None, context: Any = None) -> Array:
        """Train on one window. Return the sum of both losses, before the update."""
        fast, slow = self.fast_and_slow()
        if self.locked:
            y = fast.forward(x)
            dmessages, _ = self.slow_step(y.x, x)
            fast.backward(fast.gradient_at_output(y, dmessages=dmessages))
            fast.update()
        else:
            _, y = fast.forward_and_synthetic_update(x)
            dmessages, _ = self.slow_step(y.x, x)
            if fast.synthesizer is not None:
                fast.update_synthetic_weights(dmessages)
        self.steps += 1
        return fast.loss_value + slow.loss_value

    def fast_and_slow(self) -> tuple[Sender, Any]:
        """Return the two modules."""
        fast, slow = self.modules
        assert isinstance(fast, Sender)
        return fast, slow

    def slow_step(self, y: Array, window: TwoClocksWindow) -> Any:
        """Let the slow network hear the messages in y, learn, and answer (dmessages, outputs)."""
        fast, slow = self.fast_and_slow()
        messages = fast.messages(y).copy()
        answer = slow.forward_and_synthetic_update(window.slow_window(fast.block.xp, messages))
        fast.receiver_state = slow.state_at_end
        return answer

    def predict(self, x: Array, states: Any = None) -> Any:
        """Return ([fast (N, T, n_own), slow (N, n, M)], the states after whole sequences)."""
        fast, slow = self.fast_and_slow()
        self.eval()
        fast_state, slow_state = states or [None, None]
        y, fast_end = fast.block.forward(x, fast_state)     # type: ignore[call-arg]
        slow_y, slow_end = slow.block.forward(fast.messages(y), slow_state)
        self.train()
        return [y[:, :, :fast.n_own], slow_y], [fast_end, slow_end]
