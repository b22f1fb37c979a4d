"""Gradient checks: is what `backward` says what `forward` does?

    assert_gradients(Linear(5, 4, rng), (6, 5))                 a layer, at a random x of that shape
    assert_gradients(SoftmaxCrossEntropy(), logits, labels)     a loss
    print(check_layer(layer, x))                                the same, as a report

They work on any class that keeps the contract: `forward`, `backward`, the names of its learned arrays in
`parameters`, and the gradient of `W` in `dW`. No base class is needed.
"""

from tinydni.gradcheck.checker import (Settings, assert_gradients, check, check_layer, check_loss,
                                     check_synthesizer)
from tinydni.gradcheck.contract import ContractError
from tinydni.gradcheck.report import GradientError, Report

__all__ = ["ContractError", "GradientError", "Report", "Settings", "assert_gradients", "check", "check_layer",
           "check_loss", "check_synthesizer"]
