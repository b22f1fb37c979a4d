"""Long short-term memory: a recurrent layer whose cell keeps what its gates let pass."""

import numpy as np

from tinydni import checks
from tinydni.kernels import batch_sum, column_blocks
from tinydni.layers.layer import Layer
from tinydni.layers.rnn import check_sequence, check_state


class LSTM(Layer):
    """h, c over T steps  (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

    [g, i, f, o] = [tanh, σ, σ, σ](x_t Wx + h_{t-1} Wh + b),   c_t = f c_{t-1} + i g,   h_t = o tanh(c_t)

    y, end = forward(x, state),   dx, dstate = backward(dy, dend)

    x (N, T, D): inputs    state (N, 2H): [h, c] before the first step, None for zeros
    y (N, T, H): h of every step    end (N, 2H): [h, c] after the last step, a state for the steps that follow
    dend (N, 2H): gradient with respect to end, what the steps that follow ask for; None for zeros
    dstate (N, 2H): gradient with respect to state, the message to the steps before
    Wx (D, 4H), Wh (H, 4H), b (4H,): columns in the order g, i, f, o

    Weights start normal with standard deviation sqrt(1 / D) and sqrt(1 / H), b at zero but for the forget gate's.
    forget_bias: there; 1 lets the cell keep what it has from the first step on  (Jozefowicz et al. 2015)
    Raises TypeError or ValueError for sizes that are not positive, for x or a state of another shape or dtype.
    """

    parameters = ("Wx", "Wh", "b")
    decayed = ("Wx", "Wh")

    def __init__(self, n_in, n_hidden, rng, forget_bias=1.0, dtype=np.float32):
        self.n_in = checks.positive_int(n_in, "n_in")
        self.n_hidden = checks.positive_int(n_hidden, "n_hidden")
        self.n_state = 2 * n_hidden
        checks.generator(rng)
        self.Wx = (rng.standard_normal((n_in, 4 * n_hidden)) / np.sqrt(n_in)).astype(dtype)
        self.Wh = (rng.standard_normal((n_hidden, 4 * n_hidden)) / np.sqrt(n_hidden)).astype(dtype)
        self.b = np.zeros(4 * n_hidden, dtype)
        self.b[2 * n_hidden:3 * n_hidden] = forget_bias

    def forward(self, x, state=None):
        """Time goes first inside, so that every step is one piece of memory; so is, copied once, every block of Wh.

        σ(z) = (1 + tanh(z / 2)) / 2: with the halves taken before, one tanh serves all four gates.
        """
        check_sequence(x, self.n_in, self.Wx.dtype, "LSTM")
        check_state(state, (len(x), self.n_state), x.dtype, "LSTM")
        xp, H, (N, T, D) = self.xp, self.n_hidden, x.shape
        half = xp.full(4 * H, 0.5, x.dtype)
        half[:H] = 1
        self.x = xp.ascontiguousarray(x.transpose(1, 0, 2)).reshape(T * N, D)
        self.gates = (self.x @ (self.Wx * half)).reshape(T, N, 4 * H)
        self.gates += self.b * half
        self.h, self.c = xp.empty((T + 1, N, H), x.dtype), xp.empty((T + 1, N, H), x.dtype)
        self.h[0], self.c[0] = (0, 0) if state is None else (state[:, :H], state[:, H:])
        self.tanh_c = xp.empty((T, N, H), x.dtype)
        z = xp.empty((N, 4 * H), x.dtype)
        Wh, z_blocks = column_blocks(xp, self.Wh * half, N, H).copy(), column_blocks(xp, z, N, H)
        for t in range(T):
            gates, c = self.gates[t], self.c[t + 1]
            xp.matmul(self.h[t], Wh, out=z_blocks)
            gates += z
            xp.tanh(gates, out=gates)
            gates[:, H:] *= 0.5
            gates[:, H:] += 0.5
            xp.multiply(gates[:, 2 * H:3 * H], self.c[t], out=c)
            c += gates[:, :H] * gates[:, H:2 * H]
            xp.tanh(c, out=self.tanh_c[t])
            xp.multiply(gates[:, 3 * H:], self.tanh_c[t], out=self.h[t + 1])
        return self.h[1:].transpose(1, 0, 2), xp.concatenate([self.h[T], self.c[T]], axis=1)

    def backward(self, dy, dend=None):
        """dz = [dc, dc, dc, dh] · slopes, where the slopes of all steps are known beforehand."""
        check_state(dend, (dy.shape[0], self.n_state), dy.dtype, "LSTM, backward")
        xp, H, (N, T, _) = self.xp, self.n_hidden, dy.shape
        dy = dy.transpose(1, 0, 2)
        slopes, dc_dh = self.slopes()
        dz = xp.empty((T, N, 4 * H), dy.dtype)
        dh, dc = xp.zeros((N, H), dy.dtype), xp.zeros((N, H), dy.dtype)
        if dend is not None:
            dh += dend[:, :H]
            dc += dend[:, H:]
        Wh_T, dh_blocks = column_blocks(xp, self.Wh.T, N, 4 * H).copy(), column_blocks(xp, dh, N, 4 * H)
        for t in reversed(range(T)):
            dh += dy[t]
            dc += dh * dc_dh[t]
            xp.multiply(slopes[t, :, :3 * H].reshape(N, 3, H), dc[:, None], out=dz[t, :, :3 * H].reshape(N, 3, H))
            xp.multiply(slopes[t, :, 3 * H:], dh, out=dz[t, :, 3 * H:])
            xp.matmul(dz[t], Wh_T, out=dh_blocks)
            dc *= self.gates[t, :, 2 * H:3 * H]
        dz = dz.reshape(T * N, 4 * H)
        self.dWx = self.x.T @ dz
        self.dWh = self.h[:T].reshape(T * N, H).T @ dz
        self.db = batch_sum(xp, dz)
        dx = (dz @ self.Wx.T).reshape(T, N, -1).transpose(1, 0, 2) if self.needs_dx else None
        return dx, xp.concatenate([dh, dc], axis=1)

    def slopes(self):
        """What dc and dh are multiplied with: (slopes of g, i, f, o (T, N, 4H), and dc/dh (T, N, H))."""
        H, (T, N, _) = self.n_hidden, self.gates.shape
        g, i, f, o = (self.gates[:, :, k * H:(k + 1) * H] for k in range(4))
        slopes = self.xp.empty_like(self.gates)
        slopes[:, :, :H] = i * (1 - g * g)
        slopes[:, :, H:2 * H] = g * i * (1 - i)
        slopes[:, :, 2 * H:3 * H] = self.c[:T] * f * (1 - f)
        slopes[:, :, 3 * H:] = self.tanh_c * o * (1 - o)
        return slopes, o * (1 - self.tanh_c * self.tanh_c)

    def output_shape(self, shape):
        return (*shape[:-1], self.n_hidden)

    def describe(self):
        return f"{self.n_in} -> {self.n_hidden}"
