"""The checks: what they let pass, and the sentence they say otherwise."""

import numpy as np
import pytest

from tinydni import checks

f32 = np.float32


@pytest.mark.parametrize("call", [
    lambda: checks.check_positive_int(np.int32(4), "n"),
    lambda: checks.check_positive_int(0, "n", minimum=0),
    lambda: checks.check_range(0, "p", 0, 1),
    lambda: checks.check_range(np.float32(1), "p", 0, 1),
    lambda: checks.check_range(1e300, "lr", 0, None),
    lambda: checks.check_range(-5, "shift", None, None),
    lambda: checks.check_generator(np.random.default_rng(0)),
    lambda: checks.check_features(np.ones((1, 3), f32), 3, f32, "Layer"),
    lambda: checks.check_same_shape(np.ones((2, 3)), np.zeros((2, 3)), "a", "b"),
    lambda: checks.check_labels(np.array([0, 4, 2], np.uint8), 5, 3)])
def test_what_is_right_passes(call):
    call()


def test_numbers_come_back_as_plain_numbers():
    assert type(checks.check_positive_int(np.int64(3), "n")) is int
    assert type(checks.check_range(np.float64(0.5), "p", 0, 1)) is float


def test_a_generator_comes_back():
    rng = np.random.default_rng(0)
    assert checks.check_generator(rng) is rng


nan = float("nan")
WRONG = {
    "zero": (lambda: checks.check_positive_int(0, "n_in"), ValueError,
             "n_in must be at least 1; got 0."),
    "below the minimum": (lambda: checks.check_positive_int(-1, "n", 0), ValueError,
                          "n must be at least 0; got -1."),
    "not whole": (
        lambda: checks.check_positive_int(3.0, "n"),
        TypeError, "n must be a whole number; got 3.0 (float)."),
    "text": (lambda: checks.check_positive_int("3", "n"), TypeError,
             "n must be a whole number; got '3' (str)."),
    "a truth value": (
        lambda: checks.check_positive_int(True, "n"),
        TypeError, "n must be a whole number; got True (bool)."),
    "nothing": (
        lambda: checks.check_positive_int(None, "n"),
        TypeError, "n must be a whole number; got None (NoneType)."),
    "too low": (lambda: checks.check_range(-0.1, "p", 0, 1), ValueError,
                "p must lie in [0, 1]; got -0.1."),
    "too high": (lambda: checks.check_range(1.5, "p", 0, 1), ValueError,
                 "p must lie in [0, 1]; got 1.5."),
    "at an open end": (
        lambda: checks.check_range(1, "p", 0, 1, include_high=False),
        ValueError, "p must lie in [0, 1); got 1."),
    "at an open start": (
        lambda: checks.check_range(0, "eps", 0, None, include_low=False),
        ValueError, "eps must lie in (0, inf); got 0."),
    "NaN": (lambda: checks.check_range(nan, "lr", None, None), ValueError,
            "lr must lie in (-inf, inf); got nan."),
    "infinity": (
        lambda: checks.check_range(float("inf"), "lr", 0, None),
        ValueError, "lr must lie in [0, inf); got inf."),
    "a number as text": (
        lambda: checks.check_range("1", "lr", 0, 1),
        TypeError, "lr must be a number; got '1' (str)."),
    "a seed": (lambda: checks.check_generator(0), TypeError,
               "rng must be a numpy.random.Generator; got 0 (int). "
               "Make one with numpy.random.default_rng(seed)."),
    "another width": (lambda: checks.check_features(np.ones((2, 4), f32), 3, f32, "Linear"),
                      ValueError, "Linear: x must have shape (N, 3); got (2, 4)."),
    "no batch": (lambda: checks.check_features(np.ones(3, f32), 3, f32, "Linear"), ValueError,
                 "Linear: x must have shape (N, 3); got (3,)."),
    "another dtype": (
        lambda: checks.check_features(np.ones((2, 3)), 3, f32, "Linear"),
        TypeError, "Linear: x has dtype float64"),
    "whole numbers": (
        lambda: checks.check_features(np.ones((2, 3), np.int64), 3, np.dtype("float32"), "Linear"),
        TypeError, "Linear: x must be an array of float32 or float64; got ndarray of int64. "
        "Convert it once, with numpy.asarray(x, dtype='float32')."),
    "another shape": (lambda: checks.check_same_shape(np.ones((2, 3)), np.ones(2), "h", "target",
                                                      "Turn it."), ValueError,
                      "h has shape (2, 3), but target has shape (2,). Turn it."),
    "labels as floats": (lambda: checks.check_labels(np.ones(3), 5, 3), TypeError,
                         "target must be an array of whole numbers; got ndarray of float64."),
    "labels as truth values": (lambda: checks.check_labels(np.ones(3, bool), 5, 3), TypeError,
                               "target must be an array of whole numbers; got ndarray of bool."),
    "too many labels": (lambda: checks.check_labels(np.ones(4, int), 5, 3), ValueError,
                        "target must have shape (3,), a label per example; got (4,)."),
    "a label too large": (lambda: checks.check_labels(np.array([0, 1, 5]), 5, 3), ValueError,
                          "target must lie in 0 ... 4; got 5 at index 2."),
    "a negative label": (lambda: checks.check_labels(np.array([0, -1, 5]), 5, 3, "y"), ValueError,
                         "y must lie in 0 ... 4; got -1 at index 1."),
}


@pytest.mark.parametrize("call, error, message", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_what_was_got(call, error, message):
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value).startswith(message)
