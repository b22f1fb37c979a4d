"""The network as a table: blocks, shapes, parameters, and where the interfaces are."""

from tinydni.dni.readers import Readers
from tinydni.layers import Sequential


def summary(network, input_shape):
    """Returns the table as text; an interface is a dashed line with its synthesizer.

    input_shape: shape of one example, such as (784,)
    """
    shape = tuple(input_shape)
    rows = [("block", "layer", "output", "parameters"), ("", "input", shape_text(shape), "")]
    for i, module in enumerate(network.modules):
        for number, layer in enumerate(leaves(module.block)):
            shape = layer.output_shape(shape)
            rows.append((str(i) if number == 0 else "", repr(layer), shape_text(shape), f"{layer.n_parameters():,}"))
        if module.synthesizer is not None:
            rows.append(("- -", f"interface: {module.synthesizer!r}, sees {' and '.join(module.synthesizer.sees)}",
                         "", f"({module.synthesizer.n_parameters():,})"))
        if module.loss is not None:
            several = f", of each reader; {module.n_run} run in a step" if isinstance(module, Readers) else ""
            rows.append(("", f"loss: {module.loss!r}{several}", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join((row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].ljust(widths[2]),
                        row[3].rjust(widths[3]))).rstrip() for row in rows]
    guessed = sum(synthesizer.n_parameters() for synthesizer in network.synthesizers())
    total = f"{network.n_parameters():,} parameters, {len(network.modules)} blocks"
    if guessed:
        total += f"; synthesizers, used in training only: ({guessed:,})"
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:], rule, total])


def leaves(layer):
    """The layers in order, containers opened where they are plain sequences."""
    if not isinstance(layer, Sequential):
        return [layer]
    return [leaf for child in layer.layers for leaf in leaves(child)]


def shape_text(shape):
    return "N x " + " x ".join(map(str, shape))
