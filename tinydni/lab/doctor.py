"""`tinydni doctor`: what works on this machine, what does not, and what to do about it."""

import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import threadpoolctl

from tinydni import __version__, backend
from tinydni.datasets.download import VARIABLE, DataError, cache_folder, data_folder
from tinydni.datasets.mnist import MD5 as MNIST_FILES

OK, MISSING, WRONG = "ok", "missing", "wrong"

PACKAGES = (        # distribution, what it is for, how to get it
    ("matplotlib", "figures", "pip install matplotlib"),
    ("pooch", "downloads", "pip install pooch"),
    ("tqdm", "progress bars", "pip install tqdm"),
    ("scikit-learn", "the scores of cytometry", 'pip install "tinydni[sklearn]"'),
    ("flowio", "FCS files of cytometers", 'pip install "tinydni[fcs]"'),
    ("jupyterlab", "notebooks", 'pip install "tinydni[notebooks]"'),
    ("mpi4py", "workers in several processes", 'pip install "tinydni[mpi]"'),
    ("nbgrader", "assignments in nbgrader's form", 'pip install "tinydni[classroom]"'),
    ("pytest", "tests", 'pip install "tinydni[test]"'),
    ("numba", "optimizers, BatchNorm, ReLU, LSTM as loops", 'pip install "tinydni[fast]"'),
    ("torch", "PyTorch's times in benchmarks", "pip install torch"),
    ("jax", "JAX's times in benchmarks", "pip install jax"),
)
DATA_SETS = {       # folder in $TINYDNI_DATA: the files that belong there, packed with gzip or not
    "mnist": [name.removesuffix(".gz") for name in MNIST_FILES],
    "cifar-10-batches-bin": [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"],
    "deepcytof": [f"{part}{i}.csv" for i in range(1, 17) for part in ("sample", "labels")],
    "tinyshakespeare": ["input.txt"],
}
THREADS = {"openblas": ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"),
           "mkl": ("MKL_NUM_THREADS", "OMP_NUM_THREADS"), "accelerate": ("VECLIB_MAXIMUM_THREADS",)}
AVX512_KERNELS = ("SkylakeX", "Cooperlake", "SapphireRapids")       # of OpenBLAS


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    state : OK; MISSING, for what is not needed until it is used; WRONG, for what somebody has set,
    and wrongly
    """

    name: str
    state: str
    text: str


def add_arguments(parser):
    """Add nothing: the doctor takes no arguments."""


def main(arguments):
    """Print the report. Return the exit code: 1 if something is wrong; what is missing is not."""
    findings = examine()
    print(as_text(findings))
    return int(any(finding.state == WRONG for finding in findings))


def as_text(findings):
    """Return findings as lines."""
    width = max(len(finding.name) for finding in findings)
    return "\n".join(f"{finding.state:7}  {finding.name:{width}}  {finding.text}"
                     for finding in findings)


def examine() -> list[Finding]:
    """Return all findings.

    Nothing heavy is imported, save CuPy where it is installed: only a product proves that it works.
    """
    found = {"Python": python(), "NumPy": numpy(), "BLAS threads": blas_threads(),
             "backend numpy": (OK, "the CPU"), "backend cupy": cupy(),
             **{name: package(name, *row) for name, *row in PACKAGES}, **data(), "cache": cache()}
    return [Finding(name, *said) for name, said in found.items()]


def python():
    """Whether Python is new enough."""
    text = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info < (3, 10):      # noqa: UP036  an older one may ask
        return WRONG, f"{text}; tinydni needs 3.10 or newer"
    return OK, text


def numpy():
    """Which NumPy there is, and how fast its matrix products can be."""
    blas, remark = blas_build(), slow_kernel()
    text = (f"{np.__version__}, BLAS {blas.get('name', '?')} {blas.get('version', '')}, "
            f"{blas_kernel()} kernels")
    return OK, f"{text}. {remark}" if remark else text


def versions() -> dict[str, str]:
    """Return what the last digits of a run depend on; numba and CuPy only where they are in use."""
    blas = {f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', '?')})"
            for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}
    in_use = {name: sys.modules[package].__version__ for name, package in
              (("numba", "numba"), ("CuPy", "cupy")) if sys.modules.get(package)}
    return {"tinydni": __version__, "Python": platform.python_version(), "NumPy": np.__version__,
            "BLAS": ", ".join(sorted(blas)), **in_use}


def blas_build():
    """Return what NumPy says about the library that multiplies its matrices."""
    return np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})


def blas_kernel() -> str:
    """Return the inner loops that NumPy's BLAS chose: "Haswell" is AVX2, "SkylakeX" AVX-512."""
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if "numpy" in pool["filepath"]] or pools  # PyTorch brings others
    return own[0].get("architecture", "?") if own else "?"


def slow_kernel() -> str | None:
    """Say where a variable keeps NumPy's BLAS from the instruction set of this CPU, or None."""
    wanted, kernel = os.environ.get("OPENBLAS_CORETYPE"), blas_kernel()
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    has_avx512 = any(name.startswith(("AVX512", "X86_V4")) for name in found)
    if not wanted or kernel in AVX512_KERNELS or not has_avx512:
        return None
    return (f"OPENBLAS_CORETYPE={wanted} holds its matrix products back to the {kernel} kernels, "
            "though this CPU has AVX-512; unset it, and they take about half of the time")


def blas_threads():
    """How many threads a product may use: as the first variable that is set says, or all cores."""
    affinity = getattr(os, "sched_getaffinity", None)       # not on every system
    cores, blas = len(affinity(0)) if affinity else os.cpu_count(), blas_build().get("name", "")
    variables = next((names for library, names in THREADS.items() if library in blas),
                     ("OMP_NUM_THREADS",))
    for variable in variables:
        value = os.environ.get(variable)
        if value is None:
            continue
        if not (value.isdecimal() and int(value) > 0):
            return WRONG, f"{variable} is set to {value!r}; it must be a whole number above 0"
        return OK, f"{int(value)} ({variable}={value}), on {cores} cores"
    return OK, f"one per core, {cores}; {variables[0]}=1 before the start makes it one"


def cupy():
    """Whether CuPy can compute here, and where."""
    reason = backend.why_no_cupy()
    if reason:
        return MISSING, reason.rstrip(".")
    module = backend.get("cupy")
    runtime = module.cuda.runtime
    device = runtime.getDeviceProperties(runtime.getDevice())["name"].decode()
    return OK, f"CuPy {module.__version__} on {device}"


def package(name, purpose, remedy):
    """Whether a package is there."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return MISSING, f"for {purpose}: {remedy}"
    if name == "mpi4py" and not has_mpiexec():
        return MISSING, f"{version} is there, but not the command mpiexec that starts it: {remedy}"
    return OK, f"{version}, for {purpose}"


def has_mpiexec():
    """Tell whether mpiexec is in the path, or beside this Python, where pip puts it."""
    beside = Path(sys.executable).parent
    return bool(shutil.which("mpiexec") or shutil.which("mpiexec", path=beside))


def data():
    """What there is to say about $TINYDNI_DATA and the data sets in it."""
    try:
        folder = data_folder()
    except DataError as error:
        return {VARIABLE: (WRONG, str(error).removeprefix(f"{VARIABLE} is "))}
    if folder is None:
        return {VARIABLE: (OK, "not set: data sets are downloaded when they are first used")}
    if not os.access(folder, os.R_OK | os.X_OK):
        return {VARIABLE: (WRONG, f"{folder} cannot be read; give yourself the right to, or unset "
                                  f"{VARIABLE}")}
    return {VARIABLE: (OK, str(folder)),
            **{f"  {name}": data_set(folder / name, files) for name, files in DATA_SETS.items()}}


def data_set(folder, files):
    """Whether a data set is whole."""
    if not folder.is_dir():
        return MISSING, f"no folder {folder}; the jobs that need it say so"
    absent = [file for file in files
              if not any((folder / f"{file}{end}").is_file() for end in ("", ".gz"))]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        return WRONG, (f"{folder} lacks {absent[0]}{more}; put all {len(files)} files there, or "
                       "remove the folder")
    return OK, f"{len(files)} file{'s' * (len(files) > 1)}"


def cache():
    """Whether a download could be kept: whether the first folder there, going up, is writable."""
    try:
        folder = cache_folder()
    except ModuleNotFoundError:
        return MISSING, "for downloads: pip install pooch"
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return MISSING, (f"{there} cannot be written, so nothing can be downloaded; make it "
                         f"writable, or set {VARIABLE} to a folder that holds the data")
    return OK, f"{folder}, for downloads"
