"""Handwritten digits with a fully connected network, the first experiment of Jaderberg et al. 2016."""

from tinydni import backend
from tinydni.datasets import mnist
from tinydni.experiments.job import Job, Task
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.models import mlp
from tinydni.random import stream
from tinydni.training import percent_wrong


def classification(dataset, options):
    """The task of telling the classes of `dataset` apart with a fully connected network."""
    widths = [dataset.n_in] + [options["width"]] * (options["layers"] - 1) + [dataset.n_out]
    return Task(dataset, mlp(widths, stream(options["seed"], "weights")), SoftmaxCrossEntropy(), percent_wrong)


def error_scores(train_error, held_out_error, held_out):
    """The scores of a classification [percent wrong]."""
    return {"train_error": train_error, f"{held_out}_error": held_out_error}


def show_predictions(network, task):
    """Prints what the network reads in the first held-out images, and what they are."""
    x, y = task.dataset.x_test[:20], task.dataset.y_test[:20]
    read = network.predict(backend.asarray(network.modules[0].block.xp, x)).argmax(axis=1)
    print("The first 20 held-out digits:", *y)
    print("               as it reads them:", *backend.to_numpy(read))


JOB = Job("mnist", "MNIST digits, 60,000 images of 28 x 28 (downloaded, or read from $TINYDNI_DATA)",
          {"method": "cdni", "layers": 3, "width": 256, "epochs": 5, "batch_size": 64},
          lambda options: classification(mnist(), options), error_scores, show_predictions)
