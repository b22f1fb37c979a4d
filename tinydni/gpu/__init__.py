"""What serves a GPU beyond CuPy: a step as one CUDA graph, a rule as one kernel."""

from tinydni.gpu.graphs import CapturedStep, check_can_be_captured
from tinydni.gpu.kernels import fuse

__all__ = ["CapturedStep", "check_can_be_captured", "fuse"]
