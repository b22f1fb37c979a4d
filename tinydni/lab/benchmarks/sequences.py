"""W5: one LSTM over a window of time."""

import numpy as np

from tinydni import LSTM, SGD, MeanSquaredError
from tinydni.lab.benchmarks.workload import Workload, steps_of
from tinydni.random import stream

CONTENDERS = {"tinydni": "ours.sequence_step", "torch-eager": "torch_lstm.step"}


def w5(dtype=np.float32, N=32, T=20, H=256):
    """LSTM 256 -> 256 over 20 steps, batch 32: say what was shown 2 steps ago, squared error, plain SGD."""
    x = stream(0, "sample").standard_normal((4, N, T, H)).astype(dtype)
    target = 0.5 * np.tanh(np.roll(x, 2, axis=2))
    target[:, :, :2] = 0
    lstm = LSTM(H, H, stream(0, "weights"), dtype=dtype)
    lstm.skip_dx()                                          # it reads the data
    products = T * [(N, H, 4 * H), (N, 4 * H, H)] + [(T * N, H, 4 * H)] + 2 * [(H, T * N, 4 * H)]
    return Workload("W5 LSTM", steps_of(products), CONTENDERS, products, [(*pair, None) for pair in zip(x, target)],
                    [lstm], MeanSquaredError(), SGD, lr=0.1)
