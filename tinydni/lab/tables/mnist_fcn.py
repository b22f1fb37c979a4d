"""Jaderberg et al. 2016, table 1, the rows of fully connected networks on MNIST."""

from tinydni.lab.tables.table import Cell, Table

PAPER = {       # test error [%] after 500,000 iterations, by number of layers
    "none": {3: 9.3, 4: 12.6, 5: 16.2, 6: 21.4},
    "backprop": {3: 2.0, 4: 1.8, 5: 1.8, 6: 1.8},
    "dni": {3: 1.9, 4: 2.2, 5: 3.4, 6: 4.3},
    "cdni": {3: 2.2, 4: 1.9, 5: 1.7, 6: 1.6},
    "label-only": {},
}


FCN_DIFFERENCES = [
    "The paper trains 500,000 iterations of batches of 256 (2,133 epochs) with Adam at 3e-5, divided by 10 at 300,000 and "
    "400,000; we train few epochs of batches of 64 with larger rates that fall linearly to zero.",
    "Our dni synthesizer has one hidden layer of 256, the paper's two of 1024; cdni is linear in both.",
    "Recipes were chosen on the last 10,000 training images, before the test set was used.",
]


def cells(epochs):
    """3 to 6 layers with the paper's four methods and one control that the paper lacks."""
    return [Cell(f"{layers} layers", method, {"method": method, "layers": layers, "epochs": epochs}, paper.get(layers))
            for layers in (3, 4, 5, 6) for method, paper in PAPER.items()]


TABLE = Table(
    "mnist-fcn", "Jaderberg et al. 2016, table 1: fully connected networks on MNIST",
    "MNIST, fully connected: synthetic gradients after every hidden layer", "tinydni.lab.jobs.mnist",
    "test_error", "Test error [%]", cells, epochs=5, differences=[
        *FCN_DIFFERENCES,
        "label-only (the synthesizer sees the label and not h) is our control; the paper does not have it.",
    ])
