"""The network as a table: blocks, shapes, parameters, and where the interfaces are."""

import textwrap

from tinydni import checks
from tinydni.containers import Sequential
from tinydni.dni import Network
from tinydni.layer import Shape
from tinydni.variants.heads import Heads

WIDTH = 101             # of the table, if the other columns leave room for the layers
LONG = 72               # characters above which a layer is described in brief
FIXED = "\N{NO-BREAK SPACE}"     # where a line must not break


def summary(network: Network, input_shape: Shape) -> str:
    """Return the table as text; an interface is a dashed line with its synthesizer.

    input_shape: shape of one example, such as (784,)
    """
    checks.check_can(network, "network", "a tinydni.Network", "modules", "synthesizers")
    shape = tuple(checks.check_sizes(input_shape, "input_shape", 1))
    rows = [("block", "layer", "output", "parameters"), ("", "input", shape_text(shape), "")]
    for i, module in enumerate(network.modules):
        for number, layer in enumerate(leaves(module.block)):
            shape = layer.output_shape(shape)
            rows.append((str(i) if number == 0 else "", described(layer), shape_text(shape),
                         f"{layer.n_parameters():,}"))
        if (guesser := module.synthesizer) is not None:
            sees = " and ".join(guesser.sees)
            rows.append(("- -", f"interface: {described(guesser)}, sees {sees}", "",
                         f"({guesser.n_parameters():,})"))
        if module.loss is not None:
            heads = ""
            if isinstance(module, Heads):
                heads = f", of each head; {module.n_run} run in a step"
            rows.append(("", f"loss: {module.loss!r}{heads}", "", ""))
    rows = wrapped(rows)
    widths = column_widths(rows)
    lines = ["  ".join([*(text.ljust(width) for text, width in zip(row[:3], widths)),
                        row[3].rjust(widths[3])]).rstrip() for row in rows]
    total = f"{network.n_parameters():,} parameters, {len(network.modules)} blocks"
    if guessed := sum(synthesizer.n_parameters() for synthesizer in network.synthesizers()):
        total += f"; synthesizers, used in training only: ({guessed:,})"
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:], rule, total])


def column_widths(rows):
    """Return the width of each column."""
    return [max(map(len, column)) for column in zip(*rows)]


def wrapped(rows):
    """Return the rows with layers in lines that keep the table within WIDTH, broken at commas."""
    first, _, *others = column_widths(rows)
    room = max(WIDTH - first - sum(others) - 6, 40)
    found = []
    for first, layer, *others in rows:
        parts = layer.replace(" ", FIXED).replace("," + FIXED, ", ")
        line, *more = textwrap.wrap(parts, room, subsequent_indent="    ", break_long_words=False,
                                    break_on_hyphens=False)
        found += [(first, line, *others), *(("", each, "", "") for each in more)]
    return [tuple(text.replace(FIXED, " ") for text in row) for row in found]


def described(layer):
    """Return a layer with all its options, or, where that is long, in brief."""
    return repr(layer) if len(repr(layer)) <= LONG else brief(layer)


def brief(layer):
    """Return the names of a layer and of those in it: Residual(Linear, ReLU, shortcut=Linear)."""
    inside = [(name, leaf) for name, child in layer.children() for leaf in leaves(child)]
    names = ["shortcut=" * (name == "shortcut")
             + (brief(leaf) if len(inside) == 1 else type(leaf).__name__) for name, leaf in inside]
    return type(layer).__name__ + (f"({', '.join(names)})" if names else "")


def leaves(layer):
    """Return the layers in order, containers opened where they are plain sequences."""
    if not isinstance(layer, Sequential):
        return [layer]
    return [leaf for child in layer.layers for leaf in leaves(child)]


def shape_text(shape):
    """Return a shape as N x 784."""
    return "N x " + " x ".join(map(str, shape))
