"""The rule of an optimizer as one kernel: a GPU launches it once instead of once per operation."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from tinydni.backend import Array
from tinydni.layer import Part
from tinydni.optimizers import SGD, Adam, Momentum, Optimizer, RMSProp

__all__ = ["fuse"]

# For each rule: its constants, its numbers that change from step to step, and the same chain of
# operations as `Optimizer.rule`, as the body of a kernel over p, dp, the state and these names.
FUSED: dict[type[Optimizer], tuple[Callable[[Any], dict[str, float]], tuple[str, ...], str]] = {
    SGD: (lambda o: {}, ("rate",), "p -= rate * dp"),
    Momentum: (lambda o: {"mu": o.mu}, ("rate",), "v = mu * v + dp; p -= rate * v"),
    RMSProp: (lambda o: {"rho": o.rho, "share": 1 - o.rho, "eps": o.eps}, ("rate",),
              "v = rho * v + share * (dp * dp); p -= rate * dp / (sqrt(v) + eps)"),
    Adam: (lambda o: {"b1": o.b1, "b2": o.b2}, ("rate", "least"),
           "M = b1 * M + dp; V = b2 * V + dp * dp; p -= rate * (M / (sqrt(V) + least))"),
}

T = TypeVar("T", bound=Part)


def fuse(part: T) -> T:
    """Let every optimizer of a network or module on CuPy change a parameter in one launch.

    Elsewhere, and for a rule of your own, nothing changes. Returns the part itself.
    """
    for _, layer, optimizer in part.learners():
        if hasattr(layer.xp, "ElementwiseKernel") and type(optimizer) in FUSED:
            optimizer.rule = fused_rule(optimizer)
    return part


def fused_rule(optimizer: Optimizer) -> Callable[..., None]:
    """Return the rule of an optimizer as a function that launches one kernel."""
    constants_of, numbers, body = FUSED[type(optimizer)]
    constants, n_state = constants_of(optimizer), len(optimizer.state_names)

    def rule(xp: Any, p: Array, dp: Array, *state_and_numbers: Any) -> None:
        kernel = chain(xp, type(optimizer).__name__, ("dp", *constants, *numbers),
                       ("p", *optimizer.state_names), body)
        state, values = state_and_numbers[:n_state], state_and_numbers[n_state:]
        kernel(dp, *constants.values(), *values, p, *state)
    return rule


@lru_cache(maxsize=64)
def chain(xp: Any, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...], body: str) -> Any:
    """Make a kernel that runs `body` for every element: every array is read and written once.

    All names are of one type T, arrays or numbers; a number is as good as an array. What is in
    `outputs` may be read, too, and is then changed in place. `body` is assignments between
    semicolons that are C and Python alike. In C a literal must be whole, or it makes a float a
    double.
    """
    declared = (", ".join(f"T {each}" for each in names) for names in (inputs, outputs))
    return xp.ElementwiseKernel(*declared, body, name)
