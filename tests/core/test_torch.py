"""Layers, losses and rules beside PyTorch's, and some beside ONNX's, in float64: the same numbers.

Needs torch, and for the last test onnx and onnxruntime; where they are missing it is skipped.
"""

import numpy as np
import pytest

import tinydni as td

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
F = torch.nn.functional
DRAWS = range(12)
f64 = np.float64


def same(ours, theirs, tolerance=1e-9):
    theirs = theirs.detach().numpy() if hasattr(theirs, "detach") else theirs
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def leaf(array):
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def images(x):
    return x.permute(0, 3, 1, 2)            # ours have the channels last


def back(y):
    return y.permute(0, 2, 3, 1)


def linear(rng, n, bias=True):
    layer = td.Linear(n, 4, rng, bias=bias, dtype=f64)
    if bias:
        layer.b[...] = rng.standard_normal(4)
    return layer, (3, n), lambda x, W, b=None: x @ W + (0 if b is None else b)


def conv(rng, n):
    kernel, stride = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    padding = int(rng.integers(kernel))
    layer = td.Conv2D(n, 3, rng, kernel, stride, padding, dtype=f64)
    layer.b[...] = rng.standard_normal(3)
    return layer, (2, 5, 6, n), lambda x, W, b: back(F.conv2d(
        images(x), W.permute(3, 2, 0, 1), b, stride, padding))


def pool(ours, theirs):
    def case(rng, n):
        kernel, stride = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        padding = int(rng.integers(kernel // 2 + 1))
        return ours(kernel, stride, padding), (2, 5, 6, n), lambda x: back(theirs(
            images(x), kernel, stride, padding))
    return case


def norm(shape):
    def case(rng, n):
        layer = td.BatchNorm(n, dtype=f64)
        layer.gamma[...], layer.beta[...] = rng.standard_normal((2, n))

        def theirs(x, gamma, beta):
            x = images(x) if len(shape) == 3 else x
            y = F.batch_norm(x, None, None, gamma, beta, training=True)
            return back(y) if len(shape) == 3 else y
        return layer, (*shape, n), theirs
    return case


def simple(make, theirs):
    return lambda rng, n: (make(), (3, n), theirs)


LAYERS = {
    "Linear": linear, "Linear without bias": lambda rng, n: linear(rng, n, bias=False),
    "Conv2D": conv, "MaxPool": pool(td.MaxPool, F.max_pool2d),
    "AvgPool": pool(td.AvgPool, F.avg_pool2d), "BatchNorm": norm((5,)),
    "BatchNorm of images": norm((2, 3, 4)), "ReLU": simple(td.ReLU, torch.relu),
    "Sigmoid": simple(td.Sigmoid, torch.sigmoid), "Tanh": simple(td.Tanh, torch.tanh),
    "Softplus": simple(td.Softplus, F.softplus),
    "Softmax": simple(td.Softmax, lambda x: torch.softmax(x, -1)),
    "GlobalAvgPool": lambda rng, n: (td.GlobalAvgPool(), (2, 3, 4, n), lambda x: x.mean((1, 2))),
    "Flatten": lambda rng, n: (td.Flatten(), (2, 3, 4, n), lambda x: x.flatten(1))}


@pytest.mark.parametrize("seed", DRAWS)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_and_its_gradients(name, seed):
    rng = np.random.default_rng(seed)
    layer, shape, theirs = LAYERS[name](rng, int(rng.integers(1, 6)))
    x = rng.standard_normal(shape)
    y = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    dx = layer.backward(dy)
    t, parameters = leaf(x), [leaf(p) for _, p, _ in layer.named_parameters()]
    out = theirs(t, *parameters)
    out.backward(torch.tensor(dy))
    same(y, out)
    same(dx, t.grad)
    for (_, _, ours), p in zip(layer.named_parameters(), parameters):
        same(ours, p.grad)


def as_torch(layer, kind, gates, order):
    """A recurrent layer of PyTorch with our parameters; order: of our gates in theirs."""
    twin = kind(layer.n_in, layer.n_hidden, batch_first=True, dtype=torch.float64)
    for name, ours in (("weight_ih_l0", layer.Wx), ("weight_hh_l0", layer.Wh),
                       ("bias_ih_l0", layer.b[None])):
        parts = np.split(ours, gates, axis=1)
        getattr(twin, name).data = torch.tensor(
            np.concatenate([parts[i] for i in order], axis=1).T.reshape(
                getattr(twin, name).shape).copy())
    twin.bias_hh_l0.data.zero_()
    return twin


@pytest.mark.parametrize("seed", DRAWS)
@pytest.mark.parametrize("name", ["RNN", "LSTM"])
def test_a_recurrent_layer_and_its_gradients(name, seed):
    rng = np.random.default_rng(seed)
    N, T, D, H = rng.integers(1, 6, size=4).tolist()
    layer = getattr(td, name)(D, H, rng, dtype=f64)
    gates, order = (1, [0]) if name == "RNN" else (4, [1, 2, 0, 3])      # theirs: i, f, g, o
    twin = as_torch(layer, getattr(torch.nn, name), gates, order)
    x, state = rng.standard_normal((N, T, D)), rng.standard_normal((N, layer.n_state))
    y, end = layer.forward(x, state)
    dy, dend = rng.standard_normal(y.shape), rng.standard_normal(end.shape)
    dx, dstate = layer.backward(dy, dend)
    t, s = leaf(x), leaf(state)
    parts = tuple(part[None].contiguous() for part in s.split(H, dim=1))
    out, last = twin(t, parts[0] if name == "RNN" else parts)
    last = torch.cat([last[0]] if name == "RNN" else [last[0][0], last[1][0]], dim=1)
    torch.autograd.backward([out, last], [torch.tensor(dy), torch.tensor(dend)])
    for ours, theirs in ((y, out), (end, last), (dx, t.grad), (dstate, s.grad)):
        same(ours, theirs)
    for ours, theirs in ((layer.dWx, twin.weight_ih_l0), (layer.dWh, twin.weight_hh_l0),
                         (layer.db[None], twin.bias_ih_l0)):
        parts = np.split(ours, gates, axis=1)
        same(np.concatenate([parts[i] for i in order], axis=1).T.reshape(theirs.shape),
             theirs.grad)


@pytest.mark.parametrize("seed", DRAWS)
def test_symbols_as_vectors(seed):
    rng = np.random.default_rng(seed)
    layer, x = td.Embedding(6, 3, rng, dtype=f64), rng.integers(6, size=(4, 2))
    y, E = layer.forward(x), leaf(layer.E)
    dy = rng.standard_normal(y.shape)
    layer.backward(dy)
    F.embedding(torch.tensor(x), E).backward(torch.tensor(dy))
    same(layer.dE, E.grad)


LOSSES = {
    "squared error": (td.MeanSquaredError, lambda rng, y: rng.standard_normal(y.shape),
                      lambda y, t: ((y - t) ** 2).sum() / 2 / len(y)),
    "bits": (td.BinaryCrossEntropy, lambda rng, y: rng.random(y.shape).round(),
             lambda y, t: F.binary_cross_entropy_with_logits(y, t, reduction="sum") / len(y)),
    "classes": (td.SoftmaxCrossEntropy, lambda rng, y: rng.integers(y.shape[1], size=len(y)),
                F.cross_entropy)}


@pytest.mark.parametrize("seed", DRAWS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient(name, seed):
    rng, (make, draw, theirs) = np.random.default_rng(seed), LOSSES[name]
    y = 10 ** rng.uniform(-2, 1.5) * rng.standard_normal(rng.integers(1, 7, size=2))
    target, loss, t = draw(rng, y), make(), leaf(y)
    value = theirs(t, torch.tensor(target))
    value.backward()
    same(loss.forward(y, target), value)
    same(loss.backward(), t.grad)


RULES = {
    "SGD": (lambda lr, **o: td.SGD(lr, **o), lambda p, lr: torch.optim.SGD(p, lr)),
    "Momentum": (lambda lr, **o: td.Momentum(lr, mu=0.8, **o),
                 lambda p, lr: torch.optim.SGD(p, lr, momentum=0.8)),
    "RMSProp": (lambda lr, **o: td.RMSProp(lr, rho=0.85, eps=1e-6, **o),
                lambda p, lr: torch.optim.RMSprop(p, lr, alpha=0.85, eps=1e-6)),
    "Adam": (lambda lr, **o: td.Adam(lr, b1=0.8, b2=0.95, eps=1e-7, **o),
             lambda p, lr: torch.optim.Adam(p, lr, betas=(0.8, 0.95), eps=1e-7))}
TIMES = {"no schedule": None, "cosine": td.CosineDecay(20, 4), "linear": td.LinearDecay(25),
         "steps": td.StepDecay((5, 12), 0.3)}


@pytest.mark.parametrize("clip", [None, 0.7])
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("schedule", TIMES)
@pytest.mark.parametrize("name", RULES)
def test_twenty_steps_of_a_rule(name, schedule, decay, clip):
    rng, (ours, theirs) = np.random.default_rng(len(name + schedule)), RULES[name]
    layer = td.Linear(4, 3, rng, dtype=f64)
    rule = ours(0.05, weight_decay=decay, clip_norm=clip)
    W, b = leaf(layer.W), leaf(layer.b)
    twin = theirs([{"params": [W], "weight_decay": decay}, {"params": [b]}], 0.05)
    for step in range(20):
        layer.dW, layer.db = rng.standard_normal((4, 3)), rng.standard_normal(3)
        W.grad, b.grad = torch.tensor(layer.dW), torch.tensor(layer.db)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_([W, b], clip)
        rule.scale = TIMES[schedule](step) if TIMES[schedule] else 1.0
        for group in twin.param_groups:
            group["lr"] = 0.05 * rule.scale
        rule.step(layer)
        twin.step()
        same(layer.W, W, 1e-6 if clip else 1e-9)        # they clip with an epsilon of 1e-6
        same(layer.b, b, 1e-6 if clip else 1e-9)


ONNX = {
    "Relu": (td.ReLU, {}), "Sigmoid": (td.Sigmoid, {}), "Tanh": (td.Tanh, {}),
    "Softplus": (td.Softplus, {}), "Softmax": (td.Softmax, {"axis": -1}),
    "MaxPool": (lambda: td.MaxPool(3, 2, 1), {"kernel_shape": [3, 3], "strides": [2, 2],
                                              "pads": [1] * 4}),
    "AveragePool": (lambda: td.AvgPool(3, 2, 1), {"kernel_shape": [3, 3], "strides": [2, 2],
                                                  "pads": [1] * 4, "count_include_pad": 1}),
    "GlobalAveragePool": (td.GlobalAvgPool, {}), "Flatten": (td.Flatten, {}),
    "Gemm": (lambda: td.Linear(6, 4, np.random.default_rng(0)), {}),
    "Conv": (lambda: td.Conv2D(3, 2, np.random.default_rng(0)), {"pads": [1] * 4})}


@pytest.mark.parametrize("seed", DRAWS)
@pytest.mark.parametrize("name", ONNX)
def test_a_layer_of_onnx(name, seed):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    rng, (make, attributes) = np.random.default_rng(seed), ONNX[name]
    pictures = "Pool" in name or name == "Conv"
    layer = make()
    x = rng.standard_normal((2, 6, 6, 3) if pictures else (3, 6)).astype(np.float32)
    inputs = {"x": x.transpose(0, 3, 1, 2).copy() if pictures else x}
    if name in ("Gemm", "Conv"):
        inputs |= {"W": layer.W if name == "Gemm" else layer.W.transpose(3, 2, 0, 1).copy(),
                   "b": layer.b}
    value = lambda name, shape: onnx.helper.make_tensor_value_info(
        name, onnx.TensorProto.FLOAT, shape)
    node = onnx.helper.make_node(name, list(inputs), ["y"], **attributes)
    graph = onnx.helper.make_graph([node], name, [value(k, v.shape) for k, v in inputs.items()],
                                   [value("y", None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)],
                                   ir_version=8)
    theirs, = runtime.InferenceSession(model.SerializeToString(),
                                       providers=["CPUExecutionProvider"]).run(None, inputs)
    y = layer.forward(x)
    theirs = theirs.transpose(0, 2, 3, 1) if y.ndim == 4 else theirs.reshape(y.shape)
    same(y, theirs, 2e-6)
