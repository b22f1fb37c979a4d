"""Several heads on one output: modules that all continue from it, or of which some do by lot."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from tinydni.backend import Array
from tinydni.checks import check_can, check_distinct, check_positive_int, check_same_shape
from tinydni.dni import DNI, Network
from tinydni.layer import Layer, Shape
from tinydni.optimizers import Optimizer
from tinydni.random import stream

__all__ = ["Ensemble", "Heads", "with_heads"]


class Ensemble(Layer):
    """y = the mean of f(x) over the layers f,   dx = the mean of df(dy).

    Raises ValueError for no layers, and for outputs of different shapes.
    """

    def __init__(self, *layers: Layer):
        if not layers:
            raise ValueError("Ensemble needs at least one layer.")
        for layer in layers:
            check_can(layer, "Ensemble: every argument", "a layer", "walk")
        self.layers = layers
        check_distinct([inside for _, inside in self.walk()], "Ensemble")

    def children(self) -> Iterable[tuple[str, Layer]]:
        return [(str(i), layer) for i, layer in enumerate(self.layers)]

    def forward(self, x: Array) -> Array:
        first, *others = (layer.forward(x) for layer in self.layers)
        total = first.copy()
        for y in others:
            check_same_shape(y, first, "Ensemble: the output of a layer", "that of the first")
            total += y
        total /= len(self.layers)
        return total

    def backward(self, dy: Array) -> Array:
        share = dy / len(self.layers)
        dxs = [layer.backward(share) for layer in self.layers]
        return None if dxs[0] is None else sum(dxs[1:], dxs[0])

    def skip_dx(self) -> None:
        for layer in self.layers:
            layer.skip_dx()

    def output_shape(self, shape: Shape) -> Shape:
        return self.layers[0].output_shape(shape)

    def describe(self) -> str:
        return f"{len(self.layers)} x {self.layers[0]!r}"


class Heads(DNI):
    """Modules that read one and the same x, each with weights and a loss of its own: the top.

    dx = sum of the dx of the heads that run;   y = mean of the outputs of all heads, at inference.

    With n_run below the number of heads, a step draws n_run of them; the others neither run nor
    change, and the sum over those that ran is what the synthesizer below learns from: it stands in
    for heads that it cannot foresee. (The ensembles and dynamic graphs of synthetic-gradient talks:
    whoever continues from h need not be fixed.)

    Parameters
    ----------
    heads : modules (DNI) with a loss
    n_run : how many run in a step; None, all
    seed : of the draws

    Raises
    ------
    ValueError
        For no heads, heads without a loss, or an n_run that is not from 1 to their number.
    """

    def __init__(self, heads: Iterable[DNI], n_run: int | None = None, seed: int = 0):
        check_can(heads, "heads", "a list of modules", "index")
        self.heads = list(heads)
        for head in self.heads:
            check_can(head, "heads", "modules (DNI)", "loss", "learn")
        if not self.heads or any(head.loss is None for head in self.heads):
            raise ValueError("heads must be modules with a loss each, at least one; "
                             f"got {self.heads}.")
        self.n_run = len(self.heads) if n_run is None else check_positive_int(n_run, "n_run")
        if self.n_run > len(self.heads):
            raise ValueError(f"n_run must be at most the number of heads, {len(self.heads)}; "
                             f"got {n_run}.")
        super().__init__(Ensemble(*(head.block for head in self.heads)), 0.0,
                         loss=self.heads[0].loss)
        self.rng = stream(seed, "readers")      # the name under which saved runs drew them

    def forward(self, x: Array) -> Array:
        """Return y (N, M), the mean of the outputs; in training of the heads that are drawn."""
        if not self.block.training:
            return self.block.forward(x)
        drawn = self.rng.permutation(len(self.heads))[:self.n_run]
        self.running = [self.heads[i] for i in sorted(drawn)]
        self.ys = [head.forward(x) for head in self.running]
        return sum(self.ys[1:], self.ys[0]) / self.n_run

    def gradient_at_output(self, h: Array, context: Array | None = None,
                           target: Array | None = None) -> Array:
        """Return dys (n_run, N, M), each running head's own. loss_value is the mean of theirs."""
        dys = [head.gradient_at_output(y, context, target)
               for head, y in zip(self.running, self.ys)]
        self.loss_value = sum(head.loss_value for head in self.running) / self.n_run
        return self.block.xp.stack(dys)

    def backward(self, dh: Array) -> Array:
        """Return dx, the sum of the running heads' messages; set the gradients of their blocks."""
        dxs = [head.backward(dy) for head, dy in zip(self.running, dh)]
        return None if dxs[0] is None else sum(dxs[1:], dxs[0])

    def update(self) -> None:
        """Take one step of the blocks that ran."""
        for head in self.running:
            head.update()

    def learners(self) -> Iterator[tuple[str, Layer, Optimizer]]:
        for i, head in enumerate(self.heads):
            for name, layer, optimizer in head.learners():
                yield f"heads.{i}.{name}", layer, optimizer

    def arrays(self) -> Iterator[tuple[str, Any]]:
        yield from super().arrays()
        yield "draws", self.rng

    def to(self, xp: Any = None, dtype: Any = None) -> "Heads":
        self.block.xp = xp or self.block.xp
        for head in self.heads:
            head.to(xp, dtype)
        return self


def with_heads(network: Network, heads: Sequence[Layer], lr: Callable[[], Optimizer] | float,
               n_run: int | None = None, seed: int = 0) -> Network:
    """Put several heads in the place of a network's top module. Returns the network.

    Parameters
    ----------
    network : whose top module has the loss that every head gets a copy of
    heads : layers, copied
    lr : a learning rate, or a function () -> optimizer, called once per head
    n_run, seed : as in Heads
    """
    check_can(network, "network", "a Network", "modules")
    check_can(heads, "heads", "a list of layers", "index")
    for head in heads:
        check_can(head, "heads", "layers", "walk")
    check_distinct([layer for head in heads for _, layer in head.walk()], "heads")
    loss, alone = network.modules[-1].loss, len(network.modules) == 1
    modules = [DNI(deepcopy(head), lr() if callable(lr) else lr, loss=deepcopy(loss))
               for head in heads]
    network.modules[-1] = Heads(modules, n_run, seed)
    if alone:
        network.modules[0].block.skip_dx()
    return network
