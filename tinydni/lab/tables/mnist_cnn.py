"""Jaderberg et al. 2016, table 1, the rows of convolutional networks on MNIST."""

from tinydni.lab.tables.table import Cell, Table

PAPER = {       # test error [%] after 500,000 iterations, by number of layers
    "none": {3: 0.9, 4: 2.8},
    "backprop": {3: 0.8, 4: 0.6},
    "dni": {3: 0.9, 4: 0.7},
    "cdni": {3: 1.0, 4: 0.8},
    "vfbn": {},
}


def cells(epochs):
    """The paper's four methods and virtual networks, three and four layers."""
    return [Cell(f"{layers} layers", method, {"method": method, "model": "cnn", "layers": layers, "epochs": epochs}, paper.get(layers))
            for layers in (3, 4) for method, paper in PAPER.items()]


TABLE = Table(
    "mnist-cnn", "Jaderberg et al. 2016, table 1: convolutional networks on MNIST",
    "MNIST, convolutional: synthetic gradients after every hidden layer", "tinydni.lab.jobs.mnist",
    "test_error", "Test error [%]", cells, epochs=3, differences=[
        "The paper trains 500,000 iterations of batches of 256 with Adam at 3e-5; we train few epochs of batches of 64 with larger "
        "rates that fall linearly to zero.",
        "64 filters of 5 x 5 in every hidden layer, pooling with stride 2: the paper gives neither number for MNIST.",
        "dni: two hidden convolutions, as the paper's. cdni: one linear convolution of h and label maps. vfbn is not in that paper.",
        "Recipes were chosen on the last 10,000 training images, before the test set was used."])
