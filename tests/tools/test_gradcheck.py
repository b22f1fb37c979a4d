"""The gradient checks: right classes pass, each wrong one is told what is wrong with it."""

import argparse
import doctest
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydni import (
    BatchNorm,
    BinaryCrossEntropy,
    Dropout,
    Linear,
    LinearSynthesizer,
    MeanSquaredError,
    ReLU,
    Residual,
    Sequential,
    SoftmaxCrossEntropy,
    Softplus,
    Tanh,
    mlp_synthesizer,
)
from tinydni.gradcheck import (
    ContractError,
    GradientError,
    Settings,
    assert_gradients,
    check,
    check_command,
    check_layer,
    check_loss,
    check_synthesizer,
)
from tinydni.gradcheck.student_file import UsageError

EXAMPLES = Path(__file__).parent / "examples"
sys.path.insert(0, str(EXAMPLES))
import right_layers  # noqa: E402
import wrong_layers  # noqa: E402

sys.path.remove(str(EXAMPLES))


def check_example(target, args=None, input_shape=(6, 5), **options):
    return check_command.run_check(str(EXAMPLES / target), args or {},
                                   [(input_shape, None, None)], **options)


def check_linear(file, n_in=5, n_out=4, **options):
    return check_example(f"{file}:Linear", {"n_in": n_in, "n_out": n_out}, (6, n_in), **options)


def first_of(rows):
    """The first entry of each row, to name its test."""
    return [row[0] for row in rows]


# Right classes ------------------------------------------------------------------------------------

sizes = st.integers(1, 6)
seeds = st.integers(0, 2 ** 32 - 1)


def assert_right(report, gradients):
    assert report.ok, str(report)
    assert [array.gradient for array in report.arrays] == gradients
    assert all(array.relative_error <= 1e-6 for array in report.arrays)


@settings(max_examples=15, deadline=None)
@given(N=sizes, D=sizes, M=sizes, seed=seeds)
def test_right_linear_passes(N, D, M, seed):
    report = check_example("right_linear.py:Linear", {"n_in": D, "n_out": M}, (N, D), seed=seed)
    assert_right(report, ["dx", "dW", "db"])


@settings(max_examples=15, deadline=None)
@given(N=sizes, K=st.integers(2, 6), seed=seeds)
def test_right_losses_pass(N, K, seed):
    for loss in ("SquaredError", "CrossEntropy"):
        report = check_example(f"right_losses.py:{loss}", None, (N, K), is_loss=True, seed=seed)
        assert_right(report, ["dprediction"])


def test_right_layer_without_parameters_passes_and_the_report_says_so():
    report = check_example("right_leaky_relu.py:LeakyReLU")
    assert_right(report, ["dx"])
    assert "no parameters" in str(report)


def test_right_dropout_passes_since_its_generator_is_set_back():
    assert_right(check_example("right_dropout.py:Dropout", {"p": 0.4}), ["dx"])


def test_right_network_is_checked_through_the_layers_inside_it():
    report = check_example("right_network.py:Network", {"n_in": 5, "n_hidden": 7, "n_out": 3})
    assert_right(report, ["dx", "layers.0.dW", "layers.0.db", "layers.1.dW", "layers.1.db"])


def test_layers_in_a_dictionary_are_found():
    class Pair:
        parameters = ()

        def __init__(self):
            self.parts = {"first": Scale(0.7), "second": Scale(-0.3)}

        def forward(self, x):
            return self.parts["second"].forward(self.parts["first"].forward(x))

        def backward(self, dy):
            return self.parts["first"].backward(self.parts["second"].backward(dy))

    assert_right(check_layer(Pair(), (4, 3)), ["dx", "parts.first.da", "parts.second.da"])


def test_right_synthesizer_passes_though_it_starts_at_zero():
    report = check_example("right_synthesizer.py:Synthesizer", {"n_h": 5, "n_context": 3},
                           context=(6, 3))
    assert_right(report, ["dA", "dC"])


def library(N, D, rng):
    """Objects of the library with the inputs to check them at."""
    yield (Sequential(Linear(D, 4, rng), BatchNorm(4), Tanh(), Dropout(0.3, rng),
                      Linear(4, 3, rng)), (N, D))
    yield Sequential(Residual(Linear(D, D, rng), Softplus()), Linear(D, 2, rng, bias=False)), (N, D)
    yield BatchNorm(D).eval(), (N, D)
    yield SoftmaxCrossEntropy(), (N, D + 1), rng.integers(0, D + 1, N)
    yield MeanSquaredError(), (N, D), (N, D)
    yield BinaryCrossEntropy(), (N, D), rng.integers(0, 2, (N, D)).astype(np.float32)
    yield LinearSynthesizer(D, n_context=2), (N, D), (N, 2)
    yield LinearSynthesizer(D), (N, D)
    yield mlp_synthesizer(D, rng, n_context=2, hidden=(4,)), (N, D), (N, 2)


@settings(max_examples=10, deadline=None)
@given(N=st.integers(4, 8), D=sizes, seed=seeds)
def test_the_library_passes_as_it_is_in_float32(N, D, seed):
    rng = np.random.default_rng(seed)
    for thing, *inputs in library(N, D, rng):
        assert_gradients(thing, *inputs, rng=rng)


@pytest.mark.parametrize("offset, scale", [(0, 1e-2), (0, 1e3), (30, 1e-2), (300, 1)])
def test_normalised_inputs_far_from_zero_are_no_false_alarm(offset, scale):
    rng = np.random.default_rng(1)
    net = Sequential(Linear(5, 6, rng), BatchNorm(6), Tanh(), Linear(6, 3, rng))      # 0.db is zero
    for thing in (net, BatchNorm(5)):
        assert_gradients(thing, offset + scale * rng.standard_normal((8, 5)), rng=rng)


# Wrong classes ------------------------------------------------------------------------------------

WRONG_LINEAR = [
    ("flipped_sign.py", "dW", "sign is flipped"),
    ("transposed_weights.py", "dW",
     "dW has shape (4, 5), expected (5, 4), the shape of W. Looks transposed"),
    ("transposed.py", "backward", "Looks transposed: it runs once W is transposed"),
    ("stale_cache.py", "dW", "stale cache"),
    ("shared_cache.py", "dW", "two objects share one cache"),
    ("accumulates.py", "dW", "added to what was there"),
    ("mean_over_batch.py", "dW", "6 times too small everywhere, and 6 is the batch size N"),
    ("ignores_dy.py", "dW", "right for dy = 1 only"),
    ("forgot_bias.py", "db", "db is never set: there is no db after backward"),
    ("bias_not_summed.py", "db", "still had the axis of the batch"),
    ("forgot_return.py", "dx", "backward returns None where dx belongs"),
    ("float32.py", "dx", "float32 used inside"),
    ("float32_output.py", "y", "float32 used"),
    ("updates_too_early.py", "W", "backward changes the parameter W"),
    ("unused_bias.py", "db", "y does not change with b"),
]


@pytest.mark.parametrize("file, array, diagnosis", WRONG_LINEAR, ids=first_of(WRONG_LINEAR))
def test_wrong_linear_is_diagnosed(file, array, diagnosis):
    report = check_linear(file)
    sentences = [line for line in str(report).splitlines()
                 if line.startswith("Linear: ") and array in line]
    assert not report.ok and diagnosis in " ".join(sentences), str(report)


@pytest.mark.parametrize("file", ["transposed.py", "transposed_weights.py"])
def test_transposed_square_matrix_is_told_from_the_numbers(file):
    report = check_linear(file, n_in=5, n_out=5)
    assert not report.ok and "Looks transposed" in str(report) and "relative error" in str(report)


WRONG_ACTIVATIONS = [
    ("activations.py:ForgotDerivative", "dx is dy unchanged"),
    ("activations.py:WithoutHalf", "dx is 2 times too large everywhere"),
    ("activations.py:Zeros", "dx is zero everywhere"),
    ("activations.py:Logarithm", "forward returns y with nan at (0, "),
    ("activations.py:Remembers",
     "forward returns another y for the same input once it has seen another one"),
    ("activations.py:Noise", "depends on random numbers"),
    ("inplace.py:ForwardInPlace", "forward writes into x"),
    ("inplace.py:BackwardInPlace", "backward writes into dy"),
]


@pytest.mark.parametrize("target, diagnosis", WRONG_ACTIVATIONS, ids=first_of(WRONG_ACTIVATIONS))
def test_wrong_activation_is_diagnosed(target, diagnosis):
    report = check_example(target)
    assert not report.ok and diagnosis in str(report), str(report)


def test_writing_in_place_is_wrong_though_the_gradient_is_right():
    report = check_example("inplace.py:BackwardInPlace")
    assert all(array.ok for array in report.arrays) and not report.ok


@pytest.mark.parametrize("name, diagnosis", [
    ("MissingInBackward",
     "6 times too large everywhere, and 6 is the batch size N: looks like a missing 1/N"),
    ("MissingInBoth", "it is a sum over the batch, its 1/N is missing"),
])
def test_loss_without_its_1_over_n_is_diagnosed(name, diagnosis):
    report = check_example(f"missing_n.py:{name}", is_loss=True)
    assert not report.ok and diagnosis in str(report), str(report)


def test_unregistered_array_with_a_gradient_is_wrong():
    report = check_linear("one_name_missing.py")
    assert report.wrong and "b is not named in `parameters`, so it is never learned" in str(report)


def test_constant_that_is_not_named_is_a_note():
    report = check_layer(right_layers.WithPositions(), (6, 5))
    assert report.ok and "neither learned nor checked: positions" in str(report)


def test_parameters_that_nobody_named_are_those_with_a_gradient():
    report = check_linear("unnamed_parameters.py")
    assert_right(report, ["dx", "dW", "db"])
    assert 'Name them in the class: parameters = ("W", "b").' in str(report)


def test_message_names_array_index_got_expected_and_relative_error():
    report = check_linear("flipped_sign.py")
    [dW] = [array for array in report.arrays if not array.ok]
    worst = dW.entries[0]
    assert dW.gradient == "dW" and dW.n_wrong == dW.n_compared == 20
    assert worst.got == pytest.approx(-worst.expected) and worst.relative_error == pytest.approx(2)
    assert abs(worst.expected) == max(abs(entry.expected) for entry in dW.entries)
    assert (f"dW is wrong at {worst.at}: got {worst.got:.4g}, expected {worst.expected:.4g} "
            "(relative error 2.0)") in str(report)


def test_gradients_beside_the_wrong_one_are_still_checked():
    by_name = {array.gradient: array.ok for array in check_linear("flipped_sign.py").arrays}
    assert by_name == {"dx": True, "dW": False, "db": True}


# Layers of every kind, wrong and right ------------------------------------------------------------

@pytest.mark.parametrize("name, thing, inputs, words", wrong_layers.WRONG,
                         ids=first_of(wrong_layers.WRONG))
def test_wrong_layer_is_found(name, thing, inputs, words):
    report = check(thing, *inputs)
    assert report.wrong and words in str(report), str(report)


@pytest.mark.parametrize("name, thing, inputs", right_layers.RIGHT,
                         ids=first_of(right_layers.RIGHT))
def test_right_layer_is_not_accused(name, thing, inputs):
    assert_gradients(thing, *inputs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_no_seed_changes_a_verdict(seed):
    for name, thing, inputs, _ in wrong_layers.WRONG:
        assert check(thing, *inputs, rng=np.random.default_rng(seed)).wrong, name
    for name, thing, inputs in right_layers.RIGHT:
        report = check(thing, *inputs, rng=np.random.default_rng(seed))
        assert report.ok, f"{name}: {report}"


def test_what_rounding_hides_is_called_neither_right_nor_wrong():
    report = check_layer(right_layers.Act(lambda x: 1e13 + x ** 2, lambda x: 2 * x), (6, 5))
    assert not report.ok and not report.wrong
    assert "dx cannot be checked here" in str(report) and "CANNOT TELL" in str(report)


def test_a_given_step_is_kept_though_it_is_too_large():
    layer = right_layers.tanh()
    assert check_layer(layer, (6, 5)).ok and check_layer(layer, (6, 5), step=0.1).wrong


def test_large_wrong_layer_is_looked_at_in_few_passes():
    class Counting(right_layers.Dense):
        passes = [0]

        def forward(self, x):
            self.passes[0] += 1
            return super().forward(x)

        def backward(self, dy):
            dx = super().backward(dy)
            self.dW[400, 300] *= 1.01
            return dx

    report = check_layer(Counting(784, 512), (16, 784))
    [dW] = [array for array in report.arrays if not array.ok]
    assert [entry.at for entry in dW.entries] == [(400, 300)] and Counting.passes[0] < 300


# What student code may do besides -----------------------------------------------------------------

class Scale:
    """y = x · a with one learned number; subclasses break it in one way each."""

    parameters = ("a",)
    factor = 1.0

    def __init__(self, a=0.7):
        self.a = a

    def forward(self, x):
        self.x = x
        return x * self.a

    def backward(self, dy):
        self.da = np.array((self.x * dy).sum()) * self.factor
        return dy * self.a


def test_plain_number_as_parameter():
    assert_right(check_layer(Scale(), (4, 3)), ["dx", "da"])


def test_sign_and_factor_are_named_together():
    class Twice(Linear):
        def backward(self, dy):
            dx = super().backward(dy)
            self.dW *= -2
            return dx

    text = str(check_layer(Twice(5, 4, np.random.default_rng(0)), (6, 5)))
    assert "sign is flipped" in text and "dW is 2 times too large" in text


def test_wrong_gradient_of_one_number_is_not_explained_by_any_factor():
    class Off(Scale):
        factor = 1.37

    report = check_layer(Off(), (4, 3))
    assert not report.ok and "times too" not in str(report)


class HalfVariance(BatchNorm):
    """Its way through the variance has half the size; for dy = 1 that way is zero, and so is dx."""

    def backward(self, dy):
        dx, xhat = super().backward(dy), self.z * self.s
        return dx + self.gamma * self.s * xhat * self.dgamma / (2 * len(dy))


def test_a_gradient_that_is_zero_for_dy_of_ones_is_not_said_to_ignore_dy():
    report = check(HalfVariance(5), (6, 5))
    assert not report.ok and "ignores" not in str(report)


def test_wrong_layer_inside_a_container_is_named_by_its_path():
    class Flipped(Linear):
        def backward(self, dy):
            dx = super().backward(dy)
            self.dW = -self.dW
            return dx

    rng = np.random.default_rng(0)
    report = check(Sequential(Linear(5, 4, rng), Tanh(), Flipped(4, 3, rng)), (6, 5))
    assert [array.gradient for array in report.arrays if not array.ok] == ["2.dW"]


def test_kink_is_named_with_its_place():
    x = np.random.default_rng(0).standard_normal((6, 5))
    assert check_layer(ReLU(), x).ok
    x[1, 2] = 0
    report = check_layer(ReLU(), x)
    assert not report.ok and "kink near the input: at x[1, 2] = 0" in str(report)


def test_flipped_sign_is_seen_beside_a_kink():
    class Flipped(ReLU):
        def backward(self, dy):
            return -super().backward(dy)

    x = np.random.default_rng(0).standard_normal((6, 5))
    x[1, 2] = 0
    assert "sign is flipped" in str(check_layer(Flipped(), x))


def test_gradient_in_float32_is_wrong_though_its_values_are_close():
    class Rounded(Linear):
        def backward(self, dy):
            dx = super().backward(dy)
            self.dW = self.dW.astype(np.float32)
            return dx

    report = check_layer(Rounded(5, 4, np.random.default_rng(0)), (6, 5))
    assert not report.ok and "dW is float32" in str(report)


def test_gradient_that_keeps_its_first_value_is_never_set():
    class Forgot(Scale):
        def __init__(self):
            super().__init__()
            self.da = np.zeros(())

        def backward(self, dy):
            return dy * self.a

    assert "never sets da" in str(check_layer(Forgot(), (4, 3)))


def test_nan_in_a_gradient_is_named():
    class Broken(Linear):
        def backward(self, dy):
            dx = super().backward(dy)
            self.db[1] = np.nan
            return dx

    report = check_layer(Broken(5, 4, np.random.default_rng(0)), (6, 5))
    assert "backward gives db with nan at (1,)" in str(report)


def test_small_error_in_one_entry_is_found():
    class Slightly(Linear):
        def backward(self, dy):
            dx = super().backward(dy)
            self.dW[2, 1] *= 1.0001
            return dx

    report = check_layer(Slightly(5, 4, np.random.default_rng(0)), (6, 5))
    [dW] = [array for array in report.arrays if not array.ok]
    assert [entry.at for entry in dW.entries] == [(2, 1)]


def test_large_array_is_compared_at_random_entries():
    class Flipped(Linear):
        def backward(self, dy):
            dx = super().backward(dy)
            self.dW = -self.dW
            return dx

    report = check_layer(Flipped(40, 30, np.random.default_rng(0)), (6, 40), most_entries=50)
    [dW] = [array for array in report.arrays if not array.ok]
    assert dW.n_compared == 50 and "sign is flipped" in dW.diagnosis


def test_the_object_stays_as_it_is():
    rng = np.random.default_rng(0)
    layer = Sequential(Linear(5, 4, rng), BatchNorm(4), Dropout(0.5, rng))
    x = rng.standard_normal((6, 5)).astype(np.float32)
    before, kept = {name: array.copy() for name, array in layer.state().items()}, x.copy()
    check_layer(layer, x)
    after = layer.state()       # with the state of the generator
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert np.array_equal(x, kept)
    assert layer.layers[0].W.dtype == np.float32 and not hasattr(layer.layers[0], "dW")


def test_same_seed_same_report():
    first, second = (check_linear("stale_cache.py", seed=3) for _ in range(2))
    assert str(first) == str(second)


def test_synthesizer_that_passes_something_down_is_noted():
    class Leaky(LinearSynthesizer):
        def backward(self, ddelta_hat):
            super().backward(ddelta_hat)
            return ddelta_hat

    assert "passes nothing down" in str(check_synthesizer(Leaky(5), (6, 5)))


# Wrong use ----------------------------------------------------------------------------------------

class NoGradient(Linear):
    backward = None


RNG = np.random.default_rng(0)
WRONG_USE = [
    (lambda: check(Linear, (6, 5)), ContractError, "Linear is a class"),
    (lambda: check(NoGradient(5, 4, RNG), (6, 5)), ContractError,
     "NoGradient has no method backward"),
    (lambda: check(ReLU(), (6, 5), (6, 5)), TypeError, "ReLU.forward takes x; got 2 inputs"),
    (lambda: check(MeanSquaredError(), (6, 5)), TypeError, "with a prediction and a target; got 1"),
    (lambda: check_loss(ReLU(), (6, 5), (6, 5)), ContractError, "backward takes an argument"),
    (lambda: check(ReLU(), np.array([[1, np.nan]])), ValueError,
     "x must be finite; got x with nan at (0, 1)"),
    (lambda: check(ReLU(), (0, 5)), ValueError, "positive numbers"),
    (lambda: check(ReLU(), "6,5"), TypeError, "must be an array of numbers"),
    (lambda: check_loss(MeanSquaredError(), np.ones((2, 3), int), (2, 3)), TypeError,
     "whole numbers"),
    (lambda: check(ReLU(), [[1.0, 2.0], [3.0]]), TypeError, "must be an array of numbers"),
    (lambda: check(ReLU(), (6, 5), rng=0), TypeError,
     "rng must be a numpy.random.Generator; got 0"),
    (lambda: check_synthesizer(ReLU(), (6, 5)), TypeError, "ReLU.forward takes x; got 2 inputs"),
    (lambda: Settings(step=0), ValueError, "step must lie in (0, inf); got 0"),
    (lambda: Settings(directions=0), ValueError, "directions must be at least 1; got 0"),
    (lambda: Settings(tolerance="1e-6"), TypeError, "tolerance must be a number; got '1e-6' (str)"),
    (lambda: check(ReLU(), (6, 5), most_entries=2.5), TypeError,
     "most_entries must be a whole number; got 2.5"),
    (lambda: check_example("missing_n.py:OnePerExample", is_loss=True), UsageError,
     "returns one number"),
]


@pytest.mark.parametrize("call, error, message", WRONG_USE, ids=[last for *_, last in WRONG_USE])
def test_wrong_use_is_told(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_parameters_as_a_plain_string_are_told():
    class Forgetful(Scale):
        parameters = ("a")

    with pytest.raises(ContractError, match="must be a tuple of names"):
        check_layer(Forgetful(), (4, 3))


def test_assert_gradients_raises_with_the_whole_report():
    class Off(Scale):
        factor = -1.0

    with pytest.raises(GradientError) as caught:
        assert_gradients(Off(), (4, 3))
    assert str(caught.value) == str(caught.value.report)
    assert isinstance(caught.value, AssertionError)
    assert assert_gradients(Scale(), (4, 3)) is None


# The command --------------------------------------------------------------------------------------

def run_command(*words):
    """Runs `tinydni check` in this process. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="tinydni check")
    check_command.add_arguments(parser)
    try:
        return check_command.main(parser.parse_args([str(word) for word in words]))
    except SystemExit as stop:      # argparse does not like the words
        return stop.code


LINEAR = ("--args", '{"n_in": 5, "n_out": 4}', "--input", "6,5")
COMMANDS = [
    (("right_linear.py:Linear", *LINEAR), 0, "Linear: right."),
    (("flipped_sign.py:Linear", *LINEAR), 1, "sign is flipped"),
    (("right_losses.py:CrossEntropy", "--loss", "--input", "6,5"), 0, "random labels"),
    (("right_losses.py:SquaredError", "--loss", "--input", "6,5", "--target", "bits"), 0,
     "random bits"),
    (("missing_n.py:MissingInBackward", "--loss", "--input", "6,5"), 1, "missing 1/N"),
    (("right_synthesizer.py:Synthesizer", "--args", '{"n_h": 5, "n_context": 3}', "--input", "6,5",
      "--context", "6,3"), 0, "dC"),
    (("activations.py:Logarithm", "--input", "6,5", "--between", "0.1,2"), 0, "right"),
    (("nowhere.py:Linear", *LINEAR), 2, "there is no file"),
    (("right_linear.py", *LINEAR), 2, "FILE.py:ClassName"),
    (("right_linear.py:Liner", *LINEAR), 2, "has no class Liner; it has Linear."),
    (("right_linear.py:Linear", "--input", "6,5"), 2,
     "missing a required argument: 'n_in'. It takes n_in, n_out"),
    (("right_linear.py:Linear", "--args", "n_in=5", "--input", "6,5"), 2, "is not JSON"),
    (("right_linear.py:Linear", "--args", "[5, 4]", "--input", "6,5"), 2, "must be an object"),
    (("right_linear.py:Linear", "--args", '{"n_in": "five", "n_out": 4}', "--input", "6,5"), 2,
     "right_linear.py, line 10: self.W = "),
    (("right_linear.py:Linear", *LINEAR[:2], "--input", "6,7"), 2, "does it fit the arguments?"),
    (("right_linear.py:Linear", *LINEAR[:2], "--input", "6,x"), 2, "a shape is a list"),
    (("right_linear.py:Linear", *LINEAR, "--seed", "-1"), 2, "seed"),
    (("right_linear.py:Linear", *LINEAR, "--loss"), 2, "that of a loss takes none"),
    (("right_losses.py:CrossEntropy", "--input", "6,5"), 2, "add --loss"),
    (("raises.py:Linear", *LINEAR), 2, "raises.py, line 17: self.dW = self.x.T @ dy"),
    (("unnamed_parameters.py:Linear", *LINEAR), 0, 'parameters = ("W", "b")'),
    (("right_layers.py:Embedding", "--input", "4,6:0..4"), 0, "dE"),
    (("wrong_layers.py:EmbeddingCountsOnce", "--input", "4,6:0..4"), 1, "dE is wrong at"),
    (("right_layers.py:Bilinear", "--input", "6,5", "--input", "6,5"), 0, "dx2"),
    (("right_layers.py:Attention", *"--input 3,4 --input 5,4 --input 5,2:0.1..0.9".split()), 0,
     "dv"),
    (("right_layers.py:Lookup", "--input", "4,1:0..4", "--input", "4,1,3"), 0, "ids holds whole"),
    (("right_layers.py:Split", "--input", "6,5"), 0, "right"),
    (("right_layers.py:Bilinear", "--input", "6,5"), 2, "forward takes x1, x2; got 1 input."),
    (("right_layers.py:Embedding", "--input", "4,6:4..0"), 2, "a shape is a list"),
    (("right_layers.py:Embedding", "--input", "4,6:0..9"), 2, "out of bounds"),
    (("right_leaky_relu.py:LeakyReLU", "--input", "6,5:0..1"), 2, "no parameters"),
]


@pytest.mark.parametrize("words, code, message", COMMANDS,
                         ids=[" ".join(words) for words, _, _ in COMMANDS])
def test_command(words, code, message, capsys):
    target, *options = words
    assert run_command(EXAMPLES / target, *options) == code
    out, err = capsys.readouterr()
    told, silent = (err, out) if code == 2 else (out, err)
    assert message in told and silent == "" and "Traceback" not in told


def test_command_reports_a_syntax_error_with_its_line(tmp_path, capsys):
    (tmp_path / "typo.py").write_text("class Linear:\n    def forward(self, x)\n        return x\n")
    assert run_command(tmp_path / "typo.py:Linear", "--input", "2,2") == 2
    assert "typo.py, line 2" in capsys.readouterr().err


def test_command_names_the_line_of_an_imported_file(tmp_path, capsys):
    (tmp_path / "base.py").write_text(
        "class Base:\n    def forward(self, x):\n        return x.nonsense\n\n"
        "    def backward(self, dy):\n        return dy\n")
    (tmp_path / "layer.py").write_text("from base import Base\n\nclass Layer(Base):\n    pass\n")
    assert run_command(tmp_path / "layer.py:Layer", "--input", "2,2") == 2
    assert "base.py, line 3: return x.nonsense" in capsys.readouterr().err


@pytest.mark.parametrize("text, message", [
    ("import nowhere_to_be_found", "No module named"), ("1 / 0", "by zero"),
    ("raise SystemExit(3)", "SystemExit"), ("def f(", "never closed")])
def test_command_names_what_fails_in_an_imported_file(text, message, tmp_path, capsys):
    (tmp_path / "broken_neighbour.py").write_text(text + "\n")
    (tmp_path / "layer.py").write_text("import broken_neighbour\n")
    assert run_command(tmp_path / "layer.py:Layer", "--input", "2,2") == 2
    assert message in (told := capsys.readouterr().err) and "broken_neighbour.py, line 1" in told


def test_command_says_when_it_cannot_tell(tmp_path, capsys):
    (tmp_path / "relu.py").write_text(
        "class ReLU:\n    def forward(self, x):\n        self.m = x > 0\n"
        "        return x * self.m\n\n    def backward(self, dy):\n        return dy * self.m\n")
    assert run_command(tmp_path / "relu.py:ReLU", "--input", "2,2:-1e-12..1e-12") == 2
    assert "kink" in capsys.readouterr().out


def test_command_checks_a_class_of_the_library_itself(capsys):
    import tinydni.linear as module

    assert run_command(f"{module.__file__}:Linear", *LINEAR) == 0
    assert "dW" in capsys.readouterr().out


# The pytest plugin --------------------------------------------------------------------------------

CLASSROOM = """
import sys
sys.path.insert(0, {examples!r})
from {module} import Linear
import numpy as np

def test_linear(assert_gradients):
    assert_gradients(Linear(5, 4, np.random.default_rng(0)), (6, 5))
"""


def run_pytest(folder, *options):
    """Runs pytest in a process of its own, with this plugin and no other."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    words = ["-q", "-p", "tinydni.pytest_plugin", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run([sys.executable, "-m", "pytest", *words], cwd=folder, env=environment,
                          capture_output=True, text=True, timeout=60)


def test_plugin_gives_the_fixture_and_a_short_failure(tmp_path):
    for module in ("right_linear", "flipped_sign"):
        text = CLASSROOM.format(examples=str(EXAMPLES), module=module)
        (tmp_path / f"test_{module}.py").write_text(text)
    done = run_pytest(tmp_path)
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout
    assert "Linear: dW is wrong at" in done.stdout and "sign is flipped" in done.stdout
    assert "checker.py" not in done.stdout and "gradcheck.assert_gradients(" not in done.stdout


def test_plugin_adds_one_fixture_and_nothing_else():
    from tinydni import pytest_plugin

    own = [name for name, value in vars(pytest_plugin).items()
           if getattr(value, "__module__", "") == pytest_plugin.__name__
           or "ixture" in type(value).__name__]
    assert own == ["assert_gradients"]


# The package --------------------------------------------------------------------------------------

def test_examples_in_the_docstrings_run():
    from tinydni.gradcheck import checker

    failed, tried = doctest.testmod(checker)
    assert tried and not failed


def test_it_needs_nothing_of_the_library_but_the_ground_floor():
    lines = {line for file in Path(check_command.__file__).parent.glob("*.py")
             for line in file.read_text(encoding="utf-8").splitlines()
             if "import" in line and "tinydni" in line.replace("tinydni.gradcheck", "")}
    assert {name for line in lines for name in line.split("import ")[1].split(", ")} == {
        "backend", "checks"}
