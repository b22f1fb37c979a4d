"""The plain recurrent layer, and what all recurrent layers ask of a sequence."""

import numpy as np

from tinydni import checks
from tinydni.kernels import batch_sum
from tinydni.layers.layer import Layer


class RNN(Layer):
    """h_t = tanh(x_t Wx + h_{t-1} Wh + b) over T steps  (Elman 1990).

    y, end = forward(x, state),   dx, dstate = backward(dy, dend)

    x (N, T, D): inputs    state (N, H): h before the first step, None for zeros
    y (N, T, H): h of every step    end (N, H): h of the last step, a state for the steps that follow
    dend (N, H): gradient with respect to end, what the steps that follow ask for; None for zeros
    dstate (N, H): gradient with respect to state, the message to the steps before
    Wx (D, H), Wh (H, H), b (H,)

    dz_t = dh_t (1 - h_t²) with dh_t = dy_t + dz_{t+1} Whᵀ;   dWx = sum over t of x_tᵀ dz_t, dWh of h_{t-1}ᵀ dz_t.

    Weights start normal with standard deviation sqrt(1 / D) and sqrt(1 / H), b at zero.
    Raises TypeError or ValueError for sizes that are not positive, for x or a state of another shape or dtype.
    """

    parameters = ("Wx", "Wh", "b")
    decayed = ("Wx", "Wh")

    def __init__(self, n_in, n_hidden, rng, dtype=np.float32):
        self.n_in = checks.positive_int(n_in, "n_in")
        self.n_state = self.n_hidden = checks.positive_int(n_hidden, "n_hidden")
        checks.generator(rng)
        self.Wx = (rng.standard_normal((n_in, n_hidden)) / np.sqrt(n_in)).astype(dtype)
        self.Wh = (rng.standard_normal((n_hidden, n_hidden)) / np.sqrt(n_hidden)).astype(dtype)
        self.b = np.zeros(n_hidden, dtype)

    def forward(self, x, state=None):
        check_sequence(x, self.n_in, self.Wx.dtype, "RNN")
        check_state(state, (len(x), self.n_state), x.dtype, "RNN")
        N, T, D = x.shape
        self.x = self.xp.ascontiguousarray(x.transpose(1, 0, 2)).reshape(T * N, D)     # time first, inside
        z = (self.x @ self.Wx + self.b).reshape(T, N, self.n_hidden)
        self.h = self.xp.empty((T + 1, N, self.n_hidden), x.dtype)
        self.h[0] = 0 if state is None else state
        for t in range(T):
            self.xp.tanh(z[t] + self.h[t] @ self.Wh, out=self.h[t + 1])
        return self.h[1:].transpose(1, 0, 2), self.h[T].copy()

    def backward(self, dy, dend=None):
        check_state(dend, (dy.shape[0], self.n_state), dy.dtype, "RNN, backward")
        N, T, H = dy.shape
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

    def output_shape(self, shape):
        return (*shape[:-1], self.n_hidden)

    def describe(self):
        return f"{self.n_in} -> {self.n_hidden}"


def check_sequence(x, n_in, dtype, owner):
    """Raises unless x is (N, T, n_in) of the layer's dtype, with at least one step."""
    if x.ndim != 3 or x.shape[1] == 0:
        raise ValueError(f"{owner}: x must be a sequence (N, T, {n_in}) with T of at least 1; got {tuple(x.shape)}.")
    checks.features(x, n_in, dtype, owner)


def check_state(state, shape, dtype, owner):
    """Raises unless a state, or its gradient, is None or an array of this shape and dtype."""
    if state is None:
        return
    if state.shape != shape:
        raise ValueError(f"{owner}: a state must have shape {shape}; got {tuple(state.shape)}. "
                         "It is what forward returned for the steps before, of the same examples.")
    if state.dtype != dtype:
        raise TypeError(f"{owner}: the state has dtype {state.dtype}, but the sequence {dtype}.")
