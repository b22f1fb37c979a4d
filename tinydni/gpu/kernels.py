"""The rule of an optimizer as one kernel: a GPU launches it once instead of once per operation.

On a CPU, where numba is installed, it is one loop: every array passes through the cache once.
"""

import math
import re
import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from tinydni.backend import Array, is_host
from tinydni.checks import check_can
from tinydni.gpu.loops import use_loops
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
    """Let every optimizer of a network or module change a parameter in one launch, or one loop.

    That is on CuPy, and on NumPy beside numba: pip install "tinydni[fast]". There BatchNorm and
    ReLU become loops, too. Elsewhere, and for a rule of your own, nothing changes. Returns the
    part itself.
    """
    check_can(part, "part", "a network or a module", "learners")
    for _, layer, optimizer in part.learners():
        loops = is_host(layer.xp) and has_numba()
        if (loops or hasattr(layer.xp, "ElementwiseKernel")) and type(optimizer) in FUSED:
            optimizer.rule = fused_rule(optimizer)
        if loops:
            use_loops(layer)
    return part


def has_numba() -> bool:
    """Tell whether numba can be imported; warn where it is installed and cannot."""
    if not find_spec("numba"):
        return False
    try:
        import_module("numba")
    except ImportError as error:
        warnings.warn(f"numba is installed, but cannot be imported ({error}), so nothing is made a "
                      "loop. Install a version that fits, or remove it.", stacklevel=3)
        return False
    return True


def fused_rule(optimizer: Optimizer) -> Callable[..., None]:
    """Return the rule of an optimizer as a function that launches one kernel."""
    return partial(launch, type(optimizer), FUSED[type(optimizer)][0](optimizer))


def launch(kind: type[Optimizer], constants: dict[str, float], xp: Any, p: Array, dp: Array,
           *state_and_numbers: Any) -> None:
    """Run the kernel of a rule, as `Optimizer.rule` would change p and the state."""
    _, numbers, body = FUSED[kind]
    n_state = len(kind.state_names)
    kernel = chain(xp, kind.__name__, ("dp", *constants, *numbers), ("p", *kind.state_names), body)
    state, values = state_and_numbers[:n_state], state_and_numbers[n_state:]
    kernel(dp, *constants.values(), *values, p, *state)


@lru_cache(maxsize=64)
def chain(xp: Any, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...], body: str) -> Any:
    """Make a kernel that runs `body` for every element: every array is read and written once.

    All names are of one type T, arrays or numbers; a number is as good as an array. What is in
    `outputs` may be read, too, and is then changed in place. `body` is assignments between
    semicolons that are C and Python alike. In C a literal must be whole, or it makes a float a
    double.
    """
    if is_host(xp):
        return loop(name, inputs, outputs, body)
    declared = (", ".join(f"T {each}" for each in names) for names in (inputs, outputs))
    return xp.ElementwiseKernel(*declared, body, name)


def loop(name: str, inputs: tuple[str, ...], outputs: tuple[str, ...], body: str) -> Any:
    """Make the same of NumPy arrays, as a loop that numba compiles.

    Bit for bit the plain rule: numba keeps the order of the operations, and their rounding. It
    compiles in the first step, which takes a second or two.
    """
    arrays = ("dp", *outputs)
    text = (f"def {name}({', '.join((*inputs, *outputs))}):\n for i in range(p.size): "
            + re.sub(rf"\b({'|'.join(arrays)})\b", r"\1[i]", body))
    namespace: dict[str, Any] = {"sqrt": math.sqrt}
    exec(text, namespace)
    compiled = import_module("numba").njit(error_model="numpy", nogil=True)(namespace[name])

    def kernel(dp: Array, *values: Any) -> None:
        numbers, changed = values[:len(inputs) - 1], values[len(inputs) - 1:]
        T = changed[0].dtype.type
        compiled(dp.reshape(-1), *map(T, numbers), *(array.reshape(-1) for array in changed))
    return kernel
