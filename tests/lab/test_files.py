"""Files that carry a run over a break: plain arrays, written whole or not at all."""

import json

import numpy as np
import pytest

from tinydni.lab import files


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
