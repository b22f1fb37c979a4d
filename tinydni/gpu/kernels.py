"""The rule of an optimizer as one kernel: a GPU launches it once instead of once per operation.

On a CPU, where numba is installed, it is one loop: every array passes through the cache once. The
classes have the plain optimizers' names, so that a network reads the same, fused or not.
"""

import math
import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from tinydni import optimizers
from tinydni.backend import Array, is_host
from tinydni.checks import check_can
from tinydni.gpu.loops import use_loops
from tinydni.layer import Part
from tinydni.optimizers import Optimizer

__all__ = ["fuse"]

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
        if hasattr(layer.xp, "ElementwiseKernel") or loops and optimizer.state_names:
            optimizer.__class__ = FUSED.get(type(optimizer), type(optimizer))
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


def in_one_launch(plain: Any, constants: str, numbers: str, body: str) -> Callable[..., None]:
    """Return the rule of an optimizer as one launch, or one loop; as it is, where neither fits.

    constants: attributes of the optimizer    numbers: what changes from step to step
    body: the same chain of operations as `plain.rule`, over p, dp, the state and these names;
    assignments between semicolons that are C and Python alike. In C a literal must be whole, or it
    makes a float a double.
    """
    fixed, n_state = constants.split(), len(plain.state_names)
    names = (*fixed, *numbers.split())

    def rule(self: Any, xp: Any, p: Array, dp: Array, *rest: Any) -> None:
        state, kernel = rest[:n_state], kernel_of(plain, xp, names, body)
        if kernel is None or is_host(xp) and not alike(p, dp, *state):
            return plain.rule(self, xp, p, dp, *rest)
        kernel(dp, *(getattr(self, name) for name in fixed), *rest[n_state:], p, *state)
    return rule


def alike(p: Array, *others: Array) -> bool:
    """Tell whether a loop may run over these arrays: of one shape, and numbers that numba knows."""
    known = p.dtype.char in "fd" and p.dtype.isnative
    return known and all(a.shape == p.shape and a.dtype == p.dtype for a in others)


@lru_cache(maxsize=64)
def kernel_of(plain: Any, xp: Any, names: tuple[str, ...], body: str) -> Any:
    """Make a kernel that runs a rule for every element: every array is read and written once.

    All names are of one type T, arrays or numbers; a number is as good as an array. p and the state
    are changed in place. None on a CPU without numba, and for a rule without state there.
    """
    changed = ("p", *plain.state_names)
    if is_host(xp):
        useful = bool(plain.state_names) and has_numba()
        return loop(plain.__name__, names, changed, body) if useful else None
    declared = (", ".join(f"T {each}" for each in given) for given in (("dp", *names), changed))
    return xp.ElementwiseKernel(*declared, body, plain.__name__)


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


class SGD(optimizers.SGD):
    """The plain rule, on a device in one launch."""

    rule = in_one_launch(optimizers.SGD, "", "rate", "p -= rate * dp")


class Momentum(optimizers.Momentum):
    """The plain rule in one launch."""

    rule = in_one_launch(optimizers.Momentum, "mu", "rate", "v = mu * v + dp; p -= rate * v")


class RMSProp(optimizers.RMSProp):
    """The plain rule in one launch."""

    share = property(lambda self: 1 - self.rho)
    rule = in_one_launch(optimizers.RMSProp, "rho share eps", "rate",
                         "v = rho * v + share * (dp * dp); p -= rate * dp / (sqrt(v) + eps)")


class Adam(optimizers.Adam):
    """The plain rule in one launch."""

    rule = in_one_launch(optimizers.Adam, "b1 b2", "rate least", "M = b1 * M + dp; "
                         "V = b2 * V + dp * dp; p -= rate * (M / (sqrt(V) + least))")


FUSED: dict[type[Optimizer], type[Optimizer]] = {
    optimizers.SGD: SGD, optimizers.Momentum: Momentum, optimizers.RMSProp: RMSProp,
    optimizers.Adam: Adam}
