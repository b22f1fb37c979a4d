"""What a network is made of, as boxes and arrows: the facts of its drawing, without any drawing."""

import textwrap
from dataclasses import dataclass, field
from itertools import groupby

from tinydni.variants.full_unlock import FullUnlock
from tinydni.algorithms import backprop, no_backprop, update_decoupled
from tinydni.variants.stochastic import Stochastic
from tinydni.plots.summary import leaves

MAX_LINES, MAX_CHARACTERS = 3, 23           # of text in a box, and of each line


@dataclass(frozen=True)
class Node:
    """A thing that arrows begin or end at.

    kind: "input", "block", "synthesizer", "input synthesizer", "context", "target" or "loss"
    number: of the module it belongs to, from 0 at the bottom
    text: what is written in it, line by line    remark: what is written beside it    frozen: whether it never learns
    """

    kind: str
    number: int
    text: tuple
    remark: str = ""
    frozen: bool = False

    @property
    def name(self):
        return f"{self.kind} {self.number}"


@dataclass(frozen=True)
class Arrow:
    """kind: one of style.ROLES    start, end: names of nodes    label: the array that travels, as the code calls it."""

    kind: str
    start: str
    end: str
    label: str = ""


@dataclass
class Diagram:
    """A network under its schedule, as nodes and arrows.

    title, sentence: what it is, and what to see in it
    """

    title: str
    sentence: str
    nodes: list
    arrows: list = field(default_factory=list)

    def describe(self):
        """The diagram in full sentences."""
        kinds = "block", "synthesizer", "input synthesizer"
        count = {kind: sum(node.kind == kind for node in self.nodes) for kind in kinds}
        *others, last = [plural(n, kind) for kind, n in count.items() if n]
        boxes = f"{', '.join(others)} and {last}" if others else last
        remarks = [f"block {node.number + 1} {node.remark}" for node in self.nodes if node.remark]
        if len({node.remark for node in self.nodes if node.remark}) == 1:
            remarks = [f"every block {self.nodes[1].remark}"]
        return (f"{self.title}, with {boxes} from the input at the bottom to the loss at the top: {self.sentence}."
                + (f" Counted from the bottom, {', '.join(remarks)}." if remarks else ""))


def diagram(network):
    """Returns the Diagram of a tinydni Network after its warm-up.

    It knows backprop, update_decoupled, no_backprop, FullUnlock, and Stochastic.
    Raises ValueError for what it cannot show: another algorithm, a loss below the top, a module without a source
    of gradient or, under FullUnlock, of its input.
    """
    check(network)
    if network.algorithm is backprop:
        return draw_backprop(network.modules)
    if network.algorithm is no_backprop:
        return draw_top_only(network.modules)
    if isinstance(network.algorithm, FullUnlock):
        return draw_full_unlock(network.modules)
    if isinstance(network.algorithm, Stochastic):
        return draw_stochastic(network.modules, network.algorithm.p)
    return draw_decoupled(network.modules)


def draw_backprop(modules):
    """The true gradient passes down through every block; a block waits for all passes above it."""
    top = len(modules) - 1
    remarks = [f"waits for {2 * (top - i)} passes" for i in range(top)] + ["updates at once"]
    picture = forward_part(modules, remarks, "Backpropagation: locked",
                           "each block waits for the true gradient to come back through all blocks above it")
    picture.arrows += [Arrow("true gradient", f"block {i}", f"block {i - 1}", "dx") for i in range(top, 0, -1)]
    return picture


def draw_top_only(modules):
    """Only the top block learns."""
    top = len(modules) - 1
    return forward_part(modules, ["never learns"] * top + ["updates at once"], "Only the top learns",
                        "no gradient reaches the blocks below the top, which keep their random weights", frozen=top)


def draw_decoupled(modules):
    """Synthesizers cut the way down: each guesses the gradient for its block, and learns from the block above."""
    return with_synthesizers(modules, forward_part(
        modules, ["updates at once"] * len(modules), "Decoupled neural interfaces",
        "each block updates at once on its own guess of the gradient, and the block above it teaches the guesser M"))


def draw_stochastic(modules, p):
    """The same network, in which every block acts now and then."""
    return with_synthesizers(modules, forward_part(
        modules, [f"updates with p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{p:g}"] * len(modules), "Stochastic updates",
        f"in each step a block updates and sends its message down with probability {p:g}, else it only runs forward"))


def draw_full_unlock(modules):
    """Input synthesizers I cut the way up as well: each guesses, from x, what the block below will send."""
    picture = with_synthesizers(modules, forward_part(
        modules, [""] * len(modules), "Full unlock",
        "each block runs on an input guessed from x by I and updates on a gradient guessed by M; its neighbours teach both",
        passes_h=False), passes_h=False)
    for i in range(1, len(modules)):
        guesser = Node("input synthesizer", i, ("I",))
        picture.nodes.append(guesser)
        picture.arrows += [Arrow("forward", "input 0", guesser.name),
                           Arrow("synthetic input", guesser.name, f"block {i}", r"$\hat h$"),
                           Arrow("input message", f"block {i - 1}", guesser.name, "h")]
    return picture


def with_synthesizers(modules, picture, passes_h=True):
    """Adds the synthesizer above every block but the last; passes_h: whether it branches off an arrow that h takes up."""
    for i, module in enumerate(modules[:-1]):
        sees, guesser = module.synthesizer.sees, Node("synthesizer", i, ("M",))
        picture.nodes.append(guesser)
        if "h" in sees:
            picture.arrows.append(Arrow("forward", f"block {i}", guesser.name, "" if passes_h else "h"))
        if "context" in sees:
            picture.nodes.append(Node("context", i, ("context",)))
            picture.arrows.append(Arrow("forward", f"context {i}", guesser.name))
        picture.arrows.append(Arrow("synthetic gradient", guesser.name, f"block {i}", r"$\hat\delta$"))
        above_has_loss = i + 1 == len(modules) - 1
        picture.arrows.append(Arrow("true gradient" if above_has_loss else "message",
                                    f"block {i + 1}", guesser.name, "dx"))
    return picture


def forward_part(modules, remarks, title, sentence, frozen=0, passes_h=True):
    """What all schedules share: the input, the blocks, the loss, and the gradient of the loss at the top block.

    remarks: one per block    frozen: number of blocks, from the bottom, that never learn
    passes_h: whether a block runs on the h of the block below
    """
    blocks = [Node("block", i, box_text(module.block), remark, i < frozen)
              for i, (module, remark) in enumerate(zip(modules, remarks))]
    top, loss = len(blocks) - 1, modules[-1].loss
    nodes = [Node("input", 0, ("x",)), *blocks, Node("loss", top, (type(loss).__name__,)),
             Node("target", top, ("target",))]
    arrows = [Arrow("forward", "input 0", "block 0"),
              *[Arrow("forward", f"block {i}", f"block {i + 1}", "h") for i in range(top) if passes_h],
              Arrow("forward", f"block {top}", f"loss {top}", "h"), Arrow("forward", f"target {top}", f"loss {top}"),
              Arrow("true gradient", f"loss {top}", f"block {top}", "dh")]
    return Diagram(title, sentence, nodes, arrows)


def box_text(block):
    """The layers of a block as a few lines: those that change the width with their sizes, without further options, equal
    ones counted."""
    sized = [(f"{type(layer).__name__} {layer.describe().partition(', ')[0]}".replace("->", "→")
              if "->" in layer.describe() and not layer.children() else type(layer).__name__) for layer in leaves(block)]
    counted = [(name, len(list(group))) for name, group in groupby(sized)]
    names = [name if n == 1 else f"{n} × {name}" for name, n in counted]
    lines = [line for has_size, group in groupby(names, key=lambda name: "→" in name)
             for line in (group if has_size else [" · ".join(group)])]
    lines = [textwrap.shorten(line, MAX_CHARACTERS, placeholder=" …") for line in lines]
    return tuple(lines if len(lines) <= MAX_LINES else [lines[0], "…", lines[-1]])


def check(network):
    """Raises ValueError for a network that `diagram` cannot show truthfully."""
    known, stochastic = (backprop, update_decoupled, no_backprop), isinstance(network.algorithm, Stochastic)
    unlocked = isinstance(network.algorithm, FullUnlock)
    if not (stochastic or unlocked) and network.algorithm not in known:
        raise ValueError(f"network: the drawing knows the algorithms {', '.join(a.__name__ for a in known)}, "
                         f"FullUnlock and Stochastic; got {network.algorithm!r}.")
    *below, top = network.modules
    if top.loss is None or top.synthesizer is not None:
        raise ValueError("network: the top module must have the loss, and no synthesizer.")
    for i, module in enumerate(below):
        if module.loss is not None:
            raise ValueError(f"network: module {i} has a loss; the drawing knows a loss at the top only.")
        if (stochastic or unlocked or network.algorithm is update_decoupled) and module.synthesizer is None:
            name = type(network.algorithm).__name__ if stochastic or unlocked else network.algorithm.__name__
            raise ValueError(f"network: module {i} has no synthesizer, so under {name} it has no gradient.")
        if unlocked and network.algorithm.synthesizers[i + 1] is None:
            raise ValueError(f"network: module {i + 1} has no input synthesizer, so under FullUnlock it has no input.")


def plural(n, noun):
    return f"{n} {noun}" + "s" * (n != 1)
