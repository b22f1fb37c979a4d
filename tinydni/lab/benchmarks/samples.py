"""W7: the distance between two samples of points, and its gradient."""

import numpy as np

from tinydni.variants.mmd import MMD
from tinydni.lab.benchmarks.workload import Workload
from tinydni.random import stream

CONTENDERS = {"tinydni": "ours.loss_step", "torch-eager": "torch_mmd.step"}


def w7(dtype=np.float32, N=1000, D=8):
    """MMD between samples of 1,000 points in 8 dimensions, loss and gradient with respect to one of them."""
    rng = stream(0, "sample")
    batches = [(rng.standard_normal((N, D)).astype(dtype), (rng.standard_normal((N, D)) + 0.5).astype(dtype), None)
               for _ in range(4)]
    products = 3 * [(N, D, N)] + 2 * [(N, N, D)]            # distances; the points that pull
    return Workload("W7 MMD", 10, CONTENDERS, products, batches, [], MMD(m=4.0))
