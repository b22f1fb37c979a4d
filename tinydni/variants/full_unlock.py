"""Full unlock: no module waits for any other, neither for a gradient nor for an input."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinydni.algorithms import Algorithm
from tinydni.backend import Array
from tinydni.checks import check_can, check_functions
from tinydni.dni import Network
from tinydni.layer import Layer, Shape
from tinydni.optimizers import Optimizer, as_optimizer
from tinydni.synthesizers import Synthesizer

__all__ = ["FullUnlock", "full_unlock"]


class FullUnlock(Algorithm):
    """Every module runs on a synthetic input, made from the network's own input x.

    h_k = f_k(I_k(x)),   I_{k+1} learns from h_k,   M_k learns from the message of module k + 1.

    The first module reads x itself. Inside the first loop no value passes from module to module, so
    that all of its passes could run at once; in the second loop the messages are delivered. At
    inference the network is the ordinary one (Jaderberg et al. 2016, section 3.1).

    Parameters
    ----------
    synthesizers : I_1, I_2, ... for each module, None for the first
    optimizers : for each of them, None likewise
    """

    def __init__(self, synthesizers: Sequence[Synthesizer | None],
                 optimizers: Sequence[Optimizer | None]):
        for name, things, ability in (("synthesizers", synthesizers, "learn"),
                                      ("optimizers", optimizers, "step")):
            check_can(things, name, "a list", "index")
            for thing in things:
                check_can(thing, name, f"{name} or None", ability, optional=True)
        self.synthesizers, self.optimizers = list(synthesizers), list(optimizers)

    def part(self, start: int, stop: int) -> "FullUnlock":
        """Return the same for the modules from `start` up to `stop`, such as those of a worker."""
        return FullUnlock(self.synthesizers[start:stop], self.optimizers[start:stop])

    def __call__(self, modules: Sequence[Any], x: Array, target: Array,
                 context: Array | None = None) -> None:
        check_unlocked(modules)
        sent = []
        for module, synthesizer in zip(modules, self.synthesizers, strict=True):
            h_hat = x if synthesizer is None else synthesizer.forward(x)
            sent.append(module.forward_and_synthetic_update(h_hat, context, target))
        for below, synthesizer, optimizer, (_, h_below), (dx, _) in zip(
                modules, self.synthesizers[1:], self.optimizers[1:], sent, sent[1:]):
            synthesizer.learn(x, None, h_below, optimizer)      # type: ignore[union-attr,arg-type]
            below.update_synthetic_weights(dx)

    def learners(self) -> Iterator[tuple[str, Layer, Optimizer]]:
        for i, (synthesizer, optimizer) in enumerate(zip(self.synthesizers, self.optimizers)):
            if synthesizer is not None and optimizer is not None:
                yield f"{i}.input_synthesizer", synthesizer, optimizer


def full_unlock(network: Network, synthesizer: Callable[..., Synthesizer],
                lr: float | Callable[[], Optimizer], input_shape: Shape = (None,)) -> Network:
    """Run a network unlocked. Returns the network, whose algorithm is a FullUnlock now.

    Parameters
    ----------
    network : with a synthesizer in every module but the top
    synthesizer : function (*shape of one h) -> synthesizer of the input above it
    lr : a learning rate, or a function () -> optimizer, called once per synthesizer
    input_shape : of one example; needed only where the first layer is not Linear
    """
    check_can(network, "network", "a Network", "modules")
    check_unlocked(network.modules)
    check_functions(optional=False, synthesizer=synthesizer)
    if not isinstance(input_shape, tuple):
        raise TypeError(f"input_shape must be a tuple, such as (8, 8, 1); got {input_shape!r}.")
    made, shape = [], input_shape
    for module in network.modules[:-1]:
        shape = module.block.output_shape(shape)
        made.append((synthesizer(*shape), as_optimizer(lr() if callable(lr) else lr)))
    network.algorithm = FullUnlock([None, *(s for s, _ in made)], [None, *(o for _, o in made)])
    return network


def check_unlocked(modules: Sequence[Any]) -> None:
    """Raise ValueError where synthesizers see the output of a module that nobody waits for."""
    if any(module.gives_context for module in modules):
        raise ValueError("under full unlock no module waits for the bottom one, whose output is "
                         "the context here; set gives_context to False.")
