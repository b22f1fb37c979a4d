"""Decoupled neural interfaces: the module, and the network of modules."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from tinydni import checks
from tinydni.algorithms import Algorithm, update_decoupled
from tinydni.backend import Array
from tinydni.layer import Layer, Part, Shape
from tinydni.losses import Loss
from tinydni.optimizers import Optimizer, as_optimizer
from tinydni.synthesizers import Synthesizer

__all__ = ["DNI", "Network", "build", "to_delta", "to_dh"]


def to_delta(dh: Array) -> Array:
    """From a message, dh of the batch-mean loss, to delta of each example's own loss: N dh."""
    checks.check_floats(dh, "DNI", "the message, a true gradient,")
    return dh * len(dh)


def to_dh(delta: Array) -> Array:
    """From delta of each example's own loss to dh of the batch-mean loss: delta / N."""
    return delta / len(delta)


class DNI(Part):
    """A block of layers with an interface at its output (Jaderberg et al. 2016, section 2).

    h = block(x),   dh = synthesizer(h, context) / N, or the loss's own gradient, or their sum,
    dx = gradient of the loss with respect to x: the message for the module below.
    x (N, D), h (N, H);   context (N, C): what the synthesizer may see beside h, or None.

    Parameters
    ----------
    block : a layer
    lr : a learning rate, or an optimizer, for the block
    synthesizer, synthesizer_lr : guess the gradient at h; None in a module that has only the loss
    loss : None in all modules but the top

    Examples
    --------
    >>> import numpy as np, tinydni as td
    >>> td.DNI(td.Linear(4, 3, np.random.default_rng(0)), 0.1, td.LinearSynthesizer(3), 0.1)
    DNI(Linear(4 -> 3), SGD(lr=0.1), LinearSynthesizer(3 -> 3))
    """

    h: Any = None               # what the synthesizer saw last
    context: Any = None
    loss_value: Any = None
    applies = True              # False in warm-up: the synthesizer learns, the block stays
    gives_context = False       # True where the synthesizers above see this h as their context

    def __init__(self, block: Layer, lr: float | Optimizer, synthesizer: Synthesizer | None = None,
                 synthesizer_lr: float | Optimizer | None = None, loss: Loss | None = None):
        if (synthesizer is None) != (synthesizer_lr is None):
            raise ValueError("synthesizer and synthesizer_lr go together; one of them is missing.")
        checks.check_can(block, "block", "a layer, such as ReLU()", "forward", "backward")
        checks.check_can(synthesizer, "synthesizer", "a synthesizer", "learn", optional=True)
        wanted = "no layer" if isinstance(loss, Layer) else "backward"
        checks.check_can(loss, "loss", "a loss, and no layer,", wanted, optional=True)
        self.block, self.optimizer = block, as_optimizer(lr)
        self.synthesizer, self.loss = synthesizer, loss
        self.synthesizer_optimizer = (None if synthesizer_lr is None
                                      else as_optimizer(synthesizer_lr))

    def forward_and_synthetic_update(self, x: Array, context: Array | None = None,
                                     target: Array | None = None) -> tuple[Array, Array]:
        """Run the block, guess the gradient at its output, update at once.

        Returns the messages (dx, h). dx is made before the update, with the weights that made h.
        """
        h = self.forward(x)
        dx = self.backward(self.gradient_at_output(h, context, target))
        if self.applies:
            self.update()
        return dx, h

    def update_synthetic_weights(self, true_gradient: Array) -> None:
        """Move the synthesizer towards the message of the module above, about the last h (N, H)."""
        if self.h is None and self.synthesizer is not None:
            raise RuntimeError("update_synthetic_weights came before the first forward: no h yet.")
        self.learn(self.h, self.context, true_gradient)

    # The separate steps, from which other algorithms are made.

    def forward(self, x: Array) -> Array:
        """Return h (N, H) = block(x). In evaluation this is plain inference."""
        return self.block.forward(x)

    def gradient_at_output(self, h: Array, context: Array | None = None,
                           target: Array | None = None) -> Array:
        """Return dh (N, H), from the loss, the synthesizer, or both."""
        dh = None
        if self.loss is not None:
            if target is None:
                raise ValueError("target is missing: this module has the loss and needs it.")
            self.loss_value = self.loss.forward(h, target)
            dh = self.loss.backward()
        if self.synthesizer is not None:
            self.h, self.context = h, context
            delta_hat = self.synthesizer.forward(h, context)
            checks.check_same_shape(delta_hat, h, "the synthetic gradient", "h",
                             "Build the synthesizer for the width of this block.")
            dh = to_dh(delta_hat) if dh is None else dh + to_dh(delta_hat)
        if dh is None:
            raise ValueError("this module has neither a synthesizer nor a loss; give it one.")
        return dh

    def backward(self, dh: Array) -> Array:
        """Return dx (N, D), the message for the module below; set the gradients of the block."""
        return self.block.backward(dh)

    def update(self) -> None:
        """Take one step of the block."""
        self.optimizer.step(self.block)

    def learn(self, h: Array, context: Array | None, true_gradient: Array) -> None:
        """Take one step of the synthesizer on a message, however late it comes."""
        if self.synthesizer is None or self.synthesizer_optimizer is None:
            raise ValueError("this module has no synthesizer that could learn from a message.")
        self.synthesizer.learn(h, context, to_delta(true_gradient), self.synthesizer_optimizer)

    def context_above(self, h: Array, context: Array | None) -> Array | None:
        """Return what the synthesizers above may see: the context, or this module's output."""
        return h if self.gives_context else context

    # What the network does with all its modules.

    def learners(self) -> Iterator[tuple[str, Layer, Optimizer]]:
        yield "block", self.block, self.optimizer
        if self.synthesizer is not None and self.synthesizer_optimizer is not None:
            yield "synthesizer", self.synthesizer, self.synthesizer_optimizer

    def to(self, xp: Any = None, dtype: Any = None) -> "DNI":
        super().to(xp, dtype)
        if self.loss is not None:
            self.loss.to(xp, dtype)
        return self

    def __repr__(self) -> str:
        parts = (self.block, self.optimizer, self.synthesizer, self.loss)
        return f"{type(self).__name__}({', '.join(repr(p) for p in parts if p is not None)})"


class Network(Part):
    """Modules, bottom to top, under an algorithm: one object to train, to predict with, to save.

    Parameters
    ----------
    modules : of DNI
    algorithm : a function of (modules, x, target, context), see algorithms.py
    warm_up : first steps in which synthesizers learn but are not yet applied to their blocks
    """

    def __init__(self, modules: Iterable[DNI], algorithm: Callable[..., None] = update_decoupled,
                 warm_up: int = 0):
        several = isinstance(modules, Iterable) and not isinstance(modules, np.ndarray)
        self.modules = list(modules) if several else []
        if not self.modules:
            raise ValueError(f"modules must be a list of at least one module; got {modules!r}.")
        for module in self.modules:
            checks.check_can(module, "modules", "DNI modules, as DNI(layer, lr)", "context_above")
        checks.check_functions(optional=False, algorithm=algorithm)
        self.algorithm = algorithm
        self.warm_up = checks.check_positive_int(warm_up, "warm_up", minimum=0)
        if warm_up and all(path.endswith(".block") for path, _, _ in self.learners()):
            raise ValueError(f"warm_up={warm_up} does nothing without synthesizers; leave it out.")
        self.steps = 0

    def step(self, x: Array, target: Array, context: Array | None = None) -> Array:
        """Train on one batch. Return the loss before the update (a scalar of the backend)."""
        check_backend(x, self.modules[0].block)
        for module in self.modules[:-1]:
            module.applies = self.steps >= self.warm_up
        self.algorithm(self.modules, x, target, context)
        self.steps += 1
        return self.modules[-1].loss_value

    def predict(self, x: Array, batch_size: int = 2000) -> Array:
        """Return the outputs (N, M) in evaluation mode. Labels and synthesizers take no part."""
        checks.check_positive_int(batch_size, "batch_size")
        checks.check_array(x, "x")
        if 0 in x.shape[:1] or not x.shape:
            raise ValueError(f"x has no example to predict; got shape {x.shape}.")
        bottom, parts = self.modules[0].block, []
        check_backend(x, bottom)
        training = bottom.training
        self.eval()
        try:
            for start in range(0, len(x), batch_size):
                h = x[start:start + batch_size]
                for module in self.modules:
                    h = module.forward(h)
                parts.append(h)
        finally:
            self.train(training)
        return bottom.xp.concatenate(parts)

    def train(self, training: bool = True) -> "Network":
        """Switch all blocks to training. Return the network itself."""
        for module in self.modules:
            module.block.train(training)
        return self

    def eval(self) -> "Network":
        """Switch all blocks to evaluation. Return the network itself."""
        return self.train(False)

    def scale_learning_rates(self, scale: float, synthesizers: float | None = None) -> None:
        """Give every optimizer the scale of a schedule; synthesizers may have one of their own."""
        for path, _, optimizer in self.learners():
            own = synthesizers is not None and not path.endswith(".block")
            optimizer.scale = checks.check_range(synthesizers if own else scale, "scale", 0, None)

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Yield (path, part): the modules, and an algorithm that has something of its own."""
        yield from ((str(i), module) for i, module in enumerate(self.modules))
        if isinstance(self.algorithm, Algorithm):
            yield "algorithm", self.algorithm

    def learners(self) -> Iterator[tuple[str, Layer, Optimizer]]:
        for path, part in self.parts():
            for name, layer, optimizer in part.learners():
                yield f"{path}.{name}", layer, optimizer

    def arrays(self) -> Iterator[tuple[str, Any]]:
        yield "steps", (self, "steps")
        for path, part in self.parts():
            yield from ((f"{path}.{name}", thing) for name, thing in part.arrays())

    def to(self, xp: Any = None, dtype: Any = None) -> "Network":
        for _, part in self.parts():
            part.to(xp, dtype)
        return self

    def synthesizers(self) -> list[Synthesizer]:
        """Return the synthesizers, bottom to top; a module with the loss alone has none."""
        return [module.synthesizer for module in self.modules if module.synthesizer is not None]

    def n_parameters(self) -> int:
        """Count the learned values in the blocks; synthesizers are used in training only."""
        return sum(module.block.n_parameters() for module in self.modules)

    def __repr__(self) -> str:
        modules = "".join(f"\n  {i}: {module!r}," for i, module in enumerate(self.modules))
        name = getattr(self.algorithm, "__name__", None) or repr(self.algorithm)
        return f"{type(self).__name__}({name}:{modules[:-1]})"


def check_backend(x: Array, block: Layer) -> None:
    """Raise TypeError for a NumPy array where the network is on a device."""
    if isinstance(x, np.ndarray) and block.xp is not np:
        raise TypeError("x is a NumPy array, but the network is on another backend: use asarray.")


def build(blocks: Sequence[Layer], loss: Loss, lr: float | Callable[[], Optimizer],
          synthesizer: Callable[..., Synthesizer] | None = None,
          synthesizer_lr: float | Callable[[], Optimizer] | None = None,
          input_shape: Shape = (None,), algorithm: Callable[..., None] = update_decoupled,
          warm_up: int = 0, top_lr: float | Callable[[], Optimizer] | None = None) -> Network:
    """Put an interface after every block but the last, and the loss after the last.

    Parameters
    ----------
    blocks : layers, bottom to top; copied, so that twins made from one list start equal
    loss : at the top
    lr : a learning rate, or a function () -> optimizer, called once per block
    synthesizer : function (*shape of one h) -> synthesizer, called once per interface, bottom to
        top; None under an algorithm that uses none, such as backprop
    synthesizer_lr, top_lr : as lr, for the synthesizers, and for the top block if it is another
    input_shape : of one example; needed only where the first layer is not Linear
    algorithm, warm_up : as in Network

    Examples
    --------
    >>> import numpy as np, tinydni as td
    >>> blocks = td.mlp((64, 32, 10), np.random.default_rng(0))
    >>> net = build(blocks, td.SoftmaxCrossEntropy(), 0.1, td.LinearSynthesizer, 0.1)
    >>> net.step(np.ones((5, 64), np.float32), np.arange(5)) > 0
    np.True_
    """
    check_build(blocks, loss, lr, synthesizer, synthesizer_lr, input_shape)
    *blocks, top = deepcopy(list(blocks))
    (blocks or [top])[0].skip_dx()          # nobody asks for the gradient of the data
    modules, shape = [], input_shape
    for block in blocks:
        shape = block.output_shape(shape)
        guesser = synthesizer(*shape) if synthesizer else None
        modules.append(DNI(block, made(lr), guesser, made(synthesizer_lr)))
    modules.append(DNI(top, made(lr if top_lr is None else top_lr), loss=deepcopy(loss)))
    return Network(modules, algorithm, warm_up)


def made(lr: Any) -> Any:
    """Return the optimizer that a function makes, or the learning rate itself."""
    return lr() if callable(lr) else lr


def check_build(blocks: Sequence[Layer], loss: Any, lr: Any, synthesizer: Any,
                synthesizer_lr: Any, shape: Any) -> None:
    """Raise for arguments of `build` that do not fit."""
    if not isinstance(blocks, Sequence) or not blocks:
        raise ValueError(f"blocks must be a list of layers, one at least; got {blocks!r}.")
    for block in blocks:
        checks.check_can(block, "blocks", "layers", "walk")
    checks.check_distinct([layer for block in blocks for _, layer in block.walk()], "blocks")
    checks.check_can(loss, "loss", "a loss, such as SoftmaxCrossEntropy()", "backward")
    if not isinstance(shape, tuple):
        raise TypeError(f"input_shape must be a tuple, such as (8, 8, 1); got {shape!r}.")
    for name, rate in (("lr", lr), ("synthesizer_lr", synthesizer_lr)):
        if isinstance(rate, Optimizer):
            raise TypeError(f"{name} must be a number, or a function that makes an optimizer for "
                            f"each block, such as lambda: Adam(1e-3); got {rate!r}.")
    checks.check_functions(synthesizer=synthesizer)
