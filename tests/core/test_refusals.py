"""Nothing wrong is taken in silence: what is no fitting array is a sentence, with what was got."""

import fake_device
import numpy as np
import pytest

import tinydni as td
from tinydni import variants as v

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((6, 5)).astype(np.float32)
IMAGES = RNG.standard_normal((2, 4, 4, 3)).astype(np.float32)
STEPS = RNG.standard_normal((2, 4, 5)).astype(np.float32)

LAYERS = {
    "Linear": (lambda: td.Linear(5, 5, RNG), ROWS), "ReLU": (td.ReLU, ROWS),
    "Sigmoid": (td.Sigmoid, ROWS), "Tanh": (td.Tanh, ROWS), "Softplus": (td.Softplus, ROWS),
    "Softmax": (td.Softmax, ROWS), "Dropout": (lambda: td.Dropout(0.5, RNG), ROWS),
    "BatchNorm": (lambda: td.BatchNorm(5), ROWS), "Flatten": (td.Flatten, ROWS),
    "Sequential": (lambda: td.Sequential(td.Linear(5, 5, RNG), td.ReLU()), ROWS),
    "Residual": (lambda: td.Residual(td.Linear(5, 5, RNG)), ROWS),
    "Conv2D": (lambda: td.Conv2D(3, 2, RNG), IMAGES), "MaxPool": (td.MaxPool, IMAGES),
    "AvgPool": (td.AvgPool, IMAGES), "GlobalAvgPool": (td.GlobalAvgPool, IMAGES),
    "Subsample": (lambda: td.Subsample(3, 4), IMAGES),
    "RNN": (lambda: td.RNN(5, 5, RNG), STEPS), "LSTM": (lambda: td.LSTM(5, 5, RNG), STEPS)}
every_layer = pytest.mark.parametrize("name", LAYERS)


def passed_forward(name):
    make, x = LAYERS[name]
    layer = make()
    y = layer.forward(x)
    return layer, y[0] if isinstance(y, tuple) else y


@every_layer
def test_a_gradient_that_does_not_belong_to_the_output_is_refused(name):
    layer, y = passed_forward(name)
    wrong = {"another batch": np.ones((1, *y.shape[1:]), y.dtype),
             "one column": np.ones((*y.shape[:-1], 1), y.dtype),
             "an axis less": np.ones(y.shape[1:], y.dtype), "a number": 1.0, "a list": y.tolist(),
             "another dtype": np.ones(y.shape)}
    if wrong["one column"].shape == y.shape:
        del wrong["one column"]
    for what, dy in wrong.items():
        with pytest.raises((ValueError, TypeError), match="dy must (have the|be an) .* got"):
            layer.backward(dy)
            pytest.fail(f"{name} took {what}")


@every_layer
def test_backward_before_forward_says_so(name):
    make, x = LAYERS[name]
    with pytest.raises(AttributeError, match="call forward first"):
        make().backward(x)


LABELS = np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 4, 0]]
SYNTHESIZERS = {
    "linear": lambda: td.LinearSynthesizer(5), "mlp": lambda: td.mlp_synthesizer(5, RNG),
    "loss": lambda: v.SyntheticLoss(5, RNG), "virtual linear": lambda: td.VirtualLinear(5, 5, RNG),
    "virtual mlp": lambda: v.VirtualMLP(5, 5, RNG),
    "virtual network": lambda: v.VirtualNetwork(td.Linear(5, 5, RNG), 5),
    "local head": lambda: v.LocalHead(td.Linear(5, 5, RNG), 5),
    "flattened": lambda: v.Flattened(td.LinearSynthesizer(5)),
    "scaled": lambda: v.Scaled(td.LinearSynthesizer(5), 2.0)}
every_synthesizer = pytest.mark.parametrize("name", SYNTHESIZERS)


@every_synthesizer
def test_backward_of_a_synthesizer_before_forward_says_so(name):
    with pytest.raises(AttributeError, match="call forward first"):
        SYNTHESIZERS[name]().backward(ROWS)


@every_synthesizer
def test_a_synthesizer_learns_without_a_forward_pass_of_its_own(name):
    """`learn` runs it; and the second time the weights are others, so it runs again."""
    synthesizer = SYNTHESIZERS[name]()
    context = LABELS if getattr(synthesizer, "n_context", 0) else None
    for _ in range(2):
        synthesizer.learn(ROWS, context, ROWS, 0.1)
        assert np.isfinite(synthesizer.loss())


@pytest.mark.parametrize("around", [v.Frozen, v.Flattened, lambda inner: v.Scaled(inner, 2.0)])
def test_a_frozen_synthesizer_is_not_wrapped_again(around):
    with pytest.raises(TypeError, match=r"freeze a synthesizer once, and last.*got Frozen\(Linear"):
        around(v.Frozen(td.LinearSynthesizer(5)))


@pytest.mark.parametrize("make, name", [
    (lambda wrong: td.Linear(3, 2, RNG, bias=wrong), "bias"),
    (lambda wrong: td.Conv2D(3, 2, RNG, bias=wrong), "bias"),
    (lambda wrong: td.LinearSynthesizer(3, 2, wrong), "reads_h"),
    (lambda wrong: td.RecurrentModule(td.RNN(3, 2, RNG), 0.1, loss=td.MeanSquaredError(),
                                      each_window=wrong), "each_window"),
    (lambda wrong: v.Replay((3, 2, 2), 5, 2, in_order=wrong), "in_order"),
    (lambda wrong: v.TwoClocks(*[td.RecurrentModule(td.RNN(3, 2, RNG), 0.1,
                                                    loss=td.MeanSquaredError())] * 2,
                               locked=wrong), "locked")])
def test_a_switch_is_true_or_false(make, name):
    for wrong in ("no", 0.1, 2, None):
        with pytest.raises(TypeError, match=f"{name} must be True or False; got "):
            make(wrong)
    make(np.True_)


@every_layer
def test_an_input_that_is_no_array_of_floats_is_refused(name):
    make, x = LAYERS[name]
    for wrong in (x.tolist(), np.ma.array(x, mask=x > 0), x.astype(complex), x.astype(object),
                  x > 0, x.astype(np.int8)):
        with pytest.raises(TypeError, match="x must be an array of float32 or float64; got"):
            make().forward(wrong)


@pytest.mark.parametrize("name", ["ReLU", "Sigmoid", "Tanh", "Softmax", "MaxPool", "RNN", "LSTM"])
def test_an_output_that_backward_reads_cannot_be_changed(name):
    _, y = passed_forward(name)
    with pytest.raises(ValueError, match="read-only"):
        y *= 0


@pytest.mark.parametrize("make", [
    lambda **o: td.Linear(3, 2, RNG, **o), lambda **o: td.Conv2D(3, 2, RNG, **o),
    lambda **o: td.Embedding(3, 2, RNG, **o), lambda **o: td.LSTM(3, 2, RNG, **o),
    lambda **o: td.RNN(3, 2, RNG, **o), lambda **o: td.BatchNorm(3, **o),
    lambda **o: td.VirtualLinear(3, 2, RNG, **o)])
def test_parameters_are_floats(make):
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        make(dtype=int)
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        make().to(dtype=np.int64)


@pytest.mark.parametrize("std", [float("nan"), -1.0, float("inf")])
@pytest.mark.parametrize("make", [td.Linear, td.Conv2D, td.Embedding])
def test_a_spread_is_a_number_of_at_least_zero(make, std):
    with pytest.raises(ValueError, match=r"std must lie in \[0, inf\)"):
        make(3, 2, RNG, std=std)


MSE, BCE, CE = td.MeanSquaredError, td.BinaryCrossEntropy, td.SoftmaxCrossEntropy


@pytest.mark.parametrize("loss, prediction, target, message", [
    (MSE, ROWS, ROWS.tolist(), "target must be an array; got list"),
    (MSE, ROWS[:0], ROWS[:0], "the batch is empty"), (CE, ROWS, [0] * 6, "target must be an array"),
    (CE, ROWS[:0], np.zeros(0, int), r"logits \(N, K\), N > 0; got \(0, 5\)"),
    (CE, STEPS, np.zeros(2, int), r"logits \(N, K\)"),
    (BCE, ROWS, np.full_like(ROWS, 2), "target must lie in 0 ... 1; got 2.0"),
    (BCE, ROWS, np.full_like(ROWS, np.nan), "target must lie in 0 ... 1; got nan")])
def test_targets_that_have_no_meaning_are_refused(loss, prediction, target, message):
    with pytest.raises((TypeError, ValueError), match=message):
        loss().forward(prediction, target)


@pytest.mark.parametrize("rows", [10, 10_000])
def test_a_context_has_a_row_for_each_example(rows):
    data = td.datasets.digits()
    net = td.build(td.mlp((64, 8, 10), RNG), CE(), 0.1, lambda n: td.LinearSynthesizer(n, 10), 0.1)
    with pytest.raises(ValueError, match="context must have a row for each training example"):
        td.Training(net, data, 1, 8, seed=0, context=np.zeros((rows, 10), np.float32))


@pytest.mark.parametrize("make, message", [
    (lambda: td.DNI(3, 0.1), "block must be a layer"),
    (lambda: td.DNI(td.ReLU(), "0.1"), "lr must be"),
    (lambda: td.Network([td.ReLU()]), "modules must be DNI modules"),
    (lambda: td.Network([td.DNI(td.ReLU(), 0.1)], algorithm=None), "algorithm must be a function"),
    (lambda: td.LinearSynthesizer(5, 2).forward(ROWS, [[1, 0]] * 6), "context must be an array")])
def test_what_is_no_module_layer_or_algorithm_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize("call", [lambda net, x: net.step(x, np.zeros(6, int)),
                                  lambda net, x: net.predict(x)])
def test_an_array_of_numpy_is_refused_on_a_device(call):
    net = td.build(td.mlp((5, 4, 3), RNG), CE(), 0.1, algorithm=td.backprop).to(fake_device.xp)
    with pytest.raises(TypeError, match="x is a NumPy array, but the network is on another"):
        call(net, ROWS)


# Numbers that were wrong without a word

def test_a_constant_column_is_normalised_to_zero():
    x = np.full((100, 2), 12345.678, np.float32)
    x[:, 1] += np.random.default_rng(0).standard_normal(100).astype(np.float32)
    y = td.BatchNorm(2).forward(x)
    assert not y[:, 0].any()
    np.testing.assert_allclose([y[:, 1].mean(), y[:, 1].std()], [0, 1], atol=1e-4)


def test_the_rectifier_is_the_maximum():
    y = td.ReLU().forward(np.array([[-np.inf, -1.0, np.nan, 2.0]]))
    np.testing.assert_array_equal(y, [[0, 0, np.nan, 2]])
    assert not np.signbit(y[0, 1])


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_the_logistic_function_keeps_both_tails(dtype, tolerance):
    z = np.array([[-20.0, -17.0, -1.0, 3.0, 17.0]], dtype)
    exact = 1 / (1 + np.exp(-z.astype(np.longdouble)))
    np.testing.assert_allclose(td.Sigmoid().forward(z), exact.astype(float), rtol=tolerance)
    loss, targets = BCE(), np.array([[0, 0, 1, 0, 1]], dtype)
    loss.forward(z, targets)
    wanted = np.where(targets == 1, -1 / (1 + np.exp(z.astype(np.longdouble))), exact).astype(float)
    np.testing.assert_allclose(loss.backward(), wanted, rtol=tolerance)


def test_clipping_looks_at_the_gradient_and_not_at_the_weight_penalty():
    layer = td.Linear(2, 1, RNG, bias=False, dtype=np.float64)
    layer.W[...], layer.dW = [[10], [0]], np.array([[0.0], [0.5]])
    td.SGD(1, weight_decay=0.5, clip_norm=1).step(layer)
    np.testing.assert_allclose(layer.W, [[5], [-0.5]])          # as PyTorch 2


@pytest.mark.parametrize("far", [0.0, 1e3, 1e4])
def test_the_gradient_of_the_discrepancy_is_right_far_from_zero(far):
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((40, 3)) + shift for shift in (0.5, 0.0))
    loss = td.variants.MMD(3.0)
    loss.forward(x, y)
    exact = loss.backward()
    loss.forward((x + far).astype(np.float32), (y + far).astype(np.float32))
    np.testing.assert_allclose(loss.backward(), exact, atol=2e-3 * np.abs(exact).max() + far * 1e-7)
