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


def test_every_step_changes_its_inputs_by_draws_of_its_own():
    """Draws depend on seed and step only, so a run that was stopped draws what another draws."""
    def run(stop_at=None):
        drawn = []

        def augment(xp, x, rng):
            drawn.append(rng.random())
            return x + xp.asarray(drawn[-1], x.dtype)

        def stop(training):
            training.stopped = training.step == stop_at

        training = make_training(epochs=2, augment=augment)
        training.run([stop])
        if stop_at:
            training.stopped = False
            training.run()
        return drawn, training.history

    drawn, history = run()
    assert len(set(drawn)) == len(drawn) == 12
    assert run(stop_at=5) == (drawn, history)
    assert history != make_training(epochs=2).run()


def test_schedules_scale_the_rates_of_blocks_and_of_synthesizers():
    scales = []

    def note(training):
        scales.append([optimizer.scale for _, _, optimizer in training.network.learners()])

    make_training(epochs=1).run([note])
    expected = [td.LinearDecay(6)(step) for step in range(6)]
    np.testing.assert_allclose(scales, np.repeat(np.array(expected)[:, None], 5, axis=1))
    scales.clear()
    make_training(epochs=1, synthesizer_schedule=lambda step: step / 2).run([note])
    found = {path: list(values) for path, values in zip(
        (path for path, _, _ in make_training().network.learners()), zip(*scales))}
    assert found["0.block"] == found["2.block"] == expected
    assert found["0.synthesizer"] == found["1.synthesizer"] == [0, 0.5, 1, 1.5, 2, 2.5]


def test_the_loss_of_an_epoch_is_the_mean_over_its_steps():
    losses = []
    training = make_training(epochs=2, step=lambda x, target, context: losses.append(
        len(losses) + 0.5) or losses[-1])
    history = training.run()
    assert len(losses) == 12
    assert history["train_loss"] == [np.mean(losses[:6]), np.mean(losses[6:])]


def test_callbacks_come_after_every_step_and_see_where_the_run_is():
    places = []
    training = make_training(epochs=2)
    assert (training.step, training.n_steps) == (0, 12)
    training.run([lambda t: places.append((t.step, t.epoch, t.batch, t.place(), t.finished))])
    assert [place[:3] for place in places] == [(step, *divmod(step, 6)) for step in range(1, 13)]
    assert places[0][3:] == ("epoch 1 of 2", False) and places[-1][4]
    loss, error = training.history["train_loss"][-1], training.history["test_error"][-1]
    assert training.headline() == f"epoch 2: loss {loss:.4f}, test error {error:.2f} %"


def test_errors_are_shares_in_percent_in_evaluation_mode():
    prediction, target = np.array([[0.1, 0.9], [3, 2], [0, 1], [5, -1]]), np.array([1, 1, 1, 0])
    assert td.percent_wrong(prediction, target) == 25
    bits = np.array([[0.2, -3], [0.4, 0.1]])
    assert td.percent_bits_wrong(bits, np.array([[1, 0], [0, 1]])) == 25
    training = make_training(epochs=1)
    training.run()
    data = training.dataset
    assert training.history["test_error"] == [
        td.percent_bits_wrong(training.network.predict(data.x_test), data.y_test)]
    assert training.train_error() == td.percent_bits_wrong(
        training.network.predict(data.x), data.y)


def test_a_context_of_other_examples_is_refused():
    data = td.datasets.addition(bits=2)
    network = make_training().network
    with pytest.raises(ValueError, match="context must have a row for each training example"):
        Training(network, data, 1, 4, 0, context=data.context()[:-1])


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
                       match="batch_size must be at most 3; got 4"):
        Training(network, data, 1, 4, 0)


def test_validation_error_is_named_as_such():
    training = make_training()
    data = training.dataset.with_validation(8)
    held_out = Training(training.network, data, 1, 8, 0, error=percent_bits_wrong,
                        context=data.context())
    assert "validation_error" in held_out.run() and "test_error" not in held_out.history


class Counting(td.GlobalAvgPool):
    """It notes how many examples come at a time."""

    def forward(self, x):
        self.batches = [*getattr(self, "batches", []), len(x)]
        return super().forward(x) if x.ndim == 4 else x

    def output_shape(self, shape):
        return shape[-1:]


@pytest.mark.parametrize("shape, most", [((2, 2, 3), 128), ((3,), 2000)])
def test_images_are_evaluated_few_at_a_time(shape, most):
    x, y = np.zeros((2001, *shape), np.float32), np.zeros(2001, np.int64)
    data = td.datasets.Dataset("zeros", x[:8], y[:8], x, y, n_classes=2)
    rng = np.random.default_rng(0)
    network = td.build([Counting(), td.Linear(3, 2, rng)], td.SoftmaxCrossEntropy(), 0.1,
                       algorithm=td.backprop, input_shape=shape)
    Training(network, data, 1, 8, 0).error_on(x, y)
    batches = network.modules[0].block.batches
    assert max(batches) == most and sum(batches) == 2001
