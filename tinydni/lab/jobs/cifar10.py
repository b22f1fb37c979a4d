"""CIFAR-10: a residual network with one interface, or the networks of Jaderberg et al. 2016."""

from functools import partial

import tinydni as td
from tinydni.datasets import cifar10, crop_and_flip
from tinydni.datasets.cifar10 import CLASSES
from tinydni.lab.jobs.job import Job, Task
from tinydni.lab.jobs.mnist import classification, error_scores, show_predictions
from tinydni.lab.jobs.ranges import OptionError


def task(options):
    """Return CIFAR-10 with the network that --model names.

    --validation holds out the fifth training file.
    """
    layers, width, rng = options["layers"], options["width"], td.stream(options["seed"], "weights")
    if options["model"] == "resnet" and (layers < 8 or layers % 6 != 2):
        raise OptionError("--layers of a residual network is 8, 14, 20, 26, 32 or another 6 n + 2; "
                          f"got {layers}.")
    dataset, make = cifar10(), partial(Task, loss=td.SoftmaxCrossEntropy(), error=td.percent_wrong,
                                       held_out=5)
    if options["model"] == "resnet":
        return make(dataset, td.resnet(layers, rng, (width, 2 * width, 4 * width)),
                    cuts=[middle(layers)], augment=crop_and_flip,
                    schedule=lambda n_steps: td.CosineDecay(n_steps, warm_up=n_steps // 10),
                    synthesizer_schedule=td.CosineDecay)
    if options["model"] == "cnn":
        return make(dataset, td.cnn(dataset.x.shape[1:], dataset.n_out, layers, rng, width))
    return classification(dataset.as_rows(), options)


def middle(layers):
    """Return how many blocks are below the interface.

    All up to the first residual block of the second stage of three.
    """
    return 1 + (layers - 2) // 6 + 1


JOB = Job("cifar10", "CIFAR-10, 50,000 colour images of 32 x 32 (downloaded, or read from "
          "$TINYDNI_DATA)", {"method": "vfbn", "model": "resnet", "layers": 20, "width": 8,
                             "epochs": 4, "batch_size": 64},
          task, error_scores, lambda run: show_predictions(run, 6, "images", CLASSES),
          variants={"cnn": {"method": "cdni", "layers": 3, "width": 128, "epochs": 3},
                    "fcn": {"method": "cdni", "layers": 3, "width": 1000, "epochs": 5}},
          left_out=("workers", "transport", "mode", "timeline"))   # images change in every step
