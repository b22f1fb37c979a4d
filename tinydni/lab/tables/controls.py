"""What each part of a synthetic gradient is worth: the same network under controls."""

from tinydni.lab.tables.table import Cell, Table
from tinydni.lab.tables.mnist_fcn import FCN_DIFFERENCES

METHODS = ("backprop", "cdni", "dni", "label-only", "local", "dfa", "bottom", "none")


def cells(epochs):
    """Every method and control, three and six layers."""
    return [Cell(method, f"{layers} layers", {"method": method, "layers": layers, "epochs": epochs})
            for method in METHODS for layers in (3, 6)]


TABLE = Table(
    "controls", "the same networks under every control",
    "MNIST, fully connected: synthetic gradients beside their controls", "tinydni.lab.jobs.mnist",
    "test_error", "Test error [%]", cells, epochs=5, differences=[
        "label-only: the synthesizer sees the label and not h. local: every layer has a linear classifier of its own. dfa: "
        "direct feedback alignment (Nøkland 2016). bottom: the lower half of the layers with an output of its own. none: only "
        "the top learns.",
        *FCN_DIFFERENCES])
