"""`tinydni plot`: several results in one picture; and the options of the paper's setting."""

import json

import pytest

import tinydni as td
from tinydni.lab.cli import main
from tinydni.lab.jobs.digits import JOB
from tinydni.lab.jobs.ranges import OptionError

HISTORY = {"epoch": [1, 2], "train_loss": [2.0, 1.0], "test_error": [30.0, 20.0],
           "synthesizer_loss": [[1.0], [0.5]]}


def write(path, **changed):
    path.write_text(json.dumps({"experiment": "digits", "history": HISTORY | changed}))
    return str(path)


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn: the curves, and the words of the picture."""
    seen = []
    true = td.plots.learning_curve

    def spy(curves, **words):
        seen.append((curves, words))
        return true(curves, **words)
    monkeypatch.setattr(td.plots, "learning_curve", spy)
    return seen


def test_two_results_in_one_picture(tmp_path, drawn, capsys):
    a, b = write(tmp_path / "a.json"), write(tmp_path / "b.json", test_error=[25.0, 15.0])
    figure = tmp_path / "both.png"
    assert main(["plot", a, b, "--figure", str(figure)]) == 0
    (curves, words), = drawn
    assert curves == {"a": ([1, 2], [30.0, 20.0]), "b": ([1, 2], [25.0, 15.0])}
    assert words == {"xlabel": "epoch", "ylabel": "test error"}
    assert figure.read_bytes().startswith(b"\x89PNG") and str(figure) in capsys.readouterr().out


def test_results_of_the_same_name_are_told_apart(tmp_path, drawn):
    (tmp_path / "1").mkdir(), (tmp_path / "2").mkdir()
    files = [write(tmp_path / folder / "r.json") for folder in "12"]
    assert main(["plot", *files, "--of", "train_loss", "--figure", str(tmp_path / "f.png")]) == 0
    assert list(drawn[0][0]) == files and drawn[0][0][files[0]] == ([1, 2], [2.0, 1.0])


@pytest.mark.parametrize("make, said", {
    "no JSON": (lambda path: path.write_text("{"), "is no result of tinydni train"),
    "no history": (lambda path: path.write_text('{"table": 1}'), "is no result of tinydni train"),
    "a list": (lambda path: path.write_text("[1]"), "is no result of tinydni train"),
    "not there": (lambda path: None, "No such file"),
    "another unit": (lambda path: path.write_text('{"history": {"update": [1], "bits": [2.0]}}'),
                     "nothing in common that they are counted in"),
    "another measure": (lambda path: write(path, test_error=[], train_loss=[]),
                        "nothing in common"),
}.values(), ids=["no JSON", "no history", "a list", "not there", "unit", "measure"])
def test_what_cannot_be_drawn_is_a_sentence(tmp_path, make, said, capsys):
    a = write(tmp_path / "a.json")
    make(tmp_path / "b.json")
    figure = tmp_path / "f.png"
    assert main(["plot", a, str(tmp_path / "b.json"), "--figure", str(figure)]) == 2
    assert said in capsys.readouterr().err and not figure.exists()


def test_a_strangers_file_stays(tmp_path, capsys):
    a, figure = write(tmp_path / "a.json"), tmp_path / "f.png"
    figure.write_bytes(b"a photograph")
    assert main(["plot", a, "--figure", str(figure)]) == 2
    assert figure.read_bytes() == b"a photograph" and "--force" in capsys.readouterr().err


# The paper's own setting

def test_hidden_layers_of_a_synthesizer():
    run = JOB.run(JOB.options({"method": "dni", "hidden": [5, 6]}))
    widths = [layer.W.shape for _, layer in run.network.modules[0].synthesizer.walk()
              if isinstance(layer, td.Linear)]
    assert widths == [(64, 5), (5, 6), (6, 64)]
    with pytest.raises(OptionError, match="--hidden is for --synthesizer mlp; loss and"):
        JOB.options({"method": "cdni", "hidden": [5]})


def test_rates_drop_where_the_option_says():
    options = JOB.options({"method": "dni", "drops": [0.5, 0.75], "epochs": 2})
    training = JOB.run(options).training
    schedule = [training.schedule(step) for step in range(training.n_steps)]
    n = training.n_steps
    assert schedule == pytest.approx([1.0] * round(n / 2) + [0.1] * (round(n * 0.75) - round(n / 2))
                                     + [0.01] * (n - round(n * 0.75)))
