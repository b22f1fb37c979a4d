"""What a time depends on besides the program: threads, versions, instruction sets, the machine."""

import importlib
import importlib.util
import os
import platform
from pathlib import Path

import numpy as np
import threadpoolctl

from tinydni.gpu.kernels import has_numba
from tinydni.lab import doctor
from tinydni.lab.products import write_product_buffer

PACKAGES = ("torch", "jax")                 # what we compare with, where it is installed
torch_device = "cpu"                        # where it computes


def installed(package):
    """Tell whether a package is there, without importing it."""
    return importlib.util.find_spec(package) is not None


def set_device(tf32):
    """Let the peers compute on the GPU, and either everybody with TF32 or nobody.

    To be called before they are imported. Every library has a switch of its own; JAX would also
    take most of the memory at once.
    """
    global torch_device
    torch_device = "cuda"
    os.environ |= {"CUPY_TF32": str(int(tf32)), "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
                   "JAX_DEFAULT_MATMUL_PRECISION": "tensorfloat32" if tf32 else "float32"}
    if not tf32:
        os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    if installed("torch"):
        import torch
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32


def computes_beside(package, xp):
    """Tell whether a peer is installed, and computes where `xp` does."""
    if not installed(package) or xp is np:
        return installed(package)
    module = importlib.import_module(package)
    return module.cuda.is_available() if package == "torch" else module.default_backend() == "gpu"


def set_threads(n):
    """Set the number of threads of every library that multiplies matrices, for the whole run."""
    os.environ["NPROC"] = str(n)        # what XLA takes for the number of cores, when it starts
    if installed("torch"):
        import torch
        torch.set_num_threads(n)
    write_product_buffer()
    threadpoolctl.threadpool_limits(n)


def versions():
    """Return what is compared, with the instruction sets chosen: they can decide more than all."""
    has_numba()                         # imports it: our side will use it
    found = doctor.versions()
    if installed("torch"):
        import torch
        found["PyTorch"] = f"{torch.__version__} ({torch.backends.cpu.get_cpu_capability()})"
    if installed("jax"):
        import jax
        found["JAX"] = jax.__version__
    return found


def machine():
    """Return what it is measured on, how busy that is, and what steers the libraries."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    settings = [f"{name}={value}" for name, value in sorted(os.environ.items())
                if name.startswith(("OPENBLAS_", "MKL_", "OMP_", "ONEDNN_", "ATEN_"))]
    return {"CPU": models[0] if models else platform.machine(), "cores": os.cpu_count(),
            "load": load(), "system": f"{platform.system()} {platform.machine()}",
            "settings": ", ".join(settings) or "none"}


def load():
    """Return how many processes wanted to run in the last minute; None on Windows."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
