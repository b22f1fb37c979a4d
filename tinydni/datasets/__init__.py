"""Data sets: binary addition, small digits, MNIST, CIFAR-10, blood cells, Shakespeare."""

from tinydni.datasets.addition import addition
from tinydni.datasets.cifar10 import cifar10, crop_and_flip
from tinydni.datasets.cytometry import Cells, cytometry
from tinydni.datasets.dataset import Dataset
from tinydni.datasets.digits import digits
from tinydni.datasets.download import DataError
from tinydni.datasets.mnist import mnist
from tinydni.datasets.text import Text, tinyshakespeare

__all__ = ["Cells", "DataError", "Dataset", "Text", "addition", "cifar10", "crop_and_flip",
           "cytometry", "digits", "mnist", "tinyshakespeare"]
