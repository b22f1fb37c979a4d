"""Handwritten digits, the first experiment of Jaderberg et al. 2016: fully connected or convolutional."""

from tinydni import backend
from tinydni.datasets import mnist
from tinydni.lab.jobs.job import Job, Task
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.models import cnn, mlp
from tinydni.random import stream
from tinydni.training import percent_wrong


def classification(dataset, options):
    """The task of telling the classes of `dataset` apart with a fully connected network."""
    widths = [dataset.n_in] + [options["width"]] * (options["layers"] - 1) + [dataset.n_out]
    return Task(dataset, mlp(widths, stream(options["seed"], "weights")), SoftmaxCrossEntropy(), percent_wrong)


def task(options):
    """MNIST with the network that --model names."""
    if options["model"] == "fcn":
        return classification(mnist(), options)
    dataset = mnist().as_images(28, 28, 1)
    blocks = cnn((28, 28, 1), dataset.n_out, options["layers"], stream(options["seed"], "weights"), options["width"])
    return Task(dataset, blocks, SoftmaxCrossEntropy(), percent_wrong)


def error_scores(train_error, held_out_error, held_out):
    """The scores of a classification [percent wrong]."""
    return {"train_error": train_error, f"{held_out}_error": held_out_error}


def show_predictions(network, task):
    """Prints what the network reads in the first held-out images, and what they are."""
    x, y = task.dataset.x_test[:20], task.dataset.y_test[:20]
    read = network.predict(backend.asarray(network.modules[0].block.xp, x)).argmax(axis=1)
    print("The first 20 held-out digits:", *y)
    print("               as it reads them:", *backend.to_numpy(read))


def add_model(parser):
    """The option of this job alone."""
    parser.add_argument("--model", choices=("fcn", "cnn"), help="fully connected; or convolutional, --width channels in "
                        "every layer, by default 64, and 3 epochs (default fcn)")


JOB = Job("mnist", "MNIST digits, 60,000 images of 28 x 28 (downloaded, or read from $TINYDNI_DATA)",
          {"method": "cdni", "model": "fcn", "layers": 3, "width": 256, "epochs": 5, "batch_size": 64},
          task, error_scores, show_predictions, extra=add_model, variants={"cnn": {"width": 64, "epochs": 3}})
