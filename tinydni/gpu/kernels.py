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

    That is on CuPy, and on NumPy beside numba: pip install "tinydni[fast]". There BatchNorm,
    ReLU and LSTM become loops, too, and SGD stays as it is: its two operations cost less than the
    call of a loop in a small net. Elsewhere, and for a rule of your own, nothing changes. Returns
    the part itself.
    """
    check_can(part, "part", "a network or a module", "learners")
    for _, layer, optimizer in part.learners():
        loops = is_host(layer.xp) and has_numba()
        if type(optimizer) in FUSED and (
                hasattr(layer.xp, "ElementwiseKernel") or loops and optimizer.state_names):
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
    n_state = len(kind.state_names)
    state, numbers = state_and_numbers[:n_state], state_and_numbers[n_state:]
    kernel = kernel_of(kind, xp, tuple(constants))  # type: ignore[arg-type]
    kernel(dp, *constants.values(), *numbers, p, *state)


@lru_cache(maxsize=64)
def kernel_of(kind: type[Optimizer], xp: Any, constants: tuple[str, ...]) -> Any:
    """Make a kernel that runs a rule for every element: every array is read and written once.

    All names are of one type T, arrays or numbers; a number is as good as an array. p and the state
    are changed in place. The body of the rule is assignments between semicolons that are C and
    Python alike. In C a literal must be whole, or it makes a float a double.
    """
    _, numbers, body = FUSED[kind]
    numbers, changed = (*constants, *numbers), ("p", *kind.state_names)
    if is_host(xp):
        return loop(kind.__name__, numbers, changed, body)
    declared = (", ".join(f"T {each}" for each in names) for names in (("dp", *numbers), changed))
    return xp.ElementwiseKernel(*declared, body, kind.__name__)


def loop(name: str, numbers: tuple[str, ...], changed: tuple[str, ...], body: str) -> Any:
    """Make the same of NumPy arrays, as a loop that numba compiles.

    Bit for bit the plain rule: numba keeps the order of the operations, and their rounding. It
    compiles in the first step, which takes a second or two.
    """
    each = re.sub(rf"\b(dp|{'|'.join(changed)})\b", r"\1[i]", body)
    text = "\n ".join([f"def {name}({', '.join(('dp', *numbers, *changed))}):",
                       *(f"{number} = p.dtype.type({number})" for number in numbers),
                       f"for i in range(p.size): {each}"])
    namespace: dict[str, Any] = {"sqrt": math.sqrt}
    exec(text, namespace)
    compiled = import_module("numba").njit(error_model="numpy", nogil=True)(namespace[name])

    def kernel(dp: Array, *values: Any) -> None:
        arrays = values[len(numbers):]
        flat = [array.reshape(-1) for array in arrays]      # a copy of what is not contiguous
        compiled(dp.reshape(-1), *values[:len(numbers)], *flat)
        for array, new in zip(arrays, flat):
            if not array.flags.c_contiguous:
                array[...] = new.reshape(array.shape)
    return kernel
