"""Jaderberg et al. 2016, section 3.1: every layer updates with probability p."""

from tinydni.lab.tables.table import Cell, Table
from tinydni.lab.tables.mnist_fcn import FCN_DIFFERENCES


def cells(epochs):
    """Four probabilities, three synthesizers, three layers; p = 1 is the ordinary decoupled run."""
    return [Cell(f"p = {p:g}", method, {"method": method, "layers": 3, "epochs": epochs} | ({"p_update": p} if p < 1 else {}))
            for p in (1.0, 0.5, 0.2, 0.1) for method in ("dni", "cdni", "vfbn")]


TABLE = Table(
    "updates", "Jaderberg et al. 2016: layers that update with probability p",
    "MNIST, 3 layers: every layer updates with probability p", "tinydni.lab.jobs.mnist",
    "test_error", "Test error [%]", cells, epochs=10, differences=[
        "The paper shows a plot: after 500,000 iterations about 2.1 to 2.4 % (dni) and 1.8 to 2.5 % (cdni) for p of 0.2 and "
        "more, and steeply more for dni below p = 0.1. vfbn is not in that paper.",
        *FCN_DIFFERENCES])
