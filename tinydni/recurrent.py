"""Layers over time. Their forward pass takes and gives a state beside the sequence.

y, end = forward(x, state),   dx, dstate = backward(dy, dend), where state (N, S) is that before the
first step, end that after the last, dend what the steps that follow ask for, and dstate the message
to the steps before. x (N, T, D), y (N, T, H). A state or dend of None is all zeros.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.backend import Array
from tinydni.containers import Sequential
from tinydni.layer import Layer, Shape, batch_sum, normal, read_only, zeros

__all__ = ["RNN", "Recurrent"]


class RNN(Layer):
    """h_t = tanh(x_t Wx + h_{t-1} Wh + b) over T steps (Elman 1990).

    dz_t = dh_t (1 - h_t²),   dh_t = dy_t + dz_{t+1} Whᵀ,
    dWx = sum over t of x_tᵀ dz_t,   dWh = sum over t of h_{t-1}ᵀ dz_t,   db = sum of dz.
    x (N, T, D), y (N, T, H), state (N, H);   Wx (D, H), Wh (H, H), b (H,).

    Parameters
    ----------
    n_in, n_hidden : D and H
    rng, dtype : draws Wx and Wh, normal, sd sqrt(1 / D) and sqrt(1 / H); of the parameters
    """

    parameters = ("Wx", "Wh", "b")
    decayed = ("Wx", "Wh")
    description = "{n_in} -> {n_hidden}"

    def __init__(self, n_in: int, n_hidden: int, rng: np.random.Generator, dtype: Any = np.float32):
        n_in = self.n_in = checks.check_positive_int(n_in, "n_in")
        n_hidden = self.n_state = self.n_hidden = checks.check_positive_int(n_hidden, "n_hidden")
        self.Wx = normal(rng, (n_in, n_hidden), 1 / np.sqrt(n_in), dtype)
        self.Wh = normal(rng, (n_hidden, n_hidden), 1 / np.sqrt(n_hidden), dtype)
        self.b = zeros((n_hidden,), dtype)

    def forward(self, x: Array, state: Array | None = None) -> Any:
        check_sequence(x, self.n_in, self.Wx.dtype, "RNN")
        check_state(state, (len(x), self.n_state), x.dtype, "RNN")
        N, T, D = x.shape
        self.x = self.xp.ascontiguousarray(x.transpose(1, 0, 2)).reshape(T * N, D)  # time first
        z = (self.x @ self.Wx + self.b).reshape(T, N, self.n_hidden)
        self.h = self.xp.empty((T + 1, N, self.n_hidden), x.dtype)
        self.h[0] = 0 if state is None else state
        for t in range(T):
            self.xp.tanh(z[t] + self.h[t] @ self.Wh, out=self.h[t + 1])
        return read_only(self.h[1:].transpose(1, 0, 2)), self.h[T].copy()

    def backward(self, dy: Array, dend: Array | None = None) -> Any:
        N, T, H = len(self.h[0]), len(self.h) - 1, self.n_hidden
        checks.check_gradient(dy, (N, T, H), self.h.dtype, "RNN")
        check_state(dend, (N, H), dy.dtype, "RNN, backward")
        dh = self.xp.zeros((N, H), dy.dtype) if dend is None else dend
        slopes = 1 - self.h[1:] * self.h[1:]
        dz = self.xp.empty((T, N, H), dy.dtype)
        for t in reversed(range(T)):
            self.xp.multiply(dy[:, t] + dh, slopes[t], out=dz[t])
            dh = dz[t] @ self.Wh.T
        dz = dz.reshape(T * N, H)
        self.dWx = self.x.T @ dz
        self.dWh = self.h[:T].reshape(T * N, H).T @ dz
        self.db = batch_sum(self.xp, dz)
        dx = (dz @ self.Wx.T).reshape(T, N, -1).transpose(1, 0, 2) if self.needs_dx else None
        return dx, dh

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.n_hidden)


class Recurrent(Sequential):
    """Layers one after the other, on sequences: recurrent ones and ones that see single steps.

    state, end, dend, dstate (N, S): the states of all recurrent layers in here, side by side,
    bottom to top: what crosses a boundary in time is one array, as at every interface.
    """

    def __init__(self, *layers: Layer):
        super().__init__(*layers)
        self.n_state = sum(layer.n_state for layer in layers)
        if self.n_state == 0:
            raise ValueError("Recurrent needs a recurrent layer such as LSTM; else use Sequential")

    def forward(self, x: Array, state: Array | None = None) -> Any:
        states, ends = self.split(state), []
        for layer in self.layers:
            if layer.n_state:
                x, end = layer.forward(x, next(states))     # type: ignore[call-arg]
                ends.append(end)
            else:
                x = each_step(layer.forward, x)
        return x, ends[0] if len(ends) == 1 else self.xp.concatenate(ends, axis=1)

    def backward(self, dy: Array, dend: Array | None = None) -> Any:
        dends, dstates = list(self.split(dend)), []
        for layer in reversed(self.layers):
            if layer.n_state:
                dy, dstate = layer.backward(dy, dends.pop())    # type: ignore[call-arg]
                dstates.append(dstate)
            elif dy is not None:            # None: nobody below asks
                dy = each_step(layer.backward, dy)
        return dy, dstates[0] if len(dstates) == 1 else self.xp.concatenate(dstates[::-1], axis=1)

    def split(self, state: Array | None) -> Iterator[Array | None]:
        """Yield the part of each recurrent layer, bottom to top."""
        if state is not None:
            checks.check_floats(state, "Recurrent", "state")
            check_state(state, (len(state), self.n_state), state.dtype, "Recurrent")
        start = 0
        for size in filter(None, (layer.n_state for layer in self.layers)):
            yield None if state is None else state[:, start:start + size]
            start += size


def each_step(function: Callable[[Array], Array], x: Array) -> Array:
    """Apply a function to x (N, T, ...), examples and steps as one batch of N·T rows."""
    checks.check_array(x, "Recurrent: x or dy")
    N, T = x.shape[:2]
    y = function(x.reshape(N * T, *x.shape[2:]))
    return None if y is None else y.reshape(N, T, *y.shape[1:])


def check_sequence(x: Array, n_in: int, dtype: Any, owner: str) -> None:
    """Raise unless x is (N, T, n_in) of the layer's dtype, with at least one step."""
    checks.check_floats(x, owner)
    if x.ndim != 3 or x.shape[1] == 0:
        raise ValueError(f"{owner}: x must be a sequence (N, T, {n_in}), T > 0; got {x.shape}.")
    checks.check_features(x, n_in, dtype, owner)


def check_state(state: Array | None, shape: Shape, dtype: Any, owner: str) -> None:
    """Raise unless a state, or its gradient, is None or an array of this shape and dtype."""
    if state is None:
        return
    checks.check_array(state, f"{owner}: state")
    if state.shape != shape:
        raise ValueError(f"{owner}: a state must have shape {shape}; got {state.shape}.")
    if state.dtype != dtype:
        raise TypeError(f"{owner}: the state has dtype {state.dtype}, but the sequence {dtype}.")
