"""Submissions that would stop a grader: each costs its own student only, and says why."""

import io
import json
import os
import subprocess
import tarfile
import zipfile

import pytest
from classroom_class import hand_in, load, some_slow

from tinydni.classroom import grade, sandbox, submission
from tinydni.classroom.collect import Unclear, all_in, solution_file
from tinydni.classroom.solution import Inside

A1 = load("A1")


def zip_of(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def damaged_zip(path):
    zip_of(path, {"A1.py": A1.source})
    data = bytearray(path.read_bytes())
    data[50:90] = b"\0" * 40
    path.write_bytes(data)


def cut_zip(path):
    zip_of(path, {"A1.py": A1.source})
    path.write_bytes(path.read_bytes()[:-30])


def bomb(path):
    zip_of(path, {"A1.py": b"# ## A1.1\n" + b"\0" * 2 ** 25})


def quine(path):
    inner = io.BytesIO()
    for _ in range(3):
        data = inner.getvalue()
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("next.zip", data)
    path.write_bytes(inner.getvalue())


def tar_of_devices(path):
    with tarfile.open(path, "w:gz") as archive:
        for name, kind in (("A1.py", tarfile.CHRTYPE), ("a/A1.py", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)


def tar_of_gigabytes(path):
    info = tarfile.TarInfo("A1.py")
    info.size = 2 ** 38
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024)


def nested(folder):
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        there = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)


def sparse(folder):
    folder.mkdir()
    with open(folder / "A1.py", "wb") as stream:
        stream.truncate(300 * 2 ** 30)


def fifo(folder):
    folder.mkdir()
    os.mkfifo(folder / "A1.py")


def link_to_secret(folder):
    folder.mkdir()
    (folder.parent.parent / "secret").write_text(A1.source)
    (folder / "A1.py").symlink_to(folder.parent.parent / "secret")


def link_to_neighbour(folder):
    hand_in(folder.parent.parent / "elsewhere", A1)
    folder.mkdir()
    (folder / "work").symlink_to(folder.parent.parent / "elsewhere")


def text(content):
    def make(folder):
        folder.mkdir()
        data = content if isinstance(content, bytes) else content.encode()
        (folder / "A1.py").write_bytes(data)
    return make


def notebook(content):
    def make(folder):
        folder.mkdir()
        (folder / "A1.ipynb").write_text(content)
    return make


HEAD = "# %% [markdown]\n# ## A1.1 Edit and check (1 point)\n\n# %%\n"
# (name in the folder, what makes it, words of the reason; "" where it is graded, with 0 points)
HOSTILE = {
    "a damaged zip": ("x.zip", damaged_zip, "cannot be unpacked|no file"),
    "half a zip": ("x.zip", cut_zip, "cannot be unpacked"),
    "no zip": ("x.zip", lambda path: path.write_bytes(b"PK\3\4 hello"), "cannot be unpacked"),
    "an empty zip": ("x.zip", lambda path: path.write_bytes(b""), "cannot be unpacked"),
    "a bomb": ("x.zip", bomb, "more than 8 MiB"),
    "a zip in a zip in a zip": ("x.zip", quine, "no file"),
    "50,000 empty files": ("x.zip", lambda path: zip_of(
        path, {f"f{k}.py": "" for k in range(50_000)}, zipfile.ZIP_STORED), "no file|more than"),
    "a tar of devices and links": ("x.tar.gz", tar_of_devices, "no file"),
    "a tar of 256 GiB": ("x.tar", tar_of_gigabytes, "holds too much"),
    "1,500 folders": ("x", nested, "no file"),
    "300 GiB of nothing": ("x", sparse, "more than 8 MiB"),
    "a pipe": ("x", fifo, "no file"),
    "a link to the secret": ("x", link_to_secret, "no file"),
    "a link to another folder": ("x", link_to_neighbour, "no file"),
    "a picture": ("x", text(b"\x89PNG\r\n\x1a\n\xff\xfe\0\0"), "no file"),
    "a letter": ("x", text("Dear teacher, my dog ate it."), "no file"),
    "nothing": ("x", text(""), "no file"),
    "brackets": ("x", notebook("[" * 10 ** 6 + "## A1.1"), ""),
    "a notebook that is a number": ("x", notebook("17 " + "## A1.1"), ""),
    "cells that are no cells": ("x",
                                notebook(json.dumps({"cells": [1, {"cell_type": ["## A1.1"]}]})),
                                ""),
    "100,000 minus signs": ("x", text(f"{HEAD}def double(x):\n    return {'-' * 100_000}x\n"), ""),
    "100,000 brackets": ("x", text(f"{HEAD}double = {'(' * 100_000}\n"), ""),
    "100,000 cells": ("x", text(HEAD + "# %%\n1\n" * 100_000), ""),
    "empty lines": ("x", text(HEAD + "\n" * 10 ** 6), ""),
    "one long line": ("x", text(f"{HEAD}x = '{'a' * 10 ** 6}'\n"), ""),
    "zero bytes": ("x", text(f"{HEAD}def double(x):\0\n"), ""),
    "half a surrogate": ("x", text(HEAD.encode() + b"# \xed\xa0\x80\nx = 1\n"), ""),
    "a form feed": ("x", text(f"{HEAD}\f\v\x1c\x85def double(x): return x\n"), ""),
}


@pytest.mark.parametrize("what", some_slow(HOSTILE, {
    "50,000 empty files", "100,000 cells", "empty lines", "100,000 brackets", "one long line"}))
def test_one_bad_submission_costs_nobody_else(what, tmp_path, monkeypatch):
    name, make, words = HOSTILE[what]
    if words:                                       # nothing of it is run
        monkeypatch.setattr(grade, "Outside", lambda *_, **__: Inside())
    folder = tmp_path / "in"
    hand_in(folder / "anna", A1, A1.source)
    make(folder / name)
    found = {handed.student: result for handed, result in grade.grade(
        A1, folder, tmp_path / "g.json", "s", sandbox.Nothing(), jobs=1, say=lambda _: None, cpu=1)}
    subprocess.run(["rm", "-rf", folder], check=True)       # too deep for Python
    assert found["anna"].total == 10 and not found["anna"].problem
    bad = found["x"]
    assert any(word in bad.problem for word in words.split("|")), bad.problem
    assert bool(bad.problem) == bool(words) and bad.total == 0 and bad.graded != bool(words)


def test_an_unreadable_file_and_a_folder_beside_a_zip(tmp_path):
    hand_in(tmp_path / "anna", A1)
    zip_of(tmp_path / "anna.zip", {"A1.py": A1.source})
    (handed,), _ = all_in(tmp_path, A1)
    with pytest.raises(Unclear, match=r"anna and anna\.zip both belong to anna"):
        solution_file(handed, A1)
    hand_in(tmp_path / "bo", A1)
    (tmp_path / "bo" / "A1.py").chmod(0)
    bo = next(handed for handed in all_in(tmp_path, A1)[0] if handed.student == "bo")
    if os.geteuid():
        with pytest.raises(Unclear, match=r"A1\.py cannot be read"):
            solution_file(bo, A1)


def test_names_in_latin_1_and_names_that_would_be_formulas(tmp_path):
    folder = tmp_path / "in"
    for name in (b"J\xfcrgen", b"=1+1", b"<b>&", b"a\nb"):
        os.mkdir(os.fsencode(folder) + b"/" + name) if folder.exists() else (
            folder.mkdir(), os.mkdir(os.fsencode(folder) + b"/" + name))
        with open(os.fsencode(folder) + b"/" + name + b"/A1.py", "w") as stream:
            stream.write(HEAD + "double = lambda x: 2 * x\n")
    found = grade.grade(A1, folder, tmp_path / "g.json", "s", sandbox.Nothing(), say=lambda _: None)
    assert [result.total for _, result in found] == [1] * 4
    assert json.loads((tmp_path / "g.json").read_text(encoding="utf-8"))


def test_what_the_grader_itself_trips_over_is_one_students(tmp_path, monkeypatch):
    hand_in(tmp_path / "in" / "anna", A1)
    hand_in(tmp_path / "in" / "bo", A1, A1.source + "# trip\n")
    text_of = submission.text_of

    def trip(file, data):
        if b"# trip" in data:
            raise MemoryError
        return text_of(file, data)

    monkeypatch.setattr(submission, "text_of", trip)
    said = []
    found = {handed.student: result for handed, result in grade.grade(
        A1, tmp_path / "in", tmp_path / "g.json", "s", sandbox.Nothing(), say=said.append)}
    assert found["anna"].total == 10
    assert found["bo"].problem == "the grader stopped with MemoryError" and not found["bo"].graded
    assert "bo: NOT GRADED: the grader stopped with MemoryError." in said
