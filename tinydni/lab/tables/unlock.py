"""Jaderberg et al. 2016, section 3.1: the complete unlock, with synthetic gradients and synthetic inputs."""

from tinydni.lab.tables.table import Cell, Table
from tinydni.lab.tables.mnist_fcn import FCN_DIFFERENCES


def cells(epochs):
    """Three and four layers, three synthesizers."""
    return [Cell(f"{layers} layers", method, {"method": method, "layers": layers, "epochs": epochs, "unlock": True})
            for layers in (3, 4) for method in ("dni", "cdni", "vfbn")]


TABLE = Table(
    "unlock", "Jaderberg et al. 2016: synthetic gradients and synthetic inputs",
    "MNIST, full unlock: no layer waits for another", "tinydni.lab.jobs.mnist",
    "test_error", "Test error [%]", cells, epochs=10, differences=[
        "The paper shows a plot: about 2.1 to 2.5 % after 500,000 iterations, both for dni and cdni. vfbn is not in that paper.",
        "The synthetic input of every layer is made from x by one hidden layer of 256 with batch normalisation.",
        *FCN_DIFFERENCES])
