"""What a time depends on besides the program: threads, versions, instruction sets, the machine and its settings."""

import os
import platform
from pathlib import Path

import numpy as np
import threadpoolctl
import torch


def set_threads(n):
    """Sets the number of threads of every library that multiplies matrices, for the whole run."""
    torch.set_num_threads(n)
    threadpoolctl.threadpool_limits(n)


def versions():
    """What was compared, with the instruction set that each library chose: it can decide more than all else."""
    blas = {f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', '?')})"
            for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}
    return {"Python": platform.python_version(), "NumPy": np.__version__, "BLAS": ", ".join(sorted(blas)),
            "PyTorch": f"{torch.__version__} ({torch.backends.cpu.get_cpu_capability()})"}


def machine():
    """What it was measured on, how busy that was, and the environment variables that steer the libraries."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    settings = [f"{name}={value}" for name, value in sorted(os.environ.items())
                if name.startswith(("OPENBLAS_", "MKL_", "OMP_", "ONEDNN_", "ATEN_"))]
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {"CPU": models[0] if models else platform.machine(), "cores": os.cpu_count(), "load": load,
            "system": platform.platform(), "settings": ", ".join(settings) or "none"}
