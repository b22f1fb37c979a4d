"""Replay: who reads what when, at which pace, and the plain schedule as its simplest case."""

import numpy as np
import pytest
from conftest import on_devices

import tinydni as td
from tinydni import backend
from tinydni.variants import LocalHead, Replay

WIDTHS, N, K = (6, 5, 4, 3), 8, 3
EYE = np.eye(K, dtype=np.float32)


def make(algorithm, module=td.DNI):
    """Three blocks with batch normalisation, each with a classifier of its own, under Adam."""
    rng = np.random.default_rng(0)
    *below, top = td.mlp(WIDTHS, rng)
    modules = [module(block, td.Adam(0.01), LocalHead(td.Linear(n, K, rng), K), td.Adam(0.01))
               for block, n in zip(below, WIDTHS[1:])]
    return td.Network([*modules, module(top, td.Adam(0.01), loss=td.SoftmaxCrossEntropy())],
                      algorithm)


def batches(n, seed=0):
    rng = np.random.default_rng(seed)
    drawn = ((rng.standard_normal((N, WIDTHS[0])), rng.integers(K, size=N)) for _ in range(n))
    return [(x.astype(np.float32), y) for x, y in drawn]


def train(network, steps):
    for x, y in steps:
        network.step(x, y, EYE[y])
    return network


def assert_same(a, b):
    a, b = ({path: array for path, array in network.state().items()
             if not path.startswith("algorithm")} for network in (a, b))
    assert a.keys() == b.keys()
    for path in a:
        np.testing.assert_array_equal(a[path], b[path], err_msg=path)


class Noted(td.DNI):
    """A module that passes x on as it is and notes (number in x, number in the labels)."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.read = []

    def forward_and_synthetic_update(self, x, context=None, target=None):
        assert (target == context.argmax(axis=1)).all()
        self.read.append((int(x[0, 0]), int(target[0])))
        return super().forward_and_synthetic_update(x, context, target)

    def forward(self, x):
        h = super().forward(x)
        return np.full_like(h, x[0, 0])


def numbered(n, **options):
    """What each module has read in n steps; batch t holds the number t and the label t mod K."""
    network = make(Replay(WIDTHS, N, **options), Noted)
    for t in range(n):
        network.step(np.full((N, WIDTHS[0]), t, np.float32), np.full(N, t % K), EYE[[t % K] * N])
    return [module.read for module in network.modules]


def test_in_order_at_one_pace_with_one_output_kept_it_is_the_plain_schedule():
    replay = Replay(WIDTHS, N, size=1, in_order=True)
    assert_same(train(make(replay), batches(9)), train(make(td.update_decoupled), batches(9)))


@pytest.mark.parametrize("size", [1, 4])
def test_a_module_reads_one_of_the_last_outputs_below_with_its_own_labels(size):
    bottom, middle, top = numbered(60, size=size)
    assert bottom == [(t, t % K) for t in range(60)]
    assert all(label == number % K for number, label in middle + top)
    # within a step the module below may act before or after
    ages = [t - number for t, (number, _) in enumerate(middle)]
    assert min(ages) == 0 and max(ages) == size


def test_what_a_module_reads_is_drawn_from_all_that_is_kept():
    _, middle, _ = numbered(300, size=3, in_order=True)
    ages = np.bincount([t - number for t, (number, _) in enumerate(middle) if t > 2])
    assert len(ages) == 3 and ages.min() > 70


def test_a_slow_module_acts_as_often_as_its_rate_says():
    bottom, middle, top = numbered(400, size=2, rates=[1, 0.5, 1])
    assert len(bottom) == len(top) == 400 and 170 < len(middle) < 230


def test_who_reads_from_a_slow_module_reads_the_same_output_again():
    _, middle, top = numbered(100, size=1, rates=[1, 0.25, 1])
    numbers = [number for number, _ in top]
    assert numbers == sorted(numbers) and set(numbers) <= {number for number, _ in middle}
    assert len(set(numbers)) < 50


def test_the_order_is_another_in_every_step():
    bottom, middle, _ = numbered(60, size=1)
    late = sum(number < t for t, (number, _) in enumerate(middle))
    assert 15 < late < 45


def test_it_goes_on_after_a_stop():
    steps, make_one = batches(12), lambda: make(Replay(WIDTHS, N, size=3, rates=[1, 0.5, 0.8]))
    whole, first, second = train(make_one(), steps), train(make_one(), steps[:5]), make_one()
    second.load_state(first.state())
    train(second, steps[5:])
    for path, array in whole.state().items():
        np.testing.assert_array_equal(second.state()[path], array, err_msg=path)


@on_devices
def test_every_backend_learns_what_numpy_learns(xp):
    here, there = (make(Replay(WIDTHS, N, size=3, rates=[1, 0.5, 1])).to(dtype=np.float64)
                   for _ in range(2))
    there.to(xp)
    for x, y in batches(6):
        x, context = x.astype(np.float64), np.eye(K)[y]
        here.step(x, y, context)
        there.step(*(backend.asarray(xp, array) for array in (x, y, context)))
    for path, array in here.state().items():
        np.testing.assert_allclose(there.state()[path], array, rtol=1e-9, atol=1e-12)


def test_a_network_learns_with_a_slow_module():
    data, widths, rng = td.datasets.digits(), (64, 32, 32, 10), np.random.default_rng(0)
    network = td.build(td.mlp(widths, rng), td.SoftmaxCrossEntropy(), lambda: td.Adam(3e-3),
                       lambda n: LocalHead(td.Linear(n, 10, rng), 10), lambda: td.Adam(3e-3),
                       algorithm=Replay(widths, 32, size=10, rates=[1, 0.5, 1]))
    training = td.Training(network, data, 15, 32, 0, context=data.context())
    assert training.run()["test_error"][-1] < 6


# Wrong arguments

@pytest.mark.parametrize("options, message", [
    ({"size": 0}, "size must be at least 1; got 0"), ({"rates": [1, 0, 1]}, "rates"),
    ({"rates": [1, 1.5, 1]}, "rates"), ({"rates": []}, "each of 3 modules"),
    ({"rates": [1, 1]}, "each of 3 modules; got .1, 1.")])
def test_a_wrong_number_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        Replay(WIDTHS, N, **{"size": 2, **options})


@pytest.mark.parametrize("widths, batch_size", [((6, 5, 5, 3), N), (WIDTHS, N + 1)])
def test_another_network_or_batch_is_refused(widths, batch_size):
    with pytest.raises(ValueError, match="Say so in its `widths` and `batch_size`"):
        train(make(Replay(widths, batch_size, size=2)), batches(1))


def test_one_module_has_nobody_to_read_from():
    with pytest.raises(ValueError, match="widths, less one, must be at least 2; got 1"):
        Replay((6, 3), N, size=2)


def test_another_number_of_modules_is_refused():
    with pytest.raises(ValueError, match="made for 2 modules.*got 3"):
        train(make(Replay(WIDTHS[1:], N, size=2)), batches(1))


def test_modules_that_wait_for_a_message_are_refused():
    network = td.build(td.mlp(WIDTHS, np.random.default_rng(0)), td.SoftmaxCrossEntropy(), 0.1,
                       lambda n: td.LinearSynthesizer(n, K), 0.1,
                       algorithm=Replay(WIDTHS, N, size=2))
    with pytest.raises(ValueError, match="needs a LocalHead.*LinearSynthesizer"):
        train(network, batches(1))


@pytest.mark.parametrize("context", [lambda y: list(EYE[y]), lambda y: y, lambda y: EYE[y][:, :2]],
                         ids=["a list", "numbers", "fewer columns"])
def test_a_context_of_another_form_is_refused(context):
    (x, y), = batches(1)
    with pytest.raises((TypeError, ValueError), match="Replay: context"):
        make(Replay(WIDTHS, N, size=2)).step(x, y, context(y))


@pytest.mark.parametrize("context", [lambda y: EYE[(y + 1) % K], lambda y: 2 * EYE[y],
                                     lambda y: None], ids=["others", "twice", "no labels"])
def test_a_context_that_is_not_the_target_is_refused(context):
    (x, y), = batches(1)
    with pytest.raises(ValueError, match="must be the same labels"):
        make(Replay(WIDTHS, N, size=2)).step(x, y, context(y))
