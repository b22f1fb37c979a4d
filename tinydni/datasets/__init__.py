"""Data sets: binary addition, MNIST, scikit-learn's small digits, blood cells."""

from tinydni.datasets.addition import addition
from tinydni.datasets.cytometry import Cells, cytometry
from tinydni.datasets.dataset import Dataset
from tinydni.datasets.digits import digits
from tinydni.datasets.download import DataError
from tinydni.datasets.mnist import mnist

__all__ = ["Cells", "DataError", "Dataset", "addition", "cytometry", "digits", "mnist"]
