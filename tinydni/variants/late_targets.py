"""Late targets: guesses that learn from true gradients, which arrive some steps late."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.algorithms import Algorithm
from tinydni.backend import Array, moved
from tinydni.layer import Layer, Shape, zeros

__all__ = ["LateTargets"]


class LateTargets(Algorithm):
    """Blocks update at once on a guess; synthesizers learn from the true gradient, late.

    In step t module k, counted from 0, of L modules

    1. takes the message dh that arrived about its batch of step t - n,   n = (L - 1 - k) · delay,
       runs its block again on the input that it kept, h = block(x_{t-n}), and passes dx down;
       its synthesizer learns dh. The block does not update;
    2. runs on the batch of step t and updates on its own guess, as in `update_decoupled`.

    The top sends its true gradient, so that every message is true but for the updates that blocks
    took on its way. No update waits for a module above: the update lock and the backward lock are
    gone, the forward lock stays. Between modules pass one h up and one dh down in a step, as in
    `update_decoupled`. It costs one more forward and backward pass of each block below the top
    (forward alone in the bottom one), and the memory of the inputs under way: n batches in module
    k, L (L - 1) / 2 · delay in all, and `delay` messages at each interface.

    delay = 0 is the control: the same targets without delay, but every lock is back. share = 1
    with delay = 0 is `update_decoupled`. The recomputation is that of Huo et al. 2018 ("Training
    neural networks using features replay"), who update blocks on the late gradient itself.

    Parameters
    ----------
    widths : (D, H1, ..., K) as `mlp` takes them; a shape (H, W, C) in the place of a number where
        images pass
    batch_size : N of every step; needed because what is under way is saved with the network
    delay : steps that a message takes from module to module
    share : of a module's own guess in what it passes down, dx = dh block'(x) for
        dh = (1 - share) arrived + share · guess
    n_context : width, or shape, of the context that the synthesizers see, if any
    dtype : of what is kept

    Raises
    ------
    ValueError
        In a step with another number of modules, another batch size or other shapes, with blocks
        that draw random numbers, a loss below the top, or the bottom module's h as a context.

    Examples
    --------
    >>> import numpy as np, tinydni as td
    >>> widths, rng = (64, 32, 32, 10), np.random.default_rng(0)
    >>> net = td.build(td.mlp(widths, rng), td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer,
    ...                0.1, algorithm=LateTargets(widths, batch_size=5))
    >>> [array.shape for array in net.algorithm.inputs]
    [(2, 5, 64), (1, 5, 32)]
    """

    def __init__(self, widths: Sequence[int | Shape], batch_size: int, delay: int = 1,
                 share: float = 0.0, n_context: int | Shape = 0, dtype: Any = np.float32):
        N = checks.check_positive_int(batch_size, "batch_size")
        self.delay = checks.check_positive_int(delay, "delay", minimum=0)
        self.share = checks.check_range(share, "share", 0, 1)
        shapes = shapes_of(widths)
        context_shape = (n_context if isinstance(n_context, tuple)
                         else (checks.check_positive_int(n_context, "n_context", minimum=0),))
        self.n_modules = checks.check_positive_int(len(shapes) - 1, "widths, less one,")
        self.steps = 0
        lags = [(self.n_modules - 1 - k) * delay for k in range(self.n_modules - 1)]
        self.inputs = [zeros((lag, N, *shape), dtype) for lag, shape in zip(lags, shapes)]
        self.messages = [zeros((delay, N, *shape), dtype) for shape in shapes[1:-1]]
        self.contexts = zeros((max(lags, default=0), N, *context_shape), dtype)

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        if self.steps == 0:
            self.check(modules)
        step = self.late_step if self.delay else self.locked_step
        step(modules, x, target, context)
        self.steps += 1

    def late_step(self, modules: Sequence[Any], x: Array, target: Array,
                  context: Array | None) -> None:
        """Make one step in which every message is `delay` steps on its way."""
        h, t = x, self.steps
        for k, module in enumerate(modules[:-1]):
            if t >= len(self.inputs[k]):
                self.learn_late(k, module, context is not None)
            self.keep(self.inputs[k], h)
            _, h = module.forward_and_synthetic_update(h, context, target)
        dx, _ = modules[-1].forward_and_synthetic_update(h, context, target)
        if self.messages:
            self.keep(self.messages[-1], dx)
        if context is not None:
            self.keep(self.contexts, context)

    def learn_late(self, k: int, module: Any, sees_context: bool) -> None:
        """Run a block again on the batch that a message is about; learn it and pass it down."""
        x, dh = (kept[self.steps % len(kept)] for kept in (self.inputs[k], self.messages[k]))
        step = self.steps - len(self.inputs[k])
        context = self.contexts[step % len(self.contexts)] if sees_context else None
        h = run_again(module.block, x)
        if k > 0:
            self.keep(self.messages[k - 1], module.backward(self.mixed(module, h, context, dh)))
        module.learn(h, context, dh)

    def locked_step(self, modules: Sequence[Any], x: Array, target: Array,
                    context: Array | None) -> None:
        """Make the same step without delay: the true gradient of this batch, before any update."""
        hs = [x]
        for module in modules:
            hs.append(module.forward(hs[-1]))
        top = modules[-1]
        dh = top.backward(top.gradient_at_output(hs[-1], context, target))
        top.update()
        for k in reversed(range(len(modules) - 1)):
            module, h, arrived = modules[k], hs[k + 1], dh
            if k > 0:
                dh = module.backward(self.mixed(module, h, context, arrived))
            if module.applies:
                module.backward(module.gradient_at_output(h, context))
                module.update()
            module.learn(h, context, arrived)

    def mixed(self, module: Any, h: Array, context: Array | None, dh: Array) -> Array:
        """Return what a module passes down: what arrived, and its share of guess."""
        if self.share == 0:
            return dh
        return (1 - self.share) * dh + self.share * module.gradient_at_output(h, context)

    def keep(self, kept: Array, array: Array) -> None:
        """Put an array (N, ...) of this step in the place of the oldest one."""
        name = f"{type(self).__name__}: an array of this step"
        checks.check_same_shape(array, kept[0], name, "what it was made for",
                                "Say so in its `widths` and `batch_size`.")
        if array.dtype != kept.dtype:
            raise TypeError(f"{name} has dtype {array.dtype}, but it was made for {kept.dtype}. "
                            "Say so in its `dtype`.")
        kept[self.steps % len(kept)] = array

    def check(self, modules: Sequence[Any]) -> None:
        """Raise ValueError for modules that this was not made for."""
        name = type(self).__name__
        if len(modules) != self.n_modules:
            raise ValueError(f"{name} was made for {self.n_modules} modules, one less than its "
                             f"widths; got {len(modules)}.")
        check_can_run_again(modules[:-1], name)

    def arrays(self) -> Iterator[tuple[str, Any]]:
        yield "steps", (self, "steps")
        yield "contexts", self.contexts
        for name in ("inputs", "messages"):
            yield from ((f"{name}.{k}", kept) for k, kept in enumerate(getattr(self, name)))

    def to(self, xp: Any = None, dtype: Any = None) -> "LateTargets":
        self.inputs, self.messages = ([moved(kept, xp, dtype) for kept in all_kept]
                                      for all_kept in (self.inputs, self.messages))
        self.contexts = moved(self.contexts, xp, dtype)
        return self

    def __repr__(self) -> str:
        return f"LateTargets(delay={self.delay}, share={self.share:g})"


def shapes_of(widths: Sequence[int | Shape]) -> list[Shape]:
    """Return as shapes, without N, what passes between modules, x and the output included."""
    checks.check_can(widths, "widths", "a list of widths or shapes", "index")
    return [tuple(checks.check_sizes(width if isinstance(width, tuple) else (width,), "widths"))
            for width in widths]


def check_can_run_again(modules: Sequence[Any], owner: str) -> None:
    """Raise ValueError for modules below the top whose messages would not be true."""
    for module in modules:
        if module.loss is not None or module.gives_context:
            raise ValueError(f"{owner}: below the top, a module must have no loss and give "
                             f"no context; got {module!r}.")
        if any(isinstance(thing, np.random.Generator) for _, thing in module.block.arrays()):
            raise ValueError(f"{owner} runs a block twice, and one that draws random numbers "
                             f"would be another the second time; got {module.block!r}.")


def run_again(block: Layer, x: Array) -> Array:
    """Return block(x); running statistics have counted this batch already, and are put back."""
    counted = [(getattr(layer, name), getattr(layer, name).copy())
               for _, layer in block.walk() for name in layer.buffers]
    h = block.forward(x)
    for buffer, before in counted:
        buffer[...] = before
    return h
