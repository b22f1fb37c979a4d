"""The loop: its order, seeds, interruption and divergence."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest

import tinydni as td
from tinydni.training import DivergedError, Training, percent_bits_wrong


def make_training(seed=0, epochs=3, lr=0.01, bits=3, **options):
    data = td.datasets.addition(bits=bits, seed=seed)
    rng = td.random.stream(seed, "weights")

    def hidden(width):
        return [td.BatchNorm(width), td.ReLU(),
                td.Dropout(0.1, td.random.stream(seed, "dropout", width))]

    network = td.build(td.mlp([data.n_in, 16, 12, data.n_out], rng, hidden),
                       td.BinaryCrossEntropy(),
                          lr=lambda: td.Adam(lr),
                       synthesizer=lambda n: td.LinearSynthesizer(n, data.n_out),
                          synthesizer_lr=lambda: td.Adam(0.003))
    return Training(network, data, epochs, batch_size=8, seed=seed,
                    schedule=td.LinearDecay(epochs * 6),
                    error=percent_bits_wrong, context=data.context(), **options)


def numbers(batch_size, epochs=3, seed=0):
    """The numbers 0 to 19 that a training visits, by epochs; targets and context are checked."""
    x = np.arange(20.0)[:, None]
    data = SimpleNamespace(x=x, y=10 * x, x_test=x[:1], y_test=x[:1], held_out="test")
    network = td.build([td.Linear(1, 1, np.random.default_rng(0), dtype=float)],
                       td.MeanSquaredError(), 0.1)
    seen = []

    def step(x, target, context):
        np.testing.assert_array_equal(target, 10 * x)
        np.testing.assert_array_equal(context, 100 * x)
        seen.append(x[:, 0].astype(int).tolist())
        return 1.0

    td.Training(network, data, epochs, batch_size, seed, error=lambda y, t: 0.0, context=100 * x,
                step=step).run()
    assert {len(batch) for batch in seen} == {batch_size}
    n = 20 // batch_size
    return [sum(seen[n * i:n * (i + 1)], []) for i in range(epochs)]


def test_an_epoch_visits_every_example_once_and_in_a_new_order():
    first, second, third = numbers(batch_size=5)
    assert sorted(first) == sorted(second) == sorted(third) == list(range(20))
    assert first != second != third != first and first != list(range(20))
    assert numbers(batch_size=5) == [first, second, third] != numbers(batch_size=5, seed=1)


def test_less_than_a_batch_is_left_out_at_the_end_of_an_epoch():
    for epoch in numbers(batch_size=6):
        assert len(epoch) == len(set(epoch)) == 18


def test_same_seed_same_curve_and_another_seed_another():
    first, again, other = (make_training(seed).run() for seed in (1, 1, 2))
    assert first == again
    assert first["train_loss"] != other["train_loss"]


def test_history_has_one_entry_per_epoch():
    history = make_training().run()
    assert history["epoch"] == [1, 2, 3]
    assert {len(values) for values in history.values()} == {3}
    assert all(len(losses) == 2 for losses in history["synthesizer_loss"])      # two interfaces


@pytest.mark.parametrize("stop_at", [1, 5, 6, 7, 17])        # in an epoch, at its end, and after it
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(stop_at):
    whole = make_training()
    whole.run()

    def stop(training):
        training.stopped = training.step >= stop_at

    first = make_training()
    first.run([stop])
    assert not first.finished
    file, position = io.BytesIO(), json.dumps(first.position())
    np.savez(file, **first.network.state())
    file.seek(0)
    second = make_training()
    with np.load(file, allow_pickle=False) as state:
        second.network.load_state(dict(state))
    second.go_to(json.loads(position))
    second.run()
    assert second.history == whole.history
    for name, array in whole.network.state().items():
        np.testing.assert_array_equal(second.network.state()[name], array, err_msg=name)


def test_a_loss_that_becomes_nan_stops_with_a_sentence():
    training = make_training(lr=1e30)
    message = r"became (nan|inf) in epoch \d+, step \d+.*--lr"
    with np.errstate(all="ignore"), pytest.raises(DivergedError, match=message):
        training.run()


def test_batches_larger_than_the_data_are_refused():
    data = td.datasets.addition(bits=1)
    network = td.build(td.mlp([2, 4, 2], np.random.default_rng(0)), td.BinaryCrossEntropy(),
                       lambda: td.SGD(0.1), algorithm=td.no_backprop)
    with pytest.raises(ValueError,
                       match="must be at most the number of training examples, 3; got 4"):
        Training(network, data, 1, 4, 0)


def test_validation_error_is_named_as_such():
    training = make_training()
    data = training.dataset.with_validation(8)
    held_out = Training(training.network, data, 1, 8, 0, error=percent_bits_wrong,
                        context=data.context())
    assert "validation_error" in held_out.run() and "test_error" not in held_out.history
