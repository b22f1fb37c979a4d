"""What starting costs: figures, downloads and the libraries we compare with are imported when they are used."""

import json
import subprocess
import sys

import pytest

HEAVY = {"cupy", "jax", "matplotlib", "mpi4py", "pandas", "pooch", "scipy", "sklearn", "torch"}


def started(module):
    """In a fresh Python: CPU "seconds" of importing `module` after NumPy, of "numpy", and the "modules" then there."""
    code = f"""import json, sys, time
zero = time.process_time()
import numpy
one = time.process_time()
import {module}
print(json.dumps({{"numpy": one - zero, "seconds": time.process_time() - one, "modules": sorted(sys.modules)}}))"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


@pytest.mark.parametrize("module", ["tinydni", "tinydni.lab.cli", "tinydni.lab.benchmarks.command"])
def test_starting_imports_nothing_heavy(module):
    roots = {name.partition(".")[0] for name in started(module)["modules"]}
    assert not HEAVY & roots


@pytest.mark.parametrize("module, limit", [("tinydni", 0.3), ("tinydni.lab.cli", 0.5)])
def test_starting_takes_little_time(module, limit):
    runs = [started(module) for _ in range(3)]          # CPU time, the best of three: a busy machine is no fault
    assert min(run["numpy"] + run["seconds"] for run in runs) < limit


def test_importing_the_library_is_about_as_heavy_as_importing_numpy():
    runs = [started("tinydni") for _ in range(3)]
    assert min(run["seconds"] for run in runs) < 1.7 * min(run["numpy"] for run in runs)
