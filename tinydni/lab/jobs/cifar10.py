"""CIFAR-10: a residual network with one interface, as Miyato et al. 2017, or the networks of Jaderberg et al. 2016."""

from functools import partial

from tinydni import backend
from tinydni.datasets import cifar10, crop_and_flip
from tinydni.datasets.cifar10 import CLASSES
from tinydni.lab.jobs.job import Job, Task
from tinydni.lab.jobs.mnist import error_scores
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.models import cnn, mlp, resnet
from tinydni.random import stream
from tinydni.optimizers import CosineDecay
from tinydni.training import percent_wrong


def task(options):
    """CIFAR-10 with the network that --model names; --validation holds out the fifth training file."""
    dataset, rng, layers, width = cifar10(), stream(options["seed"], "weights"), options["layers"], options["width"]
    make = partial(Task, loss=SoftmaxCrossEntropy(), error=percent_wrong, held_out=5)
    if options["model"] == "resnet":
        return make(dataset, resnet(layers, rng, (width, 2 * width, 4 * width)), cuts=[middle(layers)],
                    schedule=lambda n_steps: CosineDecay(n_steps, warm_up=n_steps // 10), synthesizer_schedule=CosineDecay,
                    augment=crop_and_flip)
    if options["model"] == "cnn":
        return make(dataset, cnn(dataset.x.shape[1:], dataset.n_out, layers, rng, width))
    dataset = dataset.as_rows()
    return make(dataset, mlp([dataset.n_in] + [width] * (layers - 1) + [dataset.n_out], rng))


def middle(layers):
    """The number of blocks below the interface: all up to the first residual block of the second stage of three."""
    return 1 + (layers - 2) // 6 + 1


def show_predictions(network, task):
    """Prints what the network sees in the first held-out images, and what they are."""
    x, y = task.dataset.x_test[:6], task.dataset.y_test[:6]
    seen = backend.to_numpy(network.predict(backend.asarray(network.modules[0].block.xp, x)).argmax(axis=1))
    print("The first 6 test images:", *(CLASSES[k] for k in y))
    print("            as it sees them:", *(CLASSES[k] for k in seen))


def add_model(parser):
    """The option of this job alone."""
    parser.add_argument("--model", choices=("resnet", "cnn", "fcn"), help="residual, --width channels in its first stage and "
                        "one interface in its middle; convolutional, by default 3 layers of 128 channels; fully connected, "
                        "by default 3 layers of 1000 (default resnet)")


JOB = Job("cifar10", "CIFAR-10, 50,000 colour images of 32 x 32 (downloaded, or read from $TINYDNI_DATA)",
          {"method": "vfbn", "model": "resnet", "layers": 20, "width": 8, "epochs": 4, "batch_size": 64},
          task, error_scores, show_predictions, extra=add_model, apart=False,
          variants={"cnn": {"method": "cdni", "layers": 3, "width": 128, "epochs": 3},
                    "fcn": {"method": "cdni", "layers": 3, "width": 1000, "epochs": 5}})
