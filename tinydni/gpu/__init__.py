"""What serves speed: a step as one CUDA graph; rules as kernels, or on a CPU as loops."""

from tinydni.gpu.graphs import CapturedStep, check_can_be_captured
from tinydni.gpu.kernels import fuse

__all__ = ["CapturedStep", "check_can_be_captured", "fuse"]
