"""Handwritten digits, the first experiment of Jaderberg et al. 2016."""

import tinydni as td
from tinydni import backend
from tinydni.datasets import mnist
from tinydni.lab.jobs.job import Job, Task
from tinydni.variants.looks_linear import looks_linear

STARTS = {None: td.mlp, "he": td.mlp, "looks-linear": looks_linear}


def classification(dataset, options):
    """Return the task of telling classes apart with a fully connected network."""
    widths = [dataset.n_in] + [options["width"]] * (options["layers"] - 1) + [dataset.n_out]
    blocks = STARTS[options.get("start")](widths, td.stream(options["seed"], "weights"))
    return Task(dataset, blocks, td.SoftmaxCrossEntropy(), td.percent_wrong)


def task(options):
    """Return MNIST with the network that --model names."""
    if options["model"] == "fcn":
        return classification(mnist(), options)
    dataset = mnist().as_images(28, 28, 1)
    blocks = td.cnn((28, 28, 1), dataset.n_out, options["layers"],
                    td.stream(options["seed"], "weights"), options["width"])
    return Task(dataset, blocks, td.SoftmaxCrossEntropy(), td.percent_wrong)


def error_scores(run):
    """Return the percentage of images that are misread."""
    training, part = run.training, run.training.held_out_error
    return {"train_error": training.train_error(), part: training.history[part][-1]}


def show_predictions(run, n=20, what="digits", names=None):
    """Print what the first held-out images are, and what the network reads in them."""
    dataset, xp = run.task.dataset, run.network.modules[0].block.xp
    read = run.network.predict(backend.asarray(xp, dataset.x_test[:n])).argmax(axis=1)
    labels, read = ([names[k] if names else k for k in backend.to_numpy(found)]
                    for found in (dataset.y_test[:n], read))
    print(f"The first {n} held-out {what}:", *labels)
    print(f"{'as it reads them:':>{25 + len(what)}}", *read)


JOB = Job("mnist", "MNIST digits, 60,000 images of 28 x 28 (downloaded, or read from "
          "$TINYDNI_DATA)", {"method": "cdni", "model": "fcn", "layers": 3, "width": 256,
                             "epochs": 5, "batch_size": 64},
          task, error_scores, show_predictions, variants={"cnn": {"width": 64, "epochs": 3}})
