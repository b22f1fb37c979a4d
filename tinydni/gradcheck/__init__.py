"""Gradient checks: whether `backward` says what `forward` does.

    assert_gradients(Linear(5, 4, rng), (6, 5))                 a layer, at a random x of that shape
    assert_gradients(SoftmaxCrossEntropy(), logits, labels)     a loss
    print(check_layer(layer, x))                                the same, as a report

They work on any class that has `forward` and `backward` and keeps its learned arrays and their
gradients where one can find them: the names in `parameters`, the gradient of `W` in `dW`; or in
`params` and `grads`. No base class is needed.
"""

from tinydni.gradcheck.checker import (
                                       assert_gradients,
                                       check,
                                       check_layer,
                                       check_loss,
                                       check_synthesizer,
)
from tinydni.gradcheck.contract import ContractError
from tinydni.gradcheck.gradient_report import ArrayReport, GradientError, Report
from tinydni.gradcheck.numerical_gradient import Settings

__all__ = ["ArrayReport", "ContractError", "GradientError", "Report", "Settings",
           "assert_gradients", "check", "check_layer", "check_loss", "check_synthesizer"]
