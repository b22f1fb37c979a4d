"""What the rows of the benchmark compute, as plain data that every contender starts from.

W1, W2, W8: fully connected nets, locked and decoupled.  W3: convolutional nets.  W4: the net of the
tutorial.  W5: an LSTM.  W7: the distance between two samples.  Inputs are made on the spot.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

import tinydni as td
from tinydni.random import stream
from tinydni.variants.mmd import MMD


@dataclass(frozen=True)
class Workload:
    """One row.

    row: its name, such as "W1 3 hidden"    steps: training steps in one block of the clock
    contenders: {name: function from a workload to its step, as "module.function" of this package},
    "tinydni" first; a step is a function of its number that trains on a batch and returns the loss
    products: the matrix products of one step, (M, K, N), or (times, M, K, N) for many alike
    batches: list of (x (N, ...), target, context (N, C) or None), used in turn
    blocks: layers with the starting weights, which contenders copy; an interface after each but the
    last    loss: of the top    optimizer: function of a rate    lr: of the blocks
    synthesizer: "linear" or "virtual", or None for backpropagation    synthesizer_lr: its rate
    xp: the array module that we run on; batches and blocks are NumPy's
    """

    row: str
    steps: int
    contenders: dict
    products: list
    batches: list
    blocks: list
    loss: object
    optimizer: Callable | None = None
    lr: float | None = None
    synthesizer: str | None = None
    synthesizer_lr: float | None = None
    xp: Any = np


NETWORK = {"tinydni": "our_steps.step", "torch-eager": "torch_steps.step"}
LOCKED = NETWORK | {"jax-jit": "jax_steps.step", "tinydni-plain": "our_steps.plain_step"}
DECOUPLED = LOCKED | {"tinydni-backprop": "our_steps.backprop_step"}
IMAGES = NETWORK | {"torch-channels-last": "torch_steps.channels_last_step",
                    "tinydni-plain": "our_steps.plain_step"}
TUTORIAL = LOCKED | {"literal": "plain_steps.literal"}
SEQUENCES = {"tinydni": "our_steps.sequence_step", "torch-eager": "torch_steps.step",
             "tinydni-plain": "our_steps.plain_sequence_step"}
SAMPLES = {"tinydni": "our_steps.loss_step", "torch-eager": "torch_steps.mmd_step",
           "torch-by-hand": "torch_steps.mmd_by_hand"}
CURVES = {"width": (16, 64, 256, 1024), "depth": (1, 3, 6, 12), "batch": (4, 16, 64, 256, 1024)}


def on_device(workload, xp):
    """Return the workload for a GPU, its networks captured as graphs, and so PyTorch's."""
    contenders = {name: place for name, place in workload.contenders.items()
                  if name not in ("literal", "bare", "tinydni-plain")}
    if contenders["tinydni"] == "our_steps.step":
        contenders |= {"tinydni": "our_steps.captured_step", "tinydni-launches": "our_steps.step",
                       "torch-graph": "torch_steps.graph_step"}
    return replace(workload, contenders=contenders, xp=xp)


def w1(hidden, dtype=np.float32, width=256, batch=256, row=None):
    """784-256xH-10, BatchNorm and ReLU, softmax cross-entropy, Adam, batch 256, backprop."""
    rng = stream(0, "sample")
    x = rng.standard_normal((8, batch, 784)).astype(dtype)
    labels = (x @ rng.standard_normal((784, 10)).astype(dtype)).argmax(axis=2)
    blocks = td.mlp([784] + hidden * [width] + [10], stream(0, "weights"), dtype=dtype)
    products = products_of(blocks, (batch, 784))
    batches = list(zip(x, labels, np.eye(10, dtype=dtype)[labels]))
    return Workload(row or f"W1 {hidden} hidden", steps_of(products), LOCKED, products, batches,
                    blocks, td.SoftmaxCrossEntropy(), td.Adam, lr=1e-3)


def w2(hidden, dtype=np.float32, width=256, batch=256, row=None):
    """Put a linear synthesizer, which sees h and the label, after every hidden layer of W1."""
    products = [(batch, width, width), (width, batch, width), (batch, 10, width),
                (10, batch, width)]
    return decoupled(w1(hidden, dtype, width, batch), row or f"W2 {hidden} hidden", "linear",
                     hidden * products)


def w8(hidden, dtype=np.float32, width=256, batch=256):
    """Put a linear virtual network after every hidden layer of W1."""
    products = [(batch, width, 10), (batch, 10, width), (batch, width, 10)]
    products += 2 * [(width, batch, 10)]
    return decoupled(w1(hidden, dtype, width, batch), f"W8 {hidden} hidden", "virtual",
                     hidden * products)


def decoupled(workload, row, synthesizer, products):
    """Return the workload with a synthesizer after every block but the last."""
    return replace(workload, row=row, contenders=DECOUPLED, synthesizer=synthesizer,
                   products=workload.products + products, synthesizer_lr=1e-3)


def along(axis, values, hidden=3):
    """Return the makers of W1 and W2 with other sizes: "width 64 locked", "width 64 decoupled"."""
    makers = []
    for value in values:
        size = {} if axis == "depth" else {axis: value}
        for make, way in ((w1, "locked"), (w2, "decoupled")):
            makers.append(partial(make, value if axis == "depth" else hidden,
                                  row=f"{axis} {value} {way}", **size))
    return makers


def w3a(dtype=np.float32):
    """Convolve 3x32x32 images to 64 channels, then with stride 2 to 128; mean; Linear."""
    rng = stream(0, "weights")
    layers = [td.Conv2D(3, 64, rng, bias=False, dtype=dtype), td.BatchNorm(64, dtype=dtype),
              td.ReLU(), td.Conv2D(64, 128, rng, stride=2, bias=False, dtype=dtype),
              td.BatchNorm(128, dtype=dtype), td.ReLU(), td.GlobalAvgPool(),
              td.Linear(128, 10, rng, dtype=dtype)]
    return on_images("W3a small", [td.Sequential(*layers)], dtype)


def w3b(dtype=np.float32):
    """ResNet-20 of He et al. 2016 on 3x32x32 images."""
    return on_images("W3b ResNet-20", td.resnet(20, stream(0, "weights"), dtype=dtype), dtype)


def on_images(row, blocks, dtype, batch=128):
    """Batch 128, SGD with momentum; the label is the colour that is brightest at the left."""
    x = stream(0, "sample").standard_normal((2, batch, 32, 32, 3)).astype(dtype)
    labels = x[:, :, :, :8].mean(axis=(2, 3)).argmax(axis=2)
    products = products_of(blocks, (batch, 32, 32, 3))
    batches = [(*pair, None) for pair in zip(x, labels)]
    return Workload(row, steps_of(products), IMAGES, products, batches, blocks,
                    td.SoftmaxCrossEntropy(), lambda lr: td.Momentum(lr, 0.9), lr=0.01)


def w4(method, dtype=np.float32):
    """24-128-64-12 sigmoid without bias: the sum of two 12-bit numbers, batch 10, plain SGD.

    The tutorial sums gradients over the batch, with a rate of 0.1; as a mean over 10 examples that
    is a rate of 1.    method: "backprop", or "dni" with linear synthesizers that see h alone
    """
    data = td.datasets.addition(bits=12, seed=0, max_pairs=1250)
    x = data.x.reshape(100, 10, 24).astype(dtype)
    target = data.y[:, 1:].reshape(100, 10, 12).astype(dtype)           # without the last carry
    rng = stream(0, "weights")
    blocks = [td.Sequential(td.Linear(n_in, n_out, rng, std=0.2, bias=False, dtype=dtype),
                            td.Sigmoid()) for n_in, n_out in ((24, 128), (128, 64), (64, 12))]
    contenders, products, guess = TUTORIAL, products_of(blocks, (10, 24)), {}
    if method == "dni":
        guess = {"synthesizer": "linear", "synthesizer_lr": 0.01}
        products += [shape for n in (128, 64) for shape in ((10, n, n), (n, 10, n))]
    else:
        contenders = TUTORIAL | {"bare": "plain_steps.bare"}
    return Workload(f"W4 {method}", 300, contenders, products,
                    [(*batch, None) for batch in zip(x, target)], blocks, td.MeanSquaredError(),
                    td.SGD, lr=1.0, **guess)


def w5(T, dtype=np.float32, N=32, H=256):
    """LSTM 256 -> 256 over T steps, batch 32: say what was shown 2 steps ago, plain SGD."""
    x = stream(0, "sample").standard_normal((4, N, T, H)).astype(dtype)
    target = 0.5 * np.tanh(np.roll(x, 2, axis=2))
    target[:, :, :2] = 0
    lstm = td.LSTM(H, H, stream(0, "weights"), dtype=dtype)
    lstm.skip_dx()                                          # it reads the data
    products = [(T, N, H, 4 * H), (T, N, 4 * H, H)] + [(T * N, H, 4 * H)] + 2 * [(H, T * N, 4 * H)]
    return Workload(f"W5 {T} steps", steps_of(products), SEQUENCES, products,
                    [(*pair, None) for pair in zip(x, target)], [lstm], td.MeanSquaredError(),
                    td.SGD, lr=0.1)


def w7(dtype=np.float32, N=1000, D=8):
    """MMD between 1,000 points in 8 dimensions and others, and its gradient at one of them."""
    rng = stream(0, "sample")
    batches = [(rng.standard_normal((N, D)).astype(dtype),
                (rng.standard_normal((N, D)) + 0.5).astype(dtype), None) for _ in range(4)]
    products = 3 * [(N, D, N)] + 2 * [(N, N, D)]            # distances; the points that pull
    return Workload("W7 MMD", 10, SAMPLES, products, batches, [], MMD(m=4.0))


WORKLOADS = {                               # name: functions of the dtype
    "W1": (partial(w1, 3), partial(w1, 6)), "W2": (partial(w2, 3), partial(w2, 6)),
    "W3a": (w3a,), "W3b": (w3b,), "W4": (partial(w4, "backprop"), partial(w4, "dni")),
    "W5": (partial(w5, 20), partial(w5, 300), partial(w5, 1000)), "W7": (w7,),
    "W8": (partial(w8, 3), partial(w8, 6)),
    "curves": tuple(make for axis, values in CURVES.items() for make in along(axis, values)),
}


def steps_of(products, multiply_adds=2e9, most=300):
    """Return how many steps make a block of the clock of some 0.1 s."""
    return max(1, min(most, round(multiply_adds / sum(math.prod(shape) for shape in products))))


def products_of(blocks, shape):
    """Return the products of one step of backpropagation on an input of this shape, (N, ...).

    A Linear has x W, xᵀ dy and, save in the lowest layer, dy Wᵀ. A Conv2D has them for every image
    and row of its kernel; with a stride dy Wᵀ for every element of it.
    """
    products, N = [], shape[0]
    for layer, inside in inputs_of(blocks, shape[1:]):
        D, M = (layer.n_in, layer.n_out) if isinstance(layer, (td.Linear, td.Conv2D)) else (0, 0)
        if isinstance(layer, td.Linear):
            new = [(N, D, M), (D, N, M), (N, M, D)]
        elif isinstance(layer, td.Conv2D):
            k, pixels = layer.kernel, math.prod(layer.output_shape(inside)[:2])
            new = [(N * k, pixels, k * D, M), (N * k, k * D, pixels, M),
                   (N * k, pixels, k * M, D) if layer.stride == 1 else (N * k * k, pixels, M, D)]
        else:
            continue
        products += new if products else new[:2]
    return products


def inputs_of(layers, shape):
    """Return [(layer, the shape of its input)] of a chain, the layers inside of others included."""
    found = []
    for layer in layers:
        inside = [layer.branch] if isinstance(layer, td.Residual) else [
            child for _, child in layer.children()]
        found += [(layer, shape), *inputs_of(inside, shape)]
        shape = layer.output_shape(shape)
    return found
