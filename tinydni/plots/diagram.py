"""What a network is made of, as boxes and arrows: the facts of its drawing, without any drawing."""

import textwrap
from itertools import groupby
from typing import NamedTuple

from tinydni import checks
from tinydni.algorithms import backprop, no_backprop, update_decoupled
from tinydni.plots.summary import leaves
from tinydni.variants.full_unlock import FullUnlock
from tinydni.variants.stochastic import Stochastic

MAX_LINES, MAX_CHARACTERS = 3, 23           # of text in a box, and of each line


class Node(NamedTuple):
    """A thing that arrows begin or end at.

    kind: "input", "block", "synthesizer", "input synthesizer", "context", "target" or "loss"
    number: of the module it belongs to, from 0 at the bottom    text: what is written in it, line
    by line    remark: what is written beside it    frozen: whether it never learns
    """

    kind: str
    number: int
    text: tuple
    remark: str = ""
    frozen: bool = False

    @property
    def name(self):
        return f"{self.kind} {self.number}"


class Arrow(NamedTuple):
    """kind: one of style.ROLES    start, end: names of nodes    label: the array that travels."""

    kind: str
    start: str
    end: str
    label: str = ""


class Diagram(NamedTuple):
    """A network under its algorithm.    title, sentence: what it is, and what to see in it."""

    title: str
    sentence: str
    nodes: list
    arrows: list

    def describe(self):
        """Return the diagram in full sentences."""
        count = {kind: sum(node.kind == kind for node in self.nodes)
                 for kind in ("block", "synthesizer", "input synthesizer")}
        *others, last = [f"{n} {kind}" + "s" * (n != 1) for kind, n in count.items() if n]
        boxes = f"{', '.join(others)} and {last}" if others else last
        found = {f"block {node.number + 1}": node.remark for node in self.nodes if node.remark}
        if len(set(found.values())) == 1:
            found = {"every block": self.nodes[1].remark}
        remarks = ", ".join(f"{block} {remark}" for block, remark in found.items())
        return (f"{self.title}, with {boxes} from the input at the bottom to the loss at the top: "
                f"{self.sentence}." + (f" Counted from the bottom, {remarks}." if remarks else ""))


def diagram(network):
    """Return the Diagram of a Network after its warm-up.

    It knows backprop, update_decoupled, no_backprop, FullUnlock and Stochastic. Raises ValueError
    for what it cannot show: another algorithm, a loss below the top, a module without a source of
    gradient or, under FullUnlock, of its input.
    """
    check(network)
    modules, algorithm = network.modules, network.algorithm
    top, unlocked = len(modules) - 1, isinstance(algorithm, FullUnlock)
    title, sentence, remarks = words(algorithm, top)
    nodes = [Node("input", 0, ("x",)),
             *(Node("block", i, box_text(module.block), remark, remark == "never learns")
               for i, (module, remark) in enumerate(zip(modules, remarks))),
             Node("target", top, ("target",)),
             Node("loss", top, (type(modules[-1].loss).__name__,))]
    arrows = [Arrow("forward", "input 0", "block 0"),
              Arrow("forward", f"block {top}", f"loss {top}", "h"),
              Arrow("forward", f"target {top}", f"loss {top}"),
              Arrow("true gradient", f"loss {top}", f"block {top}", "dh")]
    for i in range(top):
        block, above = f"block {i}", f"block {i + 1}"
        if algorithm is backprop:
            arrows.append(Arrow("true gradient", above, block, "dx"))
        elif algorithm is not no_backprop:      # M guesses, and learns from the block above
            M, sees = f"synthesizer {i}", modules[i].synthesizer.sees
            nodes.append(Node("synthesizer", i, ("M",)))
            if "h" in sees:     # it branches off an arrow that h takes up, if there is one
                arrows.append(Arrow("forward", block, M, "h" if unlocked else ""))
            if "context" in sees:
                nodes.append(Node("context", i, ("context",)))
                arrows.append(Arrow("forward", f"context {i}", M))
            arrows += [Arrow("synthetic gradient", M, block, r"$\hat\delta$"),
                       Arrow("true gradient" if i + 1 == top else "message", above, M, "dx")]
        if unlocked:            # I guesses from x what the block below will send, and learns it
            I = f"input synthesizer {i + 1}"
            nodes.append(Node("input synthesizer", i + 1, ("I",)))
            arrows += [Arrow("forward", "input 0", I),
                       Arrow("synthetic input", I, above, r"$\hat h$"),
                       Arrow("input message", block, I, "h")]
        else:
            arrows.append(Arrow("forward", block, above, "h"))
    return Diagram(title, sentence, nodes, arrows)


def words(algorithm, top):
    """Return title and sentence for an algorithm, and a remark for each block."""
    if algorithm is backprop:
        return ("Backpropagation: locked", "each block waits for the true gradient to come back "
                "through all blocks above it",
                [f"waits for {2 * (top - i)} passes" for i in range(top)] + ["updates at once"])
    if algorithm is no_backprop:
        return ("Only the top learns", "no gradient reaches the blocks below the top, which keep "
                "their random weights", ["never learns"] * top + ["updates at once"])
    if isinstance(algorithm, FullUnlock):
        return ("Full unlock", "each block runs on an input guessed from x by I and updates on a "
                "gradient guessed by M; its neighbours teach both", [""] * (top + 1))
    if isinstance(algorithm, Stochastic):
        return ("Stochastic updates", "in each step a block updates and sends its message down "
                f"with probability {algorithm.p:g}, else it only runs forward",
                [f"updates with p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{algorithm.p:g}"] * (top + 1))
    return ("Decoupled neural interfaces", "each block updates at once on its own guess of the "
            "gradient, and the block above it teaches the guesser M",
            ["updates at once"] * (top + 1))


def box_text(block):
    """Return the layers of a block as a few lines, with their widths; equal ones counted."""
    sized = [type(layer).__name__ if layer.children() or "->" not in layer.describe() else
             f"{type(layer).__name__} {layer.describe().partition(', ')[0]}".replace("->", "→")
             for layer in leaves(block)]
    counted = [(name, len(list(group))) for name, group in groupby(sized)]
    names = [name if n == 1 else f"{n} × {name}" for name, n in counted]
    lines = [line for has_size, group in groupby(names, key=lambda name: "→" in name)
             for line in (group if has_size else [" · ".join(group)])]
    lines = [textwrap.shorten(line, MAX_CHARACTERS, placeholder=" …") for line in lines]
    return tuple(lines if len(lines) <= MAX_LINES else [lines[0], "…", lines[-1]])


def check(network):
    """Raise ValueError for a network that `diagram` cannot show truthfully."""
    checks.check_can(network, "network", "a tinydni.Network", "modules", "algorithm")
    algorithm, known = network.algorithm, (backprop, update_decoupled, no_backprop)
    unlocked = isinstance(algorithm, FullUnlock)
    name = getattr(algorithm, "__name__", type(algorithm).__name__)
    if not (algorithm in known or isinstance(algorithm, (FullUnlock, Stochastic))):
        raise ValueError("network: the drawing knows the algorithms "
                         f"{', '.join(each.__name__ for each in known)}, FullUnlock and "
                         f"Stochastic; got {algorithm!r}.")
    *below, top = network.modules
    if top.loss is None or top.synthesizer is not None:
        raise ValueError("network: the top module must have the loss, and no synthesizer.")
    for i, module in enumerate(below):
        if module.loss is not None:
            raise ValueError(f"network: module {i} has a loss; the drawing knows a loss at the top "
                             "only.")
        if algorithm not in (backprop, no_backprop) and module.synthesizer is None:
            raise ValueError(f"network: module {i} has no synthesizer, so under {name} it has no "
                             "gradient.")
        if unlocked and algorithm.synthesizers[i + 1] is None:
            raise ValueError(f"network: module {i + 1} has no input synthesizer, so under {name} "
                             "it has no input.")
