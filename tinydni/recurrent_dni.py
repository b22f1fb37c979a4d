"""The same in time: recurrent modules, window by window, with an interface to their own future."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.backend import Array, asarray
from tinydni.dni import DNI, Network, to_delta, to_dh
from tinydni.layer import Layer
from tinydni.losses import Loss
from tinydni.optimizers import Optimizer, as_optimizer
from tinydni.synthesizers import Synthesizer

__all__ = ["Boundary", "RecurrentModule", "RecurrentNetwork", "Window", "cut"]


@dataclass
class Window:
    """Some steps of a sequence, as a recurrent module gets and gives them.

    Parameters
    ----------
    x (N, T, ...) : inputs of the module at hand
    target (N, T, ...) : what the loss compares with; only the steps in `asked` count
    asked : numbers of the steps that have a target, from 0 to T - 1
    weight : of the loss of each such step; 1 / (their number in the sequence) makes it a mean
    contexts (N, T + 1, C) : what synthesizers may see beside h or the state, before each step and
        after the last, or None
    first, last : whether the sequence begins, or ends, with this window
    """

    x: Array
    target: Array
    asked: Array
    weight: float = 1.0
    contexts: Array | None = None
    first: bool = False
    last: bool = False

    def __post_init__(self) -> None:
        checks.check_array(self.x, "Window: x")
        checks.check_array(self.target, "Window: target")
        if self.x.ndim < 2 or self.x.shape[:2] != self.target.shape[:2]:
            raise ValueError(f"target must be {self.x.shape[:2]} as x; got {self.target.shape}.")
        checks.check_symbols(self.asked, self.x.shape[1], "Window: asked")
        checks.check_range(self.weight, "weight", 0, None)

    def to(self, xp: Any) -> "Window":
        """Return the same window on another backend."""
        contexts = None if self.contexts is None else asarray(xp, self.contexts)
        return replace(self, x=asarray(xp, self.x), target=asarray(xp, self.target),
                       asked=asarray(xp, self.asked), contexts=contexts)

    def context_at_end(self) -> Array | None:
        """Return what the boundary's synthesizer may see (N, C), or None."""
        return None if self.contexts is None else self.contexts[:, -1]


def cut(x: Array, target: Array, asked: Sequence[int] | Array, size: int,
        contexts: Array | None = None, first_size: int | None = None) -> list[Window]:
    """Cut whole sequences, x, target (N, L, ...) and contexts (N, L + 1, C), into windows.

    Parameters
    ----------
    asked : numbers of the steps that have a target
    size : T, steps per window; the last may have fewer
    first_size : of the first window, so that boundaries need not always fall on the same steps
    """
    asked = np.asarray(asked) if np.size(asked) else np.zeros(0, int)
    length, found, start = Window(x, target, asked).x.shape[1], [], 0
    first_size = size if first_size is None else first_size
    size = checks.check_positive_int(size, "size")
    stop = min(length, checks.check_positive_int(first_size, "first_size"))
    if contexts is not None:
        checks.check_array(contexts, "contexts")
        if contexts.shape[:2] != (len(x), length + 1):
            raise ValueError(f"contexts must be (N, L + 1, C); got {contexts.shape}.")
    while start < length:
        here = asked[(asked >= start) & (asked < stop)] - start
        seen = None if contexts is None else contexts[:, start:stop + 1]
        found.append(Window(x[:, start:stop], target[:, start:stop], here, 1 / max(1, len(asked)),
                            seen, start == 0, stop == length))
        start, stop = stop, min(stop + size, length)
    return found


class Boundary:
    """The interface in time: dend = scale · M(state, context) / N enters a window at its end.

    It is what the steps to come would say (Jaderberg et al. 2016, section 2.1).

    Parameters
    ----------
    synthesizer, lr : M, of the width of the state, and its learning rate or optimizer
    scale : from 0 to 1; below 1 it shortens how far M's own errors travel through time
    """

    applies = True      # False in warm-up: M learns, but says nothing

    def __init__(self, synthesizer: Synthesizer, lr: float | Optimizer, scale: float = 1.0):
        checks.check_can(synthesizer, "synthesizer", "a synthesizer", "learn")
        self.synthesizer, self.optimizer = synthesizer, as_optimizer(lr)
        self.scale = checks.check_range(scale, "scale", 0, 1)

    def gradient(self, state: Array, context: Array | None = None) -> Array | None:
        """Return dend (N, S) for the state (N, S) at the end of a window."""
        self.guess = self.synthesizer.forward(state, context)
        return to_dh(self.scale * self.guess) if self.applies else None

    def learn(self, state: Array, context: Array | None, dstate: Array, last: bool) -> None:
        """Take one step of M, which saw (state, context), towards the message of the next window.

        dstate (N, S) includes the guess at that window's end;   last: the sequence ended with it.
        """
        target = to_delta(dstate)
        self.synthesizer.later = 0 * target if last else self.guess
        self.synthesizer.learn(state, context, target, self.optimizer)


class RecurrentModule(DNI):
    """A recurrent block that updates after each window, without waiting for the next one.

    y, end = block(x, state),   dx, dstate = its gradients, with
    dy: the loss's own gradient, or the guess of the synthesizer for every example and step,
    dend: the guess of the boundary; zero at the end of a sequence, or without a boundary.
    dx is the message for the module below, dstate the one for the window before: M learns from it
    what it should have said there. x and h are windows; everything else is as in DNI.

    Parameters
    ----------
    block : a layer with forward(x, state), such as LSTM or Recurrent
    lr, synthesizer, synthesizer_lr, loss : as in DNI; either a loss, for rows, or a synthesizer
    boundary : None truncates
    each_window : one update per window; else one at the end of a sequence, with the sum of all
    """

    def __init__(self, block: Layer, lr: float | Optimizer, boundary: Boundary | None = None,
                 synthesizer: Synthesizer | None = None,
                 synthesizer_lr: float | Optimizer | None = None, loss: Loss | None = None,
                 each_window: bool = False):
        super().__init__(block, lr, synthesizer, synthesizer_lr, loss)
        if (synthesizer is None) == (loss is None):
            raise ValueError("a recurrent module has either a loss or a synthesizer; give it one.")
        checks.check_can(boundary, "boundary", "a Boundary", "gradient", optional=True)
        self.boundary, self.each_window = boundary, checks.check_bool(each_window, "each_window")
        self.sums: dict[str, Array] = {}            # gradients of the windows of a sequence
        self.state_at_end: Array | None = None      # kept from one window to the next
        self.context_at_end: Array | None = None

    def forward(self, x: Window) -> Window:
        """Return the window with the outputs y (N, T, M) in place of x."""
        checks.check_can(x, "x", "a Window", "asked")
        self.window = x
        self.start = None if x.first else (self.state_at_end, self.context_at_end)
        y, self.state_at_end = self.block.forward(      # type: ignore[call-arg]
            x.x, None if self.start is None else self.start[0])
        self.context_at_end = x.context_at_end()
        return replace(x, x=y)

    def gradient_at_output(self, h: Window, context: Array | None = None,
                           target: Array | None = None) -> Array:
        """Return dy (N, T, M): gradient of the window's loss, or the guess of it."""
        y, (N, T, M), n_asked = h.x, h.x.shape, len(h.asked)
        if self.loss is None and self.synthesizer is not None:
            self.h = y.reshape(N * T, M)
            self.context = None if h.contexts is None else h.contexts[:, :T].reshape(N * T, -1)
            return to_dh(self.synthesizer.forward(self.h, self.context).reshape(N, T, M))
        assert self.loss is not None
        dy, self.loss_value = self.block.xp.zeros_like(y), 0.0
        if n_asked:         # the loss is a mean over rows; the window's is a sum over steps
            wanted = h.target[:, h.asked].reshape(N * n_asked, *h.target.shape[2:])
            share = n_asked * h.weight
            rows = y[:, h.asked].reshape(N * n_asked, M)
            self.loss_value = share * self.loss.forward(rows, wanted)
            dy[:, h.asked] = (share * self.loss.backward()).reshape(N, n_asked, M)
        return dy

    def backward(self, dh: Array) -> Array:
        """Return dx (N, T, D), the message for the module below. The boundary learns."""
        dend = None
        if self.boundary is not None and not self.window.last:
            dend = self.boundary.gradient(self.state_at_end, self.context_at_end)
        dx, dstate = self.block.backward(dh, dend)      # type: ignore[call-arg]
        if self.boundary is not None and self.start is not None:
            self.boundary.learn(*self.start, dstate, self.window.last)
        return dx

    def update(self) -> None:
        """Take one step of the block, now or at the end of the sequence."""
        if not self.each_window:
            for path, owner, name in self.block.slots():
                dW = getattr(owner, "d" + name)
                self.sums[path] = self.sums[path] + dW if path in self.sums else dW
                setattr(owner, "d" + name, self.sums[path])
            if not self.window.last:
                return
            self.sums = {}
        super().update()

    def learn(self, h: Array, context: Array | None, true_gradient: Array) -> None:
        """Take one step of the synthesizer in depth on a message (N, T, M) about all steps."""
        assert self.synthesizer is not None and self.synthesizer_optimizer is not None
        target = to_delta(true_gradient).reshape(len(h), -1)
        self.synthesizer.learn(h, context, target, self.synthesizer_optimizer)

    def learners(self) -> Iterator[tuple[str, Layer, Optimizer]]:
        yield from super().learners()
        if self.boundary is not None:
            yield "boundary", self.boundary.synthesizer, self.boundary.optimizer


class RecurrentNetwork(Network):
    """Recurrent modules, each decoupled from the one above and from its own future.

    With one module whose window is the whole sequence it is backpropagation through time; with
    shorter windows and no boundary it is truncated. In warm-up, boundaries say nothing either.
    """

    KEPT = ("state_at_end", "context_at_end")       # of a module, from one window to the next

    def step(self, x: Window, target: Any = None, context: Any = None) -> Array:
        """Train on one window; those of a sequence come in order. Return its loss, before that."""
        for module in self.modules:
            if isinstance(module, RecurrentModule) and module.boundary is not None:
                module.boundary.applies = self.steps >= self.warm_up
        return super().step(x, target, context)

    def predict(self, x: Array, states: Any = None) -> Any:
        """Return outputs (N, T, M) for whole sequences, and the states after them."""
        states = [None] * len(self.modules) if states is None else states
        if not isinstance(states, list) or len(states) != len(self.modules):
            raise ValueError(f"states must be a list, one of each module; got {states!r}.")
        self.eval()
        ends = []
        for module, state in zip(self.modules, states):
            x, end = module.block.forward(x, state)     # type: ignore[call-arg]
            ends.append(end)
        self.train()
        return x, ends

    def state(self) -> dict[str, np.ndarray]:
        """Copy all that a continued run needs, the state between two windows included."""
        kept = {f"{i}.kept.{name}": getattr(module, name) for i, module in enumerate(self.modules)
                for name in self.KEPT if getattr(module, name) is not None}
        return {**super().state(), **kept}

    def load_state(self, state: dict[str, Array]) -> None:
        """Take a state from `state()`."""
        super().load_state({path: a for path, a in state.items() if ".kept." not in path})
        for i, module in enumerate(self.modules):
            for name in self.KEPT:
                array = state.get(f"{i}.kept.{name}")
                setattr(module, name, None if array is None else asarray(module.block.xp, array))
