"""Six layers whose synthesizers see no label: what they may see instead, and what it is worth."""

from tinydni.lab.tables.table import Cell, Table
from tinydni.lab.tables.mnist_fcn import FCN_DIFFERENCES, PAPER

LAYERS = 6
ROWS = {        # what the synthesizers see: options
    "h and the label": {"method": "cdni"},
    "h, a guess from x": {"method": "dni", "synthesizer": "guess"},
    "h, a guess from h1": {"method": "dni", "synthesizer": "guess", "context": "h1"},
    "h alone": {"method": "dni"},
    "no synthesizer, backprop": {"method": "backprop"},
    "no synthesizer, frozen": {"method": "none"},
}


def cells(epochs):
    """One column: the test error of each."""
    return [Cell(row, "error [%]", {**options, "layers": LAYERS, "epochs": epochs},
                 PAPER[options["method"]][LAYERS] if "synthesizer" not in options else None) for row, options in ROWS.items()]


TABLE = Table(
    "no-label", "six layers whose synthesizers see no label",
    "MNIST, six fully connected layers: what the synthesizers see", "tinydni.lab.jobs.mnist",
    "test_error", "Test error [%]", cells, epochs=10, differences=[
        "The guesses are ours, not the paper's: a classifier of x, or of h1 (the output of the bottom layer), learns from the gradients "
        "that arrive at the top and stands in for the label in virtual networks.",
        *FCN_DIFFERENCES])
