"""The promises of the library, one test each, in under a second: the first thing to run anywhere.

    pytest tests/core/test_tiny.py
"""

import numpy as np
import pytest

import tinydni as td
from tinydni.gradcheck import GradientError, assert_gradients


def generator():
    return td.random.stream(0, "sample")


def make_data(rng, N=16, D=6, K=3):
    """Three clouds of points: x (N, D), target (N,), context (N, K)."""
    target = np.arange(N) % K
    context = np.eye(K, dtype=np.float32)[target]
    centres, noise = rng.standard_normal((K, D), np.float32), rng.standard_normal(
        (N, D), np.float32)
    return context @ centres + 0.3 * noise, target, context


x, target, context = make_data(generator())


def make(n_context=3, algorithm=td.update_decoupled, seed=0, **options):
    """Three blocks that guess their gradients, or the same under another algorithm."""
    blocks = td.mlp([6, 8, 8, 3], td.random.stream(seed, "weights"))
    if algorithm is td.update_decoupled:
        options |= {"synthesizer": lambda n: td.LinearSynthesizer(n, n_context),
                    "synthesizer_lr": lambda: td.Adam(0.02)}
    return td.build(blocks, td.SoftmaxCrossEntropy(), lambda: td.Adam(0.02), algorithm=algorithm,
                    **options)


def weights(module):
    return np.concatenate([array.ravel() for _, array, _ in module.block.named_parameters()])


def test_gradients_written_by_hand_are_right():
    rng = generator()
    for layer in (td.Linear(4, 3, rng), td.BatchNorm(4), td.Sigmoid(), td.Tanh(), td.Softplus(),
                  td.Dropout(0.5, rng)):
        assert_gradients(layer, (5, 4))
    for loss, t in ((td.SoftmaxCrossEntropy(), np.array([0, 2, 1])),
                    (td.MeanSquaredError(), (3, 4)), (td.BinaryCrossEntropy(), np.eye(4)[:3])):
        assert_gradients(loss, (3, 4), t)


def test_a_gradient_check_finds_a_flipped_sign():
    class Wrong(td.Tanh):
        def backward(self, dy):
            return -super().backward(dy)

    with pytest.raises(GradientError, match="sign is flipped"):
        assert_gradients(Wrong(), (5, 4))


def test_a_layer_leaves_its_arguments_alone():
    frozen, rng = x.copy(), generator()
    frozen.flags.writeable = False
    layer = td.Sequential(td.Linear(6, 6, rng), td.BatchNorm(6), td.ReLU(),
                          td.Residual(td.Linear(6, 6, rng)))
    dy = layer.forward(frozen)
    dy.flags.writeable = False
    layer.backward(dy)


def test_update_goes_down_the_gradient():
    layer, loss = td.Linear(6, 3, generator()), td.SoftmaxCrossEntropy()
    before = loss.forward(layer.forward(x), target)
    layer.backward(loss.backward())
    layer.update(0.1)
    assert loss.forward(layer.forward(x), target) < before


def test_twins_start_from_the_same_weights():
    blocks = td.mlp([6, 8, 3], generator())
    first, second = (td.build(blocks, td.SoftmaxCrossEntropy(), lambda: td.SGD(0.1),
                              algorithm=algorithm)
                     for algorithm in (td.backprop, td.no_backprop))
    first.step(x, target)
    for block, module in zip(blocks, second.modules):
        for name, array in block.state().items():
            np.testing.assert_array_equal(module.block.state()[name], array)


def test_a_network_learns_by_backpropagation():
    network = make(algorithm=td.backprop)
    for _ in range(60):
        network.step(x, target)
    assert (network.predict(x).argmax(axis=1) == target).all()


@pytest.mark.parametrize("n_context", [3, 0], ids=["cdni", "dni"])
def test_a_network_learns_by_synthetic_gradients(n_context):
    network = make(n_context)
    before = weights(network.modules[0])
    losses = [float(network.step(x, target, context if n_context else None)) for _ in range(60)]
    assert losses[-1] < 0.3 * losses[0]
    assert (weights(network.modules[0]) != before).any()


def test_the_first_guess_of_a_synthesizer_is_no_gradient():
    network = make()
    before = [weights(module) for module in network.modules]
    network.step(x, target, context)
    unchanged = [(weights(module) == old).all() for module, old in zip(network.modules, before)]
    assert unchanged == [True, True, False]


def test_no_module_waits_for_what_is_above_it():
    results = []
    for poisoned in (False, True):
        network = make()
        for _ in range(3):
            network.step(x, target, context)
        for _, array, _ in network.modules[1].block.named_parameters():
            array[...] = np.nan if poisoned else array
        network.step(x, target, context)
        results.append(weights(network.modules[0]))
    np.testing.assert_array_equal(*results)


def test_a_synthesizer_descends_to_the_gradient_it_is_told():
    synthesizer, losses = td.LinearSynthesizer(6, 3), []
    wanted = context @ generator().standard_normal((3, 6), np.float32)
    for _ in range(200):
        synthesizer.learn(x, context, wanted, td.SGD(0.1))
        losses.append(float(synthesizer.loss()))
    assert losses[-1] < 0.1 * losses[0]


def test_prediction_needs_no_label():
    network = make()
    assert network.predict(x).shape == (16, 3)
    np.testing.assert_array_equal(network.predict(x), network.predict(x))


def test_same_seed_same_curve():
    curves = []
    for own_seed in (0, 0, 1):
        network = make(seed=own_seed)
        curves.append([float(network.step(x, target, context)) for _ in range(5)])
    assert curves[0] == curves[1] != curves[2]


def test_float32_stays_float32():
    network = make()
    network.step(x, target, context)
    arrays = [network.predict(x), *network.state().values()]
    assert {array.dtype for array in arrays if array.dtype.kind == "f"} == {np.dtype(np.float32)}


def test_a_saved_network_goes_on_as_if_it_had_not_stopped():
    network, twin = make(), make(seed=5)
    for _ in range(3):
        network.step(x, target, context)
    twin.load_state(network.state())
    assert [twin.step(x, target, context) for _ in range(3)] == [network.step(x, target, context)
                                                                 for _ in range(3)]


def test_wrong_input_is_named():
    network = make()
    with pytest.raises(ValueError, match=r"x must have shape \(N, 6\); got \(16, 5\)"):
        network.step(x[:, :5], target, context)
    with pytest.raises(ValueError, match=r"target must lie in 0 \.\.\. 2; got 3"):
        network.step(x, target + 1, context)
    with pytest.raises(TypeError, match="x has dtype float64"):
        network.step(x.astype(float), target, context)


def test_the_summary_shows_the_interfaces():
    assert td.plots.summary(make(), (6,)).count(
        "interface: LinearSynthesizer(8 + 3 context -> 8)") == 2
