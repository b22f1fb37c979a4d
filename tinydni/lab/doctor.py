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

from tinydni import backend
from tinydni.datasets.download import VARIABLE, DataError, cache_folder, data_folder
from tinydni.datasets.mnist import MD5 as MNIST_FILES

OK, MISSING, WRONG = "ok", "missing", "wrong"

PACKAGES = (        # distribution, what it is for, how to get it
    ("matplotlib", "figures", "pip install matplotlib"),
    ("pooch", "downloads", "pip install pooch"),
    ("tqdm", "progress bars", "pip install tqdm"),
    ("scikit-learn", "the digits data set and cytometry", 'pip install "tinydni[sklearn]"'),
    ("flowio", "FCS files of cytometers", 'pip install "tinydni[fcs]"'),
    ("jupyterlab", "notebooks", 'pip install "tinydni[notebooks]"'),
    ("mpi4py", "workers in several processes", 'pip install "tinydni[mpi]"'),
    ("nbgrader", "assignments in nbgrader's form", 'pip install "tinydni[classroom]"'),
    ("pytest", "tests", 'pip install "tinydni[test]"'),
    ("torch", "PyTorch's times in benchmarks", "pip install torch"),
)

DATA_SETS = {       # folder in $TINYDNI_DATA: the files that belong there, packed with gzip or not
    "mnist": [name.removesuffix(".gz") for name in MNIST_FILES],
    "cifar-10-batches-bin": [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"],
    "deepcytof": [f"{part}{i}.csv" for i in range(1, 17) for part in ("sample", "labels")],
    "tinyshakespeare": ["input.txt"],
}

THREADS = {"openblas": ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "mkl": ("MKL_NUM_THREADS", "OMP_NUM_THREADS"),
           "accelerate": ("VECLIB_MAXIMUM_THREADS",)}


AVX512_KERNELS = ("SkylakeX", "Cooperlake", "SapphireRapids")       # of OpenBLAS


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    state: OK; MISSING, for what is not needed until it is used; WRONG, for what somebody has set, and wrongly
    """

    name: str
    state: str
    text: str


def add_arguments(parser):
    """The doctor takes no arguments."""


def main(arguments):
    """Prints the report. Returns the exit code: 1 if something is wrong, else 0; what is missing is no fault."""
    findings = examine()
    print(as_text(findings))
    return int(any(finding.state == WRONG for finding in findings))


def report():
    """The report as text, one line per finding."""
    return as_text(examine())


def as_text(findings):
    width = max(len(finding.name) for finding in findings)
    return "\n".join(f"{finding.state:7}  {finding.name:{width}}  {finding.text}" for finding in findings)


def examine():
    """All findings. Nothing heavy is imported, save CuPy where it is installed: only a product proves that it works."""
    return [python(), numpy(), blas_threads(), Finding("backend numpy", OK, "the CPU"), cupy(),
            *(package(*row) for row in PACKAGES), *data(), cache()]


def python():
    text = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info < (3, 10):
        return Finding("Python", WRONG, f"{text}; tinydni needs 3.10 or newer")
    return Finding("Python", OK, text)


def numpy():
    blas, remark = blas_build(), slow_kernel()
    text = f"{np.__version__}, BLAS {blas.get('name', '?')} {blas.get('version', '')}, {blas_kernel()} kernels"
    return Finding("NumPy", OK, f"{text}. {remark}" if remark else text)


def blas_build():
    """What NumPy says about the library that multiplies its matrices."""
    return np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})


def blas_kernel():
    """The inner loops that NumPy's BLAS chose for its products: "Haswell" is AVX2, "SkylakeX" AVX-512, and so on."""
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if "numpy" in pool["filepath"]] or pools      # PyTorch and SciPy may bring others
    return own[0].get("architecture", "?") if own else "?"


def slow_kernel():
    """A sentence where a variable keeps NumPy's BLAS from the instruction set that this CPU has, or None."""
    wanted, kernel = os.environ.get("OPENBLAS_CORETYPE"), blas_kernel()
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    if not wanted or kernel in AVX512_KERNELS or not any(name.startswith(("AVX512", "X86_V4")) for name in found):
        return None
    return (f"OPENBLAS_CORETYPE={wanted} holds its matrix products back to the {kernel} kernels, though this CPU has "
            "AVX-512; unset it, and they take about half of the time")


def blas_threads():
    """How many threads a matrix product may use: as the first variable that is set says, or one per core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    blas = blas_build().get("name", "")
    variables = next((names for library, names in THREADS.items() if library in blas), ("OMP_NUM_THREADS",))
    for variable in variables:
        value = os.environ.get(variable)
        if value is not None and not (value.isdecimal() and int(value) > 0):
            return Finding("BLAS threads", WRONG, f"{variable} is set to {value!r}; it must be a whole number above 0")
        if value is not None:
            return Finding("BLAS threads", OK, f"{int(value)} ({variable}={value}), on {cores} cores")
    return Finding("BLAS threads", OK, f"one per core, {cores}; {variables[0]}=1 before the start makes it one")


def cupy():
    reason = backend.why_no_cupy()
    if reason:
        return Finding("backend cupy", MISSING, reason.rstrip("."))
    module = backend.get("cupy")
    device = module.cuda.runtime.getDeviceProperties(module.cuda.runtime.getDevice())["name"].decode()
    return Finding("backend cupy", OK, f"CuPy {module.__version__} on {device}")


def package(name, purpose, remedy):
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, MISSING, f"for {purpose}: {remedy}")
    if name == "mpi4py" and not has_mpiexec():
        return Finding(name, MISSING, f"{version} is there, but not the command mpiexec that starts it: {remedy}")
    return Finding(name, OK, f"{version}, for {purpose}")


def has_mpiexec():
    """Whether mpiexec is in the path, or beside this Python, where pip puts it."""
    return bool(shutil.which("mpiexec") or shutil.which("mpiexec", path=Path(sys.executable).parent))


def data():
    """Findings about $TINYDNI_DATA and the data sets in it."""
    try:
        folder = data_folder()
    except DataError as error:
        return [Finding(VARIABLE, WRONG, str(error).removeprefix(f"{VARIABLE} is "))]
    if folder is None:
        return [Finding(VARIABLE, OK, "not set: data sets are downloaded when they are first used")]
    if not os.access(folder, os.R_OK | os.X_OK):
        return [Finding(VARIABLE, WRONG, f"{folder} cannot be read; give yourself the right to, or unset {VARIABLE}")]
    return [Finding(VARIABLE, OK, str(folder)), *(data_set(folder, name, files) for name, files in DATA_SETS.items())]


def data_set(folder, name, files):
    if not (folder / name).is_dir():
        return Finding(f"  {name}", MISSING, f"no folder {folder / name}; the jobs that need it say so")
    absent = [file for file in files if not any((folder / name / f"{file}{end}").is_file() for end in ("", ".gz"))]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        return Finding(f"  {name}", WRONG, f"{folder / name} lacks {absent[0]}{more}; put all {len(files)} files "
                                           "there, or remove the folder")
    return Finding(f"  {name}", OK, f"{len(files)} {'files' if len(files) > 1 else 'file'}")


def cache():
    """Whether a download could be kept: whether the first folder that exists, going up, can be written."""
    try:
        folder = cache_folder()
    except ModuleNotFoundError:
        return Finding("cache", MISSING, "for downloads: pip install pooch")
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding("cache", MISSING, f"{there} cannot be written, so nothing can be downloaded; make it writable, "
                                         f"or set {VARIABLE} to a folder that holds the data")
    return Finding("cache", OK, f"{folder}, for downloads")
