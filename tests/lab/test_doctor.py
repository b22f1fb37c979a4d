"""The doctor: what it finds, what it says to do, its exit code, its speed."""

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tinydni import backend
from tinydni.datasets import download
from tinydni.lab import doctor


def finding(name):
    """The one finding of this name."""
    found, = (f for f in doctor.examine() if f.name.strip() == name)
    return found


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No settings from outside."""
    for variable in ("TINYDNI_DATA", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
                     "VECLIB_MAXIMUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder with all data sets, named by TINYDNI_DATA."""
    for folder, files in doctor.DATA_SETS.items():
        (tmp_path / folder).mkdir()
        for file in files:
            (tmp_path / folder / file).touch()
    monkeypatch.setenv("TINYDNI_DATA", str(tmp_path))
    return tmp_path


def exit_code(capsys):
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    code = doctor.main(parser.parse_args([]))
    assert capsys.readouterr().out == doctor.as_text(doctor.examine()) + "\n"
    return code


def test_one_line_for_each_finding_and_exit_code_0(capsys):
    findings = doctor.examine()
    lines = doctor.as_text(findings).splitlines()
    assert len(lines) == len(findings) > 15
    for line, found in zip(lines, findings):
        assert line.startswith(found.state) and found.name in line and line.endswith(found.text)
        assert found.state in ("ok", "missing") and found.text
    assert exit_code(capsys) == 0


def test_it_says_which_python_and_numpy():
    assert finding("Python").text.startswith(".".join(map(str, sys.version_info[:3])))
    assert np.__version__ in finding("NumPy").text and "BLAS" in finding("NumPy").text


def test_an_old_python_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert finding("Python").state == "wrong" and "needs 3.10" in finding("Python").text
    assert exit_code(capsys) == 1


@pytest.mark.parametrize("blas, variable", [
    ("scipy-openblas", "OPENBLAS_NUM_THREADS"), ("openblas64", "OMP_NUM_THREADS"),
                                            ("mkl-sdl", "MKL_NUM_THREADS"),
    ("accelerate", "VECLIB_MAXIMUM_THREADS"), ("unheard-of", "OMP_NUM_THREADS")])
def test_the_threads_of_the_blas(monkeypatch, capsys, blas, variable):
    monkeypatch.setattr(doctor, "blas_build", lambda: {"name": blas})
    assert finding("BLAS threads").text.startswith("one per core")
    monkeypatch.setenv(variable, "3")
    assert finding("BLAS threads").text.startswith(f"3 ({variable}=3)")
    for bad in ("0", "many", "", "-1", "1.5"):
        monkeypatch.setenv(variable, bad)
        assert finding("BLAS threads").state == "wrong"
        assert f"{variable} is set to {bad!r}" in finding("BLAS threads").text
        assert exit_code(capsys) == 1


def test_the_reason_why_there_is_no_cupy(monkeypatch, capsys):
    monkeypatch.setattr(backend, "why_no_cupy",
                        lambda: "no NVIDIA driver is installed on this machine.")
    assert finding("backend cupy").state == "missing"
    assert finding("backend cupy").text == "no NVIDIA driver is installed on this machine"
    assert exit_code(capsys) == 0


def test_a_cupy_that_works_is_shown_with_its_device(monkeypatch):
    runtime = SimpleNamespace(getDevice=lambda: 1,
                              getDeviceProperties=lambda i: {"name": f"Device {i}".encode()})
    cupy = SimpleNamespace(__version__="14.2.0", cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(backend, "why_no_cupy", lambda: None)
    assert finding("backend cupy") == doctor.Finding("backend cupy", "ok",
                                                     "CuPy 14.2.0 on Device 1")


@pytest.mark.parametrize("name, purpose, remedy", doctor.PACKAGES)
def test_a_package_that_is_missing_or_there(monkeypatch, name, purpose, remedy):
    installed = {}

    def version(wanted):
        if wanted not in installed:
            raise importlib.metadata.PackageNotFoundError(wanted)
        return installed[wanted]

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(doctor, "has_mpiexec", lambda: True)
    assert finding(name) == doctor.Finding(name, "missing", f"for {purpose}: {remedy}")
    installed[name] = "9.8.7"
    assert finding(name) == doctor.Finding(name, "ok", f"9.8.7, for {purpose}")


def test_mpi4py_without_mpiexec(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "4.1.2")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert finding("mpi4py").state == "missing" and "mpiexec" in finding("mpi4py").text
    (tmp_path / "mpiexec").write_text("#!/bin/sh\n")
    (tmp_path / "mpiexec").chmod(0o755)
    assert finding("mpi4py").state == "ok"


def test_the_extras_exist():
    """What the doctor tells people to install is what the package offers."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml")
    file = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for name, _, remedy in doctor.PACKAGES:
        if "tinydni[" in remedy:
            extra = remedy.partition("[")[2].partition("]")[0]
            assert any(requirement.startswith(name) for requirement in closure(extra, extras)), name


def closure(extra, extras):
    """The requirements of an extra, with those of the extras that it names."""
    found = []
    for requirement in extras[extra]:
        inner = requirement.removeprefix("tinydni[").rstrip("]")
        found += closure(inner, extras) if inner in extras else [requirement]
    return found


def test_no_data_folder_set():
    assert finding("TINYDNI_DATA").state == "ok"
    assert finding("TINYDNI_DATA").text.startswith("not set")
    assert not any(f.name.strip() == "mnist" for f in doctor.examine())


def test_a_data_folder_with_everything(data, capsys):
    assert finding("TINYDNI_DATA") == doctor.Finding("TINYDNI_DATA", "ok", str(data))
    for folder, files in doctor.DATA_SETS.items():
        assert finding(folder).state == "ok"
        assert finding(folder).text.startswith(f"{len(files)} file")
    assert exit_code(capsys) == 0


def test_packed_files_count(data):
    file = data / "mnist" / "train-images-idx3-ubyte"
    file.rename(file.with_name(file.name + ".gz"))
    assert finding("mnist").state == "ok"


def test_a_data_set_that_is_not_there_is_no_fault(data, capsys):
    shutil.rmtree(data / "tinyshakespeare")
    assert finding("tinyshakespeare").state == "missing"
    assert str(data / "tinyshakespeare") in finding("tinyshakespeare").text
    assert exit_code(capsys) == 0


def test_a_data_set_with_holes_is_wrong(data, capsys):
    for i in (2, 5):
        (data / "cifar-10-batches-bin" / f"data_batch_{i}.bin").unlink()
    assert finding("cifar-10-batches-bin").state == "wrong"
    assert ("lacks data_batch_2.bin and 1 more; put all 6 files there"
            in finding("cifar-10-batches-bin").text)
    assert exit_code(capsys) == 1


@pytest.mark.parametrize("name", ["/nonexistent/folder", ""])
def test_a_data_folder_that_is_not_there_is_wrong(monkeypatch, capsys, name):
    monkeypatch.setenv("TINYDNI_DATA", name)
    assert finding("TINYDNI_DATA").state == "wrong" and repr(name) in finding("TINYDNI_DATA").text
    assert exit_code(capsys) == 1


def refuse(monkeypatch, folder):
    """Makes the operating system say that a folder is locked; to root, too, for whom none is."""
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode,
                        **o: Path(path) != folder and access(path, mode, **o))


def test_a_data_folder_that_cannot_be_read_is_wrong(data, monkeypatch, capsys):
    refuse(monkeypatch, data)
    assert finding("TINYDNI_DATA").state == "wrong"
    assert "cannot be read" in finding("TINYDNI_DATA").text
    assert exit_code(capsys) == 1


def test_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "cache_folder", lambda: tmp_path / "a" / "b")
    assert finding("cache") == doctor.Finding("cache", "ok",
                                              f"{tmp_path / 'a' / 'b'}, for downloads")
    assert not (tmp_path / "a").exists()                                # looking leaves no trace
    (tmp_path / "a").write_text("a file in the way")
    assert finding("cache").state == "missing"
    assert f"{tmp_path / 'a'} cannot be written" in finding("cache").text


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "cache_folder", lambda: tmp_path / "a")
    refuse(monkeypatch, tmp_path)
    assert finding("cache").state == "missing" and "TINYDNI_DATA" in finding("cache").text


def test_no_cache_without_pooch(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert doctor.cache_folder is download.cache_folder
    assert finding("cache").state == "missing" and "pip install pooch" in finding("cache").text


HEAVY = ("matplotlib", "sklearn", "torch", "scipy", "requests", "mpi4py", "IPython")


def test_nothing_heavy_is_imported():
    """CuPy aside: where it is installed, only a product on the device shows whether it works."""
    code = ("import sys; sys.modules['cupy'] = None; "
            "from tinydni.lab import doctor; doctor.examine(); "
            f"print(*[name for name in {HEAVY} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    assert done.stdout.strip() == ""
