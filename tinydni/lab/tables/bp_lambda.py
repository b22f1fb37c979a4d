"""Jaderberg et al. 2016, supplement A: BP(λ), from decoupled to backprop."""

from tinydni.lab.tables.table import Cell, Table
from tinydni.lab.tables.mnist_fcn import FCN_DIFFERENCES


def cells(epochs):
    """Five λ, from h alone and with the label, six layers."""
    return [Cell(f"λ = {lam:g}", method, {"method": method, "layers": 6, "epochs": epochs, "lambda": lam})
            for lam in (0.0, 0.25, 0.5, 0.75, 1.0) for method in ("dni", "cdni")]


TABLE = Table(
    "lambda", "Jaderberg et al. 2016, supplement: BP(λ)",
    "MNIST, 6 layers: BP(λ), from decoupled (0) to backprop (1)", "tinydni.lab.jobs.mnist",
    "test_error", "Test error [%]", cells, epochs=5, differences=[
        "The supplement defines the mixture; we know of no figures of the paper for it on MNIST.",
        "λ = 1 is backprop under the learning rates of each column's method, not under those of --method backprop.",
        *FCN_DIFFERENCES])
