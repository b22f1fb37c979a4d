"""Every combination of options either trains, or is refused in one sentence before it starts."""

from itertools import product

import numpy as np
import pytest

from tinydni.datasets.dataset import Dataset
from tinydni.lab.jobs.digits import JOB as DIGITS
from tinydni.lab.jobs.forms import SYNTHESIZERS
from tinydni.lab.jobs.job import Job, Task
from tinydni.lab.jobs.methods import CONTEXTS, METHODS
from tinydni.lab.jobs.mnist import error_scores
from tinydni.lab.jobs.ranges import OptionError
from tinydni.lab.jobs.recall import JOB as RECALL
from tinydni.lab.products import write_product_buffer
from tinydni.losses import SoftmaxCrossEntropy
from tinydni.models import cnn, mlp, resnet
from tinydni.random import stream
from tinydni.training import percent_wrong

SHAPE, K = (4, 4, 1), 3
WAYS = (
    {},
    {"p_update": 0.5},
    {"lambda": 0.5},
    {"lambda": 0.0},
    {"unlock": True},
    {"late": 1},
    {"late": 0},
    {"warm_up": 1},
    {"untrained": True},
    {"cuts": [1]},
    {"scale": 2.0},
    {"readers": 2},
    {"readers": 3, "readers_run": 1, "p_update": 0.5},
    {"readers": 2, "unlock": True},
    {"readers": 2, "lambda": 0.5, "untrained": True, "scale": 2.0},
)


def task(options):
    """The three models on 8 random images; the residual one, as on CIFAR-10, with one interface."""
    rng = stream(0, "sample")
    x, y = rng.standard_normal((12, *SHAPE)).astype(np.float32), rng.integers(K, size=12)
    dataset = Dataset("tiny", x[:8], y[:8], x[8:], y[8:], K)
    weights = stream(options["seed"], "weights")
    blocks = {
        "fcn": lambda: mlp([16, 5, 4, K], weights),
        "cnn": lambda: cnn(SHAPE, K, 3, weights, 2, kernel=3),
        "resnet": lambda: resnet(8, weights, (2, 3, 3), 1, K),
    }[options["model"]]()
    dataset = dataset.as_rows() if options["model"] == "fcn" else dataset
    return Task(
        dataset,
        blocks,
        SoftmaxCrossEntropy(),
        percent_wrong,
        cuts=[2] if options["model"] == "resnet" else None,
    )


DEFAULTS = {"method": "cdni", "model": "fcn", "layers": 3, "width": 4, "epochs": 1, "batch_size": 4}
JOB = Job("tiny", "8 random images", DEFAULTS, task, error_scores, show=None)


def works(**given):
    """Whether a run with these options learns; False for an OptionError, all else raises."""
    try:
        run = JOB.run(JOB.options(given))
    except OptionError as refusal:
        assert str(refusal).endswith(".") and len(str(refusal)) < 300, refusal
        return False
    run.train(quiet=True)
    assert np.isfinite(run.training.history["train_loss"]).all() and run.network.steps == 2
    assert set(run.result()["sees"]) <= {"h", "labels", "input", "h1"}
    return True


def pairs():
    """All pairs of form, context and way to run, the third as the method has it."""
    forms, contexts, ways = (None, *SYNTHESIZERS), (None, *CONTEXTS), range(len(WAYS))
    return {
        *product(forms, contexts, [0]),
        *product(forms, [None], ways),
        *product([None], contexts, ways),
        *product(["guess"], ["h1"], ways),
    }


@pytest.mark.parametrize("model", ["fcn", "cnn", "resnet"])
@pytest.mark.parametrize("method", METHODS)
def test_every_combination_trains_or_is_refused(method, model):
    found = {
        (form, context, i): works(
            method=method, model=model, synthesizer=form, context=context, **WAYS[i]
        )
        for form, context, i in pairs()
    }
    if (method, model) == ("dtp", "cnn"):
        assert not found[None, None, 0]  # its inverses are of rows
        return
    assert found[None, None, 0]  # every method has its plain form, on every model
    assert found[None, None, WAYS.index({"readers": 2})] == (method not in ("dfa", "ff"))
    if METHODS[method].synthesizer is not None:
        assert all(found[None, None, i] for i in range(len(WAYS)))
    if method == "dni":
        assert found["guess", None, 0] and found["guess", "input", 0]
        assert all(
            found["guess", "h1", i] == (not {"unlock", "late"} & set(way))
            for i, way in enumerate(WAYS)
        )


MUST_BE_REFUSED = {
    "late targets and a bottom output of another time": (
        {"method": "dni", "synthesizer": "guess", "context": "h1", "late": 1},
        "--late runs a block again",
    ),
    "late targets that nobody learns from": ({"late": 1, "untrained": True}, "do not learn"),
    "late targets by a delay between workers": ({"late": 2, "workers": 2}, "takes the time"),
    "two ways at once": ({"lambda": 0.0, "unlock": True}, "different ways to run"),
    "a guess of labels": ({"synthesizer": "guess", "context": "labels"}, "--context input or h1"),
    "a bottom output that nobody waits for": (
        {"synthesizer": "guess", "context": "h1", "unlock": True},
        "--unlock",
    ),
    "virtual networks without labels": (
        {"method": "vfbn", "context": "h1"},
        "needs --context labels",
    ),
    "images as context of a convolution": (
        {"method": "dni", "model": "cnn", "context": "input"},
        "--context input",
    ),
    "maps as context of a convolution": (
        {"method": "dni", "model": "cnn", "context": "h1"},
        "--context h1",
    ),
    "more readers in a step than there are": (
        {"readers": 2, "readers_run": 3},
        "at most --readers 2",
    ),
    "some of no readers": ({"readers_run": 1}, "--readers"),
    "one error of several readers": ({"method": "dfa", "readers": 2}, "--readers"),
    "a share of the readers' gradients": (
        {
            "method": "backprop",
            "readers": 2,
            "readers_run": 1,
            "workers": 2,
            "mode": "data-parallel",
        },
        "--readers-run",
    ),
    "a guess over workers": (
        {"synthesizer": "guess", "context": "h1", "workers": 2},
        "leave out --workers",
    ),
}


@pytest.mark.parametrize("given, message", MUST_BE_REFUSED.values(), ids=MUST_BE_REFUSED)
def test_what_does_not_fit_together_is_said(given, message):
    with pytest.raises(OptionError, match=message):
        JOB.run(JOB.options(given))


@pytest.mark.parametrize(
    "given",
    [
        {"method": "dni", "context": "h1"},
        {"readers": 2, "readers_run": 1},
        {"model": "cnn", "readers": 2},
        {"method": "backprop", "readers": 2},
        {"method": "backprop", "readers": 2, "mode": "data-parallel"},
        {"method": "vfbn", "model": "cnn", "unlock": True},
        {"method": "label-only", "model": "cnn"},
    ],
    ids=str,
)
def test_workers_run_what_is_new(given):
    assert works(workers=2, **given)


def test_a_start_is_mirrored_pairs():
    options = DIGITS.options({"start": "looks-linear", "width": 8})
    W = DIGITS.run(options).network.modules[0].block.layers[0].W
    np.testing.assert_array_equal(W[:, :4], -W[:, 4:])
    with pytest.raises(OptionError, match="must be even"):
        DIGITS.run({**options, "width": 7})


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("untrained", [True, None])
def test_an_untrained_synthesizer_stays_as_it_is_at_every_scale(untrained, scale):
    run = DIGITS.run(DIGITS.options({"method": "vfbn", "quick": True, "scale": scale,
                                     "untrained": untrained}))
    synthesizers = run.network.synthesizers()
    before = [layer.state() for layer in synthesizers]
    run.train(quiet=True)
    same = [np.array_equal(array, layer.state()[path])
            for layer, state in zip(synthesizers, before) for path, array in state.items()]
    assert same and all(same) == bool(untrained)


def test_a_process_writes_the_buffer_of_its_products_once():
    write_product_buffer.cache_clear()
    for job in (DIGITS, RECALL):
        job.run(job.options({}))
    assert write_product_buffer.cache_info().misses == 1
