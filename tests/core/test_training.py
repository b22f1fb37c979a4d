"""The loop: seeds, interruption, divergence, and the files that carry a run over a break."""

import json

import numpy as np
import pytest

import tinydni as td
from tinydni.lab import files
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
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(tmp_path, stop_at):
    whole = make_training()
    whole.run()

    def stop(training):
        training.stopped = training.step >= stop_at

    first = make_training()
    first.run([stop])
    assert not first.finished
    path = tmp_path / "run.npz"
    files.save(path, first.network.state(), first.position())
    state, position = files.load(path)
    second = make_training()
    second.network.load_state(state)
    second.go_to(position)
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


def test_checkpoints_are_plain_arrays_and_keep_every_bit(tmp_path):
    state = {"0.W": np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32),
             "steps": np.array(7)}
    info = {"loss": 0.1 + 0.2, "text": "ü", "list": [1, None]}
    files.save(tmp_path / "a.npz", state, info)
    loaded, note = files.load(tmp_path / "a.npz")
    assert note == info and loaded.keys() == state.keys()
    for name in state:
        assert loaded[name].dtype == state[name].dtype
        np.testing.assert_array_equal(loaded[name], state[name])


def broken_files(folder):
    """Files that are no checkpoints, each wrong in its own way."""
    files.save(folder / "good.npz", {"a": np.zeros(1000)}, {})
    (folder / "cut.npz").write_bytes((folder / "good.npz").read_bytes()[:-200])
    (folder / "text.npz").write_text("hello")
    (folder / "empty.npz").write_bytes(b"")
    np.savez(folder / "other.npz", a=np.zeros(3))
    np.savez(folder / "pickle.npz", a=np.array([{"a": 1}], dtype=object))
    np.save(folder / "array.npz.npy", np.zeros(3))
    return ["cut.npz", "text.npz", "empty.npz", "other.npz", "pickle.npz", "array.npz.npy",
            "missing.npz"]


def test_broken_checkpoints_give_a_sentence(tmp_path):
    for name in broken_files(tmp_path):
        with pytest.raises(files.CheckpointError, match=name):
            files.load(tmp_path / name)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    files.write_json(path, {"old": 1})
    with pytest.raises(ValueError):
        files.write_json(path, {"new": float("nan")})
    with pytest.raises(TypeError):
        files.write_json(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": 1}

    def fail():
        with files.whole_file(path) as temporary:
            open(temporary, "w").write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_writing_into_a_missing_folder_says_which(tmp_path):
    with pytest.raises(FileNotFoundError, match="the folder .*nowhere does not exist"):
        files.write_text(tmp_path / "nowhere" / "a.txt", "x")
