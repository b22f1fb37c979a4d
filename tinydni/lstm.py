"""Long short-term memory: a recurrent layer whose cell keeps what its gates let pass."""

from typing import Any

import numpy as np

from tinydni.backend import Array, is_host
from tinydni.checks import check_gradient, check_positive_int, check_range
from tinydni.layer import Layer, Shape, batch_sum, normal, read_only, zeros
from tinydni.recurrent import check_sequence, check_state

__all__ = ["LSTM"]

MOST_MULTIPLICATIONS = 600_000      # of a product that OpenBLAS makes without copying its matrices
CACHED = 8_192                      # numbers of h whose slopes stay in a core's level-2 cache


class LSTM(Layer):
    """h, c over T steps (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

    [g, i, f, o] = [tanh, σ, σ, σ](x_t Wx + h_{t-1} Wh + b),
    c_t = f c_{t-1} + i g,   h_t = o tanh(c_t).

    x (N, T, D), y (N, T, H): h of every step;   state, end (N, 2H): [h, c];
    Wx (D, 4H), Wh (H, 4H), b (4H,): columns in the order g, i, f, o.

    Parameters
    ----------
    n_in, n_hidden : D and H
    rng, dtype : draws Wx and Wh, normal, sd sqrt(1 / D) and sqrt(1 / H); of the parameters
    forget_bias : b of the forget gate at the start, else zero; 1 lets the cell keep what it has
        from the first step on (Jozefowicz et al. 2015)
    """

    parameters = ("Wx", "Wh", "b")
    decayed = ("Wx", "Wh")
    description = "{n_in} -> {n_hidden}"

    def __init__(self, n_in: int, n_hidden: int, rng: np.random.Generator, forget_bias: float = 1.0,
                 dtype: Any = np.float32):
        n_in = self.n_in = check_positive_int(n_in, "n_in")
        n_hidden = self.n_hidden = check_positive_int(n_hidden, "n_hidden")
        self.n_state = 2 * n_hidden
        self.Wx = normal(rng, (n_in, 4 * n_hidden), 1 / np.sqrt(n_in), dtype)
        self.Wh = normal(rng, (n_hidden, 4 * n_hidden), 1 / np.sqrt(n_hidden), dtype)
        self.b = zeros((4 * n_hidden,), dtype)
        self.b[2 * n_hidden:3 * n_hidden] = check_range(forget_bias, "forget_bias", None, None)

    def forward(self, x: Array, state: Array | None = None) -> Any:
        """Time goes first inside, so that every step is one piece of memory."""
        check_sequence(x, self.n_in, self.Wx.dtype, "LSTM")
        check_state(state, (len(x), self.n_state), x.dtype, "LSTM")
        xp, H, (N, T, D) = self.xp, self.n_hidden, x.shape
        half = xp.full(4 * H, 0.5, x.dtype)
        half[:H] = 1
        self.x = xp.ascontiguousarray(x.transpose(1, 0, 2)).reshape(T * N, D)
        self.gates = (self.x @ (self.Wx * half)).reshape(T, N, 4 * H)
        self.gates += self.b * half
        self.h, self.c = (xp.empty((T + 1, N, H), x.dtype) for _ in range(2))
        self.h[0], self.c[0] = (0, 0) if state is None else (state[:, :H], state[:, H:])
        self.tanh_c, z = xp.empty((T, N, H), x.dtype), xp.empty((N, 4 * H), x.dtype)
        Wh = column_blocks(xp, self.Wh * half, N, H).copy()
        z_blocks = column_blocks(xp, z, N, H)
        for t in range(T):
            xp.matmul(self.h[t], Wh, out=z_blocks)
            self.gates[t] += z
            self.cell(t)
        end = xp.concatenate([self.h[T], self.c[T]], axis=1)
        return read_only(self.h[1:].transpose(1, 0, 2)), end

    def cell(self, t: int) -> None:
        """σ(z) = (1 + tanh(z / 2)) / 2: one tanh serves all gates, whose z are halved already."""
        xp, H, gates, c = self.xp, self.n_hidden, self.gates[t], self.c[t + 1]
        xp.tanh(gates, out=gates)
        gates[:, H:] *= 0.5
        gates[:, H:] += 0.5
        xp.multiply(gates[:, 2 * H:3 * H], self.c[t], out=c)
        c += gates[:, :H] * gates[:, H:2 * H]
        xp.tanh(c, out=self.tanh_c[t])
        xp.multiply(gates[:, 3 * H:], self.tanh_c[t], out=self.h[t + 1])

    def backward(self, dy: Array, dend: Array | None = None) -> Any:
        xp, (T, N, H) = self.xp, self.tanh_c.shape
        check_gradient(dy, (N, T, H), self.h.dtype, "LSTM")
        check_state(dend, (N, self.n_state), dy.dtype, "LSTM, backward")
        dy, dz = dy.transpose(1, 0, 2), xp.empty((T, N, 4 * H), dy.dtype)
        dend = xp.zeros((N, 2 * H), dy.dtype) if dend is None else dend
        dh, dc = dend[:, :H].copy(), dend[:, H:].copy()
        Wh_T = column_blocks(xp, self.Wh.T, N, 4 * H).copy()
        dh_blocks = column_blocks(xp, dh, N, 4 * H)
        for t in reversed(range(T)):
            dh += dy[t]
            self.cell_backward(t, dh, dc, dz[t])
            xp.matmul(dz[t], Wh_T, out=dh_blocks)
        self.chunk: Any = None               # as much memory as the gates, on a device
        dz = dz.reshape(T * N, 4 * H)
        self.dWx = self.x.T @ dz
        self.dWh = self.h[:T].reshape(T * N, H).T @ dz
        self.db = batch_sum(xp, dz)
        dx = (dz @ self.Wx.T).reshape(T, N, -1).transpose(1, 0, 2) if self.needs_dx else None
        return dx, xp.concatenate([dh, dc], axis=1)

    def cell_backward(self, t: int, dh: Array, dc: Array, dz: Array) -> None:
        """dz = [dc, dc, dc, dh] · slopes, made for so few steps at a time as a cache holds."""
        (T, N, H), xp = self.tanh_c.shape, self.xp
        few = max(1, CACHED // (N * H)) if is_host(xp) else T
        if (k := t % few) == few - 1 or t == T - 1:
            self.chunk = self.slopes(slice(t - k, t + 1))
        slopes, dc_dh = (each[k] for each in self.chunk)
        dc += dh * dc_dh
        xp.multiply(slopes[:, :3 * H].reshape(N, 3, H), dc[:, None],
                    out=dz[:, :3 * H].reshape(N, 3, H))
        xp.multiply(slopes[:, 3 * H:], dh, out=dz[:, 3 * H:])
        dc *= self.gates[t, :, 2 * H:3 * H]

    def slopes(self, steps: slice) -> tuple[Array, Array]:
        """Return what dc and dh are multiplied with: for g, i, f, o (n, N, 4H), and dc/dh."""
        H, gates, c, tanh_c = self.n_hidden, self.gates[steps], self.c[steps], self.tanh_c[steps]
        g, i, f, o = (gates[:, :, k * H:(k + 1) * H] for k in range(4))
        slopes = self.xp.empty_like(gates)
        slopes[:, :, :H] = i * (1 - g * g)
        slopes[:, :, H:2 * H] = g * i * (1 - i)
        slopes[:, :, 2 * H:3 * H] = c * f * (1 - f)
        slopes[:, :, 3 * H:] = tanh_c * o * (1 - o)
        return slopes, o * (1 - tanh_c * tanh_c)

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.n_hidden)


def column_blocks(xp: Any, a: Array, n_rows: int, n_inner: int, width: int = 64) -> Array:
    """View a matrix (rows, columns) as (B, rows, columns / B), for products block by block.

    With Wb and yb such views, matmul(x, Wb, out=yb) is y = x @ W for x (n_rows, n_inner). NumPy's
    BLAS copies a large matrix first; a small block it takes where it lies. With a batch of a few
    rows that saves half of the time. A GPU gets B = 1.
    """
    while width > 16 and n_rows * n_inner * width > MOST_MULTIPLICATIONS:
        width //= 2
    n_blocks = a.shape[1] // width if is_host(xp) and a.shape[1] % width == 0 else 1
    return a.reshape(len(a), n_blocks, -1).transpose(1, 0, 2)
