"""Miyato et al. 2017 on a small scale: virtual networks beside what they are compared with."""

from tinydni.lab.tables.table import Cell, Table
from tinydni.lab.tables.mnist_fcn import FCN_DIFFERENCES

COLUMNS = {
    "backprop": {"method": "backprop"},
    "vfbn linear": {"method": "vfbn"},
    "vfbn 1 hidden": {"method": "vfbn", "synthesizer": "virtual-mlp"},
    "vfbn untrained": {"method": "vfbn", "untrained": True},
    "layer-wise": {"method": "local"},
    "cdni": {"method": "cdni"},
    "guess from x": {"method": "dni", "synthesizer": "guess"},
}


def cells(epochs):
    """Three and six layers, an interface after every hidden one."""
    return [Cell(f"{layers} layers", column, {**options, "layers": layers, "epochs": epochs})
            for layers in (3, 6) for column, options in COLUMNS.items()]


TABLE = Table(
    "vfbn", "Miyato et al. 2017: virtual forward-backward networks, on MNIST",
    "MNIST, fully connected: virtual forward-backward networks", "tinydni.lab.jobs.mnist",
    "test_error", "Test error [%]", cells, epochs=5, differences=[
        "The paper has one interface in ResNet-110 on CIFAR-10 (backprop 5.15, vfbn 5.51, untrained 5.73, layer-wise 5.71 %) and no "
        "MNIST; here every hidden layer has one.",
        "guess from x sees no label: its virtual network is compared with a guess that is learned from gradients alone.",
        *FCN_DIFFERENCES])
