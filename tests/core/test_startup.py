"""What starting imports: figures, downloads and the like come in when they are used."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import tinydni

HEAVY = {"IPython", "cupy", "flowio", "jax", "jupytext", "matplotlib", "mpi4py", "nbformat",
         "pandas", "pooch", "pytest", "requests", "scipy", "sklearn", "torch", "tqdm"}
SLOW = {"asyncio", "concurrent", "email", "http", "multiprocessing", "subprocess", "unittest",
        "urllib", "xml"}        # of Python's own


@cache
def imported(module):
    """The modules that a fresh Python imports for `module`, those of NumPy left out."""
    return run(f"import {module}")


def run(code):
    """The modules that a fresh Python imports while it runs some code."""
    code = f"""
import sys, numpy, numpy.random
before = set(sys.modules)
{code}
print(*set(sys.modules) - before)"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ended.stdout.splitlines()[-1].split())


def roots(modules):
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("module", ["tinydni", "tinydni.datasets", "tinydni.lab.cli",
                                    "tinydni.lab.benchmarks.bench_command"])
def test_starting_imports_nothing_heavy(module):
    assert not HEAVY & roots(imported(module))


def test_help_imports_no_command():
    modules = run("""
from tinydni.lab import cli
try:
    cli.main(["--help"])
except SystemExit:
    pass""")
    assert "tinydni.lab.commands" in modules
    assert {name for name in modules if name.startswith("tinydni.") and name.count(".") > 1} == {
        "tinydni.lab.callbacks", "tinydni.lab.cli", "tinydni.lab.commands"}


def test_the_library_needs_only_numpy_and_little_of_python():
    modules = imported("tinydni")
    assert roots(modules) - set(sys.stdlib_module_names) == {"tinydni"}
    assert not SLOW & roots(modules)


def test_the_library_imports_none_of_its_folders():
    names = {name for name in imported("tinydni") if name.startswith("tinydni.")}
    assert {"tinydni.linear", "tinydni.dni", "tinydni.training"} <= names
    assert not [name for name in names if name.count(".") > 1]
    assert not names & {f"tinydni.{folder}" for folder in tinydni.FOLDERS}


SCRIPT = """import sys
from tinydni.lab.cli import main
sys.exit(main())
"""


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is another thing there")
@pytest.mark.parametrize("start", ["-m", "script"])
@pytest.mark.parametrize("module", ["numpy", "threadpoolctl"])      # of the library, of commands
def test_ctrl_c_while_the_command_starts_is_a_word(tmp_path, start, module):
    (tmp_path / f"{module}.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "tinydni"
    script.write_text(SCRIPT)
    path = os.pathsep.join([str(tmp_path), str(Path(tinydni.__file__).parents[1])])
    words = ["-m", "tinydni"] if start == "-m" else [str(script)]
    run = subprocess.run([sys.executable, *words, "doctor"], capture_output=True, text=True,
                         env=os.environ | {"PYTHONPATH": path}, cwd=tmp_path / "bin")
    assert (run.returncode, run.stderr.strip()) == (130, "tinydni: interrupted")


def test_ctrl_c_belongs_to_the_program_that_imports_the_library():
    code = "import tinydni, signal; print(signal.getsignal(signal.SIGINT).__name__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "default_int_handler"
