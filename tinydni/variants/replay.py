"""Replay: modules with losses of their own, each at its own pace."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinydni.algorithms import Algorithm
from tinydni.backend import Array, moved, to_numpy
from tinydni.checks import check_bool, check_can, check_positive_int, check_range, check_same_shape
from tinydni.layer import Shape, zeros
from tinydni.random import stream
from tinydni.variants.controls import LocalHead
from tinydni.variants.late_targets import shapes_of

__all__ = ["Replay"]


class Replay(Algorithm):
    """Each module reads one of the last outputs of the module below, whenever it is ready.

    In a step the modules come in random order, and module k acts with probability rates[k]. It
    takes the batch of the step if it is the bottom one; any other draws one of the last `size`
    outputs of the module below, with their labels. It runs, updates itself and its classifier
    (`LocalHead`; the top has the loss), and puts its output h in the place of the oldest.

    Nobody waits for anybody: the forward lock is gone, too, at the price that x is old, and comes
    several times or never. In the first step all act in order, so that there is something to draw.
    With size 1, rates 1 and in_order it is `update_decoupled`. Where the top does not act, a step
    returns the loss of the last step in which it did. Source: Belilovsky et al. 2020,
    asynchronous decoupled greedy learning.

    Parameters
    ----------
    widths, batch_size, dtype : as in LateTargets
    size : outputs that are kept of each module below the top
    rates : a probability for each module, above 0; None, all 1
    in_order : from bottom to top in every step
    seed : of the draws

    Raises
    ------
    ValueError
        In the first step for another number of modules, for modules below the top without a
        LocalHead, or a context that is not the target as one-hot labels.
    """

    def __init__(self, widths: Sequence[int | Shape], batch_size: int, size: int,
                 rates: Sequence[float] | None = None, in_order: bool = False, seed: int = 0,
                 dtype: Any = np.float32):
        N, size = check_positive_int(batch_size, "batch_size"), check_positive_int(size, "size")
        shapes = shapes_of(widths)
        n = check_positive_int(len(shapes) - 1, "widths, less one,", minimum=2)
        check_can(rates, "rates", "a list of probabilities", "index", optional=True)
        self.rates = [check_range(rate, "rates", 0, 1, include_low=False)
                      for rate in ([1] * n if rates is None else rates)]
        if len(self.rates) != n:
            raise ValueError(f"rates must have one number for each of {n} modules; got {rates}.")
        self.size, self.in_order, self.steps = size, check_bool(in_order, "in_order"), 0
        self.rng = stream(seed, "update")
        self.outputs = [zeros((size, N, *shape), dtype) for shape in shapes[1:-1]]
        self.labels = [zeros((size, N, *shapes[-1]), dtype) for _ in self.outputs]
        self.made = np.zeros(len(self.outputs), np.int64)       # outputs so far, of each module

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        first = self.steps == 0
        if first:
            self.check(modules, target, context)
        order = list(range(len(modules)))
        if not (first or self.in_order):
            self.rng.shuffle(order)
        for k in order:
            if first or self.rng.random() < self.rates[k]:
                self.act(k, modules[k], x, target, context)
        self.steps += 1

    def act(self, k: int, module: Any, x: Array, target: Array, context: Array) -> None:
        """Let module k learn from a batch, and keep its output."""
        if k > 0:
            i = self.rng.integers(min(self.made[k - 1], self.size))
            x, context = self.outputs[k - 1][i], self.labels[k - 1][i]
            target = context.argmax(axis=1)
        _, h = module.forward_and_synthetic_update(x, context, target)
        if k < len(self.outputs):
            module.update_synthetic_weights(h)          # a LocalHead does not read the message
            i = self.made[k] % self.size
            check_same_shape(h, self.outputs[k][i], "Replay: an output", "what it was made for",
                             "Say so in its `widths` and `batch_size`.")
            self.outputs[k][i], self.labels[k][i] = h, context
            self.made[k] += 1

    def check(self, modules: Sequence[Any], target: Array, context: Array | None) -> None:
        """Raise ValueError for modules or labels that this was not made for."""
        if len(modules) != len(self.rates):
            raise ValueError(f"Replay was made for {len(self.rates)} modules, one less than its "
                             f"widths; got {len(modules)}.")
        for module in modules[:-1]:
            if not isinstance(module.synthesizer, LocalHead):
                raise ValueError("Replay: no message comes down, so every module below the top "
                                 f"needs a LocalHead as its synthesizer; got {module!r}.")
        labels = self.labels[0][0]
        if context is not None:
            check_same_shape(context, labels, "Replay: context", "what it was made for",
                             "Say so in its `widths` and `batch_size`.")
        one_hot = np.eye(labels.shape[-1])[to_numpy(target)]
        if context is None or not np.array_equal(to_numpy(context), one_hot):
            got = "None" if context is None else "another"
            raise ValueError("Replay keeps the context in the place of the target: it must be the "
                             f"same labels, one-hot; got {got}.")

    def arrays(self) -> Iterator[tuple[str, Any]]:
        yield from [("steps", (self, "steps")), ("made", self.made), ("draws", self.rng)]
        for name in ("outputs", "labels"):
            yield from ((f"{name}.{k}", kept) for k, kept in enumerate(getattr(self, name)))

    def to(self, xp: Any = None, dtype: Any = None) -> "Replay":
        self.outputs, self.labels = ([moved(kept, xp, dtype) for kept in all_kept]
                                     for all_kept in (self.outputs, self.labels))
        return self

    def __repr__(self) -> str:
        return f"Replay(size={self.size}, rates={self.rates})"
